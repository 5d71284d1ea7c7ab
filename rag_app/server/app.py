"""The server's ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

import rag_app
from rag_app.engine import RagApp, telemetry
from rag_app.server import errors, uploads
from rag_app.server.idle import IdleWork
from rag_app.server.index_registry import IndexRegistry
from rag_app.server.indexing_jobs import IndexingJobs
from rag_app.server.job_records import JobRecords
from rag_app.server.middleware.access import Access
from rag_app.server.middleware.requests import (
    PROGRAMS,
    Metrics,
    PathsMiddleware,
    RequestLogMiddleware,
    SecurityMiddleware,
)
from rag_app.server.page_images import PageImages
from rag_app.server.queueing import Queues
from rag_app.server.routes import (
    completions,
    conversations,
    indexes,
    models,
    ollama,
    page,
    pages,
    responses,
)
from rag_app.server.schemas import openapi
from rag_app.settings import Settings

_THREADS = 32  # for what requests do besides generating; threads are started as needed


def create_app(
    engine: RagApp,
    *,
    access: Access | None = None,
    only: Sequence[str] = (),
) -> FastAPI:
    """Return the application that serves an engine's models over its indexes.

    The language model is loaded when the application starts, unless the engine has it already.

    Args:
        engine: Settings and models.
        access: Who may use it; by default everybody on this machine.
        only: Names or folders of the indexes to serve; by default all in the home folder.
    """
    access, metrics = access or Access(), Metrics()
    app = FastAPI(
        title="rag-app",
        version=rag_app.__version__,
        summary="Ask and summarize Chinese documents with models you own",
        lifespan=_lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        middleware=_middleware(access, engine.settings, metrics),
        openapi_tags=openapi.TAGS,
    )
    app.state.registry = registry = IndexRegistry(engine, only)
    app.state.job_records = records = JobRecords()
    app.state.jobs, app.state.queues = (
        IndexingJobs(registry, records),
        Queues(engine.settings, metrics),
    )
    app.state.metrics, app.state.page_images = metrics, PageImages()
    app.state.closing = asyncio.Event()  # set when the server is asked to end
    app.state.read_seconds = engine.settings.read_seconds
    errors.install(app)
    app.router.routes.extend(_routes())
    page.mount(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    registry: IndexRegistry = app.state.registry
    jobs: IndexingJobs = app.state.jobs
    queues: Queues = app.state.queues
    idle = IdleWork(registry, jobs, queues, registry.settings.idle_seconds)
    # As many threads as cores, as asyncio has them, would let a request wait for what others do in
    # theirs before it gets its first byte.
    threads = ThreadPoolExecutor(_THREADS + queues.generating.slots, "request")
    asyncio.get_running_loop().set_default_executor(threads)
    registry.base.preload()
    await asyncio.to_thread(_sweep, registry)
    await jobs.resume()
    watching = [asyncio.create_task(loop) for loop in (jobs.keep_adopting(), idle.run())]
    yield
    for task in watching:
        task.cancel()
    queues.close()
    await jobs.close()
    registry.close()


@cache
def _routes() -> list[BaseRoute]:
    """Every route; FastAPI works out what each takes and returns once for all applications."""
    every = APIRouter(generate_unique_id_function=lambda route: route.name)
    refusals = openapi.errors(401, 403, 429)
    spoken = (models.router, models.cohere, completions.router, responses.router)
    documented = (indexes.router, pages.router, conversations.router)
    for router in (*spoken, *documented, page.api):
        every.include_router(router, dependencies=[openapi.KEY], responses=refusals)
    refusals = openapi.ollama_errors(401, 403, 429)
    every.include_router(ollama.router, dependencies=[openapi.KEY], responses=refusals)
    every.include_router(page.router)
    return every.routes


def _middleware(access: Access, settings: Settings, metrics: Metrics) -> list[Middleware]:
    layers = [Middleware(RequestLogMiddleware, metrics=metrics)]
    if tracer := telemetry.tracer():
        from rag_app.server.middleware.telemetry import TelemetryMiddleware

        layers.append(Middleware(TelemetryMiddleware, tracer=tracer))
    layers.append(
        Middleware(
            CORSMiddleware,
            allow_origins=list(access.origins),
            allow_origin_regex=PROGRAMS,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    )
    security = Middleware(SecurityMiddleware, access=access, settings=settings)
    return [*layers, Middleware(PathsMiddleware), security]


def _sweep(registry: IndexRegistry) -> None:
    """Clear away what an interrupted server left."""
    registry.sweep()
    for name in registry.names():
        uploads.sweep(registry.folder(name))
