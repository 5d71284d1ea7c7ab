"""The folder of a run: its files, whether an earlier run can be continued, and its disk space."""

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from model_prep.errors import CheckpointError, DiskSpaceError, TrainingError, first_line
from model_prep.json_file import read_json
from model_prep.lora.adapter_config import CONFIG
from model_prep.output import PARTIAL, is_full, locked, require_space
from model_prep.training.report import LOG
from model_prep.training.settings import LORA, TrainingSettings

if TYPE_CHECKING:
    import torch

RUN_FILE = "training.json"
_PART = f"{RUN_FILE}{PARTIAL}"
PLOT = "loss.png"
WEIGHTS = "adapter_model.safetensors"
BEST = "best"
"""Folder of the adapter with the lowest validation loss."""
CHECKPOINT = "checkpoint-"
TENSORBOARD = "tensorboard"
_WRITTEN_LAST = "trainer_state.json"  # the last file of a checkpoint: one without it was cut off
_DECIDING = {
    "model", "adapter", *LORA, "max_length", "packing", "per_device_train_batch_size",
    "gradient_accumulation_steps", "learning_rate", "lr_scheduler_type", "warmup_steps",
    "weight_decay", "max_grad_norm", "optim", "seed", "num_train_epochs", "max_steps", "quantize",
    "deepspeed", "lr_scheduler_kwargs", "neftune_noise_alpha", "early_stopping_patience",
    "loss", "beta",
}  # fmt: skip
"""Settings with another value of which a checkpoint can't be continued."""
_BYTES_PER_PARAMETER = 12
"""For each trained parameter in a checkpoint: itself, and AdamW's two moments."""
_FULL_DISK = ("No space left", "PytorchStreamWriter failed", "unexpected pos")
"""In the errors of safetensors, tokenizers and PyTorch."""


def checkpoint_of(settings: TrainingSettings, identity: dict[str, Any]) -> Path | None:
    """Return what to continue from: a checkpoint, or the output folder where it is finished.

    Raises:
        TrainingError: the folder has a run with other settings or data, or something else.
    """
    folder = settings.output_dir
    if not (folder / RUN_FILE).is_file():
        others = folder.is_dir() and any(path.name != _PART for path in folder.iterdir())
        if folder.is_file() or others:
            msg = f"{folder} holds something else; name a new or empty folder as --output_dir"
            raise TrainingError(msg)
        return None
    if not settings.resume:
        return None
    elsewhere = "name another --output_dir, or start again with --resume false"
    try:
        manifest = read_json(folder / RUN_FILE)
    except CheckpointError as error:
        raise TrainingError(f"{folder / RUN_FILE} is damaged; {elsewhere}") from error
    before = manifest.get("settings", {})
    for name, value in identity.items():
        if before.get(name) != value:
            msg = f"{folder} has a run with {name} {before.get(name)!r}, not {value!r}; {elsewhere}"
            raise TrainingError(msg)
    if manifest.get("finished") and (folder / WEIGHTS).is_file():
        return folder
    return last_checkpoint(folder)


def clear_folder(folder: Path, *, keep: Path | None) -> None:
    """Remove what an earlier run wrote and a run that continues from ``keep`` has no use for."""
    for checkpoint in folder.glob(f"{CHECKPOINT}*"):
        if keep is None or not (checkpoint / _WRITTEN_LAST).is_file():
            shutil.rmtree(checkpoint, ignore_errors=True)
    if keep is None:
        for name in (BEST, TENSORBOARD):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (RUN_FILE, PLOT, LOG, WEIGHTS, CONFIG):
            (folder / name).unlink(missing_ok=True)


def identity_of(settings: TrainingSettings, key: str) -> dict[str, Any]:
    """Return what a run is known by: the settings that decide its course, and its data's key."""
    values = settings.model_dump(mode="json", include=_DECIDING)
    return values | {"kind": settings.kind, "data": key}


def last_checkpoint(folder: Path) -> Path | None:
    """Return the last complete checkpoint of a run; what a kill or a crash left is skipped."""
    steps = (path.name.removeprefix(CHECKPOINT) for path in folder.glob(f"{CHECKPOINT}*"))
    newest_first = sorted((int(step) for step in steps if step.isdecimal()), reverse=True)
    found = (folder / f"{CHECKPOINT}{step}" for step in newest_first)
    return next((checkpoint for checkpoint in found if _is_whole(checkpoint)), None)


def _is_whole(checkpoint: Path) -> bool:
    return (checkpoint / _WRITTEN_LAST).is_file() and all(map(_can_be_read, checkpoint.rglob("*")))


def _can_be_read(file: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        if file.suffix == ".json":
            json.loads(file.read_bytes())
        elif file.suffix == ".safetensors":
            with safe_open(file, "pt"):
                pass
        return file.suffix not in {".pt", ".pth"} or is_zipfile(file)
    except (OSError, ValueError, SafetensorError):
        return False


@contextmanager
def made_folder(folder: Path, *, alone: bool) -> Iterator[None]:
    """Make the folder; where ``alone``, no other run may use it meanwhile.

    Raises:
        TrainingError: another run does.
        OSError: it can't be made, or can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with locked(folder) if alone else nullcontext(True) as free:
        if not free:
            msg = f"another run is training in {folder}; wait for it, or name another --output_dir"
            raise TrainingError(msg)
        yield


def require_disk_space(settings: TrainingSettings, shapes: "dict[str, torch.Size]") -> None:
    """Check that the disk holds all checkpoints, and one that is being written.

    Raises:
        DiskSpaceError: it does not.
    """
    parameters = sum(map(math.prod, shapes.values()))
    needed = parameters * _BYTES_PER_PARAMETER * (settings.save_total_limit + 1)
    remedy = "free some space, lower --save_total_limit, or choose another --output_dir"
    require_space(settings.output_dir, needed, remedy=remedy)


@contextmanager
def writing(
    folder: Path, remedy: str = "correct that, or choose another --output_dir"
) -> Iterator[None]:
    """Explain in one line why a folder can't be written.

    Raises:
        DiskSpaceError: the disk is full.
        TrainingError: it can't be written for another reason.
    """
    from safetensors import SafetensorError

    try:
        yield
    except Exception as error:
        full = any(sign in str(error) for sign in _FULL_DISK)
        if full or (isinstance(error, OSError) and is_full(error)):
            raise DiskSpaceError(
                f"the disk of {folder} is full; free some space, and the same command goes on from "
                "the last checkpoint"
            ) from error
        if not isinstance(error, OSError | SafetensorError):
            raise
        reason = getattr(error, "strerror", None) or first_line(error)
        raise TrainingError(f"{folder} can't be written ({reason}); {remedy}") from error
