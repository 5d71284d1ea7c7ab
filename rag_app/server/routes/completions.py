"""``/v1/chat/completions`` and ``/v1/completions``."""

import asyncio
import logging
import re
from typing import Any

from fastapi import APIRouter, Request
from langchain_core.language_models import BaseChatModel

from rag_app.models.llms.openai import CompatibleChat
from rag_app.server.completions.chat import DocumentChat, index_address
from rag_app.server.completions.generation import LlmGeneration, options_of
from rag_app.server.completions.relay import Relay, use_content
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import RAG, IndexRegistry, Registry
from rag_app.server.indexing_jobs import Jobs
from rag_app.server.queueing import Queues, ServerQueues
from rag_app.server.routes.models import no_model
from rag_app.server.schemas.completions import (
    CHAT_CHUNK,
    TEXT_CHUNK,
    ChatCompletion,
    ChatRequest,
    CompletionRequest,
    TextCompletion,
)
from rag_app.server.schemas.openapi import errors, events

router = APIRouter(prefix="/v1", tags=["OpenAI"])

_log = logging.getLogger("rag_app.server")
_TASKS = re.compile(
    r"""
    \A\s*\#{3}\s*Task:.*(?:<chat_history>|\#{3}\s*(?:Chat\ History|Output|Guidelines))  # Open WebUI
    | \A(?:Please\ )?(?:generate|provide|write|create)\ a\ (?:concise|short|brief).{0,80}\ title
    | \ABased\ on\ the\ chat\ history,\ give\ this\ conversation\ a\ name
    | \A.{0,40}(?:总结|概括|生成|起).{0,30}(?:会话|对话|聊天).{0,60}标题
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""What clients ask a model to do about a conversation: its title, tags, follow-up questions."""


@router.post(
    "/chat/completions",
    response_model=None,
    responses={
        **errors(400, 404, 409, 413, 503, 504),
        **events("Pieces of the answer", CHAT_CHUNK, ChatCompletion),
    },
)
async def chat_completions(
    request: ChatRequest,
    raw_request: Request,
    registry: Registry,
    queues: ServerQueues,
    jobs: Jobs,
) -> Any:
    """Answer a chat: by the language model, or from documents where the model is `rag:INDEX`."""
    model = request.model or registry.llm_id
    _log_prompt(request.messages[-1].text, registry)
    llm = registry.llm()
    index = model.removeprefix(RAG)
    asked = request.messages[-1].text
    if not model.startswith(RAG) or (registry.shows(index) and is_client_task(asked)):
        about = registry.llm_id if model.startswith(RAG) else model
        return await _generate(request, about, llm, raw_request, registry, queues)
    engine = await asyncio.to_thread(registry.engine, index)
    address = index_address(str(raw_request.base_url), index)
    chat = DocumentChat(engine, request, model, address=address, notes=jobs.notes(index))
    return await queues.answer(raw_request, chat, stream=request.stream)


@router.post(
    "/completions",
    response_model=None,
    responses={
        **errors(400, 404, 413, 503, 504),
        **events("Pieces of the text", TEXT_CHUNK, TextCompletion),
    },
)
async def completions(
    request: CompletionRequest, raw_request: Request, registry: Registry, queues: ServerQueues
) -> Any:
    """Go on with a text as it stands, without a chat template."""
    model = request.model or registry.llm_id
    _log_prompt("\n".join(request.prompts), registry)
    return await _generate(request, model, registry.llm(), raw_request, registry, queues)


async def _generate(
    request: ChatRequest | CompletionRequest,
    model: str,
    llm: BaseChatModel,
    raw_request: Request,
    registry: IndexRegistry,
    queues: Queues,
) -> Any:
    """Return the response of the language model itself, here or behind an upstream URL."""
    if model not in (registry.llm_id, "default"):
        if model not in registry.model_ids():
            raise no_model(model)
        use = "/v1/chat/completions" if model.startswith(RAG) else "/v1/embeddings"
        raise ApiError(400, f"{model} is for POST {use} only", param="model")
    if not isinstance(llm, CompatibleChat):
        generation = LlmGeneration(request, model, llm, registry.settings)
        return await queues.answer(raw_request, generation, stream=request.stream)
    options_of(request, registry.settings, llm)  # refuses what is beyond the limits
    body: dict[str, Any] = await raw_request.json()
    path = "completions"
    if isinstance(request, ChatRequest):
        path = "chat/completions"
        use_content(body["messages"])
    if request.max_tokens is None:
        body["max_tokens"] = registry.settings.max_new_tokens
    place = await queues.enter(raw_request)
    return Relay(llm, path, body, place, queues.seconds)


def _log_prompt(prompt: str, registry: IndexRegistry) -> None:
    if registry.settings.log_prompts:
        _log.info("prompt", extra={"prompt": prompt})


def is_client_task(text: str) -> bool:
    r"""Return whether a message was written by a client, not by the person who chats.

    Documents hold no answer to these, whatever model the conversation is with.

    Example:
        >>> is_client_task("### Task:\nGenerate a title.\n### Chat History:\n…")
        True
        >>> is_client_task("合同的标题是什么？")
        False
    """
    return bool(_TASKS.search(text))
