"""Trials of one kind over many random seeds, counted by how they end."""

import resource
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")


def try_seeds(
    arguments: list[str],
    make: Callable[[Path], Made],
    outcome: Callable[[Made, Path, int], str],
    expected: tuple[str, ...],
) -> None:
    """Print how trials end, each that ends otherwise than expected, and the most memory (Linux).

    Args:
        arguments: Of the command line: how many, and if it is not 0 the first seed.
        make: Makes what all trials share, in a folder.
        outcome: Of one trial, in a folder of its own: a word, a colon, and what is to be said.
        expected: Words with which an outcome may begin.
    """
    count, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as root:
        made = make(Path(root))
        before = _peak_megabytes()
        for seed in range(first, first + count):
            with tempfile.TemporaryDirectory() as folder:
                found = outcome(made, Path(folder), seed)
            outcomes[found.partition(":")[0]] += 1
            if not found.startswith(expected):
                print(seed, found[:400], flush=True)
    print(dict(outcomes), f"most memory: {_peak_megabytes():,} MB ({before:,} MB before)")


def _peak_megabytes() -> int:
    """Return the most resident memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
