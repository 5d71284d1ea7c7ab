"""The file of vectors is merged by a process of its own, which may be killed at any moment."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_app import RagApp
from rag_app.index.search import faiss_index
from rag_app.index.search.background import merge_lock
from rag_app.index.search.faiss_cache import FaissCache, Limits
from rag_app.index.search.faiss_file import load
from rag_app.index.search.merging import bring_up_to_date
from rag_app.index.store.snapshot import Snapshot
from rag_app.index.store.store import IndexStore
from tests.paths import ROOT
from tests.rag_app.index.stored import put_random

EXACT = Limits(changes=50, here=100)
APPROXIMATE = Limits(exact=1000, changes=50, here=100)


def _assert_exact(cache: FaissCache, store: IndexStore) -> None:
    """Each of some vectors finds what is nearest among all of the store."""
    with store.read() as snapshot:
        vectors = snapshot.vectors_of(snapshot.ids_where().tolist())
    for question in [*vectors.values()][:: len(vectors) // 5]:
        best = sorted(vectors, key=lambda chunk_id: -float(vectors[chunk_id] @ question))
        with cache.search(question, 5) as (_, found):
            assert list(found) == best[:5]


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline, "no merge came to its end"
        time.sleep(0.002)


def _file(store: IndexStore) -> bytes:
    return (store.folder / "vectors.faiss").read_bytes()


def _killed(command: list[str], folder: Path, seconds: float) -> bool:
    """Kill a process some time after it has begun to merge; return whether it was at work."""
    process = subprocess.Popen(command, cwd=ROOT)
    _until(lambda: process.poll() is not None or bool(merge_lock(folder).holder()))
    time.sleep(seconds)
    process.kill()
    return process.wait() != 0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The indexes for which a process was to be started; none is."""
    folders: list[Path] = []
    start = "rag_app.index.search.background.start"
    monkeypatch.setattr(start, lambda folder, _: folders.append(folder))
    return folders


def test_what_changed_is_found_before_and_after_it_is_merged(empty: IndexStore):
    put_random(empty, "a", 400, 0)
    FaissCache(empty, limits=EXACT).refresh()
    before = _file(empty)
    put_random(empty, "b", 100, 1)
    with empty.write() as transaction:
        transaction.delete_chunks([3, 8])
    living = FaissCache(empty, limits=EXACT)
    living.refresh()
    assert _file(empty) == before
    _assert_exact(living, empty)
    _until(lambda: FaissCache(empty, limits=EXACT).refresh().count == 498)
    _assert_exact(living, empty)
    _assert_exact(FaissCache(empty, limits=EXACT), empty)
    assert (empty.folder / "merge.log").read_text() == ""


@pytest.mark.slow
def test_an_index_that_outgrows_exact_search_is_built_again_in_the_background(
    empty: IndexStore, started: list[Path]
):
    put_random(empty, "a", 900, 0)
    FaissCache(empty, limits=APPROXIMATE).refresh()
    put_random(empty, "b", 300, 1)
    living = FaissCache(empty, limits=APPROXIMATE)
    assert living.refresh().kind == "exact"
    assert started == [empty.folder]
    _assert_exact(living, empty)
    bring_up_to_date(empty.folder, APPROXIMATE)
    put_random(empty, "c", 20, 2)
    with living.search(np.eye(64, dtype=np.float32)[0], 5) as (_, found):
        assert len(found) == 5
    stamp = living.refresh()
    assert (stamp.kind, stamp.trained, stamp.count) == ("approximate", 1200, 1200)
    with empty.read() as snapshot:
        vectors = snapshot.vectors_of([1, 1000, 1215])
    for chunk_id, vector in vectors.items():
        with living.search(vector, 1) as (_, found):
            assert list(found) == [chunk_id]
    assert started == [empty.folder]


@pytest.mark.slow
def test_one_process_merges_at_a_time(empty: IndexStore):
    put_random(empty, "a", 400, 0)
    FaissCache(empty, limits=EXACT).refresh()
    put_random(empty, "b", 100, 1)
    before = _file(empty)
    with merge_lock(empty.folder).held():
        FaissCache(empty, limits=EXACT).refresh()
        assert not (empty.folder / "merge.log").exists()
        run = [sys.executable, "-m", "rag_app.index.search.merging", str(empty.folder)]
        subprocess.run([*run, *map(str, astuple(EXACT))], cwd=ROOT, check=True)
        assert _file(empty) == before
        assert "merging" in RagApp(index=str(empty.folder)).status()
    assert "merging" not in RagApp(index=str(empty.folder)).status()


@pytest.mark.slow
@pytest.mark.parametrize("limits", [EXACT, APPROXIMATE], ids=["merged", "built"])
def test_killed_at_any_moment_nothing_is_lost(empty: IndexStore, limits: Limits):
    put_random(empty, "0", 900, 0)
    FaissCache(empty, limits=limits).refresh()
    command = [sys.executable, "-m", "rag_app.index.search.merging", str(empty.folder)]
    command += map(str, astuple(limits))
    chance, killed, longest = random.Random(), 0, 0.3
    for number in range(1, 9):
        put_random(empty, str(number), 60, number)
        if _killed(command, empty.folder, chance.uniform(0, longest)):
            killed += 1
        else:  # this machine is faster
            longest /= 3
        with empty.read() as snapshot:
            newest = snapshot.vectors_of([snapshot.last_chunk_id()])
        for chunk_id, vector in newest.items():
            with FaissCache(empty, limits=Limits()).search(vector, 1) as (_, found):
                assert list(found) == [chunk_id]
    assert killed
    bring_up_to_date(empty.folder, limits)
    stamp = FaissCache(empty, limits=limits).refresh()
    assert stamp.count == 1380
    assert stamp.kind == ("exact" if limits == EXACT else "approximate")
    assert list(empty.folder.glob("*.new")) == []


def test_a_merge_of_vectors_that_were_replaced_meanwhile_is_thrown_away(
    empty: IndexStore, monkeypatch: pytest.MonkeyPatch
):
    put_random(empty, "a", 400, 0)
    FaissCache(empty, limits=EXACT).refresh()
    put_random(empty, "b", 100, 1)

    def slow(index: Any, snapshot: Snapshot) -> None:
        faiss_index.merge(index, snapshot)
        with empty.write() as transaction:
            transaction.set_value("space", "another")

    monkeypatch.setattr("rag_app.index.search.faiss_cache.merge", slow)
    before = _file(empty)
    FaissCache(empty, limits=Limits(changes=50)).refresh()
    assert _file(empty) == before
    stamp = FaissCache(empty, limits=EXACT).refresh()
    assert (stamp.space, stamp.count) == ("another", 500)


def test_a_writer_killed_between_the_file_and_its_stamp_leaves_both(empty: IndexStore):
    put_random(empty, "a", 400, 0)
    FaissCache(empty, limits=EXACT).refresh()
    shutil.copy(empty.folder / "vectors.json", empty.folder / "old.json")
    put_random(empty, "b", 100, 1)
    bring_up_to_date(empty.folder, EXACT)
    (empty.folder / "vectors.json").rename(empty.folder / "vectors.next.json")
    (empty.folder / "old.json").rename(empty.folder / "vectors.json")
    found = load(empty.folder)
    assert found is not None
    assert found[1].count == 500
