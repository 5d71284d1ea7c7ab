import base64
import io
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from langchain_core.documents import Document

from rag_app.documents.loaders import FileLoader
from rag_app.documents.structure import Structure
from rag_app.errors import DocumentError
from tests.paths import ROOT
from tests.rag_app.documents.making import (
    BIOGRAPHY,
    POLICY,
    docx,
    docx_table,
    epub,
    pdf,
    pptx,
    xlsx,
    zipped,
)


def load(name: str, data: bytes, **options: object) -> Document:
    path = Path(name)
    path.write_bytes(data)
    (document,) = FileLoader(path, **options).load()  # type: ignore[arg-type]
    assert document.metadata["source"] == str(path.resolve())
    return document


def lines(page: str, width: int = 24) -> list[str]:
    return [page[at : at + width] for at in range(0, len(page), width)]


@pytest.mark.parametrize("suffix", ["txt", "text", "md", "markdown", "TXT", "log", "py", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_text(suffix: str, encoding: str) -> None:
    text = f"# 生平\n\n{BIOGRAPHY}\n"
    document = load(f"李白 1.{suffix}", text.encode(encoding))
    assert document.page_content == text
    assert document.metadata["encoding"] == encoding
    assert document.metadata["loader"] == ("markdown" if suffix in {"md", "markdown"} else "text")
    assert document.metadata["page_starts"] == []


def test_line_ends_and_control_characters() -> None:
    data = "一\r\n二\r三\u2028四\x0c五\x00\x08\x1b[31m六\u0085七\ufeff".encode()
    assert load("a.txt", data).page_content == "一\n二\n三\n四\n五六\n七"


def test_text_that_begins_like_another_kind_of_file() -> None:
    assert load("a.txt", "GIF89a 是一种图片格式".encode()).page_content == "GIF89a 是一种图片格式"
    assert load("b.md", "见 %PDF-1.7 标准".encode()).metadata["loader"] == "markdown"


def test_markdown_keeps_its_headings() -> None:
    text = "# 甲\n\n正文 **粗** `码`\n\n- 项\n"
    assert load("a.md", text.encode()).page_content == text


PAGE = """<!DOCTYPE html><html><head><meta charset="{}"><title>公司制度</title>
<style>p {{}}</style></head>
<body><nav><a href="/">首页</a></nav><!-- 注释 --><h2>休假</h2><p>员工每年享有<a href="http://x/">年假</a>
<b>十五</b>天，a_b*c。</p><ul><li>病假</li></ul><script>alert("x")</script><div hidden>藏</div>
<table><tr><th>级别</th><th>天数</th></tr><tr><td>经理</td><td>20</td></tr></table>
<img src="x.png" alt="图"><footer>版权所有</footer></body></html>"""


@pytest.mark.parametrize(
    ("declared", "encoding", "found"),
    [("utf-8", "utf-8", "utf-8"), ("gb2312", "gbk", "gb18030"), ("utf-8", "gb18030", "gbk")],
)
def test_html(declared: str, encoding: str, found: str) -> None:
    document = load("a.htm", PAGE.format(declared).encode(encoding))
    assert document.page_content == (
        "# 公司制度\n\n## 休假\n\n员工每年享有年假\n**十五**天，a_b*c。\n\n- 病假\n\n"
        "级别: 经理; 天数: 20"
    )
    assert (document.metadata["loader"], document.metadata["encoding"]) == ("html", found)


def test_html_main_part_and_title() -> None:
    body = f"<p>侧栏</p><main><h1>标题</h1><p>{BIOGRAPHY}</p></main><p>推荐阅读</p>"
    text = load("a.html", f"<title>x</title><body>{body}</body>".encode()).page_content
    assert text == f"# 标题\n\n{BIOGRAPHY}"
    small = f"<body><main>略</main><p>{BIOGRAPHY}</p></body>"
    assert BIOGRAPHY in load("b.html", small.encode()).page_content


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 5000 + "深处",
        "<!--" * 50_000 + "深处",
        "<p>深处<p" + " a=b" * 9999,
        "深处&#xD800;",
    ],
    ids=["deep", "comments", "attributes", "surrogate"],
)
def test_hostile_html(page: str) -> None:
    text = load("a.html", page.encode()).page_content
    assert text.startswith("深处")
    text.encode()


