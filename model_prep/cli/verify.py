"""``model-prep verify``: the checks of a model, an adapter or a tokenizer."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_prep.cli import options
from model_prep.cli.terminal import progress_bar

if TYPE_CHECKING:
    from model_prep.verify.verify import Verification

_MARKS = {"passed": "ok", "warning": "note", "failed": "wrong"}


def verify(
    path: Annotated[Path, typer.Argument(help="A model's or adapter's folder, or one file.")],
    expect: Annotated[
        str | None,
        typer.Option(help="A published model's name, or the SHA256 of a file or of the content."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check a model, an adapter or a tokenizer; the exit code is 0 if it is right or consistent."""
    from model_prep.verify.verify import verify as run

    with progress_bar() as progress:
        found = run(path, expect=expect, progress=progress)
    if as_json:
        options.print_json({**asdict(found), "passed": found.passed})
    else:
        typer.echo("\n".join(_lines(found)))
    if not found.passed:
        raise typer.Exit(1)


def _lines(found: "Verification") -> list[str]:
    from model_prep.verify.verify import VERDICTS

    lines = [
        f"{file.sha256}  {file.path.name} ({file.known_as or 'unknown'})" for file in found.files
    ]
    if found.content_sha256:
        lines.append(f"{found.content_sha256}  content")
    if found.converted_sha256:
        lines.append(f"{found.converted_sha256}  content in the Hugging Face format")
    lines += [f"{_MARKS[check.outcome]:<6}{check.name}: {check.said}" for check in found.checks]
    if found.hint:
        lines.append(f"note  {found.hint}")
    return [*lines, f"{VERDICTS[found.verdict]}: {found.reason}"]
