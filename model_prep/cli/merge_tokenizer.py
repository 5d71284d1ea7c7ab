"""``model-prep merge-tokenizer``: Chinese pieces for LLaMA's tokenizer."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model_prep.cli.comparison import show_comparison
from model_prep.cli.progress import progress_bar


def merge_tokenizer(
    llama_tokenizer: Annotated[
        Path,
        typer.Option(
            "--llama-tokenizer", "--llama_tokenizer", "--llama-tokenizer-dir",
            "--llama_tokenizer_dir", help="LLaMA's tokenizer.model, or the folder it lies in.",
        ),
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "--output_dir", help="Must be empty or not exist.")
    ],
    chinese_sp_model: Annotated[
        Path | None,
        typer.Option(
            "--chinese-sp-model", "--chinese_sp_model", "--chinese-sp-model-file",
            "--chinese_sp_model_file", help="A SentencePiece model with Chinese pieces.",
        ),
    ] = None,
    add_piece: Annotated[
        list[str] | None,
        typer.Option("--add-piece", "--add_piece", help="One more piece, such as [PAD]."),
    ] = None,
    train_corpus: Annotated[
        Path | None,
        typer.Option(
            "--train-corpus", "--train_corpus", help="Text to train the Chinese model on first."
        ),
    ] = None,
    vocab_size: Annotated[
        int, typer.Option("--vocab-size", "--vocab_size", help="Pieces of the trained model.")
    ] = 20_000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--dry_run", help="Check everything, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:  # fmt: skip
    """Append Chinese pieces to LLaMA's tokenizer, and compare it before and after."""
    from model_prep.tokenizer.merge import merge_tokenizer as run

    with progress_bar() as progress:
        done = run(
            llama_tokenizer,
            output_dir,
            chinese_sp_model=chinese_sp_model,
            add_pieces=add_piece or (),
            train_corpus=train_corpus,
            vocab_size=vocab_size,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(done and asdict(done), default=str, ensure_ascii=False))
    if done:
        show_comparison(done)
    said = "checked; nothing was written" if dry_run else f"written: {output_dir}"
    typer.echo(said, err=True)
