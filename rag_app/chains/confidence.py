"""How sure it is that passages answer a question: one calibrated probability of several signals.

One of them is what a model itself says. Asked whether the passages hold the answer, it says yes to
nearly every question, but how much likelier its yes is than its no tells answerable questions from
others. It is asked after the very prompt of the answer, so that one that keeps its prefix reads
only the last words. Nothing heavy is imported before that: what only shows an answer needs none.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag_app.chains.citations import FromJson
from rag_app.errors import ModelError

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelLike
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

_log = logging.getLogger(__name__)

Verdict = Literal["sure", "doubtful", "refused"]

JUDGEMENT = "judge_answer"
"""The name of the run in which a model judges, and a tag of the call to it."""

WORTH_READING = 0.1
"""Share of the threshold: passages whose relevance is below it are not read, nor is a model loaded
for them. Of 44 questions about public laws and manuals in other words than theirs, 2 find none
above it (9 at a share of 0.3), and of 20 about something else 14 (18)."""

SURE = 0.66
"""Probability above which an answer that a passage supports is called sure."""

DENIED = 1.6
"""Judgement that passages are taken to have at least where one of their sentences says no to a
question for yes or no: just enough for an answer that the sentence supports. Of ours, the model's
no to whether they answer is often its no to the question."""

_EVEN = 0.5  # relevance below which passages probably do not answer, judging by their words

_YES = frozenset({"有", "是", "yes"})
_NO = frozenset({"没有", "没", "无", "否", "不", "沒有", "沒", "無", "no"})
_ALTERNATIVES = 20  # tokens whose log probabilities are asked for; OpenAI's API gives no more


@dataclass(frozen=True)
class Signals(FromJson):
    """What an answer's confidence is computed from; None where it isn't known.

    Example:
        >>> near_miss = Signals(relevance=0.9, judgement=3.5, unmatched=("2019",))
        >>> Signals(relevance=0.9, judgement=3.5).probability > near_miss.probability
        True
    """

    relevance: float | None = None
    """The highest of the passages read; see `rag_app.index.search.relevance`."""
    judgement: float | None = None
    """The model's own: log P(yes) - log P(no) when it is asked whether the passages answer."""
    unmatched: tuple[str, ...] = ()
    """Numbers and names of the question that the passages lack."""
    supported: bool | None = None
    """Whether a passage holds the words, numbers and names of the answer, once there is one."""
    translated: bool = False
    """Whether the passages are in another language than the question."""
    english: bool = False
    """Whether the model is asked in English."""
    sentence: float | None = None
    """The judgement of the sentence alone that carries the answer, where that was doubtful."""
    nearness: float | None = None
    """By how much a passage's nearest sentence is nearer to the question than usual, as a cosine;
    only where no passage is relevant."""

    @property
    def probability(self) -> float:
        """Calibrated probability, 0 to 1, that the passages answer the question.

        Before there is an answer, one that a passage supports is expected.
        """
        return CALIBRATION.probability(self)


