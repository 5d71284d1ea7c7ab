"""``rag-app status`` and ``rag-app stop``: what there is to work with, and an end to it."""

import time
from typing import Any

from rag_app.cli import options


@options.with_settings("index", "store")
def status(*, as_json: options.Json = False, **given: Any) -> None:
    """Show the index, its size and models, the resident engine, and whether all is in order."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.engine.resident import state
    from rag_app.surroundings import EnginePlace

    with RagApp(**given) as engine:
        values: dict[str, Any] = engine.status()
    resident = state(EnginePlace.of_home())
    if as_json:
        show.print_json({**values, "resident": resident})
        return
    if (size := values.get("bytes")) is not None:
        values["bytes"] = _size(size)
    values["documents"] = values["documents"] or "none yet; run: rag-app index PATH"
    values["resident"] = _shown(resident) if resident else "none; rag-app ask starts one"
    width = max(map(len, values))
    for name, value in values.items():
        label = "size" if name == "bytes" else name.replace("_", " ")
        show.to_stdout(f"{label:<{width}}  {value}")


def stop() -> None:
    """End the engine that `ask` left in memory; without one there is nothing to do."""
    from rag_app.cli import show
    from rag_app.engine.resident import stop as stop_engine
    from rag_app.surroundings import EnginePlace

    ended = stop_engine(EnginePlace.of_home())
    show.messages.print("the resident engine has ended" if ended else "no resident engine")


def _shown(resident: dict[str, Any]) -> str:
    """Return what the resident engine says of itself, for people."""
    since = time.strftime("%H:%M:%S", time.localtime(resident["since"]))
    ends = "at work" if resident["at_work"] else f"ends in {resident['seconds_left'] / 60:.0f} min"
    size = _size(resident["bytes"])
    return f"process {resident['pid']}, {resident['llm']}, since {since}, {size}, {ends}"


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
