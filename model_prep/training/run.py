"""A run: data, model and steps, from the settings to an adapter."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.adapters import CONFIG
from model_prep.errors import TrainingError
from model_prep.json_file import read_json, write_json
from model_prep.training import data as training_data
from model_prep.training.arguments_of_trainer import training_arguments
from model_prep.training.model import (
    load_model,
    require_complete,
    save_tokenizer_beside,
    tokenizer_of,
    trained,
)
from model_prep.training.settings import LORA, TrainingSettings

if TYPE_CHECKING:
    from model_prep.training.trainer import AdapterTrainer, StopsWhenAsked
    from model_prep.training.watching import Progress

MANIFEST = "training.json"
PLOT = "loss.png"
_DECIDING = (
    "model", "adapter", *LORA, "max_length", "packing", "per_device_train_batch_size",
    "gradient_accumulation_steps", "learning_rate", "lr_scheduler_type", "warmup_steps",
    "weight_decay", "max_grad_norm", "optim", "seed", "num_train_epochs", "max_steps", "quantize",
)  # fmt: skip
"""Settings with another value of which a checkpoint can't be gone on with."""


@dataclass
class Report:
    """What came of a run."""

    output: Path
    steps: int
    finished: bool
    """False: it was interrupted, and the same command goes on."""
    samples: int
    tokens: int
    problems: dict[str, int] = field(default_factory=dict)
    """In the data, by kind."""
    first_loss: float | None = None
    last_loss: float | None = None
    eval_loss: float | None = None
    eval_perplexity: float | None = None
    seconds: float = 0.0
    tokens_per_second: float = 0.0


def train(
    settings: TrainingSettings,
    *,
    progress: "Callable[[Progress], None] | None" = None,
    note: Callable[[str], None] = lambda _: None,
) -> Report:
    """Train an adapter and write it, its tokenizer, a log and a plot to ``output_dir``.

    A run that was interrupted goes on from its last checkpoint, with the same losses as if it had
    not been. SIGINT and SIGTERM end it with a checkpoint after the step; a second one at once.

    Args:
        settings: Of `PretrainSettings` or `SftSettings`.
        progress: Called after each step, in the first process.
        note: Told what is worth knowing, a line each, in the first process.

    Raises:
        TrainingError: settings, data or model do not fit, or the loss is no number.
        TokenizerError, AdapterError: as loading raises them.
    """
    said = note if is_first() else (lambda _: None)
    tokenizer = tokenizer_of(settings)
    with _one_after_another():
        data = training_data.load(settings, tokenizer)
    for problem in data.train.data.problems.first:
        said(str(problem))
    identity = _identity(settings, data.key)
    checkpoint = _checkpoint(settings, identity)
    if checkpoint == settings.output_dir:
        said(f"{settings.output_dir} is finished already; --resume false trains anew")
        return _report(settings, data, {"finished": True})
    trainer, stops = _trainer(settings, data, tokenizer, progress)
    if is_first():  # the others have decided too: they are in the group that _trainer makes
        _clear(settings.output_dir, keep=checkpoint)
        write_json(settings.output_dir / MANIFEST, {"settings": identity, "finished": False})
    if checkpoint:
        said(f"goes on from {checkpoint}")
    shapes = {name: one.shape for name, one in trained(trainer.model)}
    with _signals(stops):
        outcome = _run(trainer, checkpoint)
    if stops.asked:
        _part(trainer)
        return _report(settings, data, {"finished": False, **outcome})
    every = settings.eval_steps or settings.save_steps
    if data.validation is not None and trainer.state.global_step % every:
        trainer.evaluate()
    trainer.save_model()
    if trainer.is_world_process_zero():
        save_tokenizer_beside(tokenizer, settings.output_dir)
        require_complete(settings.output_dir, shapes)
        from model_prep.training.plot import plot
        from model_prep.training.watching import LOG, read_log

        plot(read_log(settings.output_dir / LOG), settings.output_dir / PLOT)
    report = _report(settings, data, {"finished": True, **outcome})
    if trainer.is_world_process_zero():
        values = {"settings": identity, "finished": True, "report": _plain(report)}
        write_json(settings.output_dir / MANIFEST, values)
    _part(trainer)
    return report


def _part(trainer: "AdapterTrainer") -> None:
    """End what processes share: one that exits before may be aborted by its own threads."""
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


def is_first() -> bool:
    """Return whether this process is the first of those that torchrun began, or alone."""
    return os.environ.get("RANK", "0") == "0"


