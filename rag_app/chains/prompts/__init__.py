"""Prompts: one template for each task and language, as ``TASK.LANGUAGE.txt`` beside this file.

The context always comes before the question, so that a model that keeps its prefix cache answers
the next question about the same passage without reading the passage again. Only the question
comes after it: each token there delays the answer.

Small models that are offered a way out take it too often: told to say so where a passage holds no
answer, the default model refused 8 to 33 % of gold passages in small trials (CMRC) and answered
the others no better. Whether to ask at all is for the retriever's threshold. Told to answer the
question it copied whole passages; told to find the answer and write only that, its F1 on our 30
dev questions rose from 0.33 to 0.76.

What is put into a prompt fits the model's window, in a budget counted in its own tokens.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from langchain_core.language_models import BaseLanguageModel, LanguageModelLike
from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.documents.text import Language, is_japanese, language_of
from rag_app.errors import PromptTooLongError, SettingsError

_log = logging.getLogger(__name__)

Task = Literal[
    "answer",
    "refine_answer",
    "judge_answer",
    "judge_yes_or_no",
    "condense_question",
    "translate_question",
    "retranslate_question",
    "translate_answer",
    "summary",
    "refine_summary",
    "combine_summaries",
    "sentence_summary",
    "draft_question",
    "draft_question_of_sentence",
]

NO_ANSWER: Mapping[str, str] = {
    "zh": "资料中没有提到。",
    "en": "The passages do not say.",
    "ja": "資料には記載がありません。",
}
"""The reply where the model itself says that the passages hold no answer."""

_SAYS_NO_ANSWER = re.compile(
    r"^\W*((上述|以上|提供的|给出的)?(资料|文中|文本|文档)[中里]?(并)?(没有|未)(提到|提及|提供|说明|答案)"
    r"|(the )?(provided )?passages? (do|does) not (say|mention|hold|contain|provide))",
    re.IGNORECASE,
)

NOT_FOUND: Mapping[str, str] = {
    "zh": "文档中没有找到这个问题的答案。",
    "en": "The documents do not hold an answer to this question.",
    "ja": "文書の中に、この質問の答えは見つかりませんでした。",
}
"""What the user is told when retrieval found nothing relevant; no model is called for it."""

ABOUT_ITSELF: Mapping[str, str] = {
    "zh": "这里根据文档回答问题，并注明出处。请直接提问；也可以先问：“这些文档主要讲了什么？”",
    "en": "Questions are answered here from the documents, with their sources. Ask one, such as: "
    "“What are these documents about?”",
    "ja": "文書をもとに質問に答え、出典を示します。ご質問をどうぞ。",
}
"""What is said to a greeting, thanks, and who asks what can be asked; no model is called for it."""

UNCHANGED: Mapping[Language, str] = {"zh": "不变", "en": "UNCHANGED"}
"""What the model is told to reply when a further passage adds nothing: ``{unchanged}``."""

VARIABLES: Mapping[str, frozenset[str]] = {
    "system": frozenset(),
    "answer": frozenset({"context", "question"}),
    "refine_answer": frozenset({"context", "question", "answer", "unchanged"}),
    "style": frozenset({"style"}),
    "judge_answer": frozenset(),
    "judge_yes_or_no": frozenset(),
    "condense_question": frozenset({"context", "question"}),
    "translate_question": frozenset({"question"}),
    "retranslate_question": frozenset({"question", "asks"}),
    "translate_answer": frozenset({"question", "answer"}),
    "summary": frozenset({"context", "length"}),
    "refine_summary": frozenset({"context", "summary", "length"}),
    "combine_summaries": frozenset({"context", "length"}),
    "sentence_summary": frozenset({"context", "length"}),
    "draft_question": frozenset({"context"}),
    "draft_question_of_sentence": frozenset({"context", "answer"}),
}
"""What the template of each task holds, and nothing else."""

LANGUAGES: tuple[Language, ...] = ("zh", "en")

DEFAULT_WINDOW = 4096
"""Tokens; for a model that does not say how long its context is."""

TEMPLATE_TOKENS = 64
"""Upper bound on what a chat template adds around two messages."""

CountTokens = Callable[[str], int]


def says_no_answer(reply: str) -> bool:
    """Return whether a reply is empty, or says that the passages don't answer."""
    return not reply or bool(_SAYS_NO_ANSWER.match(reply))


