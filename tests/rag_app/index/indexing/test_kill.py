"""An index that was killed while it was made equals one that was not."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.reembed import reembed
from rag_app.index.indexing.report import IndexOptions
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.store.store import IndexStore
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest

KILLS = 10
OPTIONS = IndexOptions(chunk_size=60, chunk_overlap=20)

# A fork for each attempt spares the imports. The child is killed by a signal from its parent at
# any moment of the run: within a transaction, between two, or while FAISS is being written.
PROGRAM = """
import os, random, signal, sys, time
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings

texts, folder, seconds = sys.argv[1], sys.argv[2], [float(one) for one in sys.argv[3:]]
for wait in seconds:
    child = os.fork()
    if child == 0:
        options = IndexOptions(chunk_size=60, chunk_overlap=20)
        store, embedding = IndexStore(folder), HashingEmbeddings()
        index_paths([texts], store=store, embedding=embedding, options=options)
        os._exit(0)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def _texts(folder: Path, count: int = 150) -> Path:
    folder.mkdir()
    rng = random.Random(7)
    for number in range(count):
        sentences = (
            f"第{number}篇第{part}句，{rng.random()}。" for part in range(rng.randint(1, 40))
        )
        (folder / f"{number}.txt").write_text("".join(sentences), encoding="utf-8")
    return folder


def _build(texts: Path, folder: Path) -> tuple[IndexStore, float]:
    store = IndexStore(folder)
    report = index_paths([str(texts)], store=store, embedding=HashingEmbeddings(), options=OPTIONS)
    assert not report.failed
    return store, report.seconds


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path: Path):
    texts = _texts(tmp_path / "texts")
    whole, seconds = _build(texts, tmp_path / "whole")
    rng = random.Random()
    moments = [rng.uniform(0, seconds / 4) for _ in range(KILLS)]
    command = [sys.executable, "-c", PROGRAM, str(texts), str(tmp_path / "killed")]
    command += map(str, moments)
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    statuses = run.stdout.split()
    assert len(statuses) == KILLS
    assert "9" in statuses, "every run ended before it was killed"
    killed, _ = _build(texts, tmp_path / "killed")
    assert content_digest(killed) == content_digest(whole), moments
    assert_terms_exact(killed)
    assert list(killed.folder.glob("*.new*")) == []


# The child counts the calls of Python's functions, and kills itself at one of them.
REEMBEDDING = """
import os, shutil, signal, sys
from pathlib import Path
from rag_app.index.indexing import reembed
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings

reembed._BATCH = 16

def calls(folder, last):
    count = 0
    def note(frame, event, argument):
        nonlocal count
        count += event == "call"
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
    store, model = IndexStore(folder), HashingEmbeddings(32, salt="new")
    sys.setprofile(note)
    reembed.reembed(store, model)
    sys.setprofile(None)
    return count

base, kills = Path(sys.argv[1]), int(sys.argv[2])
for name in ("first", "reembedded"):  # the first fills caches
    whole = base.with_name(name)
    shutil.copytree(base, whole)
    total = calls(whole, 0)
for number in range(kills):
    folder = base.with_name(f"killed-{number}")
    shutil.copytree(base, folder)
    child = os.fork()
    if child == 0:
        calls(folder, 1 + number * (total - 1) // (kills - 1))
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""
POINTS = 60


def _found(store: IndexStore, embedding: HashingEmbeddings) -> list[tuple[str, float]]:
    documents = HybridRetriever(store=store, embedding=embedding, k=5).invoke("第3篇第2句")
    return [(one.page_content, round(one.metadata["score"], 5)) for one in documents]


def _change(store: IndexStore, file: Path, embedding: HashingEmbeddings) -> None:
    """Index a file and remove a document, as goes on while an index is embedded again."""
    index_paths([str(file)], store=store, embedding=embedding, options=OPTIONS)
    with store.write() as transaction:
        transaction.delete_document(transaction.sources()[5])


@pytest.mark.slow
def test_embedding_again_is_killed_at_sixty_points(tmp_path: Path):
    texts, old, new = (
        _texts(tmp_path / "texts", 30),
        HashingEmbeddings(),
        HashingEmbeddings(32, "new"),
    )
    base, _ = _build(texts, tmp_path / "base")
    base.close()
    command = [sys.executable, "-c", REEMBEDDING, str(base.folder), str(POINTS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["9"] * POINTS
    whole = IndexStore(tmp_path / "reembedded")
    states = {content_digest(base): _found(base, old), content_digest(whole): _found(whole, new)}
    file = tmp_path / "new.txt"
    file.write_text("第3篇第2句，又来了一篇。", encoding="utf-8")
    changed = IndexStore(shutil.copytree(base.folder, tmp_path / "changed"))
    _change(changed, file, old)
    reembed(changed, new)
    seen, interrupted = set(), 0
    for number in range(POINTS):
        store = IndexStore(tmp_path / f"killed-{number}")
        digest = content_digest(store)
        with store.read() as snapshot:
            is_new, staging = snapshot.meta().fingerprint == new.fingerprint, snapshot.staging()
        assert _found(store, new if is_new else old) == states[digest]
        seen.add(digest)
        interrupted += staging is not None and staging.done > 0
        if number % 2:
            _change(store, file, new if is_new else old)
        reembed(store, new)
        wanted = changed if number % 2 else whole
        assert content_digest(store) == content_digest(wanted)
        assert _found(store, new) == _found(wanted, new)
        assert_terms_exact(store)
        store.close()
    assert seen == {*states}
    assert interrupted > POINTS // 4
