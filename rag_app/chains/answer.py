"""Answering a question from retrieved passages: ``refine`` and ``stuff``."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.citations import Citation, cite, evidence, likely_evidence
from rag_app.chains.completion import completed, is_denied, may_begin_earlier
from rag_app.chains.confidence import (
    CALIBRATION,
    DENIED,
    Calibration,
    Confidence,
    Signals,
    asked_to_judge,
    can_judge,
    judge_chain,
)
from rag_app.chains.facts import may_be_of_another, of_another, unmatched
from rag_app.chains.facts.amounts import AmountAlone
from rag_app.chains.facts.romanization import absent_names
from rag_app.chains.prompts import NO_ANSWER, NOT_FOUND, UNCHANGED, Budget, Prompts, Task, pack
from rag_app.chains.questions import asks_how, asks_to_compute, bare_question
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Call, Invoke, StepChain, Steps, worked_out
from rag_app.documents.text import Language, language_of
from rag_app.index.search.excerpts import excerpts
from rag_app.index.store.terms import query_terms
from rag_app.models.embeddings.base import DocumentEmbeddings
from rag_app.settings import DEFAULTS, AnswerChain, ContextKind

UNCHECKED = "no passage holds this answer's words and numbers; check it before you rely on it"
"""The note of an answer that no passage supports."""

DOUBTFUL = "the passages may not answer this question; check the answer before you rely on it"
"""The note of an answer whose words stand in a passage that may not be about what was asked."""

BEYOND = "this asks to compare, count or add up, which is beyond a search: check what passages say"
"""The note of a question whose answer no single sentence says."""

EmbeddingsOf = Callable[[], DocumentEmbeddings | None]
"""Returns an embedding model when it is first needed."""

EVIDENCE_SHARE = 0.3
"""Characters of excerpts, as a share of those of the first passages in whole."""

_SURE_OF_EXCERPTS = 0.6
"""Probability from which on an answer from excerpts counts. Between it and 0.66 stood 5 of 93
answers to questions of CMRC trial and our dev split, and 2 of 45 to dev questions that have none,
both of which whole passages answer too."""

_SHORT = 0.75
"""Share of the first passages in whole above which excerpts with their headings save too little."""

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
    asked: str = ""
    """As it was asked, where ``text`` is a translation: that is no witness of names."""
    style: str = ""
    """How the answer is to be written."""

    @property
    def translated(self) -> bool:
        """Whether the passages are in another language than the question."""
        return bool(self.asked) and self.asked != self.text


def not_found(question: str, nearest: Sequence[Document]) -> Answer:
    """Return the answer for a question that the documents don't cover; no model is asked."""
    text, citations = NOT_FOUND[language_of(question)], tuple(cite(nearest))
    confidence = Confidence.of(Signals(_relevance(citations)), answered=False)
    return Answer(question, text, answered=False, citations=citations, confidence=confidence)


def answer_chain(
    llm: BaseChatModel,
    kind: AnswerChain = DEFAULTS.answer_chain,
    *,
    prompts: Prompts | Mapping[str, str] | str | Path | None = None,
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    step_tokens: int = DEFAULTS.answer_step_tokens,
    threshold: float = DEFAULTS.threshold,
    calibration: Calibration = CALIBRATION,
    context: ContextKind = DEFAULTS.context,
    embeddings: EmbeddingsOf | None = None,
) -> Runnable[Question, Answer]:
    """Return a Runnable from a `Question` to an `Answer`; its stream is pieces of the answer.

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
        calibration: Of the model: what makes a probability of all that tells.
        context: With ``evidence``, ``refine`` first reads only the sentences that bear on the
            question, and the passages themselves where those do not surely answer; with a model
            that can judge that, where the first passage reaches the threshold and is not kept.
        embeddings: Returns what tells which sentences those are, beside the question's terms.

    Raises:
        ModelError: on use, when the question alone overflows the window.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> tea = Document("Green tea is steamed.", metadata={"source": "tea.txt"})
        >>> llm = FakeListChatModel(responses=["Steamed."], custom_get_token_ids=list)
        >>> answer_chain(llm).invoke(Question("How is green tea made?", [tea])).marked_text
        'Steamed.[1]'
    """
    options = (max_new_tokens, step_tokens, threshold, calibration, context, embeddings)
    reader = Reader(kind, Prompts.of(prompts), *options)
    return StepChain(lambda question: reader.steps(question, llm), f"answer_{kind}")


