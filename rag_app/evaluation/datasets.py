"""Question sets with gold answers and gold documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rag_app.errors import DocumentError

Split = Literal["dev", "test"]


@dataclass(frozen=True)
class GoldQuestion:
    """One question; ``answers`` are all accepted wordings, none where there is no answer."""

    id: str
    text: str
    answers: tuple[str, ...]
    document: str | None
    """File name of the document that holds the answer; None where the corpus has none."""
    split: Split = "test"


def read_questions(path: Path) -> list[GoldQuestion]:
    """Return the questions of a JSON Lines file such as ``docs_corpus/questions.jsonl``.

    Raises:
        DocumentError: the file is missing, or a line isn't a question.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"{path} can't be read ({error.strerror})"
        raise DocumentError(msg) from error
    return [_question(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _question(path: Path, number: int, line: str) -> GoldQuestion:
    try:
        row: Mapping[str, Any] = json.loads(line)
        answers = tuple(row["answers"]) if row["answerable"] else ()
        return GoldQuestion(row["id"], row["question"], answers, row["document"], row["split"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}:{number} is not a question ({error!r})"
        raise DocumentError(msg) from error
