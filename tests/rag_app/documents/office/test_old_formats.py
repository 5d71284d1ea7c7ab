"""Formats of before 2007: xls, msg, doc and ppt."""

import io
import struct
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlwt
from olefile import OleFileIO

from rag_app.documents.extraction import extract, kind_of
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office import legacy
from rag_app.documents.office.outlook import uncompressed_rtf
from rag_app.documents.sheets.old_spreadsheet import read_xls
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import docx
from tests.rag_app.documents.office.compound import compound_file


def workbook() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("门店")
    percent, day = xlwt.easyxf(num_format_str="0.0%"), xlwt.easyxf(num_format_str="yyyy年m月")
    hours = xlwt.easyxf(num_format_str="[h]:mm")
    for column, name in enumerate(["大区", "门店", "增长", "开业", "工时", "营业"]):
        sheet.write(0, column, name)
    sheet.write_merge(1, 2, 0, 0, "华东")
    for row, (shop, growth) in enumerate([("苏州店", 0.153), ("无锡店", -0.042)], 1):
        sheet.write(row, 1, shop)
        sheet.write(row, 2, growth, percent)
        sheet.write(row, 3, date(1990, 7, 1), day)
        sheet.write(row, 4, 26.25 / 24, hours)
        sheet.write(row, 5, row == 1)
    book.add_sheet("底稿").visibility = 1
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def sheet_of(fill: Callable[[Any], object], records: bytes = b"") -> ExtractedText:
    book = xlwt.Workbook()
    sheet = book.add_sheet("门店")
    rows: list[list[str | int]] = [["门店", "销售额", "底价"], ["无锡店", 131, 90], ["总仓", 9, 8]]
    for row, cells in enumerate(rows):
        for column, value in enumerate(cells):
            sheet.write(row, column, value)
    fill(sheet)
    data = book.get_biff_data()
    end = data.rindex(struct.pack("<HH", 0x0A, 0))
    return read_xls(compound_file({"Workbook": data[:end] + records + data[end:]}), "a.xls")


@pytest.mark.parametrize(
    ("style", "hidden"),
    [
        ("font: colour white", True),
        ("font: colour white; pattern: pattern solid, fore_colour white", True),
        ("font: colour white; pattern: pattern solid, fore_colour dark_blue", False),
        ("font: colour red", False),
    ],
)
def test_white_cells_are_left_out_where_they_stand_on_white(style: str, hidden: bool) -> None:
    read = sheet_of(lambda sheet: sheet.write(2, 3, "内部", xlwt.easyxf(style)))
    assert ("内部" in read.text) is not hidden
    assert read.notes == (["1 hidden cell was left out"] if hidden else [])


def test_hidden_rows_and_columns_are_left_out_and_counted() -> None:
    def fill(sheet: Any) -> None:
        sheet.row(2).hidden = sheet.col(2).hidden = True

    read = sheet_of(fill)
    assert read.text == "## 门店\n\n门店: 无锡店; 销售额: 131"
    assert read.notes == ["1 hidden row was left out", "1 hidden column was left out"]


def test_formulas_that_nobody_calculated_are_counted() -> None:
    read = sheet_of(lambda sheet: sheet.write(3, 1, xlwt.Formula("SUM(B2:B3)")))
    assert read.notes == [
        (
            "1 formulas have no stored result and were left out; "
            "open and save the workbook in a spreadsheet program"
        )
    ]


def test_text_boxes_are_read_and_charts_counted() -> None:
    def placed(kind: int) -> bytes:
        return struct.pack("<HHHHHH14x", 0x5D, 22, 0x15, 18, kind, 1)

    text = "单位：万元"
    box = placed(0x06) + struct.pack("<HH10xHH4x", 0x1B6, 18, len(text), 0)
    box += struct.pack("<HHB", 0x3C, 1 + 2 * len(text), 1) + text.encode("utf-16-le")
    read = sheet_of(lambda _: None, placed(0x05) + box)
    assert read.text.endswith("门店: 总仓; 销售额: 9; 底价: 8\n单位：万元")
    assert read.notes == ["1 chart was not read"]


def test_sectors_that_go_round_end_all_the_same() -> None:
    book = xlwt.Workbook()
    book.add_sheet("a").write(0, 0, "甲")
    data = bytearray(compound_file({"Workbook": book.get_biff_data()[:4000]}))
    (table,) = struct.unpack_from("<I", data, 60)
    struct.pack_into("<I", data, 512 * (table + 1), 0)  # the second piece is the first again
    with pytest.raises(DocumentError, match=r"a\.xls is damaged"):
        extract(bytes(data), "xls", "a.xls")