@dataclass(frozen=True)
class Reader:
    """How passages are read for an answer; see `answer_chain`."""

    kind: AnswerChain
    prompts: Prompts
    max_new_tokens: int
    step_tokens: int
    threshold: float
    calibration: Calibration = CALIBRATION
    context: ContextKind = DEFAULTS.context
    embeddings: EmbeddingsOf | None = None

    def steps(self, question: Question, llm: BaseChatModel) -> Steps[Answer]:
        """Return the steps that answer a question; without passages no model is asked."""
        if not question.passages:
            yield not_found(question.text, ())
            return
        reading = _Reading(self, question, llm)
        if self.kind == "stuff":
            yield from _stuff(reading)
        else:
            yield from (_refine_judged if reading.weighs else _refine)(reading)


@dataclass(frozen=True)
class _Reading:
    """One question, and how it is read for."""

    reader: Reader
    question: Question
    llm: BaseChatModel
    in_part: bool = False
    """Whether it reads parts of several passages at once."""

    @property
    def calibration(self) -> Calibration:
        return self.reader.calibration

    @property
    def judges(self) -> bool:
        """Whether the model is asked if passages answer."""
        return can_judge(self.llm) and self.calibration.judged

    @property
    def weighs(self) -> bool:
        """Whether it can be told how sure an answer is, by more than the passages' relevance."""
        return self.judges or not self.calibration.judged

    def keeps(self, context: str) -> bool:
        """Return whether the model has read a context before, and kept it."""
        is_kept: Callable[[list[BaseMessage]], bool] = getattr(self.llm, "is_kept", lambda _: False)
        return is_kept(self.prompt("answer", context=context))

    def want(self, citation: Citation) -> None:
        """Have a passage read when nobody asks, where the model keeps what it reads."""
        if getattr(self.llm, "keeps_prompts", False) and hasattr(self.llm, "wanted"):
            prompt = self.prompt("answer", context=_context([citation]), question="", style="")
            self.llm.wanted.append(prompt)

    @cached_property
    def budget(self) -> Budget:
        return Budget.of(self.llm, self.reader.max_new_tokens)

    @cached_property
    def language(self) -> Language:
        return language_of(self.question.text)

    @cached_property
    def citations(self) -> Sequence[Citation]:
        """All passages, best first."""
        return cite(self.question.passages)

    def prompt(self, task: Task, *, style: str | None = None, **values: str) -> list[BaseMessage]:
        values.setdefault("question", self.question.text)
        style = self.question.style if style is None else style
        return self.reader.prompts.messages(task, self.language, style=style, **values)

    def opening(self, citations: Sequence[Citation], notes: Sequence[str], step: int = 1) -> Answer:
        """Return what is known of a step before the model is asked."""
        likely = None
        if step == 1 and (_relevance(citations[:1]) or 0.0) >= self.reader.threshold:
            likely = likely_evidence(self.question.text, citations)
        return Answer(
            self.question.text, citations=tuple(citations), notes=tuple(notes), likely=likely
        )

    def first_answer(
        self, context: str, citations: Sequence[Citation], step: int, *, shown: bool = True
    ) -> Generator[Any, Any, str]:
        """Ask the question; return the answer, shown as it comes, empty where there is none.

        What a passage says beside an answer that is cut short is shown once that is whole.
        """
        amount = AmountAlone(self.question.text)
        question = "" if self.question.style else bare_question(self.question.text)
        said = ""

        def unsaid() -> str:
            nonlocal said
            sure = amount.text.rstrip("。 \n")
            if not said and may_begin_earlier(question, sure, citations):
                return ""
            new = sure[len(said) :]
            said += new
            return new

        def piece(text: str, *, again: bool = False) -> Answer:
            nonlocal amount, said
            if again:
                amount, said = AmountAlone(self.question.text), ""
            amount.feed(text)
            return Answer(text=unsaid(), step=step, again=again)

        call = Call(
            self.llm,
            self.prompt("answer", context=context),
            piece,
            withhold=NO_ANSWER[self.language],
        )
        reply = yield call if shown else replace(call, piece=None)
        if not shown:
            amount.feed(reply)
        amount.close()
        if _says_no_answer(reply):
            return ""
        text = completed(question, amount.text, citations)
        rest = text.removeprefix(said)
        if shown and rest:
            yield Answer(text=rest, step=step, again=not text.startswith(said))
        return text.strip()

    def judged(
        self, context: str, citations: Sequence[Citation]
    ) -> Generator[Invoke, Any, Signals]:
        """Ask the model whether passages answer, where it can tell; return all that tells."""
        asked = self.question.asked or self.question.text  # a translation may have lost a name
        judgement = yield from self._own_judgement(context, (asked, self.question.text))
        if judgement is not None and is_denied(bare_question(self.question.text), citations):
            judgement = max(judgement, DENIED)
        lacking = self._unmatched(context, citations)
        if self.question.translated:
            lacking |= absent_names(asked, self.question.text, self._documents(self.citations))
        relevance = _relevance(citations)
        if self.question.translated and relevance and relevance < self.reader.threshold:
            relevance = None  # of words in another language it tells nothing
        translated = self.question.translated
        return Signals(relevance, judgement, tuple(sorted(lacking)), translated=translated)

    def _own_judgement(
        self, context: str, wordings: Iterable[str]
    ) -> Generator[Invoke, Any, float | None]:
        """Ask the model whether passages answer a question; return the mean over its wordings.

        Of a question and its translation either may be judged far too high by itself.
        """
        if not self.judges:
            return None
        judge = self.reader.prompts.text("judge_answer", self.language)
        judgements = []
        for wording in dict.fromkeys(wordings):
            prompt = self.prompt("answer", context=context, question=wording, style="")
            judgements.append((yield Invoke(judge_chain(self.llm), asked_to_judge(prompt, judge))))
        known = [judgement for judgement in judgements if judgement is not None]
        return sum(known) / len(known) if known else None

    def _unmatched(self, text: str, citations: Sequence[Citation]) -> frozenset[str]:
        """Return what of the question a text of some passages' documents lacks."""
        question = bare_question(self.question.asked or self.question.text)
        return unmatched(question, text, self._documents(citations))

    def _documents(self, citations: Sequence[Citation]) -> str:
        """Return all passages that are of the documents of some."""
        sources = {citation.source for citation in citations}
        found = [one.shown for one in self.citations if one.source and one.source in sources]
        return "\n".join(found)

    def refuses(self, signals: Signals) -> bool:
        """Return whether passages are too unlikely to answer, where more than relevance tells."""
        probability = self.calibration.probability(signals)
        return self.calibration.tells(signals) and probability < self.reader.threshold

    @cached_property
    def of_excerpts(self) -> "_Reading":
        """The same for parts of passages: their prompts are of use to no other question.

        A near miss is likelier to be taken for an answer where little else is read: only what is
        sure counts.
        """
        threshold = max(self.reader.threshold, _SURE_OF_EXCERPTS) if self.reader.threshold else 0.0
        reading = replace(self, reader=replace(self.reader, threshold=threshold), in_part=True)
        if not getattr(self.llm, "keeps_prompts", False):
            return reading
        return replace(reading, llm=self.llm.model_copy(update={"keeps_prompts": False}))

    def read(
        self, context: str, citations: Sequence[Citation], step: int, *, shown: bool
    ) -> "Generator[Any, Any, _Found]":
        """Have passages judged and the question answered from them, where they are likely to.

        An answer that may turn out to be refused for what it says is not shown as it comes.
        """
        signals = yield from self.judged(context, citations)
        if self.refuses(signals):
            return _Found("", signals)
        question = bare_question(self.question.text)
        doubtful = replace(signals, supported=False)
        other = replace(signals, unmatched=(*signals.unmatched, question))
        # What another passage is about tells nothing of the one that carries the answer.
        own = citations if self.in_part else ()
        lacks = {one.marker: self._unmatched(one.shown, [one]) for one in own}
        checked = may_be_of_another(question, context) or any(lacks.values())
        checked = checked and self.refuses(other)
        withheld = not shown or self.refuses(doubtful) or checked
        text = yield from self.first_answer(context, citations, step, shown=not withheld)
        answer = Answer(self.question.text, text=text, citations=tuple(citations))
        supported, evidence = answer.supported, answer.evidence
        sentence = evidence.sentence if evidence else ""
        found_other = of_another(question, text, sentence, context)
        found_other |= lacks.get(_cited(question, text, citations).marker, frozenset())
        lacking = tuple(sorted({*signals.unmatched, *found_other}))
        signals = replace(signals, supported=supported, unmatched=lacking)
        found = _Found("" if self.refuses(signals) else text, signals, sentence)
        if found.text and withheld and (shown or supported):
            yield Answer(text=found.text, step=step)
        return found

    def end(self, found: "_Found", step: int) -> Iterator[Answer]:
        """Yield what is to be said once the answer is there; no text is no answer."""
        text, signals = found.text, found.signals
        confidence = Confidence.of(signals, answered=bool(text), calibration=self.calibration)
        if not text:
            said = (NOT_FOUND if self.refuses(signals) else NO_ANSWER)[self.language]
            notes = self._beyond("")
            refusal = Answer(text=said, answered=False, step=step + 1, confidence=confidence)
            yield replace(refusal, notes=notes)
            return
        notes = () if signals.supported else (UNCHECKED,)
        if signals.supported and confidence and confidence.verdict == "doubtful":
            notes = (DOUBTFUL,)
        yield Answer(notes=(*notes, *self._beyond(found.sentence)), confidence=confidence)

    def _beyond(self, sentence: str) -> tuple[str, ...]:
        question = bare_question(self.question.text)
        return (BEYOND,) if asks_to_compute(question, sentence) else ()


