"""``/v1/models`` and ``/v1/embeddings``."""

import asyncio
import base64
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from fastapi import APIRouter, Request

from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, embed_by_length
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import Registry
from rag_app.server.middleware.request_log import ServerMetrics
from rag_app.server.queueing import ServerQueues
from rag_app.server.schemas.models import (
    EmbeddingList,
    EmbeddingsRequest,
    Model,
    ModelId,
    ModelList,
)
from rag_app.server.schemas.openapi import errors

router = APIRouter(prefix="/v1", tags=["OpenAI"])

_STARTED = int(time.time())


@router.get("/models", response_model_exclude_unset=True)
def list_models(registry: Registry) -> ModelList:
    """List the language model, the embedding model, and `rag:INDEX` for every index."""
    return ModelList(object="list", data=[_model(model) for model in registry.model_ids()])


@router.get("/models/{model:path}", response_model_exclude_unset=True, responses=errors(404))
def show_model(model: ModelId, registry: Registry) -> Model:
    """Show one model."""
    if model not in registry.model_ids():
        raise no_model(model)
    return _model(model)


@router.post(
    "/embeddings",
    response_model=None,  # checking every number would take longer than finding it
    responses={200: {"model": EmbeddingList}, **errors(400, 404, 413, 503, 504)},
)
async def embeddings(
    request: EmbeddingsRequest,
    raw_request: Request,
    registry: Registry,
    queues: ServerQueues,
    metrics: ServerMetrics,
) -> dict[str, object]:
    """Return the vectors of texts by the embedding model, L2-normalized."""
    name = registry.settings.embedding
    if request.model not in (None, name, "default"):
        raise no_model(str(request.model))
    if any(not text.strip() for text in request.texts):
        raise ApiError(400, "input holds an empty text", param="input")
    model = await asyncio.to_thread(registry.embeddings, name)
    if request.dimensions not in (None, model.dimension):
        msg = f"dimensions is fixed for {name}: {model.dimension}"
        raise ApiError(400, msg, param="dimensions")
    vectors, tokens = await queues.embed(raw_request, partial(_embed, model, request))
    metrics.count_tokens(tokens, 0)
    as_base64 = request.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row.tobytes()).decode() if as_base64 else row.tolist(),
        }
        for index, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": name, "data": data, "usage": usage}


def no_model(model: str) -> ApiError:
    """Return the error of a model that isn't here."""
    msg = f"no model {model!r}; GET /v1/models lists them"
    return ApiError(404, msg, code="model_not_found", param="model")


def _embed(
    model: DocumentEmbeddings, request: EmbeddingsRequest, check: Callable[..., None]
) -> tuple[FloatArray, int]:
    texts = request.texts
    if request.input_type == "query":
        rows = []
        for text in texts:
            check()
            rows.append(model.embed_query(text))
        vectors = np.asarray(rows, "<f4")
    else:
        vectors = np.asarray(embed_by_length(model, texts, check), "<f4")
    count = getattr(model, "count_tokens", None)
    return vectors, count(texts) if count else 0


def _model(model: str) -> Model:
    return Model(id=model, created=_STARTED, object="model", owned_by="rag-app")
