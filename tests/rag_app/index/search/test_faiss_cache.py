import json
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

from rag_app.index.search import faiss_cache as derived_module
from rag_app.index.search.faiss_cache import DerivedVectors
from rag_app.index.store.records import ChunkRecord, DocumentRecord
from rag_app.index.store.store import IndexStore


def _nearest(derived: DerivedVectors, embedding, question: str, k: int = 3) -> list[int]:
    vector = np.array(embedding.embed_query(question), np.float32)
    with derived.searched(vector, k) as (_, found):
        return [number for number, _ in found]


@pytest.fixture
def built(monkeypatch):
    """How often an index was built from the vectors in the store."""
    calls: list[str] = []
    for name in ("build_exact", "build_approximate"):
        real = getattr(derived_module, name)

        def count(*arguments, name=name, real=real):
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(derived_module, name, count)
    return calls


def test_search_is_exact(store: IndexStore, embedding):
    with store.read() as snapshot:
        ((ids, vectors),) = snapshot.vectors()
    question = np.array(embedding.embed_query("李白捞月"), np.float32)
    cosines = vectors @ question
    with DerivedVectors(store).searched(question, 4) as (_, found):
        assert [number for number, _ in found] == ids[np.argsort(-cosines)[:4]].tolist()
        np.testing.assert_allclose([score for _, score in found], np.sort(cosines)[::-1][:4], 1e-5)


def test_the_file_is_used_again(store: IndexStore, embedding, built):
    DerivedVectors(store).refresh()
    _nearest(DerivedVectors(store), embedding, "李白")
    assert built == ["build_exact"]


def _deleted(folder: Path) -> None:
    (folder / "vectors.faiss").unlink()


def _stampless(folder: Path) -> None:
    (folder / "vectors.json").unlink()


def _odd_stamp(folder: Path) -> None:
    (folder / "vectors.json").write_text('{"kind": "exact"}')


def _truncated(folder: Path) -> None:
    data = (folder / "vectors.faiss").read_bytes()
    (folder / "vectors.faiss").write_bytes(data[:-10])


def _flipped(folder: Path) -> None:
    data = bytearray((folder / "vectors.faiss").read_bytes())
    data[200] ^= 1
    (folder / "vectors.faiss").write_bytes(bytes(data))


def _garbage(folder: Path) -> None:
    (folder / "vectors.faiss").write_bytes(b"IxMp" + b"\xff" * 100)


@pytest.mark.parametrize(
    "damage", [_deleted, _stampless, _odd_stamp, _truncated, _flipped, _garbage]
)
def test_a_damaged_file_is_never_read_and_is_made_anew(store: IndexStore, embedding, built, damage):
    DerivedVectors(store).refresh()
    good = (store.folder / "vectors.faiss").read_bytes()
    damage(store.folder)
    assert _nearest(DerivedVectors(store), embedding, "传说李白醉后捞月而死。", 1) == [2]
    assert built == ["build_exact"] * 2
    assert (store.folder / "vectors.faiss").read_bytes() == good


def test_a_stale_file_is_brought_up_without_building(store: IndexStore, embedding, put, built):
    DerivedVectors(store).refresh()
    put(store, "李白.txt", ["静夜思", "将进酒"])
    assert _nearest(DerivedVectors(store), embedding, "将进酒", 10)[0] == 8
    assert built == ["build_exact"]
    updated = (store.folder / "vectors.faiss").read_bytes()
    (store.folder / "vectors.faiss").unlink()
    DerivedVectors(store).refresh()
    assert (store.folder / "vectors.faiss").read_bytes() == updated


def test_a_living_index_follows_its_store(store: IndexStore, embedding, put, built):
    derived = DerivedVectors(store)
    assert _nearest(derived, embedding, "将进酒")
    stamp = (store.folder / "vectors.json").read_text()
    put(store, "新.txt", ["将进酒"])
    assert _nearest(derived, embedding, "将进酒", 1) == [7]
    with store.write() as transaction:
        transaction.delete_document("新.txt")
    assert 7 not in _nearest(derived, embedding, "将进酒", 10)
    assert built == ["build_exact"]
    assert (store.folder / "vectors.json").read_text() == stamp
    derived.refresh()
    assert (store.folder / "vectors.json").read_text() != stamp


