"""What clients send: OpenAI's requests, and ours for documents."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rag_app.settings import AnswerChain, RetrieverKind, SummaryChain

Text = Annotated[str, Field(max_length=1_000_000)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class _Request(BaseModel):
    # Clients send fields of newer versions of the API; those that change nothing are passed over.
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class TextPart(_Request):
    """A part of a message; only text is understood."""

    type: Literal["text"] = "text"
    text: Text


class Message(_Request):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(_Request):
    """Options of a stream."""

    include_usage: bool = False


class Sampling(_Request):
    """How text is generated; what is left out is as the server's settings say."""

    model: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=100_000)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    n: int = Field(default=1, ge=1, le=16)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stream: bool = False
    stream_options: StreamOptions | None = None
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    user: str | None = None

    @field_validator("n", "stream", mode="before")
    @classmethod
    def _null_is_default(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].default if value is None else value

    @property
    def stops(self) -> list[str]:
        """The strings before which the text ends."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(Sampling):
    """``POST /v1/chat/completions``; the last fields are for models named ``rag:INDEX``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "rag:default", "messages": [{"role": "user", "content": "李白是谁？"}]}
            ]
        }
    )

    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    k: int | None = Field(default=None, ge=1, le=100)
    chain: AnswerChain | None = None
    retriever: RetrieverKind | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    marks: bool = False

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        self.max_tokens = self.max_completion_tokens or self.max_tokens
        return self


class CompletionRequest(Sampling):
    """``POST /v1/completions``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "告诉我中国的首都在哪里"}]}
    )

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=16)]
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    @property
    def prompts(self) -> list[str]:
        """The prompts, one or several."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class EmbeddingsRequest(_Request):
    """``POST /v1/embeddings``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": "今天天气真不错"}]})

    model: str | None = None
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    input_type: Literal["passage", "query"] = "passage"
    user: str | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _no_token_ids(cls, value: Any) -> Any:
        tokens = isinstance(value, list) and any(isinstance(one, int | list) for one in value)
        if tokens:
            msg = (
                "token ids are of OpenAI's own models; send text "
                "(LangChain: check_embedding_ctx_length=False)"
            )
            raise ValueError(msg)
        return value

    @property
    def texts(self) -> list[str]:
        """The texts, one or several."""
        return [self.input] if isinstance(self.input, str) else self.input


class IndexRequest(_Request):
    """``POST /v1/indexes``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "合同"}]})

    name: str = Field(max_length=200)


class SearchRequest(_Request):
    """``POST /v1/indexes/{index}/search``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "李白", "k": 3}]})

    query: Text
    k: int | None = Field(default=None, ge=1, le=100)
    retriever: RetrieverKind | None = None


class SummaryRequest(_Request):
    """``POST /v1/indexes/{index}/documents/{document}/summary``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"chain": "refine", "length": 200}]})

    chain: SummaryChain | None = None
    length: int | None = Field(default=None, ge=1, le=100_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    stream: bool = False
