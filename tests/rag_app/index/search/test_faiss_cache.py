import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from rag_app.index.search import faiss_cache as cache_module
from rag_app.index.search.faiss_cache import FaissCache, Limits
from rag_app.index.search.faiss_index import held_ids
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.stored import put_random


def _nearest(cache: FaissCache, embedding, question: str, k: int = 3) -> list[int]:
    vector = np.array(embedding.embed_query(question), np.float32)
    with cache.search(vector, k) as (_, found):
        return list(found)


@pytest.fixture
def built(monkeypatch):
    """How often an index was built from the vectors in the store."""
    calls: list[str] = []
    for name in ("build_exact", "build_approximate"):
        real = getattr(cache_module, name)

        def count(*arguments, name=name, real=real):
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(cache_module, name, count)
    return calls


def test_search_is_exact(store: IndexStore, embedding):
    with store.read() as snapshot:
        ((ids, vectors),) = snapshot.vectors()
    question = np.array(embedding.embed_query("李白捞月"), np.float32)
    cosines = vectors @ question
    with FaissCache(store).search(question, 4) as (_, found):
        assert list(found) == ids[np.argsort(-cosines)[:4]].tolist()
        np.testing.assert_allclose([*found.values()], np.sort(cosines)[::-1][:4], 1e-5)


def test_the_file_is_used_again(store: IndexStore, embedding, built):
    FaissCache(store).refresh()
    _nearest(FaissCache(store), embedding, "李白")
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
def test_a_damaged_file_is_never_read_and_is_made_anew(
    store: IndexStore, embedding, built, damage, caplog
):
    FaissCache(store).refresh()
    good = (store.folder / "vectors.faiss").read_bytes()
    damage(store.folder)
    assert _nearest(FaissCache(store), embedding, "传说李白醉后捞月而死。", 1) == [2]
    assert built == ["build_exact"] * 2
    assert (store.folder / "vectors.faiss").read_bytes() == good
    missing = damage in (_deleted, _stampless)  # which is no damage
    assert [record.levelname for record in caplog.records] == [] if missing else ["WARNING"]
    assert missing or "vectors.faiss can't be used" in caplog.text


def test_a_stale_file_is_brought_up_without_building(store: IndexStore, embedding, put, built):
    FaissCache(store).refresh()
    put(store, "李白.txt", ["静夜思", "将进酒"])
    assert _nearest(FaissCache(store), embedding, "将进酒", 10)[0] == 8
    assert built == ["build_exact"]
    updated = (store.folder / "vectors.faiss").read_bytes()
    (store.folder / "vectors.faiss").unlink()
    FaissCache(store).refresh()
    assert (store.folder / "vectors.faiss").read_bytes() == updated


def test_a_living_index_follows_its_store(store: IndexStore, embedding, put, built):
    cache = FaissCache(store)
    assert _nearest(cache, embedding, "将进酒")
    stamp = (store.folder / "vectors.json").read_text()
    put(store, "新.txt", ["将进酒"])
    assert _nearest(cache, embedding, "将进酒", 1) == [7]
    with store.write() as transaction:
        transaction.delete_document("新.txt")
    assert 7 not in _nearest(cache, embedding, "将进酒", 10)
    assert built == ["build_exact"]
    assert (store.folder / "vectors.json").read_text() == stamp
    cache.refresh()
    assert (store.folder / "vectors.json").read_text() != stamp


def test_a_restored_copy_is_another_line_of_descent(
    store: IndexStore, embedding, put, built, tmp_path
):
    store.close()
    copy = tmp_path / "copy.sqlite3"
    shutil.copy(store.path, copy)
    put(store, "甲.txt", ["静夜思"])
    FaissCache(store).refresh()
    store.close()
    shutil.copy(copy, store.path)
    put(store, "乙.txt", ["将进酒"])  # the same generation number and the same chunk id
    assert _nearest(FaissCache(store), embedding, "将进酒", 1) == [7]
    with FaissCache(store).search(np.array(embedding.embed_query("将进酒"), np.float32), 1) as (
        _,
        found,
    ):
        assert [*found.values()] == pytest.approx([1])
    assert built == ["build_exact"] * 2


def test_an_empty_index_finds_nothing(empty: IndexStore, embedding):
    assert _nearest(FaissCache(empty), embedding, "李白") == []


def test_what_a_killed_process_left_is_swept_up(store: IndexStore):
    (store.folder / "vectors.faiss.0123.new").write_bytes(b"half")
    FaissCache(store).refresh()
    assert list(store.folder.glob("*.new")) == []


