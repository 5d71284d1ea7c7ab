"""kill -9 while a document is added, changed or removed, the vectors merged, or all embedded again.

Merges also run in the background, of both indexes, beside all that is done. The same is done to a
copy of the index without interruption. After each kill every document is there whole, as before or
as after, and what is found is what the copy finds before or after, unless a document waits for its
vectors, which its words find already; when the command is run again, it is what the copy finds
after.
    python -m tests.benchmarks.scale.kills [--passages 1e4] [--count 300] [--seed 0]
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rag_app import RagApp
from rag_app.errors import DocumentError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.reembed import reembed
from rag_app.index.search import faiss_cache
from rag_app.index.search.faiss_cache import FaissCache, Limits
from rag_app.index.search.merging import bring_up_to_date
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import FloatArray
from tests.benchmarks.scale.corpus import Corpus, CorpusEmbeddings
from tests.benchmarks.scale.phases import build

Operation = Callable[[Path], None]
Found = list[tuple[str, float]]

_QUESTIONS = 6
_WHOLE_EVERY = 20
"""Kills after which all documents are compared, not only the one that was changed."""
_LIMITS = Limits(changes=200, here=0)
"""Every few commands leave a merge to the background."""
_WEIGHTS = {"add": 40, "change": 19, "remove": 20, "merge": 20, "reembed": 1}
_KILLS_OF_ONE = {"reembed": 12}
"""It takes long, and goes on after each; others are killed once."""


class OtherEmbeddings(CorpusEmbeddings):
    """Those of another model."""

    fingerprint = "scale, reversed"

    def embed_array(self, texts: list[str]) -> FloatArray:  # type: ignore[override]
        """Return the vectors from back to front."""
        return super().embed_array(texts)[:, ::-1].copy()


class Commands:
    """What is done to an index.

    Args:
        corpus: Texts and questions.
        folder: Of the files that are indexed.
        chance: What is done next.
    """

    def __init__(self, corpus: Corpus, folder: Path, chance: random.Random) -> None:
        self._models = [CorpusEmbeddings(corpus), OtherEmbeddings(corpus)]
        self._texts = corpus.documents(10**6, seed=chance.randrange(1, 10**9))
        self._folder, self._chance = folder, chance
        self._files: list[Path] = []
        step = len(corpus.texts.questions) // _QUESTIONS
        self._questions = corpus.texts.questions[::step][:_QUESTIONS]

    def next(self) -> tuple[str, Path, Operation]:
        """Return the name of a command, the file that it is about, and the command."""
        [name] = self._chance.choices([*_WEIGHTS], [*_WEIGHTS.values()])
        if name == "merge":
            return name, self._folder, lambda index: bring_up_to_date(index, Limits(changes=0))
        if name == "reembed":
            self._models.reverse()
            return name, self._folder, self._reembed
        if name == "add" or not self._files:
            file = self._folder / f"{len(list(self._folder.iterdir()))}.txt"
            self._files.append(file)
            return "add", file, self._indexing(file)
        file = self._chance.choice(self._files)
        if name == "change":
            return name, file, self._indexing(file)
        self._files.remove(file)
        return name, file, lambda index: self._remove(index, file)

    def found(self, index: Path) -> list[Found]:
        """Return what each question finds, best first, by a process that has just begun."""
        for model in self._models:
            store = IndexStore(index)
            with store.read() as snapshot:
                if snapshot.meta().fingerprint != model.fingerprint:
                    continue
            search = HybridRetriever(store=store, embedding=model, k=10)
            answers = [search.invoke(question) for question in self._questions]
            store.close()
            return [
                sorted((one.page_content, round(one.metadata["score"], 5)) for one in documents)
                for documents in answers
            ]
        raise AssertionError("the index is of neither model")

    def _indexing(self, file: Path) -> Operation:
        text = "\n\n".join(next(self._texts)[1])
        file.write_text(text, encoding="utf-8")

        def run(index: Path) -> None:
            report = index_paths([str(file)], store=IndexStore(index), embedding=self._models[0])
            assert not report.failed

        return run

    def _remove(self, index: Path, file: Path) -> None:
        with suppress(DocumentError):  # it was removed before the kill
            RagApp(index=str(index), embeddings=self._models[0]).remove([str(file)])

    def _reembed(self, index: Path) -> None:
        reembed(IndexStore(index), self._models[0])
        FaissCache(IndexStore(index)).refresh()


def held(index: Path, source: str) -> tuple[int, int, list[str]]:
    """Return the numbers of documents and passages, and the passages of one document."""
    store = IndexStore(index)
    with store.read() as snapshot:
        texts = [chunk.text for chunk in snapshot.chunks_of(source)]
        found = snapshot.count_documents(), snapshot.count_chunks(), texts
    store.close()
    return found


def waits(index: Path) -> bool:
    """Return whether a document is written and not yet embedded."""
    store = IndexStore(index)
    with store.read() as snapshot:
        found = snapshot.count_waiting()[0] > 0
    store.close()
    return found


def documents(index: Path) -> dict[str, list[str]]:
    """Return the passages of every document; they are compared with the counts that are noted."""
    store, found = IndexStore(index), dict[str, list[str]]()
    with store.read() as snapshot:
        for chunk in snapshot.all_chunks():
            found.setdefault(chunk.source, []).append(chunk.text)
        assert snapshot.count_documents() == len(snapshot.sources()) == len(found)
        assert snapshot.count_chunks() == sum(map(len, found.values()))
    store.close()
    return found


def killed(command: Operation, index: Path, seconds: float) -> bool:
    """Run a command in a process that is killed after some time; return whether it was."""
    child = os.fork()
    if child == 0:
        command(index)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=float, default=1e4)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "rag-app-scale"))
    options = parser.parse_args()
    faiss_cache.LIMITS = _LIMITS
    corpus, chance = Corpus(options.data, options.folder), random.Random(options.seed)
    base = options.folder / f"index-{int(options.passages)}"
    build(corpus, base, int(options.passages))
    statuses, seconds = Counter[str](), dict[str, float]()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        interrupted, whole = Path(folder, "interrupted"), Path(folder, "whole")
        for copy in (interrupted, whole):
            shutil.copytree(base, copy)
        files = Path(folder, "files")
        files.mkdir()
        commands = Commands(corpus, files, chance)
        found = commands.found(whole)
        while (done := _kills(statuses)) < options.count:
            name, file, command = commands.next()
            source = str(file.resolve())
            before = found, held(whole, source)
            started = time.perf_counter()
            command(whole)
            seconds[name] = time.perf_counter() - started
            after = found, there = commands.found(whole), held(whole, source)
            kills = _KILLS_OF_ONE.get(name, 1)
            for _ in range(kills):
                died = killed(command, interrupted, chance.uniform(0, 1.2 * seconds[name] / kills))
                statuses[name if died else "ended before"] += 1
                _check(held(interrupted, source) in (before[1], there), "a half document", statuses)
                if waits(interrupted):
                    statuses["waiting"] += 1
                else:
                    same = commands.found(interrupted) in (before[0], found)
                    _check(same, "another search", statuses)
            command(interrupted)
            same = (commands.found(interrupted), held(interrupted, source)) == after
            _check(same, "another index", statuses)
            if done // _WHOLE_EVERY < _kills(statuses) // _WHOLE_EVERY:
                _check(documents(interrupted) == documents(whole), "other documents", statuses)
            print(f"{name}: {dict(statuses)}", flush=True)
        _check(documents(interrupted) == documents(whole), "other documents", statuses)
    print("no document was lost, doubled or halved, and each search is that of the whole index")


def _kills(statuses: Counter[str]) -> int:
    return statuses.total() - statuses["ended before"] - statuses["waiting"]


def _check(good: bool, what: str, statuses: Counter[str]) -> None:
    if not good:
        sys.exit(f"{what} after {_kills(statuses)} kills: {dict(statuses)}")


if __name__ == "__main__":
    main()
