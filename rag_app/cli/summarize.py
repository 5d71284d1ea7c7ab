"""``rag-app summarize``: a summary of documents."""

import sys
from contextlib import closing
from functools import reduce
from operator import add
from pathlib import Path
from typing import Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options
from rag_app.cli.options import SOME_FAILED


@options.with_settings(
    *("ocr", "prompts", "keep_alive", *options.MODEL),
    summary_chain=options.chain("refine|stuff|map_reduce"),
    summary_length=options.setting(
        int, "Characters (Chinese) or words (English) to aim at (default 200).", None, "--length"
    ),
)
def summarize(
    *,
    files: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs, or - for stdin.")
    ] = None,
    file_path: options.FilePath = None,
    encoding: options.Encoding = None,
    exclude: options.Exclude = None,
    as_json: options.Json = False,
    no_stream: options.NoStream = False,
    show_timings: options.Timings = False,
    **given: Any,
) -> None:
    """Summarize each document in its own language.

    With --json, each document is an object on a line of its own (JSON Lines).
    Exit code 3: some files could not be read, the others are summarized.
    """
    from rag_app.cli import show
    from rag_app.documents.sources import search_sources
    from rag_app.engine.command_engine import CommandEngine, Seconds, parts
    from rag_app.errors import DocumentError
    from rag_app.settings import load_settings

    def summarized(engine: CommandEngine, source: Path, *, named: bool) -> bool:
        """Show the summary of one document; return whether Ctrl-C cut it short."""
        seconds: Seconds = {}
        with closing(engine.summary(source, encoding, seconds)) as pieces:
            if as_json:
                summary = reduce(add, pieces)
                show.print_json(show.summary_json(source, summary, seconds))
                return False
            if named:
                show.messages.print(show.name(str(source)), style="bold")
            _, cut = show.summary(pieces, stream=not no_stream and sys.stdout.isatty())
        if show_timings:
            show.timings(parts(seconds))
        return cut

    failed: list[str] = []
    with closing(CommandEngine(load_settings(**given))) as engine:
        found = search_sources(_named(files, file_path), exclude or [])
        show.skipped(found.skipped)
        failed += [f"{folder} {reason}" for folder, reason in found.unreadable.items()]
        for source in found.files:
            try:
                cut = summarized(engine, source, named=len(found.files) > 1)
            except DocumentError as error:
                if len(found.files) == 1:
                    raise
                failed.append(str(error))
                show.messages.print(failed[-1], style="red", markup=False)
                continue
            if cut:
                raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(SOME_FAILED if len(failed) < len(found.files) else 1)


def _named(files: list[str] | None, file_path: str | None) -> list[str]:
    named = [*(files or []), *([file_path] if file_path else [])]
    if not named:
        raise typer.BadParameter("name a file, a folder or a glob")
    return named
