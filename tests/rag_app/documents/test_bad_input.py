"""Files that are broken or mean harm: each gets one clear line."""

import io
import os
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rag_app.documents import archive
from rag_app.documents.archive import check_archive
from rag_app.documents.loaders import FileLoader
from rag_app.documents.pdf import reader as pdf_module
from rag_app.documents.sheets import table_bounds
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import docx, locked_pdf, pdf, pptx, xlsx, zipped

WORD = "word/document.xml"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def refused(name: str, data: bytes, message: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(DocumentError, match=message) as caught:
        FileLoader(name).load()
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.txt", b"", "holds no text"),
        ("blank.txt", " \r\n\t　\n".encode(), "holds no text"),
        ("mark.txt", "\ufeff\n".encode("utf-16"), "holds no text"),
        ("empty.pdf", b"", "holds no text"),
        ("empty.html", b"<html><body><p></p></body></html>", "holds no text"),
        ("app.html", b"<html><body><script>x</script></body></html>", "until its scripts run"),
        ("empty.csv", b",,\n,,\n", "holds no text"),
        ("empty.docx", docx(""), "holds no text"),
        ("empty.xlsx", xlsx({"x": []}), "holds no text"),
        ("bytes.txt", bytes(range(256)) * 8, "not text"),
        ("random.md", random.Random(0).randbytes(4000), "not text"),
        ("zeros.txt", bytes(4000), "binary"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n" + bytes(90), "a picture; give it the suffix .png"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(90), "not a picture"),
        ("paper.txt", pdf(["甲"]), "a pdf file; give it the suffix .pdf"),
        ("model.html", b"GGUF" + bytes(90), "a gguf file"),
        ("locked.pdf", locked_pdf(), "needs a password"),
        ("scan.pdf", pdf([], []), "holds no text, only pictures"),
        ("cut.pdf", pdf(["甲"])[:400], "is damaged or not a PDF"),
        ("none.pdf", b"hello" * 100, "is damaged or not a PDF"),
        ("cut.docx", docx("甲")[:-900], "is damaged"),
        ("none.docx", b"hello" * 100, "is damaged"),
        ("locked.docx", OLE, "with a password; save a copy as docx"),
        ("old.doc", OLE, "of before 2007"),
        ("other.docx", zipped({"a.txt": "x"}), "is damaged or not a valid docx file"),
        ("xml.docx", zipped({WORD: "<a><b>"}), "is damaged or not a valid docx file"),
        ("cut.pptx", pptx(("甲", "乙"))[:5000], "is damaged"),
        (
            "none.epub",
            zipped({"META-INF/container.xml": "<x/>"}),
            "is damaged or not a valid epub file",
        ),
        ("deep.docx", zipped({WORD: "<a>" * 20_000 + "</a>" * 20_000}), "is damaged|XML"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value[:12] else "",
)
def test_what_cannot_be_read_is_refused(name: str, data: bytes, message: str) -> None:
    refused(name, data, message)


def test_damaged_bytes_anywhere_never_escape_as_other_errors() -> None:
    chance = random.Random(1)
    for suffix, data in (
        ("docx", docx("甲")),
        ("xlsx", xlsx({"x": [["甲", 1]]})),
        ("pdf", pdf(["甲"])),
    ):
        for _ in range(12):
            broken = bytearray(data)
            for _ in range(8):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            Path(f"a.{suffix}").write_bytes(broken)
            try:
                FileLoader(f"a.{suffix}").load()
            except DocumentError:
                continue


def spoil(data: bytes, change: Callable[[zipfile.ZipInfo], dict[str, int]]) -> bytes:
    """Rewrite fields of the central directory entries (APPNOTE.TXT 4.3.12)."""
    fields = {"flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<I"), "size": (24, "<I")}
    out = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        at = file.start_dir
        for entry in file.infolist():
            for field, value in change(entry).items():
                offset, kind = fields[field]
                struct.pack_into(kind, out, at + offset, value)
            at += 46 + len(entry.filename) + len(entry.extra) + len(entry.comment)
    return bytes(out)


BOMB = zipped({WORD: b"<a>" + b" " * (64 * 2**20)})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "decompression bomb"),
        (spoil(BOMB, lambda _: {"size": 1000}), "damaged|bomb"),
        (zipped({WORD: "<a/>", "media/x.bin": b"\0" * (32 * 2**20)}), "decompression bomb"),
        (zipped({f"x/{n}": b"" for n in range(archive.MAX_ENTRIES + 1)}), "10,001 files"),
        (spoil(docx("甲"), lambda _: {"flags": 1}), "needs a password"),
        (zipped({WORD: "<a/>"}, zipfile.ZIP_LZMA), "packed in a way"),
        (zipped({WORD: "<a/>"}, zipfile.ZIP_BZIP2), "packed in a way"),
        (spoil(docx("甲"), lambda entry: {"packed": 2**30}), "share their bytes"),
        (zipped({WORD: '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}), "XML entities"),
        (zipped({"word/odd.bin": '<!DOCTYPE x [<!ENTITY a "b">]>', WORD: "<a/>"}), "XML entities"),
        (zipped({WORD: '<!DOCTYPE x [<!ENTITY a "b">]>'.encode("utf-16")}), "XML entities"),
        (zipped({WORD: "<a>" + " " * (2**18 - 7) + "<!ENTITY"}), "XML entities"),
    ],
    ids=range(12),
)
def test_archives_that_mean_harm(data: bytes, message: str) -> None:
    refused("甲.docx", data, message)


def test_limits_that_take_too_much_to_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    data = docx("甲" * 1000)
    check_archive(data, "x")
    for limit in ("MAX_UNPACKED", "MAX_ENTRIES"):
        with monkeypatch.context() as patch:
            patch.setattr(archive, limit, 5)
            with pytest.raises(DocumentError, match="bomb"):
                check_archive(data, "x")
    with pytest.raises(DocumentError, match="XML tags"):
        check_archive(data, "x", max_tags=100)
    with pytest.raises(DocumentError, match="of XML"):
        check_archive(data, "x", max_xml=1000)


def test_a_bomb_is_refused_within_little_memory() -> None:
    Path("bomb.docx").write_bytes(BOMB)
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="bomb"):
            FileLoader("bomb.docx").load()
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("limit", ["MAX_PAGES", "MAX_CHARACTERS"])
def test_a_pdf_without_end(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_module, limit, 6 if limit == "MAX_CHARACTERS" else 3)
    Path("a.pdf").write_bytes(pdf(["甲甲"], ["乙乙"], ["丙丙"]))
    assert len(FileLoader("a.pdf").load()) == 1
    refused(
        "b.pdf", pdf(["甲甲"], ["乙乙"], ["丙丙"], ["丁丁"]), "has more than .*: refused; split it"
    )


