"""The models of a server, and the vectors of its embedding model, as OpenAI's API has them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path
from openai import types
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    field_validator,
    model_validator,
)

from rag_app.server.errors import ApiError
from rag_app.server.schemas.requests import (
    ListOf,
    OneOrMany,
    RequestBody,
    Text,
    TextOr,
    example,
    no_token_ids,
)

ModelId = Annotated[str, Path(description="As the list of models has it.", examples=["rag:合同"])]
_MODEL = {"id": "rag:合同", "object": "model", "created": 1767225600, "owned_by": "rag-app"}


_COHERE: dict[str, Any] = {
    "id": "0f1e2d3c",
    "response_type": "embeddings_by_type",
    "embeddings": {"float": [[0.031, -0.052, 0.047]]},
    "texts": ["今天天气真不错"],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}},
}
_INPUT_TYPES: Mapping[str, Literal["query", "passage"]] = {
    "search_query": "query",
    "search_document": "passage",
    "query": "query",
    "document": "passage",
    "passage": "passage",
    # Of E5: what is compared with its like begins as a question does.
    "classification": "query",
    "clustering": "query",
    "separation": "query",
    "text-matching": "query",
}
"""What other APIs call questions and passages, and we do."""
_TRUNCATE = {"NONE": False, "END": True}  # how other APIs say whether a text is cut


class Model(types.Model):
    """A model that can be asked for."""

    model_config = example(**_MODEL)


class ModelList(ListOf[Model]):
    """All models."""

    model_config = example(object="list", data=[_MODEL])


def _text_of(value: Any) -> Any:
    """Return the text of an object that holds one, as Jina's clients and others send it."""
    return value["text"] if isinstance(value, dict) and "text" in value else value


TextDocument = Annotated[Text, BeforeValidator(_text_of)]
"""A text, or an object that holds it."""


class EmbeddingsRequest(RequestBody):
    """``POST /v1/embeddings``."""

    model_config = example(input="今天天气真不错")

    model: str | None = None
    input: OneOrMany[Text, Annotated[list[TextDocument], Field(min_length=1, max_length=2048)]]
    encoding_format: Literal["float", "base64"] | None = None
    output_dtype: Literal["float"] | None = Field(default=None, description="Voyage's; no other.")
    dimensions: int | None = Field(default=None, ge=1)
    input_type: Literal["passage", "query"] = "passage"
    truncate: bool | None = Field(
        default=None,
        description="Whether of a text that is too long for the model the beginning is read; "
        "false: it is refused.",
    )
    windows: bool | None = Field(
        default=None,
        description="Whether a text that is too long is read in parts, and its vector is the mean "
        "of theirs; true where `truncate` is not given either.",
    )

    @model_validator(mode="before")
    @classmethod
    def _names_of_other_apis(cls, values: Any) -> Any:
        """Take what Cohere's, Voyage's, Jina's and NVIDIA's API name otherwise for ours."""
        if not isinstance(values, dict):
            return values
        values = {**values}
        kind = str(values.get("input_type") or values.get("task")).removeprefix("retrieval.")
        if kind in _INPUT_TYPES:
            values["input_type"] = _INPUT_TYPES[kind]
        if values.get("dimensions") is None:
            values["dimensions"] = values.get("output_dimension")
        if values.get("encoding_format") is None and (form := values.get("embedding_type")):
            values["encoding_format"] = form[0] if isinstance(form, list) else form
        cut = values.get("truncate")
        values["truncate"] = _TRUNCATE.get(cut, cut) if isinstance(cut, str) else cut
        if values.get("truncation") is False:
            values["truncate"] = False
        return values

    _no_token_ids = field_validator("input", mode="before")(no_token_ids)

    @property
    def texts(self) -> list[str]:
        """The texts, one or several."""
        return [self.input] if isinstance(self.input, str) else self.input

    @property
    def wants_windows(self) -> bool:
        """Whether texts that are too long are read in parts.

        Clients that cut documents by characters, as for OpenAI's models, can say neither.
        """
        return self.truncate is None if self.windows is None else self.windows


class CohereContent(RequestBody):
    """A part of an input of Cohere's API; the model reads ``text`` alone."""

    type: Literal["text"]
    text: Text


class CohereInput(RequestBody):
    """An input of Cohere's API, in parts."""

    content: Annotated[list[CohereContent], Field(min_length=1)]

    @property
    def text(self) -> str:
        """The text of all parts."""
        return "".join(part.text for part in self.content)


class CohereEmbedRequest(RequestBody):
    """``POST /v2/embed``, as Cohere's API has it; its older ``/v1/embed`` is like it.

    `inputs` that are texts are Text Embeddings Inference's, which answers with the vectors alone.
    """

    model_config = example(texts=["今天天气真不错"], input_type="search_document")

    model: str | None = None
    texts: list[Text] | None = Field(default=None, max_length=2048)
    inputs: OneOrMany[Text, Annotated[list[TextOr[CohereInput]], Field(max_length=2048)]] | None = (
        None
    )
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = (
        "search_document"
    )
    embedding_types: list[Literal["float", "base64"]] | None = None
    output_dimension: int | None = Field(default=None, ge=1)
    dimensions: int | None = Field(default=None, ge=1, description="Where `inputs` are texts.")
    truncate: Literal["NONE", "END"] | bool = "END"

    @property
    def has_plain_inputs(self) -> bool:
        """Whether it is one of Text Embeddings Inference."""
        inputs = self.inputs or ()
        return isinstance(inputs, str) or any(isinstance(given, str) for given in inputs)

    def to_embeddings(self) -> EmbeddingsRequest:
        """Return what is asked for in the form of OpenAI's API.

        Raises:
            ApiError: 400, there is no text.
        """
        inputs = [self.inputs] if isinstance(self.inputs, str) else self.inputs or ()
        given = [item if isinstance(item, str) else item.text for item in inputs]
        if not (texts := [*(self.texts or ()), *given]):
            raise ApiError(400, "there is nothing to embed; send texts", param="texts")
        return EmbeddingsRequest(
            model=self.model,
            input=texts,
            input_type=_INPUT_TYPES[self.input_type],
            dimensions=self.output_dimension or self.dimensions,
            truncate=self.truncate in ("END", True),
        )


class CohereEmbeddings(BaseModel):
    """The vectors, in the order of the texts, by the types that were asked for."""

    id: str
    response_type: Literal["embeddings_by_type", "embeddings_floats"]
    embeddings: dict[str, list[list[float]] | list[str]] | list[list[float]]
    texts: list[str]
    meta: dict[str, Any]


class AnyEmbeddings(RootModel[CohereEmbeddings | list[list[float]]]):
    """The vectors; those alone where `inputs` were texts."""

    model_config = ConfigDict(json_schema_extra={"examples": [_COHERE]})


class Embedding(types.Embedding):
    """The vector of one text."""

    embedding: (  # type: ignore[assignment]
        list[float]
        | Annotated[
            str, Field(description="Base64 of little-endian float32, where that was asked for.")
        ]
    )


class EmbeddingList(types.CreateEmbeddingResponse):
    """The vectors, in the order of the texts."""

    model_config = example(
        id="0f1e2d3c",
        object="list",
        model="multilingual-e5-small",
        data=[{"object": "embedding", "index": 0, "embedding": [0.031, -0.052, 0.047]}],
        usage={"prompt_tokens": 6, "total_tokens": 6},
    )

    id: str = Field(description="As Mistral's API has it.")
    data: list[Embedding]  # type: ignore[assignment]
