"""The models of a server, and the vectors of its embedding model, as OpenAI's API has them."""

from typing import Annotated, Any, Literal

from fastapi import Path
from openai import types
from pydantic import BaseModel, Field, field_validator, model_validator

from rag_app.server.errors import ApiError
from rag_app.server.schemas.requests import OneOrMany, RequestBody, Text, example, no_token_ids

ModelId = Annotated[str, Path(description="As the list of models has it.", examples=["rag:合同"])]
_MODEL = {"id": "rag:合同", "object": "model", "created": 1767225600, "owned_by": "rag-app"}


_INPUT_TYPES = {
    "search_query": "query",
    "search_document": "passage",
    "query": "query",
    "document": "passage",
    "passage": "passage",
}
"""What other APIs call questions and passages, and we do."""


class Model(types.Model):
    """A model that can be asked for."""

    model_config = example(**_MODEL)


class ModelList(BaseModel):
    """All models."""

    model_config = example(object="list", data=[_MODEL])

    object: Literal["list"] = "list"
    data: list[Model]


class EmbeddingsRequest(RequestBody):
    """``POST /v1/embeddings``."""

    model_config = example(input="今天天气真不错")

    model: str | None = None
    input: OneOrMany[Text, Annotated[list[Text], Field(min_length=1, max_length=2048)]]
    encoding_format: Literal["float", "base64"] | None = None
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
        """Take what Cohere's, Voyage's and Jina's API call a question or a passage for ours."""
        if not isinstance(values, dict):
            return values
        kind = str(values.get("input_type") or values.get("task")).removeprefix("retrieval.")
        return {**values, "input_type": _INPUT_TYPES[kind]} if kind in _INPUT_TYPES else values

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


class CohereEmbedRequest(RequestBody):
    """``POST /v2/embed``, as Cohere's API has it; its older ``/v1/embed`` is like it."""

    model_config = example(texts=["今天天气真不错"], input_type="search_document")

    model: str | None = None
    texts: list[Text] | None = Field(default=None, max_length=2048)
    inputs: list[CohereInput] | None = Field(default=None, max_length=2048)
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = (
        "search_document"
    )
    embedding_types: list[Literal["float", "base64"]] | None = None
    output_dimension: int | None = Field(default=None, ge=1)
    truncate: Literal["NONE", "END"] = "END"

    def to_embeddings(self) -> EmbeddingsRequest:
        """Return what is asked for in the form of OpenAI's API.

        Raises:
            ApiError: 400, there is no text.
        """
        parts = ["".join(part.text for part in item.content) for item in self.inputs or ()]
        if not (texts := [*(self.texts or ()), *parts]):
            raise ApiError(400, "there is nothing to embed; send texts", param="texts")
        return EmbeddingsRequest(
            model=self.model,
            input=texts,
            # Of E5: what is compared with its like begins as a question does.
            input_type="passage" if self.input_type == "search_document" else "query",
            dimensions=self.output_dimension,
            truncate=self.truncate == "END",
        )


class CohereEmbeddings(BaseModel):
    """The vectors, in the order of the texts, by the types that were asked for."""

    model_config = example(
        id="0f1e2d3c",
        response_type="embeddings_by_type",
        embeddings={"float": [[0.031, -0.052, 0.047]]},
        texts=["今天天气真不错"],
        meta={"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}},
    )

    id: str
    response_type: Literal["embeddings_by_type", "embeddings_floats"]
    embeddings: dict[str, list[list[float]] | list[str]] | list[list[float]]
    texts: list[str]
    meta: dict[str, Any]


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
        object="list",
        model="multilingual-e5-small",
        data=[{"object": "embedding", "index": 0, "embedding": [0.031, -0.052, 0.047]}],
        usage={"prompt_tokens": 6, "total_tokens": 6},
    )

    data: list[Embedding]  # type: ignore[assignment]


class TextDocument(RequestBody):
    """A text to be put in order, in one of the two forms that clients send."""

    text: Text


class RerankRequest(RequestBody):
    """``POST /v1/rerank``, as Jina's and Cohere's API have it."""

    model_config = example(query="李白在哪里去世？", documents=["李白病逝于当涂。", "茶叶分六类。"])

    model: str | None = None
    query: Text
    documents: Annotated[list[Text | TextDocument], Field(min_length=1, max_length=1000)]
    top_n: int | None = Field(
        default=None, ge=1, description="Best ones to return; all by default."
    )
    return_documents: bool = Field(
        default=True, description="As Jina and vLLM do by default; Cohere's clients pass them over."
    )

    @property
    def texts(self) -> list[str]:
        """The texts of all documents."""
        return [
            document if isinstance(document, str) else document.text for document in self.documents
        ]


class Ranked(BaseModel):
    """One text and how well it fits the question."""

    index: int = Field(description="Of the text, from 0.")
    relevance_score: float = Field(description="How well it answers the question, 0 to 1.")
    document: TextDocument | None = None


class Ranking(BaseModel):
    """The texts, best first."""

    model_config = example(
        model="multilingual-e5-small",
        results=[{"index": 0, "relevance_score": 0.97}, {"index": 1, "relevance_score": 0.02}],
        usage={"total_tokens": 31},
    )

    model: str
    results: list[Ranked]
    usage: dict[str, int]
