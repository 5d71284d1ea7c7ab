"""What the routes of OpenAI's API answer, for the OpenAPI schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rag_app.server.schemas.indexes import PASSAGE, Passage, example

FinishReason = Literal["stop", "length"]

_MODEL = {"id": "rag:合同", "object": "model", "created": 1767225600, "owned_by": "rag-app"}
_USAGE = {
    "prompt_tokens": 31,
    "completion_tokens": 8,
    "total_tokens": 39,
    "prompt_tokens_details": {"cached_tokens": 24},
}


class Model(BaseModel):
    """A model that can be asked for."""

    model_config = example(**_MODEL)

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    model_config = example(object="list", data=[_MODEL])

    object: Literal["list"] = "list"
    data: list[Model]


class PromptTokens(BaseModel):
    """More about the prompt's tokens."""

    cached_tokens: int = Field(description="Of the prompt, kept from an earlier request.")


class Usage(BaseModel):
    """Tokens that were read and generated."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens


class Grounds(BaseModel):
    """What an answer from documents rests on."""

    citations: list[Passage] = Field(description="The passages that the model was given.")
    answered: bool = Field(description="False where the documents hold no answer.")
    notes: list[str] = Field(description="What the reader should know.")


class ChatMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """One of the answers."""

    index: int
    message: ChatMessage
    finish_reason: FinishReason
    logprobs: dict[str, Any] | None = None


class _Generated(BaseModel):
    id: str
    created: int
    model: str
    usage: Usage


class ChatCompletion(_Generated):
    """The answer to a chat."""

    model_config = example(
        id="chatcmpl-5f0c",
        object="chat.completion",
        created=1767225600,
        model="rag:合同",
        choices=[
            {
                "index": 0,
                "message": {"role": "assistant", "content": "李白在当涂病逝[1]。"},
                "finish_reason": "stop",
            }
        ],
        usage=_USAGE,
        rag={"citations": [PASSAGE], "answered": True, "notes": []},
    )

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    rag: Annotated[Grounds | None, Field(description="From models named `rag:INDEX` only.")] = None


class TextChoice(BaseModel):
    """One of the continuations."""

    index: int
    text: str
    finish_reason: FinishReason
    logprobs: dict[str, Any] | None = None


class TextCompletion(_Generated):
    """How a text goes on."""

    model_config = example(
        id="cmpl-5f0c",
        object="text_completion",
        created=1767225600,
        model="qwen2.5-coder-1.5b-instruct",
        choices=[{"index": 0, "text": "？北京。", "finish_reason": "stop"}],
        usage=_USAGE,
    )

    object: Literal["text_completion"]
    choices: list[TextChoice]


class Embedding(BaseModel):
    """The vector of one text."""

    object: Literal["embedding"]
    index: int
    embedding: (
        list[float]
        | Annotated[
            str, Field(description="Base64 of little-endian float32, where that was asked for.")
        ]
    )


class EmbeddingUsage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors, in the order of the texts."""

    model_config = example(
        object="list",
        model="multilingual-e5-small",
        data=[{"object": "embedding", "index": 0, "embedding": [0.031, -0.052, 0.047]}],
        usage={"prompt_tokens": 6, "total_tokens": 6},
    )

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage
