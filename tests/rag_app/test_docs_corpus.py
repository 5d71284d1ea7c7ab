"""The example documents and the questions about them keep the shape that others rely on."""

from collections import Counter
from pathlib import Path
from unicodedata import normalize

import pytest

from rag_app.documents.loaders import FileLoader
from rag_app.documents.sources import search_sources
from rag_app.errors import DocumentError
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from tests.paths import CORPUS

QUESTIONS = read_questions(CORPUS / "questions.jsonl")
SCAN = "石门渡口志略.pdf"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of each document by its file name; of the scan what stands beside its picture."""
    found = {}
    for path in search_sources([str(CORPUS)]).files:
        (document,) = FileLoader(path, ocr="never").load()
        found[path.name] = document.page_content
    return found


@pytest.fixture(scope="module")
def scan() -> str:
    """What is read in the scan."""
    pytest.importorskip("rapidocr")
    (document,) = FileLoader(CORPUS / SCAN).load()
    return document.page_content


def plain(text: str) -> str:
    return "".join(normalize("NFKC", text).replace("`", "").replace("*", "").split())


def stands(question: GoldQuestion, text: str) -> bool:
    """Whether an answer to a question stands in a text."""
    return any(plain(answer) in plain(text) for answer in question.answers)


def test_formats_and_sizes(texts: dict[str, str]) -> None:
    assert len(texts) >= 10
    assert {"doc.txt", "sample.txt"} <= texts.keys()
    suffixes = {".txt", ".md", ".pdf", ".docx", ".html", ".pptx", ".xlsx"}
    assert {Path(name).suffix for name in texts} >= suffixes
    sizes = sorted(len(text) for name, text in texts.items() if name != SCAN)
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


@pytest.mark.parametrize(
    "question", [one for one in QUESTIONS if one.answers and one.document != SCAN],
    ids=lambda question: question.id,
)  # fmt: skip
def test_an_answer_stands_in_its_document(question: GoldQuestion, texts: dict[str, str]) -> None:
    assert question.document is not None
    assert stands(question, texts[question.document])


def test_a_scan_that_is_not_read_is_no_failure() -> None:
    (document,) = FileLoader(CORPUS / SCAN, ocr="never").load()
    assert document.page_content
    assert "1 of 1 pages hold only pictures" in document.metadata["notes"][0]


@pytest.mark.slow
def test_answers_stand_in_the_scan(scan: str) -> None:
    asked = [question for question in QUESTIONS if question.document == SCAN]
    assert len(asked) >= 3
    assert [question.id for question in asked if not stands(question, scan)] == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("厂房租赁合同.docx", "第六条 租金按季度支付，承租方应当在每季度首月的10日以前付清。"),
        ("厂房租赁合同.docx", "（三）消防水池一座，容积120立方米。"),
        ("门店业绩.xlsx", "大区: 华东; 门店: 无锡滨湖店; 销售收入/预算: 260.0;"),
        ("门店业绩.xlsx", "销售收入/同比: -4.2%; 营业费用/预算: 39.0; 营业费用/实际: 41.3"),
        ("公共自行车总结.pptx", "指标: 车辆完好率; 2021年: 91.2%; 2022年: 94.6%; 2023年: 97.3%"),
        ("公共自行车总结.pptx", "2023年补贴下降，是因为车身广告第一次有了收入，全年216万元。"),
    ],
)  # fmt: skip
def test_numbering_heads_and_notes_are_read(name: str, line: str, texts: dict[str, str]) -> None:
    assert line in texts[name]


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
