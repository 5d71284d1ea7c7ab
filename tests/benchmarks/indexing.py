"""The encoders of the default embedding model, then `rag-app index` on a news corpus.

First sentence-transformers and ONNX Runtime on the same passages, all on one thread, in turn:
medians, and how near the vectors are to sentence-transformers'. Then the index against
sentence-transformers alone on the same chunks, in turn on batches of documents. Times are the
processor's, so that what else the machine does counts little. Memory is this process's resident
set, read after each batch.
    python -m tests.benchmarks.indexing [--data ../shared/data] [--limit N] [--encoders-only]
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from model_prep.catalog.entry import EncoderDtype
from rag_app import RagApp
from rag_app.models.embeddings.sentence_transformers import SentenceTransformerEmbeddings
from rag_app.models.registry import load_embeddings
from rag_app.settings import DEFAULTS
from tests.memory import resident_bytes

BATCHES = 8
ROUNDS = 5
LENGTHS = (300, 600)
"""Characters of the passages that encoders are given."""
PASSAGES = 16
DTYPES: tuple[EncoderDtype, ...] = ("float32", "int8")


def bare(embeddings: SentenceTransformerEmbeddings, texts: list[str]) -> float:
    """Processor seconds that sentence-transformers takes for ``texts``, called directly."""
    prefixed = [embeddings.passage_prefix + text for text in texts]
    start = time.process_time()
    embeddings.model.encode(
        prefixed,
        batch_size=embeddings.batch_size,
        normalize_embeddings=True,
        show_progress_bar=False,
    )
    return time.process_time() - start


def encoders(articles: list[str]) -> None:
    """Print the passages a second of each encoder."""
    import torch

    torch.set_num_threads(1)
    loaded = {
        f"ONNX Runtime {dtype}": load_embeddings(DEFAULTS.embedding, dtype=dtype, threads=1)
        for dtype in DTYPES
    }
    exact = loaded["ONNX Runtime float32"]
    assert isinstance(exact, SentenceTransformerEmbeddings)
    print(f"{'encoder':<24}{'characters':>11}{'passages/s':>13}{'time':>8}{'cosine':>9}")
    for length in LENGTHS:
        texts = [text[:length] for text in articles if len(text) >= max(LENGTHS)][:PASSAGES]
        prefixed = [exact.passage_prefix + text for text in texts]
        reference = exact.model.encode(prefixed, normalize_embeddings=True)
        seconds: dict[str, list[float]] = {"sentence-transformers": []}
        for _ in range(ROUNDS):
            seconds["sentence-transformers"].append(bare(exact, texts))
            for name, embeddings in loaded.items():
                start = time.process_time()
                embeddings.embed_array(texts)
                seconds.setdefault(name, []).append(time.process_time() - start)
        for name, times in seconds.items():
            theirs = seconds["sentence-transformers"]
            ratio = median(ours / other for ours, other in zip(times, theirs, strict=True))
            found = loaded[name].embed_array(texts) if name in loaded else reference
            cosine = (found * reference).sum(axis=1).min()
            rate = len(texts) / median(times)
            print(f"{name:<24}{length:>11}{rate:>13.1f}{ratio:>8.2f}{cosine:>9.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--encoders-only", action="store_true")
    options = parser.parse_args()
    news = (options.data / "news" / "news_2023.txt").read_text(encoding="utf-8").splitlines()
    articles = [line for line in news if line.strip()][: options.limit]
    encoders(articles)
    if options.encoders_only:
        return
    with tempfile.TemporaryDirectory() as folder:
        app = RagApp(index=str(Path(folder) / "index"), threads=1)
        embeddings = app.embeddings
        assert isinstance(embeddings, SentenceTransformerEmbeddings)
        bare(embeddings, articles[:4])
        ratios: list[float] = []
        chunks = 0
        size = -(-len(articles) // BATCHES)
        print(f"{'articles':>9}{'chunks':>8}{'index s':>9}{'bare s':>9}{'ratio':>7}{'MB':>7}")
        for begin in range(0, len(articles), size):
            batch = Path(folder) / f"batch{begin:05}"
            batch.mkdir()
            for number, text in enumerate(articles[begin : begin + size], begin):
                (batch / f"{number:05}.txt").write_text(text, encoding="utf-8")
            start = time.process_time()
            report = app.index([batch])
            ours = time.process_time() - start
            assert not report.failed
            chunks += report.chunks
            with app.store.read() as snapshot:
                sources = [one.source for one in snapshot.documents() if str(batch) in one.source]
                texts = [chunk.text for source in sources for chunk in snapshot.chunks_of(source)]
            theirs = bare(embeddings, texts)
            ratios.append(ours / theirs)
            done = min(begin + size, len(articles))
            line = f"{done:>9}{chunks:>8}{ours:>9.1f}{theirs:>9.1f}{ratios[-1]:>7.3f}"
            print(f"{line}{resident_bytes() / 2**20:>7.0f}", flush=True)
        app.close()
    print(f"median ratio of {len(ratios)} batches: {median(ratios):.3f}")


if __name__ == "__main__":
    main()
