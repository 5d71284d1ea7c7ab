"""``rag-app serve``: an OpenAI-compatible API and a page over the indexes."""

from typing import Annotated, Any

import typer

from rag_app.cli import options


@options.with_model(
    "llm", "lora", "tokenizer", "llm_name", "max_new_tokens", "threads", "gpus", "quantize"
)
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 19327,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME|DIR", help="Serve only this; can be repeated."),
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help="Key that clients must send; can be repeated. Or RAG_APP_API_KEY."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Web pages from here may use the server; repeatable."),
    ] = None,
    workers_limit: Annotated[
        int | None, typer.Option(help="Requests that the model works on together (default 4).")
    ] = None,
    queue_limit: Annotated[
        int | None, typer.Option(help="Requests that may wait; more get status 429.")
    ] = None,
    request_seconds: Annotated[
        float | None, typer.Option(help="Longest time for one request.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(help="Limit for each key; 0 is none.")
    ] = None,
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", help="Write questions into the log.")
    ] = False,
    prompts: options.Prompts = None,
    embedding: options.Embedding = None,
    **model: Any,
) -> None:
    """Serve the indexes and the model: an OpenAI-compatible API, and a page to ask in."""
    from rag_app.cli import show
    from rag_app.engine import RagApp
    from rag_app.server.serve import access_for, listen, run
    from rag_app.settings import load_settings

    settings = load_settings(
        parallel=workers_limit, queue_limit=queue_limit, request_seconds=request_seconds,
        requests_per_minute=requests_per_minute, log_prompts=log_prompts or None,
        prompts=prompts, embedding=embedding, **model,
    )  # fmt: skip
    if "parallel" not in settings.model_fields_set:
        settings = settings.model_copy(update={"parallel": 4})
    access = access_for(host, api_key or settings.client_keys, cors_origin or [])
    with listen(host, port) as listening, RagApp(settings=settings) as engine:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        run(
            engine, listening, access=access, only=index or [],
            ready=lambda: show.messages.print(f"serving {address}  (Ctrl-C ends)"),
        )  # fmt: skip
