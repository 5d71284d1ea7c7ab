"""``model-prep models``: what is known and what is here."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

_WIDE = 300


def models(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where models lie; by default the cache folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """List the known models: role, size, licence, and where they lie if they are here."""
    from model_prep.catalog.models import CATALOG, DEFAULTS
    from model_prep.catalog.pull import is_pulled, model_path

    here = {
        name: str(model_path(name, folder)) if is_pulled(name, folder) else None for name in CATALOG
    }
    if as_json:
        rows = [{**asdict(entry), "path": here[name]} for name, entry in CATALOG.items()]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "role", "size", "licence", "here", "description", box=None)
    for name, entry in CATALOG.items():
        label = f"{name} (default)" if name in DEFAULTS else name
        size = f"{entry.size / 1e6:,.0f} MB"
        place = escape(here[name] or "no")
        table.add_row(label, entry.role, size, entry.licence, place, entry.description)
    console = Console()
    console.width = console.width if console.is_terminal else _WIDE
    console.print(table)