@pytest.mark.slow
def test_above_the_limit_search_is_approximate_and_says_how_good(empty: IndexStore, built):
    put_random(empty, "a", 2000, 0)
    approximate, exact = FaissCache(empty, limits=Limits(exact=1000)), FaissCache(empty)
    stamp = approximate.refresh()
    assert (stamp.kind, stamp.trained) == ("approximate", 2000)
    assert 0.97 <= stamp.recall <= 1
    assert json.loads((empty.folder / "vectors.json").read_text())["recall"] == stamp.recall
    written: Any = faiss.read_index(str(empty.folder / "vectors.faiss"))
    assert written.nprobe < written.nlist
    with empty.read() as snapshot:
        ((_, queries),) = snapshot.vectors(np.arange(1, 101))
    hits = 0
    for query in queries:
        with approximate.search(query, 10) as (_, found), exact.search(query, 10) as (_, best):
            hits += len(found.keys() & best.keys())
    assert hits / 1000 >= 0.95


@pytest.mark.slow
def test_an_approximate_index_follows_its_store_until_it_is_outgrown(empty: IndexStore, built):
    put_random(empty, "a", 1500, 0)
    FaissCache(empty, limits=Limits(exact=1000)).refresh()
    put_random(empty, "a", 1200, 1)
    cache = FaissCache(empty, limits=Limits(exact=1000))
    assert cache.refresh().trained == 1500
    written: Any = faiss.read_index(str(empty.folder / "vectors.faiss"))
    with empty.read() as snapshot:
        np.testing.assert_array_equal(np.sort(held_ids(written)), snapshot.ids_where())
    assert built == ["build_approximate"]
    put_random(empty, "b", 2000, 2)
    assert cache.refresh().trained == 3200
    with empty.write() as transaction:
        transaction.delete_document("b")
        transaction.delete_chunks(list(range(1501, 1900)))
    assert cache.refresh().kind == "exact"
    assert built == ["build_approximate", "build_approximate", "build_exact"]


def test_faiss_errors_on_writing_leave_an_index_in_memory(
    store: IndexStore, embedding, monkeypatch, caplog
):
    def full(*arguments):
        raise RuntimeError("write error")

    monkeypatch.setattr(faiss, "write_index", full)
    cache = FaissCache(store)
    assert _nearest(cache, embedding, "传说李白醉后捞月而死。", 1) == [2]
    assert not (store.folder / "vectors.faiss").exists()
    assert "vectors.faiss can't be written (write error)" in caplog.text