def test_pdf_pages_and_lines() -> None:
    first = ["第一章 生平", *lines(BIOGRAPHY), "一、年表", "二、作品"]
    second = [
        "He wrote poems about the moon and the riv-",
        "ers, in Chang'an and elsewhere, 1,234 times",
    ]
    document = load("a.pdf", pdf(first, second, [], ["末页"]))
    starts = document.metadata["page_starts"]
    pages = [
        document.page_content[start:end].strip()
        for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
    assert pages[0] == f"第一章 生平\n{BIOGRAPHY}\n一、年表\n二、作品"
    assert pages[1] == (
        "He wrote poems about the moon and the rivers, in Chang'an and elsewhere, 1,234 times"
    )
    assert pages[2:] == ["", "末页"]
    assert document.page_content == "\n\n".join(filter(None, pages))


def test_docx() -> None:
    document = load("a.docx", docx(BIOGRAPHY, POLICY, heading="一_二*三"))
    assert document.page_content == f"# 一_二*三\n\n{BIOGRAPHY}\n\n{POLICY}"
    assert document.metadata["encoding"] is None
    table = load("b.docx", docx_table([["姓名", "部门"], ["张三", "研发"]]))
    assert table.page_content == "姓名: 张三; 部门: 研发"


def test_pptx_slides_are_pages() -> None:
    slides = pptx(("概览", "甲\n乙"), ("", "<!-- Slide number: 7 -->"), ("结论", ""))
    document = load("a.pptx", slides)
    starts = document.metadata["page_starts"]
    assert document.page_content == "# 概览\n\n甲\n乙\n\n<!-- Slide number: 7 -->\n\n# 结论"
    assert [document.page_content[start:][:4] for start in starts] == ["# 概览", "<!--", "# 结论"]


def test_xlsx_rows_can_be_read_alone() -> None:
    from datetime import date, datetime

    rows: list[list[object]] = [
        ["姓名", "工资", "入职"],
        ["张三", 8000.0, date(2024, 3, 1)],
        ["李\n四", 0.1, None],
    ]
    numbers: list[list[object]] = [[1, 2], [3, datetime(2024, 3, 1, 8, 30)]]  # noqa: DTZ001
    text = load("a.xlsx", xlsx({"工资表": rows, "空": [], "数": numbers})).page_content
    assert text == (
        "## 工资表\n\n姓名: 张三; 工资: 8000; 入职: 2024-03-01\n姓名: 李 四; 工资: 0.1\n\n"
        "## 数\n\n1 | 2\n3 | 2024-03-01 8:30:00"
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("姓名,部门\n张三,研发\n李四,\n", "姓名: 张三; 部门: 研发\n姓名: 李四"),
        ('﻿姓名;部门\r\n张三;"研;发"\r\n', "姓名: 张三; 部门: 研;发"),
        ("a\tb\n1\t2\t3\n", "a: 1; b: 2; 3"),
        ("1,2\n\n3,4\n", "1 | 2\n3 | 4"),
        ("姓名,部门\n", "姓名 | 部门"),
        ('a,"b\nc', "a | b c"),
        ('a,b\n"' + "x" * 140_000, 'a,b\n"' + "x" * 140_000),
        ("只有一列\n一\n二", "只有一列\n一\n二"),
    ],
    ids=range(8),
)
def test_csv(data: str, text: str) -> None:
    document = load("a.csv", data.encode("gb18030"))
    assert (document.page_content, document.metadata["loader"]) == (text, "csv")


