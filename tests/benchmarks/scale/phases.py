"""What is measured, each in a process of its own: building, opening, searching, changing."""

import itertools
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from rag_app import RagApp
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.search.faiss_cache import FaissCache, Limits
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from rag_app.index.store.transaction import Transaction
from rag_app.models.embeddings.base import FloatArray
from tests.benchmarks.scale.corpus import PASSAGES_OF_A_DOCUMENT, Corpus, CorpusEmbeddings
from tests.memory import resident_bytes

Figures = dict[str, float]

_NEIGHBOURS = 10
_RECALL_QUESTIONS = 200
_WARM_UP = 50
_CHANGES = 10
_TOGETHER = 50
"""Documents."""


def build(corpus: Corpus, folder: Path, passages: int) -> Figures:
    """Write the documents that the index lacks, fifty in a transaction.

    Embedding is not in the time: vectors are made while the clock stands still.
    """
    embeddings, store = CorpusEmbeddings(corpus), IndexStore(folder)
    store.create(IndexMeta.of(embeddings, 600, 100))
    with store.read() as snapshot:
        done = snapshot.count_documents()
    seconds, processor = 0.0, 0.0
    todo = itertools.islice(corpus.documents(passages), done, None)
    with store.locked():
        while group := list(itertools.islice(todo, _TOGETHER)):
            rows = [embeddings.embed_array(texts) for _, texts in group]
            started, at = time.perf_counter(), time.process_time()
            with store.write() as transaction:
                for (source, texts), vectors in zip(group, rows, strict=True):
                    _write(transaction, source, texts, vectors)
            seconds += time.perf_counter() - started
            processor += time.process_time() - at
    return {"documents_seconds": seconds, "documents_cpu_seconds": processor}


def vectors(_: Corpus, folder: Path, __: int) -> Figures:
    """Make the file of vectors from the documents."""
    for file in folder.glob("vectors.*"):
        file.unlink()
    started = time.perf_counter()
    stamp = FaissCache(IndexStore(folder)).refresh()
    return {"vectors_seconds": time.perf_counter() - started, "vectors_recall": stamp.recall}


def opening(corpus: Corpus, folder: Path, _: int) -> Figures:
    """Answer the first question of a process."""
    embeddings = CorpusEmbeddings(corpus)
    started = time.perf_counter()
    HybridRetriever(store=IndexStore(folder), embedding=embeddings).invoke(
        corpus.texts.questions[0]
    )
    return {"open_seconds": time.perf_counter() - started}


def searching(corpus: Corpus, folder: Path, _: int) -> Figures:
    """Ask every question, once each."""
    retriever = HybridRetriever(store=IndexStore(folder), embedding=CorpusEmbeddings(corpus), k=5)
    times, processor, first = [], [], 0
    for number, question in enumerate(corpus.texts.questions):
        started, at = time.perf_counter(), time.process_time()
        found = retriever.invoke(question)
        times.append(time.perf_counter() - started)
        processor.append(time.process_time() - at)
        gold = corpus.texts.passages[corpus.texts.golds[number]]
        first += bool(found) and found[0].page_content == gold
    wall = np.percentile(times[_WARM_UP:], (50, 99)) * 1000
    cpu = np.percentile(processor[_WARM_UP:], (50, 99)) * 1000
    return {
        "p50_ms": wall[0],
        "p99_ms": wall[1],
        "p50_cpu_ms": cpu[0],
        "p99_cpu_ms": cpu[1],
        "r_at_1": first / len(times),
    }


