"""The folder of a run: what lies in it, and what of an earlier run can be gone on with."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from model_prep.errors import CheckpointError, TrainingError
from model_prep.json_file import read_json
from model_prep.lora.adapter import CONFIG
from model_prep.training.log import LOG
from model_prep.training.settings import LORA, TrainingSettings

MANIFEST = "training.json"
PLOT = "loss.png"
WEIGHTS = "adapter_model.safetensors"
BEST = "best"
"""Folder of the adapter with the lowest validation loss."""
CHECKPOINT = "checkpoint-"
TENSORBOARD = "tensorboard"
_WRITTEN_LAST = "trainer_state.json"
"""Of a checkpoint: one without it was cut off."""
_DECIDING = (
    "model", "adapter", *LORA, "max_length", "packing", "per_device_train_batch_size",
    "gradient_accumulation_steps", "learning_rate", "lr_scheduler_type", "warmup_steps",
    "weight_decay", "max_grad_norm", "optim", "seed", "num_train_epochs", "max_steps", "quantize",
    "deepspeed",
)  # fmt: skip
"""Settings with another value of which a checkpoint can't be gone on with."""


def checkpoint_of(settings: TrainingSettings, identity: dict[str, Any]) -> Path | None:
    """Return what to go on from: a checkpoint, or the output folder where it is finished.

    Raises:
        TrainingError: the folder has a run with other settings or data, or something else.
    """
    folder = settings.output_dir
    if not (folder / MANIFEST).is_file():
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            msg = f"{folder} holds something else; name a new or empty folder as --output_dir"
            raise TrainingError(msg)
        return None
    if not settings.resume:
        return None
    try:
        manifest = read_json(folder / MANIFEST)
    except CheckpointError as error:
        msg = (
            f"{folder / MANIFEST} is damaged; name another --output_dir, or begin anew with "
            "--resume false"
        )
        raise TrainingError(msg) from error
    before = manifest.get("settings", {})
    other = [name for name, value in identity.items() if before.get(name) != value]
    if other:
        name = other[0]
        msg = (
            f"{folder} has a run with {name} {before.get(name)!r}, not {identity[name]!r}; name "
            "another --output_dir, or begin anew with --resume false"
        )
        raise TrainingError(msg)
    if manifest.get("finished") and (folder / WEIGHTS).is_file():
        return folder
    return last_checkpoint(folder)


def clear(folder: Path, *, keep: Path | None) -> None:
    """Remove what an earlier run wrote and a run that goes on from ``keep`` has no use for."""
    for one in folder.glob(f"{CHECKPOINT}*"):
        if keep is None or not (one / _WRITTEN_LAST).is_file():
            shutil.rmtree(one, ignore_errors=True)
    if keep is None:
        for name in (BEST, TENSORBOARD):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (MANIFEST, PLOT, LOG, WEIGHTS, CONFIG):
            (folder / name).unlink(missing_ok=True)


def identity_of(settings: TrainingSettings, key: str) -> dict[str, Any]:
    """Return what a run is known by: the settings that decide its course, and its data's key."""
    values = settings.model_dump(mode="json", include=set(_DECIDING))
    return {name: values[name] for name in _DECIDING} | {"kind": settings.kind, "data": key}


def make(folder: Path) -> None:
    """Make the folder.

    Raises:
        OSError: it can't be made, or can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def last_checkpoint(folder: Path) -> Path | None:
    """Return the last whole checkpoint of a run; what a kill or a crash left is passed over."""
    found = [
        (int(one.name.removeprefix(CHECKPOINT)), one)
        for one in folder.glob(f"{CHECKPOINT}*")
        if one.name.removeprefix(CHECKPOINT).isdecimal()
    ]
    return next((one for _, one in sorted(found, reverse=True) if _is_whole(one)), None)


def _is_whole(checkpoint: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    if not (checkpoint / _WRITTEN_LAST).is_file():
        return False
    try:
        for file in checkpoint.rglob("*"):
            if file.suffix == ".json":
                json.loads(file.read_bytes())
            elif file.suffix == ".safetensors":
                with safe_open(file, "pt"):
                    pass
            elif file.suffix in {".pt", ".pth"} and not is_zipfile(file):
                return False
    except (OSError, ValueError, SafetensorError):
        return False
    return True