def refusal_for(texts: Mapping[str, str], question: str, language: Language | None = None) -> str:
    """Return one of the texts above for a question: in its language, or in another one.

    Example:
        >>> refusal_for(NO_ANSWER, "送料はいくらですか"), refusal_for(NO_ANSWER, "How much?", "zh")
        ('資料には記載がありません。', '资料中没有提到。')
    """
    own = language_of(question)
    if is_japanese(question) and language in {None, own}:
        return texts["ja"]
    return texts[language or own]


class Prompts:
    """The templates in use: the default ones, and those that take their place.

    Args:
        templates: Texts by name, ``TASK.LANGUAGE`` or ``system.LANGUAGE``, such as ``answer.zh``.

    Raises:
        SettingsError: a name is unknown, or a text lacks a variable or holds an unknown one.

    Example:
        >>> prompts = Prompts({"answer.en": "{context} Q: {question} A:"})
        >>> system, human = prompts.messages("answer", "en", context="Tea.", question="What?")
        >>> human.content
        'Tea. Q: What? A:'
    """

    def __init__(self, templates: Mapping[str, str] | None = None) -> None:
        self._templates = dict(templates or {})
        for name, text in self._templates.items():
            _check(name, text)

    @classmethod
    def of(cls, prompts: "GivenPrompts") -> "Prompts":
        """Return prompts as they are, or those of a mapping or of the ``.txt`` files of a folder.

        Raises:
            SettingsError: the folder can't be read or has no prompt, or one of them is wrong.
        """
        if isinstance(prompts, Prompts):
            return prompts
        if isinstance(prompts, str | Path):
            return cls(_read(Path(prompts).expanduser()))
        return cls(prompts)

    def messages(
        self, task: Task, language: Language, *, style: str = "", **values: str
    ) -> list[BaseMessage]:
        """Return the chat messages of a task; ``values`` may hold any text, braces included.

        Args:
            task: What to do.
            language: The language of the prompt.
            style: How the reply is to be written; it is last, so that what is kept of the
                prompt before it serves all styles.
            **values: Of the template's variables.
        """
        human = [self.text(task, language)]
        if style:
            human.append(self.text("style", language))
            values["style"] = style
        parts = [("system", self.text("system", language)), ("human", "\n\n".join(human))]
        template = ChatPromptTemplate.from_messages(parts)
        return template.format_messages(unchanged=UNCHANGED[language], **values)

    def text(self, task: str, language: Language) -> str:
        """Return the template of a task."""
        name = f"{task}.{language}"
        return self._templates.get(name) or default_text(name)


GivenPrompts = Prompts | Mapping[str, str] | str | Path | None
"""Prompts in place of the default ones: texts by name, or a folder of them."""


@cache
def default_text(name: str) -> str:
    """Return the default template of a name such as ``answer.zh``."""
    file = Path(__file__).with_name(f"{name}.txt")
    return file.read_text(encoding="utf-8").removesuffix("\n")


def _read(folder: Path) -> dict[str, str]:
    try:
        texts = {
            file.stem: file.read_text(encoding="utf-8-sig").removesuffix("\n")
            for file in sorted(folder.iterdir())
            if file.suffix == ".txt"
        }
    except (OSError, UnicodeError) as error:
        msg = f"prompts can't be read from {folder} ({error}); name a folder of TASK.LANGUAGE.txt"
        raise SettingsError(msg) from error
    if not texts:
        msg = f"{folder} holds no prompt; name a folder of files such as answer.zh.txt"
        raise SettingsError(msg)
    return texts


def _check(name: str, text: str) -> None:
    task, _, language = name.partition(".")
    if task not in VARIABLES or language not in LANGUAGES:
        tasks, languages = ", ".join(VARIABLES), " or ".join(LANGUAGES)
        msg = f"no prompt is called {name!r}: a name is one of {tasks}, a dot, and {languages}"
        raise SettingsError(msg)
    try:
        found = set(ChatPromptTemplate.from_template(text).input_variables)
    except ValueError as error:
        msg = f"prompt {name}: {error}; write {{{{ and }}}} for braces"
        raise SettingsError(msg) from error
    required = VARIABLES[task]
    wrong = [f"it lacks {{{variable}}}" for variable in sorted(required - found)]
    wrong += [f"{{{variable}}} means nothing in it" for variable in sorted(found - required)]
    if wrong:
        msg = f"prompt {name}: {', '.join(wrong)}"
        raise SettingsError(msg)


