"""What every store of an index does: one suite for SQLite with FAISS and for Milvus."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_app.errors import BusyIndexError, EmbeddingMismatchError, IndexStoreError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions
from rag_app.index.milvus.store import MilvusStore
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.conftest import POEMS
from tests.rag_app.index.hashing import HashingEmbeddings

Open = Callable[[], DocumentStore]
EMBEDDING = HashingEmbeddings()
META = IndexMeta(EMBEDDING.name, EMBEDDING.fingerprint, EMBEDDING.dimension, 600, 100)


def open_store(kind: str, folder: Path, name: str = '诗 "1\\%_') -> DocumentStore:
    """An index of a kind, there or not; that of Milvus lies in a file of milvus-lite."""
    if kind == "sqlite":
        return IndexStore(folder / "sqlite", timeout=0.2)
    return MilvusStore(str(folder / "milvus.db"), name, folder / "own", timeout=0.2)


KINDS = ["sqlite", pytest.param("milvus", marks=pytest.mark.slow)]


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    with closing(open_store(request.param, tmp_path)) as store:
        store.create(META)
        yield store


@pytest.fixture
def store(empty: DocumentStore) -> DocumentStore:
    with empty.write() as transaction:
        for source, texts in POEMS.items():
            put(transaction, source, texts)
    return empty


def put(transaction: Any, source: str, texts: list[str]) -> list[int]:
    chunks, start = [], 0
    for text in texts:
        chunks.append(ChunkRecord(text, start, start + len(text), page=1, heading="诗"))
        start += len(text)
    record = DocumentRecord(source, f"hash of {source}", "{}", size=9, notes=("一",))
    ids: list[int] = transaction.replace_document(record, chunks, EMBEDDING.embed_array(texts))
    return ids


def content(store: DocumentStore) -> dict[str, list[tuple[Any, ...]]]:
    """All that an index holds, and its counts."""
    with store.read() as snapshot:
        found = {}
        for document in snapshot.documents():
            chunks = list(snapshot.chunks_of(document.source))
            vectors = snapshot.vectors_of(chunk.id for chunk in chunks)
            found[document.source] = [
                (
                    *(document.content_hash, document.chunks, chunk.text, chunk.start),
                    *(chunk.ordinal, chunk.page, chunk.heading, chunk.key),
                    vectors[chunk.id].round(6).tolist(),
                )
                for chunk in chunks
            ]
            assert len(chunks) == document.chunks
        every = [chunk.id for chunk in snapshot.all_chunks()]
        assert every == sorted(every) == snapshot.ids_where().tolist()
        assert snapshot.count_documents() == len(found)
        assert snapshot.count_chunks() == len(every) == sum(map(len, found.values()))
        return found


def texts(store: DocumentStore) -> dict[str, list[str]]:
    return {source: [row[2] for row in rows] for source, rows in content(store).items()}


def search(store: DocumentStore, question: str, **options: Any) -> list[str]:
    retriever = HybridRetriever(store=store, embedding=EMBEDDING, **options)
    return [found.page_content for found in retriever.invoke(question)]


def test_what_was_put_is_there(store: DocumentStore) -> None:
    assert texts(store) == POEMS
    with store.read() as snapshot:
        assert snapshot.meta() == META
        assert snapshot.sources() == sorted(POEMS)
        document = snapshot.document("李白.txt")
        assert document is not None
        assert (document.size, document.notes, document.chunks) == (9, ("一",), 2)
        assert document.indexed_at
        assert snapshot.document("没有.txt") is None
        assert snapshot.sources_of_hash("hash of 杜甫.txt") == ["杜甫.txt"]
        assert [chunk.ordinal for chunk in snapshot.first_chunks(4)] == [0, 0, 0, 1]
        assert len(snapshot.sample_texts(5)) == 5


def test_replaced_and_removed(store: DocumentStore) -> None:
    with store.write() as transaction:
        put(transaction, "李白.txt", ["李白字太白。"])
        assert transaction.delete_document("其他.txt")
        assert not transaction.delete_document("没有.txt")
    assert texts(store) == {"李白.txt": ["李白字太白。"], "杜甫.txt": POEMS["杜甫.txt"]}
    assert search(store, "醉后捞月", kind="lexical") == []
    with store.write() as transaction:
        put(transaction, "其他.txt", ["龙又来了。"])
        put(transaction, "其他.txt", ["龙来了。"])
    assert search(store, "龙", kind="lexical") == ["龙来了。"]
    assert len(content(store)) == 3


def test_a_renamed_document_keeps_its_vectors(store: DocumentStore) -> None:
    before = content(store)
    with store.write() as transaction:
        transaction.rename_document("李白.txt", "太白.txt")
    after = content(store)
    assert [row[2:] for row in after.pop("太白.txt")] == [row[2:] for row in before.pop("李白.txt")]
    assert after == before


def test_a_block_is_written_whole_or_not_at_all(store: DocumentStore) -> None:
    before = content(store)

    def fail() -> None:
        with store.write() as transaction:
            put(transaction, "新.txt", ["新的。"])
            transaction.delete_document("李白.txt")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert content(store) == before
    with store.write() as transaction:
        put(transaction, "新.txt", ["新的。"])
        transaction.delete_document("李白.txt")
    assert texts(store).keys() == {"新.txt", "杜甫.txt", "其他.txt"}


def test_a_snapshot_is_of_one_state(store: DocumentStore) -> None:
    with store.read() as before:
        with store.locked(), store.write() as transaction:
            put(transaction, "新.txt", ["李白，新的一篇。"])
        assert (before.count_documents(), before.count_chunks()) == (3, 6)
        assert len(before.ids_where()) == 6
        assert before.document_frequency("李白") == 2
        with store.read() as after:
            assert (after.count_documents(), after.count_chunks()) == (4, 7)
            assert after.document_frequency("李白") == 3


def test_terms_are_counted(store: DocumentStore) -> None:
    with store.read() as snapshot:
        counts = {
            term: snapshot.document_frequency(term) for term in ("李白", "龙", "dragon", "白白")
        }
        assert counts == {"李白": 2, "龙": 1, "dragon": 1, "白白": 0}
        found = snapshot.chunks([number for number, _ in snapshot.search_any(["龙", "3"], 9)])
    assert {chunk.text for chunk in found} == set(POEMS["其他.txt"])


@pytest.mark.parametrize("kind", ["hybrid", "dense", "lexical"])
def test_searches_find_the_same_in_the_same_order(
    store: DocumentStore, kind, tmp_path: Path
) -> None:
    other = IndexStore(tmp_path / "other")
    other.create(META)
    with other.write() as transaction:
        for source, passages in POEMS.items():
            put(transaction, source, passages)
    for question in ("李白是怎样死的？", "生于", "金龙", "3.14 metres", "'\"\\ %"):
        here, there = (
            HybridRetriever(store=one, embedding=EMBEDDING, kind=kind, k=6).invoke(question)
            for one in (store, other)
        )
        assert [one.page_content for one in here] == [one.page_content for one in there]
        for name in ("score", "relevance", "start", "end", "source"):
            mine, others = ([one.metadata[name] for one in found] for found in (here, there))
            assert mine == (others if name in {"source"} else pytest.approx(others))


def test_only_some_documents_are_searched(store: DocumentStore) -> None:
    assert set(search(store, "李白", within="杜甫.txt")) == set(POEMS["杜甫.txt"])
    vectors = FaissVectorStore(store, EMBEDDING)
    for wanted in ({"source": ["杜甫.txt", "没有"]}, lambda found: found["source"] == "杜甫.txt"):
        found = vectors.similarity_search("李白", k=9, filter=wanted)
        assert {one.page_content for one in found} == set(POEMS["杜甫.txt"])
    with store.read() as snapshot:
        assert len(snapshot.ids_where(sources=["杜甫.txt", "其他.txt"])) == 4
        assert snapshot.sources_at("李白.txt") == ["李白.txt"]


def test_folders_are_found_by_their_very_names(empty: DocumentStore) -> None:
    names = ["/a_b/1.txt", "/a_b/x\"\\'%.txt", "/axb/1.txt", "/a_b.txt", "/a_b0"]
    with empty.write() as transaction:
        for name in names:
            put(transaction, name, [f"这是{name}。"])
    with empty.read() as snapshot:
        assert snapshot.sources_at("/a_b") == sorted(names[:2])
        assert snapshot.sources_at("/a_b/") == sorted(names[:2])
        assert snapshot.document(names[1]) is not None
        assert snapshot.sources() == sorted(names)


def test_texts_are_added_and_deleted_by_langchains_ids(empty: DocumentStore) -> None:
    vectors = FaissVectorStore(empty, EMBEDDING)
    first = vectors.add_texts(["静夜思", "春望"], [{"source": "诗"}] * 2)
    second = vectors.add_texts(["登高", "月下独酌"], [{"source": "诗"}] * 2, ids=[None, '独"酌'])
    assert [one.page_content for one in vectors.get_by_ids([second[1], first[0]])] == [
        *("月下独酌", "静夜思")
    ]
    assert texts(empty) == {"诗": ["静夜思", "春望", "登高", "月下独酌"]}
    vectors.delete([first[1], second[1]])
    found = vectors.similarity_search("登高", k=9)
    assert [one.page_content for one in found] == ["登高", "静夜思"]
    vectors.add_texts(["春望"], [{"source": "诗"}])
    assert texts(empty) == {"诗": ["静夜思", "登高", "春望"]}
    vectors.delete()
    assert content(empty) == {}


def test_an_index_follows_its_files(empty: DocumentStore, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for source, passages in POEMS.items():
        (folder / source).write_text("\n".join(passages), encoding="utf-8")

    def run(**options: Any) -> tuple[int, ...]:
        report = index_paths(
            [str(folder)], store=empty, embedding=EMBEDDING, options=IndexOptions(**options)
        )
        assert report.failed == []
        return report.added, report.updated, report.renamed, report.removed, report.unchanged

    assert run() == (3, 0, 0, 0, 0)
    assert run() == (0, 0, 0, 0, 3)
    (folder / "李白.txt").write_text("李白，字太白。", encoding="utf-8")
    (folder / "杜甫.txt").rename(folder / "子美.txt")
    (folder / "其他.txt").unlink()
    assert run(prune=True) == (0, 1, 1, 1, 0)
    assert sorted(Path(source).name for source in content(empty)) == ["子美.txt", "李白.txt"]
    assert run(prune=True) == (0, 0, 0, 0, 2)


def test_another_model_is_refused(store: DocumentStore) -> None:
    with pytest.raises(EmbeddingMismatchError, match="hashing"):
        store.check_embedding(HashingEmbeddings(dimension=32, salt="b"))
    with pytest.raises(EmbeddingMismatchError, match="64 numbers"), store.write() as transaction:
        transaction.replace_document(
            DocumentRecord("x", "", "{}"), [ChunkRecord("一", 0, 1)], np.ones((1, 3), np.float32)
        )


def test_what_is_not_there_is_said(request, tmp_path: Path) -> None:
    for kind in ("sqlite", "milvus"):
        with closing(open_store(kind, tmp_path)) as store:
            assert not store.exists()
            with pytest.raises(IndexStoreError, match="no index"):
                store.check_exists()
            with pytest.raises(IndexStoreError, match="no index"), store.read():
                pass


def test_one_writer_at_a_time(request, tmp_path: Path) -> None:
    from threading import Thread

    for kind in ("sqlite", "milvus"):
        with (
            closing(open_store(kind, tmp_path)) as first,
            closing(open_store(kind, tmp_path)) as one,
        ):
            first.create(META)
            caught: list[Exception] = []

            def write(second: DocumentStore = one, caught: list[Exception] = caught) -> None:
                try:
                    with second.locked():
                        pass
                except BusyIndexError as error:
                    caught.append(error)

            with first.locked():
                thread = Thread(target=write)
                thread.start()
                thread.join()
            assert "being written" in str(caught[0])


@pytest.mark.parametrize("kind", KINDS)
def test_terms_of_an_earlier_version_are_made_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = {"sqlite": "rag_app.index.store", "milvus": "rag_app.index.milvus"}
    with closing(open_store(kind, tmp_path)) as store:
        with monkeypatch.context() as patch:
            patch.setattr(f"{rooms[kind]}.transaction.document_terms", lambda text: "old")
            for file in ("transaction", "store"):
                patch.setattr(f"{rooms[kind]}.{file}.lexical_version", lambda: "old", raising=False)
            store.create(META)
            with store.write() as transaction:
                put(transaction, "李白.txt", POEMS["李白.txt"])
            before = content(store)
            assert search(store, "青莲居士", kind="lexical") == []
        with store.write() as transaction:
            put(transaction, "杜甫.txt", POEMS["杜甫.txt"])
        assert search(store, "青莲居士", kind="lexical") == POEMS["李白.txt"][:1]
        assert content(store)["李白.txt"] == before["李白.txt"]


def test_of_two_machines_the_later_one_writes(tmp_path: Path) -> None:
    uri = str(tmp_path / "milvus.db")
    with (
        closing(MilvusStore(uri, "poets", tmp_path / "one")) as first,
        closing(MilvusStore(uri, "poets", tmp_path / "two")) as second,
    ):
        first.create(META)

        def taken_over() -> None:
            with first.locked():
                with first.write() as transaction:
                    put(transaction, "李白.txt", POEMS["李白.txt"])
                with second.write() as transaction:
                    put(transaction, "杜甫.txt", POEMS["杜甫.txt"])
                with first.write() as transaction:
                    put(transaction, "其他.txt", POEMS["其他.txt"])

        with pytest.raises(BusyIndexError, match="another program"):
            taken_over()
        assert texts(second) == {name: POEMS[name] for name in ("李白.txt", "杜甫.txt")}
        with first.write() as transaction:
            put(transaction, "其他.txt", POEMS["其他.txt"])
        assert texts(second) == POEMS


def test_indexes_of_one_milvus_do_not_see_each_other(tmp_path: Path) -> None:
    with (
        closing(open_store("milvus", tmp_path, "a")) as one,
        closing(open_store("milvus", tmp_path, "b")) as other,
    ):
        for store, source in ((one, "李白.txt"), (other, "杜甫.txt")):
            store.create(META)
            with store.write() as transaction:
                put(transaction, source, POEMS[source])
        with one.write() as transaction:
            transaction.delete_document("李白.txt")
        assert content(one) == {}
        assert search(one, "杜甫") == []
        assert texts(other) == {"杜甫.txt": POEMS["杜甫.txt"]}


def test_a_reader_of_an_earlier_state_finds_what_was_replaced(store: DocumentStore) -> None:
    """Also in Milvus, where another process may replace it between two requests of a search."""
    with store.read() as earlier:
        for number in range(3):
            with store.write() as transaction:
                put(transaction, "李白.txt", [f"李白，第{number}版。"])
        (found, *_) = earlier.search_any(["青莲"], 1)
        assert [chunk.text for chunk in earlier.chunks([found[0]])] == [POEMS["李白.txt"][0]]
    assert texts(store)["李白.txt"] == ["李白，第2版。"]


def test_what_was_replaced_is_deleted_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    def count() -> int:
        name = f"rag_app_passages_{EMBEDDING.dimension}"
        found = MilvusClient(str(tmp_path / "milvus.db")).query(name, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    with closing(open_store("milvus", tmp_path)) as store:
        store.create(META)
        for _ in range(4):
            with store.write() as transaction:
                put(transaction, "李白.txt", POEMS["李白.txt"])
        assert count() > 2
        monkeypatch.setattr("rag_app.index.milvus.store._READING_SECONDS", 0)
        for _ in range(2):
            with store.locked():
                pass
        assert count() == 2
        assert texts(store) == {"李白.txt": POEMS["李白.txt"]}


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from tests.rag_app.index.test_contract import change, open_store

kind, folder, left = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def count(frame, event, argument):
    global left
    name = frame.f_code.co_filename
    if event == "call" and ("/rag_app/index/" in name or "/milvus_lite/" in name):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

store = open_store(kind, folder)
threading.setprofile(count)
sys.setprofile(count)
change(store)
sys.setprofile(None)
print(left)
"""
KILLED_AT = (0.3, 0.6, 0.9)
"""Parts of the work."""
LI_BAI = ["李白，字太白。", "青莲居士。", "病逝于当涂。"]
STATES = [
    POEMS,
    {**POEMS, "李白.txt": LI_BAI},
    {**POEMS, "李白.txt": LI_BAI, "新.txt": ["新的一篇。"]},
    {"李白.txt": LI_BAI, "杜甫.txt": POEMS["杜甫.txt"], "新.txt": ["新的一篇。"]},
]
"""What the index holds before each step of `change`, and after them."""