@dataclass(frozen=True)
class _Found:
    """An answer, empty where there is none, and what tells how sure it is."""

    text: str
    signals: Signals
    sentence: str = ""
    """Of a passage, which carries it."""


def _stuff(reading: _Reading) -> Steps[Answer]:
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
    yield from reading.end(found, 1)


def _refine(reading: _Reading) -> Steps[Answer]:
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
    signals = Signals(_relevance(given), supported=supported)
    yield from reading.end(_Found(answer, signals), step)


def _refine_judged(reading: _Reading) -> Steps[Answer]:
    """Read on until a passage that the model takes to answer supports what it says.

    A later answer takes the place of an earlier one only where a passage supports it. One from
    parts of passages counts only where it ends the reading.
    """
    best = _Found("", Signals())
    probability = reading.calibration.probability
    given: set[int] = set()
    step, first = 0, True
    groups = yield from _evidence_first(reading)
    for step, group in enumerate(groups, 1):
        if not first and not _worth_reading(group, best, reading.reader.threshold):
            break
        new = [citation for citation in group.citations if citation.marker not in given]
        given |= {citation.marker for citation in new}
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
                reading.want(_cited(reading.question.text, best.text, group.citations))
            break
    yield from reading.end(best, step)


def _worth_reading(group: "_Group", found: "_Found", threshold: float) -> bool:
    """Return whether to read on: below the threshold only as long as the model leans to yes."""
    judgement = found.signals.judgement
    leans = judgement is not None and judgement > 0
    return leans or any(_reaches(citation, threshold) for citation in group.citations)


