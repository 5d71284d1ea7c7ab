"""The FAISS index of a store, followed without being written at every change.

The file holds the chunks up to one id. Ids only rise, so the chunks that came since are those with
a higher one: they are read from SQLite and searched beside the file. Chunks that went are told by
SQLite having them no longer. When both are many, the file is merged: at most every tenth of its
size, at least every :data:`MOST_CHANGES`, so that a change costs the same in an index of any size.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_app.index.search.faiss_file import Stamp, load, save, sweep, write_stamp
from rag_app.index.search.faiss_index import (
    REFINE,
    build_approximate,
    build_exact,
    merge,
    search_index,
)
from rag_app.index.store.connection import wrong_dimension
from rag_app.index.store.interface import DenseIndex, DocumentStore, Scores
from rag_app.index.store.snapshot import Matches, Snapshot
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import FloatArray

EXACT_LIMIT = 200_000
"""Vectors up to which search is exact."""
MOST_CHANGES = 10_000
"""Chunks added and removed that the file does not hold before it is merged."""


@dataclass(frozen=True)
class _State:
    """An index that was brought up to a generation; nothing in it is changed."""

    index: Any
    """Of the file, or in memory where that can't be written."""
    stamp: Stamp
    ids: NDArray[np.int64]
    """Chunks that came after those of the file, ascending, some of which may be gone."""
    vectors: FloatArray
    """Theirs, ``[len(ids), dimension]``."""
    saved: bool = True

    @property
    def last(self) -> int:
        """The highest chunk id."""
        return int(self.ids[-1]) if len(self.ids) else self.stamp.last or 0

    def changes(self, snapshot: Snapshot) -> int:
        """Return how many chunks came and went since the file was made."""
        came = len(self.ids)
        gone = self.stamp.count + came - snapshot.count_chunks()
        return came + max(gone, 0)


