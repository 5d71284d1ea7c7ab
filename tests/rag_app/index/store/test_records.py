"""A document's text, put together again from its passages, and what these stand under."""

import pytest
from hypothesis import given

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.index.store.records import (
    ChunkRecord,
    breadcrumb,
    document_name,
    joined,
    telling_folders,
)
from tests.rag_app.documents.test_splitters import SIZES, TEXTS, squeezed


@given(TEXTS, SIZES)
def test_every_passage_stands_at_its_offsets(text: str, sizes: tuple[int, int]) -> None:
    spans = ChineseTextSplitter(*sizes).spans(text)
    whole = joined(ChunkRecord(text[start:end], start, end) for start, end in spans)
    for start, end in spans:
        assert whole[start:end] == text[start:end]
    assert squeezed(whole) == squeezed(text)


def test_passages_may_overlap_and_hold_each_other() -> None:
    text = "　甲乙丙丁 戊己"
    spans = [(1, 4), (2, 5), (3, 4), (6, 8)]
    whole = joined(ChunkRecord(text[start:end], start, end) for start, end in spans)
    assert whole == "\n甲乙丙丁\n戊己"


def test_no_passage_is_no_text() -> None:
    assert joined([]) == ""


@pytest.mark.parametrize(
    ("source", "searched", "embedded"),
    [
        ("/资料/水泵手册.md", "水泵手册 › 保修", "水泵手册 › 保修"),
        ("PUMP-200.md", "PUMP-200 › 保修", "保修"),
        ("IMG_2041.png", "保修", "保修"),
    ],
)
def test_a_passage_is_searched_below_what_it_stands_under(source, searched, embedded):
    extra = {"headings": ["保修"], "table_head": "型号 | 年限"}
    chunk = ChunkRecord("A1 | 2", 10, 16, heading="保修", extra=extra, source=source)
    below = "\n型号 | 年限\nA1 | 2"
    assert (chunk.searched_text, chunk.embedded_text) == (searched + below, embedded + below)


def test_a_passage_is_searched_by_its_folders():
    extra = {"folders": ["2023年度", "docs", "市场部"]}
    chunk = ChunkRecord("电话：8110", 0, 7, extra=extra, source="/home/a/2023年度/联系方式.txt")
    assert chunk.searched_text == "2023年度 › 市场部 › 联系方式\n电话：8110"
    assert chunk.embedded_text == chunk.searched_text


def test_headings_that_begin_a_passage_are_not_repeated():
    text = "# 二号空压机\n\n## 运行\n\n正文"
    chunk = ChunkRecord(text, 0, len(text), extra={"headings": ["二号空压机", "运行"]})
    assert chunk.searched_text == text


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/资料/AB007产品白皮书.txt", "AB007产品白皮书"),
        ("合同.v2.docx", "合同.v2"),
        ("backup.tar.gz", "backup"),
        ("GB-50016.pdf", "GB-50016"),
        ("20231105.txt", ""),
        ("9f86d081884c7d65.pdf", ""),
        ("IMG_2041.png", ""),
        ("扫描件 (3).pdf", ""),
        ("新建 文本文档 (2).txt", ""),
        ("任务 0f1e2d3c4b5a69788796a5b4c3d2e1f0_all.csv", "任务"),
        ("0f1e2d3c4b5a69788796a5b4c3d2e1f0.md", ""),
        ("-", ""),
        ("added texts", ""),
    ],
)
def test_names_that_tell_something(source: str, name: str) -> None:
    assert document_name(source) == name


def test_a_folder_of_an_export_is_named_by_its_title() -> None:
    assert telling_folders(["产品 0f1e2d3c4b5a69788796a5b4c3d2e1f0"]) == ["产品"]


def test_a_breadcrumb_is_no_longer_than_a_model_reads() -> None:
    assert len(breadcrumb("甲", ["长" * 500] * 3, "列 | " * 500)) < 700
    assert breadcrumb("") == ""
    folders = ["长" * 101, "乙" * 60, "丙" * 40]
    assert breadcrumb("甲", folders=folders) == f"{folders[1]} › {folders[2]} › 甲"