def test_a_restored_copy_is_another_line_of_descent(
    store: IndexStore, embedding, put, built, tmp_path
):
    store.close()
    copy = tmp_path / "copy.sqlite3"
    shutil.copy(store.path, copy)
    put(store, "甲.txt", ["静夜思"])
    DerivedVectors(store).refresh()
    store.close()
    shutil.copy(copy, store.path)
    put(store, "乙.txt", ["将进酒"])  # the same generation number and the same chunk id
    assert _nearest(DerivedVectors(store), embedding, "将进酒", 1) == [7]
    with DerivedVectors(store).searched(
        np.array(embedding.embed_query("将进酒"), np.float32), 1
    ) as (_, ((_, cosine),)):
        assert cosine == pytest.approx(1)
    assert built == ["build_exact"] * 2


def test_an_empty_index_finds_nothing(empty: IndexStore, embedding):
    assert _nearest(DerivedVectors(empty), embedding, "李白") == []


def test_what_a_killed_process_left_is_swept_up(store: IndexStore):
    (store.folder / "vectors.faiss.0123.new").write_bytes(b"half")
    DerivedVectors(store).refresh()
    assert list(store.folder.glob("*.new")) == []


def _put_random(store: IndexStore, source: str, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, 64))
    vectors = centres[rng.integers(20, size=count)] + 0.5 * rng.standard_normal((count, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = [ChunkRecord(f"第{number}段", 0, 1) for number in range(count)]
    with store.write() as transaction:
        record = DocumentRecord(source, "0", "{}")
        transaction.replace_document(record, chunks, vectors.astype(np.float32))


def test_above_the_limit_search_is_approximate_and_says_how_good(empty: IndexStore, built):
    _put_random(empty, "a", 2000, 0)
    approximate, exact = DerivedVectors(empty, exact_limit=1000), DerivedVectors(empty)
    stamp = approximate.refresh()
    assert (stamp.kind, stamp.trained) == ("approximate", 2000)
    assert 0.97 <= stamp.recall <= 1
    assert json.loads((empty.folder / "vectors.json").read_text())["recall"] == stamp.recall
    assert approximate._index.nprobe < approximate._index.nlist
    with empty.read() as snapshot:
        ((_, queries),) = snapshot.vectors(np.arange(1, 101))
    hits = 0
    for query in queries:
        with approximate.searched(query, 10) as (_, found), exact.searched(query, 10) as (_, best):
            hits += len({number for number, _ in found} & {number for number, _ in best})
    assert hits / 1000 >= 0.95


def test_an_approximate_index_follows_its_store_until_it_is_outgrown(empty: IndexStore, built):
    _put_random(empty, "a", 1500, 0)
    DerivedVectors(empty, exact_limit=1000).refresh()
    _put_random(empty, "a", 1200, 1)
    derived = DerivedVectors(empty, exact_limit=1000)
    assert derived.refresh().trained == 1500
    with empty.read() as snapshot:
        np.testing.assert_array_equal(
            np.sort(derived_module._ids(derived._index)), snapshot.chunk_ids()
        )
    assert built == ["build_approximate"]
    _put_random(empty, "b", 2000, 2)
    assert derived.refresh().trained == 3200
    with empty.write() as transaction:
        transaction.delete_document("b")
        transaction.delete_chunks(list(range(1501, 1900)))
    assert derived.refresh().kind == "exact"
    assert built == ["build_approximate", "build_approximate", "build_exact"]


def test_faiss_errors_on_writing_leave_an_index_in_memory(
    store: IndexStore, embedding, monkeypatch
):
    def full(*arguments):
        raise RuntimeError("write error")

    monkeypatch.setattr(faiss, "write_index", full)
    derived = DerivedVectors(store)
    assert _nearest(derived, embedding, "传说李白醉后捞月而死。", 1) == [2]
    assert not (store.folder / "vectors.faiss").exists()
