"""``model-prep verify``: is a model what it should be?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_prep.cli.progress import progress_bar

if TYPE_CHECKING:
    from model_prep.verify.verify import Verification

_MARKS = {"passed": "ok", "warning": "note", "failed": "wrong"}


def verify(
    path: Annotated[Path, typer.Argument(help="A model's or adapter's folder, or one file.")],
    expect: Annotated[
        str | None,
        typer.Option(help="A published model's name, or the SHA256 of a file or of the content."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Check a model, an adapter or a tokenizer; the exit code is 0 if it is right or consistent."""
    from model_prep.verify.verify import verify as run

    with progress_bar() as progress:
        found = run(path, expect=expect, progress=progress)
    if as_json:
        rows = {**asdict(found), "passed": found.passed}
        typer.echo(json.dumps(rows, default=str, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(found)))
    if not found.passed:
        raise typer.Exit(1)


def _lines(found: "Verification") -> list[str]:
    from model_prep.verify.verify import VERDICTS

    lines = [f"{one.sha256}  {one.path.name} ({one.known_as or 'unknown'})" for one in found.files]
    if found.content_sha256:
        lines.append(f"{found.content_sha256}  content")
    if found.converted_sha256:
        lines.append(f"{found.converted_sha256}  content in the Hugging Face format")
    lines += [f"{_MARKS[one.outcome]:<6}{one.name}: {one.said}" for one in found.checks]
    if found.hint:
        lines.append(f"note  {found.hint}")
    return [*lines, f"{VERDICTS[found.verdict]}: {found.reason}"]