def _trainer(
    settings: TrainingSettings,
    data: training_data.Data,
    tokenizer: Any,
    progress: "Callable[[Progress], None] | None",
) -> "tuple[AdapterTrainer, StopsWhenAsked]":
    from transformers import PrinterCallback, set_seed
    from transformers.utils import logging

    from model_prep.training.rows import Collator
    from model_prep.training.trainer import AdapterTrainer, StopsWhenAsked
    from model_prep.training.watching import LOG, Watching

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # Before the model: DeepSpeed shards it while it is loaded.
    arguments = training_arguments(settings, evaluates=data.validation is not None)
    set_seed(settings.seed)
    model = load_model(settings, tokenizer)
    _make(settings.output_dir)
    stops = StopsWhenAsked()
    per_row = data.train.tokens / len(data.train)
    watching = Watching(settings.output_dir / LOG, per_row, progress)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    trainer = AdapterTrainer(
        model=model,
        args=arguments,
        train_dataset=data.train,
        eval_dataset=data.validation,
        data_collator=Collator(pad or 0),
        callbacks=[watching, stops, *_tensorboard(settings.output_dir)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, stops


def _run(trainer: "AdapterTrainer", checkpoint: Path | None) -> dict[str, Any]:
    import torch

    try:
        outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        msg = (
            "the GPU's memory is full; use --gradient_checkpointing, a smaller "
            "--per_device_train_batch_size or --max_length, or --quantize 4bit"
        )
        raise TrainingError(msg) from error
    return {"steps": outcome.global_step, "seconds": outcome.metrics.get("train_runtime", 0.0)}


def _checkpoint(settings: TrainingSettings, identity: dict[str, Any]) -> Path | None:
    """Return what to go on from: a checkpoint, or the output folder where it is finished.

    Raises:
        TrainingError: the folder has a run with other settings or data, or something else.
    """
    from model_prep.training.trainer import WEIGHTS, last_checkpoint

    folder = settings.output_dir
    if not (folder / MANIFEST).is_file():
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            msg = f"{folder} holds something else; name a new or empty folder as --output_dir"
            raise TrainingError(msg)
        return None
    if not settings.resume:
        return None
    manifest = read_json(folder / MANIFEST)
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


def _clear(folder: Path, *, keep: Path | None) -> None:
    """Remove what an earlier run wrote and a run that goes on from ``keep`` has no use for."""
    from model_prep.training.trainer import BEST, CHECKPOINT, WEIGHTS
    from model_prep.training.watching import LOG

    for one in folder.glob(f"{CHECKPOINT}*"):
        if keep is None or not (one / "trainer_state.json").is_file():
            shutil.rmtree(one, ignore_errors=True)
    if keep is None:
        shutil.rmtree(folder / BEST, ignore_errors=True)
        for name in (MANIFEST, PLOT, LOG, WEIGHTS, CONFIG):
            (folder / name).unlink(missing_ok=True)


def _identity(settings: TrainingSettings, key: str) -> dict[str, Any]:
    values = settings.model_dump(mode="json", include=set(_DECIDING))
    return {name: values[name] for name in _DECIDING} | {"kind": settings.kind, "data": key}


def _report(
    settings: TrainingSettings, data: training_data.Data, outcome: dict[str, Any]
) -> Report:
    from model_prep.training.watching import LOG, read_log

    log = read_log(settings.output_dir / LOG)
    losses = [line for line in log if "loss" in line]
    evaluations = [line for line in log if "eval_loss" in line]
    report = Report(
        output=settings.output_dir,
        steps=outcome.get("steps") or (losses[-1]["step"] if losses else 0),
        finished=outcome["finished"],
        samples=len(data.train.data),
        tokens=data.train.tokens,
        problems=dict(data.train.data.problems.counts),
        seconds=outcome.get("seconds", 0.0),
    )
    if losses:
        report.first_loss, report.last_loss = losses[0]["loss"], losses[-1]["loss"]
        report.tokens_per_second = losses[-1]["tokens_per_second"]
    if evaluations:
        report.eval_loss = evaluations[-1]["eval_loss"]
        report.eval_perplexity = evaluations[-1]["eval_perplexity"]
    return report


def _plain(report: Report) -> dict[str, Any]:
    return {**asdict(report), "output": str(report.output)}


def _tensorboard(folder: Path) -> list[Any]:
    from importlib.util import find_spec

    if find_spec("tensorboard") is None:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    if not is_first():
        return []
    return [TensorBoardCallback(SummaryWriter(log_dir=str(folder / "tensorboard")))]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder} can't be made ({error.strerror}); choose another --output_dir"
        raise TrainingError(msg) from error


@contextmanager
def _one_after_another() -> Iterator[None]:
    """Let one process of several make the data first, and the others find it made."""
    from filelock import FileLock

    from model_prep.pull import models_folder

    folder = models_folder().parent
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "training-data.lock"):
        yield


@contextmanager
def _signals(stops: "StopsWhenAsked") -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a wish; the second acts as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def ask(*_: Any) -> None:
        stops.asked = True
        for one, handler in before.items():
            signal.signal(one, handler)

    for one in before:
        signal.signal(one, ask)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
