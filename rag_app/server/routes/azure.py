"""OpenAI's API as clients of Azure ask for it: the model, a deployment there, is in the path."""

from typing import Any

from fastapi import APIRouter, Request

from rag_app.server.index_registry import Registry
from rag_app.server.middleware.requests import ServerMetrics
from rag_app.server.queueing import ServerQueues
from rag_app.server.routes import completions, models
from rag_app.server.routes.completions import Answers
from rag_app.server.schemas.completions import CompletionRequest
from rag_app.server.schemas.models import EmbeddingsRequest
from rag_app.server.schemas.requests import ChatRequest

router = APIRouter(prefix="/v1/deployments/{deployment}", include_in_schema=False)


@router.post("/chat/completions", response_model=None)
async def deployed_chat(deployment: str, request: ChatRequest, answers: Answers) -> Any:
    """Answer a chat; see `completions.chat_completions`."""
    named = request.model_copy(update={"model": deployment})
    return await completions.chat_completions(named, answers)


@router.post("/completions", response_model=None)
async def deployed_completions(
    deployment: str, request: CompletionRequest, answers: Answers
) -> Any:
    """Go on with a text; see `completions.completions`."""
    named = request.model_copy(update={"model": deployment})
    return await completions.completions(named, answers)


@router.post("/embeddings", response_model=None)
async def deployed_embeddings(
    deployment: str,
    request: EmbeddingsRequest,
    raw_request: Request,
    registry: Registry,
    queues: ServerQueues,
    metrics: ServerMetrics,
) -> dict[str, object]:
    """Return vectors; see `models.embeddings`."""
    named = request.model_copy(update={"model": deployment})
    return await models.embeddings(named, raw_request, registry, queues, metrics)
