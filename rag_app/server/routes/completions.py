"""``/v1/chat/completions`` and ``/v1/completions``."""

import asyncio
import logging
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request

from rag_app.models.llms.openai import CompatibleChat
from rag_app.server.completions.chat import DocumentChat, index_address
from rag_app.server.completions.client_tasks import is_client_task
from rag_app.server.completions.generation import LlmGeneration, options_of
from rag_app.server.completions.relay import Relay, use_content
from rag_app.server.errors import ApiError
from rag_app.server.event_stream import ServerSentEvents, generated_stream
from rag_app.server.index_registry import RAG, Registry
from rag_app.server.job_records import Records
from rag_app.server.middleware.requests import DEPLOYMENT, asked_model
from rag_app.server.queueing import GeneratedText, ServerQueues
from rag_app.server.schemas.chat import ChatRequest
from rag_app.server.schemas.completions import (
    CHAT_CHUNK,
    TEXT_CHUNK,
    ChatCompletion,
    CompletionRequest,
    TextCompletion,
)
from rag_app.server.schemas.openapi import errors, streamed
from rag_app.server.schemas.requests import Requested

router = APIRouter(prefix="/v1", tags=["OpenAI"])

_log = logging.getLogger("rag_app.server")
_LIMITS = {"max_tokens", "max_completion_tokens"}


class Answering:
    """What answers the client of one request, whichever API it speaks.

    Raises:
        ApiError: 503, the language model is not loaded yet, or can't be.
    """

    def __init__(
        self, raw_request: Request, registry: Registry, queues: ServerQueues, records: Records
    ) -> None:
        self._raw_request = raw_request
        self._registry = registry
        self._queues = queues
        self._records = records
        self.llm = registry.llm()
        self.llm_id = registry.llm_id

    async def named(self, request: Requested) -> Requested:
        """Return a request with the id of the model that it asks for.

        Raises:
            ApiError: 404, there is no such model.
        """
        model = asked_model(self._raw_request, request.model)
        if model and model.startswith(RAG):
            model = unquote(model)  # as proxies have it that write models' ids into headers
        elif model and model not in ("default", self.llm_id):
            model = await asyncio.to_thread(self._registry.model_id, model)
        return request.model_copy(update={"model": model})

    def index_of(self, request: ChatRequest) -> str | None:
        """Return the index that a chat asks, None where the language model itself answers it."""
        model = request.model or ""
        index = model.removeprefix(RAG)
        task = self._registry.shows(index) and is_client_task(request.messages)
        return index if model.startswith(RAG) and not task else None

    async def generation(self, request: ChatRequest | CompletionRequest) -> GeneratedText:
        """Return what answers: an index where the model is ``rag:INDEX``, or the language model.

        Raises:
            ApiError: 404, there is no such model; 400, it can't do what is asked for.
        """
        self._log_prompt(request)
        request = await self.named(request)
        index = self.index_of(request) if isinstance(request, ChatRequest) else None
        if index is None or isinstance(request, CompletionRequest):
            return LlmGeneration(request, self._llm_id(request), self.llm, self._registry.settings)
        engine = await asyncio.to_thread(self._registry.engine, index)
        if request.documents:
            meant = await asyncio.to_thread(self._registry.sources, index, request.documents)
            request = request.model_copy(update={"within": "\0".join(meant)})
        address = index_address(str(self._raw_request.base_url), index)
        notes = self._records.notes(index)
        return DocumentChat(engine, request, f"{RAG}{index}", address=address, notes=notes)

    async def answer(
        self, generation: GeneratedText, *, stream: bool, form: ServerSentEvents | None = None
    ) -> Any:
        """Return the response; see `generated_stream` and `Queues.whole`."""
        if stream:
            return generated_stream(self._queues, generation, form)
        return await self._queues.whole(self._raw_request, generation)

    async def relay(self, llm: CompatibleChat, request: ChatRequest | CompletionRequest) -> Relay:
        """Return the response of the server that holds the language model, as it comes.

        Raises:
            ApiError: as `generation`.
        """
        self._log_prompt(request)
        self._llm_id(await self.named(request))
        settings = self._registry.settings
        options_of(request, settings, llm)  # keeps to the limits
        body: dict[str, Any] = await self._raw_request.json()
        path = "completions"
        if isinstance(request, ChatRequest):
            path = "chat/completions"
            use_content(body["messages"])
        for name in _LIMITS & body.keys():
            body[name] = body[name] and request.max_tokens
        if request.max_tokens is None:
            body["max_tokens"] = settings.max_new_tokens
        place = await self._queues.enter(self._raw_request, stream=request.stream)
        return Relay(llm, path, body, place, self._queues.seconds)

    def _llm_id(self, request: ChatRequest | CompletionRequest) -> str:
        """Return the id that a response of the language model itself has."""
        registry = self._registry
        model = request.model or registry.llm_id
        if model in (registry.llm_id, "default"):
            return model
        if model.startswith(RAG) and isinstance(request, ChatRequest):  # a task of the client's
            return registry.llm_id
        use = "/v1/embeddings"
        if model.startswith(RAG):
            use = "/v1/chat/completions"
        elif model != registry.settings.embedding:
            use = "/v1/rerank"
        raise ApiError(400, f"{model} is for POST {use} only", param="model")

    def _log_prompt(self, request: ChatRequest | CompletionRequest) -> None:
        if self._registry.settings.log_prompts:
            prompts = (
                request.prompts
                if isinstance(request, CompletionRequest)
                else [request.messages[-1].text]
            )
            _log.info("prompt", extra={"prompt": "\n".join(prompts)})


Answers = Annotated[Answering, Depends()]
"""What answers, as a parameter of a route."""


@router.post(
    "/chat/completions",
    response_model=None,
    responses={
        **errors(400, 404, 409, 413, 503, 504),
        **streamed("Pieces of the answer", CHAT_CHUNK, ChatCompletion),
    },
)
@router.post(f"{DEPLOYMENT}/chat/completions", include_in_schema=False, response_model=None)
async def chat_completions(request: ChatRequest, answers: Answers) -> Any:
    """Answer a chat: by the language model, or from documents where the model is `rag:INDEX`."""
    request = await answers.named(request)
    if answers.index_of(request) is None and isinstance(answers.llm, CompatibleChat):
        return await answers.relay(answers.llm, request)
    return await answers.answer(await answers.generation(request), stream=request.stream)


@router.post(
    "/completions",
    response_model=None,
    responses={
        **errors(400, 404, 413, 503, 504),
        **streamed("Pieces of the text", TEXT_CHUNK, TextCompletion),
    },
)
@router.post(f"{DEPLOYMENT}/completions", include_in_schema=False, response_model=None)
async def completions(request: CompletionRequest, answers: Answers) -> Any:
    """Go on with a text as it is, without a chat template."""
    if isinstance(answers.llm, CompatibleChat):
        return await answers.relay(answers.llm, request)
    return await answers.answer(await answers.generation(request), stream=request.stream)
