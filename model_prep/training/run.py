"""A training run: from settings to a saved adapter."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.catalog.hub_results import push_to_hub, require_hub
from model_prep.errors import TrainingError, first_line, is_of_gpu_memory
from model_prep.json_file import read_json, replace_json
from model_prep.process_state import quiet_transformers
from model_prep.training.data import TrainingData, load_data
from model_prep.training.model import (
    ids_in_use,
    load_trainable,
    require_complete,
    save_tokenizer_beside,
    tokenizer_of,
    trained,
)
from model_prep.training.report import TrainingReport, plot, read_log, report_of
from model_prep.training.run_folder import (
    PLOT,
    RUN_FILE,
    TENSORBOARD,
    checkpoint_of,
    clear_folder,
    identity_of,
    made_folder,
    require_disk_space,
    writing,
)
from model_prep.training.settings import (
    PreferSettings,
    PretrainSettings,
    SftSettings,
    TrainingSettings,
    make_settings,
    passed_over,
)
from model_prep.training.trainer_arguments import require_processes, require_trl, training_arguments

if TYPE_CHECKING:
    import torch

    from model_prep.training.callbacks import SignalCallback, TrainingProgress
    from model_prep.training.trainer import AdapterTrainer


def pretrain(
    *,
    progress: "Callable[[TrainingProgress], None] | None" = None,
    note: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> TrainingReport:
    """Pre-train a LoRA on plain text: `train` with the options of `PretrainSettings`."""
    return train(make_settings(PretrainSettings, options), progress=progress, note=note)


def sft(
    *,
    progress: "Callable[[TrainingProgress], None] | None" = None,
    note: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> TrainingReport:
    """Tune a LoRA on conversations: `train` with the options of `SftSettings`."""
    return train(make_settings(SftSettings, options), progress=progress, note=note)


def prefer(
    *,
    progress: "Callable[[TrainingProgress], None] | None" = None,
    note: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> TrainingReport:
    """Train a LoRA on preference pairs: `train` with the options of `PreferSettings`."""
    return train(make_settings(PreferSettings, options), progress=progress, note=note)


def train(
    settings: TrainingSettings,
    *,
    progress: "Callable[[TrainingProgress], None] | None" = None,
    note: Callable[[str], None] = lambda _: None,
) -> TrainingReport:
    """Train an adapter and write it, its tokenizer, a log and a plot to ``output_dir``.

    A run that was interrupted continues from its last checkpoint, with the same losses as if it
    had not been. SIGINT and SIGTERM end it with a checkpoint after the step; a second one at once.

    Args:
        settings: One of `PretrainSettings`, `SftSettings` or `PreferSettings`.
        progress: Called after each step, in the first process.
        note: Called with messages, a line each, in the first process.

    Raises:
        TrainingError: settings, data or model do not fit, or the loss is not finite.
        TokenizerError, AdapterError: as loading raises them.
        PushError: ``push_to_hub`` is named and the hub refuses.
    """
    _require_needs(settings)
    note = note if is_main_process() else (lambda _: None)
    for line in passed_over(settings):
        note(line)
    tokenizer = tokenizer_of(settings)
    with _data_lock():
        data = load_data(settings, tokenizer)
    for problem in data.train.data.problems.first:
        note(str(problem))
    identity = identity_of(settings, data.key)
    checkpoint = checkpoint_of(settings, identity)
    run_file = settings.output_dir / RUN_FILE
    if checkpoint == settings.output_dir:
        return _finished_already(settings, data, note)
    with (
        quiet_transformers(warnings=False),
        _deepspeed_errors(settings),
        _memory_errors(),
        writing(settings.output_dir),
        made_folder(settings.output_dir, alone=is_main_process()),
    ):
        trainer, signals = _trainer(settings, data, tokenizer, progress)
        shapes = _shapes(trainer.model)
        # The others have decided too: they are in the group that _trainer makes.
        if is_main_process():
            clear_folder(settings.output_dir, keep=checkpoint)
            replace_json(run_file, {"settings": identity, "finished": False})
        if checkpoint:
            note(f"goes on from {checkpoint}")
        else:
            require_disk_space(settings, shapes)
        with signals.listening():
            outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        steps, seconds = outcome.global_step, outcome.metrics.get("train_runtime", 0.0)
        finished = not signals.stopping
        if finished:
            _finish(trainer, settings, shapes)
        report = report_of(settings, data, finished=finished, steps=steps, seconds=seconds)
        report.signal = None if finished else signals.signal
        if finished and trainer.is_world_process_zero():
            plain = {**asdict(report), "output": str(report.output)}
            values = {"settings": identity, "finished": True, "report": plain}
            replace_json(run_file, values)
            _push(settings, note)
    # No process leaves while another needs it.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()
    return report


def _finished_already(
    settings: TrainingSettings, data: TrainingData, note: Callable[[str], None]
) -> TrainingReport:
    note(f"{settings.output_dir} is finished already; --resume false trains again")
    if is_main_process():
        _push(settings, note)
    done = read_json(settings.output_dir / RUN_FILE).get("report") or {}
    steps, seconds = done.get("steps", 0), done.get("seconds", 0.0)
    return report_of(settings, data, finished=True, steps=steps, seconds=seconds)


def _shapes(model: Any) -> "dict[str, torch.Size]":
    """Return the shape of each trained tensor; what ZeRO-3 has sharded has none of its own."""
    return {name: getattr(tensor, "ds_shape", tensor.shape) for name, tensor in trained(model)}


def _require_needs(settings: TrainingSettings) -> None:
    """Check before any work what else than data and model a run needs."""
    require_processes(settings)
    if settings.kind == "prefer":
        require_trl()
    if settings.push_to_hub and is_main_process():
        require_hub(settings.push_to_hub)


def _push(settings: TrainingSettings, note: Callable[[str], None]) -> None:
    if settings.push_to_hub:
        url = push_to_hub(settings.output_dir, settings.push_to_hub)
        note(f"{settings.output_dir} pushed: {url}")


def _finish(
    trainer: "AdapterTrainer",
    settings: TrainingSettings,
    shapes: "dict[str, torch.Size]",
) -> None:
    """Evaluate a last time, and save the adapter, its tokenizer and the plot."""
    measured = [line["step"] for line in trainer.state.log_history if "eval_loss" in line]
    if trainer.eval_dataset is not None and trainer.state.global_step not in measured:
        trainer.evaluate()
    trainer.save_model()
    if trainer.is_world_process_zero():
        require_complete(settings.output_dir, shapes)
        plot(read_log(settings.output_dir), settings.output_dir / PLOT)


def is_main_process() -> bool:
    """Return whether this process is the first of those that torchrun began, or alone."""
    return os.environ.get("RANK", "0") == "0"


def _trainer(
    settings: TrainingSettings,
    data: TrainingData,
    tokenizer: Any,
    progress: "Callable[[TrainingProgress], None] | None",
) -> "tuple[AdapterTrainer, SignalCallback]":
    from transformers import PrinterCallback, set_seed

    from model_prep.training.callbacks import (
        FiniteLossCallback,
        SignalCallback,
        TrainingLogCallback,
    )

    # Before the model: DeepSpeed shards it while it is loaded.
    arguments = training_arguments(settings, evaluates=data.validation is not None)
    set_seed(settings.seed)
    model = load_trainable(settings, tokenizer)
    signals = SignalCallback()
    tokens_per_sequence = data.train.tokens / len(data.train)
    log = TrainingLogCallback(settings.output_dir, tokens_per_sequence, progress)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    trainer = _kind_of_trainer(
        settings,
        data,
        tokenizer,
        pad if pad is not None and pad < ids_in_use(tokenizer) else 0,
        save_tokenizer=partial(save_tokenizer_beside, tokenizer),
        model=model,
        args=arguments,
        callbacks=[
            log,
            signals,
            *_tensorboard(settings.output_dir),
            *_early_stopping(settings, data),
        ],
    )
    trainer.add_callback(FiniteLossCallback(lambda: trainer.loss_is_finite))
    trainer.remove_callback(PrinterCallback)
    return trainer, signals


def _kind_of_trainer(
    settings: TrainingSettings, data: TrainingData, tokenizer: Any, pad_id: int, **options: Any
) -> "AdapterTrainer":
    if isinstance(settings, PreferSettings):
        from model_prep.training.preference.trainer import preference_trainer

        return preference_trainer(settings, data, tokenizer, pad_id, **options)
    from model_prep.training.packing import Collator
    from model_prep.training.trainer import AdapterTrainer

    return AdapterTrainer(
        **options,
        train_dataset=data.train,
        eval_dataset=data.validation,
        data_collator=Collator(pad_id),
    )


def _early_stopping(settings: TrainingSettings, data: TrainingData) -> list[Any]:
    if settings.early_stopping_patience is None:
        return []
    if data.validation is None:
        msg = "--early_stopping_patience needs data to measure: --validation or --validation_split"
        raise TrainingError(msg)
    from transformers import EarlyStoppingCallback

    return [EarlyStoppingCallback(settings.early_stopping_patience)]


def _tensorboard(folder: Path) -> list[Any]:
    from importlib.util import find_spec

    if find_spec("tensorboard") is None:
        return []
    from transformers.integrations.integration_utils import TensorBoardCallback

    callback = TensorBoardCallback()
    callback.logging_dir = str(folder / TENSORBOARD)  # made when the steps begin
    return [callback]


@contextmanager
def _data_lock() -> Iterator[None]:
    """Let one process of several make the data first, so that the others find it."""
    from filelock import FileLock

    from model_prep.catalog.pull import models_folder

    folder = models_folder().parent
    with writing(folder, "set RAG_APP_HOME to a folder that can be"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "training-data.lock").acquire()
    with lock:
        yield


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Explain in one line what to do where a GPU's memory is full: by the model, or in a step."""
    try:
        yield
    except RuntimeError as error:
        if not is_of_gpu_memory(error):
            raise
        raise TrainingError(
            f"{first_line(error)}; use --gradient_checkpointing, a smaller "
            "--per_device_train_batch_size or --max_length, or --quantize 4bit"
        ) from error


@contextmanager
def _deepspeed_errors(settings: TrainingSettings) -> Iterator[None]:
    """Explain in one line what DeepSpeed has against its configuration, or what it lacks."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, AssertionError | ValueError | RuntimeError)
        if not settings.deepspeed or not (known or type(error).__module__.startswith("deepspeed")):
            raise
        reason = " ".join(str(error).split())[:300]
        name = settings.deepspeed
        msg = f"DeepSpeed refuses --deepspeed {name} ({reason}); correct it, or use --fsdp"
        raise TrainingError(msg) from error
