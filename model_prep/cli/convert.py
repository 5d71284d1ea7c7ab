"""``model-prep convert``: Meta's format of LLaMA to Hugging Face's, and back."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from model_prep.cli import options
from model_prep.cli.terminal import progress_bar, say


def convert(
    input_dir: Annotated[Path, typer.Option(help="The folder to convert, or the one above.")],
    output_dir: options.OutputDir,
    model_size: Annotated[str | None, typer.Option(help="7B, 13B, 33B, 30B or 65B.")] = None,
    to: Annotated[Literal["hf", "meta"], typer.Option(help="The format to be written.")] = "hf",
    max_shard_size: options.ShardSize = options.SHARD_SIZE,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Files of Meta's format; by default as many as Meta has."),
    ] = None,
    push_to_hub: options.PushToHub = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Convert a LLaMA between Meta's and Hugging Face's format, bit for bit, in little memory."""
    from model_prep.llama.convert import convert as run

    options.check_push(push_to_hub)
    with progress_bar() as progress:
        done = run(
            input_dir,
            output_dir,
            to=to,
            model_size=model_size,
            max_shard_size=options.parse_size(max_shard_size),
            shards=shards,
            dry_run=dry_run,
            progress=progress,
        )
    if not dry_run:
        options.push(done.output_dir, push_to_hub)
    what = f"{done.tensors} tensors, {done.size / 1e9:,.2f} GB, {done.dtype}"
    if as_json:
        options.print_json(done)
    elif dry_run:
        say(f"{done.input_dir} can be converted ({what}); nothing was written")
    else:
        say(f"converted {done.input_dir} ({what}) in {len(done.files)} files: {done.output_dir}")
