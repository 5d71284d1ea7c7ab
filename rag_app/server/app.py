"""The server as one ASGI application."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

import rag_app
from rag_app.engine import RagApp
from rag_app.server import errors, uploads
from rag_app.server.context import Context
from rag_app.server.index_registry import Library
from rag_app.server.indexing_jobs import Jobs
from rag_app.server.middleware.metrics import Metrics
from rag_app.server.middleware.request_log import Watch
from rag_app.server.middleware.security import Access, Guard
from rag_app.server.queueing import Admission
from rag_app.server.routes import indexes, openai
from rag_app.server.routes import page as web
from rag_app.server.schemas.openapi import TAGS

_log = logging.getLogger("rag_app.server")


def create_app(
    engine: RagApp, *, access: Access | None = None, only: Sequence[str] = ()
) -> FastAPI:
    """Return the application that serves an engine's models over its indexes.

    The language model is loaded when the application starts, unless the engine has it already.

    Args:
        engine: Settings and models.
        access: Who may use it; by default everybody on this machine.
        only: Names or folders of the indexes to serve; by default all in the home folder.
    """
    access = access or Access()
    library, metrics = Library(engine, only), Metrics()
    settings = engine.settings
    context = Context(
        library=library,
        jobs=Jobs(library),
        generating=Admission(settings.parallel, settings.queue_limit),
        embedding=Admission(1, 4 * settings.queue_limit),
        metrics=metrics,
    )
    metrics.watch("generating", context.generating)
    metrics.watch("embedding", context.embedding)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.preload()
        await asyncio.to_thread(_tidy, library)
        context.jobs.resume()
        yield
        context.embedder.shutdown(wait=False, cancel_futures=True)
        await context.jobs.close()
        library.close()

    app = FastAPI(
        title="rag-app",
        version=rag_app.__version__,
        summary="Ask and summarize Chinese documents with models you own",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        middleware=_middleware(access, context),
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    errors.install(app)
    app.add_exception_handler(Exception, _unexpected)
    for router in (openai.router, indexes.router, web.router):
        app.include_router(router)
    web.mount(app)
    return app


def _middleware(access: Access, context: Context) -> list[Middleware]:
    layers = [Middleware(Watch, metrics=context.metrics)]
    if access.origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(access.origins),
                allow_methods=["*"],
                allow_headers=["*"],
            )
        )
    return [*layers, Middleware(Guard, access=access, settings=context.settings)]


def _tidy(library: Library) -> None:
    """Clear away what an interrupted server left."""
    library.sweep()
    for name in library.names():
        uploads.sweep(library.folder(name))


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected error", exc_info=error)
    return JSONResponse(errors.body_of(error), 500)
