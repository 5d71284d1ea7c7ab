"""``model-prep pretrain``, ``sft`` and ``prefer``: train a LoRA."""

import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from model_prep.cli.options import Json, print_json
from model_prep.cli.terminal import say, training_bar

if TYPE_CHECKING:
    from model_prep.training.dry_run import Estimate
    from model_prep.training.report import TrainingReport
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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; train nothing.")]
Options = Annotated[bool, typer.Option("--options", help="List all options and their defaults.")]


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


def prefer(
    arguments: Arguments = None,
    dry_run: DryRun = False,
    options: Options = False,
    as_json: Json = False,
) -> None:
    """Tune a LoRA on preference pairs: answers that are chosen before others (DPO, ORPO).

    model-prep prefer --loss dpo --model chinese-alpaca --data pairs.jsonl --output-dir out
    --lora-rank 16 --lora-alpha 32 --target-modules q_proj,v_proj
    """
    from model_prep.training.settings import PreferSettings

    _command(PreferSettings, arguments or [], dry_run, options, as_json)


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
        _print_options(kind, as_json=as_json)
        return
    file = Path(arguments.pop(0)) if arguments and not arguments[0].startswith("--") else None
    given, notes = read_options(kind, file, arguments)
    settings = make_settings(kind, given)
    for line in notes:
        say(line)
    from model_prep.training.run import is_main_process, train

    if dry_run:
        from model_prep.training.dry_run import estimate

        if is_main_process():
            _print_estimate(estimate(settings), as_json=as_json)
        return
    # DeepSpeed prints what it does on stdout, which is the report's.
    with training_bar() as progress, redirect_stdout(sys.stderr):
        report = train(settings, progress=progress, note=say)
    if is_main_process():
        if as_json:
            print_json(report)
        _print_report(report)
    if not report.finished:
        if report.signal not in (None, signal.SIGINT):
            signal.raise_signal(report.signal)  # ends the command as it ends all others
        raise typer.Exit(INTERRUPTED)


def _print_report(report: "TrainingReport") -> None:
    if not report.finished:
        say(
            f"interrupted after step {report.steps:,}; the checkpoint is in {report.output}, and "
            "the same command goes on"
        )
        return
    loss = f"loss {report.first_loss:.4f} → {report.last_loss:.4f}" if report.last_loss else ""
    measured = f", perplexity {report.eval_perplexity:.2f}" if report.eval_perplexity else ""
    if report.last_margin is not None:
        measured += f", margin {report.first_margin:.3f} → {report.last_margin:.3f}"
    say(
        f"{report.output} holds the adapter, its tokenizer, log.jsonl and loss.png: "
        f"{report.steps:,} steps, {loss}{measured}"
    )
    if report.problems:
        say(f"left out of the data: {_counted(report.problems)}")


def _counted(problems: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in problems.items())


def _print_estimate(plan: "Estimate", *, as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for number, parts in enumerate(plan.shown, 1):
        text = Text(f"sequence {number}: ", style="bold")
        for part, learned in parts:
            # Marked by signs too: a pipe has no colours.
            text.append(f"⟦{part}⟧" if learned else part, "green" if learned else "dim")
        console.print(text, soft_wrap=True)
    for problem in plan.first_problems:
        say(problem)
    minutes = max(plan.seconds / 60, 1)
    duration = f"{minutes:.0f} min" if minutes < 60 else f"{minutes / 60:,.1f} hours"
    lines = {
        "samples": f"{plan.samples:,}, {plan.truncated:,} of them cut; median {plan.median:,}, "
        f"longest {plan.longest:,} tokens",
        "left out": _counted(plan.problems) or "nothing",
        "tokens": f"{plan.tokens:,}, {plan.targets / max(plan.tokens, 1):.0%} of them learned "
        "(between ⟦ and ⟧ above)",
        "steps": f"{plan.steps:,} over {plan.rows:,} packed sequences",
        "weights": f"{plan.parameters:,}, of which {plan.trained:,} are trained",
        "memory": f"about {plan.memory_gb:.1f} GB for each process",
        "time": f"about {duration}",
    }
    for name, value in lines.items():
        typer.echo(f"{name:9} {value}")


def _print_options(kind: "type[TrainingSettings]", *, as_json: bool) -> None:
    if as_json:
        options = [
            {
                "name": name,
                "description": info.description,
                "required": info.is_required(),
                "default": None if info.is_required() else info.default,
            }
            for name, info in kind.model_fields.items()
        ]
        print_json(options)
        return
    for name, info in kind.model_fields.items():
        default: Any = "required" if info.is_required() else info.default
        shown = f" [{default}]" if default not in (None, [], "") else ""
        typer.echo(f"--{name:28} {info.description}{shown}")
