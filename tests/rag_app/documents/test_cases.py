"""Files as people have them: what is loaded says what the document shows."""

import io
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rag_app.documents.loaders import FileLoader
from tests.rag_app.documents.office.word import cell, listed, root, table, word_file
from tests.rag_app.documents.pdf.drawing import lines, pdf, ruled_table


def loaded(name: str, data: bytes) -> tuple[str, list[str]]:
    """The text and the notes of a file."""
    Path(name).write_bytes(data)
    (document,) = FileLoader(name, ocr="never").load()
    return document.page_content, document.metadata.get("notes", [])


def workbook(fill: Callable[[Worksheet], object]) -> bytes:
    book = Workbook()
    fill(book.active)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def add_rows(sheet: Worksheet, *rows: list[Any]) -> None:
    for row in rows:
        sheet.append(row)


def title_above_the_head(sheet: Worksheet) -> None:
    add_rows(sheet, ["2023年销售情况表"], ["大区", "门店", "同比增长"], ["华东", "园区店", 0.153])
    add_rows(sheet, [None, "无锡店", -0.042], ["西南", "成都店", 0.31])
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("A3:A4")
    for row in sheet["C3:C5"]:
        row[0].number_format = "0.0%"


def head_of_two_rows(sheet: Worksheet) -> None:
    add_rows(sheet, ["项目", "收入", None, "支出", None], [None, "预算", "实际", "预算", "实际"])
    add_rows(sheet, ["培训费", 100, 95, 120, 131], ["差旅费", 80, 77, 60, 58])
    for area in ("A1:A2", "B1:C1", "D1:E1"):
        sheet.merge_cells(area)


def years_as_names(sheet: Worksheet) -> None:
    add_rows(sheet, ["型号", 2020, 2021], *([f"型号{n}", 100 + n, 130 + n] for n in range(40)))


def form_above_a_table(sheet: Worksheet) -> None:
    add_rows(sheet, ["样品名称", "水杯", None, "检测日期", date(2023, 5, 6)])
    add_rows(sheet, ["委托单位", "日用品厂", None, "报告编号", "JC-7"])
    add_rows(sheet, ["检测项目", "限值", None, "实测值", "结论"])
    add_rows(sheet, ["铅 mg/L", 0.05, None, 0.003, "合格"])
    sheet["E1"].number_format = "yyyy-mm-dd"


def values_of_all_kinds(sheet: Worksheet) -> None:
    add_rows(sheet, ["姓名", "出生", "工资", "工时", "证件号", "在职"])
    add_rows(sheet, ["甲", date(1990, 7, 1), 8600, timedelta(hours=26, minutes=15),
                     110101199003070000, True])  # fmt: skip
    for place, form in (("B2", 'yyyy"年"m"月"'), ("C2", '"¥"#,##0.00'), ("D2", "[h]:mm"),
                        ("E2", "0")):  # fmt: skip
        sheet[place].number_format = form


KINDS = (
    "姓名: 甲; 出生: 1990年7月; 工资: ¥8,600.00; 工时: 26:15; "
    "证件号: 110101199003070000; 在职: TRUE"
)


