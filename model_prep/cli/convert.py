"""``model-prep convert``: Meta's format of LLaMA to Hugging Face's, and back."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from model_prep.cli.progress import progress_bar

if TYPE_CHECKING:
    from model_prep.llama.convert import Conversion


def convert(
    input_dir: Annotated[
        Path,
        typer.Option("--input-dir", "--input_dir", help="The folder to convert, or the one above."),
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "--output_dir", help="Must be empty or not exist.")
    ],
    model_size: Annotated[
        str | None,
        typer.Option("--model-size", "--model_size", help="7B, 13B, 33B, 30B or 65B."),
    ] = None,
    to: Annotated[Literal["hf", "meta"], typer.Option(help="The format to be written.")] = "hf",
    max_shard_size: Annotated[
        str,
        typer.Option("--max-shard-size", "--max_shard_size", help="Of a safetensors file."),
    ] = "5GB",
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Files of Meta's format; by default as many as Meta has."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--dry_run", help="Check everything, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Convert a LLaMA between Meta's and Hugging Face's format, bit for bit, in little memory."""
    from model_prep.cli.sizes import parse_size
    from model_prep.llama.convert import convert as run

    with progress_bar() as progress:
        done = run(
            input_dir,
            output_dir,
            to=to,
            model_size=model_size,
            max_shard_size=parse_size(max_shard_size),
            shards=shards,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str, ensure_ascii=False))
    else:
        typer.echo(_said(done, dry_run=dry_run), err=True)


def _said(done: "Conversion", *, dry_run: bool) -> str:
    what = f"{done.tensors} tensors, {done.size / 1e9:,.2f} GB, {done.dtype}"
    if dry_run:
        return f"{done.input_dir} can be converted ({what}); nothing was written"
    return f"converted {done.input_dir} ({what}) in {len(done.files)} files: {done.output_dir}"
