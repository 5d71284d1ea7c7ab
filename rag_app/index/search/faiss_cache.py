"""The FAISS index of a store, followed without being written at every change.

The file holds the chunks up to one id. Ids only rise, so the chunks that came since are those with
a higher one: they are read from SQLite and searched beside the file. Chunks that went are told by
SQLite having them no longer. When both are many the file is merged, and when it is outgrown it is
built again: in a large index by a process in the background, so that a change costs the same in an
index of any size. Only what has no file yet, or one of other vectors, is built while it is waited
for.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag_app.index.search import background
from rag_app.index.search.faiss_file import Stamp, file_state, load, save, sweep, write_stamp
from rag_app.index.search.faiss_index import REFINE, build_approximate, build_exact, merge
from rag_app.index.store.database import check_dimension
from rag_app.index.store.interface import DenseIndex, DocumentStore, Scores
from rag_app.index.store.snapshot import Matches, Snapshot
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import FloatArray


@dataclass(frozen=True)
class Limits:
    """Sizes up to which an index is searched and kept in the simpler way."""

    exact: int = 200_000
    """Vectors up to which search is exact."""
    changes: int = 10_000
    """Chunks added and removed that the file need not hold; in a small index a tenth of it."""
    here: int = 20_000
    """Vectors up to which a file is merged and built again on the spot, within a second."""


LIMITS = Limits()


@dataclass(frozen=True)
class _State:
    """An index that was brought up to a generation; nothing in it is changed."""

    index: Any  # the index of the file, or in memory where that can't be written
    stamp: Stamp
    ids: NDArray[np.int64]
    """Chunks that came after those of the file, ascending, some of which may be gone."""
    vectors: FloatArray  # theirs, ``[len(ids), dimension]``
    saved: bool = True

    @property
    def last(self) -> int:
        """The highest chunk id."""
        return int(self.ids[-1]) if len(self.ids) else self.stamp.last or 0

    @property
    def file(self) -> tuple[int, int] | None:
        """The file that it was made from; None where that can't be written."""
        return self.stamp.file_state if self.saved else None

    def changes(self, snapshot: Snapshot) -> int:
        """Return how many chunks came and went since the file was made."""
        came = len(self.ids)
        gone = self.stamp.count + came - snapshot.count_vectors()
        return came + max(gone, 0)


