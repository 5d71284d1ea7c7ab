"""The objects of OpenAI's API that chat completions and text completions are made of."""

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from langchain_core.messages.ai import UsageMetadata, add_usage
from openai.types import Completion, CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.completion_usage import PromptTokensDetails
from pydantic import BaseModel

from rag_app.server.schemas.completions import ChatCompletion
from rag_app.server.schemas.requests import Sampling

Logprobs = Sequence[Mapping[str, Any]]
"""LangChain's, of each token, with its alternatives in ``top_logprobs``."""


def completion_usage(calls: Iterable[UsageMetadata]) -> CompletionUsage:
    """Return the tokens of some calls to the model, added up."""
    total: UsageMetadata | None = None
    for usage in calls:
        total = add_usage(total, usage)
    total = total or UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
    cached = total.get("input_token_details", {}).get("cache_read", 0)
    return CompletionUsage(
        prompt_tokens=total["input_tokens"],
        completion_tokens=total["output_tokens"],
        total_tokens=total["input_tokens"] + total["output_tokens"],
        prompt_tokens_details=PromptTokensDetails(cached_tokens=cached),
    )


def _new_response(kind: str, model: str) -> dict[str, Any]:
    """Return what all objects of one response have in common."""
    return {"id": f"{kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


class ChatObjects:
    """Makes the objects of one chat's response.

    Args:
        request: Says what is to be in them.
        model: The id that was asked for.

    Example:
        >>> from rag_app.server.schemas.chat import ChatRequest
        >>> request = ChatRequest(messages=[{"role": "user", "content": "李白是谁？"}])
        >>> ChatObjects(request, "rag:default").chunk("诗人").choices[0].delta.content
        '诗人'
    """

    def __init__(self, request: Sampling, model: str) -> None:
        self._alternatives = request.alternatives or 0
        self.fixed = _new_response("chatcmpl", model)
        # A stream whose last event has the usage says in all others that they have none.
        self.no_usage = {"usage": None} if request.wants_usage else {}

    def first(self, count: int = 1) -> list[BaseModel]:
        """Return the events that a stream begins with: who speaks."""
        return [self._event({"role": "assistant", "content": ""}, index) for index in range(count)]

    def chunk(
        self,
        text: str,
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: Logprobs = (),
        parts: Mapping[str, Any] = MappingProxyType({}),
        **extra: Any,
    ) -> BaseModel:
        """Return an event of a stream.

        Args:
            text: A piece of the answer.
            index: The index of the choice.
            finish_reason: Where the answer ends.
            logprobs: Those of the text.
            parts: What the message has besides its text.
            **extra: Fields besides those of OpenAI's API.
        """
        delta = {name: part for name, part in {"content": text, **parts}.items() if part}
        return self._event(delta, index, finish_reason, logprobs, **extra)

    def last(self, usage: CompletionUsage) -> BaseModel:
        """Return the event with the numbers of tokens."""
        return ChatCompletionChunk(
            **self.fixed, object="chat.completion.chunk", choices=[], usage=usage
        )

    def choice(
        self, text: str, index: int = 0, finish_reason: str = "stop", logprobs: Logprobs = ()
    ) -> dict[str, Any]:
        """Return a choice of a complete response."""
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"message": message, **self._end(index, finish_reason, logprobs)}

    def whole(
        self, choices: list[dict[str, Any]], usage: CompletionUsage, **extra: Any
    ) -> BaseModel:
        """Return a complete response."""
        values = {"object": "chat.completion", "choices": choices, "usage": usage, **extra}
        return ChatCompletion.model_validate({**self.fixed, **values})

    def _event(
        self,
        delta: dict[str, Any],
        index: int,
        finish_reason: str | None = None,
        logprobs: Logprobs = (),
        **extra: Any,
    ) -> BaseModel:
        choice = {"delta": delta, **self._end(index, finish_reason, logprobs)}
        values = {"object": "chat.completion.chunk", "choices": [choice], **self.no_usage, **extra}
        return ChatCompletionChunk.model_validate({**self.fixed, **values})

    def _end(self, index: int, finish_reason: str | None, logprobs: Logprobs) -> dict[str, Any]:
        content = [
            {**token, "top_logprobs": (token.get("top_logprobs") or [])[: self._alternatives]}
            for token in logprobs
        ]
        shown = {"content": content, "refusal": None} if content else None
        return {"index": index, "logprobs": shown, "finish_reason": finish_reason}


class TextObjects(ChatObjects):
    """Makes the objects of one text completion's response."""

    def __init__(self, request: Sampling, model: str) -> None:
        super().__init__(request, model)
        self.fixed = {**_new_response("cmpl", model), "object": "text_completion"}
        self._offsets: Counter[int] = Counter()

    def first(self, _: int = 1) -> list[BaseModel]:
        """Return no event: there is no speaker."""
        return []

    def chunk(
        self,
        text: str,
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: Logprobs = (),
        parts: Mapping[str, Any] = MappingProxyType({}),  # noqa: ARG002 - a text has none
        **_: Any,
    ) -> BaseModel:
        """Return an event of a stream."""
        choice = self.choice(text, index, finish_reason, logprobs)
        # Not validated: the type of a complete response does not know a choice that goes on.
        return Completion.construct(**self.fixed, choices=[choice], **self.no_usage)

    def last(self, usage: CompletionUsage) -> BaseModel:
        """Return the event with the numbers of tokens."""
        return Completion(**self.fixed, choices=[], usage=usage)

    def choice(
        self,
        text: str,
        index: int = 0,
        finish_reason: str | None = "stop",
        logprobs: Logprobs = (),
    ) -> dict[str, Any]:
        """Return a choice of a response."""
        shown = self._logprobs(index, logprobs) if logprobs else None
        return {"index": index, "text": text, "logprobs": shown, "finish_reason": finish_reason}

    def whole(self, choices: list[dict[str, Any]], usage: CompletionUsage, **_: Any) -> BaseModel:
        """Return a complete response."""
        return Completion.model_validate({**self.fixed, "choices": choices, "usage": usage})

    def _logprobs(self, index: int, tokens: Logprobs) -> dict[str, Any]:
        offsets = []
        for token in tokens:
            offsets.append(self._offsets[index])
            self._offsets[index] += len(token["token"])
        return {
            "tokens": [token["token"] for token in tokens],
            "token_logprobs": [token["logprob"] for token in tokens],
            "top_logprobs": [
                {top["token"]: top["logprob"] for top in token.get("top_logprobs") or ()}
                for token in tokens
            ],
            "text_offset": offsets,
        }
