"""Ask every question of docs_corpus/questions.jsonl with the default models and print the figures.

Nothing was tuned on the test split, which is the default.
    python -m tests.benchmarks.answers [--split test|dev|all] [--limit N] [--retrieval-only]
"""

import argparse
import json
import sys
import tempfile
import time

from rag_app import RagApp
from rag_app.chains.results import Answer
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from rag_app.evaluation.report import Outcome, document_rank, report
from rag_app.index.search.relevance import above_threshold
from tests.paths import CORPUS


def outcome(app: RagApp, question: GoldQuestion, *, ask: bool) -> Outcome:
    rank = document_rank(app.retrieve(question.text), question.document)
    start = time.perf_counter()
    if ask:
        answer = app.ask(question.text)
    else:
        passages = app.retrieve(question.text)
        answer = Answer(answered=bool(above_threshold(passages, app.settings.threshold)))
    return Outcome(question, rank, answer, time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["test", "dev", "all"], default="test")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--retrieval-only", action="store_true", help="call no language model")
    parser.add_argument("--chain", default="refine")
    options = parser.parse_args()
    questions = [
        one
        for one in read_questions(CORPUS / "questions.jsonl")
        if options.split in ("all", one.split)
    ][: options.limit]
    with tempfile.TemporaryDirectory() as folder:
        app = RagApp(index=folder, answer_chain=options.chain)
        app.index([CORPUS])
        outcomes = []
        for number, question in enumerate(questions, 1):
            one = outcome(app, question, ask=not options.retrieval_only)
            outcomes.append(one)
            line = {"gold": question.answers, "answer": one.answer.text, "rank": one.rank}
            line |= {"answered": one.answer.answered, "question": question.text}
            progress = f"{number}/{len(questions)} {one.seconds:.0f} s"
            print(progress, json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)
        app.close()
    for name, value in report(outcomes).items():
        print(f"{name:<22}{value:8.3f}")


if __name__ == "__main__":
    main()
