import pytest
from langchain_core.documents import Document
from langchain_text_splitters import RecursiveCharacterTextSplitter

from rag_app.documents.splitters import ChineseTextSplitter, split_with_offsets
from rag_app.documents.structure import Structure

FILLER = "运行中应当注意观察压力表与温度表的读数，发现异常立即停机检查。" * 10
MANUAL = "".join(
    f"# {name}空压机\n\n## 运行\n\n{FILLER}\n\n## 维护\n\n{FILLER}\n\n"
    f"润滑油每{hours}小时更换一次。\n\n"
    for name, hours in (("一号", 400), ("二号", 650), ("三号", 900))
)
HEAD = "| 站点 | 首班 | 票价 |"
TABLE = f"# 线路表\n\n{HEAD}\n|---|:-:|--:|\n" + "".join(
    f"| 站{number:02d} | 06:{number:02d} | {number % 4} |\n" for number in range(60)
)


def chunks_of(text: str, size: int = 600, overlap: int = 100) -> list[Document]:
    return ChineseTextSplitter(size, overlap).split_documents([Document(text)])


@pytest.mark.parametrize("size", [120, 300, 600, 1000])
def test_a_heading_without_text_goes_with_what_follows(size: int) -> None:
    titles = {heading.title for heading in Structure(MANUAL).headings}
    chunks = chunks_of(MANUAL, size, size // 6)
    for chunk in chunks:
        assert chunk.page_content.splitlines()[-1].strip("# ") not in titles
    (oil,) = (chunk for chunk in chunks if "650小时" in chunk.page_content)
    assert oil.metadata["headings"] == ["二号空压机", "维护"]
    assert oil.metadata["heading"] == "维护"
    starts = [chunk for chunk in chunks if chunk.page_content.startswith("# 二号空压机")]
    for chunk in starts:
        assert chunk.metadata["headings"] == ["二号空压机", "运行"]
    assert starts or size > 700  # where passages of that size end there


@pytest.mark.parametrize("size", [100, 200, 600])
def test_rows_of_a_table_carry_its_head(size: int) -> None:
    chunks = chunks_of(TABLE, size, size // 6)
    assert len(chunks) > 1
    for chunk in chunks:
        inside = HEAD not in chunk.page_content
        assert chunk.metadata.get("table_head") == ("站点 | 首班 | 票价" if inside else None)
        assert not chunk.page_content.endswith(("|---|:-:|--:|", HEAD))
        assert chunk.page_content == TABLE[chunk.metadata["start"] : chunk.metadata["end"]]


def test_what_follows_a_table_has_no_head() -> None:
    chunks = chunks_of(f"{TABLE}\n{FILLER * 3}")
    assert "table_head" not in chunks[-1].metadata
    assert chunks[-1].metadata["headings"] == ["线路表"]


def test_a_heading_ends_those_of_its_level_and_below() -> None:
    text = "# 甲\n文\n## 乙\n文\n### 丙\n文\n## 丁\n文\n# 戊\n文"
    structure = Structure(text)
    paths = [structure.path(heading.start) for heading in structure.headings]
    assert paths == [["甲"], ["甲", "乙"], ["甲", "乙", "丙"], ["甲", "丁"], ["戊"]]


def test_chapters_stand_above_sections() -> None:
    text = "# 员工手册\n第一章 总则\n文\n第二节 请假\n文\n第二章 薪酬\n文"
    structure = Structure(text)
    paths = [structure.path(heading.end) for heading in structure.headings]
    assert paths[1:] == [
        ["员工手册", "第一章 总则"],
        ["员工手册", "第一章 总则", "第二节 请假"],
        ["员工手册", "第二章 薪酬"],
    ]


def test_a_first_line_alone_is_the_title_of_all_chapters() -> None:
    text = "临江市公园管理办法\n\n（2023年公布）\n\n第一章 总则\n\n文\n\n第二章 管理\n文"
    structure = Structure(text)
    paths = [structure.path(heading.end) for heading in structure.headings]
    title = "临江市公园管理办法"
    assert paths == [[title], [title, "第一章 总则"], [title, "第二章 管理"]]


@pytest.mark.parametrize(
    "text",
    [
        "尊敬的客户：\n\n您好。",
        "这是一个句子。\n\n正文",
        "第一行\n第二行\n\n正文",
        "目　录\n\n第一章 总则",
        "一、概述\n\n正文",
        "import os\n\nprint()",
        "2024-03-01\n\n正文",
        "ICS 93\n\n# 规范\n\n正文",
        "## 概述\n\n正文",
        "本页介绍插入排序．\n\n正文",
        "只有一行",
    ],
)
def test_another_first_line_is_no_title(text: str) -> None:
    assert not any(heading.level < 10 for heading in Structure(text).headings)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("水泵手册\n========\n\n正文\n\n保修\n---\n正文", [("水泵手册", 10), ("保修", 20)]),
        ("1. 概述\n======\n正文", [("1. 概述", 10)]),
        (
            "手册\n===\n\n第一章 规格\n---\n\n### 电气\n正文",
            [("手册", 10), ("第一章 规格", 20), ("电气", 30)],
        ),
        ("# 概述\n---\n正文", [("概述", 10)]),
        ("# 一\n二\n--\n", [("一", 10)]),  # a signature's mark
        ("正文一行\n正文又一行\n-----\n", []),
        ("这是一个句子。\n-----\n", []),
        ("- 条目\n---\n", []),
        ("---\ntitle: 甲\ndate: 乙\n---\n正文", []),
        ("姓名  年龄\n--------\n张三  20", []),
        ("```\n标题\n===\n# 注释\n~~~\n```\n# 后来", [("后来", 10)]),
        ("~~~~\n# 甲\n~~~\n# 乙\n~~~~\n# 丙", [("丙", 10)]),
        ("```代码``` 在行内\n# 甲", [("甲", 10)]),
    ],
)
def test_underlined_headings_and_code(text: str, found: list[tuple[str, int]]) -> None:
    assert [(heading.title, heading.level) for heading in Structure(text).headings] == found


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("a | b\n--- | ---\n1 | 2\n后文", ["a | b"]),
        (r"| 甲\|乙 | 丙 |" + "\n|-|-|\n| 1 | 2 |", [r"甲\|乙 | 丙"]),
        ("```\n| a | b |\n|---|---|\n```", []),
        ("| a | b |\n| c | d |", []),
        ("正文\n|---|---|", []),
    ],
)
def test_tables(text: str, heads: list[str]) -> None:
    assert [table.head for table in Structure(text).tables] == heads


def test_chunks_of_other_splitters_know_their_headings_too() -> None:
    splitter = RecursiveCharacterTextSplitter(chunk_size=200, chunk_overlap=0)
    chunks = split_with_offsets(splitter, Document(MANUAL))
    (oil,) = (chunk for chunk in chunks if "650小时" in chunk.page_content)
    assert oil.metadata["headings"] == ["二号空压机", "维护"]
