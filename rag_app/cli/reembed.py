"""``rag-app reembed``: move an index to the vectors of another embedding model."""

from typing import Annotated

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options


def reembed(
    index: options.Index = None,
    embedding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR|URL",
            help="The other model; by default that of an unfinished run, or of the settings.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Embed all passages of an index again, with another model.

    Until that is done the index is asked and changed as before; then the new vectors take the
    place of the old ones at once. Interrupted, the same command goes on.
    """
    from rag_app.cli import show
    from rag_app.cli.progress import reembedding
    from rag_app.engine import RagApp
    from rag_app.settings import load_settings

    state = (0, 0)
    with RagApp(settings=load_settings(index=index, embedding=embedding)) as app:
        try:
            with reembedding() as progress:

                def note(done: int, total: int) -> None:
                    nonlocal state
                    state = done, total
                    progress(done, total)

                count = app.reembed(note, again=False)
        except KeyboardInterrupt:
            done, total = state
            left = f"interrupted; {done:,} of {total:,} passages are embedded again"
            show.messages.print(
                f"{left}; the same command goes on, the old vectors serve until then"
            )
            raise typer.Exit(INTERRUPTED) from None
        with app.store.read() as snapshot:
            name = snapshot.meta().embedding
    if as_json:
        show.print_json({"embedding": name, "passages": count})
    elif state[1] or count:
        show.messages.print(f"embedded {count:,} passages again, with {name}", markup=False)
    else:
        show.messages.print(
            f"the vectors are those of {name} already; --embedding names another", markup=False
        )
