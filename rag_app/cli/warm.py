"""``rag-app warm``: passages that are read before anybody asks."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options

_LOOK_SECONDS = 0.5  # between two looks whether the resident engine is asked something


@options.with_settings("index", "store", "prompts", "cache_size", "llm", "threads")
def warm(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Passages to read.")] = 100,
    **given: Any,
) -> None:
    """Have the model read the passages that are likely to be asked about, and keep that on disk.

    Those that were asked about come first, then what headings promise and documents begin with.
    The first question about one of them is then answered as soon as a second one would be. Where
    there is a resident engine, it reads. Ctrl-C ends it, or a question to that engine, or a full
    cache; what was read by then is kept.
    """
    from rag_app.cli import show
    from rag_app.cli.progress import counting
    from rag_app.engine.command_engine import CommandEngine
    from rag_app.settings import load_settings

    with closing(CommandEngine(load_settings(**given))) as engine:
        try:
            with counting("reading") as progress:
                count, stopped = engine.warm(limit, progress, _asked())
        except KeyboardInterrupt:
            show.messages.print(f"interrupted; {_kept()}")
            raise typer.Exit(INTERRUPTED) from None
    if stopped:
        show.messages.print(f"stopped for a question; the same command goes on; {_kept()}")
        return
    show.messages.print(f"{show.count_of(count, 'passage')} read; {_kept()}")


def _kept() -> str:
    """Return what the cache holds, for people."""
    from rich.filesize import decimal

    from rag_app.models.llms.prompt_cache import all_kept_prompts

    entries = all_kept_prompts()
    size = decimal(sum(entry.size for entry in entries))
    return f"{len(entries):,} kept in all, {size} on disk"


def _asked() -> Callable[[], bool]:
    """Return what says whether the resident engine has been asked something since."""
    from rag_app.engine.resident import state
    from rag_app.surroundings import EnginePlace

    place, looked, found = EnginePlace.of_home(), float("-inf"), False

    def asked() -> bool:
        nonlocal looked, found
        if not found and time.monotonic() > looked + _LOOK_SECONDS:
            looked = time.monotonic()
            found = bool((state(place) or {}).get("at_work"))
        return found

    return asked