def _reaches(citation: Citation, threshold: float) -> bool:
    return citation.relevance is None or citation.relevance >= threshold


def _cited(question: str, text: str, citations: Sequence[Citation]) -> Citation:
    """Return the passage that carries an answer, by default the first."""
    found = evidence(question, text, citations)
    return next((one for one in citations if found and one.marker == found.marker), citations[0])


@dataclass(frozen=True)
class _Group:
    """The passages of one step."""

    citations: tuple[Citation, ...]
    context: str
    notes: tuple[str, ...] = ()
    excerpts: bool = False
    """Whether the context is parts of the passages, which no other question is asked about."""


def _evidence_first(reading: _Reading) -> Generator[Invoke, Any, Iterator[_Group]]:
    """Return what bears on the question in all passages, where that is short; then as `_groups`."""
    groups = _groups(reading)
    first = next(groups)
    chosen = None
    wanted = reading.reader.context == "evidence" and not asks_how(reading.question.text)
    wanted = wanted and not reading.keeps(first.context)
    if wanted and _reaches(first.citations[0], reading.reader.threshold):
        chosen = yield from worked_out(lambda: _excerpts(reading, first), "choose_sentences")
    return chain([chosen] if chosen else [], [first], groups)


def _excerpts(reading: _Reading, first: _Group) -> _Group | None:
    """Return what bears on the question in all passages, where that is short."""
    limit = int(EVIDENCE_SHARE * len(first.context))
    # Orders go before sentences are chosen: of one that is cut, the rest may pass for a statement.
    texts = [citation.text_shown for citation in reading.citations]
    embeddings = reading.reader.embeddings() if reading.reader.embeddings else None
    relevance = [citation.relevance for citation in reading.citations]
    found = excerpts(bare_question(reading.question.text), texts, limit, embeddings, relevance)
    chosen = [replace(reading.citations[place], text=text) for place, text in found.items()]
    context = _context(chosen)
    if not chosen or len(context) >= _SHORT * len(first.context):
        return None
    return _Group(tuple(reading.citations[place] for place in found), context, (), True)


