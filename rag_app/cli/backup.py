"""``rag-app backup`` and ``rag-app restore``: the indexes in one file, and back."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rag_app.cli import options

_Names = Annotated[
    list[str] | None,
    typer.Option("--index", metavar="NAME", help="Only this index; can be repeated."),
]


def backup(
    file: Annotated[Path, typer.Argument(help="The backup, such as rag-app.zip.")],
    index: _Names = None,
    models: Annotated[bool, typer.Option("--models", help="Put the models in as well.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write the indexes of the home folder into one file, while they are used.

    Uploaded files are in it, FAISS files are not: they are made again. Exit code 3: some indexes
    could not be read, the others are in it.
    """
    from rich.filesize import decimal

    from rag_app.cli import show
    from rag_app.cli.progress import copying
    from rag_app.index.store.backup import back_up

    with copying("backing up") as progress:
        made = back_up(file, index or [], models=models, overwrite=overwrite, progress=progress)
    if as_json:
        show.print_json(asdict(made))
    else:
        for name, reason in made.failed.items():
            show.messages.print(f"{name}: {reason}", style="red", markup=False)
        documents = sum(each.documents for each in made.indexes)
        indexes = show.count_of(len(made.indexes), "index", "indexes")
        what = f"{indexes}, {show.count_of(documents, 'document')}"
        show.messages.print(f"{made.file}: {what}, {decimal(made.bytes)}, checked", markup=False)
    if made.failed:
        raise typer.Exit(options.SOME_FAILED)


def restore(
    file: Annotated[Path, typer.Argument(help="Made by `rag-app backup`.")],
    index: _Names = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace indexes that are there.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the backup through, and list it.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Bring indexes of a backup back; all of it is checked before anything is replaced."""
    from rag_app.cli import show
    from rag_app.cli.progress import copying
    from rag_app.index.store.restore import restore as restore_backup

    with copying("checking" if check else "restoring") as progress:
        done = restore_backup(
            file, index or [], overwrite=overwrite, check=check, progress=progress
        )
    if as_json:
        show.print_json(asdict(done))
        return
    said = "whole" if check else "restored"
    for each in done.indexes:
        documents = show.count_of(each.documents, "document")
        show.messages.print(f"{said}: {each.name}, {documents}", markup=False)
    for name in done.models:
        show.messages.print(f"{said}: model {name}", markup=False)
    for name in done.kept:
        show.messages.print(f"left as it is: model {name}", markup=False)
