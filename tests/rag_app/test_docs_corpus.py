"""The example documents and the questions about them keep the shape that others rely on."""

from collections import Counter
from pathlib import Path
from unicodedata import normalize

import pytest

from rag_app.documents.loaders import FileLoader
from rag_app.documents.sources import find_sources
from rag_app.errors import DocumentError
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from tests.paths import CORPUS

QUESTIONS = read_questions(CORPUS / "questions.jsonl")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of each document by its file name."""
    found = {}
    for path in find_sources([str(CORPUS)]):
        (document,) = FileLoader(path).load()
        found[path.name] = document.page_content
    return found


def test_formats_and_sizes(texts: dict[str, str]) -> None:
    assert len(texts) >= 10
    assert {"doc.txt", "sample.txt"} <= texts.keys()
    assert {Path(name).suffix for name in texts} >= {".txt", ".md", ".pdf", ".docx", ".html"}
    sizes = sorted(len(text) for text in texts.values())
    assert sizes[0] >= 800
    assert sizes[-2] <= 4_000
    assert sizes[-1] >= 15_000


def test_one_file_is_gbk() -> None:
    (document,) = FileLoader(CORPUS / "park_rules_gbk.txt").load()
    raw = (CORPUS / "park_rules_gbk.txt").read_bytes()
    assert document.page_content.split() == raw.decode("gbk").split()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")


def test_there_are_enough_questions_of_each_kind(texts: dict[str, str]) -> None:
    answerable = [one for one in QUESTIONS if one.answers]
    assert len(answerable) >= 60
    assert len(QUESTIONS) - len(answerable) >= 12
    assert len({one.id for one in QUESTIONS}) == len({one.text for one in QUESTIONS})
    assert Counter(one.document for one in answerable).keys() == texts.keys()
    assert all(one.document is None for one in QUESTIONS if not one.answers)


@pytest.mark.parametrize("question", [one for one in QUESTIONS if one.answers], ids=lambda q: q.id)
def test_an_answer_stands_in_its_document(question: GoldQuestion, texts: dict[str, str]) -> None:
    def plain(text: str) -> str:
        return "".join(normalize("NFKC", text).replace("`", "").replace("*", "").split())

    assert question.document is not None
    assert any(plain(one) in plain(texts[question.document]) for one in question.answers)


@pytest.mark.parametrize(
    ("line", "said"), [("{", ":2 is not a question"), ('{"id": "q1"}', ":2 is not a question")]
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(DocumentError, match=said):
        read_questions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"none\.jsonl can't be read"):
        read_questions(tmp_path / "none.jsonl")
