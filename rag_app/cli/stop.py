"""``rag-app stop``: the end of the resident engine."""


def stop() -> None:
    """End the engine that `ask` left in memory; without one there is nothing to do."""
    from rag_app.cli import show
    from rag_app.engine.resident import Place
    from rag_app.engine.resident import stop as stop_engine

    ended = stop_engine(Place.of_home())
    show.messages.print("the resident engine has ended" if ended else "no resident engine")
