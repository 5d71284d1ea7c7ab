"""The course of a run as a picture."""

from pathlib import Path
from typing import Any

from model_prep.errors import TrainingError


def plot(log: list[dict[str, Any]], file: Path) -> None:
    """Draw the losses and the learning rate over the steps.

    Args:
        log: Lines of a run's log.
        file: A PNG.

    Raises:
        TrainingError: matplotlib is not installed, or the file can't be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = f"the plot needs {error.name}; run: pip install 'rag-app[train]'"
        raise TrainingError(msg) from error

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    right = left.twinx()
    steps = [line["step"] for line in log if "loss" in line]
    left.plot(steps, [line["loss"] for line in log if "loss" in line], label="training loss")
    measured = [line for line in log if "eval_loss" in line]
    if measured:
        places, losses = zip(*((one["step"], one["eval_loss"]) for one in measured), strict=True)
        left.plot(places, losses, "o-", label="validation loss")
    rates = [line["learning_rate"] for line in log if "loss" in line]
    right.plot(steps, rates, color="0.7", linestyle="--", label="learning rate")
    left.set(xlabel="step", ylabel="loss (nats per token)")
    right.set_ylabel("learning rate")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    try:
        figure.savefig(file, dpi=120)
    except OSError as error:
        msg = f"{file} can't be written ({error.strerror})"
        raise TrainingError(msg) from error
