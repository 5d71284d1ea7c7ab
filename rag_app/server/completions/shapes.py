"""What is generated, in the shapes of OpenAI's API."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.messages import AIMessageChunk

from rag_app.server.schemas.requests import ChatRequest, CompletionRequest, Sampling

Kind = Literal["chat.completion", "text_completion"]
Chunks = AsyncIterator[AIMessageChunk]

_TOGETHER = 16
"""Texts of one request that are generated at a time, whatever ``n`` and the prompts come to."""


def tops_of(request: Sampling) -> int | None:
    """Return how many alternatives to a token are asked for; None where no log probabilities are.

    In a chat that is a number beside a yes, in a completion the number alone.
    """
    if isinstance(request, ChatRequest):
        return (request.top_logprobs or 0) if request.logprobs else None
    return request.logprobs if isinstance(request, CompletionRequest) else None


async def merged(sources: Sequence[Chunks]) -> AsyncIterator[tuple[int, AIMessageChunk]]:
    """Yield the chunks of several iterators as they come, with the iterator's number."""
    if len(sources) == 1:
        async for chunk in sources[0]:
            yield 0, chunk
        return
    arrived: asyncio.Queue[tuple[int, AIMessageChunk | None]] = asyncio.Queue()
    room = asyncio.Semaphore(_TOGETHER)

    async def read(number: int, chunks: Chunks) -> None:
        try:
            async with room:
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
        request: Says what is to be in it.
    """

    def __init__(self, kind: Kind, model: str, request: Sampling) -> None:
        self._kind = kind
        self._chat = kind == "chat.completion"
        self._tops = tops_of(request) or 0
        self._told: Counter[int] = Counter()
        self.wants_usage = request.wants_usage
        self.usage = Usage()
        self._fixed = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def event(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return one event of a stream."""
        name = "chat.completion.chunk" if self._chat else self._kind
        usage = {"usage": None} if self.wants_usage else {}
        return {**self._fixed, "object": name, "choices": choices, **usage, **more}

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

    async def stream(self, sources: Sequence[Chunks]) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream."""
        for event in self.first(len(sources)):
            yield event
        async for number, chunk in merged(sources):
            if chunk.usage_metadata:
                self.usage.add(chunk.usage_metadata)
            info = chunk.response_metadata
            end, logprobs = info.get("finish_reason"), info.get("logprobs")
            if chunk.text or end or logprobs:
                shown = self._logprobs(number, (logprobs or {}).get("content"))
                yield self.event([self.choice(chunk.text, number, end, shown)])
        if self.wants_usage:
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
        shown = self._logprobs(index, logprobs)
        return {"index": index, **said, "logprobs": shown, "finish_reason": finish_reason or "stop"}

    def _logprobs(
        self, index: int, content: Sequence[Mapping[str, Any]] | None
    ) -> dict[str, Any] | None:
        """Return log probabilities in the form of the API: plain completions have an older one."""
        if not content:
            return None
        if self._chat:
            shown = [{**one, "top_logprobs": _tops(one)[: self._tops]} for one in content]
            return {"content": shown, "refusal": None}
        offsets = []
        for one in content:
            offsets.append(self._told[index])
            self._told[index] += len(one["token"])
        tops = [{top["token"]: top["logprob"] for top in _tops(one)} for one in content]
        return {
            "tokens": [one["token"] for one in content],
            "token_logprobs": [one["logprob"] for one in content],
            "top_logprobs": tops,
            "text_offset": offsets,
        }


def _tops(token: Mapping[str, Any]) -> list[dict[str, Any]]:
    return token.get("top_logprobs") or []
