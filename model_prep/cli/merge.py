"""``model-prep merge``: put LoRAs into the model that they were trained on."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model_prep.cli.progress import progress_bar
from model_prep.lora.options import Dtype, OutputType


def merge(
    base_model: Annotated[
        Path, typer.Option("--base-model", "--base_model", help="Folder of the base model.")
    ],
    lora_model: Annotated[
        str,
        typer.Option(
            "--lora-model", "--lora_model", help="Folders of LoRAs, in order, separated by commas."
        ),
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "--output_dir", help="A new or empty folder.")
    ] = Path("merged"),
    output_type: Annotated[
        OutputType,
        typer.Option("--output-type", "--output_type", help="A folder of either layout."),
    ] = "huggingface",
    dtype: Annotated[Dtype, typer.Option(help="Of the merged weights.")] = "float16",
    max_shard_size: Annotated[
        str, typer.Option("--max-shard-size", "--max_shard_size", help="Such as 5GB or 900MB.")
    ] = "5GB",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--dry_run", help="Check everything, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
    _verbose: Annotated[bool, typer.Option("--verbose", hidden=True)] = False,
    _offload: Annotated[
        Path | None, typer.Option("--offload-dir", "--offload_dir", hidden=True)
    ] = None,
) -> None:
    """Merge LoRAs, in the order given, into a base model; memory holds a few tensors at a time.

    For Chinese-Alpaca-Plus: --lora-model CHINESE_LLAMA_PLUS_LORA,CHINESE_ALPACA_PLUS_LORA
    """
    from model_prep.cli.sizes import parse_size
    from model_prep.lora.merge import merge as merge_model
    from model_prep.lora.merge import split_folders

    with progress_bar() as progress:
        report = merge_model(
            base_model,
            split_folders(lora_model),
            output_dir=output_dir,
            output_type=output_type,
            dtype=dtype,
            max_shard_size=parse_size(max_shard_size),
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False, default=str))
        return
    said = "would hold" if dry_run else "holds"
    typer.echo(
        f"{report.output} {said} {report.size / 1e9:.2f} GB in {report.tensors} tensors, a "
        f"vocabulary of {report.vocabulary or 0:,}, merged in this order: "
        f"{', '.join(report.adapters)}",
        err=True,
    )
    if report.content_sha256:
        typer.echo(f"content SHA256 {report.content_sha256}", err=True)
