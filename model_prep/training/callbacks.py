"""Callbacks of transformers' Trainer: the log and progress of a run, and its end by a signal."""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from model_prep.errors import TrainingError
from model_prep.training.report import LOG, read_log

_LOGGED = {
    "loss", "learning_rate", "grad_norm", "eval_loss", "eval_perplexity", "rewards/margins",
    "rewards/accuracies", "eval_rewards/margins", "eval_rewards/accuracies",
}  # fmt: skip


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run is.

    Example:
        >>> TrainingProgress(3, 60, loss=2.5, tokens_per_second=24.0, seconds_left=90.0).step
        3
    """

    step: int
    steps: int
    loss: float | None
    tokens_per_second: float
    seconds_left: float


class TrainingLogCallback(TrainerCallback):
    """Writes the log and reports progress; a loss that is not finite ends the run.

    Args:
        folder: The run's; the log in it has a JSON object on each line, and is appended to.
        tokens_per_sequence: Mean of the training data.
        progress: Called after each step.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from transformers import TrainerState
        >>> with TemporaryDirectory() as folder:
        ...     callback = TrainingLogCallback(Path(folder), tokens_per_sequence=64, progress=None)
        ...     state = TrainerState(epoch=1.0, global_step=60)
        ...     callback.on_log(None, state, None, logs={"eval_loss": 2.5})
        ...     read_log(Path(folder))
        [{'step': 60, 'epoch': 1.0, 'eval_loss': 2.5}]
    """

    def __init__(
        self,
        folder: Path,
        tokens_per_sequence: float,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        self._folder = folder
        self._tokens_per_sequence = tokens_per_sequence
        self._progress = progress
        self._start = 0.0
        self._first_step = 0
        self._loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock; what an earlier run logged after its checkpoint is removed."""
        self._start = time.perf_counter()
        self._first_step = state.global_step
        if state.is_world_process_zero:
            lines = [line for line in read_log(self._folder) if line["step"] <= state.global_step]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (self._folder / LOG).write_text(text, encoding="utf-8")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report progress."""
        if self._progress and state.is_world_process_zero:
            rate = self._tokens(args, state) / max(self._seconds(), 1e-9)
            done = state.global_step - self._first_step
            left = (state.max_steps - state.global_step) * self._seconds() / max(done, 1)
            self._progress(
                TrainingProgress(state.global_step, state.max_steps, self._loss, rate, left)
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Append a line.

        Raises:
            TrainingError: the loss is not finite.
        """
        shown = {name: value for name, value in (logs or {}).items() if name in _LOGGED}
        if not shown:
            return
        self._loss = shown.get("loss", self._loss)
        if state.is_world_process_zero:
            line = {"step": state.global_step, "epoch": state.epoch, **shown}
            if "loss" in shown:
                tokens, seconds = self._tokens(args, state), self._seconds()
                line |= {"tokens": tokens, "seconds": round(seconds, 3)}
                line["tokens_per_second"] = round(tokens / max(seconds, 1e-9), 1)
            with (self._folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if self._loss is not None and not math.isfinite(self._loss):
            raise not_finite("the loss", state.global_step, str(self._loss))

    def _seconds(self) -> float:
        return time.perf_counter() - self._start

    def _tokens(self, args: Any, state: Any) -> int:
        """Tokens of this process's run so far: exact over an epoch, a mean within one."""
        batch: int = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        steps: int = state.global_step - self._first_step
        return round(steps * batch * self._tokens_per_sequence)


def not_finite(what: str, step: int, value: str = "not finite") -> TrainingError:
    """Return the error of a run whose numbers got too large."""
    return TrainingError(
        f"{what} is {value} at step {step}; the last checkpoint is kept. Try a smaller "
        "--learning_rate, or --dtype bfloat16 or float32"
    )


class FiniteLossCallback(TrainerCallback):
    """Ends the run at the step whose loss is not finite, whether it is logged or not.

    Args:
        is_finite: Says so of the losses since it was last asked; asked after each step.

    Raises:
        TrainingError: they are not.

    Example:
        >>> from transformers import TrainerState
        >>> callback = FiniteLossCallback(lambda: False)
        >>> callback.on_step_end(None, TrainerState(global_step=7), None)
        Traceback (most recent call last):
        ...
        model_prep.errors.TrainingError: the loss is not finite at step 7; the last checkpoint...
    """

    def __init__(self, is_finite: Callable[[], bool]) -> None:
        self._is_finite = is_finite

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the losses of the step."""
        if not self._is_finite():
            raise not_finite("the loss", state.global_step)


class SignalCallback(TrainerCallback):
    """Ends the run with a checkpoint after the step in which a signal came.

    Processes agree on the step: one that went on alone would wait for the others forever.

    Example:
        >>> callback = SignalCallback()
        >>> with callback.listening():
        ...     signal.raise_signal(signal.SIGINT)
        >>> callback.stopping, callback.signal == signal.SIGINT
        (True, True)
    """

    def __init__(self) -> None:
        self.stopping = False
        """Whether this process has been signalled; at the end, whether the run was cut short."""
        self.signal: int | None = None
        """The number of the signal, None where there was none or another process got it."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Stop where any process was signalled, unless it was the last step."""
        stopping = self.stopping
        if args.world_size > 1:
            flag = torch.tensor(int(stopping), device=args.device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            stopping = bool(flag.item())
        self.stopping = stopping and state.global_step < state.max_steps
        if self.stopping:
            control.should_save = control.should_training_stop = True
        return control

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let the first SIGINT or SIGTERM end the run; a second one acts as before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for kind, handler in before.items():
                signal.signal(kind, handler)

        def stop(number: int, _: Any) -> None:
            self.stopping, self.signal = True, number
            restore()

        for kind in before:
            signal.signal(kind, stop)
        try:
            yield
        finally:
            restore()
