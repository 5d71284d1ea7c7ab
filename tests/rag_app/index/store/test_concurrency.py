"""Readers and writers at once: threads and processes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_app.errors import IndexStoreError
from rag_app.index.search.faiss_cache import FaissCache
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.store import IndexStore
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact

READER = """
import sys
from rag_app.index.store.store import IndexStore
from rag_app.index.search.vector_store import FaissVectorStore
from tests.rag_app.index.hashing import HashingEmbeddings
vectors = FaissVectorStore(IndexStore(sys.argv[1]), HashingEmbeddings())
print("ready", flush=True)
for line in sys.stdin:
    found = vectors.similarity_search("第几版的内容", 100)
    print(sorted({one.page_content.split()[0] for one in found}), len(found), flush=True)
"""
HOLDER = """
import sys
from rag_app.index.store.store import IndexStore
with IndexStore(sys.argv[1]).locked():
    print("held", flush=True)
    sys.stdin.readline()
"""

WRITER = """
import sys
from rag_app.index.store.store import IndexStore
with IndexStore(sys.argv[1]).write():
    pass
"""


@contextmanager
def process(program: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as started:  # fmt: skip
        try:
            yield started
        finally:
            started.kill()


def _line(started: subprocess.Popen[str], say: str = "") -> str:
    assert started.stdin is not None
    assert started.stdout is not None
    if say:
        started.stdin.write(say + "\n")
        started.stdin.flush()
    return started.stdout.readline().strip()


def _version(number: int) -> list[str]:
    return [f"v{number} 第{part}段 第几版的内容" for part in range(5)]


WRITER = """
import sys
from rag_app.index.store.store import IndexStore
with IndexStore(sys.argv[1]).write():
    pass
"""


def test_readers_in_threads_see_whole_states(empty: IndexStore, put):
    put(empty, "a", _version(0))
    vectors = FaissVectorStore(empty, HashingEmbeddings())
    done = threading.Event()
    wrong: list[object] = []
    reads = [0, 0, 0]

    def read(place: int) -> None:
        try:
            while not done.is_set() or reads[place] == 0:
                found = vectors.similarity_search("第几版的内容", 100)
                versions = {one.page_content.split()[0] for one in found}
                if len(found) != 5 or len(versions) != 1:
                    wrong.append((versions, len(found)))
                reads[place] += 1
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=read, args=[place]) for place in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 30):
        put(empty, "a", _version(number))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert_terms_exact(empty)


@pytest.mark.slow
def test_a_reader_in_another_process_sees_whole_states(empty: IndexStore, put):
    put(empty, "a", _version(0))
    with process(READER, empty.folder) as reader:
        assert _line(reader) == "ready"
        for number in range(3):
            put(empty, "a", _version(number))
            assert _line(reader, "go") == f"['v{number}'] 5"
        with empty.write() as transaction:
            transaction.delete_document("a")
            assert _line(reader, "go") == "['v2'] 5"
        assert _line(reader, "go") == "[] 0"


def test_a_reader_follows_after_another_one_was_opened(store: IndexStore):
    with store.read() as first, store.read() as second:
        before = first.generation().number
        assert second.generation().number == before
    subprocess.run([sys.executable, "-c", WRITER, str(store.folder)], cwd=ROOT, check=True)
    with store.read() as snapshot:
        assert snapshot.generation().number == before + 1


def test_a_second_writer_is_told_who_holds_the_lock(store: IndexStore, put):
    with process(HOLDER, store.folder) as holder:
        assert _line(holder) == "held"
        with pytest.raises(
            IndexStoreError, match=f"written by process {holder.pid} on .+ since 20"
        ):
            put(store, "a", ["b"])
        with store.read() as snapshot:
            assert snapshot.count_documents() == 3
        _line(holder, "done")
        holder.wait()
    put(store, "a", ["b"])
    assert not (store.folder / "writer.json").exists()


def test_a_killed_writer_holds_nothing_back(store: IndexStore, put):
    with process(HOLDER, store.folder) as holder:
        assert _line(holder) == "held"
        holder.kill()
        holder.wait()
        assert json.loads((store.folder / "writer.json").read_text())["pid"] == holder.pid
    put(store, "a", ["b"])


def test_a_second_writer_waits_for_the_first(store: IndexStore, put):
    patient = IndexStore(store.folder, timeout=60)
    with store.locked():
        thread = threading.Thread(target=put, args=[patient, "b", ["后来的"]])
        thread.start()
        put(store, "a", ["先来的"])
        assert thread.is_alive()
    thread.join()
    with store.read() as snapshot:
        assert {"a", "b"} < {document.source for document in snapshot.documents()}


def test_writers_in_threads_take_turns(empty: IndexStore, put):
    store = IndexStore(empty.folder, timeout=60)
    threads = [
        threading.Thread(target=put, args=[store, f"文{number}", [f"第{number}篇"]])
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as snapshot:
        assert snapshot.count_documents() == 8
    assert_terms_exact(store)


def test_the_same_thread_is_told_too(store: IndexStore, put):
    with store.locked(), pytest.raises(IndexStoreError, match="being written by process"):
        put(IndexStore(store.folder, timeout=0.1), "a", ["b"])


def test_two_processes_may_both_save_the_faiss_index(store: IndexStore, put):
    first, second = FaissCache(store), FaissCache(IndexStore(store.folder))
    first.refresh()
    put(store, "a", ["b"])
    second.refresh()
    first.refresh()
    assert (
        FaissVectorStore(store, HashingEmbeddings()).similarity_search("b", 1)[0].metadata["source"]
        == "a"
    )
    assert list(store.folder.glob("*.new")) == []
