"""``/v1/models``, ``/v1/embeddings`` and ``/v1/rerank``, and Cohere's ``embed``."""

import asyncio
import base64
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Depends, Request

from rag_app.index.search.relevance import relevances
from rag_app.models.embeddings.base import (
    DocumentEmbeddings,
    FloatArray,
    embed_by_length,
    mean_vector,
    normalized,
    windows,
)
from rag_app.models.reranker import CrossEncoderReranker
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import Registry, no_model
from rag_app.server.middleware.requests import DEPLOYMENT, ServerMetrics, asked_model
from rag_app.server.queueing import ServerQueues
from rag_app.server.schemas.models import (
    AnyEmbeddings,
    CohereEmbedRequest,
    EmbeddingList,
    EmbeddingsRequest,
    Model,
    ModelId,
    ModelList,
)
from rag_app.server.schemas.openapi import errors
from rag_app.server.schemas.rankings import AnyRanking, RerankRequest, ranking

router = APIRouter(prefix="/v1", tags=["OpenAI"])
cohere = APIRouter(tags=["OpenAI"])

STARTED = int(time.time())


class TextEmbedder:
    """What embeds the texts of one request, whichever API it speaks."""

    def __init__(
        self,
        raw_request: Request,
        registry: Registry,
        queues: ServerQueues,
        metrics: ServerMetrics,
    ) -> None:
        self._raw_request = raw_request
        self._registry = registry
        self._queues = queues
        self._metrics = metrics
        self.name = registry.settings.embedding
        """The id of the embedding model."""

    async def vectors(self, request: EmbeddingsRequest) -> tuple[FloatArray, int]:
        """Return the vectors of texts, and how many tokens were read.

        Raises:
            ApiError: 404, another model is asked for; 400, a text is empty or too long, or vectors
                of another length are wanted.
        """
        asked = asked_model(self._raw_request, request.model)
        if asked not in (None, self.name, "default"):
            raise no_model(asked, [self.name])
        if any(not text.strip() for text in request.texts):
            raise ApiError(400, "input holds an empty text", param="input")
        model = await asyncio.to_thread(self._registry.embeddings, self.name)
        _check_dimensions(model, request.dimensions)
        work = partial(_embed, model, request)
        vectors, tokens = await self._queues.embed(self._raw_request, work)
        if request.dimensions not in (None, model.dimension):
            vectors = normalized(vectors[:, : request.dimensions])
        self._metrics.count_tokens(tokens, 0)
        return vectors, tokens


Embedder = Annotated[TextEmbedder, Depends()]
"""What embeds, as a parameter of a route."""


@router.get("/models", response_model_exclude_unset=True)
def list_models(registry: Registry) -> ModelList:
    """List the language model, the embedding model, and `rag:INDEX` for every index."""
    return ModelList(object="list", data=[_model(model) for model in registry.model_ids()])


@router.get("/models/{model:path}", response_model_exclude_unset=True, responses=errors(404))
def show_model(model: ModelId, registry: Registry) -> Model:
    """Show one model."""
    return _model(registry.model_id(model))


@router.post(
    "/embeddings",
    response_model=None,  # checking every number would take longer than finding it
    responses={200: {"model": EmbeddingList}, **errors(400, 404, 413, 503, 504)},
)
@router.post(f"{DEPLOYMENT}/embeddings", include_in_schema=False, response_model=None)
async def embeddings(request: EmbeddingsRequest, embedder: Embedder) -> dict[str, object]:
    """Return the vectors of texts by the embedding model, L2-normalized."""
    vectors, tokens = await embedder.vectors(request)
    as_base64 = request.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _base64(row) if as_base64 else row.tolist(),
        }
        for index, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    kind = {"id": uuid4().hex, "object": "list", "model": embedder.name}
    return {**kind, "data": data, "usage": usage}


@cohere.post(
    "/v2/embed",
    response_model=None,
    responses={
        200: {"model": AnyEmbeddings},
        **errors(400, 404, 413, 503, 504),
    },
)
@cohere.post("/v1/embed", include_in_schema=False, response_model=None)
async def cohere_embed(
    request: CohereEmbedRequest, raw_request: Request, embedder: Embedder
) -> dict[str, object] | list[list[float]]:
    """Return the vectors of texts as Cohere's clients read them.

    Clients of Text Embeddings Inference, which send `inputs`, read the vectors alone.
    """
    asked = request.to_embeddings()
    vectors, tokens = await embedder.vectors(asked)
    floats: list[list[float]] = vectors.tolist()
    if request.has_plain_inputs:
        return floats
    version = raw_request.url.path.strip("/")[1]
    kinds = request.embedding_types or ([] if version == "1" else ["float"])
    found: dict[str, object] = {}
    for kind in kinds:
        found[kind] = floats if kind == "float" else [_base64(row) for row in vectors]
    return {
        "id": uuid4().hex,
        "response_type": "embeddings_by_type" if found else "embeddings_floats",
        "embeddings": found or floats,
        "texts": asked.texts,
        "meta": {"api_version": {"version": version}, "billed_units": {"input_tokens": tokens}},
    }


