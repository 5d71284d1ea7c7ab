"""Room for a run, and one line where its folder can't be written."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from model_prep.errors import DiskSpaceError, TrainingError, first_line
from model_prep.output import is_full, require_space
from model_prep.training.settings import TrainingSettings

if TYPE_CHECKING:
    import torch

_BYTES = 12
"""Of a trained number in a checkpoint: itself, and AdamW's two moments."""


def require_room(settings: TrainingSettings, shapes: "dict[str, torch.Size]") -> None:
    """Check that the disk has room for all checkpoints, and for one that is being written."""
    numbers = sum(map(math.prod, shapes.values()))
    remedy = "free some space, lower --save_total_limit, or choose another --output_dir"
    needed = numbers * _BYTES * (settings.save_total_limit + 1)
    require_space(settings.output_dir, needed, remedy=remedy)


def _is_of_full_disk(error: Exception) -> bool:
    # safetensors and PyTorch raise errors of their own.
    signs = ("No space left", "PytorchStreamWriter failed", "unexpected pos")
    return (isinstance(error, OSError) and is_full(error)) or any(
        sign in str(error) for sign in signs
    )


@contextmanager
def writing(
    folder: Path, remedy: str = "mend that, or choose another --output_dir"
) -> Iterator[None]:
    """Say in one line why a folder can't be written."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if _is_of_full_disk(error):
            msg = (
                f"the disk of {folder} is full; free some space, and the same command goes on from "
                "the last checkpoint"
            )
            raise DiskSpaceError(msg) from error
        if isinstance(error, RuntimeError):
            raise
        reason = getattr(error, "strerror", None) or first_line(error)
        msg = f"{folder} can't be written ({reason}); {remedy}"
        raise TrainingError(msg) from error
