"""The road of one question as one Runnable: made to stand alone, searched for, answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable

from rag_app.chains.answer import Answer, Question, Reader, not_found
from rag_app.chains.citations import lacking
from rag_app.chains.prompts import Prompts
from rag_app.chains.streaming import Call, Invoke, StepChain, Steps, made
from rag_app.documents.text import language_of
from rag_app.errors import QuestionError
from rag_app.index.search.relevance import above_threshold
from rag_app.settings import DEFAULTS, AnswerChain

TURNS = 3
"""Questions with their answers that are looked back on."""

_LONGEST = 300
"""Characters of an earlier turn that are read: what is meant by "it" stands at its beginning."""

RagInput = str | Mapping[str, Any] | Sequence[Any]
"""A question; ``{"question": …, "history": […]}``; or messages, of which the last is the question.
Messages are LangChain's, or what it takes for them, such as ``("human", "…")``."""
Retriever = Runnable[str, list[Document]]


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
    def of(cls, given: "RagInput | Conversation") -> "Conversation":
        """Return what a chain was given as a conversation.

        Raises:
            QuestionError: the question is empty, or there is none.
        """
        if isinstance(given, Conversation):
            conversation = given
        elif isinstance(given, str):
            conversation = cls(given)
        elif isinstance(given, Mapping):
            history = convert_to_messages(given.get("history") or [])
            conversation = cls(str(given.get("question") or ""), history)
        else:
            messages = convert_to_messages(given)
            conversation = cls(messages[-1].text if messages else "", messages[:-1])
        if not conversation.question.strip():
            raise QuestionError("the question is empty; ask something")
        return conversation

    @property
    def turns(self) -> list[BaseMessage]:
        """What was said before, as far as it is looked back on."""
        said = [message for message in self.history if message.type in ("human", "ai")]
        return said[-2 * TURNS :]


def rag_chain(
    retriever: Retriever | Callable[[], Retriever],
    llm: BaseChatModel | Callable[[], BaseChatModel],
    *,
    kind: AnswerChain = DEFAULTS.answer_chain,
    threshold: float = DEFAULTS.threshold,
    prompts: Prompts | Mapping[str, str] | str | Path | None = None,
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    step_tokens: int = DEFAULTS.answer_step_tokens,
) -> Runnable[RagInput, Answer]:
    """Return a Runnable from a question to an `Answer` with the passages that it rests on.

    The retriever is part of it: one question is one run in callbacks and traces, with the
    retriever and the calls to the model below it. Its stream is pieces of the answer.

    Args:
        retriever: Any LangChain retriever. Passages whose metadata hold no ``relevance`` are all
            read, and the answer notes what they lack.
        llm: Any LangChain chat model. Retriever and model can be functions that return them,
            called when they are first needed: without a relevant passage no model is.
        kind: How the passages are read; see `answer_chain`.
        threshold: Relevance below which a passage is not read.
        prompts: In place of the default ones: texts by name, or a folder; see `Prompts`.
        max_new_tokens: Kept free for the answer.
        step_tokens: Tokens of context in one step of ``refine``.

    Raises:
        QuestionError: on use, when the question is empty.
        ModelError: on use, when the question alone overflows the model's window.

    Example:
        >>> from langchain_core.documents import Document
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_core.runnables import RunnableLambda
        >>> tea = Document("Green tea is steamed.", metadata={"source": "tea.txt", "start": 0})
        >>> retriever = RunnableLambda(lambda question: [tea])
        >>> llm = FakeListChatModel(responses=["Steamed."], custom_get_token_ids=list)
        >>> rag_chain(retriever, llm).invoke("How is green tea made?").marked_text
        'Steamed.[1]'
    """
    templates = Prompts.of(prompts)
    reader = Reader(kind, templates, max_new_tokens, step_tokens)

    def steps(given: RagInput) -> Steps[Answer]:
        conversation, model = Conversation.of(given), llm
        question = conversation.question
        if conversation.turns:
            model = yield from made(model, "load_llm")
            question = yield Invoke(condense_question_chain(model, templates), conversation)
        searching = yield from made(retriever, "load_retriever")
        passages = yield Invoke(searching, question)
        relevant = above_threshold(passages, threshold)
        if not relevant:
            yield not_found(question, passages)
            return
        if notes := lacking(relevant):
            yield Answer(question, notes=tuple(notes))
        model = yield from made(model, "load_llm")
        yield from reader.steps(Question(question, relevant), model)

    return StepChain(steps, "rag")


def condense_question_chain(
    llm: BaseChatModel, prompts: Prompts | None = None
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
