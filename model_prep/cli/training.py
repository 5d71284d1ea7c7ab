"""``model-prep pretrain`` and ``model-prep sft``: train a LoRA."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_prep.training.callbacks import Progress
    from model_prep.training.dry_run import Estimate
    from model_prep.training.report import Report
    from model_prep.training.settings import TrainingSettings

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The options are those of the settings, read by `model_prep.training.command_line`."""

Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG.yaml] [--OPTION VALUE]…",
        help="A file of options, and options over those of the file.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "--dry_run", help="Show, train nothing.")]
Options = Annotated[bool, typer.Option("--options", help="List all options and their defaults.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def pretrain(
    arguments: Arguments = None,
    dry_run: DryRun = False,
    options: Options = False,
    as_json: Json = False,
) -> None:
    """Pre-train a LoRA and the embeddings on plain text, as Chinese-LLaMA was made.

    model-prep pretrain --model llama-hf --tokenizer chinese-llama --data texts --output-dir out
    --lora-rank 8 --lora-alpha 32 --target-modules q_proj,k_proj,v_proj,o_proj,gate_proj,down_proj,
    up_proj --modules-to-save embed_tokens,lm_head
    """
    from model_prep.training.settings import PretrainSettings

    _command(PretrainSettings, arguments or [], dry_run, options, as_json)


def sft(
    arguments: Arguments = None,
    dry_run: DryRun = False,
    options: Options = False,
    as_json: Json = False,
) -> None:
    """Tune a LoRA on instructions and conversations, as Chinese-Alpaca was made.

    model-prep sft --model chinese-llama --data instructions.jsonl --output-dir out --lora-rank 64
    --lora-alpha 128 --target-modules q_proj,v_proj
    """
    from model_prep.training.settings import SftSettings

    _command(SftSettings, arguments or [], dry_run, options, as_json)


def _command(
    kind: "type[TrainingSettings]",
    arguments: list[str],
    dry_run: bool,
    options: bool,
    as_json: bool,
) -> None:
    from model_prep.training.command_line import read_options
    from model_prep.training.settings import make_settings

    if options:
        _print_options(kind)
        return
    file = Path(arguments.pop(0)) if arguments and not arguments[0].startswith("--") else None
    given, notes = read_options(kind, file, arguments)
    settings = make_settings(kind, given)
    for line in notes:
        _say(line)
    from model_prep.training.report import plain
    from model_prep.training.run import is_first, train

    if dry_run:
        from model_prep.training.dry_run import estimate

        if is_first():
            _print_estimate(estimate(settings), as_json=as_json)
        return
    # DeepSpeed prints what it does on stdout, which is the report's.
    with _progress() as progress, redirect_stdout(sys.stderr):
        report = train(settings, progress=progress, note=_say)
    if is_first():
        if as_json:
            typer.echo(json.dumps(plain(report), ensure_ascii=False))
        _print_report(report)
    if not report.finished:
        raise typer.Exit(INTERRUPTED)


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _progress() -> "Iterator[Callable[[Progress], None]]":
    """Give a callback: a bar where stderr is a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        last = [0.0]

        def line(done: "Progress") -> None:
            import time

            if time.monotonic() - last[0] > 10:
                last[0] = time.monotonic()
                left = f"{done.seconds_left / 60:.0f} min left"
                _say(f"step {done.step:,} of {done.steps:,}: {_described(done)}, {left}")

        yield line
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: "Progress") -> None:
            bar.update(task, total=done.steps, completed=done.step, description=_described(done))

        yield show


def _described(done: "Progress") -> str:
    loss = f"loss {done.loss:.4f}, " if done.loss is not None else ""
    return f"{loss}{done.tokens_per_second:,.0f} tokens/s"


def _print_report(report: "Report") -> None:
    if not report.finished:
        _say(
            f"interrupted after step {report.steps:,}; the checkpoint is in {report.output}, and "
            "the same command goes on"
        )
        return
    loss = f"loss {report.first_loss:.4f} → {report.last_loss:.4f}" if report.last_loss else ""
    measured = f", perplexity {report.eval_perplexity:.2f}" if report.eval_perplexity else ""
    _say(
        f"{report.output} holds the adapter, its tokenizer, log.jsonl and loss.png: "
        f"{report.steps:,} steps, {loss}{measured}"
    )
    if report.problems:
        _say(f"left out of the data: {_counted(report.problems)}")


def _counted(problems: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in problems.items())


def _print_estimate(plan: "Estimate", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(plan), ensure_ascii=False))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for number, row in enumerate(plan.shown, 1):
        text = Text(f"row {number}: ", style="bold")
        for part, learned in row:
            # Marked by signs too: a pipe has no colours.
            text.append(f"⟦{part}⟧" if learned else part, "green" if learned else "dim")
        console.print(text, soft_wrap=True)
    for problem in plan.first_problems:
        _say(problem)
    share = plan.targets / max(plan.tokens, 1)
    lines = {
        "samples": f"{plan.samples:,}, {plan.truncated:,} of them cut; median {plan.median:,}, "
        f"longest {plan.longest:,} tokens",
        "left out": _counted(plan.problems) or "nothing",
        "tokens": f"{plan.tokens:,}, {share:.0%} of them learned (between ⟦ and ⟧ above)",
        "steps": f"{plan.steps:,} over {plan.rows:,} rows",
        "weights": f"{plan.parameters:,}, of which {plan.trained:,} are trained",
        "memory": f"about {plan.memory_gb:.1f} GB for each process",
        "time": f"about {_duration(plan.seconds)}",
    }
    for name, value in lines.items():
        typer.echo(f"{name:9} {value}")


def _duration(seconds: float) -> str:
    if seconds < 3600:
        return f"{max(seconds / 60, 1):.0f} min"
    return f"{seconds / 3600:,.1f} hours"


def _print_options(kind: "type[TrainingSettings]") -> None:
    for name, info in kind.model_fields.items():
        default: Any = "required" if info.is_required() else info.default
        shown = f" [{default}]" if default not in (None, [], "") else ""
        typer.echo(f"--{name:28} {info.description}{shown}")
