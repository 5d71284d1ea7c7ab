"""``vectors.faiss``: the FAISS index of a store, kept with it and built again whenever in doubt.

A file ``vectors.json`` says which generation it was made from and what its SHA-256 is; FAISS never
reads a file whose hash is another, since it trusts what it reads.
"""

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag_app.index.search.faiss_index import build_approximate, build_exact
from rag_app.index.store.connection import wrong_dimension
from rag_app.index.store.records import Generation
from rag_app.index.store.snapshot import Matches, Snapshot
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import FloatArray

FAISS_NAME = "vectors.faiss"
STAMP_NAME = "vectors.json"
EXACT_LIMIT = 200_000
"""Vectors up to which search is exact."""

Scores = dict[int, float]
"""Score by chunk id, best first."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What a derived index was made from and how."""

    number: int
    token: str
    """With `number`, the generation of the store."""
    space: str
    kind: str
    """``exact`` or ``approximate``."""
    trained: int
    """Vectors there were when it was built."""
    recall: float
    """Recall@10 against exact search on a sample; 1 for exact search."""
    sha256: str = ""
    """Of the file."""

    @property
    def generation(self) -> Generation:
        """The generation of the store."""
        return Generation(self.number, self.token)


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
        self._index: Any = None
        self._stamp: Stamp | None = None

    @contextmanager
    def search(
        self, vector: FloatArray, k: int, matches: Matches | None = None
    ) -> Iterator[tuple[Snapshot, Scores]]:
        """Give a snapshot and the cosines of its `k` nearest chunks.

        Args:
            vector: float32 ``[dimension]``, L2-normalized.
            k: How many at most.
            matches: Of which metadata; of any by default.
        """
        with ExitStack() as stack:
            # Snapshots begin under the lock, so no thread meets an index newer than its own.
            with self._lock:
                snapshot = stack.enter_context(self._store.read())
                self._bring_to(snapshot)
                if len(vector) != self._index.d:
                    name = snapshot.meta().embedding
                    raise wrong_dimension(name, self._index.d, len(vector))
                among = None if matches is None else snapshot.ids_where(matches)
                scores, ids = _search(self._index, vector[None, :], k, among)
            pairs = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
            yield snapshot, {chunk_id: score for chunk_id, score in pairs if chunk_id >= 0}

    def refresh(self) -> Stamp:
        """Bring the index and its file to the latest state, and return what it is."""
        for path in self._store.folder.glob("vectors.*.new"):  # of processes that were killed
            with suppress(OSError):
                path.unlink()
        with self._lock, self._store.read() as snapshot:
            stamp = self._bring_to(snapshot)
            return stamp if stamp.sha256 else self._save(stamp)

    def _bring_to(self, snapshot: Snapshot) -> Stamp:
        known, self._stamp = self._stamp, None  # should this fail, the index is built again
        stamp = known or self._load()
        if stamp is None or not self._can_update(stamp, snapshot):
            known, stamp = None, self._build(snapshot)
        elif stamp.generation != snapshot.generation():
            self._update(snapshot)
            stamp = replace(stamp, **asdict(snapshot.generation()), sha256="")
        # A process that follows a writer step by step leaves the file to the writer.
        if known is None and not stamp.sha256:
            stamp = self._save(stamp)
        self._stamp = stamp
        return stamp

    def _can_update(self, stamp: Stamp, snapshot: Snapshot) -> bool:
        if stamp.space != snapshot.space():
            return False
        if stamp.generation == snapshot.generation():
            return True
        count = snapshot.count_chunks()
        kind = "exact" if count <= self._limit else "approximate"
        outgrown = kind == "approximate" and count > 2 * stamp.trained
        # In another line of descent the same id may mean another vector.
        return kind == stamp.kind and not outgrown and snapshot.descends_from(stamp.generation)

    def _build(self, snapshot: Snapshot) -> Stamp:
        self._index = None  # its memory first
        count, dimension = snapshot.count_chunks(), snapshot.meta().dimension
        generation, recall, kind = snapshot.generation(), 1.0, "exact"
        if count <= self._limit:
            self._index = build_exact(snapshot, dimension)
        else:
            kind = "approximate"
            self._index, recall = build_approximate(snapshot, dimension)
        space = snapshot.space()
        return Stamp(**asdict(generation), space=space, kind=kind, trained=count, recall=recall)

    def _update(self, snapshot: Snapshot) -> None:
        """Take out chunks that went, put in those that came: a chunk's vector never changes."""
        held, ids = held_ids(self._index), snapshot.chunk_ids()
        gone, come = np.setdiff1d(held, ids), np.setdiff1d(ids, held)
        if len(gone):
            self._index.remove_ids(gone)
        if len(come):
            for batch_ids, vectors in snapshot.vectors(come):
                self._index.add_with_ids(vectors, batch_ids)

    def _load(self) -> Stamp | None:
        folder, damage = self._store.folder, "it is not the one that vectors.json describes"
        try:
            text = (folder / STAMP_NAME).read_text(encoding="utf-8")
            stamp = Stamp(**json.loads(text))
            with (folder / FAISS_NAME).open("rb") as file:  # one open file: it may be replaced
                if hashlib.file_digest(file, "sha256").hexdigest() == stamp.sha256:
                    file.seek(0)
                    reader = faiss.PyCallbackIOReader(file.read)  # type: ignore[attr-defined]
                    self._index = faiss.read_index(reader)
                    return stamp
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RuntimeError) as error:  # FAISS raises the last
            damage = _reason(error)
        _log.warning("%s can't be used (%s); it is built again", folder / FAISS_NAME, damage)
        return None

    def _save(self, stamp: Stamp) -> Stamp:
        """Write the file; where that can't be done, every process builds its own in memory."""
        folder, unique = self._store.folder, uuid.uuid4().hex[:8]
        new_file = folder / f"vectors.faiss.{unique}.new"
        new_stamp = folder / f"vectors.json.{unique}.new"
        try:
            new_file.touch()  # its error is plainer than that of FAISS
            faiss.write_index(self._index, str(new_file))
            with new_file.open("rb") as file:
                stamp = replace(stamp, sha256=hashlib.file_digest(file, "sha256").hexdigest())
            new_stamp.write_text(json.dumps(asdict(stamp)), encoding="utf-8")
            new_file.replace(folder / FAISS_NAME)
            new_stamp.replace(folder / STAMP_NAME)
        except (OSError, RuntimeError) as error:
            _log.warning(
                "%s can't be written (%s); every process builds its own in memory",
                folder / FAISS_NAME,
                _reason(error),
            )
            for path in (new_file, new_stamp):
                with suppress(OSError):
                    path.unlink()
            return replace(stamp, sha256="")
        return stamp


