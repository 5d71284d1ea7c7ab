"""``rag-app indexes``: the indexes of a store, by default those in the home folder."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag_app.cli import options

if TYPE_CHECKING:
    from rag_app.index.store.interface import DocumentStore

app = typer.Typer(help="List, rename or delete indexes.", invoke_without_command=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `rag-app indexes` lists it.")]


@app.callback()
@options.with_settings("store")
def indexes(*, context: typer.Context, as_json: options.Json = False, **given: Any) -> None:
    """List the indexes."""
    if context.invoked_subcommand:
        return
    from rich.filesize import decimal
    from rich.table import Table

    from rag_app.cli import show
    from rag_app.index.store.folders import index_content

    with closing(_store_of("any", given)) as store:
        contents = [index_content(name, _store_of(name, given)) for name in store.names()]
    if as_json:
        show.print_json([asdict(content) for content in contents])
        return
    table = Table("index", "documents", "passages", "size", "embedding", box=None, pad_edge=False)
    for column in table.columns[1:4]:
        column.no_wrap = True
    for content in contents:
        size = "" if content.size is None else decimal(content.size)
        counts = (f"{content.documents:,}", f"{content.passages:,}", size)
        row = (*counts, content.embedding) if content.error is None else ("", "", "", content.error)
        table.add_row(show.name(content.name), *map(show.name, row))
    show.print_table(table)


@app.command("rename")
def rename(
    name: Name, new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")]
) -> None:
    """Give an index of this machine another name."""
    from rag_app.cli import show
    from rag_app.index.store.folders import named_folder, rename_index
    from rag_app.index.store.store import IndexStore

    rename_index(IndexStore(named_folder(name)), new)
    show.messages.print(f"renamed {name} to {new}", markup=False)


@app.command("delete")
@options.with_settings("store")
def delete(
    *,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    **given: Any,
) -> None:
    """Delete an index, with the files that were uploaded into it; others are left alone."""
    from rag_app.cli import show
    from rag_app.index.store.folders import delete_index, index_content, named_folder

    named_folder(name)  # refuses what is not a name
    with closing(_store_of(name, given)) as store:
        store.check_exists()
        if not yes:
            count = index_content(name, store).documents
            _confirm(f"delete the index {name} with {show.count_of(count, 'document')}?")
        delete_index(store)
    show.messages.print(f"deleted {name}", markup=False)


def _confirm(question: str) -> None:
    """Ask on the terminal; go on only after a yes."""
    from rag_app.errors import RagAppError

    try:
        sure = typer.confirm(question, err=True)
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        sure = False  # there is nobody to answer
    if not sure:
        raise RagAppError("nothing was deleted; --yes deletes without asking")


def _store_of(name: str, given: Mapping[str, Any]) -> "DocumentStore":
    from rag_app.engine.resources import open_store
    from rag_app.settings import load_settings

    return open_store(load_settings(index=name, **given))


@options.with_settings("store")
def copy(
    *,
    index: Annotated[str, typer.Argument(metavar="INDEX", help="Name or folder of the index.")],
    to: Annotated[
        str, typer.Option("--to", metavar="milvus:URI|local", help="Where to put the copy.")
    ],
    as_json: options.Json = False,
    **given: Any,
) -> None:
    """Copy an index into another store, under the same name, without embedding again.

    What the copy has already is not copied again, so an interrupted run goes on with the same
    command; documents that the index no longer has are removed from it.
    """
    from rag_app.cli import show
    from rag_app.cli.progress import counting
    from rag_app.engine import RagApp

    with RagApp(index=index, **given) as app, counting("copying", "documents") as progress:
        report = app.copy(to, progress)
    if as_json:
        show.print_json(asdict(report))
        return
    show.messages.print(
        f"copied {show.count_of(report.copied, 'document')} with "
        f"{show.count_of(report.passages, 'passage')}; "
        f"{report.unchanged:,} were there, {report.removed:,} removed"
    )
