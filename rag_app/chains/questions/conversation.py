"""A question with what was said before it, or with its passages; one of several parts, as a list.

With a history it is made to stand alone, and each part is a follow-up of those before it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langchain_core.runnables import Runnable

from rag_app.chains.citations import Citation
from rag_app.chains.prompts import NOT_FOUND, Prompts, refusal_for
from rag_app.chains.questions import CLAUSE, answer_language
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Call, StepChain, Steps, collected
from rag_app.documents.text import Language, language_of, simplified
from rag_app.errors import QuestionError

TURNS = 3
"""Questions with their answers that are looked back on."""

LONGEST_STYLE = 600
"""Characters of the system messages that are read, which say how the answer is to be written."""

_LONGEST = 300
"""Characters of an earlier turn that are read: what is meant by "it" stands at its beginning."""

RagInput = str | Mapping[str, Any] | Sequence[Any] | BaseMessage
"""A question; ``{"question": …, "history": […]}``; or messages, of which the last is the question.
Messages are LangChain's, or what it takes for them, such as ``("human", "…")``. The names that
LangChain's own chains and graphs use are understood too: ``input``, ``query``, ``chat_history`` and
``messages``."""


_ASKS = re.compile(
    r"什么|[谁哪几吗]|多(?:少|[久长大高远重深宽快])|[怎何]|是否|能否|是不是|有没有|[呢多]$"
    r"|\b(?:who|whom|whose|what|which|when|where|why|how)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?<!无论)(?<!不管)(?:(?:是|叫|做|有|要|归|属|于)"
    r"(?:什么.{0,4}|谁|哪.{1,4}|多少.{0,3}|几.{1,3})"
    r"|吗|多[久长大高远重]|何[时地处人年]|怎么?[样办算]|多少|什么时候|哪[里儿年天]|谁)$"
)
"""How a clause ends that is a question by itself, wherever a comma follows it."""
_CONDITION = re.compile("如果|假如|若|无论|不管|不论|只要|即使|满|超过|不足|达到")
_JOINED = re.compile(
    r"(?<=.{4})(?=以及|还有|另外)|[，,](?=[^，,。？?]{1,20}呢[？?]?$)|,?\s+and\s+(?=(?:who|what|which|when|where|why|how)\b)",
    re.IGNORECASE,
)
_AND = re.compile(r"^(?:另外|还有|以及|并且|而且|同时|那么|and\b|also\b|[，,\s])+", re.IGNORECASE)
_OPEN = re.compile(r"[《〈“「『（(][^》〉”」』）)]*$")
_MOST_PARTS = 4


@dataclass(frozen=True)
class Conversation:
    """A question and the messages before it, oldest first.

    Example:
        >>> Conversation.of([("human", "Who?"), ("ai", "Li Bai."), ("human", "When?")]).question
        'When?'
    """

    question: str
    history: Sequence[BaseMessage] = ()

    @classmethod
    def of(cls, given: RagInput) -> Self:
        """Return what a chain was given as a conversation.

        Raises:
            QuestionError: the question is empty or has no words, or there is none.
        """
        if isinstance(given, str):
            conversation = cls(given)
        elif isinstance(given, Mapping):
            conversation = cls._of_named(given)
        else:
            conversation = cls._of_messages(given)
        if not conversation.question.strip():
            raise QuestionError("the question is empty; ask something")
        if not any(map(str.isalnum, conversation.question)):
            lost = conversation.question.count("?") > 2
            why = "its letters became '?' on the way here: send UTF-8" if lost else "ask something"
            raise QuestionError(f"the question has no words; {why}")
        return conversation

    @classmethod
    def _of_named(cls, given: Mapping[str, Any]) -> Self:
        question = first_of(given, "question", "input", "query")
        if question is None and "messages" in given:
            return cls._of_messages(given["messages"])
        if question is None and given and "question" not in given:
            raise QuestionError(f"no `question` among what was given: {', '.join(map(str, given))}")
        before = cls._of_messages(
            [*(first_of(given, "history", "chat_history") or []), ("human", "")]
        )
        return cls(str(question or ""), before.history)

    @classmethod
    def _of_messages(cls, given: Any) -> Self:
        try:
            messages = convert_to_messages([given] if isinstance(given, BaseMessage) else given)
        except (TypeError, ValueError, NotImplementedError) as error:
            kind = type(given).__name__
            msg = f"a question is text, `question` with `history`, or messages; this is {kind}"
            raise QuestionError(msg) from error
        messages = [*map(message_chunk_to_message, messages)]  # a stream's, as it was added up
        return cls(messages[-1].text if messages else "", messages[:-1])

    @property
    def turns(self) -> list[BaseMessage]:
        """What was said before, as far as it is looked back on."""
        said = [message for message in self.history if message.type in ("human", "ai")]
        return said[-2 * TURNS :]

    @property
    def style(self) -> str:
        """How the answer is to be written: what system messages say, as far as it is read."""
        return self._system[:LONGEST_STYLE].strip()

    def asked_in(self) -> tuple[str, str, Language | None]:
        """Return the question, the style, and the language to answer in where it is another one.

        A small model that is told to answer in another language than it reads says what no passage
        supports: so it is not told, and its answer is translated.
        """
        wanted, question = answer_language(self.question)
        wished, style = answer_language(self.style)
        wanted = wanted or wished
        if not question or wanted in (None, language_of(question)):
            return self.question, self.style, None
        return question, style, wanted

    @property
    def notes(self) -> tuple[str, ...]:
        """What of it is passed over."""
        if len(self._system) <= LONGEST_STYLE:
            return ()
        return (f"of the system messages the first {LONGEST_STYLE} characters were read",)

    @property
    def _system(self) -> str:
        return "\n".join(
            message.text.strip() for message in self.history if message.type == "system"
        ).strip()


@dataclass(frozen=True)
class Question:
    """A question and the passages retrieved for it, best first."""

    text: str
    passages: Sequence[Document]
    asked: str = ""
    """As it was asked, where ``text`` is a translation: names in a translation prove nothing."""
    style: str = ""
    """How the answer is to be written."""
    cosines: Mapping[str, float] = field(default_factory=dict)
    """How near sentences of the passages are to it; see `nearest_first`."""

    @classmethod
    def of(cls, given: "AnswerInput") -> "Question":
        """Return what a chain was given as a question.

        Raises:
            QuestionError: it is something else, or has no question or no passages.
        """
        if isinstance(given, Question):
            return given
        if isinstance(given, Mapping):
            text = first_of(given, "question", "input", "query")
            passages = first_of(given, "passages", "context", "documents")
            if text is not None and passages is not None:
                return cls(str(text), passages)
        msg = f"what is answered is {{question, passages}}; this is {type(given).__name__}"
        raise QuestionError(msg)

    @property
    def translated(self) -> bool:
        """Whether the passages are in another language than the question."""
        return bool(self.asked) and self.asked != self.text


AnswerInput = Question | Mapping[str, Any]
"""A question with its passages, or both in a dict; the names of LangChain's own chains, ``input``
and ``context``, are understood too."""


def first_of(given: Mapping[str, Any], *names: str) -> Any:
    """Return the value of the first of some names that has one."""
    return next((given[name] for name in names if given.get(name) is not None), None)


def condense_question_chain(
    llm: LanguageModelLike, prompts: Prompts | None = None
) -> Runnable[Conversation, str]:
    """Return a Runnable from a `Conversation` to its last question, understandable alone.

    Without a history the question is passed on and no model is asked.
    """
    templates = prompts or Prompts()

    def steps(conversation: Conversation) -> Steps[str]:
        question, turns = conversation.question, conversation.turns
        if not turns:
            yield question
            return
        language = language_of(question)
        speakers = {"human": {"zh": "问", "en": "Q"}, "ai": {"zh": "答", "en": "A"}}
        history = "\n".join(
            f"{speakers[turn.type][language]}: {turn.text[:_LONGEST].strip()}" for turn in turns
        )
        values = {"context": history, "question": question}
        reply = yield Call(llm, templates.messages("condense_question", language, **values))
        # A model that answers or translates instead of rewriting gives no usable question.
        one_line = len(reply.splitlines()) == 1 and len(reply) <= len(question) + _LONGEST
        usable = one_line and language_of(reply) == language
        yield reply.removeprefix("问:").removeprefix("问：").strip() if usable else question

    return StepChain(steps, "condense_question")


def parts_of(question: str) -> list[str]:
    """Return the questions that a question is made of, in order; itself where it is one.

    A later part may need what is said in those before it, as a follow-up does.

    Example:
        >>> parts_of("李白是哪里人，杜甫的墓又在哪里？")
        ['李白是哪里人', '杜甫的墓又在哪里']
        >>> parts_of("Who was Li Bai, and when did he die?")
        ['Who was Li Bai', 'when did he die']
        >>> parts_of("合同满几个月，公司要赔多少？")
        ['合同满几个月，公司要赔多少？']
    """
    parts: list[str] = []
    part = ""
    for clause, end in CLAUSE.findall(_JOINED.sub("？", question)):
        part += clause
        asks = _ASKED.search(simplified(clause)) and not _CONDITION.search(simplified(part))
        alone = "?" in end or "？" in end or bool(asks)
        if alone and not _OPEN.search(part):
            parts.append(_AND.sub("", part))
            part = ""
        else:
            part += end
    if parts and not _ASKS.search(simplified(part)):
        parts[-1] += f"？{part}" if part else ""
    else:
        parts.append(_AND.sub("", part))
    several = 1 < len(parts) <= _MOST_PARTS and all(map(_asks_alone, parts))
    return [part.strip(" ，,。") for part in parts] if several else [question]


def _asks_alone(part: str) -> bool:
    """Return whether a part asks, and says of what: 为什么 alone belongs to what is before it."""
    part = simplified(part)
    said = re.sub(r"[是为的了有在又那和]", "", _ASKS.sub("", part))
    return bool(_ASKS.search(part)) and bool(re.search(r"\w{2}|[A-Za-z\d]", said))


def answered_in_parts(
    question: str,
    history: Sequence[BaseMessage],
    parts: Sequence[str],
    follow_up: Callable[[str, Sequence[BaseMessage]], Steps[Answer]],
) -> Steps[Answer]:
    """Yield the steps that answer the parts of a question, each as a follow-up of those before.

    The answers are the items of a list; a part that the documents lack is said to be missing.

    Args:
        question: The complete one.
        history: What was said before.
        parts: See `parts_of`.
        follow_up: Returns the steps that answer a question after a history.
    """
    said = list(history)
    answers: list[Answer] = []
    cited: list[Citation] = []
    shown = ""
    for part in parts:
        answer = yield from collected(follow_up(part, said), Answer())
        answers.append(answer)
        said += [HumanMessage(part), AIMessage(answer.text)]
        known = {_place(citation) for citation in cited}
        new = (citation for citation in answer.citations if _place(citation) not in known)
        more = [replace(each, marker=marker) for marker, each in enumerate(new, len(cited) + 1)]
        cited += more
        yield Answer(question, citations=tuple(more))
        if any(answer.answered for answer in answers):
            text = _listed(answer.text for answer in answers)
            yield Answer(text=text.removeprefix(shown))
            shown = text
    yield _judged_together(question, parts, answers, cited)


def _place(citation: Citation) -> tuple[str, int | None, str]:
    return citation.source, citation.start, citation.text


def _judged_together(
    question: str, parts: Sequence[str], answers: Sequence[Answer], cited: Sequence[Citation]
) -> Answer:
    """Return what goes for the answers to all parts: the confidence of the least sure one."""
    notes = dict.fromkeys(note for answer in answers for note in answer.notes)
    answered = [answer for answer in answers if answer.answered]
    told = [answer.confidence for answer in answered or answers if answer.confidence]
    confidence = min(told, key=lambda confidence: confidence.probability, default=None)
    if not answered:
        said = refusal_for(NOT_FOUND, question)
        markers = {_place(citation): citation.marker for citation in cited}
        nearest = (
            replace(near, marker=markers[_place(citation)])
            for answer in answers
            for near in answer.nearest
            for citation in answer.citations
            if citation.marker == near.marker
        )
        return Answer(
            text=said,
            answered=False,
            notes=tuple(notes),
            confidence=confidence,
            nearest=tuple(dict.fromkeys(nearest)),
        )
    pairs = zip(parts, answers, strict=True)
    missing = [
        f"not found in the documents: {part}" for part, answer in pairs if not answer.answered
    ]
    original = ""
    if any(answer.original for answer in answers):
        original = _listed(answer.original or answer.text for answer in answers)
    return Answer(notes=(*notes, *missing), confidence=confidence, original=original)


def _listed(texts: Iterable[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))
