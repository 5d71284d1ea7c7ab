"""Hybrid, dense and lexical retrieval on the passages of CMRC 2018 trial, in one run.

Each passage is one document; a question counts where its own passage is ranked. ``--traditional``
has the same text in traditional characters; ``--set`` is another set with passages, such as DRCD.
``--news`` adds so many passages of varied news, ten to a document, as `tests.benchmarks.scale`.
    python -m tests.benchmarks.retrieval [--data ../shared/data] [--set FILE] [--traditional]
        [--embedding NAME] [--news 40000]
"""

import argparse
from dataclasses import replace
from pathlib import Path

from opencc import OpenCC

from rag_app import RagApp
from rag_app.evaluation.datasets import Dataset, read_dataset
from rag_app.evaluation.figures import figures_of
from rag_app.evaluation.questions import GoldPassage
from rag_app.evaluation.run import Evaluation
from rag_app.settings import DEFAULTS, RetrieverKind, load_settings
from tests.benchmarks.scale.corpus import Corpus

KINDS: tuple[RetrieverKind, ...] = ("hybrid", "dense", "lexical")


def traditional(dataset: Dataset) -> Dataset:
    """Return a set with its passages and questions in traditional characters."""
    convert = OpenCC("s2t").convert
    passages = (replace(passage, text=convert(passage.text)) for passage in dataset.passages)
    questions = (replace(question, text=convert(question.text)) for question in dataset.questions)
    return replace(dataset, passages=tuple(passages), questions=tuple(questions))


def among_news(dataset: Dataset, data: Path, passages: int) -> Dataset:
    """Return a set with passages of news, which answer none of its questions, beside its own."""
    documents = Corpus(data, data).documents(passages, seed=1)
    news = (
        GoldPassage(f"news-{number}", "\n\n".join(texts))
        for number, (_, texts) in enumerate(documents)
    )
    return replace(dataset, passages=(*dataset.passages, *news))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--set", type=Path)
    parser.add_argument("--traditional", action="store_true")
    parser.add_argument("--embedding", default=DEFAULTS.embedding)
    parser.add_argument("--news", type=int, default=0)
    options = parser.parse_args()
    dataset = read_dataset(options.set or options.data / "cmrc2018" / "cmrc2018_trial.json")
    if options.traditional:
        dataset = traditional(dataset)
    if options.news:
        dataset = among_news(dataset, options.data, options.news)
    print(f"{len(dataset.questions)} questions, {len(dataset.passages)} passages")
    print(f"{'retriever':<10}{'R@1':>8}{'R@3':>8}{'MRR@10':>8}{'ms':>8}")
    for kind in KINDS:
        settings = load_settings(retriever=kind, embedding=options.embedding)
        evaluation = Evaluation(RagApp(settings=settings), dataset)
        outcomes = [*evaluation.run(dataset.questions, retrieval_only=True)]
        values = {figure.name: figure.estimate.value for figure in figures_of(outcomes)}
        seconds = sum(one.cost.seconds for one in outcomes) / len(outcomes)
        columns = "".join(f"{values[name]:>8.3f}" for name in ("R@1", "R@3", "MRR@10"))
        print(f"{kind:<10}{columns}{seconds * 1000:>8.0f}")
        evaluation.close()


if __name__ == "__main__":
    main()