@router.post("/rerank", response_model_exclude_none=True, responses=errors(400, 404, 413, 503, 504))
async def rerank(
    request: RerankRequest, raw_request: Request, registry: Registry, queues: ServerQueues
) -> AnyRanking:
    """Put texts in the order of how well they answer a question.

    By the cross-encoder of `--reranker` where there is one, else by vectors and words, as the model
    named after the embeddings always does.
    """
    name, reranker = registry.settings.embedding, registry.reranker
    known = [name] if reranker is None else [reranker.name, name]
    if request.model not in (None, "default", *known):
        raise no_model(str(request.model), known)
    if not request.query.strip():
        raise ApiError(400, "query is empty", param="query")
    texts = request.documents
    model: DocumentEmbeddings | CrossEncoderReranker
    if reranker is not None and request.model != name:
        model, name, score = reranker, reranker.name, reranker.scores
    else:
        model = embedding = await asyncio.to_thread(registry.embeddings, name)
        score = partial(relevances, embedding)
    found = await queues.embed(raw_request, lambda check: score(request.query, texts, check))
    count = getattr(model, "count_tokens", None)
    tokens = await asyncio.to_thread(count, [request.query, *texts]) if count else 0
    return AnyRanking(ranking(request, name, found, tokens))


def _base64(vector: FloatArray) -> str:
    return base64.b64encode(vector.tobytes()).decode()


def _check_dimensions(model: DocumentEmbeddings, asked: int | None) -> None:
    """Say whether vectors may have a length.

    Raises:
        ApiError: 400, no; cut to another length than the model was trained for they say little.
    """
    shorter = sorted(getattr(model, "shorter_dimensions", ()))
    if asked in (None, model.dimension, *shorter):
        return
    fixed, name = f"dimensions is fixed for {model.name}: {model.dimension}", model.name
    msg = f"{fixed}; it was not trained for its vectors to be cut"
    if shorter:
        lengths = ", ".join(map(str, shorter))
        msg = f"{name} was trained for vectors of {model.dimension} numbers or cut to {lengths}"
    raise ApiError(400, msg, param="dimensions")


def _embed(
    model: DocumentEmbeddings, request: EmbeddingsRequest, check: Callable[..., None]
) -> tuple[FloatArray, int]:
    count = _counter(model, request)
    limit = getattr(model, "max_tokens", None)
    parts = [[text] for text in request.texts]
    if limit:
        for number, part in enumerate(parts):
            check()
            parts[number] = _fitting(part[0], limit, count, request)
    texts = [text for part in parts for text in part]
    tokens = [min(count(text), limit) if limit else count(text) for text in texts]
    vectors = _vectors(model, texts, request, check)
    rows, at = [], 0
    for part in parts:
        inside = slice(at, at := at + len(part))
        rows.append(
            vectors[at - 1] if len(part) == 1 else mean_vector(vectors[inside], tokens[inside])
        )
    return np.asarray(rows, "<f4"), sum(tokens)


def _vectors(
    model: DocumentEmbeddings,
    texts: list[str],
    request: EmbeddingsRequest,
    check: Callable[..., None],
) -> FloatArray:
    if request.input_type == "passage":
        return embed_by_length(model, texts, check)
    rows = []
    for text in texts:
        check()
        rows.append(model.embed_query(text))
    return np.asarray(rows, np.float32)


def _counter(model: DocumentEmbeddings, request: EmbeddingsRequest) -> Callable[[str], int]:
    """Return what counts the tokens of a text as the model reads it; 0 where it can't count."""
    count = getattr(model, "count_tokens", None)
    prefix = getattr(model, f"{request.input_type}_prefix", "")
    return (lambda text: count([prefix + text])) if count else lambda _: 0


def _fitting(
    text: str, limit: int, count: Callable[[str], int], request: EmbeddingsRequest
) -> list[str]:
    """Return a text in the parts that are embedded.

    Raises:
        ApiError: 400, it is too long for the model, and is neither to be cut nor read in parts.
    """
    if request.wants_windows:
        return windows(text, limit, count)
    if not request.truncate and (tokens := count(text)) > limit:
        msg = (
            f"this model's maximum context length is {limit} tokens and an input has {tokens}; "
            "shorten it, or send windows: true or truncate: true"
        )
        raise ApiError(400, msg, code="context_length_exceeded", param="input")
    return [text]


def _model(model: str) -> Model:
    return Model(id=model, created=STARTED, object="model", owned_by="rag-app")
