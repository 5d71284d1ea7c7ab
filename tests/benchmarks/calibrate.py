"""Fit the logistic models of rag_app/index/search/relevance.py and print their numbers and errors.

A question is asked of indexes of several sizes, made of passages drawn at random: with its own
passage among them it has an answer, without it and all that hold the answer it has none. Questions
are those of CMRC 2018 trial, half of whose passages are kept for the errors, and the dev split of
docs_corpus/questions.jsonl; its test split is for the errors too.

    python -m tests.benchmarks.calibrate [--data ../shared/data]
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rag_app import RagApp
from rag_app.chains.questions import bare_question
from rag_app.documents.text import content_terms, document_terms, fold, is_prefix
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from rag_app.index.search.relevance import (
    CALIBRATIONS,
    LEXICAL,
    Coverage,
    RelevanceCalibration,
    apart,
)
from rag_app.index.search.retriever import fuse
from rag_app.models.embeddings.base import FloatArray
from tests.benchmarks.corpora import cmrc_app, read_squad
from tests.paths import CORPUS

MODEL = "multilingual-e5-small"
SIZES = (1, 3, 10, 50, 256)
"""Documents in an index; the last is all of CMRC trial."""
ODDS = 4
"""Answerable questions to one that is not, as a user of his own documents may ask them."""
DEV_WEIGHT = 25
"""Of a question of ours against one of CMRC, of which there are forty times as many."""

Features = tuple[float, float]
"""Coverage and cosine of the passage that is the likeliest to hold an answer."""


@dataclass(frozen=True)
class Sample:
    """A question asked of an index."""

    features: Sequence[Features]
    """Of the passages that are retrieved."""
    answerable: bool
    weight: float = 1.0
    group: str = ""


class Passages:
    """All passages of an index in memory, and questions asked of a part of them."""

    def __init__(self, app: RagApp) -> None:
        self.embeddings = app.embeddings
        with app.store.read() as snapshot:
            sources = [one.source for one in snapshot.documents()]
            self.chunks = [chunk for source in sources for chunk in snapshot.chunks_of(source)]
            rows = snapshot.vectors_of(chunk.id for chunk in self.chunks)
        self.vectors = np.array([rows[chunk.id] for chunk in self.chunks])
        self.terms = [set(document_terms(chunk.searched_text).split()) for chunk in self.chunks]
        self.texts = [fold(chunk.text) for chunk in self.chunks]
        self.names = [_name(chunk.source) for chunk in self.chunks]
        self.documents = sorted(set(self.names))

    def cosines(self, question: str) -> FloatArray:
        vector = np.array(self.embeddings.embed_query(question), np.float32)
        return np.asarray(self.vectors @ vector, np.float32)

    def within(self, documents: Iterable[str]) -> list[int]:
        wanted = set(documents)
        return [place for place, name in enumerate(self.names) if name in wanted]

    def retrieve(self, question: str, cosines: FloatArray, places: list[int]) -> list[Features]:
        """What the hybrid retriever finds in an index of these places; coverage is its BM25."""
        terms = content_terms(question)
        counts = {term: sum(_holds(self.terms[at], term) for at in places) for term in terms}
        coverage = Coverage(counts, len(places))
        shares = {at: coverage.of_terms(self.terms[at]) for at in places}
        scores = fuse({at: float(cosines[at]) for at in places}, shares)
        ranked = sorted(scores, key=lambda at: -scores[at])
        where = {self.chunks[at].id: at for at in ranked}
        best = apart((self.chunks[at] for at in ranked), 4)
        return [(shares[where[one.id]], float(cosines[where[one.id]])) for one in best]


def _name(source: str) -> str:
    path = Path(source)
    return path.stem if path.stem.startswith("TRIAL") else path.name


def _holds(terms: set[str], term: str) -> bool:
    return term in terms or (is_prefix(term) and any(one.startswith(term) for one in terms))


def of_cmrc(passages: Passages, questions: Iterable[GoldQuestion]) -> list[Sample]:
    rng = random.Random(0)
    samples = []
    for question in questions:
        bare = bare_question(question.text)
        ask = partial(passages.retrieve, bare, passages.cosines(bare))
        others = [one for one in passages.documents if one != question.document]
        answers = [fold(answer) for answer in question.answers]
        for size in SIZES:
            own = [*rng.sample(others, size - 1), question.document or ""]
            samples.append(Sample(ask(passages.within(own)), True, ODDS, f"{size:>3} documents"))
            foreign = passages.within(rng.sample(others, min(size, len(others))))
            silent = [at for at in foreign if not any(one in passages.texts[at] for one in answers)]
            if silent:
                samples.append(Sample(ask(silent), False, 1, f"{size:>3} documents"))
    return samples


def of_corpus(passages: Passages, split: str) -> list[Sample]:
    asked = [one for one in read_questions(CORPUS / "questions.jsonl") if one.split == split]
    known = sum(one.document is not None for one in asked)
    everything = list(range(len(passages.chunks)))
    samples = []
    for one in asked:
        bare = bare_question(one.text)
        found = passages.retrieve(bare, passages.cosines(bare), everything)
        answerable = one.document is not None
        odds = 1.0 if answerable else known / (len(asked) - known) / ODDS
        samples.append(Sample(found, answerable, DEV_WEIGHT * odds, f"docs_corpus {split}"))
    return samples


def fit(samples: Sequence[Sample], start: RelevanceCalibration) -> RelevanceCalibration:
    """Fit to each sample's likeliest passage, which depends on the fit: a few rounds settle it."""
    from sklearn.linear_model import LogisticRegression

    columns = 2 if start.cosine else 1
    for _ in range(4):
        rows = [max(one.features, key=lambda pair: start.probability(*pair)) for one in samples]
        model = LogisticRegression(C=1e4, max_iter=10_000).fit(
            np.array(rows)[:, :columns],
            [one.answerable for one in samples],
            sample_weight=[one.weight for one in samples],
        )
        numbers = [float(number) for number in (*model.intercept_, *model.coef_[0])]
        start = RelevanceCalibration(*numbers)
    return start


