"""The models of a server, and the vectors of its embedding model, as OpenAI's API has them."""

from typing import Annotated, Literal

from fastapi import Path
from openai import types
from pydantic import BaseModel, Field, field_validator

from rag_app.server.schemas.completions import OneOrMany, no_token_ids
from rag_app.server.schemas.indexes import RequestBody, Text, example

ModelId = Annotated[str, Path(description="As the list of models has it.", examples=["rag:合同"])]
_MODEL = {"id": "rag:合同", "object": "model", "created": 1767225600, "owned_by": "rag-app"}


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
    user: str | None = None

    _no_token_ids = field_validator("input", mode="before")(no_token_ids)

    @property
    def texts(self) -> list[str]:
        """The texts, one or several."""
        return [self.input] if isinstance(self.input, str) else self.input


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
