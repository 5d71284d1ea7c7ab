"""The page, and the routes of the server itself: health, settings, counters."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rag_app.documents.formats import SUFFIXES
from rag_app.server.index_registry import Registry
from rag_app.server.middleware.requests import ServerMetrics
from rag_app.server.schemas.indexes import Health, ServerSettings
from rag_app.server.schemas.openapi import KEY, errors
from rag_app.server.uploads import MAX_FILES

_STATIC = Path(__file__).parents[1] / "static"
_COUNTER = 'rag_app_requests_total{route="/v1/models",status="200"} 1.0'
_FAILED = Health(status="failed", ready=False, error="model.gguf does not exist")

router = APIRouter(tags=["Server"])
api = APIRouter(prefix="/v1", tags=["Server"])


@router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """Return the page."""
    return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@router.get(
    "/health",
    responses={
        **errors(403),
        503: {
            "model": Health,
            "description": "The language model can't be used",
            "content": {"application/json": {"example": _FAILED.model_dump()}},
        },
    },
)
def health(registry: Registry, response: Response) -> Health:
    """Say whether the server is live (it answers) and ready (its model is loaded)."""
    base = registry.base
    if error := base.llm_error:
        response.status_code = 503
        return Health(status="failed", ready=False, error=str(error))
    return Health(status="ready" if base.ready else "loading", ready=base.ready)


@api.get("/settings")
def show_settings(registry: Registry) -> ServerSettings:
    """Show what requests get that ask for nothing else, and what may be uploaded."""
    settings = registry.settings
    return ServerSettings(
        **{**dict(settings), "llm": registry.llm_id},
        formats=sorted(SUFFIXES),
        max_files=MAX_FILES,
    )


@router.get(
    "/metrics",
    response_class=Response,
    dependencies=[KEY],
    responses={
        **errors(401, 403, 429),
        200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _COUNTER}}},
    },
)
def metrics(metrics: ServerMetrics) -> Response:
    """Return the counters for Prometheus."""
    return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


class _PageFiles(StaticFiles):
    """Files that browsers ask for again each time: modules of two versions don't fit together."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def mount(app: FastAPI) -> None:
    """Serve the page's files."""
    app.mount("/static", _PageFiles(directory=_STATIC), name="static")
