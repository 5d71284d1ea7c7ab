"""Rankings of texts, in the forms in which clients of several APIs ask for them and read them."""

import math
from typing import Annotated, Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from rag_app.server.schemas.models import TextDocument
from rag_app.server.schemas.requests import RequestBody, example

_LEAST = 1e-6
"""Relevance taken for 0, and its distance from 1 for 1, so that their logits are finite."""
_META = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
_RANKING: dict[str, Any] = {
    "id": "0f1e2d3c",
    "model": "multilingual-e5-small",
    "results": [{"index": 0, "relevance_score": 0.97}, {"index": 1, "relevance_score": 0.02}],
    "usage": {"total_tokens": 31},
    "meta": _META,
}


class RerankRequest(RequestBody):
    """``POST /v1/rerank``, as Jina's and Cohere's API have it, and Voyage's.

    Text Embeddings Inference calls the documents `texts`, and answers with a list; NVIDIA's API
    calls them `passages`.
    """

    model_config = example(query="李白在哪里去世？", documents=["李白病逝于当涂。", "茶叶分六类。"])

    model: str | None = None
    query: TextDocument
    documents: Annotated[list[TextDocument], Field(min_length=1, max_length=1000)]
    top_n: int | None = Field(
        default=None, ge=1, description="Best ones to return; all by default."
    )
    return_documents: bool = Field(
        default=True, description="As Jina and vLLM do by default; Cohere's clients pass them over."
    )
    rank_fields: list[str] | None = Field(
        default=None, description="What is read of documents that are objects, as Cohere has it."
    )
    texts: list[Any] | None = Field(default=None, description="In place of `documents`.")
    passages: list[Any] | None = Field(default=None, description="In place of `documents`.")
    return_text: bool = Field(default=False, description="Beside `texts`.")
    top_k: int | None = Field(default=None, ge=1, description="Voyage's `top_n`.")
    wants_data: bool = Field(
        default=False,
        description="Whether `data` repeats the results as Voyage's clients read them; so where "
        "`top_k` or `truncation` is sent.",
    )

    @model_validator(mode="before")
    @classmethod
    def _names_of_other_apis(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if {"top_k", "truncation"} & values.keys():
            values = {"wants_data": True, **values}
        if values.get("documents") is None:
            values = {**values, "documents": values.get("texts") or values.get("passages")}
        fields, documents = values.get("rank_fields"), values["documents"]
        named = isinstance(fields, list) and all(isinstance(name, str) for name in fields)
        if fields and named and isinstance(documents, list):
            values = {**values, "documents": [_fields_of(one, fields) for one in documents]}
        return values


def _fields_of(document: Any, names: list[str]) -> Any:
    """Return the text that some fields of a document hold; of a text all of it.

    Raises:
        ValueError: it has none of them.
    """
    if not isinstance(document, dict):
        return document
    found = [str(document[name]) for name in names if name in document]
    if not found:
        raise ValueError(f"a document has none of rank_fields: {', '.join(names)}")
    return "\n".join(found)


class RankedDocument(BaseModel):
    """A text that was ranked."""

    text: str


class Ranked(BaseModel):
    """One text and how well it fits the question."""

    index: int = Field(description="Of the text, from 0.")
    relevance_score: float = Field(description="How well it answers the question, 0 to 1.")
    document: RankedDocument | None = None


class RankedText(BaseModel):
    """One text, as Text Embeddings Inference has it."""

    index: int
    score: float
    text: str | None = None


class RankedDatum(BaseModel):
    """One text, as Voyage's API has it."""

    index: int
    relevance_score: float
    document: str | None = None


class RankedPassage(BaseModel):
    """One text, as NVIDIA's API has it."""

    index: int
    logit: float


class Ranking(BaseModel):
    """The texts, best first."""

    id: str = Field(default_factory=lambda: uuid4().hex)
    model: str
    results: list[Ranked]
    usage: dict[str, int]
    meta: dict[str, Any] = Field(default=_META, description="As Cohere's API has it.")
    data: list[RankedDatum] | None = None
    rankings: list[RankedPassage] | None = Field(
        default=None, description="The results as NVIDIA's clients read them, of `passages`."
    )


class AnyRanking(RootModel[Ranking | list[RankedText]]):
    """The texts, best first; as a list where they came as `texts`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RANKING]})


def ranking(
    request: RerankRequest, model: str, scores: list[float], tokens: int
) -> Ranking | list[RankedText]:
    """Return what answers a request.

    Args:
        request: What was asked for.
        model: What ranked the texts.
        scores: Of all texts, 0 to 1.
        tokens: So many were read.
    """
    texts = request.documents
    best = sorted(range(len(texts)), key=lambda index: -scores[index])
    best = best[: request.top_n or request.top_k]
    if request.texts is not None:
        found = dict(enumerate(texts)) if request.return_text else {}
        return [RankedText(index=i, score=scores[i], text=found.get(i)) for i in best]
    documents = [RankedDocument(text=text) if request.return_documents else None for text in texts]
    results = [Ranked(index=i, relevance_score=scores[i], document=documents[i]) for i in best]
    answer = Ranking(model=model, results=results, usage={"total_tokens": tokens})
    if request.passages is not None:
        answer.rankings = [RankedPassage(index=i, logit=_logit(scores[i])) for i in best]
    if request.wants_data:
        answer.data = [
            RankedDatum(
                index=one.index,
                relevance_score=one.relevance_score,
                document=one.document.text if one.document else None,
            )
            for one in results
        ]
    return answer


def _logit(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))
