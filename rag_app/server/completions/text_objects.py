"""The objects of OpenAI's API that text completions are made of."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from openai.types import Completion, CompletionUsage
from pydantic import BaseModel

from rag_app.server.completions.chat import ChatObjects, Logprobs, new_response
from rag_app.server.schemas.requests import Sampling


class TextObjects(ChatObjects):
    """Makes the objects of one text completion's response."""

    def __init__(self, request: Sampling, model: str) -> None:
        super().__init__(request, model)
        self.fixed = {**new_response("cmpl", model), "object": "text_completion"}
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