def recall(corpus: Corpus, folder: Path, _: int) -> Figures:
    """Compare the dense search with an exact one over all vectors of the store."""
    store = IndexStore(folder)
    step = max(1, len(corpus.question_vectors) // _RECALL_QUESTIONS)
    questions = corpus.question_vectors[::step]
    best = _exact(store, questions)
    searched = FaissVectorStore(store, CorpusEmbeddings(corpus))
    hits, times = 0, []
    for question, wanted in zip(questions, best, strict=True):
        started = time.perf_counter()
        with searched.nearest(question, _NEIGHBOURS) as (_snapshot, found):
            hits += len(wanted & found.keys())
        times.append(time.perf_counter() - started)
    return {"recall_at_10": hits / best_count(best), "dense_p50_ms": median(times) * 1000}


def best_count(best: list[set[int]]) -> int:
    """Return how many neighbours there are to be found."""
    return sum(map(len, best))


def changing(corpus: Corpus, folder: Path, _: int) -> Figures:
    """Add a file of ten passages, ten times, as `index` does; then remove each as `remove` does."""
    embeddings = CorpusEmbeddings(corpus)
    added, removed, searched = [], [], []
    # Of another seed at each call: what was removed is not to be found again.
    documents = corpus.documents(_CHANGES * PASSAGES_OF_A_DOCUMENT, seed=time.time_ns())
    with TemporaryDirectory() as texts:
        files = []
        for number, (_name, passages) in enumerate(documents):
            path = Path(texts) / f"{number}.txt"
            path.write_text("\n\n".join(passages), encoding="utf-8")
            files.append(str(path))
        for file in files:
            started = time.perf_counter()
            report = index_paths([file], store=IndexStore(folder), embedding=embeddings)
            added.append(time.perf_counter() - started)
            assert report.added == 1
        app = RagApp(index=str(folder), embeddings=embeddings)
        for file in files:
            started = time.perf_counter()
            app.remove([file])
            removed.append(time.perf_counter() - started)
            started = time.perf_counter()
            app.retrieve("李白是怎样去世的？")
            searched.append(time.perf_counter() - started)
    return {
        "add_seconds": median(added),
        "add_most_seconds": max(added),
        "remove_seconds": median(removed),
        "remove_most_seconds": max(removed),
        "search_after_seconds": median(searched[1:]),
    }


def merging(corpus: Corpus, folder: Path, _: int) -> Figures:
    """Write the vectors of one more document into the file, as is done after many changes."""
    embeddings, store = CorpusEmbeddings(corpus), IndexStore(folder)
    (name, texts), *_others = corpus.documents(PASSAGES_OF_A_DOCUMENT, seed=time.time_ns())
    with store.write() as transaction:
        _write(transaction, name, texts, embeddings.embed_array(texts))
    started = time.perf_counter()
    FaissCache(store, limits=Limits(changes=0, here=sys.maxsize)).refresh()
    return {"merge_seconds": time.perf_counter() - started}


def status(corpus: Corpus, folder: Path, _: int) -> Figures:
    """List the documents, and say what there is."""
    app = RagApp(index=str(folder), embeddings=CorpusEmbeddings(corpus))
    started = time.perf_counter()
    app.status()
    between = time.perf_counter()
    app.documents()
    ended = time.perf_counter()
    return {"status_seconds": between - started, "docs_seconds": ended - between}


PHASES: dict[str, Callable[[Corpus, Path, int], Figures]] = {
    phase.__name__: phase
    for phase in (build, vectors, opening, searching, recall, changing, merging, status)
}


def measured(phase: str, corpus: Corpus, folder: Path, passages: int) -> Figures:
    """Run a phase in this process and add its peak memory."""
    base = resident_bytes() / 2**20
    figures = PHASES[phase](corpus, folder, passages)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**figures, f"{phase}_peak_mb": peak, f"{phase}_base_mb": base}


def _write(transaction: Transaction, source: str, texts: list[str], rows: FloatArray) -> None:
    chunks, start = [], 0
    for text in texts:
        chunks.append(ChunkRecord(text, start, start + len(text)))
        start += len(text) + 1
    record = DocumentRecord(source, content_hash=source, settings="{}", characters=start)
    transaction.replace_document(record, chunks, rows)


def _exact(store: IndexStore, questions: FloatArray) -> list[set[int]]:
    scores = np.full((len(questions), _NEIGHBOURS), -np.inf, np.float32)
    best = np.full((len(questions), _NEIGHBOURS), -1, np.int64)
    with store.read() as snapshot:
        for ids, rows in snapshot.vectors(batch=8192):
            both = np.concatenate([scores, questions @ rows.T], axis=1)
            names = np.concatenate([best, np.broadcast_to(ids, (len(questions), len(ids)))], axis=1)
            order = np.argpartition(-both, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]
            scores = np.take_along_axis(both, order, axis=1)
            best = np.take_along_axis(names, order, axis=1)
    return [set(row.tolist()) - {-1} for row in best]