def change(store: DocumentStore) -> None:
    with store.locked():
        with store.write() as transaction:
            put(transaction, "李白.txt", LI_BAI)
        with store.write() as transaction:
            put(transaction, "新.txt", ["新的一篇。"])
        with store.write() as transaction:
            transaction.delete_document("其他.txt")


def killed_after(calls: int, kind: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", KILLED, kind, str(folder), str(calls)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_moment_documents_are_whole(kind: str, tmp_path: Path) -> None:
    def begun(name: str) -> Path:
        folder = tmp_path / name
        with closing(open_store(kind, folder)) as store:
            store.create(META)
            with store.write() as transaction:
                for source, passages in POEMS.items():
                    put(transaction, source, passages)
        return folder

    whole = begun("whole")
    calls = 10**9 - int(killed_after(10**9, kind, whole).stdout)
    with closing(open_store(kind, whole)) as store:
        wanted = content(store)
        assert texts(store) == STATES[-1]
    for part in KILLED_AT:
        folder = begun(str(part))
        assert killed_after(int(part * calls), kind, folder).returncode == -9
        with closing(open_store(kind, folder)) as store:
            assert texts(store) in STATES
            change(store)
            assert content(store) == wanted
            assert search(store, "太白是谁？", k=2)[0] == LI_BAI[0]


def test_langchains_own_milvus_reads_the_same_collection(tmp_path: Path) -> None:
    from langchain_milvus import Milvus

    with closing(open_store("milvus", tmp_path, "poets")) as store:
        store.create(META)
        with store.write() as transaction:
            for source, passages in POEMS.items():
                put(transaction, source, passages)
        found = Milvus(
            EMBEDDING,
            collection_name=f"rag_app_passages_{EMBEDDING.dimension}",
            connection_args={"uri": str(tmp_path / "milvus.db")},
            primary_field="id",
            text_field="text",
            vector_field="vector",
        ).similarity_search("传说李白醉后捞月而死。", k=1, expr='index == "poets"')
    assert [one.page_content for one in found] == POEMS["李白.txt"][1:]
