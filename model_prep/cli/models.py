"""``model-prep pull`` and ``models``: fetch models, and list those that are known."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model_prep.catalog.entry import SourceKind
from model_prep.cli import options
from model_prep.cli.terminal import progress_bar, say

_WIDE = 300  # columns of a table that is not printed on a terminal


def pull(
    names: Annotated[
        list[str],
        typer.Argument(help="Catalog names, `default`, or with --onnx an encoder's folder."),
    ],
    folder: options.ModelsFolder = None,
    source: Annotated[
        SourceKind | None, typer.Option(help="Only from this kind of source.")
    ] = None,
    hub: Annotated[
        bool,
        typer.Option("--hub", help="The names are repositories of the hub: NAME/REPOSITORY[@REV]."),
    ] = False,
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Run embedding models in int8: faster, nearly as exact."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Fetch models; what is here already is left alone, what was interrupted goes on."""
    if hub:
        _pull_from_hub(names, folder, as_json=as_json)
        return
    from model_prep.catalog.models import DEFAULTS, entry_of
    from model_prep.catalog.pull import is_pulled, quantize_folder
    from model_prep.catalog.pull import pull as fetch

    own = [name for name in names if onnx and Path(name).is_dir()]
    wanted = [known for name in names for known in (DEFAULTS if name == "default" else [name])]
    # All are known, or none is begun.
    paths = dict.fromkeys(entry_of(name).name for name in wanted if name not in own)
    for name in paths:
        state = "is here" if is_pulled(name, folder) else "fetched"
        with progress_bar() as progress:
            paths[name] = fetch(
                name,
                folder=folder,
                source=source,
                encoder_dtype="int8" if onnx else None,
                progress=progress,
            )
        say(f"{name} {state}: {paths[name]}")
    for name in own:
        paths[name] = quantize_folder(Path(name))
        say(f"{name} runs in int8: {paths[name]}")
    if as_json:
        options.print_json(paths)


def _pull_from_hub(names: list[str], folder: Path | None, *, as_json: bool) -> None:
    from model_prep.catalog.hub_results import pull_repository
    from model_prep.catalog.pull import models_folder

    paths = {}
    for name in names:
        with progress_bar() as progress:
            paths[name] = pull_repository(name, folder or models_folder(), progress=progress)
        say(f"{name} fetched: {paths[name]}")
    if as_json:
        options.print_json(paths)


def models(folder: options.ModelsFolder = None, as_json: options.Json = False) -> None:
    """List the known models: role, size, licence, and where they are if they are here."""
    from model_prep.catalog.models import CATALOG, DEFAULTS
    from model_prep.catalog.pull import is_pulled, model_path, models_folder

    here = {
        name: str(model_path(name, folder)) if is_pulled(name, folder) else None for name in CATALOG
    }
    if as_json:
        options.print_json([{**asdict(CATALOG[name]), "path": path} for name, path in here.items()])
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table("name", "role", "size", "licence", "here", "description", box=None)
    for column in table.columns:
        column.overflow = "fold"
    for column in table.columns[:4]:  # names are to be typed
        column.no_wrap = True
    for name, entry in CATALOG.items():
        label = f"{name} (default)" if name in DEFAULTS else name
        size = f"{entry.size / 1e6:,.0f} MB"
        place = here[name] or "no"
        if here[name] and console.is_terminal:  # a path would be folded into a narrow column
            place = "yes"
        table.add_row(label, entry.role, size, entry.licence, escape(place), entry.description)
    console.width = console.width if console.is_terminal else _WIDE
    console.print(table)
    if console.is_terminal:
        say(f"in {folder or models_folder()}")
