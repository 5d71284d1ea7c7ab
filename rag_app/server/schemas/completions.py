"""Text completions, and what answers them and chats: the objects of OpenAI's API."""

from typing import Annotated

from openai import types
from openai.types import chat
from pydantic import BaseModel, Field, field_validator

from rag_app.chains.citations import Evidence
from rag_app.chains.confidence import Confidence
from rag_app.server.schemas.indexes import PASSAGE, Passage
from rag_app.server.schemas.requests import OneOrMany, Sampling, Text, example, no_token_ids

_CREATED = {"id": "chatcmpl-5f0c", "created": 1767225600, "model": "rag:合同"}
_TEXT = {**_CREATED, "id": "cmpl-5f0c", "model": "default", "object": "text_completion"}
_USAGE = {"prompt_tokens": 31, "completion_tokens": 8, "total_tokens": 39}
_END = {"index": 0, "logprobs": None, "finish_reason": "stop"}
_ONGOING = {**_END, "finish_reason": None}
CHAT_CHUNK = {
    **_CREATED,
    "object": "chat.completion.chunk",
    "choices": [{**_ONGOING, "delta": {"content": "李白"}}],
}
TEXT_CHUNK = {**_TEXT, "choices": [{**_ONGOING, "text": "北京"}]}


class CompletionRequest(Sampling):
    """``POST /v1/completions``."""

    model_config = example(prompt="告诉我中国的首都在哪里")

    prompt: OneOrMany[Text, Annotated[list[Text], Field(min_length=1, max_length=16)]]
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    _no_token_ids = field_validator("prompt", mode="before")(no_token_ids)

    @property
    def prompts(self) -> list[str]:
        """The prompts, one or several."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def alternatives(self) -> int | None:
        """See `Sampling`: in a completion the number alone."""
        return self.logprobs


class Grounds(BaseModel):
    """What an answer from documents rests on."""

    citations: list[Passage] = Field(description="The passages that the model was given.")
    answered: bool = Field(description="False where the documents hold no answer.")
    notes: list[str] = Field(description="What the reader should know.")
    confidence: Confidence | None = Field(None, description="How sure the answer is, and why.")
    evidence: Evidence | None = Field(None, description="The sentence that carries the answer.")
    likely: Evidence | None = Field(
        None, description="In a stream, before the first word: the sentence that may carry it."
    )
    nearest: list[Evidence] = Field(
        [], description="Of a refusal, the sentences nearest to the question, nearest first."
    )


class ChatCompletion(chat.ChatCompletion):
    """The answer to a chat."""

    model_config = example(
        **_CREATED,
        object="chat.completion",
        choices=[{**_END, "message": {"role": "assistant", "content": "李白在当涂病逝[1]。"}}],
        usage=_USAGE,
        rag={"citations": [PASSAGE], "answered": True, "notes": []},
    )

    rag: Annotated[Grounds | None, Field(description="From models named `rag:INDEX` only.")] = None


class TextCompletion(types.Completion):
    """How a text goes on."""

    model_config = example(**_TEXT, choices=[{**_END, "text": "？北京。"}], usage=_USAGE)