def _search(
    index: Any, queries: FloatArray, k: int, among: NDArray[np.int64] | None = None
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return cosines and chunk ids, ``[len(queries), k]``, best first; id -1 where none is.

    Args:
        index: As one of the builders makes it.
        queries: float32 ``[n, dimension]``, L2-normalized.
        k: How many at most.
        among: The ids of the chunks to search, exactly; all of them by default.
    """
    k = min(k, index.ntotal if among is None else len(among))
    if k < 1:
        shape = (len(queries), 0)
        return np.empty(shape, np.float32), np.empty(shape, np.int64)
    parameters = None
    if among is not None:
        inverted = isinstance(index, faiss.IndexIVFFlat)
        kind: Any = faiss.SearchParametersIVF if inverted else faiss.SearchParameters
        every_cell = {"nprobe": index.nlist} if inverted else {}
        parameters = kind(sel=faiss.IDSelectorBatch(among), **every_cell)
    scores, ids = index.search(np.ascontiguousarray(queries, np.float32), k, params=parameters)
    return scores, ids


def held_ids(index: Any) -> NDArray[np.int64]:
    """Return the ids that a FAISS index holds, int64."""
    if isinstance(index, faiss.IndexIDMap2):
        return np.asarray(faiss.vector_to_array(index.id_map), np.int64)
    lists = index.invlists
    sizes = ((cell, lists.list_size(cell)) for cell in range(index.nlist))
    parts = [faiss.rev_swig_ptr(lists.get_ids(cell), size).copy() for cell, size in sizes if size]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
