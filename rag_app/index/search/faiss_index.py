"""FAISS indexes: built from a snapshot's vectors, merged with what changed, searched; their files.

Vectors are normalized, so inner product is cosine. FAISS ids are chunk ids.

``vectors.faiss`` is mapped into memory, and ``vectors.json`` says what it is. FAISS trusts what it
reads, so it never reads a file whose SHA-256 is not the one noted. The hash is taken when the file
is written and when it comes from elsewhere, as in a copy; at each start its size and time of change
show that it is still the same. That time is set back after writing, so that whatever is written
later changes it, however coarse the clock of the disk.

The new stamp is in ``vectors.next.json`` before the file is replaced, and takes the place of the
old one after: a file is described by one of them at whatever moment its writer is killed.
"""

import hashlib
import json
import logging
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from model_prep.json_file import replace_json
from model_prep.output import sync
from rag_app.index.store.records import Generation
from rag_app.index.store.snapshot import Snapshot
from rag_app.models.embeddings.base import FloatArray

FAISS_NAME = "vectors.faiss"
STAMP_NAME = "vectors.json"
RECALL_TARGET = 0.99
"""Recall@10 against exact search that an approximate index is tuned to, on its own vectors."""
REFINE = 2
"""Neighbours that an approximate index is asked for in place of one; their exact cosines then say
which are the nearest."""
_NEIGHBOURS = 10
_SAMPLE = 200
_TRAINING_PER_CELL = 64
_MIN_PER_CELL = 39  # below this k-means cells are noise (FAISS, "Guidelines to choose an index")
_BATCH = 8192
_NEXT_NAME = "vectors.next.json"
_LOCK_NAME = "vectors.lock"
_SAVE_SECONDS = 600
"""For which a file waits that another process is writing."""
_SET_BACK = 10 * 10**9
"""Nanoseconds; file systems' clocks tick every 2 seconds or sooner."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What a derived index was made from and how."""

    number: int
    token: str
    """With `number`, the generation of the store that the file was last compared with."""
    space: str
    kind: str
    """``exact`` or ``approximate``."""
    trained: int
    """Vectors there were when it was built."""
    recall: float
    """Recall@10 against exact search on a sample; 1 for exact search."""
    sha256: str = ""
    """Of the file."""
    last: int | None = None
    """The file holds no chunk with a higher id; those of a file of an earlier version tell."""
    count: int = 0
    """Vectors in the file."""
    size: int = 0
    """Of the file, bytes."""
    modified: int = 0
    """When the file was changed, nanoseconds."""

    @property
    def generation(self) -> Generation:
        """The generation of the store."""
        return Generation(self.number, self.token)

    @property
    def file_state(self) -> tuple[int, int]:
        """As `file_state` returns it of the file that it describes."""
        return self.size, self.modified


def build_exact(snapshot: Snapshot, dimension: int) -> Any:
    """Return an exact index over all vectors.

    Its storage is made at full size and filled batch by batch: one copy of the vectors is in
    memory, never a second one.
    """
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    count = snapshot.count_vectors()
    if count == 0:
        return index
    flat: Any = faiss.downcast_index(index.index)
    flat.codes.resize(count * dimension * 4)
    flat.ntotal = count
    rows = faiss.rev_swig_ptr(flat.get_xb(), count * dimension).reshape(count, dimension)
    filled = 0
    for ids, vectors in snapshot.vectors():
        rows[filled : filled + len(ids)] = vectors
        filled += len(ids)
    faiss.copy_array_to_vector(snapshot.vector_ids(), index.id_map)
    index.ntotal = count
    index.construct_rev_map()
    return index