@pytest.mark.parametrize(
    ("fill", "line"),
    [
        (title_above_the_head, "大区: 华东; 门店: 无锡店; 同比增长: -4.2%"),
        (head_of_two_rows,
         "项目: 培训费; 收入/预算: 100; 收入/实际: 95; 支出/预算: 120; 支出/实际: 131"),
        (years_as_names, "型号: 型号30; 2020: 130; 2021: 160"),
        (form_above_a_table, "样品名称: 水杯; 检测日期: 2023-05-06"),
        (form_above_a_table, "检测项目: 铅 mg/L; 限值: 0.05; 实测值: 0.003; 结论: 合格"),
        (values_of_all_kinds, KINDS),
    ],
)  # fmt: skip
def test_rows_of_a_workbook(fill: Callable[[Worksheet], object], line: str) -> None:
    assert line in loaded("a.xlsx", workbook(fill))[0].split("\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("姓名,部门,备注（来源，时间）\n张某,财务部,转正\n",
         "姓名: 张某; 部门: 财务部; 备注（来源，时间）: 转正"),
        ("用水情况\n户名;一月;二月\n张某;12;15\n", "户名: 张某; 一月: 12; 二月: 15"),
        ("sep=;\n姓名;城市\n张某;绍兴\n", "姓名: 张某; 城市: 绍兴"),
        ("产品,2020,2021\n铜管,11,12\n铝管,21,22\n", "产品: 铝管; 2020: 21; 2021: 22"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk"])
def test_rows_of_a_csv_file(content: str, line: str, encoding: str) -> None:
    assert line in loaded("a.csv", content.encode(encoding))[0].split("\n")


def test_a_contract_numbers_its_articles_and_merges_its_cells() -> None:
    level = (
        '<w:lvl w:ilvl="{}"><w:start w:val="1"/>{}<w:numFmt w:val="chineseCountingThousand"/>'
        '<w:lvlText w:val="{}"/></w:lvl>'
    )
    levels = level.format(0, "", "第%1章")
    levels += level.format(1, '<w:lvlRestart w:val="0"/>', "第%2条")
    numbering = root(
        "numbering",
        f'<w:abstractNum w:abstractNumId="7">{levels}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>',
    )
    body = listed("租赁物", 1) + listed("一台压缩机。", 1, 1) + listed("租金", 1)
    body += listed("租金为每月八千六百元。", 1, 1) + table(
        cell("分厂") + cell("车间") + cell("人数"),
        cell("一分厂", '<w:vMerge w:val="restart"/>') + cell("铸造") + cell("42"),
        cell("", "<w:vMerge/>") + cell("锻造") + cell("35"),
    )
    found, _ = loaded("合同.docx", word_file(body, {"numbering.xml": numbering}))
    assert "第二章 租金\n\n第二条 租金为每月八千六百元。" in found
    assert "分厂: 一分厂; 车间: 锻造; 人数: 35" in found


def scan(canvas: Canvas) -> None:
    from PIL import Image

    canvas.drawImage(ImageReader(Image.linear_gradient("L")), 0, 0, 595, 842)


BROKEN = "货物在出库以前由两名保管员共同清点，并且登记在编号为20231"
SENTENCES = (
    "水泵的检修周期由值班人员根据实际运行时间确定，运行满两千小时的，应当在一周以内安排检修；",
    "阀门每季度开闭一次，锈住的由维修组更换，更换下来的阀门交仓库登记，仓库每半年清点一次；",
    "水质每日取样两次，样品留存三天，化验的结果由化验员和值班长共同签字，并在公告栏张贴。",
)


def regulation() -> bytes:
    """Three pages over which one paragraph goes, each with a head and its number."""
    text = "".join(SENTENCES)
    rows = [text[at : at + 39] for at in range(0, len(text), 39)]

    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            lines(canvas, ["某市水务局设备运行规程"], y=815, size=9)
            lines(canvas, rows[number : number + 1] if number < 2 else rows[2:])
            lines(canvas, [f"第 {number + 1} 页"], x=280, y=30, size=9)

        return draw

    return pdf(*map(page, range(3)))


def test_a_page_of_print() -> None:
    rows = [["差异", "一月", "二月"], ["甲", "", "778"]]

    def page(canvas: Canvas) -> None:
        lines(canvas, [BROKEN, "5的台账里；保管期限为三年。"], x=20, y=780)
        lines(canvas, ["关于城市供水的规定"], y=720, tracking=7)
        ruled_table(canvas, rows, y=690)

    found, notes = loaded("a.pdf", pdf(page, scan, scan))
    assert "编号为202315的台账里" in found
    assert "关于城市供水的规定" in found
    assert "差异: 甲; 二月: 778" in found
    assert len(notes) == 1
    assert "2 of 3 pages" in notes[0]


def test_a_sentence_goes_on_over_the_page() -> None:
    found, _ = loaded("a.pdf", regulation())
    assert found.endswith("".join(SENTENCES))
    assert "第 2 页" not in found