class FaissCache:
    """The FAISS index of a store, brought up to each snapshot before it is searched."""

    def __init__(self, store: IndexStore, *, limits: Limits | None = None) -> None:
        self._store = store
        self._limits = limits or LIMITS
        self._lock = threading.Lock()
        self._state: _State | None = None
        self._file: tuple[int, int] | None = None  # the last one that was looked at

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process without the vectors, which it loads itself."""
        return partial(type(self), limits=self._limits), (self._store,)

    @contextmanager
    def search(
        self,
        vector: FloatArray,
        k: int,
        matches: Matches | None = None,
        sources: Collection[str] | None = None,
    ) -> Iterator[tuple[Snapshot, Scores]]:
        """Yield a snapshot and the cosines of its `k` nearest chunks.

        Args:
            vector: float32 ``[dimension]``, L2-normalized.
            k: How many at most.
            matches: The metadata to search; by default any.
            sources: The documents to search; by default all.
        """
        with ExitStack() as stack:
            with self._lock:
                snapshot, state = self._follow(stack)
            check_dimension(snapshot.meta(), len(vector))
            among = None
            if matches is not None or sources is not None:
                among = snapshot.ids_where(matches, sources)
            yield snapshot, _nearest(state, snapshot, vector, k, among)

    def refresh(self) -> Stamp:
        """Bring the index to the latest state, and return what it is.

        Its file too, unless that is left to the background.
        """
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
        file = file_state(self._store.folder)
        found = load(self._store.folder) if state is None or file != self._file else None
        snapshot = stack.enter_context(self._store.read())
        if found is not None and _is_ancestor(found[1], snapshot):
            most = min(self._limits.changes, found[1].count // 10)
            state = self._renewed(_followed(_state(*found, snapshot), snapshot), snapshot, most)
        elif state is not None and _is_ancestor(state.stamp, snapshot):
            if state.stamp.generation != snapshot.generation():
                most = 2 * self._limits.changes  # for a while its file is left to who writes
                state = self._renewed(_followed(state, snapshot), snapshot, most)
        else:
            del found
            state = self._build(snapshot)
        self._state, self._file = state, file if state.file is None else state.file
        return snapshot, state

    def _renewed(self, state: _State, snapshot: Snapshot, most: int) -> _State:
        """Return the state, merged or built again where more than `most` has changed."""
        outgrown = self._is_outgrown(state.stamp, snapshot)
        if not outgrown and state.changes(snapshot) <= most:
            return state
        if max(state.stamp.count, snapshot.count_vectors()) > self._limits.here:
            background.start(self._store.folder, astuple(self._limits))
            return state
        return self._build(snapshot) if outgrown else self._merged(snapshot, state)

    def _is_outgrown(self, stamp: Stamp, snapshot: Snapshot) -> bool:
        count = snapshot.count_vectors()
        kind = "exact" if count <= self._limits.exact else "approximate"
        return kind != stamp.kind or (kind == "approximate" and count > 2 * stamp.trained)

    def _build(self, snapshot: Snapshot) -> _State:
        count, dimension = snapshot.count_vectors(), snapshot.meta().dimension
        generation, recall, kind = snapshot.generation(), 1.0, "exact"
        if count <= self._limits.exact:
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
        if found is None:
            return self._build(snapshot)
        if found[1].sha256 != state.stamp.sha256:
            return state  # another process merged it; the next search sees it
        index, stamp = found
        merge(index, snapshot)
        return self._saved(index, replace(stamp, **asdict(snapshot.generation())), snapshot)

    def _saved(self, index: Any, stamp: Stamp, snapshot: Snapshot) -> _State:
        stamp = replace(stamp, last=snapshot.last_chunk_id(), count=int(index.ntotal))
        written = save(self._store.folder, index, stamp, lambda: self._is_current(stamp))
        if written is None:
            return _state(index, replace(stamp, sha256=""), snapshot, saved=False)
        mapped = load(self._store.folder)
        if mapped is not None and mapped[1].sha256 == written.sha256:
            index = mapped[0]  # what was built need not stay in memory
        return _state(index, written, snapshot)

    def _is_current(self, stamp: Stamp) -> bool:
        """Return whether an older state's vectors are all in the latest one too."""
        with self._store.read() as latest:
            return _is_ancestor(stamp, latest)


def dense_index(store: DocumentStore) -> DenseIndex:
    """Return what searches the vectors of a store: the store itself, or its FAISS index."""
    if isinstance(store, DenseIndex):
        return store
    if isinstance(store, IndexStore):
        return FaissCache(store)
    raise TypeError(f"{type(store).__name__} has no vectors to search")


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
    cosines = vectors @ vector
    refine = 1 if state.stamp.kind == "exact" else REFINE
    rows = _there(snapshot, k, k, lambda count: _highest(ids, cosines, count))
    rows |= _there(
        snapshot, k, refine * k, lambda count: _search(state.index, vector, count, among)
    )
    scores = {chunk: float(row @ vector) for chunk, row in rows.items()}
    best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:k]
    return {chunk: scores[chunk] for chunk in best}


def _search(
    index: Any, vector: FloatArray, k: int, among: NDArray[np.int64] | None = None
) -> list[int]:
    """Return the ids of the `k` vectors nearest to one, best first; fewer where there are fewer.

    Args:
        index: As one of the builders makes it.
        vector: float32 ``[dimension]``, L2-normalized.
        k: How many at most.
        among: The ids of the chunks to search, each of them; all chunks by default.
    """
    k = min(k, index.ntotal if among is None else len(among))
    if k < 1:
        return []
    parameters = None
    if among is not None:
        inverted = isinstance(index, faiss.IndexIVF)
        kind: Any = faiss.SearchParametersIVF if inverted else faiss.SearchParameters
        every_cell = {"nprobe": index.nlist} if inverted else {}
        parameters = kind(sel=faiss.IDSelectorBatch(among), **every_cell)
    _, found = index.search(np.ascontiguousarray(vector[None, :], np.float32), k, params=parameters)
    return [chunk for chunk in found[0].tolist() if chunk >= 0]


def _highest(ids: NDArray[np.int64], cosines: FloatArray, count: int) -> list[int]:
    """Return the ids of the highest cosines, best first, of equal ones those that came first."""
    if count < len(ids):
        chosen = cosines >= np.partition(cosines, -count)[-count]
        ids, cosines = ids[chosen], cosines[chosen]
    found: list[int] = ids[np.argsort(-cosines, kind="stable")][:count].tolist()
    return found


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