def test_a_full_disk_is_said_once_and_by_us(store: IndexStore, embedding, caplog, capfd):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.read() as snapshot:
        snapshot.generation()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            _nearest(FaissCache(store), embedding, "传说李白醉后捞月而死。", 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "vectors.faiss can't be written" in caplog.text
    assert "error" not in capfd.readouterr().err  # FAISS would print its own


def test_a_search_among_some_passages_is_exact(empty: IndexStore):
    put_random(empty, "a", 1500, 0)
    with empty.read() as snapshot:
        vectors = snapshot.vectors_of(range(1, 1501))
    some = {chunk_id for chunk_id in vectors if chunk_id % 50 == 0}
    question = vectors[1]
    best = sorted(some, key=lambda chunk_id: -float(vectors[chunk_id] @ question))
    for limit in (1000, 2000):
        cache = FaissCache(empty, limits=Limits(exact=limit))
        with cache.search(question, 10, lambda metadata: metadata["ordinal"] % 50 == 49) as (
            _,
            found,
        ):
            assert list(found) == best[:10]
        with cache.search(question, 10, lambda metadata: metadata["ordinal"] == 7) as (_, found):
            assert list(found) == [8]
        with cache.search(question, 10, lambda metadata: False) as (_, found):
            assert found == {}


def _file(store: IndexStore) -> tuple[bytes, int]:
    path = store.folder / "vectors.faiss"
    return path.read_bytes(), path.stat().st_mtime_ns


def test_a_small_change_leaves_the_file_as_it_is(empty: IndexStore, built):
    put_random(empty, "a", 400, 0)
    FaissCache(empty).refresh()
    before = _file(empty)
    put_random(empty, "b", 10, 1)
    with empty.write() as transaction:
        transaction.delete_chunks([7])
    FaissCache(empty).refresh()
    with empty.read() as snapshot:
        vectors = snapshot.vectors_of(snapshot.ids_where().tolist())
    for question in (vectors[8], vectors[405]):
        best = sorted(vectors, key=lambda chunk_id: -float(vectors[chunk_id] @ question))
        with FaissCache(empty).search(question, 20) as (_, found):
            assert list(found) == best[:20]
    assert (_file(empty), built) == (before, ["build_exact"])


def test_many_changes_are_merged_into_the_file(empty: IndexStore, built):
    put_random(empty, "a", 400, 0)
    FaissCache(empty).refresh()
    put_random(empty, "b", 50, 1)
    FaissCache(empty).refresh()
    written: Any = faiss.read_index(str(empty.folder / "vectors.faiss"))
    assert held_ids(written).tolist() == list(range(1, 451))
    assert built == ["build_exact"]


@pytest.mark.slow
def test_where_the_nearest_were_removed_the_next_ones_are_found(empty: IndexStore):
    put_random(empty, "a", 1500, 0)
    for limit in (1000, 2000):
        cache = FaissCache(empty, limits=Limits(exact=limit))
        cache.refresh()
        with empty.read() as snapshot:
            vectors = snapshot.vectors_of(snapshot.ids_where().tolist())
        question = next(iter(vectors.values()))
        best = sorted(vectors, key=lambda chunk_id: -float(vectors[chunk_id] @ question))
        with empty.write() as transaction:
            transaction.delete_chunks(best[:60])
        with cache.search(question, 10) as (_, found):
            assert len(found) == 10
            assert list(found)[:3] == best[60:63]


def test_a_copied_index_keeps_its_file(store: IndexStore, embedding, built, tmp_path):
    FaissCache(store).refresh()
    store.close()
    shutil.copytree(store.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    copy = IndexStore(tmp_path / "copy")
    for _ in range(2):
        assert _nearest(FaissCache(copy), embedding, "传说李白醉后捞月而死。", 1) == [2]
    assert built == ["build_exact"]


def _as_before(store: IndexStore, index: Any, kind: str) -> None:
    """Leave the folder as version 0.2 did."""
    path = store.folder / "vectors.faiss"
    faiss.write_index(index, str(path))
    with store.read() as snapshot:
        stamp = {
            **asdict(snapshot.generation()),
            "space": snapshot.space(),
            "kind": kind,
            "trained": index.ntotal,
            "recall": 1.0,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    (store.folder / "vectors.json").write_text(json.dumps(stamp), encoding="utf-8")
    store.close()
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("DROP INDEX hashes")
        connection.execute("DELETE FROM meta WHERE key = 'counted'")


def test_a_name_that_is_not_utf8(store: IndexStore, embedding, built, tmp_path):
    """As in Chinese locales of before, and on Windows."""
    FaissCache(store).refresh()
    store.close()
    folder = tmp_path / os.fsdecode("索引".encode("gbk"))
    try:
        shutil.copytree(store.folder, folder)
    except OSError:
        pytest.skip("the file system has names in UTF-8 alone")
    _nearest(FaissCache(IndexStore(folder)), embedding, "李白")
    assert built == ["build_exact"]


@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_an_index_of_the_previous_format_goes_on(empty: IndexStore, built, kind):
    put_random(empty, "a", 1500, 0)
    with empty.read() as snapshot:
        ids = snapshot.ids_where()
        vectors = np.stack([*snapshot.vectors_of(ids.tolist()).values()])
    flat = faiss.IndexFlatIP(64)
    ivf = faiss.IndexIVFFlat(flat, 64, 20, faiss.METRIC_INNER_PRODUCT)
    ivf.nprobe = 20
    index: Any = faiss.IndexIDMap2(flat) if kind == "exact" else ivf
    index.train(vectors)
    index.add_with_ids(vectors, ids)
    _as_before(empty, index, kind)
    before = _file(empty)[0]
    cache = FaissCache(empty, limits=Limits(2000 if kind == "exact" else 1000))
    with cache.search(vectors[3], 5) as (snapshot, found):
        assert list(found) == (ids[np.argsort(-(vectors @ vectors[3]))[:5]]).tolist()
        assert (snapshot.count_documents(), snapshot.count_chunks()) == (1, 1500)
    put_random(empty, "b", 10, 1)
    assert cache.refresh().last == 1500
    with empty.read() as snapshot:
        ((_, rows),) = snapshot.vectors_after(1500)
        assert snapshot.count_chunks() == 1510
    with cache.search(rows[4], 1) as (_, found):
        assert list(found) == [1505]
    assert (_file(empty)[0], built) == (before, [])
    put_random(empty, "c", 300, 2)
    assert cache.refresh().last == 1810
    assert built == []
