"""``model-prep export-gguf``: a model as one file for llama.cpp."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from model_prep.cli.progress import progress_bar


def export_gguf(
    folder: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A merged model: a Hugging Face folder.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The GGUF file; by default MODEL-QUANTIZATION.gguf beside the folder.",
        ),
    ] = None,
    quantize: Annotated[
        Literal["f16", "q8_0", "q4_0"],
        typer.Option(help="How weights are held: 16, about 8.5 or about 4.5 bits each."),
    ] = "f16",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--dry_run", help="Check everything and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Write a model with its tokenizer as a GGUF file, so that it runs on a laptop."""
    from model_prep.gguf.exporter import export_gguf as export

    with progress_bar() as progress:
        done = export(folder, output, quantize=quantize, dry_run=dry_run, progress=progress)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "path": str(done.path)}, ensure_ascii=False))
        return
    said = "would be written" if dry_run else "written"
    typer.echo(
        f"{done.path} {said}: {done.tensors} tensors, {done.vocabulary:,} tokens, "
        f"{done.size / 1e9:.2f} GB as {done.quantize}",
        err=True,
    )
