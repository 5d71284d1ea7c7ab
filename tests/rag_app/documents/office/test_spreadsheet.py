import io
from collections.abc import Callable

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

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
