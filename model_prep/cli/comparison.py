"""A tokenizer before and after pieces were added to it, as a table on stderr."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_prep.tokenizer.merge import TokenizerMerge


def show_comparison(done: "TokenizerMerge") -> None:
    """Print pieces, tokens per character, what was added, and what the result is known as."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "before", "after", box=None)
    table.add_row("pieces", f"{done.pieces_before:,}", f"{done.pieces:,}")
    for one in done.samples:
        before, after = one.before / one.characters, one.after / one.characters
        table.add_row(f"tokens per character, {one.name}", f"{before:.3f}", f"{after:.3f}")
    console = Console(stderr=True, soft_wrap=True)
    console.print(table)
    new = escape(" ".join((*done.first_appended, "…", *done.added_pieces)))
    console.print(f"appended {done.appended:,} of {done.chinese_pieces:,} Chinese pieces: {new}")
    console.print(f"SHA256 {done.sha256}: {done.known_as or 'not a published tokenizer'}")