def test_epub() -> None:
    book = epub("书名", "<h1>第一章</h1><p>甲&nbsp;乙</p>", "<h1>第二章</h1><p>丙</p>")
    text = load("a.epub", book).page_content
    assert text == "**Title:** 书名\n\n# 第一章\n\n甲\xa0乙\n\n# 第二章\n\n丙"


def test_content_tells_where_the_suffix_does_not() -> None:
    assert load("no suffix", pdf(["甲乙"])).metadata["loader"] == "pdf"
    assert load("b.bin", docx("甲")).metadata["loader"] == "docx"
    assert load("wrong.docx", xlsx({"甲": [["乙", "丙"]]})).metadata["loader"] == "xlsx"
    assert load("page", b"<!DOCTYPE html><p>x</p>").metadata["loader"] == "html"


@pytest.mark.parametrize(
    ("data", "loader", "text"),
    [
        ("李白\r\n杜甫".encode("gbk"), "text", "李白\n杜甫"),
        (pdf(["甲乙"]), "pdf", "甲乙"),
        (docx("甲"), "docx", "甲"),
        (b"<html><p>x</p></html>", "html", "x"),
    ],
    ids=["gbk", "pdf", "docx", "html"],
)
def test_standard_input(
    data: bytes, loader: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    (document,) = FileLoader("-").load()
    assert document.page_content == text
    assert (document.metadata["source"], document.metadata["loader"]) == ("-", loader)


def test_a_given_encoding_wins() -> None:
    assert load("a.txt", "碰".encode("big5"), encoding="big5").page_content == "碰"
    with pytest.raises(DocumentError, match=r"a\.txt can't be read as utf-8 at byte 0"):
        load("a.txt", "碰".encode("big5"), encoding="utf-8")
    with pytest.raises(DocumentError, match="unknown encoding 'big6'"):
        load("a.txt", b"x", encoding="big6")


def test_the_size_is_limited() -> None:
    assert load("a.txt", b"x" * 100, max_bytes=100).page_content == "x" * 100
    with pytest.raises(DocumentError, match=r"a\.txt is larger than 99 bytes; split it"):
        load("a.txt", b"x" * 100, max_bytes=99)


def test_relative_paths_and_links_are_resolved() -> None:
    Path("sub").mkdir()
    Path("sub/甲.txt").write_bytes(b"x")
    Path("link.txt").symlink_to("sub/甲.txt")
    (document,) = FileLoader("link.txt").load()
    assert document.metadata["source"] == str(Path("sub/甲.txt").resolve())


@pytest.mark.slow
def test_parsers_are_imported_only_when_needed() -> None:
    code = (
        "import sys; from rag_app.documents.loaders import FileLoader\n"
        "from rag_app.documents.splitters import ChineseTextSplitter\n"
        "print([m for m in ('markitdown', 'bs4', 'pypdfium2', 'openpyxl', 'pandas', 'torch',"
        " 'transformers') if m in sys.modules])"
    )
    root = ROOT
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_a_zip_of_documents_is_read_and_one_of_nothing_known_is_refused() -> None:
    book = load(
        "a.zip", zipped({"说明.txt": "一", "b/表.docx": docx("二"), "c.exe": b"MZ\0\1" * 9})
    )
    assert book.page_content == "# 说明.txt\n\n一\n\n# b/表.docx\n\n二"
    assert len(book.metadata["notes"]) == 1
    assert "c.exe was not read" in book.metadata["notes"][0]
    with pytest.raises(DocumentError, match=r"b\.zip holds no document that can be read"):
        load("b.zip", zipped({"c.exe": b"MZ\0\1" * 9}))


def test_names_that_lead_out_of_an_archive_lose_that_part() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../../甲.txt", "/tmp/乙.txt", "C:\\w\\丙.txt"):
            archive.writestr(name, "字")
        link = zipfile.ZipInfo("丁.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    text = load("a.zip", file.getvalue()).page_content
    assert text.split("\n\n")[::2] == ["# 甲.txt", "# tmp/乙.txt", "# w/丙.txt"]


def test_headings_in_an_archive_are_below_the_names_of_its_files() -> None:
    form = "# 联系方式\n\n地址\n----\n路1号\n\n```\n# 注释\n```\n\n###### 注\n\n第一章 总则\n\n无"
    text = load("a.zip", zipped({"分公司甲/表.md": form})).page_content
    assert "## 联系方式\n\n### 地址\n路1号\n\n```\n# 注释\n```\n\n###### 注" in text
    assert Structure(text).path(text.index("路1号")) == ["分公司甲/表.md", "联系方式", "地址"]
    assert Structure(text).path(text.index("无")) == ["分公司甲/表.md", "第一章 总则"]


def test_archives_in_archives_are_bounded() -> None:
    inner = zipped({"a.txt": "深处"})
    for _ in range(2):
        inner = zipped({"b.zip": inner, "c.txt": "浅处"})
    assert load("a.zip", inner).page_content.endswith(
        "### a.txt\n\n深处\n\n## c.txt\n\n浅处\n\n# c.txt\n\n浅处"
    )
    deep = load("b.zip", zipped({"d.zip": zipped({"e.zip": inner}), "c.txt": "浅处"}))
    assert "深处" not in deep.page_content
    assert "too deep" in " ".join(deep.metadata["notes"])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.pages", "export it"),
        ("a.caj", "CAJViewer"),
        ("a.mobi", "EPUB"),
        ("a.ofd", "PDF"),
        ("a.ceb", "PDF"),
        ("a.lakebook", "Markdown"),
        ("a.7z", "unpack"),
        ("a.mp3", "write its words down"),
    ],
)
def test_each_format_that_is_not_read_has_its_own_advice(name: str, advice: str) -> None:
    with pytest.raises(DocumentError, match=f"are not read; .*{advice}"):
        load(name, zipped({"OFD.xml": "<x/>"}) if name.endswith(("ofd", "pages")) else b"\1\2x")


