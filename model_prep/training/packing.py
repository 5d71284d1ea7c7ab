"""Rows that a model is trained on: one or several samples each, none attending to another."""

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from model_prep.training.token_cache import TokenData

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, np.dtype[np.int64]]
IGNORED = -100
"""Label of a token that is not learned: that of PyTorch's cross entropy."""


def pack(lengths: Array, max_length: int) -> list[list[int]]:
    """Put samples into rows: each into the fullest row that has room, the longest first.

    Args:
        lengths: Tokens of each sample, none above ``max_length``.
        max_length: Tokens of a row.

    Returns:
        The samples of each row.
    """
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(max_length + 1)]  # rows, by what is free
    nearest = _Nearest(max_length)
    for sample in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[sample])
        free = nearest.at_least(length)
        if free is None:
            row, free = len(rows), max_length
            rows.append([])
        else:
            row = with_room[free].pop()
            if not with_room[free]:
                nearest.remove(free)
        rows[row].append(sample)
        if left := free - length:
            if not with_room[left]:
                nearest.add(left)
            with_room[left].append(row)
    return [sorted(row) for row in rows]


class _Nearest:
    """A set of small numbers that finds the smallest one not below another: bits of one integer."""

    def __init__(self, largest: int) -> None:
        self._bits = 0
        self._largest = largest

    def add(self, number: int) -> None:
        self._bits |= 1 << number

    def remove(self, number: int) -> None:
        self._bits &= ~(1 << number)

    def at_least(self, number: int) -> int | None:
        above = self._bits >> number
        return number + (above & -above).bit_length() - 1 if above else None


class Rows:
    """A map-style dataset of rows.

    Args:
        data: Tokenized samples.
        samples: Those of each row.
    """

    def __init__(self, data: TokenData, samples: list[list[int]]) -> None:
        self.data = data
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> dict[str, Array]:
        """Return a row: ``ids``, ``labels`` and ``positions``, int64, all of one length.

        Positions begin anew with each sample: that is how transformers' models tell samples apart,
        and none attends to another.
        """
        bounds = [self._bounds(sample) for sample in self._samples[number]]
        ids = np.concatenate([self.data.ids[begin:end] for begin, end in bounds]).astype(np.int64)
        learned = np.concatenate([self.data.targets[begin:end] for begin, end in bounds])
        positions = np.concatenate([np.arange(end - begin) for begin, end in bounds])
        # The first token of a sample would be predicted from the sample before it.
        labels = np.where(learned.astype(bool) & (positions > 0), ids, IGNORED)
        return {"ids": ids, "labels": labels, "positions": positions}

    def _bounds(self, sample: int) -> tuple[int, int]:
        ends = self.data.ends
        return int(ends[sample - 1]) if sample else 0, int(ends[sample])

    @cached_property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return int(self.data.lengths[list(chain.from_iterable(self._samples))].sum())


def make_rows(
    data: TokenData, max_length: int, *, packing: bool, held_back: float = 0.0, seed: int = 0
) -> tuple[Rows, Rows]:
    """Return the rows to train on, and those held back.

    Args:
        data: Tokenized samples.
        max_length: Tokens of a row.
        packing: Put several samples into a row.
        held_back: Share of the samples in the second; chosen by chance, before packing.
        seed: Of that chance.
    """
    order = np.random.default_rng(seed).permutation(len(data))
    count = min(max(1, round(held_back * len(data))), len(data) - 1) if held_back else 0
    parts = np.sort(order[count:]), np.sort(order[:count])
    made = []
    for part in parts:
        if packing and len(part):
            rows = [part[row].tolist() for row in pack(data.lengths[part], max_length)]
        else:
            rows = [[int(sample)] for sample in part]
        made.append(Rows(data, rows))
    return made[0], made[1]


class Collator:
    """Makes a batch of rows, as long as the longest of them.

    Args:
        pad_id: Token that fills the others up; it is a sample of its own and never learned.
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: list[dict[str, Array]]) -> "dict[str, torch.Tensor]":
        """Return ``input_ids``, ``labels`` and ``position_ids``, int64, batch × length."""
        import torch

        longest = max(len(row["ids"]) for row in rows)

        def padded(name: str, filler: "Array") -> "torch.Tensor":
            return torch.from_numpy(
                np.stack([np.append(row[name], filler[: longest - len(row[name])]) for row in rows])
            )

        return {
            "input_ids": padded("ids", np.full(longest, self._pad_id)),
            "labels": padded("labels", np.full(longest, IGNORED)),
            "position_ids": padded("positions", np.arange(longest)),
        }
