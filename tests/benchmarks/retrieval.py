"""Hybrid, dense and lexical retrieval on the passages of CMRC 2018 trial, in one run.

Each passage is one document; a question counts where its own passage is ranked.
    python -m tests.benchmarks.retrieval [--data ../shared/data]
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import fmean

from rag_app.evaluation.metrics import reciprocal_rank
from rag_app.index.search.retriever import HybridRetriever
from rag_app.settings import RetrieverKind
from tests.benchmarks.corpora import cmrc_app, document_name, read_squad

KINDS: tuple[RetrieverKind, ...] = ("hybrid", "dense", "lexical")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    passages = list(read_squad(options.data / "cmrc2018" / "cmrc2018_trial.json"))
    questions = [question for passage in passages for question in passage.questions]
    with tempfile.TemporaryDirectory() as folder:
        app = cmrc_app(Path(folder), passages)
        print(f"{len(questions)} questions, {len(passages)} passages")
        print(f"{'retriever':<10}{'R@1':>8}{'R@3':>8}{'MRR@10':>8}{'ms':>8}")
        for kind in KINDS:
            retriever = HybridRetriever(store=app.store, embedding=app.embeddings, kind=kind, k=30)
            ranks = []
            start = time.perf_counter()
            for question in questions:
                names = list(dict.fromkeys(map(document_name, retriever.invoke(question.text))))
                found = question.document in names
                ranks.append(names.index(question.document or "") + 1 if found else None)
            seconds = (time.perf_counter() - start) / len(questions)
            first = fmean(rank == 1 for rank in ranks)
            three = fmean(rank is not None and rank <= 3 for rank in ranks)
            mrr = fmean(reciprocal_rank(rank) for rank in ranks)
            print(f"{kind:<10}{first:>8.3f}{three:>8.3f}{mrr:>8.3f}{seconds * 1000:>8.0f}")
        app.close()


if __name__ == "__main__":
    main()
