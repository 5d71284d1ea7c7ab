"""The same news indexed by one process and by Ray's workers, in turn, by the default model.

Each engine uses all cores: the one as threads, the other as workers of one thread. Ray's start, of
itself and of its workers, is a part of its time. What a first run of one document takes is nearly
that, and taken off for the second figure.
    python -m tests.benchmarks.scale.ray [--articles 60] [--data ../shared/data]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from rag_app import RagApp
from rag_app.settings import EngineKind
from rag_app.surroundings import physical_cores

ENGINES: tuple[EngineKind, ...] = ("local", "ray")


def indexed(index: Path, paths: list[Path], engine: EngineKind) -> tuple[int, float]:
    """Return how many passages were indexed, and in how many seconds."""
    with RagApp(index=str(index)) as app:
        started = time.perf_counter()
        report = app.index(paths, engine=engine)
        assert not report.failed
        return report.chunks, time.perf_counter() - started


def vectors(index: Path) -> np.ndarray:
    """Return the vectors of an index by document and place, float32 ``[passages, dimension]``."""
    with RagApp(index=str(index)) as app, app.store.read() as snapshot:
        sources = [document.source for document in snapshot.documents()]
        ids = [chunk.id for source in sources for chunk in snapshot.chunks_of(source)]
        found = snapshot.vectors_of(ids)
    return np.array([found[number] for number in ids])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=60)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    news = (options.data / "news" / "news_2023.txt").read_text(encoding="utf-8").splitlines()
    articles = [line for line in news if line.strip()][: options.articles]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / f"{number:05}.txt" for number in range(len(articles))]
        for file, text in zip(files, articles, strict=True):
            file.write_text(text, encoding="utf-8")
        rates: dict[str, tuple[float, float]] = {}
        print(f"{physical_cores()} cores, {len(files)} articles")
        for engine in ENGINES:
            _, start = indexed(folder / f"start-{engine}", files[:1], engine)
            passages, seconds = indexed(folder / engine, files, engine)
            rates[engine] = passages / seconds, passages / max(seconds - start, 0.1)
            print(
                f"{engine:<6}{passages:>7} passages{seconds:>8.1f} s, one document{start:>7.1f} s;"
                f" {rates[engine][0]:.2f} passages a second, {rates[engine][1]:.2f} without start",
                flush=True,
            )
        difference = float(np.abs(vectors(folder / "local") - vectors(folder / "ray")).max())
    whole, running = (ray / local for ray, local in zip(rates["ray"], rates["local"], strict=True))
    print(f"Ray does {whole:.2f} of one process, {running:.2f} without start;", end=" ")
    print(f"vectors differ by {difference:.1e} at most")


if __name__ == "__main__":
    main()
