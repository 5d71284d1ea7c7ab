"""The routes of OpenAI's API."""

import asyncio
import base64
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, embed_by_length
from rag_app.models.llms.openai import CompatibleChat
from rag_app.server.completions import generation
from rag_app.server.completions.document_chat import DocumentChat
from rag_app.server.completions.relay import Relay, json_body, use_content
from rag_app.server.completions.shapes import Chunks, Shape
from rag_app.server.context import RAG, Context, ContextOf, Wanted
from rag_app.server.errors import ApiError
from rag_app.server.schemas.openai import (
    ChatCompletion,
    EmbeddingList,
    Model,
    ModelList,
    TextCompletion,
)
from rag_app.server.schemas.openapi import KEY, errors, events
from rag_app.server.schemas.requests import (
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    ModelId,
    Sampling,
)
from rag_app.server.sse import DONE

router = APIRouter(
    prefix="/v1", tags=["OpenAI"], dependencies=[KEY], responses=errors(401, 403, 429)
)

_STARTED = int(time.time())


@router.get("/models")
def list_models(context: ContextOf) -> ModelList:
    """List the language model, the embedding model, and `rag:INDEX` for every index."""
    return ModelList(data=[_model(one) for one in _model_ids(context)])


@router.get("/models/{model:path}", responses=errors(404))
def show_model(model: ModelId, context: ContextOf) -> Model:
    """Show one model."""
    if model not in _model_ids(context):
        raise _no_model(model)
    return _model(model)


@router.post(
    "/chat/completions",
    response_model=None,
    responses={
        **errors(400, 404, 409, 413, 503, 504),
        **events(
            "Pieces of the answer",
            '{"id": "chatcmpl-5f0c", "object": "chat.completion.chunk", "created": 1767225600, '
            '"model": "rag:合同", "choices": [{"index": 0, "delta": {"content": "李白"}, '
            '"logprobs": null, "finish_reason": null}]}',
            DONE,
            whole=ChatCompletion,
        ),
    },
)
async def chat_completions(asked: ChatRequest, request: Request, context: ContextOf) -> Any:
    """Answer a chat: by the language model, or from documents where the model is `rag:INDEX`."""
    name = asked.model or context.llm_id
    context.note(asked.messages[-1].text)
    llm = context.llm()
    shape = Shape("chat.completion", name, asked)
    if name.startswith(RAG):
        engine = await asyncio.to_thread(context.library.engine, name.removeprefix(RAG))
        chat = DocumentChat(engine, asked)
        return await _answer(context, request, shape, chat, stream=asked.stream)
    make = partial(generation.chat, asked, llm, context.settings)
    return await _generated(context, request, asked, shape, "chat/completions", make)


@router.post(
    "/completions",
    response_model=None,
    responses={
        **errors(400, 404, 413, 503, 504),
        **events(
            "Pieces of the text",
            '{"id": "cmpl-5f0c", "object": "text_completion", "created": 1767225600, '
            '"model": "default", "choices": [{"index": 0, "text": "北京", "logprobs": null, '
            '"finish_reason": null}]}',
            DONE,
            whole=TextCompletion,
        ),
    },
)
async def completions(asked: CompletionRequest, request: Request, context: ContextOf) -> Any:
    """Go on with a text as it stands, without a chat template."""
    name = asked.model or context.llm_id
    context.note("\n".join(asked.prompts))
    llm = context.llm()
    shape = Shape("text_completion", name, asked)
    make = partial(generation.complete, asked, llm, context.settings)
    return await _generated(context, request, asked, shape, "completions", make)


