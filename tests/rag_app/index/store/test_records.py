"""A document's text, put together again from its passages."""

import pytest
from hypothesis import given

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.index.store.records import ChunkRecord, joined
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


def test_headings_that_begin_a_passage_are_not_repeated():
    text = "# 二号空压机\n\n## 运行\n\n正文"
    chunk = ChunkRecord(text, 0, len(text), extra={"headings": ["二号空压机", "运行"]})
    assert chunk.searched_text == text