class FaissCache:
    """The FAISS index of a store, brought up to each snapshot before it is searched.

    Args:
        store: The truth.
        exact_limit: Number of vectors above which search becomes approximate.
    """

    def __init__(self, store: IndexStore, *, exact_limit: int = EXACT_LIMIT) -> None:
        self._store = store
        self._limit = exact_limit
        self._lock = threading.Lock()
        self._state: _State | None = None

    @contextmanager
    def search(
        self,
        vector: FloatArray,
        k: int,
        matches: Matches | None = None,
        sources: Collection[str] | None = None,
    ) -> Iterator[tuple[Snapshot, Scores]]:
        """Give a snapshot and the cosines of its `k` nearest chunks.

        Args:
            vector: float32 ``[dimension]``, L2-normalized.
            k: How many at most.
            matches: Of which metadata; of any by default.
            sources: Of which documents; of any by default.
        """
        with ExitStack() as stack:
            with self._lock:
                snapshot, state = self._follow(stack)
            meta = snapshot.meta()
            if len(vector) != meta.dimension:
                raise wrong_dimension(meta.embedding, meta.dimension, len(vector))
            among = None
            if matches is not None or sources is not None:
                among = snapshot.ids_where(matches, sources)
            yield snapshot, _nearest(state, snapshot, vector, k, among)

    def refresh(self) -> Stamp:
        """Bring the index and its file to the latest state, and return what it is."""
        sweep(self._store.folder)
        with self._lock, ExitStack() as stack:
            self._state = None
            _, state = self._follow(stack)
            if state.saved:
                with suppress(OSError):  # an older one will do
                    write_stamp(self._store.folder, state.stamp)
            return state.stamp

    def _follow(self, stack: ExitStack) -> tuple[Snapshot, _State]:
        """Begin a snapshot and bring the state to it.

        The snapshot begins under the lock and after the file is loaded, so that neither is newer.
        """
        state, self._state = self._state, None  # should this fail, the index is loaded again
        found = None if state else load(self._store.folder)
        snapshot = stack.enter_context(self._store.read())
        if state is not None and not _is_ancestor(state.stamp, snapshot):
            state, found = None, load(self._store.folder)
        if state is not None:
            state = self._living(state, snapshot)
        elif found is not None and self._is_usable(found[1], snapshot):
            state = self._fresh(_state(*found, snapshot), snapshot)
        else:
            del found
            state = self._build(snapshot)
        self._state = state
        return snapshot, state

    def _living(self, state: _State, snapshot: Snapshot) -> _State:
        """Return a state that was searched, whose file is left to the writer for a while."""
        if state.stamp.generation == snapshot.generation():
            return state
        state = _followed(state, snapshot)
        much = state.changes(snapshot) > 2 * MOST_CHANGES
        return self._merged(snapshot, state) if much else state

    def _fresh(self, state: _State, snapshot: Snapshot) -> _State:
        """Return the state of a file that was just loaded, which is merged if need be."""
        most = min(MOST_CHANGES, state.stamp.count // 10)
        # Where more came there is no need to read them first.
        if snapshot.count_chunks() - state.stamp.count <= most:
            state = _followed(state, snapshot)
            if state.changes(snapshot) <= most:
                return state
        return self._merged(snapshot, state)

    def _is_usable(self, stamp: Stamp, snapshot: Snapshot) -> bool:
        count = snapshot.count_chunks()
        kind = "exact" if count <= self._limit else "approximate"
        outgrown = kind == "approximate" and count > 2 * stamp.trained
        return kind == stamp.kind and not outgrown and _is_ancestor(stamp, snapshot)

    def _build(self, snapshot: Snapshot) -> _State:
        count, dimension = snapshot.count_chunks(), snapshot.meta().dimension
        generation, recall, kind = snapshot.generation(), 1.0, "exact"
        if count <= self._limit:
            index = build_exact(snapshot, dimension)
        else:
            kind = "approximate"
            index, recall = build_approximate(snapshot, dimension)
        stamp = Stamp(
            **asdict(generation), space=snapshot.space(), kind=kind, trained=count, recall=recall
        )
        return self._saved(index, stamp, snapshot)

    def _merged(self, snapshot: Snapshot, state: _State) -> _State:
        """Return the state with the chunks that came in the file, and without those that went."""
        found = load(self._store.folder, mapped=False)
        if found and found[1].number > snapshot.generation().number:
            return _followed(state, snapshot)  # another process merged it; the next search sees it
        if found is None or not self._is_usable(found[1], snapshot):
            return self._build(snapshot)
        index, stamp = found
        merge(index, snapshot)
        return self._saved(index, replace(stamp, **asdict(snapshot.generation())), snapshot)

    def _saved(self, index: Any, stamp: Stamp, snapshot: Snapshot) -> _State:
        stamp = replace(stamp, last=snapshot.last_chunk_id(), count=int(index.ntotal))
        written = save(self._store.folder, index, stamp)
        if written is None:
            return _state(index, replace(stamp, sha256=""), snapshot, saved=False)
        mapped = load(self._store.folder)
        if mapped is not None and mapped[1].sha256 == written.sha256:
            index = mapped[0]  # what was built need not stay in memory
        return _state(index, written, snapshot)


def dense_index(store: DocumentStore) -> DenseIndex:
    """Return what searches the vectors of a store: the store itself, or its FAISS index."""
    if isinstance(store, DenseIndex):
        return store
    if isinstance(store, IndexStore):
        return FaissCache(store)
    msg = f"{type(store).__name__} has no vectors to search"
    raise TypeError(msg)


def _state(index: Any, stamp: Stamp, snapshot: Snapshot, *, saved: bool = True) -> _State:
    none = np.empty((0, snapshot.meta().dimension), np.float32)
    return _State(index, stamp, np.empty(0, np.int64), none, saved)


def _is_ancestor(stamp: Stamp, snapshot: Snapshot) -> bool:
    # In another line of descent the same id may mean another vector.
    return stamp.space == snapshot.space() and snapshot.descends_from(stamp.generation)


def _followed(state: _State, snapshot: Snapshot) -> _State:
    """Return the state with the chunks that came since; a chunk's vector never changes."""
    stamp = replace(state.stamp, **asdict(snapshot.generation()))
    came = list(snapshot.vectors_after(state.last))
    return replace(
        state,
        stamp=stamp,
        ids=np.concatenate([state.ids, *(ids for ids, _ in came)]),
        vectors=np.concatenate([state.vectors, *(vectors for _, vectors in came)]),
    )


def _nearest(
    state: _State, snapshot: Snapshot, vector: FloatArray, k: int, among: NDArray[np.int64] | None
) -> Scores:
    """Return the cosines of the nearest chunks that there are, from the vectors of the store."""
    ids, vectors = state.ids, state.vectors
    if among is not None and len(ids):
        chosen = np.isin(ids, among)
        ids, vectors = ids[chosen], vectors[chosen]
    order = ids[np.argsort(-(vectors @ vector), kind="stable")].tolist()
    refine = 1 if state.stamp.kind == "exact" else REFINE
    rows = _there(snapshot, k, k, lambda count: order[:count])
    rows |= _there(
        snapshot, k, refine * k, lambda count: search_index(state.index, vector, count, among)
    )
    scores = {chunk: float(row @ vector) for chunk, row in rows.items()}
    best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:k]
    return {chunk: scores[chunk] for chunk in best}


def _there(
    snapshot: Snapshot, k: int, count: int, search: Callable[[int], list[int]]
) -> dict[int, FloatArray]:
    """Return the vectors of the chunks that a search gives first, at least `k` of those there."""
    while True:
        found = search(count)
        rows = snapshot.vectors_of(found)
        if len(rows) >= k or len(found) < count:
            return rows
        count *= 4  # many of them were removed