@router.post(
    "/embeddings",
    response_model=None,  # checking every number would take longer than finding it
    responses={200: {"model": EmbeddingList}, **errors(400, 404, 413, 503, 504)},
)
async def embeddings(
    asked: EmbeddingsRequest, request: Request, context: ContextOf
) -> dict[str, Any]:
    """Return the vectors of texts by the embedding model, L2-normalized."""
    name = context.settings.embedding
    if asked.model not in (None, name, "default"):
        raise _no_model(str(asked.model))
    if any(not text.strip() for text in asked.texts):
        raise ApiError(400, "input holds an empty text", param="input")
    model = await asyncio.to_thread(context.library.embeddings, name)
    if asked.dimensions not in (None, model.dimension):
        msg = f"dimensions is fixed for {name}: {model.dimension}"
        raise ApiError(400, msg, param="dimensions")
    vectors, tokens = await context.embed(request, partial(_embed, model, asked))
    context.metrics.tokens(tokens, 0)
    as_base64 = asked.encoding_format == "base64"
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


def _embed(
    model: DocumentEmbeddings, asked: EmbeddingsRequest, wanted: Wanted
) -> tuple[FloatArray, int]:
    texts = asked.texts
    if asked.input_type == "query":
        rows = []
        for text in texts:
            wanted()
            rows.append(model.embed_query(text))
        vectors = np.asarray(rows, "<f4")
    else:
        vectors = np.asarray(embed_by_length(model, texts, wanted), "<f4")
    count = getattr(model, "count_tokens", None)
    return vectors, count(texts) if count else 0


class _Generated:
    """Text of the language model itself, in the same shape as `DocumentChat`."""

    def __init__(self, sources: list[Chunks]) -> None:
        self._sources = sources

    def stream(self, shape: Shape) -> Any:
        return shape.stream(self._sources)

    async def whole(self, shape: Shape) -> dict[str, Any]:
        return await shape.whole(self._sources)


async def _generated(
    context: Context,
    request: Request,
    asked: Sampling,
    shape: Shape,
    path: str,
    make: Callable[[], list[Chunks]],
) -> Any:
    """Return the response of the language model itself, here or behind an upstream URL.

    Args:
        context: Holds the model.
        request: As it came.
        asked: What it asks for.
        shape: Of the response.
        path: Of the route, below ``/v1``.
        make: Returns the texts of a model that is here.
    """
    _check_llm(asked.model or context.llm_id, context)
    llm = context.llm()
    if isinstance(llm, CompatibleChat):
        return await _relay(context, request, asked, llm, path)
    return await _answer(context, request, shape, _Generated(make()), stream=asked.stream)


async def _answer(
    context: Context,
    request: Request,
    shape: Shape,
    given: "DocumentChat | _Generated",
    *,
    stream: bool,
) -> Any:
    """Return the response once there is a place for it in the queue; count its tokens."""
    if stream:
        return await context.stream(request, given.stream(shape), shape.usage)
    return await context.whole(request, partial(given.whole, shape), shape.usage)


async def _relay(
    context: Context, request: Request, asked: Sampling, llm: CompatibleChat, path: str
) -> Response:
    generation.options_of(asked, context.settings, llm)  # refuses what is beyond the limits
    body = await json_body(request)
    if isinstance(asked, ChatRequest):
        use_content(body["messages"])
    if asked.max_tokens is None:
        body["max_tokens"] = context.settings.max_new_tokens
    await context.enter(request)
    return Relay(llm, path, body, context.generating, context.settings.request_seconds)


def _model_ids(context: Context) -> list[str]:
    names = [f"{RAG}{name}" for name in context.library.names()]
    return list(dict.fromkeys([context.llm_id, context.settings.embedding, *names]))


def _model(model: str) -> Model:
    return Model(id=model, created=_STARTED, owned_by="rag-app")


def _check_llm(name: str, context: Context) -> None:
    if name in (context.llm_id, "default"):
        return
    if name in _model_ids(context):
        use = "/v1/chat/completions" if name.startswith(RAG) else "/v1/embeddings"
        raise ApiError(400, f"{name} is for POST {use} only", param="model")
    raise _no_model(name)


def _no_model(name: str) -> ApiError:
    msg = f"no model {name!r}; GET /v1/models lists them"
    return ApiError(404, msg, code="model_not_found", param="model")
