"""FAISS indexes, built from the vectors of a snapshot.

Vectors are normalized, so inner product is cosine. FAISS ids are chunk ids.
"""

import math
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag_app.index.store.snapshot import Snapshot
from rag_app.models.embeddings.base import FloatArray

RECALL_TARGET = 0.97
"""Recall@10 against exact search that an approximate index is tuned to."""
_SAMPLE = 200
_TRAINING_PER_CELL = 64
_MIN_PER_CELL = 39  # below this k-means cells are noise (FAISS, "Guidelines to choose an index")


def build_exact(snapshot: Snapshot, dimension: int) -> Any:
    """Return an exact index over all vectors.

    Its storage is made at full size and filled batch by batch: one copy of the vectors is in
    memory, never a second one.
    """
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    count = snapshot.count_chunks()
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
    faiss.copy_array_to_vector(snapshot.chunk_ids(), index.id_map)
    index.ntotal = count
    index.construct_rev_map()
    return index


def build_approximate(snapshot: Snapshot, dimension: int) -> tuple[Any, float]:
    """Return an inverted-file index over all vectors, and its recall@10 against exact search.

    It probes as few cells as reach :data:`RECALL_TARGET` on a sample of the index's own vectors,
    each searched with itself left out.
    """
    ids = snapshot.chunk_ids()
    cells = max(1, min(round(4 * math.sqrt(len(ids))), len(ids) // _MIN_PER_CELL))
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.min_points_per_centroid = 1  # it warns on stderr otherwise
    _, training = _some(snapshot, ids, cells * _TRAINING_PER_CELL)
    index.train(training)
    for batch_ids, vectors in snapshot.vectors():
        index.add_with_ids(vectors, batch_ids)
    sample_ids, sample = _some(snapshot, ids, _SAMPLE)
    exact = _exact_neighbours(snapshot, sample_ids, sample)
    recall = 0.0
    for power in range(math.ceil(math.log2(cells)) + 1):
        index.nprobe = min(2**power, cells)
        recall = _recall(index, sample_ids, sample, exact)
        if recall >= RECALL_TARGET:
            break
    return index, recall


def _some(
    snapshot: Snapshot, ids: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], FloatArray]:
    if count < len(ids):
        ids = np.sort(np.random.default_rng(0).choice(ids, count, replace=False))
    parts = list(snapshot.vectors(ids))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _exact_neighbours(
    snapshot: Snapshot, sample_ids: NDArray[np.int64], sample: FloatArray, k: int = 10
) -> list[set[int]]:
    scores = np.full((len(sample), k), -np.inf, np.float32)
    best = np.full((len(sample), k), -1, np.int64)
    for ids, vectors in snapshot.vectors():
        products = sample @ vectors.T
        products[sample_ids[:, None] == ids[None, :]] = -np.inf
        scores = np.concatenate([scores, products], axis=1)
        best = np.concatenate([best, np.broadcast_to(ids, products.shape)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, order, axis=1)
        best = np.take_along_axis(best, order, axis=1)
    return [set(row.tolist()) - {-1} for row in best]


def _recall(
    index: Any, sample_ids: NDArray[np.int64], sample: FloatArray, exact: list[set[int]]
) -> float:
    _, found = index.search(sample, 11)
    hits = wanted = 0
    for own, row, best in zip(sample_ids.tolist(), found.tolist(), exact, strict=True):
        others = [found_id for found_id in row if found_id != own][:10]
        hits += len(best.intersection(others))
        wanted += len(best)
    return hits / wanted if wanted else 1.0