@dataclass(frozen=True)
class Budget:
    """How much one call to a model may hold, in its own tokens.

    Example:
        >>> budget = Budget(window=100, max_new_tokens=20, count=len)
        >>> budget.cut("a long text", 6)
        'a long'
    """

    window: int
    max_new_tokens: int
    count: CountTokens

    @classmethod
    def of(cls, llm: LanguageModelLike, max_new_tokens: int) -> "Budget":
        """Return the budget of ``llm`` with ``max_new_tokens`` kept free for its reply."""
        model = _model_of(llm)
        profile = getattr(model, "profile", None) or {}
        window = profile.get("max_input_tokens") or DEFAULT_WINDOW
        return cls(window, max_new_tokens, token_counter(model))

    def left(self, prompt: Sequence[BaseMessage], spare: int = 0) -> int:
        """Return the tokens left for context besides ``prompt``, a prompt with empty context.

        Args:
            prompt: The chat messages without their context.
            spare: Tokens kept free for what else the prompt will hold, such as an earlier answer.

        Raises:
            PromptTooLongError: the prompt alone does not fit.
        """
        used = sum(self.count(message.text) for message in prompt) + TEMPLATE_TOKENS
        left = self.window - self.max_new_tokens - spare - used
        if left < 1:
            msg = (
                f"this model's maximum context length is {self.window} tokens, the prompt takes "
                f"{used} and {self.max_new_tokens + spare} are kept for the answer: shorten the "
                "question, lower --max-new-tokens or raise RAG_APP_CONTEXT_LENGTH"
            )
            raise PromptTooLongError(msg)
        return left

    def cut(self, text: str, limit: int) -> str:
        """Return the longest beginning of ``text`` that ``limit`` tokens surely hold."""
        while (tokens := self.count(text)) > limit:
            text = text[: min(len(text) - 1, int(len(text) * limit / tokens))]
        return text


def _model_of(llm: LanguageModelLike) -> LanguageModelLike:
    """Return the model in what ``bind``, ``with_retry`` and ``with_fallbacks`` make of it."""
    for name in ("bound", "runnable"):
        if not isinstance(llm, BaseLanguageModel) and isinstance(
            inner := getattr(llm, name, None), Runnable
        ):
            return _model_of(inner)
    return llm


def token_counter(llm: LanguageModelLike) -> CountTokens:
    """Return what counts the tokens of a model.

    LangChain's default fetches GPT-2's tokenizer, which is wrong for every model of ours: one that
    has no counter of its own is taken to have a token for each character, and that is logged once.
    """
    if not isinstance(llm, BaseLanguageModel):
        return len
    own = (getattr(type(llm), name) for name in ("get_num_tokens", "get_token_ids"))
    defaults = (BaseLanguageModel.get_num_tokens, BaseLanguageModel.get_token_ids)
    if llm.custom_get_token_ids or any(a is not b for a, b in zip(own, defaults, strict=True)):
        return llm.get_num_tokens
    _warn_of(type(llm).__name__)
    return len


@cache
def _warn_of(name: str) -> None:
    _log.warning(
        "%s does not count tokens, so each character counts as one; give it custom_get_token_ids",
        name,
    )


def pack(texts: Sequence[str], limit: int, count: CountTokens) -> list[int]:
    """Return the indices of the texts, in rank order, that together fit ``limit`` tokens.

    A text that does not fit is passed over, since a shorter one of lower rank may still fit.
    """
    kept = []
    for index, text in enumerate(texts):
        tokens = count(text)
        if tokens <= limit:
            kept.append(index)
            limit -= tokens
    return kept


def segments(text: str, limit: int, count: CountTokens) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans ``(start, end)`` of ``text`` of at most ``limit`` tokens each.

    Spans end where the splitter likes to end a chunk, and together hold all but white space.
    """
    ratio = max(count(text[:4000]) / max(len(text[:4000]), 1), 0.05)
    splitter = ChineseTextSplitter(chunk_size=max(int(limit / ratio), 1), chunk_overlap=0)
    for start, end in splitter.spans(text):
        yield from _halve(text, start, end, limit, count)


def _halve(
    text: str, start: int, end: int, limit: int, count: CountTokens
) -> Iterator[tuple[int, int]]:
    """Split a span until each part fits; denser text than the sample's needs it."""
    if count(text[start:end]) <= limit or end - start == 1:
        yield start, end
        return
    splitter = ChineseTextSplitter(chunk_size=max((end - start) // 2, 1), chunk_overlap=0)
    for left, right in splitter.spans(text[start:end]):
        yield from _halve(text, start + left, start + right, limit, count)
