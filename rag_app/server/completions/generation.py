"""Text from the language model, as a request asks for it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_messages

from rag_app.server.completions.shapes import Chunks, tops_of
from rag_app.server.errors import ApiError
from rag_app.server.schemas.requests import ChatRequest, CompletionRequest, Message, Sampling
from rag_app.settings import Settings


def to_messages(messages: Sequence[Message]) -> list[BaseMessage]:
    """Return a request's messages as LangChain's.

    Raises:
        ApiError: 400, one of them holds something else than text.
    """
    for number, one in enumerate(messages):
        if (wrong := _not_understood(one)) is not None:
            field, reason = wrong
            raise ApiError(400, reason, param=f"messages.{number}.{field}")
    roles = {"developer": "system"}  # a newer name, which few chat templates know
    return convert_to_messages([(roles.get(one.role, one.role), one.text) for one in messages])


def _not_understood(message: Message) -> tuple[str, str] | None:
    """Return the field that is not understood, and why, if there is one."""
    if message.role in ("tool", "function"):
        return "role", f"{message.role} messages are not supported: this model calls no tools"
    if message.content is None and message.role != "assistant":
        return "content", f"a {message.role} message needs content"
    known = {"text", "refusal"} if message.role == "assistant" else {"text"}
    for part in message.content if isinstance(message.content, list) else ():
        if part.type not in known:
            return "content", f"{part.type} parts are not supported; send text"
        if getattr(part, part.type) is None:
            return "content", f"a part of type {part.type} needs {part.type}"
    return None


def refuse(request: Sampling, *names: str) -> None:
    """Refuse a request that asks for one of ``names``.

    Raises:
        ApiError: 400.
    """
    for name in names:
        if getattr(request, name, None):
            raise ApiError(400, f"{name} is not supported by this model", param=name)


def refuse_tools(request: ChatRequest) -> None:
    """Refuse what only upstream models can do.

    Raises:
        ApiError: 400.
    """
    if request.tool_choice != "none":
        refuse(request, "tools", "functions")
    if (request.response_format or {}).get("type", "text") != "text":
        refuse(request, "response_format")


def options_of(request: Sampling, settings: Settings, llm: BaseChatModel) -> dict[str, Any]:
    """Return the options of a call to the model that a request asks for.

    Raises:
        ApiError: 400, more tokens than allowed, or something this model's backend can't do.
    """
    if (request.max_tokens or 0) > settings.reply_limit:
        msg = f"max_tokens {request.max_tokens} is above this server's {settings.reply_limit}"
        raise ApiError(400, msg, param="max_tokens")
    if getattr(request, "top_logprobs", None) and not getattr(request, "logprobs", None):
        raise ApiError(400, "top_logprobs needs logprobs: true", param="top_logprobs")
    names = (
        "temperature", "top_p", "top_k", "max_tokens", "seed", "repetition_penalty",
        "presence_penalty", "frequency_penalty",
    )  # fmt: skip
    options = {name: getattr(request, name) for name in names}
    # llama.cpp gives none at all where no alternatives are asked for.
    if (tops := tops_of(request)) is not None and isinstance(request, ChatRequest):
        options |= {"logprobs": True, "top_logprobs": max(tops, 1)}
    elif tops is not None:
        options["logprobs"] = max(tops, 1)
    if "logprobs" in options and not getattr(llm, "gives_logprobs", False):
        msg = "this model's backend gives no logprobs; a GGUF file or an upstream URL does"
        raise ApiError(400, msg, param="logprobs")
    return {name: value for name, value in options.items() if value is not None}


def chat(request: ChatRequest, llm: BaseChatModel, settings: Settings) -> list[Chunks]:
    """Return the ``n`` answers to a chat, each an iterator of chunks."""
    refuse_tools(request)
    refuse(request, "logit_bias")
    messages = to_messages(request.messages)
    options = options_of(request, settings, llm)
    stop = request.stops or None
    return [
        llm.astream(messages, stop=stop, **_seeded(options, number)) for number in range(request.n)
    ]


def complete(request: CompletionRequest, llm: BaseChatModel, settings: Settings) -> list[Chunks]:
    """Return ``n`` continuations of each prompt, each an iterator of chunks."""
    refuse(request, "echo", "suffix", "logit_bias")
    if request.best_of not in (None, request.n):
        raise ApiError(400, "best_of is supported only where it is n", param="best_of")
    options = options_of(request, settings, llm)
    return [
        _completion(llm, prompt, request.stops, _seeded(options, number))
        for prompt in request.prompts
        for number in range(request.n)
    ]


async def _completion(
    llm: Any, prompt: str, stop: list[str], options: dict[str, Any]
) -> AsyncIterator[AIMessageChunk]:
    async for chunk in llm.acomplete(prompt, stop or None, **options):
        yield chunk.message


def _seeded(options: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the options of one of several answers, which differ only by their seeds."""
    return {**options, "seed": options["seed"] + number} if "seed" in options else options
