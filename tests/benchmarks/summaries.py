"""Summarize documents with the default model by `refine`, the default, and by plain `map_reduce`.

Of each summary: which share of the text's passages supports a sentence of it (coverage), which
share of the sentences no passage supports, how many numbers and names the text lacks, ROUGE-L
where a gold summary is known, and calls, tokens and seconds. What was found is kept in a file, and
the same command goes on.

    python -m tests.benchmarks.summaries OUT.jsonl [FILE…] [--step-tokens 400] [--minutes 10]
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig

from rag_app import RagApp
from rag_app.evaluation.datasets import read_questions
from rag_app.evaluation.intervals import mean, paired_difference
from rag_app.evaluation.metrics import rouge_l
from rag_app.evaluation.run import Meter
from tests.paths import CORPUS

CHAINS = ("refine", "map_reduce")
DOCUMENTS = ("doc.txt", "du_fu.txt", "sample.txt", "潮汐.md", "鹿溪古道.txt", "感冒药说明书.txt")

Row = dict[str, Any]
FIGURES: dict[str, Callable[[Row], float | None]] = {
    "coverage": lambda row: row["coverage"],
    "sentences flagged": lambda row: row["flagged"] / max(row["sentences"], 1),
    "facts the text lacks": lambda row: len(row["lacking"]),
    "ROUGE-L": lambda row: row["rouge_l"],
    "characters": lambda row: len(row["text"]),
    "calls": lambda row: row["calls"],
    "tokens read": lambda row: row["read"],
    "seconds": lambda row: row["seconds"],
}


def summary_of(app: RagApp, path: Path, gold: list[str]) -> Row:
    """Return what came of summarizing a file."""
    meter = Meter()
    summary = app.summarize(path, config=RunnableConfig(callbacks=[meter]))
    cost = meter.cost()
    return {
        "document": path.name,
        "chain": app.settings.summary_chain,
        "coverage": summary.coverage,
        "sentences": len(summary.sentences),
        "flagged": sum(not one.markers for one in summary.sentences),
        "lacking": [fact for one in summary.sentences for fact in one.lacking],
        "rouge_l": rouge_l(summary.text, gold) if gold else None,
        "calls": cost.calls,
        "read": cost.read,
        "seconds": cost.seconds,
        "text": summary.text,
    }


def measure(options: argparse.Namespace, rows: list[Row]) -> Iterator[Row]:
    """Yield what is not known yet, the chains of one document together."""
    known = {(row["document"], row["chain"]) for row in rows}
    gold: dict[str, list[str]] = {}
    for question in read_questions(options.gold) if options.gold else ():
        if question.summary:
            gold.setdefault(question.document or "", []).append(question.summary)
    end = time.monotonic() + 60 * options.minutes
    llm = RagApp().llm
    for path in options.files or [CORPUS / name for name in DOCUMENTS]:
        for chain in CHAINS:
            if (path.name, chain) in known or time.monotonic() > end:
                continue
            app = RagApp(llm=llm, summary_chain=chain, summary_step_tokens=options.step_tokens)
            yield summary_of(app, path, gold.get(path.name, []))


def show(rows: list[Row]) -> None:
    """Print the figures of documents that both chains summarized."""
    of = {(row["document"], row["chain"]): row for row in rows}
    both = [name for name, chain in of if chain == CHAINS[0] and (name, CHAINS[1]) in of]
    print(f"{len(both)} documents: {' / '.join(CHAINS)}, and the difference of the first")
    for name, value in FIGURES.items():
        pairs = [tuple(value(of[document, chain]) for chain in CHAINS) for document in both]
        told = [(first, second) for first, second in pairs if None not in (first, second)]
        if told:
            first, second = ([float(one) for one in column] for column in zip(*told, strict=True))
            means = [mean(column, range(len(told))).value for column in (first, second)]
            change = paired_difference(first, second, range(len(told)))
            interval = f"[{change.low:+.3f}, {change.high:+.3f}]"
            print(f"  {name:<24}{means[0]:9.3f}{means[1]:9.3f}{change.value:+9.3f}  {interval}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--step-tokens", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=10, help="0 shows what there is")
    parser.add_argument("--gold", type=Path, help="questions with a `summary` of some documents")
    options = parser.parse_args()
    rows = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text(encoding="utf-8").splitlines()]
    with options.out.open("a", encoding="utf-8") as file:
        for row in measure(options, rows) if options.minutes else ():
            print(json.dumps(row, ensure_ascii=False), file=file, flush=True)
            print(f"{row['document']} {row['chain']}: {row['seconds']:.0f} s", flush=True)
            rows.append(row)
    show(rows)


if __name__ == "__main__":
    main()
