"""Packed sequences: one or several samples in each, none attending to another."""

from bisect import bisect_left, insort
from collections import defaultdict
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from model_prep.training.encoding import IGNORED
from model_prep.training.token_cache import TokenData

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, np.dtype[np.int64]]


def pack(lengths: Array, max_length: int) -> list[list[int]]:
    """Put samples into sequences by best fit, the longest first.

    Args:
        lengths: Tokens of each sample, none above ``max_length``.
        max_length: Tokens of a sequence.

    Returns:
        The samples of each sequence.

    Example:
        >>> pack(np.array([3, 6, 4, 2]), max_length=8)
        [[1, 3], [0, 2]]
    """
    sequences: list[list[int]] = []
    by_free = defaultdict[int, list[int]](list)  # sequences by their free tokens
    free_sizes: list[int] = []  # those that some sequence has, ascending
    for sample in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[sample])
        at = bisect_left(free_sizes, length)
        if at == len(free_sizes):
            sequence, free = len(sequences), max_length
            sequences.append([])
        else:
            free = free_sizes[at]
            sequence = by_free[free].pop()
            if not by_free[free]:
                del free_sizes[at]
        sequences[sequence].append(sample)
        if left := free - length:
            if not by_free[left]:
                insort(free_sizes, left)
            by_free[left].append(sequence)
    return [sorted(samples) for samples in sequences]


class PackedSequences:
    """A map-style dataset of sequences.

    Example:
        >>> from pathlib import Path
        >>> from model_prep.training.dataset_files import Problems
        >>> ids, ends = np.array([5, 6, 7, 8, 9]), np.array([2, 5])
        >>> data = TokenData(Path("cache"), ids, ids, ends, 0, Problems())
        >>> PackedSequences(data, [[0, 1]])[0]["labels"].tolist()
        [-100, 6, -100, 8, 9]
    """

    def __init__(self, data: TokenData, samples: list[list[int]]) -> None:
        self.data = data
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Array]:
        """Return a sequence: ``ids``, ``labels`` and ``positions``, int64, all of one length.

        Positions start at 0 for each sample: that is how transformers' models separate samples,
        and none attends to another.
        """
        ends = self.data.ends
        spans = [slice(ends[at - 1] if at else 0, ends[at]) for at in self._samples[index]]
        ids, labels = (
            np.concatenate([tokens[span] for span in spans]).astype(np.int64)
            for tokens in (self.data.ids, self.data.labels)
        )
        positions = np.concatenate([np.arange(span.stop - span.start) for span in spans])
        # The first token of a sample would be predicted from the sample before it.
        return {"ids": ids, "labels": np.where(positions, labels, IGNORED), "positions": positions}

    @cached_property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return int(self.data.lengths[list(chain.from_iterable(self._samples))].sum())


def make_sequences(
    data: TokenData, max_length: int, *, packing: bool, validation_split: float = 0.0, seed: int = 0
) -> tuple[PackedSequences, PackedSequences]:
    """Return the sequences to train on, and those to measure the loss on.

    Args:
        data: Tokenized samples.
        max_length: Tokens of a sequence.
        packing: Put several samples into a sequence.
        validation_split: Share of the samples in the second; chosen by chance, before packing.
        seed: The seed of that chance.
    """
    made = []
    for part in _held_back(len(data), validation_split, seed):
        if packing:
            packed = pack(data.lengths[part], max_length)
            samples = [part[sequence].tolist() for sequence in packed]
        else:
            samples = [[int(sample)] for sample in part]
        made.append(PackedSequences(data, samples))
    return made[0], made[1]


def make_pairs(
    data: TokenData, *, validation_split: float = 0.0, seed: int = 0
) -> tuple[PackedSequences, PackedSequences]:
    """Return pairs to train on and pairs to measure on: as `make_sequences`, two samples in each.

    Args:
        data: Tokenized samples, each pair's one after the other.
        validation_split: Share of the pairs in the second; chosen by chance.
        seed: The seed of that chance.
    """
    parts = _held_back(len(data) // 2, validation_split, seed)
    train, validation = (
        PackedSequences(data, [[2 * pair, 2 * pair + 1] for pair in part.tolist()])
        for part in parts
    )
    return train, validation


def _held_back(count: int, share: float, seed: int) -> tuple[Array, Array]:
    """Return numbers up to ``count`` in two parts, each in order; ``share`` are in the second."""
    order = np.random.default_rng(seed).permutation(count)
    held = min(max(1, round(share * count)), count - 1) if share else 0
    return np.sort(order[held:]), np.sort(order[:held])


class Collator:
    """Makes a batch of sequences, as long as the longest of them.

    Args:
        pad_id: Token that fills the others up; it is a sample of its own and never learned.

    Example:
        >>> one, two = (
        ...     {"ids": np.array(ids), "labels": np.array(ids), "positions": np.arange(len(ids))}
        ...     for ids in ([5, 6, 7], [8])
        ... )
        >>> Collator(pad_id=0)([one, two])["labels"].tolist()
        [[5, 6, 7], [8, -100, -100]]
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, sequences: list[dict[str, Array]]) -> "dict[str, torch.Tensor]":
        """Return ``input_ids``, ``labels`` and ``position_ids``, int64, batch × length."""
        import torch

        longest = max(len(sequence["ids"]) for sequence in sequences)

        def padded(name: str, padding: Array) -> torch.Tensor:
            values = [sequence[name] for sequence in sequences]
            rows = [np.append(value, padding[: longest - len(value)]) for value in values]
            return torch.from_numpy(np.stack(rows))

        return {
            "input_ids": padded("ids", np.full(longest, self._pad_id)),
            "labels": padded("labels", np.full(longest, IGNORED)),
            "position_ids": padded("positions", np.arange(longest)),
        }
