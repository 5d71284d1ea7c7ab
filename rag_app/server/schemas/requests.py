"""What all requests have in common: how text is generated, and how documents answer."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from model_prep.validation import invalid_reason
from rag_app.server.errors import MANY, ONE, ApiError
from rag_app.settings import AnswerChain, RetrieverKind

Text = Annotated[str, Field(max_length=1_000_000)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]
Item = TypeVar("Item")
Items = TypeVar("Items")
OneOrMany = Annotated[
    Annotated[Item, Tag(ONE)] | Annotated[Items, Tag(MANY)],
    Discriminator(lambda value: MANY if isinstance(value, list) else ONE),
]
"""Either; an error names the fields of the one that was sent."""
TextOr = Annotated[
    Annotated[Text, Tag(ONE)] | Annotated[Item, Tag(MANY)],
    Discriminator(lambda value: ONE if isinstance(value, str) else MANY),
]
"""A text, or what other clients send for one."""
_LEVELS = 200  # of nested objects and lists in a body
_ALL_TOKENS = 100_000
_LIKELIEST = 1e-6  # in place of a ``top_p`` of 0, by which clients mean the likeliest token alone


def example(**values: Any) -> ConfigDict:
    """Return the configuration of a model whose schema shows an example."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class ListOf(BaseModel, Generic[Item]):
    """A list as OpenAI's API has it."""

    object: Literal["list"] = "list"
    data: list[Item]


def whole_characters(value: Any, levels: int = _LEVELS) -> Any:
    r"""Replace halves of characters in JSON, which clients that count in UTF-16 leave at a cut.

    Raises:
        ValueError: it is nested deeper than that.

    Example:
        >>> whole_characters({"cut": ["好\ud83d"]})
        {'cut': ['好\ufffd']}
    """
    if not levels:
        raise ValueError("the body is nested too deeply")
    if isinstance(value, dict):
        return {
            whole_characters(name): whole_characters(part, levels - 1)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [whole_characters(part, levels - 1) for part in value]
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


class RequestBody(BaseModel):
    """What clients send."""

    # Clients send fields of newer versions of the API; those that change nothing are passed over.
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, values: Any) -> Any:
        """Take null as if nothing was sent: many clients send every field they know."""
        if isinstance(values, dict):
            values = {name: value for name, value in values.items() if value is not None}
        return whole_characters(values)


def no_token_ids(value: Any) -> Any:
    """Refuse numbers in place of text, which only OpenAI's own models understand."""
    if isinstance(value, list) and any(isinstance(item, int | list) for item in value):
        raise ValueError(
            "token ids belong to OpenAI's own models; send text "
            "(LangChain: check_embedding_ctx_length=False)"
        )
    return value


class StreamOptions(RequestBody):
    """Options of a stream."""

    include_usage: bool | None = None


def _some_tokens(value: int | None) -> int | None:
    if value == 0:
        raise ValueError("give 1 or more, or -1 for as many as there may be")
    return value


MaxTokens = Annotated[
    Annotated[int, Field(ge=-1, description="-1: as many as there may be.")] | None,
    AfterValidator(_some_tokens),
]
"""The most tokens of an answer."""


class Constraints(RequestBody):
    """How clients of vLLM and llama.cpp constrain a text; passed on to an upstream URL only."""

    guided_json: Any = None
    guided_choice: Any = None
    guided_regex: Any = None
    guided_grammar: Any = None
    # OpenRouter's flag, which asks for nothing itself, has the name too.
    structured_outputs: Annotated[
        Any, BeforeValidator(lambda value: None if value is True else value)
    ] = None
    grammar: Any = None
    json_schema: Any = None


CONSTRAINTS = tuple(Constraints.model_fields)
"""Their names."""


class Sampling(Constraints):
    """How text is generated; what is left out is as the server's settings say."""

    model: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=_ALL_TOKENS, description="0, -1: all tokens.")
    max_tokens: MaxTokens = None
    stop: OneOrMany[Stop, Annotated[list[Stop], Field(max_length=16)]] | None = None
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

    @field_validator("top_k")
    @classmethod
    def _all_tokens(cls, value: int | None) -> int | None:
        return _ALL_TOKENS if value in (0, -1) else value

    @field_validator("stop", mode="before")
    @classmethod
    def _some_text(cls, value: Any) -> Any:
        """Leave out empty strings, which forms send where nothing was entered."""
        return [text for text in value if text != ""] if isinstance(value, list) else value or None

    @field_validator("top_p")
    @classmethod
    def _likeliest(cls, value: float | None) -> float | None:
        return _LIKELIEST if value == 0 else value

    @property
    def stops(self) -> list[str]:
        """The strings before which the text ends."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def alternatives(self) -> int | None:
        """How many alternatives to each token are asked for; None: no log probabilities."""
        raise NotImplementedError

    def refuse(self, *names: str) -> None:
        """Refuse what the model can't do.

        Raises:
            ApiError: 400, one of the fields is asked for.
        """
        for name in names:
            if getattr(self, name, None):
                raise ApiError(400, f"{name} is not supported by this model", param=name)

    def limit_tokens(self, limit: int, *, unlimited: int | None = None) -> None:
        """Keep to the tokens that the server allows; clients ask for as many as any model has.

        Args:
            limit: So many; an answer that reaches them ends with ``length``.
            unlimited: Taken for -1; None leaves it to the settings.
        """
        if self.max_tokens == -1:
            self.max_tokens = unlimited
        elif self.max_tokens:
            self.max_tokens = min(self.max_tokens, limit)


class DocumentOptions(RequestBody):
    """How models named ``rag:INDEX`` answer; what is left out is as the settings say."""

    k: int | None = Field(default=None, ge=1, le=100)
    chain: AnswerChain | None = None
    retriever: RetrieverKind | None = None
    within: str | None = Field(default=None, description="As in a search.")
    documents: list[Annotated[str, Field(max_length=100)]] | None = Field(
        default=None,
        min_length=1,
        max_length=10_000,
        description="Ids of the only documents that are asked, in place of `within`.",
    )
    threshold: float | None = Field(default=None, ge=0, le=1)
    marks: bool | None = Field(
        default=None, description="Whether sentences are marked as `[1]`; by default they are."
    )
    footer: bool | None = Field(
        default=None,
        description="Whether sources are listed below the text; by default where `marks` is not "
        "given, as clients that know nothing of `rag` don't.",
    )


Requested = TypeVar("Requested", bound=Sampling)


def request_of(kind: type[Requested], values: dict[str, Any]) -> Requested:
    """Return the chat or completion that a request of another API asks for.

    Raises:
        ApiError: 400, one of the values is wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        param = str(problem["loc"][0]) if problem["loc"] else None
        reason = invalid_reason(problem)
        raise ApiError(400, f"{param}: {reason}", param=param) from error
