"""Responses of the routes of the pages of documents."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field

from rag_app.server.schemas.requests import ListOf, example

PageNumber = Annotated[int, Path(description="1-based.", ge=1, le=1_000_000, examples=[2])]
Offset = Annotated[
    int | None,
    Query(
        description="As a passage has it; without `start`, the first page.",
        ge=0,
        le=2**40,
        examples=[1200],
    ),
]

_BOX = {"left": 0.12, "top": 0.31, "right": 0.88, "bottom": 0.33}
_PAGE = {"page": 2, "width": 1273, "height": 1800, "boxes": [_BOX]}


class PageBox(BaseModel):
    """Where something is on a page, in shares of its width and height from the upper left."""

    left: float
    top: float
    right: float
    bottom: float


class DocumentPage(BaseModel):
    """One page of a document."""

    page: int = Field(description="1-based; `GET …/pages/{page}.png` is its picture.")
    width: int = Field(description="Of its picture, in pixels.")
    height: int
    boxes: list[PageBox] = Field(
        description="Where the passage is on it; none where that is not known."
    )


class DocumentPages(ListOf[DocumentPage]):
    """The pages of a document on which a passage is."""

    model_config = example(object="list", total=12, data=[_PAGE])

    total: int = Field(description="How many pages the document has.")
