import io
import zipfile
from collections.abc import Callable
from datetime import date

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.worksheet.worksheet import Worksheet

from rag_app.documents.office.package import rewritten
from rag_app.documents.office.spreadsheet import read_xlsx


def workbook(fill: Callable[[Worksheet], object]) -> bytes:
    book = Workbook()
    sheet = book.active
    sheet.title = "门店"
    fill(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_merged_cells_titles_and_percentages() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["2023年各门店销售情况表"])
        sheet.append(["大区", "门店", "同比增长"])
        sheet.append(["华东", "苏州店", 0.153])
        sheet.append([None, "无锡店", -0.042])
        sheet.append(["合计", None, "=SUM(C3:C4)"])
        sheet.merge_cells("A1:C1")
        sheet.merge_cells("A3:A4")
        for cell in sheet["C"]:
            cell.number_format = "0.0%"

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text.split("\n")[2:5] == [
        "2023年各门店销售情况表",
        "大区: 华东; 门店: 苏州店; 同比增长: 15.3%",
        "大区: 华东; 门店: 无锡店; 同比增长: -4.2%",
    ]
    assert len(read.notes) == 1
    assert "1 formulas" in read.notes[0]


def test_hidden_sheets_are_left_out_and_counted() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["名称", "数量"])
        sheet.append(["螺丝", 40])
        other = sheet.parent.create_sheet("底稿")
        other.append(["旧数", 41])
        other.sheet_state = "hidden"

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text == "## 门店\n\n名称: 螺丝; 数量: 40"
    assert read.notes == ["1 hidden sheets were left out"]


def sales(sheet: Worksheet) -> None:
    sheet.append(["门店", "日期", "同比"])
    sheet.append(["无锡店", date(2023, 8, 15), 0.042])
    sheet["C2"].number_format = "0.0%"


def test_a_strict_workbook() -> None:
    usual = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    related = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def strict(part: str, content: bytes) -> bytes:
        content = content.replace(usual, b"http://purl.oclc.org/ooxml/spreadsheetml/main")
        return content.replace(related, b"http://purl.oclc.org/ooxml/officeDocument/relationships")

    data = rewritten(workbook(sales), strict)
    assert b"purl.oclc.org" in zipfile.ZipFile(io.BytesIO(data)).read("xl/workbook.xml")
    found = read_xlsx(data, "a.xlsx")
    assert found.text == "## 门店\n\n门店: 无锡店; 日期: 2023-08-15; 同比: 4.2%"


def test_damaged_styles_cost_the_formats_only() -> None:
    def damage(part: str, content: bytes) -> bytes:
        return content.replace(b"<cellStyleXfs", b"<cellStyles foo='1'/><cellStyleXfs").replace(
            b"<xf ", b"<xf foo='1' "
        ) if part == "xl/styles.xml" else content  # fmt: skip

    found = read_xlsx(rewritten(workbook(sales), damage), "a.xlsx")
    assert "门店: 无锡店" in found.text
    assert "同比: 0.042" in found.text
    assert "styles" in found.notes[0]


def test_comments_stand_below_their_sheet() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["门店", "销量"])
        sheet.append(["苏州店", 12])
        sheet["A2"].comment = Comment("重点店", "审核")

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text.endswith("门店: 苏州店; 销量: 12\n> 批注（A2 苏州店）: 重点店")


def test_zeros_of_formulas_never_calculated_are_no_values() -> None:
    def fill(sheet: Worksheet) -> None:
        for row in (["门店", "销量"], ["苏州店", 12], ["无锡店", 0], ["合计", "=SUM(B2:B3)"]):
            sheet.append(row)

    def stored(_: str, part: bytes) -> bytes:
        return part.replace(b"</f><v/>", b"</f><v>0</v>").replace(b"</f><v />", b"</f><v>0</v>")

    data = rewritten(workbook(fill), stored)
    assert b"<v>0</v></c>" in zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml")
    read = read_xlsx(data, "a.xlsx")
    assert read.text.endswith("门店: 无锡店; 销量: 0\n门店: 合计")
    assert "1 formulas have no stored result" in read.notes[0]
