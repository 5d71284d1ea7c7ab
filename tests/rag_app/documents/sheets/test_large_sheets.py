"""Sheets that are too large to be held in memory, and what damaged workbooks still say."""

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from openpyxl import Workbook
from openpyxl.styles import Font

from rag_app.documents.sheets import opening
from rag_app.documents.sheets.spreadsheet import read_xlsx
from tests.rag_app.documents.making import xlsx, zipped


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def every_kind() -> bytes:
    book = Workbook()
    sheet = book.active
    sheet.append(["名称", "日期", "占比", "时长", "内部", "可售", "备注"])
    lasting, note = timedelta(hours=30), "第一行_x000D_第二行"
    sheet.append(["水泵", date(2024, 3, 5), 0.153, lasting, 1, True, note])
    sheet.append([])
    sheet.append(["风机", date(2024, 3, 6), 0.2, timedelta(hours=2), 2, False, "=A2"])
    sheet["A5"] = "阀门"
    sheet["A5"].font = Font(strike=True)
    sheet["G5"] = 12345678901234567
    for row in range(2, 6):
        sheet.cell(row, 2).number_format = 'yyyy"年"m"月"d"日"'
        sheet.cell(row, 3).number_format = "0.0%"
        sheet.cell(row, 4).number_format = "[h]:mm"
        sheet.cell(row, 9).number_format = "0.00"
    sheet.column_dimensions["E"].hidden = True
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_large_sheet_is_read_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    data = every_kind()
    small = read_xlsx(data, "a.xlsx")
    monkeypatch.setattr(opening, "LARGE", 0)
    large = read_xlsx(data, "a.xlsx")
    assert large.text == small.text
    assert "时长: 30:00; 可售: TRUE; 备注: 第一行 第二行" in large.text
    assert set(large.notes) <= set(small.notes)
    assert "1 hidden column was left out" in large.notes


STRINGS = (
    '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<si><t>名称</t></si><si><t>数量</t></si><si><r><rPr><strike/></rPr><t>水泵</t></r>"
    "<rPh sb='0' eb='2'><t>shuibeng</t></rPh></si><si><t>风机</t></si></sst>"
)


@pytest.mark.parametrize(
    ("end", "name", "lines", "lost"),
    [
        (None, "sharedStrings", ["名称: ~~水泵~~; 数量: 1", "名称: 风机; 数量: 2"], 0),
        (None, "SharedStrings", ["名称: ~~水泵~~; 数量: 1", "名称: 风机; 数量: 2"], 0),
        (STRINGS.index("风机"), "sharedStrings", ["名称: ~~水泵~~; 数量: 1", "数量: 2"], 1),
        (0, "sharedStrings", ["1", "2"], 4),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_texts_that_cells_share(
    end: int | None,
    name: str,
    lines: list[str],
    lost: int,
    large: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        f'<row r="{at}"><c r="A{at}" t="s"><v>{text}</v></c>{other}</row>'
        for at, (text, other) in enumerate(
            [(0, '<c r="B1" t="s"><v>1</v></c>'), (2, '<c r="B2"><v>1</v></c>'),
             (3, '<c r="B3"><v>2</v></c>')], 1
        )
    ]  # fmt: skip
    parts = unpacked(xlsx({"门店": []}))
    sheet = "xl/worksheets/sheet1.xml"
    filled = f"<sheetData>{''.join(rows)}</sheetData>".encode()
    parts[sheet] = re.sub(b"<sheetData ?/>|<sheetData></sheetData>", filled, parts[sheet])
    if end != 0:
        parts[f"xl/{name}.xml"] = STRINGS[:end].encode()
    monkeypatch.setattr(opening, "LARGE", 0 if large else 2**20)
    read = read_xlsx(zipped(parts), "a.xlsx")
    assert read.text.split("\n")[2:] == lines
    assert [f"{lost} cells were left out, whose texts the file has lost"] * bool(lost) == read.notes


def test_a_sheet_that_breaks_off_is_read_up_to_there() -> None:
    parts = unpacked(xlsx({"门店": [[f"名称{n}", n] for n in range(100)]}))
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name][: parts[name].index(b'<row r="51"') + 20]
    read = read_xlsx(zipped(parts), "a.xlsx")
    assert "名称49 | 49" in read.text
    assert "名称50" not in read.text
    assert "门店 is damaged: what follows row 50 was not read" in read.notes


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("_rels/.rels", lambda content: content[:20]),
        ("xl/worksheets/sheet1.xml", lambda content: content.replace(b"<c ", b'<c s="" ')),
    ],
)
def test_cells_are_read_though_what_lies_beside_them_is_damaged(
    part: str, change: Callable[[bytes], bytes]
) -> None:
    parts = unpacked(xlsx({"门店": [["名称", "数量"], ["水泵", 1]]}))
    assert (
        "名称: 水泵; 数量: 1"
        in read_xlsx(zipped({**parts, part: change(parts[part])}), "a.xlsx").text
    )


def test_the_names_of_parts_in_another_case() -> None:
    parts = unpacked(xlsx({"门店": [["名称", "数量"], ["水泵", 1]]}))
    named = {name.replace("[Content_Types]", "[content_types]"): parts[name] for name in parts}
    assert "名称: 水泵; 数量: 1" in read_xlsx(zipped(named), "a.xlsx").text
