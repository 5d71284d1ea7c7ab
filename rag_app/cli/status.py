"""``rag-app status``: what there is to work with."""

from rag_app.cli import options


def status(index: options.Index = None, as_json: options.Json = False) -> None:
    """Show the index, its size and models, and whether all is in order."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.settings import load_settings

    with RagApp(settings=load_settings(index=index)) as engine:
        values = engine.status()
    if as_json:
        show.print_json(values)
        return
    width = max(map(len, values))
    for name, value in values.items():
        show.to_stdout(f"{name.replace('_', ' '):<{width}}  {value}")
