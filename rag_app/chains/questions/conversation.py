"""A question with what was said before it, and how it is made to stand alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    BaseMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langchain_core.runnables import Runnable

from rag_app.chains.prompts import Prompts
from rag_app.chains.questions import answer_language
from rag_app.chains.reading import first_of
from rag_app.chains.streaming import Call, StepChain, Steps
from rag_app.documents.text import Language, language_of
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
            QuestionError: the question is empty or has no words, or there is none.
        """
        if isinstance(given, Conversation):
            conversation = given
        elif isinstance(given, str):
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
            msg = f"the question has no words; {why}"
            raise QuestionError(msg)
        return conversation

    @classmethod
    def _of_named(cls, given: Mapping[str, Any]) -> Self:
        question = first_of(given, "question", "input", "query")
        if question is None and "messages" in given:
            return cls._of_messages(given["messages"])
        if question is None and given and "question" not in given:
            msg = f"no `question` among what was given: {', '.join(map(str, given))}"
            raise QuestionError(msg)
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
