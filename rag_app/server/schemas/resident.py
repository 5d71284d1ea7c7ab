"""What commands send to the resident engine."""

from typing import Any

from pydantic import BaseModel


class Greeting(BaseModel):
    """A command that looks for its engine."""

    identity: str


class Work(Greeting):
    """What all work has in common."""

    keep_alive: float
    options: dict[str, Any]
    """By their names in settings."""


class QuestionWork(Work):
    """A question about an index, and what was said before."""

    question: str
    history: list[tuple[str, str]]
    index: str
    folder: str
    line: str = ""
    """What the command line is known by without the question."""


class Lines(BaseModel):
    """A command line that nobody has read yet."""

    lines: list[tuple[str, str]]
    """An argument that may be the question, after what the line is known by without it."""


class Passages(Work):
    """Passages of an index that are to be read ahead."""

    limit: int
    index: str
    folder: str


class File(Work):
    """A file to be summarized."""

    source: str
    encoding: str | None