def test_values_are_read_as_their_sheet_shows_them() -> None:
    read = read_xls(workbook(), "a.xls")
    assert read.text.split("\n") == [
        "## 门店",
        "",
        "大区: 华东; 门店: 苏州店; 增长: 15.3%; 开业: 1990年7月; 工时: 26:15; 营业: TRUE",
        "大区: 华东; 门店: 无锡店; 增长: -4.2%; 开业: 1990年7月; 工时: 26:15; 营业: FALSE",
    ]
    assert read.notes == ["1 hidden sheet was left out"]


def test_text_that_is_struck_through() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("门店")
    struck = xlwt.easyxf("font: struck_out on")
    for row, values in enumerate([("品名", "单价"), ("铅笔", 1.5), ("", 12)]):
        for column, value in enumerate(values):
            if value:
                sheet.write(row, column, value, *([struck] if row == 1 else []))
    sheet.write_rich_text(2, 0, ("钢笔，原价", ("20元", struck.font), "，现价"))
    file = io.BytesIO()
    book.save(file)
    assert read_xls(file.getvalue(), "a.xls").text == (
        "## 门店\n\n品名: ~~铅笔~~; 单价: ~~1.5~~\n品名: 钢笔，原价~~20元~~，现价; 单价: 12"
    )


def test_damaged_workbooks_are_refused_in_one_line() -> None:
    data = workbook()
    for size in (600, len(data) // 2):
        kind = kind_of(data[:size], ".xls", "a.xls")
        with pytest.raises(DocumentError, match="damaged") as caught:
            extract(data[:size], kind, "a.xls")
        assert "\n" not in str(caught.value)


def message(streams: dict[str, bytes]) -> bytes:
    sent = struct.pack("<IIQ", 0x00390040, 0, 133_364_448_000_000_000)
    return compound_file(
        {
            "__properties_version1.0": bytes(32) + sent,
            "__substg1.0_0037001F": "会议通知".encode("utf-16-le"),
            "__substg1.0_0C1A001F": "张三".encode("utf-16-le"),
            "__substg1.0_5D01001F": "a@b.cn".encode("utf-16-le"),
            "__substg1.0_0E04001E": "李四".encode("gbk"),
            **streams,
        }
    )


def test_a_message_with_what_it_was_sent_with() -> None:
    file = "__attach_version1.0_#00000000/__substg1.0_"
    inner = "__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_"
    data = message(
        {
            "__substg1.0_1000001F": "会议定于三月九日。".encode("utf-16-le"),
            f"{file}37010102": "附件内容。".encode("gbk"),
            f"{file}3707001F": "说明.txt".encode("utf-16-le"),
            f"{inner}0037001F": "原信".encode("utf-16-le"),
            f"{inner}1000001F": "原信的正文。".encode("utf-16-le"),
        }
    )
    assert kind_of(data, ".msg", "a.msg") == "msg"
    assert extract(data, "msg", "a.msg").text == (
        "# 会议通知\n\nFrom: 张三 <a@b.cn>\nTo: 李四\nDate: 2023-08-14 00:00 +0000\n\n"
        "会议定于三月九日。\n\n# 原信\n\n原信的正文。\n\n## 说明.txt\n\n附件内容。"
    )


def test_a_message_whose_text_is_compressed_rtf() -> None:
    # The example of MS-OXRTFCP, 4.1.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d"
        "0a800fa0"
    )
    assert uncompressed_rtf(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert "hello world" in extract(message({"__substg1.0_10090102": packed}), "msg", "a.msg").text


def test_compressed_rtf_with_another_checksum_is_said() -> None:
    head = struct.pack("<II4sI", 20, 4, b"LZFu", 1)
    found = extract(message({"__substg1.0_10090102": head + b"\0text"}), "msg", "a.msg")
    assert "text" not in found.text
    assert any("damaged" in note for note in found.notes)


def test_sectors_of_the_directory_are_no_text() -> None:
    body = "会议定于三月九日。" + "__substg1.0_00040102*R__substg1.0_100F0102"
    found = extract(message({"__substg1.0_1000001F": body.encode("utf-16-le")}), "msg", "a.msg")
    assert "substg" not in found.text
    assert any("damaged" in note for note in found.notes)


@pytest.mark.parametrize(
    ("page", "text"), [(1252, "Body äöü Body"), (1251, "Чай готов"), (0, "Body äöü Body")]
)
def test_text_in_the_code_page_of_a_message(page: int, text: str) -> None:
    pages = struct.pack("<IIQ", 0x3FFD0003, 0, page) if page else b""
    encoded = text.encode(f"cp{page or 1252}")
    streams = {"__properties_version1.0": bytes(32) + pages, "__substg1.0_1000001E": encoded}
    assert extract(message(streams), "msg", "a.msg").text.endswith(text)


@pytest.mark.parametrize(("kind", "codec"), [("001F", "utf-16-le"), ("001E", "gbk")])
def test_sectors_of_other_streams_are_no_text(kind: str, codec: str) -> None:
    body = "t @9\0\0\0会议通知\0\0张三"
    found = extract(message({f"__substg1.0_1000{kind}": body.encode(codec)}), "msg", "a.msg")
    assert "@9" not in found.text
    assert any("damaged" in note for note in found.notes)


def test_the_message_is_named_whose_body_is_damaged() -> None:
    stored = struct.pack("<II4sI", 40, 20, b"MELA", 0)
    with pytest.raises(DocumentError, match=r"^a\.msg is damaged"):
        extract(message({"__substg1.0_10090102": stored + b"no rich text"}), "msg", "a.msg")
    blank = message(
        {
            "__substg1.0_10090102": stored + b"{\\rtf1 }",
            "__substg1.0_0037001F": "通知".encode("utf-16-le"),
        }
    )
    assert extract(blank, "msg", "a.msg").text.startswith("# 通知")


def soffice(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "soffice"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


OLD_WORD = compound_file({"WordDocument": bytes(100)})


def test_old_word_is_read_through_libreoffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "result.docx").write_bytes(docx("合同正文。"))
    # The last argument is the file, the one before it the folder.
    script = f'for last; do :; done; cp {tmp_path}/result.docx "${{last%.doc}}.docx"'
    soffice(tmp_path, script, monkeypatch)
    assert kind_of(OLD_WORD, ".wps", "a.wps") == "doc"
    assert extract(OLD_WORD, "doc", "a.doc").text == "合同正文。"


@pytest.mark.slow
def test_a_conversion_that_hangs_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soffice(tmp_path, f"sh -c 'sleep 3; touch {tmp_path}/late' & sleep 60", monkeypatch)
    monkeypatch.setattr(legacy, "TIMEOUT", 0.5)
    with pytest.raises(DocumentError, match=r"did not convert it within .* save it as \.docx"):
        extract(OLD_WORD, "doc", "a.doc")
    time.sleep(3)
    assert not (tmp_path / "late").exists()


def test_advice_where_there_is_no_libreoffice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    slides = compound_file({"PowerPoint Document": bytes(100)})
    for data, suffix, wanted in ((OLD_WORD, ".doc", ".docx"), (slides, ".dps", ".pptx")):
        kind = kind_of(data, suffix, "a")
        with pytest.raises(DocumentError, match=f"LibreOffice.* save it as {wanted}$"):
            extract(data, kind, "a")


def test_what_needs_a_password_is_said() -> None:
    data = compound_file({"EncryptedPackage": bytes(100)})
    with pytest.raises(DocumentError, match="with a password; save a copy without one"):
        kind_of(data, ".docx", "a.docx")


@pytest.mark.parametrize(
    ("data", "suffix", "kind"),
    [
        (b"<html><table>", ".xls", "html"),
        ("姓名\t城市\n张某\t绍兴\n".encode("gbk"), ".xls", "csv"),
        (b"{\\rtf1 x}", ".doc", "rtf"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n", ".doc", "mht"),
    ],
)
def test_pages_and_lists_under_the_suffixes_of_office(data: bytes, suffix: str, kind: str) -> None:
    assert kind_of(data, suffix, "a") == kind


@pytest.mark.parametrize("suffix", [".doc", ".xls", ".wps", ".ppt"])
def test_text_under_the_suffixes_of_office_is_refused(suffix: str) -> None:
    with pytest.raises(DocumentError, match="is damaged or no"):
        kind_of(b"x", suffix, "a")


def test_formulas_in_names_cost_no_workbook() -> None:
    book = xlwt.Workbook()
    book.add_sheet("表").write(0, 0, "内容")
    file = io.BytesIO()
    book.save(file)
    stream = OleFileIO(io.BytesIO(file.getvalue())).openstream("Workbook").read()
    # A name whose formula is only an addition, of nothing.
    name = struct.pack("<HBBHHHBBBB", 0, 0, 1, 1, 0, 0, 0, 0, 0, 0) + b"\0x\x03"
    end = stream.index(struct.pack("<HH", 0x0A, 0))
    broken = stream[:end] + struct.pack("<HH", 0x18, len(name)) + name + stream[end:]
    at = broken.index(struct.pack("<H", 0x85))
    (start,) = struct.unpack_from("<I", broken, at + 4)
    moved = struct.pack("<I", start + len(name) + 4)
    broken = broken[: at + 4] + moved + broken[at + 8 :]
    assert read_xls(broken, "a.xls").text == "## 表\n\n内容"