@dataclass(frozen=True)
class Calibration:
    """A logistic model of the signals of one language model.

    ``python -m tests.benchmarks.confidence`` fits and prints the default model's numbers, and
    ``rag-app eval --calibrate`` fits those of another one.
    """

    intercept: float
    relevance: float
    """Weight of the log odds of the relevance."""
    judgement: float
    unmatched: float
    """Where the passages lack a number or name of the question."""
    unsupported: float
    """Where no passage supports the answer."""
    unknown: float = 0.9
    """Relevance that passages without one are taken to have."""
    highest: float = 4.0
    """Judgements beyond this count as this: no model's word is proof."""
    translated: float = 0.0
    """Where the passages are in another language than the question."""
    english: float = 0.0
    """Where the model is asked in English, in which its yes may be less likely."""
    unlikely: float = 0.0
    """Where relevance is below a half: questions in other words than passages' are judged low."""
    sentence: float = 0.0
    """Where the sentence that carries the answer was judged too, and its passage is relevant."""
    nearness: float = 0.0
    """Weight of how much nearer to the question than usual a passage's nearest sentence is."""
    judged: bool = True
    """Whether it was fitted with judgements; False of a model that gives no log probabilities."""

    def probability(self, signals: Signals) -> float:
        """Return the probability, 0 to 1; the relevance where it lacks a judgement."""
        if not self.tells(signals):
            return self.unknown if signals.relevance is None else signals.relevance
        return 1 / (1 + math.exp(-self.log_odds(signals)))

    def log_odds(self, signals: Signals) -> float:
        """Return the weighted sum of the signals."""
        weights = (self.relevance, self.judgement, self.unmatched, self.unsupported)
        products = zip(weights, self.features(signals), strict=True)
        base = self.intercept + self.translated * signals.translated
        base += self.english * signals.english
        if signals.relevance is not None and signals.relevance < _EVEN:
            base += self.unlikely
        elif signals.sentence is not None:
            base += self.sentence
        base += self.nearness * (signals.nearness or 0.0)
        return base + sum(weight * x for weight, x in products)

    def tells(self, signals: Signals) -> bool:
        """Return whether it says more of signals than their relevance does."""
        return signals.judgement is not None or not self.judged

    def features(self, signals: Signals) -> tuple[float, float, float, float]:
        """Return the numbers that are weighted, in the order of the weights above.

        To a translated question a passage's relevance says little (on 22 of our dev questions it
        was the highest for one without an answer), so it is left out where there is a judgement.
        """
        told = None if signals.translated and self.judged else signals.relevance
        relevance = self.unknown if told is None else told
        clipped = min(max(relevance, 1e-4), 1 - 1e-4)
        judgement = signals.judgement or 0.0
        if signals.sentence is not None:
            judgement = (judgement + signals.sentence) / 2
        judgement = max(-self.highest, min(judgement, self.highest))
        return (
            math.log(clipped / (1 - clipped)),
            judgement,
            float(bool(signals.unmatched)),
            float(signals.supported is False),
        )


CALIBRATION = Calibration(
    intercept=-2.3,
    relevance=0.0,
    judgement=1.74,
    unmatched=-4.09,
    unsupported=-1.58,
    translated=0.05,
    english=1.4,
    unlikely=0.3,
    sentence=-0.4,
    nearness=8.7,
)
"""The default model's, fitted on 101 questions of our dev split and 20 of CMRC trial. Relevance is
left out of it: on our dev split it adds nothing to a judgement (area under the curve 0.890 with it,
0.893 without), and on 77 questions about public laws and manuals, put in other words than theirs or
near misses in the same words, it points the wrong way (0.33). The intercept is the lowest that
refuses no more answerable questions of the dev split than before. Fitted again on 183, with later
answers, it does no better.

What is added for translated questions makes up for what their wording loses: it was chosen on 13
of ``tests/benchmarks/english.jsonl`` and our dev split, and seen again on 22, judged by both
wordings: of 12 with an answer 11 reach the threshold, of 10 without one 1. How sure the model was
of its words did not help: with the lowest log probability of a token of the answer the area under
the curve rose on these, and fell on the others.

What is added where the model is asked in English was chosen on 60 questions about ten short English
texts, half of them near misses: without it 16 of the 30 with an answer are refused by their whole
passages alone, with it 1, and 4 of the 30 others reach the threshold, before the sentences that
carry their answers are judged.

What is added where relevance is low was chosen on 32 questions in users' own words about six
regulations, and 27 near misses of them; so was the weight of their nearest sentences. By kept
judgements of whole passages, in the order of these sentences, 16 of the former reach the threshold,
14 of them by a passage that answers (12 and 11 without weight, in the order of relevance), and 1 of
the latter either way; of 13 about other documents 6, all by a passage that answers (6 and 4), and
of 7 near misses 1 either way; of 11 near misses over docs_corpus 5 (6).

The mean with the judgement of the sentence that carries the answer, and what is taken off then,
were chosen on our dev split: of 5 near misses that the judgement of relevant passages alone let
through, 1 is left (3 by the mean alone). Of 13 dev questions and 10 of CMRC trial with an answer
none is lost. By itself it often doesn't say what its document is about, but judged below the title
it tells less: the area under the curve falls from 0.97 to 0.91 (13 dev answers, 9 near misses)."""


