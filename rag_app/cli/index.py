"""``rag-app index``: bring an index up to date with files."""

from dataclasses import asdict
from typing import Annotated

import typer

from rag_app.cli import options


def index(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs, or - for stdin.")
    ] = None,
    index: options.Index = None,
    chunk_size: Annotated[int | None, typer.Option(help="Characters of a passage.")] = None,
    chunk_overlap: Annotated[
        int | None, typer.Option(help="Characters that neighbouring passages share.")
    ] = None,
    embedding: options.Embedding = None,
    encoding: options.Encoding = None,
    loader: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="A LangChain loader: of langchain-community (extra `community`), or module:Class.",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop documents whose files are gone.")
    ] = False,
    reembed: Annotated[
        bool, typer.Option("--reembed", help="Embed what is indexed again, with --embedding.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Index documents; what has not changed since is skipped."""
    from rag_app.cli import show
    from rag_app.cli.progress import indexing, reembedding
    from rag_app.engine import RagApp
    from rag_app.settings import load_settings

    if not paths and not reembed:
        raise typer.BadParameter("name at least one PATH")
    settings = load_settings(
        index=index, chunk_size=chunk_size, chunk_overlap=chunk_overlap, embedding=embedding
    )
    with RagApp(settings=settings) as app:
        if reembed:
            with reembedding() as progress:
                count = app.reembed(progress)
            show.messages.print(f"embedded {count:,} passages again")
        if not paths:
            return
        with indexing() as progress:
            report = app.index(
                paths, encoding=encoding, loader=loader, prune=prune, progress=progress
            )
    if as_json:
        show.print_json(asdict(report))
    else:
        show.index_report(report)
    if report.failed and not (report.added or report.updated or report.unchanged):
        raise typer.Exit(1)
