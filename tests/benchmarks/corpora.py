"""Question sets and indexes that several benchmarks use."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from langchain_core.documents import Document

from rag_app import RagApp
from rag_app.evaluation.datasets import GoldQuestion


@dataclass(frozen=True)
class GoldPassage:
    """One passage of a reading comprehension set, with its questions."""

    id: str
    text: str
    questions: tuple[GoldQuestion, ...]


def read_squad(path: Path) -> Iterator[GoldPassage]:
    """Yield the passages of a file in SQuAD's format, which CMRC 2018 uses."""
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    for article in data:
        for paragraph in article["paragraphs"]:
            name = str(paragraph.get("id", article.get("id", article.get("title"))))
            questions = tuple(
                GoldQuestion(
                    id=str(item["id"]),
                    text=item["question"],
                    answers=tuple(answer["text"] for answer in item["answers"]),
                    document=name,
                )
                for item in paragraph["qas"]
            )
            yield GoldPassage(name, paragraph["context"], questions)


def cmrc_app(folder: Path, passages: list[GoldPassage]) -> RagApp:
    """Index each passage as one document with the default chunking; its file is named by its id."""
    texts = folder / "texts"
    texts.mkdir()
    for passage in passages:
        (texts / f"{passage.id}.txt").write_text(passage.text, encoding="utf-8")
    app = RagApp(index=str(folder / "index"))
    app.index([texts])
    return app


def document_name(passage: Document) -> str:
    """The file name of a passage's document; of a CMRC passage its id."""
    path = Path(passage.metadata["source"])
    return path.stem if path.stem.startswith("TRIAL") else path.name