def _context(citations: Sequence[Citation]) -> str:
    """Return passages as one step reads them: numbered anew, whatever their ranks.

    A passage is then read in the same words by every question, and what a model keeps of it serves
    them all.
    """
    return "\n\n".join(replace(one, marker=n).shown for n, one in enumerate(citations, 1))


def _groups(reading: _Reading) -> Iterator[_Group]:
    """Yield passages in rank order, as many a step as its tokens hold, one at least.

    One below the threshold is a step by itself, which may be left out.
    """
    budget, step_tokens = reading.budget, reading.reader.step_tokens
    prompt = reading.prompt("refine_answer", context="", answer="")
    limit = budget.left(prompt, spare=budget.max_new_tokens)
    group: list[Citation] = []
    size = 0
    for citation in reading.citations:
        tokens = budget.count(citation.shown)
        alone = reading.weighs and not _reaches(citation, reading.reader.threshold)
        if group and (alone or size + tokens > min(step_tokens, limit)):
            yield _Group(tuple(group), _context(group))
            group, size = [], 0
        if tokens > limit:
            note = f"passage {citation.marker} is longer than the model's window and was cut"
            yield _Group((citation,), budget.cut(_context([citation]), limit), (note,))
            continue
        group.append(citation)
        size += tokens
    if group:
        yield _Group(tuple(group), _context(group))


def _relevance(citations: Iterable[Citation]) -> float | None:
    """Return the highest relevance of some passages, None where they have none."""
    known = [citation.relevance for citation in citations if citation.relevance is not None]
    return max(known, default=None)


def _says_no_answer(reply: str) -> bool:
    return not reply or bool(_SAYS_NO_ANSWER.match(reply))


def _adds_nothing(reply: str, answer: str, language: Language) -> bool:
    """True where a refined answer is the answer so far, or says that it is unchanged."""
    if _says_no_answer(reply) or reply.upper().startswith(UNCHANGED[language]):
        return True
    new = set(query_terms(reply))
    return not new - set(query_terms(answer))
