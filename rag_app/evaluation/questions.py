"""Questions with gold answers and gold documents, and the passages that they are about."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import quote

from rag_app.evaluation.metrics import contains

_LONGEST_NAME = 100  # characters of a passage's file name; longer ids are hashed


@dataclass(frozen=True)
class GoldQuestion:
    """One question; ``answers`` are all accepted wordings, none where there is no answer."""

    id: str
    text: str
    answers: tuple[str, ...]
    document: str | None
    """File name of the document that holds the answer; None where the corpus has none."""
    split: str = "test"
    grades: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Where several documents are relevant, by file name: how relevant each is, above 0."""
    parts: tuple[tuple[str, ...], ...] = ()
    """Where a right answer has several parts: the accepted wordings of each."""
    summary: str = ""
    """A summary of ``document``; where there is one, that is asked for."""
    has_answer: bool = False
    """Whether the documents hold an answer although neither it nor its document is known."""

    @property
    def relevant(self) -> Mapping[str, int]:
        """The grades of the documents that hold the answer, by file name."""
        return self.grades or ({self.document: 1} if self.document else {})

    @property
    def answerable(self) -> bool:
        """Whether the documents hold an answer, known or not."""
        return bool(self.answers or self.relevant or self.has_answer)

    def is_in(self, text: str) -> bool:
        """Return whether ``text`` holds the gold answer, with all its parts."""
        if self.parts:
            return all(contains(text, wordings) for wordings in self.parts)
        return bool(contains(text, self.answers))


@dataclass(frozen=True)
class GoldPassage:
    """A passage that a question set carries; it is indexed as a document of its own."""

    id: str
    text: str

    @property
    def file_name(self) -> str:
        """What its file is called, whatever characters the id has."""
        name = quote(self.id, safe=" ()[],;=+@!'~&#$")
        if len(name.encode()) > _LONGEST_NAME or name != self.id or name.startswith((".", " ")):
            kept = "".join(char for char in self.id if char.isalnum() or char in "_- ")[:20]
            name = f"{kept.strip()}-{hashlib.sha256(self.id.encode()).hexdigest()[:12]}"
        return f"{name}.txt"


@dataclass(frozen=True)
class Dataset:
    """A question set."""

    name: str
    kind: str
    """The format, for people."""
    questions: tuple[GoldQuestion, ...]
    passages: tuple[GoldPassage, ...] = ()
    """None where it is asked over an index of the user's."""
    notes: tuple[str, ...] = ()
    """What is odd about it."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of questions and passages, hexadecimal."""
        questions = [asdict(question) for question in self.questions]
        for question in questions:  # as before there was this field
            if not question["has_answer"]:
                del question["has_answer"]
        content = [questions, [asdict(passage) for passage in self.passages], self.kind]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def drawn(questions: Sequence[GoldQuestion], limit: int | None, seed: int) -> list[GoldQuestion]:
    """Return ``limit`` questions drawn at random, in the order of the set.

    Whole documents are drawn, so that a model that keeps what it read answers the next question
    about the same document sooner. A larger limit adds to the questions of a smaller one.
    """
    groups: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        groups.setdefault(group_of(question), []).append(place)
    names = sorted(groups)
    random.Random(seed).shuffle(names)  # noqa: S311 - a sample, no secret
    places = [place for name in names for place in groups[name]]
    return [questions[place] for place in sorted(places[:limit])]


def group_of(question: GoldQuestion) -> str:
    """Return what questions about the same documents have in common."""
    return "\n".join(sorted(question.relevant)) or f"\0{question.id}"
