"""``rag-app serve``: an OpenAI-compatible API and a page over the indexes."""

from typing import Annotated, Any

import typer

from rag_app.cli import options


@options.with_settings(
    *("prompts", "embedding", "reranker", "store", "api_key_file"),
    *("llm", "lora", "tokenizer", "llm_name", "max_new_tokens", "threads", "gpus", "quantize"),
    parallel=options.setting(
        int,
        "Requests that the model, or each URL, works on together (default 4).",
        None,
        "--workers-limit",
    ),
    queue_limit=options.setting(int, "Requests that may wait (default 64); more get status 429."),
    request_seconds=options.setting(float, "Longest time for one request (default 1800)."),
    requests_per_minute=options.setting(int, "Limit for each key (default 0: none)."),
    log_prompts=options.setting(bool, "Write questions into the log.", None, "--log-prompts"),
)
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 19327,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME|DIR", help="Serve only this; can be repeated."),
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help="Key that clients must send; can be repeated; or RAG_APP_API_KEY."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Web pages from here may use the server; can be repeated; '*' is all.",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Serve the indexes and the model: an OpenAI-compatible API, and a page to ask in."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.server.serve import access_for, listen, run, url_of
    from rag_app.settings import load_settings

    settings = load_settings(**given)
    if "parallel" not in settings.model_fields_set:
        settings = settings.model_copy(update={"parallel": 4})
    keys = api_key or settings.client_keys
    access = access_for(host, keys, cors_origin or [], settings.api_key_file)
    with listen(host, port) as listening, RagApp(settings=settings) as engine:
        address = url_of(host, listening)

        def ready() -> None:
            show.messages.print(f"serving {address}  (Ctrl-C ends)")
            if access.origins:
                origins = " ".join(access.origins)
                alone = "" if access.keys else ", without a key"
                show.messages.print(f"web pages of these origins may use it{alone}: {origins}")

        run(engine, listening, access=access, only=index or [], ready=ready)
