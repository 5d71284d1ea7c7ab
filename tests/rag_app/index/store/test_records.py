"""A document's text, put together again from its passages."""

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
