"""What a run says while it works: a log to be read by programs, and progress to be watched."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from model_prep.errors import TrainingError
from model_prep.training.log import read_log


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    steps: int
    loss: float | None
    tokens_per_second: float
    seconds_left: float


class Watching(TrainerCallback):
    """Writes the log and tells progress; a loss that is no number ends the run.

    Args:
        file: The log: a JSON object on each line, appended.
        tokens_per_row: Mean of the training data.
        progress: Called after each step.
    """

    def __init__(
        self, file: Path, tokens_per_row: float, progress: Callable[[Progress], None] | None
    ) -> None:
        self._file = file
        self._tokens_per_row = tokens_per_row
        self._progress = progress
        self._start = 0.0
        self._first = 0
        self._loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to measure; of an earlier run, what came after its checkpoint is forgotten."""
        self._start = time.perf_counter()
        self._first = state.global_step
        if state.is_world_process_zero:
            lines = [line for line in read_log(self._file) if line["step"] <= state.global_step]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            self._file.write_text(text, encoding="utf-8")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell how far it is."""
        if self._progress and state.is_world_process_zero:
            rate = self._tokens(args, state) / max(self._seconds(), 1e-9)
            done = state.global_step - self._first
            left = (state.max_steps - state.global_step) * self._seconds() / max(done, 1)
            self._progress(Progress(state.global_step, state.max_steps, self._loss, rate, left))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Append a line.

        Raises:
            TrainingError: the loss is no number.
        """
        names = {"loss", "learning_rate", "grad_norm", "eval_loss", "eval_perplexity"}
        shown = {name: value for name, value in (logs or {}).items() if name in names}
        if not shown:
            return
        self._loss = shown.get("loss", self._loss)
        if state.is_world_process_zero:
            line = {"step": state.global_step, "epoch": state.epoch, **shown}
            if "loss" in shown:
                tokens, seconds = self._tokens(args, state), self._seconds()
                line |= {"tokens": tokens, "seconds": round(seconds, 3)}
                line["tokens_per_second"] = round(tokens / max(seconds, 1e-9), 1)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if self._loss is not None and not math.isfinite(self._loss):
            msg = (
                f"the loss is {self._loss} at step {state.global_step}; the last checkpoint is "
                "kept. Try a smaller --learning_rate, or --dtype bfloat16 or float32"
            )
            raise TrainingError(msg)

    def _seconds(self) -> float:
        return time.perf_counter() - self._start

    def _tokens(self, args: Any, state: Any) -> int:
        """Tokens of this process's run so far: exact over an epoch, a mean within one."""
        rows: int = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        steps: int = state.global_step - self._first
        return round(steps * rows * self._tokens_per_row)
