"""Characters a second of the exact tokenizer, and of SentencePiece alone, on the same text.

Run: python -m tests.benchmarks.model_prep.tokenizing [FOLDER OF TEST DATA]
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from model_prep.tokenizer.loading import load_tokenizer
from model_prep.tokenizer.merge import merge_tokenizer
from tests.paths import ROOT

ROUNDS = 7


def main() -> None:
    default = ROOT.parent / "shared" / "data"
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("RAG_APP_TEST_DATA", default))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "tokenizer"
        merge_tokenizer(
            data / "tokenizers" / "llama_tokenizer.model",
            folder,
            chinese_sp_model=data / "tokenizers" / "chinese_sp.model",
        )
        tokenizer = load_tokenizer(folder)
        model = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    articles = (data / "news" / "news_2023.txt").read_text(encoding="utf-8").splitlines()
    lines = [text[at : at + 50] for text in articles for at in range(0, len(text), 50)]
    print(f"characters a second, {os.cpu_count()} cores")
    print(f"{'':44}{'ours':>12}{'SentencePiece':>15}{'ratio':>8}")
    for name, texts in (("articles", articles), ("lines of 50 characters", lines)):
        compare(f"encode {len(texts)} {name}", texts, *encoders(tokenizer, model, texts))
    ids = model.encode(articles)
    compare(
        "decode articles", articles, lambda: tokenizer.batch_decode(ids), lambda: model.decode(ids)
    )
    offsets = tokenizer(articles[:200], return_offsets_mapping=True)
    assert len(offsets["offset_mapping"]) == 200
    seconds = median_seconds(lambda: tokenizer(articles[:200], return_offsets_mapping=True))
    print(
        f"{'encode 200 articles with offsets':44}{sum(map(len, articles[:200])) / seconds:12,.0f}"
    )


def encoders(
    tokenizer: Any, model: SentencePieceProcessor, texts: list[str]
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    assert tokenizer(texts)["input_ids"] == model.encode(texts, add_bos=True)
    return lambda: tokenizer(texts), lambda: model.encode(texts, add_bos=True)


def compare(
    name: str, texts: list[str], ours: Callable[[], Any], theirs: Callable[[], Any]
) -> None:
    """Time both in turn, so that whatever else the machine does meets both."""
    mine, bare = [], []
    for _ in range(ROUNDS):
        mine.append(seconds_of(ours))
        bare.append(seconds_of(theirs))
    size = sum(map(len, texts))
    one, two = size / statistics.median(mine), size / statistics.median(bare)
    print(f"{name:44}{one:12,.0f}{two:15,.0f}{one / two:8.2f}")


def median_seconds(work: Callable[[], Any]) -> float:
    return statistics.median(seconds_of(work) for _ in range(ROUNDS))


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
