"""``model-prep distill``: a static model of an encoder."""

from pathlib import Path
from typing import Annotated

import typer

from model_prep.cli import options
from model_prep.cli.terminal import count_bar, say


def distill(
    encoder: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FOLDER]", help="A catalog name, or an encoder's folder."),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="By default `static` among the models.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a static model, which embeds far faster, for `rag-app --embedding static`.

    It takes minutes; interrupted, the same command goes on.
    """
    from model_prep.catalog.distill import distill as make

    with count_bar() as progress:
        folder = make(encoder, output_dir=output_dir, progress=progress)
    if as_json:
        options.print_json({"path": str(folder)})
    else:
        say(f"the static model is here: {folder}")
