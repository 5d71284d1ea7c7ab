"""Making the last question of a conversation one that can be read alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.prompts import messages
from rag_app.chains.streaming import Call, Steps, runnable
from rag_app.documents.language import language_of

TURNS = 3
"""Questions with their answers that are looked back on."""

_LONGEST = 300
"""Characters of an earlier turn that are read: what is meant by "it" stands at its beginning."""


@dataclass(frozen=True)
class Conversation:
    """A question and the messages before it, oldest first."""

    question: str
    history: Sequence[BaseMessage] = ()


def standalone_chain(llm: BaseChatModel) -> Runnable[Conversation, str]:
    """Return a Runnable from a `Conversation` to its last question, understandable alone.

    Without a history the question is passed on and no model is asked.
    """
    return runnable(_steps, llm, "standalone_question")


def _steps(conversation: Conversation) -> Steps[str]:
    question = conversation.question
    turns = [one for one in conversation.history if one.type in ("human", "ai")][-2 * TURNS :]
    if not turns:
        yield question
        return
    language = language_of(question)
    speakers = {"human": {"zh": "问", "en": "Q"}, "ai": {"zh": "答", "en": "A"}}
    history = "\n".join(
        f"{speakers[turn.type][language]}: {turn.text[:_LONGEST].strip()}" for turn in turns
    )
    reply = yield Call(messages("standalone", language, context=history, question=question))
    # A model that answers or translates instead of rewriting gives no usable question.
    one_line = len(reply.splitlines()) == 1 and len(reply) <= len(question) + _LONGEST
    usable = one_line and language_of(reply) == language
    yield reply.removeprefix("问:").removeprefix("问：").strip() if usable else question
