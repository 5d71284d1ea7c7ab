"""``rag-app docs``: what is indexed, and taking it out again."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_app.cli import options

app = typer.Typer(help="List or remove indexed documents.", invoke_without_command=True)


@app.callback()
@options.with_settings("index", "store")
def docs(*, context: typer.Context, as_json: options.Json = False, **given: Any) -> None:
    """List the indexed documents."""
    if context.invoked_subcommand:
        return
    from rich.table import Table

    from rag_app.cli import show
    from rag_app.engine import RagApp

    with RagApp(**given) as engine:
        documents = engine.documents()
    if as_json:
        show.print_json([asdict(document) for document in documents])
        return
    table = Table("source", "characters", "passages", "indexed", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.no_wrap = True
    for document in documents:
        counts = (f"{document.characters:,}", str(document.chunks))
        table.add_row(show.name(document.source), *counts, document.indexed_at[:19])
    show.print_table(table)


@app.command("passages")
@options.with_settings("index", "store")
def passages(
    *,
    output: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help="Overwritten if there.")],
    **given: Any,
) -> None:
    """Write the indexed passages as JSON Lines: text, source, and where it is in the source."""
    import json

    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.errors import DocumentError

    count = 0
    with RagApp(**given) as engine, engine.store.read() as snapshot:
        try:
            with output.open("w", encoding="utf-8", errors="backslashreplace") as file:
                for chunk in snapshot.all_chunks():
                    place = {"source": chunk.source, "start": chunk.start}
                    file.write(json.dumps({"text": chunk.text, **place}, ensure_ascii=False) + "\n")
                    count += 1
        except BrokenPipeError:  # `/dev/stdout`
            raise
        except OSError as error:
            msg = f"{output} can't be written ({error.strerror or error}); name another file"
            raise DocumentError(msg) from error
    show.messages.print(f"{output} holds {show.count_of(count, 'passage')}")


@app.command("remove")
@options.with_settings("index", "store")
def remove(
    *,
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, as `rag-app docs` lists them.")
    ],
    as_json: options.Json = False,
    **given: Any,
) -> None:
    """Remove documents from the index; their files are left alone."""
    from rag_app.cli import show
    from rag_app.engine import RagApp

    with RagApp(**given) as engine:
        removed = engine.remove(sources)
    if as_json:
        show.print_json({"removed": removed})
    else:
        show.messages.print(f"removed {show.count_of(len(removed), 'document')}")
