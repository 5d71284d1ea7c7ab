"""Ask every question of docs_corpus/questions.jsonl with the default models and print the figures.

Nothing was tuned on the test split, which is the default.
    python -m tests.benchmarks.answers [--split test|dev|all] [--limit N] [--retrieval-only]
"""

import argparse
import sys
import tempfile

from rag_app import RagApp
from rag_app.evaluation.datasets import read_dataset
from rag_app.evaluation.figures import figures_of
from rag_app.evaluation.run import Evaluation
from tests.paths import CORPUS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["test", "dev", "all"], default="test")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--retrieval-only", action="store_true", help="call no language model")
    parser.add_argument("--chain", default="refine")
    options = parser.parse_args()
    split = None if options.split == "all" else options.split
    dataset = read_dataset(CORPUS / "questions.jsonl", split=split)
    with tempfile.TemporaryDirectory() as folder:
        app = RagApp(index=folder, answer_chain=options.chain)
        app.index([CORPUS])
        run = Evaluation(app, dataset).run(
            dataset.questions[: options.limit], retrieval_only=options.retrieval_only
        )
        outcomes = []
        for one in run:
            outcomes.append(one)
            shown = f"{one.cost.seconds:.0f} s, {one.verdict}: {one.question.text} {one.text!r}"
            print(f"{len(outcomes)}/{len(dataset.questions)} {shown}", file=sys.stderr, flush=True)
        app.close()
    for figure in figures_of(outcomes):
        estimate = figure.estimate
        interval = f"{estimate.low:.3f} – {estimate.high:.3f}"
        print(f"{figure.name:<32}{estimate.value:8.3f}  {interval:<16}{estimate.count:>6}")


if __name__ == "__main__":
    main()
