"""``model-prep merge-tokenizer``: Chinese pieces for LLaMA's tokenizer."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_prep.cli import options
from model_prep.cli.terminal import progress_bar, say
from model_prep.output import PARTIAL
from model_prep.tokenizer.train import DEFAULT_VOCAB_SIZE

if TYPE_CHECKING:
    from model_prep.tokenizer.merge import TokenizerMerge

_FOLDER, _FILE = Path("merged_tokenizer_hf"), Path("merged_tokenizer_sp/chinese_llama.model")
"""What the family's script writes."""


def merge_tokenizer(
    llama_tokenizer: Annotated[
        Path,
        typer.Option(
            "--llama-tokenizer",
            "--llama-tokenizer-dir",
            help="LLaMA's tokenizer.model, or the folder that holds it.",
        ),
    ],
    output_dir: options.OutputDir = _FOLDER,
    chinese_sp_model: Annotated[
        Path | None,
        typer.Option(
            "--chinese-sp-model",
            "--chinese-sp-model-file",
            help="A SentencePiece model with Chinese pieces.",
        ),
    ] = None,
    add_piece: Annotated[
        list[str] | None, typer.Option(help="One more piece, such as [PAD].")
    ] = None,
    train_corpus: Annotated[
        Path | None, typer.Option(help="Text to train the Chinese model on first.")
    ] = None,
    vocab_size: Annotated[
        int, typer.Option(help="Pieces of the trained model.")
    ] = DEFAULT_VOCAB_SIZE,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
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
        options.print_json(done)
    if done:
        _show_comparison(done)
    if output_dir == _FOLDER and not dry_run:
        _FILE.parent.mkdir(exist_ok=True)
        part = shutil.copyfile(_FOLDER / "tokenizer.model", _FILE.with_suffix(PARTIAL))
        part.replace(_FILE)
    say("checked; nothing was written" if dry_run else f"written: {output_dir}")


def _show_comparison(done: "TokenizerMerge") -> None:
    """Print pieces, tokens per character, what was added, and what the result is known as."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "before", "after", box=None)
    table.add_row("pieces", f"{done.pieces_before:,}", f"{done.pieces:,}")
    for sample in done.samples:
        before, after = sample.before / sample.characters, sample.after / sample.characters
        table.add_row(f"tokens per character, {sample.name}", f"{before:.3f}", f"{after:.3f}")
    console = Console(stderr=True, soft_wrap=True)
    console.print(table)
    new = escape(" ".join((*done.first_appended, "…", *done.added_pieces)))
    console.print(f"appended {done.appended:,} of {done.chinese_pieces:,} Chinese pieces: {new}")
    console.print(f"SHA256 {done.sha256}: {done.known_as or 'not a published tokenizer'}")