def build_approximate(snapshot: Snapshot, dimension: int) -> tuple[Any, float]:
    """Return an inverted-file index over all vectors, in a byte a number, and its recall@10.

    It probes as few cells as reach :data:`RECALL_TARGET` on a sample of the index's own vectors,
    each searched with itself left out, but a quarter of them: questions lie farther from the cells
    than passages do. Recall is that of the neighbours that are refined.

    Measured on 100,000 passages around real ones and real questions, recall@10 refined, processor
    time of one search: these lists, of 632 cells 64 / 128 / 256 probed, 0.95 / 0.98 / 1.00 in 0.4 /
    0.8 / 1.7 ms; a graph over the same bytes (HNSW, M 16, efSearch 64 / 256) 0.53 / 0.72 in 0.2 /
    0.5 ms, built in four times the time; and from a graph nothing can be taken out.
    """
    ids = snapshot.vector_ids()
    cells = max(1, min(round(2 * math.sqrt(len(ids))), len(ids) // _MIN_PER_CELL))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        cells,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.cp.min_points_per_centroid = 1  # it warns on stderr otherwise
    index.train(_some(snapshot, ids, cells * _TRAINING_PER_CELL)[1])
    sample_ids, sample = _some(snapshot, ids, _SAMPLE)
    nearest = _Nearest(sample_ids, sample)
    for batch_ids, vectors in snapshot.vectors(batch=_BATCH):
        index.add_with_ids(vectors, batch_ids)
        nearest.add(batch_ids, vectors)
    exact, recall = nearest.sets(), 0.0
    for share in (4, 2, 1):
        index.nprobe = max(cells // share, 1)
        recall = _recall(index, sample_ids, sample, exact)
        if recall >= RECALL_TARGET:
            break
    return index, recall


def merge(index: Any, snapshot: Snapshot) -> None:
    """Take out chunks that went, put in those that came: a chunk's vector never changes."""
    held, ids = held_ids(index), snapshot.vector_ids()
    gone, come = np.setdiff1d(held, ids), np.setdiff1d(ids, held)
    if len(gone):
        index.remove_ids(gone)
    if len(come):
        for batch_ids, vectors in snapshot.vectors(come):
            index.add_with_ids(vectors, batch_ids)


def search_index(
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


def held_ids(index: Any) -> NDArray[np.int64]:
    """Return the ids that a FAISS index holds, int64."""
    if isinstance(index, faiss.IndexIDMap2):
        return np.asarray(faiss.vector_to_array(index.id_map), np.int64)
    lists = index.invlists
    sizes = ((cell, lists.list_size(cell)) for cell in range(index.nlist))
    parts = [faiss.rev_swig_ptr(lists.get_ids(cell), size).copy() for cell, size in sizes if size]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _some(
    snapshot: Snapshot, ids: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], FloatArray]:
    if count < len(ids):
        ids = np.sort(np.random.default_rng(0).choice(ids, count, replace=False))
    parts = list(snapshot.vectors(ids))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


class _Nearest:
    """The exact neighbours of a sample among vectors that come batch by batch."""

    def __init__(self, ids: NDArray[np.int64], vectors: FloatArray) -> None:
        self._ids, self._vectors = ids, vectors
        self._scores = np.full((len(ids), _NEIGHBOURS), -np.inf, np.float32)
        self._best = np.full((len(ids), _NEIGHBOURS), -1, np.int64)

    def add(self, ids: NDArray[np.int64], vectors: FloatArray) -> None:
        products = self._vectors @ vectors.T
        products[self._ids[:, None] == ids[None, :]] = -np.inf
        scores = np.concatenate([self._scores, products], axis=1)
        best = np.concatenate([self._best, np.broadcast_to(ids, products.shape)], axis=1)
        order = np.argpartition(-scores, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]
        self._scores = np.take_along_axis(scores, order, axis=1)
        self._best = np.take_along_axis(best, order, axis=1)

    def sets(self) -> list[set[int]]:
        found = np.where(np.isfinite(self._scores), self._best, -1)
        return [set(row.tolist()) - {-1} for row in found]


def _recall(
    index: Any, sample_ids: NDArray[np.int64], sample: FloatArray, exact: list[set[int]]
) -> float:
    _, found = index.search(sample, REFINE * _NEIGHBOURS + 1)
    hits = wanted = 0
    for own, row, best in zip(sample_ids.tolist(), found.tolist(), exact, strict=True):
        others = [found_id for found_id in row if found_id != own][: REFINE * _NEIGHBOURS]
        hits += len(best.intersection(others))
        wanted += len(best)
    return hits / wanted if wanted else 1.0


def load(folder: Path, *, mapped: bool = True) -> tuple[Any, Stamp] | None:
    """Return the index and its stamp, None if there is none that can be used.

    Args:
        folder: The index.
        mapped: Map the file, which can't be changed then; else read it into memory.
    """
    path, texts = folder / FAISS_NAME, _stamp_texts(folder)
    before: os.stat_result | None = None
    try:
        stamps = [Stamp(**json.loads(text)) for text in texts]
        if not stamps:
            return None
        before = path.stat()
        stamp, known = _described(path, before, stamps)
        # Windows can't replace a file that is mapped.
        mapped = mapped and os.name != "nt"
        index = _mapped(path, stamp.kind) if mapped else faiss.read_index(str(path))
        if _identity(before) != _identity(path.stat()):
            raise ValueError("it was replaced while it was read")
        if stamp.last is None:
            ids = held_ids(index)
            stamp = replace(stamp, last=int(ids.max(initial=0)), count=len(ids))
        if not known:
            with suppress(OSError), _alone(folder, 0):  # a read-only folder: hashed each time
                if _identity(before) == _identity(path.stat()):
                    stamp = _settled(path, stamp)
                    replace_json(folder / STAMP_NAME, asdict(stamp))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # FAISS raises the last
        with suppress(OSError):
            replaced = before is not None and _identity(before) != _identity(path.stat())
            if replaced or _stamp_texts(folder) != texts:  # by another process, meanwhile
                return load(folder, mapped=mapped)
        _log.warning("%s can't be used (%s); it is built again", path, _reason(error))
        return None
    return index, stamp


def file_state(folder: Path) -> tuple[int, int] | None:
    """Return the size of the file and its time, which identify its version; None without a file."""
    try:
        found = (folder / FAISS_NAME).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def save(folder: Path, index: Any, stamp: Stamp, is_current: Callable[[], bool]) -> Stamp | None:
    """Write an index and its stamp, each beside and then into place; None if that wasn't done.

    Args:
        folder: The index.
        index: As FAISS has it.
        stamp: What it was made from.
        is_current: Says, when all is written, whether it is still of the store.
    """
    path = folder / FAISS_NAME
    new = folder / f"vectors.faiss.{uuid.uuid4().hex[:8]}.new"
    try:
        with _alone(folder, _SAVE_SECONDS):
            with new.open("wb") as file:  # FAISS itself would print its errors
                writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
                faiss.write_index(index, writer)
            stamp = _settled(new, replace(stamp, sha256=_sha256(new)))
            sync(new)
            if not is_current():
                new.unlink()
                return None
            replace_json(folder / _NEXT_NAME, asdict(stamp))
            new.replace(path)
            (folder / _NEXT_NAME).replace(folder / STAMP_NAME)
    except (OSError, RuntimeError) as error:
        _log.warning(
            "%s can't be written (%s); every process builds its own in memory", path, _reason(error)
        )
        with suppress(OSError):
            new.unlink()
        return None
    return stamp


def write_stamp(folder: Path, stamp: Stamp) -> None:
    """Put a stamp in the place of the one that is there, if the file is still the one it means.

    Raises:
        OSError: it can't be written, or another process is writing the file.
    """
    with _alone(folder, 0):
        if file_state(folder) == stamp.file_state:
            replace_json(folder / STAMP_NAME, asdict(stamp))


def sweep(folder: Path) -> None:
    """Delete what killed processes left half written, unless one is writing."""
    left = [*folder.glob("vectors.*.new")]
    if not left:
        return
    with suppress(OSError), _alone(folder, 0):
        for path in left:
            with suppress(OSError):
                path.unlink()


@contextmanager
def _alone(folder: Path, seconds: float) -> Iterator[None]:
    """Lock the file and its stamp for writing; a TimeoutError if another process has them."""
    folder.stat()  # one that was deleted is not to be made for its lock
    with FileLock(folder / _LOCK_NAME, timeout=seconds):
        yield


def _stamp_texts(folder: Path) -> list[str]:
    """Return the stamp, and the one that is to follow where a writer was killed, if any."""
    texts = []
    for name in (STAMP_NAME, _NEXT_NAME):
        with suppress(FileNotFoundError):
            texts.append((folder / name).read_text(encoding="utf-8", errors="replace"))
    return texts


def _described(path: Path, found: os.stat_result, stamps: Sequence[Stamp]) -> tuple[Stamp, bool]:
    """Return the stamp that describes the file, and whether its time proves it."""
    for stamp in stamps:
        if (found.st_size, found.st_mtime_ns) == stamp.file_state:
            return stamp, True
    digest = _sha256(path)
    for stamp in stamps:
        if stamp.sha256 == digest:
            return stamp, False
    raise ValueError("it is not the one that vectors.json describes")


def _mapped(path: Path, kind: str) -> Any:
    if kind == "exact":
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    lists = faiss.downcast_InvertedLists(index.invlists)
    if isinstance(lists, faiss.OnDiskInvertedLists):
        lists.prefetch_nthread = 0  # threads started at each search cost more than they save
    return index


def _settled(path: Path, stamp: Stamp) -> Stamp:
    """Set the file's time back and return the stamp with what is noted of the file."""
    then = time.time_ns() - _SET_BACK
    with suppress(OSError):  # some disks take no times
        os.utime(path, ns=(then, then))
    found = path.stat()
    return replace(stamp, size=found.st_size, modified=found.st_mtime_ns)


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