def test_text_that_begins_as_a_known_format_is_read_as_one() -> None:
    assert load("a", b'{"a": "\\u4e00"}').page_content == "a: 一"
    assert load("b.txt", b"{\\rtf1\\ansicpg936 \\'d2\\'bb}").page_content == "一"
    assert load("c", "<?xml version='1.0'?><x><a>一</a></x>".encode()).page_content == "a: 一"


def test_a_file_that_grows_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.txt"
    log.write_text("第一行。\n", encoding="utf-8")
    opening = Path.open

    def growing(self: Path, mode: str) -> IO[Any]:
        with opening(self, "a", encoding="utf-8") as file:
            file.write("第二行。\n")
        return opening(self, mode)

    monkeypatch.setattr(Path, "open", growing)
    (document,) = FileLoader(log).load()
    assert document.page_content.strip() == "第一行。"


def test_pictures_in_the_text_of_markdown_are_no_text() -> None:
    url = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 8).decode()
    page = f'# 手册\n\n![泵房]({url})\n<img src="{url}">\n\n水泵每周检查，见 data:a/b。\n'
    document = load("a.md", page.encode())
    assert document.page_content == "# 手册\n\n![泵房]()\n\n\n水泵每周检查，见 data:a/b。\n"
    assert document.metadata["notes"] == ["2 embedded files were not read"]


def test_keys_and_encrypted_texts_are_not_read() -> None:
    lines = ("BEGIN", "Version: 2.6.2", "", "hIwDY32hYGCE8MkBA/w", "=zzaA", "END")
    block = [f"-----{line} PGP MESSAGE-----" if line.isupper() else line for line in lines]
    Path("a.txt").write_text(
        f"密文如下：\n{chr(10).join(block)}\n-----BEGIN 说明\n到此为止。", "utf-8"
    )
    (document,) = FileLoader("a.txt").load()
    assert document.page_content == "密文如下：\n\n-----BEGIN 说明\n到此为止。"
    assert len(document.metadata["notes"]) == 1
