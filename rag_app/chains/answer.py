"""Answering a question from retrieved passages: ``refine`` and ``stuff``."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable

from rag_app.chains.budget import Budget, pack
from rag_app.chains.citations import Citation, Marker, cite, marked
from rag_app.chains.prompts import NO_ANSWER, NOT_FOUND, UNCHANGED, messages
from rag_app.chains.streaming import Call, Steps, replaces, runnable
from rag_app.documents.language import Language, language_of
from rag_app.index.store.terms import query_terms
from rag_app.settings import AnswerChain

_SAYS_NO_ANSWER = re.compile(
    r"^\W*((上述|以上|提供的|给出的)?(资料|文中|文本|文档)[中里]?(并)?(没有|未)(提到|提及|提供|说明|答案)"
    r"|(the )?(provided )?passages? (do|does) not (say|mention|hold|contain|provide))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Question:
    """A question and the passages retrieved for it, best first."""

    text: str
    passages: Sequence[Document]


@dataclass(frozen=True)
class Answer:
    """An answer, or a piece of one: pieces of a stream add up to the whole.

    A piece of a later step replaces the text of the earlier ones.
    """

    question: str = ""
    text: str = ""
    answered: bool = True
    """False where the documents, or the model reading them, had no answer."""
    citations: tuple[Citation, ...] = ()
    """The passages the model was given; the nearest ones where nothing was found."""
    step: int = 1
    """Which model call this text comes from."""
    notes: tuple[str, ...] = ()
    """What the reader should know, such as passages that did not fit."""

    def __add__(self, other: "Answer") -> "Answer":
        revised = replaces(self, other)
        return replace(
            self,
            question=other.question or self.question,
            text=other.text if revised else self.text + other.text,
            answered=self.answered and other.answered,
            citations=self.citations + other.citations,
            step=other.step if revised else self.step,
            notes=self.notes + other.notes,
        )

    def marker(self) -> Marker:
        """Return what marks the text of this answer as it streams."""
        return Marker(self.citations if self.answered else ())

    @property
    def marked_text(self) -> str:
        """The text with ``[1]`` after each sentence that a passage supports."""
        return marked(self.text, self.citations) if self.answered else self.text

    @property
    def supported(self) -> bool:
        """Whether a passage holds the words and numbers of at least one sentence.

        An answer that none supports is put in other words than the document's, or invented.
        """
        return self.answered and self.marked_text != self.text


def not_found(question: str, nearest: Sequence[Document]) -> Answer:
    """Return the answer for a question that the documents don't cover; no model is asked."""
    text = NOT_FOUND[language_of(question)]
    return Answer(question, text, answered=False, citations=tuple(cite(nearest)))


def answer_chain(
    llm: BaseChatModel, kind: AnswerChain = "refine", *, reply: int = 400, step_tokens: int = 512
) -> Runnable[Question, Answer]:
    """Return a Runnable from a `Question` to an `Answer`; its stream is pieces of the answer.

    Args:
        llm: Any LangChain chat model.
        kind: ``stuff`` asks once with all that fits the window. ``refine`` reads the passages in
            steps, best first, and stops as soon as a step adds nothing to the answer.
        reply: Tokens kept free for the answer.
        step_tokens: Tokens of context in one step of ``refine``; always at least one passage.

    Raises:
        ModelError: on use, when the question alone overflows the window.
    """
    budget = Budget.of(llm, reply)
    if kind == "stuff":
        return runnable(lambda question: _stuff(question, budget), llm, "answer_stuff")
    return runnable(lambda question: _refine(question, budget, step_tokens), llm, "answer_refine")


def _stuff(question: Question, budget: Budget) -> Steps[Answer]:
    language = language_of(question.text)
    citations = cite(question.passages)
    room = budget.room(messages("answer", language, context="", question=question.text))
    texts = [_shown(citation) for citation in citations]
    kept = pack(texts, room, budget.count)
    if kept:
        context = "\n\n".join(texts[index] for index in kept)
    else:
        kept, context = [0], budget.cut(texts[0], room)
    notes = [f"passage {c.marker} did not fit" for i, c in enumerate(citations) if i not in kept]
    if context == texts[0][: len(context)] != texts[0]:
        notes.append("passage 1 is longer than the model's window and was cut")
    yield Answer(question.text, citations=tuple(citations[i] for i in kept), notes=tuple(notes))
    reply = yield _first_call(question.text, context, language, step=1)
    if _says_no_answer(reply):
        yield Answer(text=NO_ANSWER[language], answered=False, step=2)


def _refine(question: Question, budget: Budget, step_tokens: int) -> Steps[Answer]:
    language = language_of(question.text)
    prompt = messages("refine_answer", language, context="", question=question.text, answer="")
    room = budget.room(prompt, spare=budget.reply)
    answer, step = "", 0
    for step, group in enumerate(_groups(cite(question.passages), room, step_tokens, budget), 1):
        yield Answer(question.text, citations=group.citations, notes=group.notes)
        if not answer:
            reply = yield _first_call(question.text, group.context, language, step)
            answer = "" if _says_no_answer(reply) else reply
            continue
        values = {"context": group.context, "question": question.text, "answer": answer}
        reply = yield Call(messages("refine_answer", language, **values))
        if _adds_nothing(reply, answer, language):
            return
        answer = reply
        yield Answer(text=answer, step=step)
    if not answer:
        yield Answer(text=NO_ANSWER[language], answered=False, step=step + 1)


@dataclass(frozen=True)
class _Group:
    """The passages of one step."""

    citations: tuple[Citation, ...]
    context: str
    notes: tuple[str, ...] = ()


def _groups(
    citations: Sequence[Citation], room: int, step_tokens: int, budget: Budget
) -> Iterator[_Group]:
    """Yield passages in rank order, as many a step as ``step_tokens`` hold, one at least."""
    group: list[Citation] = []
    size = 0
    for citation in citations:
        tokens = budget.count(_shown(citation))
        if group and size + tokens > min(step_tokens, room):
            yield _Group(tuple(group), "\n\n".join(map(_shown, group)))
            group, size = [], 0
        if tokens > room:
            note = f"passage {citation.marker} is longer than the model's window and was cut"
            yield _Group((citation,), budget.cut(_shown(citation), room), (note,))
            continue
        group.append(citation)
        size += tokens
    if group:
        yield _Group(tuple(group), "\n\n".join(map(_shown, group)))


def _shown(citation: Citation) -> str:
    """Return a passage as the model sees it: where it comes from tells what it is about."""
    return f"[{citation.marker}] {citation.place}\n{citation.text}"


def _first_call(question: str, context: str, language: Language, step: int) -> Call[Answer]:
    prompt = messages("answer", language, context=context, question=question)
    return Call(prompt, lambda text: Answer(text=text, step=step), withhold=NO_ANSWER[language])


def _says_no_answer(reply: str) -> bool:
    return not reply or bool(_SAYS_NO_ANSWER.match(reply))


def _adds_nothing(reply: str, answer: str, language: Language) -> bool:
    """True where a refined answer is the answer so far, or says that it is unchanged."""
    if _says_no_answer(reply) or reply.upper().startswith(UNCHANGED[language]):
        return True
    new = set(query_terms(reply))
    return not new - set(query_terms(answer))
