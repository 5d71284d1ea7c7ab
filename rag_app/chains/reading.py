"""Some passages read for a question: judged, answered from, and how sure the answer is.

Which passages are read together, which first, and when it is enough, `answer` decides.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelLike
from langchain_core.messages import BaseMessage

from rag_app.chains.citations import Citation, Evidence, cite, context_of, highest_relevance
from rag_app.chains.completion import (
    completed,
    is_denied,
    may_begin_earlier,
)
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
from rag_app.chains.facts.amounts import AmountAlone
from rag_app.chains.facts.mismatch import may_be_of_another, of_another, unmatched
from rag_app.chains.facts.romanization import absent_names
from rag_app.chains.marks import cited_passage, likely_evidence, unheld
from rag_app.chains.nearness import nearest_sentence, nearest_sentences, nearness, with_nearest
from rag_app.chains.prompts import (
    NO_ANSWER,
    NOT_FOUND,
    Budget,
    Prompts,
    Task,
    refusal_for,
    says_no_answer,
)
from rag_app.chains.questions import (
    asks_for_whole,
    asks_to_compute,
    asks_whether,
    bare_question,
)
from rag_app.chains.questions.conversation import Question
from rag_app.chains.results import Answer
from rag_app.chains.settling import settling
from rag_app.chains.streaming import Call, Invoke, Steps
from rag_app.documents.text import Language, language_of
from rag_app.models.embeddings.base import DocumentEmbeddings
from rag_app.settings import DEFAULTS, AnswerChain, ContextKind

UNCHECKED = "no passage holds this answer's words and numbers; check it before you rely on it"
"""The note of an answer that no passage supports."""

LACKING = (
    "the passages lack these numbers and names of the answer: {}; check it before you rely on it"
)
"""The note of an answer that passages support in part."""

DOUBTFUL = "the passages may not answer this question; check the answer before you rely on it"
"""The note of an answer whose words are in a passage that may not be about what was asked."""

BEYOND = "this asks to compare, count or add up, which is beyond a search: check what passages say"
"""The note of a question whose answer no single sentence says."""

EmbeddingsOf = Callable[[], DocumentEmbeddings | None]
"""Returns an embedding model when it is first needed."""

_SURE_OF_EXCERPTS = 0.6
"""Probability above which an answer from excerpts counts. Between it and 0.66 stood 5 of 93
answers to questions of CMRC trial and our dev split, and 2 of 45 to dev questions that have none,
both of which whole passages answer too."""


@dataclass(frozen=True)
class AnswerOptions:
    """How passages are read for an answer; see `answer_chain`."""

    kind: AnswerChain
    prompts: Prompts
    max_new_tokens: int
    step_tokens: int
    threshold: float
    calibration: Calibration = CALIBRATION
    context: ContextKind = DEFAULTS.context
    embeddings: EmbeddingsOf | None = None

    @property
    def embedding_model(self) -> DocumentEmbeddings | None:
        """What finds the sentences that bear on a question, with its terms."""
        return self.embeddings() if self.embeddings else None


@dataclass(frozen=True)
class Reading:
    """One question, and how it is read for."""

    options: AnswerOptions
    question: Question
    llm: LanguageModelLike
    in_part: bool = False
    """Whether it reads parts of several passages at once."""

    @property
    def calibration(self) -> Calibration:
        """The calibration of the model."""
        return self.options.calibration

    @property
    def judges(self) -> bool:
        """Whether the model is asked if passages answer."""
        return can_judge(self.llm) and self.calibration.judged

    @property
    def weighs(self) -> bool:
        """Whether an answer's confidence rests on more than the passages' relevance."""
        return self.judges or not self.calibration.judged

    def keeps(self, context: str) -> bool:
        """Return whether the model has read a context before, and kept it."""
        is_kept: Callable[[list[BaseMessage]], bool] = getattr(self.llm, "is_kept", lambda _: False)
        return is_kept(self.prompt("answer", context=context))

    def want(self, citation: Citation) -> None:
        """Note a passage to be read when nobody asks, where the model keeps what it reads."""
        if getattr(self.llm, "keeps_prompts", False) and hasattr(self.llm, "wanted"):
            prompt = self.prompt("answer", context=context_of([citation]), question="", style="")
            self.llm.wanted.append(prompt)

    @cached_property
    def budget(self) -> Budget:
        """Tokens that the model's window has."""
        return Budget.of(self.llm, self.options.max_new_tokens)

    @cached_property
    def language(self) -> Language:
        """The language of the question as it is read, which is that of the passages."""
        return language_of(self.question.text)

    @cached_property
    def citations(self) -> Sequence[Citation]:
        """All passages, best first."""
        return cite(self.question.passages)

    def prompt(self, task: Task, *, style: str | None = None, **values: str) -> list[BaseMessage]:
        """Return the messages of a task about the question, with its style or another one."""
        values.setdefault("question", self.question.text)
        style = self.question.style if style is None else style
        return self.options.prompts.messages(task, self.language, style=style, **values)

    def opening(self, citations: Sequence[Citation], notes: Sequence[str], step: int = 1) -> Answer:
        """Return what is known of a step before the model is asked."""
        likely = None
        if step == 1 and (highest_relevance(citations[:1]) or 0.0) >= self.options.threshold:
            likely = likely_evidence(self.question.text, citations)
        elif step == 1 and self.question.cosines:
            likely = next(iter(self.nearest_sentences(citations)), None)
        return Answer(
            self.question.text, citations=tuple(citations), notes=tuple(notes), likely=likely
        )

    def first_answer(
        self, context: str, citations: Sequence[Citation], step: int, *, shown: bool = True
    ) -> Generator[Any, Any, str]:
        """Ask the question; return the answer, shown as it comes, empty where there is none.

        What a passage adds to an answer that is cut short is shown once that is complete.
        """
        amount = AmountAlone(self.question.text)
        question = "" if self.question.style else bare_question(self.question.text)
        whole = asks_for_whole(question)
        said = ""

        def unsaid() -> str:
            nonlocal said
            sure = amount.text.rstrip("。 \n")
            if whole and not said and may_begin_earlier(question, sure, citations):
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
        if says_no_answer(reply):
            return ""
        text = completed(question, amount.text, citations) if whole else amount.text
        rest = text.removeprefix(said)
        if shown and rest:
            yield Answer(text=rest, step=step, again=not text.startswith(said))
        return text.strip()

    def judged(
        self, context: str, citations: Sequence[Citation]
    ) -> Generator[Invoke, Any, Signals]:
        """Ask the model whether passages answer, where it can judge; return all signals."""
        asked = self.question.asked or self.question.text  # a translation may have lost a name
        judgement = yield from self._own_judgement(context, (asked, self.question.text))
        question = bare_question(self.question.text)
        if judgement is not None and asks_whether(question) and is_denied(question, citations):
            judgement = max(judgement, DENIED)
        lacking = self._unmatched(context, citations)
        if self.question.translated:
            lacking |= absent_names(asked, self.question.text, self._documents(self.citations))
        relevance = highest_relevance(citations)
        if self.question.translated and relevance and relevance < self.options.threshold:
            relevance = None  # it means nothing for words in another language
        read = [self.question.passages[citation.marker - 1] for citation in citations]
        cosines = self.question.cosines
        return Signals(
            relevance,
            judgement,
            tuple(sorted(lacking)),
            translated=self.question.translated,
            english=self.language == "en",
            nearness=nearness(read, cosines) if cosines else None,
        )

    def _own_judgement(
        self, context: str, wordings: Iterable[str]
    ) -> Generator[Invoke, Any, float | None]:
        """Ask the model whether passages answer a question; return the mean over its wordings.

        Of a question and its translation either may be judged far too high by itself.
        """
        if not self.judges:
            return None
        judge = self.options.prompts.text("judge_answer", self.language)
        judgements = []
        for wording in dict.fromkeys(wordings):
            prompt = self.prompt("answer", context=context, question=wording, style="")
            judgements.append((yield Invoke(judge_chain(self.llm), asked_to_judge(prompt, judge))))
        known = [judgement for judgement in judgements if judgement is not None]
        return sum(known) / len(known) if known else None

    def _unmatched(self, text: str, citations: Sequence[Citation]) -> frozenset[str]:
        """Return which terms of the question a text of some passages' documents lacks."""
        question = bare_question(self.question.asked or self.question.text)
        return unmatched(question, text, self._documents(citations))

    def _documents(self, citations: Sequence[Citation]) -> str:
        """Return all passages of the same documents as some."""
        sources = {citation.source for citation in citations} - {""}
        return "\n".join(each.shown for each in self.citations if each.source in sources)

    def refuses(self, signals: Signals) -> bool:
        """Return whether passages are too unlikely to answer, by more signals than relevance.

        A near miss is likelier to be taken for an answer where little else is read: of parts of
        passages only what is sure counts, until the sentence that carries the answer is judged,
        and but for those in other words than the question's, which few other sentences are like.
        """
        threshold = self.options.threshold
        if self.in_part and threshold and signals.sentence is None and signals.nearness is None:
            threshold = max(threshold, _SURE_OF_EXCERPTS)
        return self.calibration.tells(signals) and (
            self.calibration.probability(signals) < threshold
        )

    @cached_property
    def of_excerpts(self) -> "Reading":
        """The same for parts of passages: their prompts serve no other question."""
        reading, llm = replace(self, in_part=True), self.llm
        if not (isinstance(llm, BaseChatModel) and getattr(llm, "keeps_prompts", False)):
            return reading
        return replace(reading, llm=llm.model_copy(update={"keeps_prompts": False}))

    def read(
        self, context: str, citations: Sequence[Citation], step: int, *, shown: bool
    ) -> "Generator[Any, Any, JudgedAnswer]":
        """Judge passages, and answer from them where they are likely to hold an answer.

        An answer that may turn out to be refused for what it says is not shown as it comes.
        """
        signals = yield from self.judged(context, citations)
        if self.refuses(signals):
            return (yield from self._quoted(signals, citations, step))
        question = bare_question(self.question.text)
        doubtful = replace(signals, supported=False)
        other = replace(signals, unmatched=(*signals.unmatched, question))
        # What another passage is about says nothing about the one that carries the answer.
        own = citations if self.in_part else ()
        lacks = {citation.marker: self._unmatched(citation.shown, [citation]) for citation in own}
        checked = may_be_of_another(question, context) or any(lacks.values())
        checked = checked and self.refuses(other)
        unsure = self.refuses(doubtful)
        withheld = not shown or unsure or checked
        text = yield from self.first_answer(context, citations, step, shown=not withheld)
        answer = Answer(self.question.text, text=text, citations=tuple(citations))
        supported, evidence = answer.supported, answer.evidence
        sentence = evidence.sentence if evidence else ""
        found_other = of_another(question, text, sentence, context)
        found_other |= lacks.get(cited_passage(question, text, citations).marker, frozenset())
        lacking = tuple(sorted({*signals.unmatched, *found_other}))
        signals = replace(signals, supported=supported, unmatched=lacking)
        if unsure and not self.refuses(signals):
            signals = yield from self._judged_by_sentence(signals, sentence)
        found = JudgedAnswer("" if self.refuses(signals) else text, signals, sentence)
        if found.text and withheld and (shown or supported):
            yield Answer(text=found.text, step=step)
        return found

    def _judged_by_sentence(
        self, signals: Signals, sentence: str
    ) -> Generator[Invoke, Any, Signals]:
        """Return signals with the judgement of the sentence that carries an answer.

        By itself one that a near miss is answered from is seldom taken for an answer. To a question
        for yes or no a no is often the answer itself, and of a translated one two wordings have
        been judged.
        """
        question = bare_question(self.question.text)
        if not sentence or self.question.translated or asks_whether(question):
            return signals
        alone = yield from self.of_excerpts._own_judgement(sentence.strip(), [question])
        return replace(signals, sentence=alone)

    def _quoted(
        self, signals: Signals, citations: Sequence[Citation], step: int
    ) -> "Generator[Any, Any, JudgedAnswer]":
        """Answer a question for yes or no by the sentence nearest to it, where that settles it.

        The model's no to whether passages answer is often its no to the question; what it then
        answers may be of another sentence. It is asked about that sentence in the first step only.
        """
        question, text = bare_question(self.question.text), ""
        denied = replace(signals, judgement=DENIED, supported=True)
        judged = signals.judgement is not None and not self.refuses(denied)
        if judged and asks_whether(question):
            shown = [citation.text_shown for citation in citations]
            model, known = self.options.embedding_model, self.question.cosines
            nearest = nearest_sentence(question, shown, model, known)
            asked = self.of_excerpts.llm if step == 1 and not self.question.translated else None
            text = yield from settling(question, *nearest, asked, self.options.prompts)
        if not text:
            return JudgedAnswer("", signals)
        yield Answer(text=text, step=step)
        return JudgedAnswer(text, denied, text)

    def nearest_sentences(self, citations: Sequence[Citation]) -> tuple[Evidence, ...]:
        """Return the sentences of passages that are nearest to the question, nearest first."""
        model, known = self.options.embedding_model, self.question.cosines
        return nearest_sentences(bare_question(self.question.text), citations, model, known)

    def end(self, found: "JudgedAnswer", step: int, given: Sequence[Citation]) -> Steps[Answer]:
        """Yield what follows an answer to which passages were given; without text is none."""
        text, signals = found.text, found.signals
        confidence = Confidence.of(signals, answered=bool(text), calibration=self.calibration)
        if not text:
            texts = NOT_FOUND if self.refuses(signals) else NO_ANSWER
            said = refusal_for(texts, self.question.text, self.language)
            refusal = Answer(text=said, answered=False, step=step + 1, confidence=confidence)
            yield replace(refusal, notes=self._beyond(""))
            yield from with_nearest(lambda: self.nearest_sentences(given))
            return
        doubts: tuple[str, ...] = ()
        if not signals.supported:
            doubts = (UNCHECKED,)
        elif lacking := unheld(text, self.citations, self.question.text):
            doubts = (LACKING.format(", ".join(lacking)),)
        elif confidence and confidence.verdict == "doubtful":
            doubts = (DOUBTFUL,)
        yield Answer(notes=(*doubts, *self._beyond(found.sentence)), confidence=confidence)

    def _beyond(self, sentence: str) -> tuple[str, ...]:
        question = bare_question(self.question.text)
        return (BEYOND,) if asks_to_compute(question, sentence) else ()


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer, empty where there is none, and the signals of its confidence."""

    text: str
    signals: Signals
    sentence: str = ""
    """The sentence of a passage that carries it."""
