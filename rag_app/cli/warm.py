"""``rag-app warm``: passages that are read before anybody asks."""

from typing import Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options


@options.with_model("llm", "threads")
def warm(
    index: options.Index = None,
    store: options.Store = None,
    limit: Annotated[int, typer.Option(min=1, help="Passages to read.")] = 20,
    prompts: options.Prompts = None,
    cache_size: options.CacheSize = None,
    **model: Any,
) -> None:
    """Have the model read passages ahead, the first of each document first, and keep them on disk.

    The first question about one of them is then answered as soon as a second one would be. Ctrl-C
    ends it; what was read by then is kept.
    """
    from rag_app.cli import show
    from rag_app.cli.progress import reading
    from rag_app.engine import RagApp
    from rag_app.settings import load_settings

    settings = load_settings(
        index=index, store=store, prompts=prompts, cache_size=cache_size, **model
    )
    count = 0
    with RagApp(settings=settings) as app:
        try:
            with reading() as progress:

                def note(done: int, total: int) -> None:
                    nonlocal count
                    count = done
                    progress(done, total)

                app.warm(limit, note)
        except KeyboardInterrupt:
            show.messages.print(f"interrupted; {count:,} passages are kept")
            raise typer.Exit(INTERRUPTED) from None
    show.messages.print(f"{count:,} passages are kept")
