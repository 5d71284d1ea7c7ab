"""The static model against the default one in ONNX Runtime, int8: passages a second, in turn.

Both embed news on one thread, medians of three rounds, by the clock and by the processor; the
static model embeds each passage twenty times, and has embedded 64 others before.
    python -m tests.benchmarks.static [--data ../shared/data]
"""

import argparse
import time
from pathlib import Path
from statistics import median

from rag_app.models.embeddings.base import DocumentEmbeddings
from rag_app.models.registry import load_embeddings
from rag_app.settings import DEFAULTS

LENGTHS = (300, 600)
"""Characters of the passages."""
PASSAGES = 16
REPEATS = 20
ROUNDS = 3


def seconds(embeddings: DocumentEmbeddings, texts: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processor for one text."""
    clock, processor = time.perf_counter(), time.process_time()
    embeddings.embed_array(texts)
    taken = time.perf_counter() - clock, time.process_time() - processor
    return taken[0] / len(texts), taken[1] / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    news = (parser.parse_args().data / "news" / "news_2023.txt").read_text(encoding="utf-8")
    articles = [line for line in news.splitlines() if len(line) >= max(LENGTHS)]
    default, static = load_embeddings(DEFAULTS.embedding, threads=1), load_embeddings("static")
    static.embed_array([text[: max(LENGTHS)] for text in articles[:64]])
    default.embed_array(["…"])
    print(f"{'characters':<12}{'ONNX/s':>8}{'static/s':>10}{'times':>7}{'… processor':>13}")
    for length in LENGTHS:
        texts = [text[:length] for text in articles[:PASSAGES]]
        rounds = [
            (seconds(default, texts), seconds(static, texts * REPEATS)) for _ in range(ROUNDS)
        ]
        onnx, ours = (median(pair[i][0] for pair in rounds) for i in (0, 1))
        cpu = [median(pair[i][1] for pair in rounds) for i in (0, 1)]
        row = f"{length:<12}{1 / onnx:>8.1f}{1 / ours:>10.0f}{onnx / ours:>7.0f}"
        print(f"{row}{cpu[0] / cpu[1]:>13.0f}", flush=True)


if __name__ == "__main__":
    main()
