"""Fit the logistic model of rag_app/chains/confidence.py and print its numbers and its errors.

Each question is answered from the passage that is the most relevant to it, whatever the model
thinks of that: the passage holds the answer, or the question has none in it. Questions are those of
docs_corpus/questions.jsonl, and those of some passages of CMRC 2018 trial, asked of the whole
corpus and again without all passages that hold the answer. It is fitted on our dev split and half
of the passages of CMRC, and the errors are those of the other halves.

A question takes seconds, so what was found is kept in a file, and the same command goes on.

    python -m tests.benchmarks.confidence FEATURES.jsonl [--data ../shared/data] [--minutes 10]
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from langchain_core.documents import Document

from rag_app import RagApp
from rag_app.chains.answer import answer_chain
from rag_app.chains.confidence import CALIBRATION, WORTH_READING, Calibration, Signals
from rag_app.chains.questions import bare_question
from rag_app.chains.questions.conversation import Question
from rag_app.documents.text import fold
from rag_app.evaluation.calibration import Sample, calibration_figures, fit
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from rag_app.index.search.relevance import most_relevant_first
from rag_app.settings import DEFAULTS
from tests.benchmarks.corpora import GoldPassage, cmrc_app, document_name, read_squad
from tests.paths import CORPUS

CMRC_PASSAGES = 24
"""Each with all its questions; of those asked without it, one."""


@dataclass(frozen=True)
class Asked:
    """A question, and the passage it is asked of."""

    key: str
    question: GoldQuestion
    passage: Document
    dev: bool

    @property
    def holds(self) -> bool:
        """Whether an answer stands in the passage."""
        text = _plain(self.passage.page_content)
        return any(_plain(answer) in text for answer in self.question.answers)


@dataclass(frozen=True)
class FromFile(Sample):
    """A sample, and where it is from."""

    dev: bool = False
    source: str = ""


def _plain(text: str) -> str:
    return fold("".join(text.replace("`", "").replace("*", "").split()))


def of_corpus(folder: Path) -> Iterator[Asked]:
    """Yield our questions, each with the passage that is the most relevant."""
    with RagApp(index=str(folder / "corpus")) as app:
        app.index([CORPUS])
        for question in read_questions(CORPUS / "questions.jsonl"):
            found = app.retrieve(question.text)
            yield from _asked(f"corpus {question.id}", question, found, question.split == "dev")


def of_cmrc(folder: Path, gold: list[GoldPassage]) -> Iterator[Asked]:
    """Yield questions of some passages, and questions of which no passage holds the answer."""
    app = cmrc_app(folder, gold)
    chosen = random.Random(1).sample(gold, CMRC_PASSAGES)
    for number, passage in enumerate(chosen):
        for place, question in enumerate(filter(lambda one: one.text.strip(), passage.questions)):
            found = app.retriever.invoke(bare_question(question.text), k=12)
            dev = number % 2 == 0
            yield from _asked(f"cmrc {question.id} with", question, found[:4], dev)
            if place == 1:
                others = [
                    document
                    for document in found
                    if document_name(document) != passage.id
                    and not any(
                        _plain(answer) in _plain(document.page_content)
                        for answer in question.answers
                    )
                ]
                yield from _asked(f"cmrc {question.id} without", question, others[:4], dev)
    app.close()


def _asked(
    key: str, question: GoldQuestion, found: Sequence[Document], dev: bool
) -> Iterator[Asked]:
    best = most_relevant_first(found)[:1]
    for passage in best:
        if passage.metadata["relevance"] >= WORTH_READING * DEFAULTS.threshold:
            yield Asked(key, question, passage, dev)


def measure(asked: list[Asked], path: Path, minutes: float) -> None:
    """Answer the questions that are not in the file yet, those of one passage together."""
    done = {json.loads(line)["key"] for line in _lines(path)}
    places = [(str(one.passage.metadata["source"]), one.passage.metadata["start"]) for one in asked]
    often = Counter(places)
    ordered = sorted(zip(places, asked, strict=True), key=lambda pair: (-often[pair[0]], pair[0]))
    end = time.monotonic() + 60 * minutes
    app = RagApp(max_new_tokens=60)
    chain = answer_chain(app.llm, threshold=0.0, context="full")
    with path.open("a", encoding="utf-8") as file:
        for number, (_, one) in enumerate(ordered, 1):
            if one.key in done or time.monotonic() > end:
                continue
            answer = chain.invoke(Question(one.question.text, [one.passage]))
            assert answer.confidence is not None
            row = {"key": one.key, "holds": one.holds, "dev": one.dev, "text": answer.text}
            row |= asdict(answer.confidence.signals)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            print(f"{number}/{len(ordered)}", one.question.text, answer.text, flush=True)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def read(path: Path) -> list[FromFile]:
    """Return the samples of a file."""
    rows = [json.loads(line) for line in _lines(path)]
    return [
        FromFile(
            Signals(row["relevance"], row["judgement"], tuple(row["unmatched"]), row["supported"]),
            row["holds"],
            dev=row["dev"],
            source=row["key"].split()[0],
        )
        for row in rows
    ]


def show(samples: Sequence[Sample], calibration: Calibration) -> None:
    """Print the figures of samples, each with its 95 % interval."""
    chances = np.array([calibration.probability(sample.signals) for sample in samples])
    holds = np.array([sample.holds for sample in samples], bool)
    print(f"{len(samples)} questions, {holds.sum()} of them answered by their passage")
    if not 0 < holds.sum() < len(holds):
        return
    for name, one in calibration_figures(chances, samples).items():
        print(f"  {name:<32}{one.value:6.3f}  [{one.low:.3f}, {one.high:.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=10, help="0 fits what there is")
    options = parser.parse_args()
    if options.minutes:
        gold = list(read_squad(options.data / "cmrc2018" / "cmrc2018_trial.json"))
        with tempfile.TemporaryDirectory() as folder:
            asked = [*of_corpus(Path(folder)), *of_cmrc(Path(folder), gold)]
        measure(asked, options.features, options.minutes)
    samples = read(options.features)
    found = fit([sample for sample in samples if sample.dev])
    print(f"fitted: {found}\nin use: {CALIBRATION}")
    for source in dict.fromkeys(sample.source for sample in samples):
        print(source, end=": ")
        show([one for one in samples if one.source == source and not one.dev], CALIBRATION)


if __name__ == "__main__":
    main()
