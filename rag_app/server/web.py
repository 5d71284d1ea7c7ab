"""The page, and how the server is."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from rag_app.server.context import ContextOf
from rag_app.server.metrics import CONTENT_TYPE

_STATIC = Path(__file__).with_name("static")

router = APIRouter(tags=["Server"])


@router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """Return the page."""
    return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/health")
def health(context: ContextOf) -> Any:
    """Say whether the server is live (it answers) and ready (its model is loaded)."""
    base = context.library.base
    if error := base.llm_error:
        return JSONResponse({"status": "failed", "ready": False, "error": str(error)}, 503)
    return {"status": "ready" if base.ready else "loading", "ready": base.ready}


@router.get("/metrics", response_class=Response)
def metrics(context: ContextOf) -> Response:
    """Return the counters for Prometheus."""
    return Response(context.metrics.text(), media_type=CONTENT_TYPE)


def mount(app: FastAPI) -> None:
    """Serve the page's files."""
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
