"""``rag-app mcp``: the indexes as tools for assistants and editors."""

import os
import signal
import sys
from typing import Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from model_prep.cli.signals import end_at_once
from rag_app.cli import options


@options.with_settings(
    *("prompts", "store", "api_key_file"),
    *("k", "retriever", "reranker", "threshold", "embedding", *options.MODEL),
)
def mcp(
    *,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME|DIR", help="Only this; can be repeated."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Leave out the tool that adds documents.")
    ] = False,
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP at /mcp in place of stdio.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address of --http.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of --http; 0 takes any free one.")
    ] = 19328,
    **given: Any,
) -> None:
    """Offer the indexes to MCP clients: search, ask, list, read a passage, add a document."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.errors import SettingsError
    from rag_app.settings import load_settings

    try:
        from rag_app.server.index_registry import IndexRegistry
        from rag_app.server.mcp import ToolServer, run_http
        from rag_app.server.serve import access_for, listen, url_of
    except ImportError as error:
        msg = f"the package {error.name} is not here; run: pip install 'rag-app[mcp]'"
        raise SettingsError(msg) from error
    settings = load_settings(**given)
    with RagApp(settings=settings) as engine:
        registry = IndexRegistry(engine, index or [])
        try:
            registry.names()  # whether the store answers is said now
            server = ToolServer(registry, read_only=read_only)
            if not http:
                end_at_once()
                signal.signal(signal.SIGINT, _interrupted)
                server.run("stdio")  # until the input ends
                return
            access = access_for(host, settings.client_keys, [], settings.api_key_file)
            with listen(host, port) as listening:
                show.messages.print(f"serving {url_of(host, listening)}/mcp  (Ctrl-C ends)")
                run_http(server, listening, access, engine)
        finally:
            registry.close()


def _interrupted(*_: object) -> None:
    """End at Ctrl-C: the thread that waits for input would keep the process until it comes."""
    sys.stderr.write("rag-app: interrupted\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)
