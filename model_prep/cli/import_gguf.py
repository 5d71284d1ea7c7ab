"""``model-prep import-gguf``: a GGUF file as a Hugging Face folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model_prep.cli.progress import progress_bar


def import_gguf(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A GGUF file, or the name of a pulled model.")
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "--output_dir", help="Must be empty or not exist.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Write a Qwen2's GGUF file, the default model's say, as a folder that can be trained."""
    from model_prep.gguf.importer import import_gguf as run

    with progress_bar() as progress:
        done = run(model, output_dir, progress=progress)
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str, ensure_ascii=False))
        return
    typer.echo(
        f"{done.output_dir} written: {done.tensors} tensors, {done.vocabulary:,} tokens, "
        f"{done.size / 1e9:.2f} GB as float16",
        err=True,
    )
