"""Text from the language model, in the shapes of OpenAI's API."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_messages
from langchain_core.outputs import ChatGenerationChunk

from rag_app.server.errors import ApiError
from rag_app.server.schemas import ChatRequest, CompletionRequest, Message, Sampling
from rag_app.settings import Settings

Kind = Literal["chat.completion", "text_completion"]
Chunks = AsyncIterator[AIMessageChunk]


class CompletesText(Protocol):
    """A language model that goes on with a text as it stands."""

    def acomplete(
        self, prompt: str, stop: list[str] | None = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield how ``prompt`` goes on."""


def to_messages(messages: Sequence[Message]) -> list[BaseMessage]:
    """Return a request's messages as LangChain's."""
    return convert_to_messages([(one.role, one.text) for one in messages])


def options_of(request: Sampling, settings: Settings, llm: BaseChatModel) -> dict[str, Any]:
    """Return the options of a call to the model that a request asks for.

    Raises:
        ApiError: 400, more tokens than allowed, or something this model's backend can't do.
    """
    if (request.max_tokens or 0) > settings.reply_limit:
        msg = f"max_tokens {request.max_tokens} is above this server's {settings.reply_limit}"
        raise ApiError(400, msg, param="max_tokens")
    names = (
        "temperature", "top_p", "top_k", "max_tokens", "seed", "repetition_penalty",
        "presence_penalty", "frequency_penalty",
    )  # fmt: skip
    options = {name: getattr(request, name) for name in names}
    wanted = getattr(request, "logprobs", None)
    if isinstance(request, ChatRequest) and wanted:
        options |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    elif isinstance(request, CompletionRequest) and wanted is not None:
        options["logprobs"] = wanted
    if "logprobs" in options and not getattr(llm, "gives_logprobs", False):
        msg = "this model's backend gives no logprobs; a GGUF file or an upstream URL does"
        raise ApiError(400, msg, param="logprobs")
    return {name: value for name, value in options.items() if value is not None}


def chat(request: ChatRequest, llm: BaseChatModel, settings: Settings) -> list[Chunks]:
    """Return the ``n`` answers to a chat, each an iterator of chunks."""
    messages = to_messages(request.messages)
    options = options_of(request, settings, llm)
    stop = request.stops or None
    return [
        llm.astream(messages, stop=stop, **_seeded(options, number)) for number in range(request.n)
    ]


def complete(request: CompletionRequest, llm: BaseChatModel, settings: Settings) -> list[Chunks]:
    """Return ``n`` continuations of each prompt, each an iterator of chunks."""
    for name in ("echo", "suffix"):
        if getattr(request, name):
            raise ApiError(400, f"{name} is not supported", param=name)
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
    return {**options, "seed": options.get("seed", 0) + number} if number else options


