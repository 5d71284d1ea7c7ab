from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.documents import Document

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.documents.structure import Structure
from tests.rag_app.documents.making import BIOGRAPHY, POLICY

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PARTS = st.sampled_from(
    [
        *(
            "李白",
            "天生我材必有用",
            "。",
            "！”",
            "？",
            "……",
            "，",
            "、",
            "：“",
            "；",
            "（",
            "）",
            " ",
        ),
        *("\n", "\n\n", "　　", "# 标题\n", "第三章 总则\n", "```\n", "1,234.5", "2024年", "v3.11"),
        *("word", "don't", "e\u0301", FAMILY, "🇨🇳", ".", "? ", "\t", "\u200b", "0" * 30, "长" * 40),
    ]
)
TEXTS = st.one_of(st.lists(PARTS, max_size=80).map("".join), st.text(max_size=200))
SIZES = st.integers(1, 120).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.slow
@given(TEXTS, SIZES)
@example("甲" * 30 + " " * 100 + "乙" * 30, (20, 19))
@example("\n x" * 50, (2, 1))
def test_nothing_is_lost_and_sizes_are_kept(text: str, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    splitter = ChineseTextSplitter(size, overlap)
    spans = splitter.spans(text)
    covered = [False] * len(text)
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        assert end - start <= size
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
    assert all(seen or char.isspace() for seen, char in zip(covered, text, strict=True))
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start < next_start
        assert end < next_end
        assert end - next_start <= overlap
    assert spans == splitter.spans(text)
    assert splitter.split_text(text) == [text[start:end] for start, end in spans]


@given(TEXTS, st.integers(1, 120))
def test_without_overlap_the_chunks_are_the_text(text: str, size: int) -> None:
    assert squeezed("".join(ChineseTextSplitter(size, 0).split_text(text))) == squeezed(text)


@given(TEXTS, SIZES)
def test_chunks_of_chunks_stand_where_they_are_in_the_text(
    text: str, sizes: tuple[int, int]
) -> None:
    parents = ChineseTextSplitter(40, 10).split_documents([Document(text)])
    for chunk in ChineseTextSplitter(*sizes).split_documents(parents):
        start, end = chunk.metadata["start"], chunk.metadata["end"]
        assert text[start:end] == chunk.page_content


@given(TEXTS, SIZES)
def test_documents_say_where_their_chunks_are(text: str, sizes: tuple[int, int]) -> None:
    splitter = ChineseTextSplitter(*sizes)
    whole = Document(page_content=text, metadata={"source": "甲.txt", "page_starts": [0, 10, 20]})
    chunks = splitter.split_documents([whole])
    assert [(c.metadata["start"], c.metadata["end"]) for c in chunks] == splitter.spans(text)
    for chunk in chunks:
        start, end = chunk.metadata["start"], chunk.metadata["end"]
        assert chunk.page_content == text[start:end]
        assert chunk.metadata["source"] == "甲.txt"
        assert chunk.metadata["page"] == min(start // 10, 2) + 1
        assert "page_starts" not in chunk.metadata
        headings = Structure(text).headings
        above = [heading.title for heading in headings if heading.start <= start]
        path = chunk.metadata.get("headings", [])
        assert chunk.metadata.get("heading") == (path[-1] if path else None)
        if all(not heading.start <= start < heading.end for heading in headings):
            assert path[-1:] == above[-1:]


@pytest.mark.parametrize(
    ("text", "size", "chunks"),
    [
        ("甲乙丙丁戊。己庚辛壬癸。子丑", 10, ["甲乙丙丁戊。", "己庚辛壬癸。子丑"]),
        ("他说：“天生我材！”然后走了很远", 10, ["他说：“天生我材！”", "然后走了很远"]),
        ("一二三四五六……七八九十", 9, ["一二三四五六……", "七八九十"]),
        ("（一二三四五。）六七八九十", 9, ["（一二三四五。）", "六七八九十"]),
        ("一二三四五，六七八九十", 8, ["一二三四五，", "六七八九十"]),
        ("一二三\n\n四五六七。八九", 8, ["一二三", "四五六七。八九"]),
        ("金额是人民币1,234,567.89元整", 12, ["金额是人民币", "1,234,567.89", "元整"]),
        ("会议定于本次会议2024年12月", 10, ["会议定于本次会议", "2024年12月"]),
        ("比率是百分之3.14159265", 10, ["比率是百分之", "3.14159265"]),
        ("我们使用了TensorFlow框架", 12, ["我们使用了", "TensorFlow框架"]),
        ("see naïve don't stop", 12, ["see naïve", "don't stop"]),
        ("It is version 3.5 now. Then it ended", 24, ["It is version 3.5 now.", "Then it ended"]),
        ("全体人员都要来" + FAMILY + "哦", 10, ["全体人员都要来", FAMILY + "哦"]),
        ("一二三四五六七e\u0301e\u0301", 8, ["一二三四五六七", "e\u0301e\u0301"]),
        ("共有三百二十五万六千人参加", 8, ["共有", "三百二十五万六千", "人参加"]),
        ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
        (
            "开头的话\n# 一\n正文一二三\n# 二\n正文",
            12,
            ["开头的话", "# 一\n正文一二三", "# 二\n正文"],
        ),
        ("", 10, []),
        (" \n\t\n　", 10, []),
    ],
)
def test_where_text_is_cut(text: str, size: int, chunks: list[str]) -> None:
    assert ChineseTextSplitter(size, 0).split_text(text) == chunks


def test_overlap_is_made_of_whole_sentences() -> None:
    text = BIOGRAPHY + POLICY + BIOGRAPHY
    spans = ChineseTextSplitter(120, 60).spans(text)
    assert len(spans) > 3
    for (_, end), (start, _) in pairwise(spans):
        assert text[start - 1] in "。；，"
        assert start <= end
    assert any(start < end for (_, end), (start, _) in pairwise(spans))


def test_no_overlap_over_a_heading() -> None:
    text = f"# 甲\n\n{BIOGRAPHY}\n\n## 乙 `x` ##\n\n{POLICY}"
    chunks = ChineseTextSplitter(200, 80).split_documents([Document(page_content=text)])
    assert [chunk.metadata["heading"] for chunk in chunks] == ["甲", "乙 x"]
    assert chunks[1].page_content == f"## 乙 `x` ##\n\n{POLICY}"
    assert "page" not in chunks[0].metadata


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# 一\n正文\n### 二 ###\n", ["一", "二"]),
        ("#不是标题\n#\n# \n", []),
        ("```\n# 注释\n```\n# 标题\n~~~\n# x\n~~~", ["标题"]),
        ("第三章 总则\n内容", ["第三章 总则"]),
        ("　　第十二回　宋江怒杀阎婆惜\n", ["第十二回　宋江怒杀阎婆惜"]),
        ("第一章\n", ["第一章"]),
        ("第一节课我们学习了唐诗，很有意思。\n", []),
        ("第十二条 员工应当遵守纪律\n", []),
        ("正文里的第三章 不算\n", []),
    ],
)
def test_headings(text: str, found: list[str]) -> None:
    assert [heading.title for heading in Structure(text).headings] == found


@pytest.mark.parametrize(
    "text",
    [
        "李白字太白。" * 10_000,
        *(
            char * 60_000
            for char in ("中", "a", "1", " ", "\n", "，", "。", "\u0301", "🇨", "#", "`")
        ),
        *(pair * 30_000 for pair in ("a-", "1,", "。”", "\n ", ". ", "# a\n", "```\n", "第一章")),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_monotonous_text_is_split(text: str) -> None:
    spans = ChineseTextSplitter(600, 100).spans(text)
    assert len(spans) <= 2 + 4 * len(text) // 500
    assert spans == [] or spans[-1][1] == len(text.rstrip())


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (10, 10), (10, 11), (10, -1)])
def test_impossible_sizes(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="chunk"):
        ChineseTextSplitter(size, overlap)


def test_langchain_interface() -> None:
    splitter = ChineseTextSplitter(chunk_size=50, chunk_overlap=10)
    document = Document(page_content=POLICY, metadata={"source": "s"})
    split = splitter.split_documents([document])
    assert list(splitter.transform_documents([document])) == split
    assert splitter.create_documents([POLICY], [{"source": "s"}]) == split
