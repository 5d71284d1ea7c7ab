"""``model-prep merge``: put LoRAs into the model that they were trained on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from model_prep.cli import options
from model_prep.cli.terminal import progress_bar, say


def merge(
    base_model: Annotated[Path, typer.Option(help="Folder of the base model.")],
    lora_model: Annotated[
        list[str],
        typer.Option(
            metavar="A[,B…]", help="Folders of LoRAs, in order; can be repeated instead of commas."
        ),
    ],
    output_dir: options.OutputDir = Path("merged"),
    output_type: Annotated[
        Literal["huggingface", "pth"], typer.Option(help="A folder of either layout.")
    ] = "huggingface",
    dtype: Annotated[
        Literal["auto", "float16", "bfloat16", "float32"],
        typer.Option(help="Type of the merged weights; auto: as in the base."),
    ] = "auto",
    allow_merged: Annotated[
        bool,
        typer.Option(
            "--allow-merged", help="Add a LoRA that the base seems to have, or one twice."
        ),
    ] = False,
    max_shard_size: options.ShardSize = options.SHARD_SIZE,
    push_to_hub: options.PushToHub = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
    _verbose: Annotated[bool, typer.Option("--verbose", hidden=True)] = False,
    _offload: Annotated[Path | None, typer.Option("--offload-dir", hidden=True)] = None,
) -> None:
    """Merge LoRAs, in the order given, into a base model; memory holds a few tensors at a time.

    For Chinese-Alpaca-Plus: --lora-model CHINESE_LLAMA_PLUS_LORA,CHINESE_ALPACA_PLUS_LORA
    """
    from model_prep.lora.merge import merge as run
    from model_prep.lora.merge import split_folders

    options.check_push(push_to_hub)
    with progress_bar() as progress:
        report = run(
            base_model,
            split_folders(*lora_model),
            output_dir=output_dir,
            output_type=output_type,
            dtype=dtype,
            allow_merged=allow_merged,
            max_shard_size=options.parse_size(max_shard_size),
            dry_run=dry_run,
            progress=progress,
        )
    if not dry_run:
        options.push(report.output, push_to_hub)
    if as_json:
        options.print_json(report)
        return
    say(
        f"{report.output} {'would hold' if dry_run else 'holds'} {report.size / 1e9:.2f} GB in "
        f"{report.tensors} tensors, a vocabulary of {report.vocabulary or 0:,}, merged in this "
        f"order: {', '.join(report.adapters)}"
    )
    for note in report.notes:
        say(f"note: {note}")
    if report.content_sha256:
        say(f"content SHA256 {report.content_sha256}")
