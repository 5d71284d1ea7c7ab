"""What came of a run."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model_prep.training.data import Data
from model_prep.training.log import LOG, read_log
from model_prep.training.settings import TrainingSettings


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


def report_of(settings: TrainingSettings, data: Data, outcome: dict[str, Any]) -> Report:
    """Return the report of a run.

    Args:
        settings: Of the run; its folder has the log.
        data: That it trained on.
        outcome: Whether it is ``finished``, and where steps were made ``steps`` and ``seconds``.
    """
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


def plain(report: Report) -> dict[str, Any]:
    """Return a report as JSON has it."""
    return {**asdict(report), "output": str(report.output)}
