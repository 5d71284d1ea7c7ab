"""Indexes that several benchmarks make."""

from pathlib import Path

from langchain_core.documents import Document

from rag_app import RagApp
from rag_app.evaluation.datasets import GoldPassage


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