async def merged(sources: Sequence[Chunks]) -> AsyncIterator[tuple[int, AIMessageChunk]]:
    """Yield the chunks of several iterators as they come, with the iterator's number."""
    if len(sources) == 1:
        async for chunk in sources[0]:
            yield 0, chunk
        return
    arrived: asyncio.Queue[tuple[int, AIMessageChunk | None]] = asyncio.Queue()

    async def read(number: int, chunks: Chunks) -> None:
        try:
            async for chunk in chunks:
                arrived.put_nowait((number, chunk))
        finally:
            arrived.put_nowait((number, None))

    tasks = [asyncio.create_task(read(number, one)) for number, one in enumerate(sources)]
    try:
        left = len(tasks)
        while left:
            number, arrival = await arrived.get()
            if arrival is not None:
                yield number, arrival
                continue
            left -= 1
            await tasks[number]  # raises what went wrong in it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Usage:
    """Tokens that were read and generated."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def add(self, usage: Mapping[str, Any]) -> None:
        """Add those of one call; ``usage`` is LangChain's `UsageMetadata`."""
        self.prompt += usage["input_tokens"]
        self.completion += usage["output_tokens"]
        self.cached += (usage.get("input_token_details") or {}).get("cache_read", 0)

    def values(self) -> dict[str, Any]:
        """Return them as the API has them."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


@dataclass
class _Choice:
    text: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    logprobs: list[Any] = field(default_factory=list)


class Shape:
    """Makes the objects of one response.

    Args:
        kind: Of chat or of plain completion.
        model: The id that was asked for.
    """

    def __init__(self, kind: Kind, model: str) -> None:
        self._kind = kind
        self._chat = kind == "chat.completion"
        self.usage = Usage()
        self._fixed = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def event(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return one event of a stream."""
        name = "chat.completion.chunk" if self._chat else self._kind
        return {**self._fixed, "object": name, "choices": choices, **more}

    def choice(
        self, text: str, index: int = 0, finish_reason: str | None = None, logprobs: Any = None
    ) -> dict[str, Any]:
        """Return a choice of a stream's event."""
        content = {"delta": {"content": text} if text else {}} if self._chat else {"text": text}
        end = {"logprobs": logprobs, "finish_reason": finish_reason}
        return {"index": index, **content, **end}

    def first(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the events that a chat begins with: who speaks."""
        if not self._chat:
            return []
        delta = {"role": "assistant", "content": ""}
        return [
            self.event([{"index": n, "delta": delta, "logprobs": None, "finish_reason": None}])
            for n in range(count)
        ]

    def last(self) -> dict[str, Any]:
        """Return the event with the numbers of tokens."""
        return self.event([], usage=self.usage.values())

    async def stream(
        self, sources: Sequence[Chunks], *, wants_usage: bool
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream."""
        for event in self.first(len(sources)):
            yield event
        async for number, chunk in merged(sources):
            if chunk.usage_metadata:
                self.usage.add(chunk.usage_metadata)
            info = chunk.response_metadata
            end, logprobs = info.get("finish_reason"), info.get("logprobs")
            if chunk.text or end or logprobs:
                yield self.event([self.choice(chunk.text, number, end, self._logprobs(logprobs))])
        if wants_usage:
            yield self.last()

    async def whole(self, sources: Sequence[Chunks]) -> dict[str, Any]:
        """Return the response of a request that does not stream."""
        choices = [_Choice() for _ in sources]
        async for number, chunk in merged(sources):
            one, info = choices[number], chunk.response_metadata
            one.text.append(chunk.text)
            one.finish_reason = info.get("finish_reason") or one.finish_reason
            one.logprobs += (info.get("logprobs") or {}).get("content") or []
            if chunk.usage_metadata:
                self.usage.add(chunk.usage_metadata)
        return self.response(
            [
                self._whole_choice(number, "".join(one.text), one.finish_reason, one.logprobs)
                for number, one in enumerate(choices)
            ]
        )

    def response(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return a whole response."""
        usage = self.usage.values()
        return {**self._fixed, "object": self._kind, "choices": choices, "usage": usage, **more}

    def message(self, text: str, finish_reason: str | None = "stop") -> dict[str, Any]:
        """Return the only choice of a whole response."""
        return self._whole_choice(0, text, finish_reason, [])

    def _whole_choice(
        self, index: int, text: str, finish_reason: str | None, logprobs: list[Any]
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"text": text}
        if self._chat:
            said = {"message": {"role": "assistant", "content": text, "refusal": None}}
        shown = self._logprobs({"content": logprobs}) if logprobs else None
        return {"index": index, **said, "logprobs": shown, "finish_reason": finish_reason or "stop"}

    def _logprobs(self, logprobs: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return log probabilities in the form of the API: plain completions have an older one."""
        if not logprobs:
            return None
        content = logprobs.get("content") or []
        if self._chat:
            return {"content": content, "refusal": None}
        tops = [
            {top["token"]: top["logprob"] for top in token.get("top_logprobs", [])}
            for token in content
        ]
        return {
            "tokens": [token["token"] for token in content],
            "token_logprobs": [token["logprob"] for token in content],
            "top_logprobs": tops,
            "text_offset": [],
        }