@dataclass(frozen=True)
class Confidence:
    """How sure an answer is, and why.

    Example:
        >>> Confidence.of(Signals(relevance=0.97, judgement=4.0, supported=True)).verdict
        'sure'
    """

    probability: float
    """That the passages answer the question, 0 to 1."""
    verdict: Verdict
    signals: Signals

    @classmethod
    def of(
        cls, signals: Signals, *, answered: bool = True, calibration: Calibration = CALIBRATION
    ) -> "Confidence | None":
        """Return the confidence that follows from signals, None where none is known."""
        if signals.relevance is None and not calibration.tells(signals):
            return None
        probability = calibration.probability(signals)
        sure = probability >= SURE and signals.supported is not False
        verdict: Verdict = "sure" if sure else "doubtful"
        return cls(probability, verdict if answered else "refused", signals)


def can_judge(llm: "LanguageModelLike") -> bool:
    """Return whether a model gives the log probabilities that a judgement is made of."""
    return bool(getattr(llm, "gives_logprobs", False))


def judge_chain(llm: "LanguageModelLike") -> "Runnable[list[BaseMessage], float | None]":
    """Return a Runnable from the messages of a yes-no question to log P(yes) - log P(no).

    The answer is None where the model, or the server behind it, gave no log probabilities, or
    refused to be asked for them.
    """
    return judging(llm, lambda odds: of_any(odds, _YES) - of_any(odds, _NO))


def judging(
    llm: "LanguageModelLike", judgement: Callable[[Mapping[str, float]], float]
) -> "Runnable[list[BaseMessage], float | None]":
    """Return a Runnable from messages to a judgement by what a reply may begin with.

    None as in `judge_chain`.

    Args:
        llm: What is asked.
        judgement: Returns it for the log probabilities of the likeliest first tokens.
    """
    from langchain_core.runnables import RunnableLambda

    def judged(reply: Any) -> float | None:
        logprobs = _first_token(reply)
        return judgement(logprobs) if logprobs else None

    options = {"logprobs": True, "top_logprobs": _ALTERNATIVES, "max_tokens": 1, "temperature": 0.0}
    asked = llm.bind(**options) | RunnableLambda(judged, name="log_odds")
    refused: Runnable[Any, Any] = RunnableLambda(_left_out, name="left_out")
    chain = asked.with_fallbacks([refused], exceptions_to_handle=(ModelError,))
    return chain.with_config(run_name=JUDGEMENT, tags=[JUDGEMENT])


def of_any(logprobs: Mapping[str, float], words: frozenset[str]) -> float:
    """Return the log probability of any of some words, that of the unlikeliest for none of them."""
    found = [value for token, value in logprobs.items() if token.strip().lower() in words]
    return math.log(sum(map(math.exp, found))) if found else min(logprobs.values())


def asked_to_judge(prompt: "Sequence[BaseMessage]", question: str) -> "list[BaseMessage]":
    """Return the messages of ``prompt`` with another question after the last of them."""
    from langchain_core.messages import HumanMessage

    *before, last = prompt
    return [*before, HumanMessage(f"{last.text}\n\n{question}")]


def _first_token(reply: Any) -> Mapping[str, float]:
    """Return the log probabilities of what a reply may begin with; none where it tells none."""
    tokens = (reply.response_metadata.get("logprobs") or {}).get("content")
    alternatives: list[Mapping[str, Any]] = tokens[0].get("top_logprobs") if tokens else []
    if not alternatives:
        _log.warning("the model gives no log probabilities, so its own judgement is left out")
    return {entry["token"]: float(entry["logprob"]) for entry in alternatives}


def _left_out(_: "list[BaseMessage]") -> None:
    _log.warning("the model refuses to give log probabilities: its own judgement is left out")
