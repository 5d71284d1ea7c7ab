"""The report of a run, with the log that it is made from and the plot of that log."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_prep.errors import TrainingError
from model_prep.training.data import TrainingData
from model_prep.training.settings import TrainingSettings

LOG = "log.jsonl"


@dataclass
class TrainingReport:
    """What a run did.

    Example:
        >>> report = TrainingReport(Path("my-lora"), steps=60, finished=False, samples=8, tokens=96)
        >>> print(f"{report.steps} steps, {report.last_loss or 'no loss yet'}")
        60 steps, no loss yet
    """

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
    first_margin: float | None = None
    """With preference pairs: how far chosen answers are before rejected ones, as TRL's rewards."""
    last_margin: float | None = None
    eval_margin: float | None = None
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    signal: int | None = None
    """The number of the one that interrupted it; None where another process got that."""


def report_of(
    settings: TrainingSettings,
    data: TrainingData,
    *,
    finished: bool,
    steps: int = 0,
    seconds: float = 0.0,
) -> TrainingReport:
    """Return the report of a run."""
    log = read_log(settings.output_dir)
    losses = [line for line in log if "loss" in line] or [{}]
    evaluations = [line for line in log if "eval_loss" in line] or [{}]
    return TrainingReport(
        output=settings.output_dir,
        steps=steps or losses[-1].get("step", 0),
        finished=finished,
        samples=data.samples,
        tokens=data.train.tokens,
        problems=dict(data.train.data.problems.counts),
        first_loss=losses[0].get("loss"),
        last_loss=losses[-1].get("loss"),
        eval_loss=evaluations[-1].get("eval_loss"),
        eval_perplexity=evaluations[-1].get("eval_perplexity"),
        first_margin=losses[0].get("rewards/margins"),
        last_margin=losses[-1].get("rewards/margins"),
        eval_margin=evaluations[-1].get("eval_rewards/margins"),
        seconds=seconds,
        tokens_per_second=losses[-1].get("tokens_per_second", 0.0),
    )


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log; half a line, left by a kill, is passed over."""
    lines = []
    if (folder / LOG).is_file():
        for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
    return lines


def plot(log: list[dict[str, Any]], file: Path) -> None:
    """Draw the losses and the learning rate over the steps of a run's log, as a PNG.

    Raises:
        TrainingError: matplotlib is not installed.
        OSError: the file can't be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = f"the plot needs {error.name}; run: pip install 'rag-app[train]'"
        raise TrainingError(msg) from error

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    trained = [line for line in log if "loss" in line]
    measured = [line for line in log if "eval_loss" in line]
    steps = [line["step"] for line in trained]
    left.plot(steps, [line["loss"] for line in trained], label="training loss")
    if measured:
        losses = [line["eval_loss"] for line in measured]
        left.plot([line["step"] for line in measured], losses, "o-", label="validation loss")
    rates = [line["learning_rate"] for line in trained]
    right.plot(steps, rates, color="0.7", linestyle="--", label="learning rate")
    pairs = any("rewards/margins" in line for line in trained)
    left.set(xlabel="step", ylabel="loss of a pair" if pairs else "loss (nats per token)")
    right.set_ylabel("learning rate")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(file, dpi=120)
