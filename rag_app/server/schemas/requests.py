"""What clients send: OpenAI's requests, and ours for documents."""

from typing import Annotated, Any, Literal, Self, TypeVar

from fastapi import File, Path, UploadFile
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from rag_app.server.errors import MORE, ONE
from rag_app.settings import AnswerChain, RetrieverKind, SummaryChain

ModelId = Annotated[str, Path(description="As the list of models has it.", examples=["rag:合同"])]
IndexName = Annotated[str, Path(description="Name of the index.", examples=["合同"])]
DocumentId = Annotated[
    str, Path(description="As the list of documents has it.", examples=["9f86d081884c7d65"])
]
JobId = Annotated[str, Path(description="As the upload answered.", examples=["0c1f7f6e"])]
Files = Annotated[
    list[UploadFile],
    File(description="Files of the formats in `GET /v1/settings`, each with its name."),
]
UPLOAD_EXAMPLE = {
    "requestBody": {
        "content": {"multipart/form-data": {"example": {"files": ["@李白.txt", "@说明.pdf"]}}}
    }
}

Text = Annotated[str, Field(max_length=1_000_000)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]
One = TypeVar("One")
More = TypeVar("More")
OneOrMore = Annotated[
    Annotated[One, Tag(ONE)] | Annotated[More, Tag(MORE)],
    Discriminator(lambda value: MORE if isinstance(value, list) else ONE),
]
"""Either; an error is told of the one that was sent."""
_ALL_TOKENS = 100_000


def _no_token_ids(value: Any) -> Any:
    if isinstance(value, list) and any(isinstance(one, int | list) for one in value):
        msg = (
            "token ids are of OpenAI's own models; send text "
            "(LangChain: check_embedding_ctx_length=False)"
        )
        raise ValueError(msg)
    return value


class _Request(BaseModel):
    # Clients send fields of newer versions of the API; those that change nothing are passed over.
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class Part(_Request):
    """A part of a message; local models understand ``text``, and what they said in ``refusal``."""

    type: str = "text"
    text: Text | None = None
    refusal: Text | None = None


class Message(_Request):
    """One message of a chat; local models understand no tools and no functions."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: OneOrMore[Text, list[Part]] | None = None
    message: OneOrMore[Text, list[Part]] | None = Field(
        default=None,
        description="Another name of `content`, which tutorials of Chinese-LLaMA-Alpaca send; "
        "passed over where there is a `content`.",
    )

    @model_validator(mode="after")
    def _message_is_content(self) -> Self:
        if self.content is None:
            self.content = self.message
        return self

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text or part.refusal or "" for part in self.content)
        return self.content or ""


class StreamOptions(_Request):
    """Options of a stream."""

    include_usage: bool = False


class Sampling(_Request):
    """How text is generated; what is left out is as the server's settings say."""

    model: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=_ALL_TOKENS, description="0, -1: all tokens.")
    max_tokens: int | None = Field(default=None, ge=1)
    stop: OneOrMore[Stop, Annotated[list[Stop], Field(max_length=16)]] | None = None
    n: int = Field(default=1, ge=1, le=16)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stream: bool = False
    stream_options: StreamOptions | None = None
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: dict[str, Any] | None = Field(
        default=None, description="Passed on to an upstream URL only."
    )
    user: str | None = None

    @field_validator("n", "stream", mode="before")
    @classmethod
    def _null_is_default(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].default if value is None else value

    @field_validator("top_k")
    @classmethod
    def _all_tokens(cls, value: int | None) -> int | None:
        return _ALL_TOKENS if value in (0, -1) else value

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

    messages: Annotated[
        list[Message],
        Field(
            min_length=1,
            max_length=1000,
            description="A model named `rag:INDEX` answers the last, and reads the turns before it "
            "to understand it; system messages are for the language model alone.",
        ),
    ]
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: list[Any] | None = Field(default=None, description="Passed on to an upstream URL only.")
    functions: list[Any] | None = Field(default=None, description="As `tools`.")
    tool_choice: Any = None
    response_format: dict[str, Any] | None = Field(default=None, description="As `tools`.")
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

    prompt: OneOrMore[Text, Annotated[list[Text], Field(min_length=1, max_length=16)]]
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    _no_token_ids = field_validator("prompt", mode="before")(_no_token_ids)

    @property
    def prompts(self) -> list[str]:
        """The prompts, one or several."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class EmbeddingsRequest(_Request):
    """``POST /v1/embeddings``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": "今天天气真不错"}]})

    model: str | None = None
    input: OneOrMore[Text, Annotated[list[Text], Field(min_length=1, max_length=2048)]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    input_type: Literal["passage", "query"] = "passage"
    user: str | None = None

    _no_token_ids = field_validator("input", mode="before")(_no_token_ids)

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
