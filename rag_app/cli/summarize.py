"""``rag-app summarize``: a summary of documents."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options
from rag_app.cli.options import SOME_FAILED


@options.with_model()
def summarize(
    files: Annotated[list[str], typer.Argument(help="Files, folders, globs, or - for stdin.")],
    chain: Annotated[
        str | None, typer.Option(metavar="refine|stuff|map_reduce", help="How to read.")
    ] = None,
    length: Annotated[
        int | None, typer.Option(help="Length to aim at: characters (Chinese) or words (English).")
    ] = None,
    encoding: options.Encoding = None,
    ocr: options.Ocr = None,
    exclude: options.Exclude = None,
    prompts: options.Prompts = None,
    as_json: options.Json = False,
    no_stream: options.NoStream = False,
    show_timings: options.Timings = False,
    **model: Any,
) -> None:
    """Summarize each document in its own language.

    Exit code 3: some files could not be read, the others are summarized.
    """
    from langchain_core.runnables import RunnableConfig

    from rag_app.chains.rag import Timings
    from rag_app.cli import show
    from rag_app.documents.sources import search_sources
    from rag_app.engine import RagApp
    from rag_app.errors import DocumentError
    from rag_app.settings import load_settings

    settings = load_settings(
        summary_chain=chain, ocr=ocr, prompts=prompts, summary_length=length, **model
    )

    def summarized(app: RagApp, source: Path, *, named: bool) -> bool:
        """Show the summary of one document; return whether Ctrl-C cut it short."""
        timings = Timings()
        config = RunnableConfig(callbacks=[timings] if show_timings or as_json else [])
        if as_json:
            summary = app.summarize(source, encoding=encoding, config=config)
            show.print_json(show.summary_json(source, summary, timings.seconds))
            return False
        if named:
            show.messages.print(str(source), style="bold", markup=False)
        _, cut = show.summary(
            app.stream_summary(source, encoding=encoding, config=config),
            stream=not no_stream and sys.stdout.isatty(),
        )
        if show_timings:
            show.timings(timings.seconds)
        return cut

    failed: list[str] = []
    with RagApp(settings=settings) as app:
        found = search_sources(files, exclude or [])
        show.skipped(found.skipped)
        failed += [f"{folder} {reason}" for folder, reason in found.unreadable.items()]
        for source in found.files:
            try:
                cut = summarized(app, source, named=len(found.files) > 1)
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
