"""Answering a question from retrieved passages: ``refine`` and ``stuff``."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.runnables import Runnable

from rag_app.chains.citations import Citation, cite, context_of, highest_relevance
from rag_app.chains.confidence import CALIBRATION, Calibration, Confidence, Signals
from rag_app.chains.marks import cited_passage
from rag_app.chains.prompts import (
    NOT_FOUND,
    UNCHANGED,
    GivenPrompts,
    Prompts,
    pack,
    refusal_for,
    says_no_answer,
)
from rag_app.chains.questions import asks_how, bare_question
from rag_app.chains.questions.conversation import AnswerInput, Question
from rag_app.chains.reading import AnswerOptions, EmbeddingsOf, JudgedAnswer, Reading
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Call, Invoke, StepChain, Steps, made_again, result_of
from rag_app.documents.text import Language, query_terms
from rag_app.index.search.excerpts import excerpts
from rag_app.settings import DEFAULTS, AnswerChain, ContextKind

EVIDENCE_SHARE = 0.27
"""Characters of excerpts, as a share of those of the full first passages."""

_SHORT = 0.75
"""Share of the full first passages above which excerpts with their headings save too little."""


def not_found(question: str, nearest: Sequence[Document]) -> Answer:
    """Return the answer for a question that the documents don't cover; no model is asked.

    Args:
        question: What was asked.
        nearest: What was found; nothing is where there are no documents, which the user is told.
    """
    text, citations = refusal_for(NOT_FOUND, question), tuple(cite(nearest))
    confidence = Confidence.of(Signals(highest_relevance(citations)), answered=False)
    notes = () if nearest else ("no passage was found at all; are there documents in the index?",)
    return Answer(
        question, text, answered=False, citations=citations, confidence=confidence, notes=notes
    )


@made_again
def answer_chain(
    llm: LanguageModelLike,
    kind: AnswerChain = DEFAULTS.answer_chain,
    *,
    prompts: GivenPrompts = None,
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    step_tokens: int = DEFAULTS.answer_step_tokens,
    threshold: float = DEFAULTS.threshold,
    calibration: Calibration = CALIBRATION,
    context: ContextKind = DEFAULTS.context,
    embeddings: EmbeddingsOf | None = None,
) -> Runnable[AnswerInput, Answer]:
    """Return a Runnable from a question with its passages to an `Answer`.

    Its stream is pieces of the answer.

    Args:
        llm: Any LangChain chat model.
        kind: ``stuff`` asks once with all that fits the window. ``refine`` reads the passages in
            steps, best first, and stops as soon as a passage supports the answer; with a model
            that can't judge whether passages answer, as soon as a step adds nothing to it.
        prompts: In place of the default ones: texts by name, or a folder; see `Prompts`.
        max_new_tokens: Kept free for the answer.
        step_tokens: Tokens of context in one step of ``refine``; always at least one passage.
        threshold: Probability that the passages answer below which the model is not asked to;
            only a model that gives log probabilities can judge that.
        calibration: The model's, which turns all signals into a probability.
        context: With ``evidence``, ``refine`` first reads only the sentences that bear on the
            question, and the passages themselves where those do not surely answer; with a model
            that can judge that, where the first passage reaches the threshold and is not kept.
        embeddings: Returns the embeddings that find those sentences, with the question's terms.

    Raises:
        QuestionError: on use, when there is no question or no passages.
        ModelError: on use, when the question alone overflows the window.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> tea = Document("Green tea is steamed.", metadata={"source": "tea.txt"})
        >>> llm = FakeListChatModel(responses=["Steamed."], custom_get_token_ids=list)
        >>> asked = {"input": "How is green tea made?", "context": [tea]}
        >>> answer_chain(llm).invoke(asked).marked_text
        'Steamed.[1]'
    """
    how = (max_new_tokens, step_tokens, threshold, calibration, context, embeddings)
    options = AnswerOptions(kind, Prompts.of(prompts), *how)

    def steps(given: AnswerInput) -> Steps[Answer]:
        return answer_steps(Reading(options, Question.of(given), llm))

    return StepChain(steps, f"answer_{kind}")


def answer_steps(reading: Reading) -> Steps[Answer]:
    """Return the steps that answer a question; without passages no model is asked."""
    if not reading.question.passages:
        yield not_found(reading.question.text, ())
        return
    if reading.options.kind == "stuff":
        yield from _stuff(reading)
    else:
        yield from (_refine_judged if reading.weighs else _refine)(reading)


def _stuff(reading: Reading) -> Steps[Answer]:
    budget = reading.budget
    citations = reading.citations
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
    yield reading.opening(given, notes)
    found = yield from reading.read(context, given, 1, shown=True)
    yield from reading.end(found, 1, given)


def _refine(reading: Reading) -> Steps[Answer]:
    """Read on until a step adds nothing to an answer that a passage supports."""
    given: list[Citation] = []
    answer, step = "", 0
    for step, group in enumerate(_groups(reading), 1):
        given += group.citations
        yield reading.opening(group.citations, group.notes, step)
        if not answer:
            answer = yield from reading.first_answer(group.context, group.citations, step)
            continue
        values = {"context": group.context, "answer": answer}
        reply = yield Call(reading.llm, reading.prompt("refine_answer", **values))
        if not _adds_nothing(reply, answer, reading.language):
            answer = reply
            yield Answer(text=answer, step=step)
        elif Answer(text=answer, citations=tuple(given)).supported:
            break
    supported = Answer(text=answer, citations=tuple(given)).supported
    signals = Signals(highest_relevance(given), supported=supported)
    yield from reading.end(JudgedAnswer(answer, signals), step, given)


def _refine_judged(reading: Reading) -> Steps[Answer]:
    """Read on until a passage that the model takes to answer supports what it says.

    A later answer takes the place of an earlier one only where a passage supports it. One from
    parts of passages counts only where it ends the reading.
    """
    best = JudgedAnswer("", Signals())
    probability = reading.calibration.probability
    given: list[Citation] = []
    step, first = 0, True
    groups = yield from _evidence_first(reading)
    for step, group in enumerate(groups, 1):
        if not first and not _worth_reading(group, best, reading.options.threshold):
            break
        new = [citation for citation in group.citations if citation not in given]
        given += new
        yield reading.opening(new, group.notes, step)
        asked = reading.of_excerpts if group.excerpts else reading
        found = yield from asked.read(group.context, group.citations, step, shown=not best.text)
        supported = bool(found.text and found.signals.supported)
        if group.excerpts and not supported:
            found = replace(found, text="")
        likelier = probability(found.signals) > probability(best.signals)
        if first or supported or (likelier and not best.text):
            best = found
        first = first and group.excerpts
        if supported:
            if group.excerpts:
                reading.want(cited_passage(reading.question.text, best.text, group.citations))
            break
    yield from reading.end(best, step, given)


def _worth_reading(group: "_Group", found: "JudgedAnswer", threshold: float) -> bool:
    """Return whether to read on: below the threshold only as long as the model leans to yes."""
    judgement = found.signals.judgement
    leans = judgement is not None and judgement > 0
    return leans or any(_reaches(citation, threshold) for citation in group.citations)


def _reaches(citation: Citation, threshold: float) -> bool:
    return citation.relevance is None or citation.relevance >= threshold


@dataclass(frozen=True)
class _Group:
    """The passages of one step."""

    citations: tuple[Citation, ...]
    context: str
    notes: tuple[str, ...] = ()
    excerpts: bool = False
    """Whether the context is parts of the passages, which no other question is asked about."""


def _evidence_first(reading: Reading) -> Generator[Invoke, Any, Iterator[_Group]]:
    """Return what bears on the question in all passages, where that is short; then as `_groups`."""
    groups = _groups(reading)
    first = next(groups)
    chosen = None
    wanted = reading.options.context == "evidence" and not asks_how(reading.question.text)
    wanted = wanted and not reading.keeps(first.context)
    if wanted and _reaches(first.citations[0], reading.options.threshold):
        chosen = yield from result_of(lambda: _excerpts(reading, first), "choose_sentences")
    elif wanted and reading.question.cosines:
        chosen = _nearest(reading)
    return chain([chosen] if chosen else [], [first], groups)


def _excerpts(reading: Reading, first: _Group) -> _Group | None:
    """Return what bears on the question in all passages, where that is short."""
    limit = int(EVIDENCE_SHARE * len(first.context))
    # Orders go before sentences are chosen: of one that is cut, the rest may pass for a statement.
    texts = [citation.text_shown for citation in reading.citations]
    relevance = [citation.relevance for citation in reading.citations]
    found = excerpts(
        bare_question(reading.question.text),
        texts,
        limit,
        reading.options.embedding_model,
        relevance,
    )
    chosen = [replace(reading.citations[place], text=text) for place, text in found.items()]
    context = context_of(chosen)
    if not chosen or len(context) >= _SHORT * len(first.context):
        return None
    return _Group(tuple(reading.citations[place] for place in found), context, (), True)


def _nearest(reading: Reading) -> _Group | None:
    """Return the sentences of all passages that are the nearest to the question."""
    found = reading.nearest_sentences(reading.citations)
    if not found:
        return None
    places = {citation.marker: citation for citation in reading.citations}
    chosen = sorted(
        found, key=lambda near: (near.marker, places[near.marker].text.index(near.sentence))
    )
    context = "\n".join(near.sentence for near in chosen)
    cited = dict.fromkeys(places[near.marker] for near in chosen)
    return _Group(tuple(cited), context, (), True)


def _groups(reading: Reading) -> Iterator[_Group]:
    """Yield passages in rank order, as many a step as its tokens hold, one at least.

    One below the threshold is a step by itself, which may be left out.
    """
    budget, step_tokens = reading.budget, reading.options.step_tokens
    prompt = reading.prompt("refine_answer", context="", answer="")
    limit = budget.left(prompt, spare=budget.max_new_tokens)
    group: list[Citation] = []
    size = 0
    for citation in reading.citations:
        tokens = budget.count(citation.shown)
        alone = reading.weighs and not _reaches(citation, reading.options.threshold)
        if group and (alone or size + tokens > min(step_tokens, limit)):
            yield _Group(tuple(group), context_of(group))
            group, size = [], 0
        if tokens > limit:
            note = f"passage {citation.marker} is longer than the model's window and was cut"
            yield _Group((citation,), budget.cut(context_of([citation]), limit), (note,))
            continue
        group.append(citation)
        size += tokens
    if group:
        yield _Group(tuple(group), context_of(group))


def _adds_nothing(reply: str, answer: str, language: Language) -> bool:
    """True where a refined answer is the answer so far, or says that it is unchanged."""
    if says_no_answer(reply) or reply.upper().startswith(UNCHANGED[language]):
        return True
    new = set(query_terms(reply))
    return not new - set(query_terms(answer))