def show(
    name: str, samples: Sequence[Sample], probability: Callable[[float, float], float]
) -> None:
    for group in dict.fromkeys(one.group for one in samples):
        within = [one for one in samples if one.group == group]
        best = [
            (one.answerable, max(probability(*pair) for pair in one.features)) for one in within
        ]
        refused = [one < 0.5 for answerable, one in best if answerable]
        answered = [one >= 0.5 for answerable, one in best if not answerable]
        print(
            f"{name:<8}{group:<18}refused {sum(refused):>3} of {len(refused):>3} answerable "
            f"({np.mean(refused):5.1%}), let through {sum(answered):>3} of {len(answered):>3} "
            f"others ({np.mean(answered):5.1%})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    gold = list(read_squad(options.data / "cmrc2018" / "cmrc2018_trial.json"))
    with tempfile.TemporaryDirectory() as folder:
        app = cmrc_app(Path(folder), gold)
        passages = Passages(app)
        halves = [
            of_cmrc(passages, [question for one in gold[half::2] for question in one.questions])
            for half in (0, 1)
        ]
        app.close()
    with tempfile.TemporaryDirectory() as folder:
        app = RagApp(index=folder)
        app.index([CORPUS])
        passages = Passages(app)
        dev, test = of_corpus(passages, "dev"), of_corpus(passages, "test")
        app.close()
    for name, start in (("hybrid", CALIBRATIONS[MODEL]), ("lexical", LEXICAL)):
        found = fit([*halves[0], *dev], start)
        print(
            f"{name:<8}fitted: intercept={found.intercept:.1f}, coverage={found.coverage:.1f}, "
            f"cosine={found.cosine:.1f}; in use: {start}"
        )
        show(name, [*halves[1], *test], start.probability)


if __name__ == "__main__":
    main()
