"""``rag-app docs``: what is indexed, and taking it out again."""

from dataclasses import asdict
from typing import Annotated

import typer

from rag_app.cli import options

app = typer.Typer(help="List or remove indexed documents.", invoke_without_command=True)


@app.callback()
def docs(
    context: typer.Context,
    index: options.Index = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """List the indexed documents."""
    if context.invoked_subcommand:
        return
    from rich.table import Table

    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.settings import load_settings

    with RagApp(settings=load_settings(index=index, store=store)) as engine:
        documents = engine.documents()
    if as_json:
        show.print_json([asdict(document) for document in documents])
        return
    table = Table("source", "characters", "passages", "indexed", box=None, pad_edge=False)
    for one in documents:
        table.add_row(one.source, f"{one.characters:,}", str(one.chunks), one.indexed_at[:19])
    show.print_table(table)


@app.command("remove")
def remove(
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, as `rag-app docs` lists them.")
    ],
    index: options.Index = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Remove documents from the index; their files are left alone."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.settings import load_settings

    with RagApp(settings=load_settings(index=index, store=store)) as engine:
        removed = engine.remove(sources)
    if as_json:
        show.print_json({"removed": removed})
    else:
        show.messages.print(f"removed {len(removed)} documents")
