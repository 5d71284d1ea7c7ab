"""``rag-app watch``: keep an index up to date with folders."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from rag_app.cli import options


@options.with_settings("index", "store", "embedding", "ocr")
def watch(
    *,
    paths: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    encoding: options.Encoding = None,
    exclude: options.Exclude = None,
    as_json: options.Json = False,
    **given: Any,
) -> None:
    """Index documents, and again whatever changes, until Ctrl-C; those deleted are dropped."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.engine.watch import watch as changes

    show.messages.print(f"watching {', '.join(paths)}  (Ctrl-C ends)", markup=False)
    with RagApp(**given) as app:
        try:
            for report in changes(app, paths, encoding=encoding, exclude=exclude or []):
                show.print_json(asdict(report)) if as_json else show.index_report(report)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None
