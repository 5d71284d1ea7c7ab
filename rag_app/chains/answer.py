"""Answering a question from retrieved passages: ``refine`` and ``stuff``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.budget import Budget, pack
from rag_app.chains.citations import Citation, cite
from rag_app.chains.prompts import NO_ANSWER, NOT_FOUND, UNCHANGED, Prompts, Task
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Call, StepChain, Steps
from rag_app.documents.text import Language, language_of
from rag_app.index.store.terms import query_terms
from rag_app.settings import DEFAULTS, AnswerChain

UNCHECKED = "no passage holds this answer's words and numbers; check it before you rely on it"
"""The note of an answer that no passage supports."""

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


def not_found(question: str, nearest: Sequence[Document]) -> Answer:
    """Return the answer for a question that the documents don't cover; no model is asked."""
    text = NOT_FOUND[language_of(question)]
    return Answer(question, text, answered=False, citations=tuple(cite(nearest)))


def answer_chain(
    llm: BaseChatModel,
    kind: AnswerChain = DEFAULTS.answer_chain,
    *,
    prompts: Prompts | Mapping[str, str] | str | Path | None = None,
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    step_tokens: int = DEFAULTS.answer_step_tokens,
) -> Runnable[Question, Answer]:
    """Return a Runnable from a `Question` to an `Answer`; its stream is pieces of the answer.

    Args:
        llm: Any LangChain chat model.
        kind: ``stuff`` asks once with all that fits the window. ``refine`` reads the passages in
            steps, best first, and stops as soon as a step adds nothing to the answer.
        prompts: In place of the default ones: texts by name, or a folder; see `Prompts`.
        max_new_tokens: Kept free for the answer.
        step_tokens: Tokens of context in one step of ``refine``; always at least one passage.

    Raises:
        ModelError: on use, when the question alone overflows the window.
    """
    reader = Reader(kind, Prompts.of(prompts), max_new_tokens, step_tokens)
    return StepChain(lambda question: reader.steps(question, llm), f"answer_{kind}")


@dataclass(frozen=True)
class Reader:
    """How passages are read for an answer; see `answer_chain`."""

    kind: AnswerChain
    prompts: Prompts
    max_new_tokens: int
    step_tokens: int

    def steps(self, question: Question, llm: BaseChatModel) -> Steps[Answer]:
        """Return the steps that answer a question; without passages no model is asked."""
        if not question.passages:
            yield not_found(question.text, ())
            return
        read = {"stuff": _stuff, "refine": _refine}[self.kind]
        yield from read(_Reading(self, question, llm))


@dataclass(frozen=True)
class _Reading:
    """One question, and how it is read for."""

    reader: Reader
    question: Question
    llm: BaseChatModel

    @cached_property
    def budget(self) -> Budget:
        return Budget.of(self.llm, self.reader.max_new_tokens)

    @cached_property
    def language(self) -> Language:
        return language_of(self.question.text)

    def prompt(self, task: Task, **values: str) -> list[BaseMessage]:
        question = self.question.text
        return self.reader.prompts.messages(task, self.language, question=question, **values)

    def first_call(self, context: str, step: int) -> Call[Answer]:
        return Call(
            self.llm,
            self.prompt("answer", context=context),
            lambda text: Answer(text=text, step=step),
            withhold=NO_ANSWER[self.language],
        )

    def end(self, text: str, citations: Sequence[Citation], step: int) -> Iterator[Answer]:
        """Yield what is to be said once the answer is there; no text is no answer."""
        if not text:
            yield Answer(text=NO_ANSWER[self.language], answered=False, step=step + 1)
        elif not Answer(text=text, citations=tuple(citations)).supported:
            yield Answer(notes=(UNCHECKED,))


def _stuff(reading: _Reading) -> Steps[Answer]:
    budget = reading.budget
    citations = cite(reading.question.passages)
    limit = budget.left(reading.prompt("answer", context=""))
    texts = [citation.shown for citation in citations]
    kept = pack(texts, limit, budget.count)
    if kept:
        context = "\n\n".join(texts[index] for index in kept)
    else:
        kept, context = [0], budget.cut(texts[0], limit)
    notes = [f"passage {c.marker} did not fit" for i, c in enumerate(citations) if i not in kept]
    if context == texts[0][: len(context)] != texts[0]:
        notes.append("passage 1 is longer than the model's window and was cut")
    given = tuple(citations[index] for index in kept)
    yield Answer(reading.question.text, citations=given, notes=tuple(notes))
    reply = yield reading.first_call(context, step=1)
    yield from reading.end("" if _says_no_answer(reply) else reply, given, 1)


def _refine(reading: _Reading) -> Steps[Answer]:
    budget = reading.budget
    prompt = reading.prompt("refine_answer", context="", answer="")
    limit = budget.left(prompt, spare=budget.max_new_tokens)
    citations = cite(reading.question.passages)
    given: list[Citation] = []
    answer, step = "", 0
    for step, group in enumerate(_groups(citations, limit, reading.reader.step_tokens, budget), 1):
        given += group.citations
        yield Answer(reading.question.text, citations=group.citations, notes=group.notes)
        if not answer:
            reply = yield reading.first_call(group.context, step)
            answer = "" if _says_no_answer(reply) else reply
            continue
        values = {"context": group.context, "answer": answer}
        reply = yield Call(reading.llm, reading.prompt("refine_answer", **values))
        if _adds_nothing(reply, answer, reading.language):
            break
        answer = reply
        yield Answer(text=answer, step=step)
    yield from reading.end(answer, given, step)


@dataclass(frozen=True)
class _Group:
    """The passages of one step."""

    citations: tuple[Citation, ...]
    context: str
    notes: tuple[str, ...] = ()


def _groups(
    citations: Sequence[Citation], limit: int, step_tokens: int, budget: Budget
) -> Iterator[_Group]:
    """Yield passages in rank order, as many a step as ``step_tokens`` hold, one at least."""
    group: list[Citation] = []
    size = 0
    for citation in citations:
        tokens = budget.count(citation.shown)
        if group and size + tokens > min(step_tokens, limit):
            yield _Group(tuple(group), "\n\n".join(passage.shown for passage in group))
            group, size = [], 0
        if tokens > limit:
            note = f"passage {citation.marker} is longer than the model's window and was cut"
            yield _Group((citation,), budget.cut(citation.shown, limit), (note,))
            continue
        group.append(citation)
        size += tokens
    if group:
        yield _Group(tuple(group), "\n\n".join(passage.shown for passage in group))


def _says_no_answer(reply: str) -> bool:
    return not reply or bool(_SAYS_NO_ANSWER.match(reply))


def _adds_nothing(reply: str, answer: str, language: Language) -> bool:
    """True where a refined answer is the answer so far, or says that it is unchanged."""
    if _says_no_answer(reply) or reply.upper().startswith(UNCHANGED[language]):
        return True
    new = set(query_terms(reply))
    return not new - set(query_terms(answer))
