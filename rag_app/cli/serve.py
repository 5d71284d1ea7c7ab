"""``rag-app serve``: an OpenAI-compatible API and a page over the indexes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rag_app.cli import options


@options.with_model(
    "llm", "lora", "tokenizer", "llm_name", "max_new_tokens", "threads", "gpus", "quantize"
)
def serve(
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
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keys, one in each line, which may have names and scopes; see "
            "rag_app/server/README.md.",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Web pages from here may use the server; can be repeated; '*' is all.",
        ),
    ] = None,
    workers_limit: Annotated[
        int | None,
        typer.Option(help="Requests that the model, or each URL, works on together (default 4)."),
    ] = None,
    queue_limit: Annotated[
        int | None, typer.Option(help="Requests that may wait (default 64); more get status 429.")
    ] = None,
    request_seconds: Annotated[
        float | None, typer.Option(help="Longest time for one request (default 1800).")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(help="Limit for each key (default 0: none).")
    ] = None,
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", help="Write questions into the log.")
    ] = False,
    prompts: options.Prompts = None,
    embedding: options.Embedding = None,
    reranker: options.Reranker = None,
    store: options.Store = None,
    **model: Any,
) -> None:
    """Serve the indexes and the model: an OpenAI-compatible API, and a page to ask in."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.server.serve import access_for, listen, run, url_of
    from rag_app.settings import load_settings

    settings = load_settings(
        parallel=workers_limit, queue_limit=queue_limit, request_seconds=request_seconds,
        requests_per_minute=requests_per_minute, log_prompts=log_prompts or None,
        prompts=prompts, embedding=embedding, reranker=reranker, store=store,
        api_key_file=api_key_file, **model,
    )  # fmt: skip
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
