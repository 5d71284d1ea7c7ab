"""Requests and responses of the routes of conversations, and of what people thought of answers."""

import json
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, Field, field_validator

from rag_app.server.schemas.requests import ListOf, RequestBody, Text, example

ConversationId = Annotated[
    str, Path(description="The client chooses it.", max_length=100, examples=["5f0c61d2"])
]
TurnId = ConversationId
Wanted = Annotated[
    str,
    Query(
        description="Stands in a name, a question or an answer.", examples=["李白"], max_length=200
    ),
]


_MOST_BYTES = 2_000_000  # bytes of what is kept with a question and its answer
_DEEPEST = 30  # objects and lists in one another

_TURN = {"question": "李白是怎样去世的？", "text": "在当涂病逝[1]。", "details": {"answered": True}}
_CONVERSATION = {"id": "5f0c61d2", "name": "李白是怎样去世的？", "changed": 1.7e9, "turns": 1}
_RATING = {
    "question": "李白是怎样去世的？",
    "answer": "在当涂病逝。",
    "helpful": True,
    "document": "李白.txt",
}


class TurnBody(RequestBody):
    """``PUT …/conversations/{conversation}/turns/{turn}``."""

    model_config = example(**_TURN)

    question: Text
    text: Text = Field(default="", description="The answer, as far as it came.")
    details: dict[str, Any] = Field(default={}, description="Given back as it came.")

    @field_validator("details")
    @classmethod
    def _is_json(cls, details: dict[str, Any]) -> dict[str, Any]:
        _check_depth(details, _DEEPEST)
        try:
            size = len(json.dumps(details, ensure_ascii=False, allow_nan=False).encode())
        except UnicodeEncodeError as error:
            raise ValueError("it holds what is not text") from error
        if size > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES:,} bytes")
        return details


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise ValueError(f"it is nested deeper than {_DEEPEST}")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _check_depth(item, left - 1)


class TurnInfo(TurnBody):
    """A question and its answer."""

    id: str


class NameBody(RequestBody):
    """``PATCH …/conversations/{conversation}``."""

    model_config = example(name="关于当涂")

    name: str = Field(min_length=1, max_length=200)


class ConversationInfo(BaseModel):
    """A conversation, without its turns."""

    model_config = example(**_CONVERSATION)

    id: str
    name: str
    changed: float = Field(description="Seconds since the epoch.")
    turns: int = Field(description="How many there are.")


class ConversationList(ListOf[ConversationInfo]):
    """Conversations about an index, the latest first."""

    model_config = example(object="list", data=[_CONVERSATION])


class TurnList(ListOf[TurnInfo]):
    """The turns of a conversation, oldest first."""

    model_config = example(object="list", data=[{"id": "17e4a3", **_TURN}])


class Kept(BaseModel):
    """That something was kept or deleted."""

    model_config = example(id="5f0c61d2", kept=True)

    id: str
    kept: bool


class RatingBody(RequestBody):
    """``PUT …/ratings/{turn}``."""

    model_config = example(**_RATING)

    question: Text
    answer: Text = ""
    helpful: bool
    right_answer: Text = Field(
        default="", description="What it should have been; each line is an accepted wording."
    )
    answerable: bool = Field(default=True, description="Whether the documents hold an answer.")
    document: str | None = Field(default=None, max_length=4096)
    follow_up: bool = Field(
        default=False, description="Whether it can be understood only after the turns before it."
    )
