"""``model-prep pull``: fetch models."""

import json
from pathlib import Path
from typing import Annotated

import typer

from model_prep.catalog.entry import SourceKind
from model_prep.cli.progress import progress_bar


def pull(
    names: Annotated[list[str], typer.Argument(help="Catalog names, or `default`.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where models lie; by default the cache folder.")
    ] = None,
    source: Annotated[
        SourceKind | None, typer.Option(help="Only from this kind of source.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Fetch models; what is here already is left alone, what was interrupted goes on."""
    from model_prep.catalog.models import DEFAULTS, entry_of
    from model_prep.catalog.pull import is_pulled
    from model_prep.catalog.pull import pull as fetch

    wanted = [one for name in names for one in (DEFAULTS if name == "default" else [name])]
    entries = {
        entry_of(name).name: entry_of(name) for name in wanted
    }  # all known, or none is begun
    paths = {}
    for name in entries:
        if is_pulled(name, folder):
            path, said = fetch(name, folder=folder), "is here"
        else:
            with progress_bar() as progress:
                path = fetch(name, folder=folder, source=source, progress=progress)
            said = "fetched"
        paths[name] = str(path)
        typer.echo(f"{name} {said}: {path}", err=True)
    if as_json:
        typer.echo(json.dumps(paths, ensure_ascii=False))