@pytest.mark.slow
def test_a_workbook_that_claims_billions_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = xlsx({"x": [["甲", "乙"]]})
    with zipfile.ZipFile(io.BytesIO(sheet)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    name = "xl/worksheets/sheet1.xml"
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(2, 400))
    parts[name] = parts[name].replace(b"</sheetData>", f"{rows}</sheetData>".encode())
    monkeypatch.setattr(table_bounds, "MAX_CELLS", 1_000_000)
    refused("cells.xlsx", zipped(parts), "more than 1,000,000 cells")


def test_epub_with_entities() -> None:
    made = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefgh"))
    laughs = f'<!DOCTYPE x [<!ENTITY a "哈哈">{made}]><x>&h;</x>'
    refused("a.epub", zipped({"META-INF/container.xml": laughs}), "XML entities")
    long = f'<!DOCTYPE x [<!ENTITY a "{"哈" * 1000}">]><x>{"&a;" * 1000}</x>'
    refused("b.epub", zipped({"META-INF/container.xml": long}), "XML entities")


@pytest.mark.parametrize(
    "suffix", ["txt", "html", "csv", "pdf", "docx", "pptx", "xlsx", "epub", ""]
)
@pytest.mark.parametrize(
    "data", [b"", bytes(range(256)), b"\x89PNG" + bytes(9), b"PK\x03\x04" + bytes(9)]
)
def test_a_message_is_one_line_whatever_the_name(suffix: str, data: bytes) -> None:
    path = Path(f"两\n行 [x] '.{suffix}")
    path.write_bytes(data)
    with pytest.raises(DocumentError, match=r"两\\n行") as caught:
        FileLoader(path).load()
    assert "\n" not in str(caught.value)


def test_what_is_no_file() -> None:
    Path("folder.txt").mkdir()
    os.mkfifo("pipe.txt")
    for path, message in (
        ("folder.txt", "folder.txt is a folder"),
        ("pipe.txt", "not a regular file; use - to read standard input"),
        ("/dev/zero", "not a regular file"),
        ("missing.txt", "missing.txt does not exist"),
        ("missing/甲.txt", "does not exist"),
        ("字" * 100 + ".txt", "can't be read"),
        ("a\0b.txt", "can't be read|does not exist"),
    ):
        with pytest.raises(DocumentError, match=message) as caught:
            FileLoader(path).load()
        assert "\n" not in str(caught.value)
