import io
import re
import zipfile
from collections.abc import Callable, Mapping
from datetime import date

import pytest
from openpyxl import Workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet
from PIL import Image

from rag_app.documents.formats import content_kind
from rag_app.documents.office.package import LARGE, rewritten
from rag_app.documents.sheets import opening
from rag_app.documents.sheets.spreadsheet import read_xlsx
from tests.rag_app.documents.making import zipped
from tests.rag_app.documents.office.charts import CHART, NAMES, relations


def workbook(fill: Callable[[Worksheet], object]) -> bytes:
    book = Workbook()
    sheet = book.active
    sheet.title = "门店"
    fill(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def with_parts(
    data: bytes, parts: Mapping[str, str | bytes], related: Mapping[str, str] | None = None
) -> bytes:
    """Put further parts into a workbook; ``related`` are relations added to those of a part."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        old: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    for name, target in (related or {}).items():
        added = f'<Relationship Id="added" Type="x" Target="{target}"/></Relationships>'
        before = old[name]
        assert isinstance(before, bytes)
        old[name] = before.replace(b"</Relationships>", added.encode())
    return zipped({**old, **parts})


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


def test_text_that_is_struck_through() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["品名", "单价"])
        sheet.append(["铅笔", 1.5])
        old = TextBlock(InlineFont(strike=True), "20元")
        sheet.append([CellRichText("钢笔，原价", old, "，现价"), 12])
        for cell in sheet[2]:
            cell.font = Font(strike=True)

    assert read_xlsx(workbook(fill), "a.xlsx").text == (
        "## 门店\n\n品名: ~~铅笔~~; 单价: ~~1.5~~\n品名: 钢笔，原价~~20元~~，现价; 单价: 12"
    )


def test_raised_text_is_an_exponent() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["项目", "数值"])
        raised = TextBlock(InlineFont(vertAlign="superscript"), "3")
        sheet.append([CellRichText("容积，10", raised, "升"), 2])

    text = read_xlsx(workbook(fill), "a.xlsx").text
    assert "项目: 容积，10³升; 数值: 2" in text


def test_hidden_sheets_are_left_out_and_counted() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["名称", "数量"])
        sheet.append(["螺丝", 40])
        other = sheet.parent.create_sheet("底稿")
        other.append(["旧数", 41])
        other.sheet_state = "hidden"

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text == "## 门店\n\n名称: 螺丝; 数量: 40"
    assert read.notes == ["1 hidden sheet was left out"]


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


def test_damaged_styles_cost_the_looks_only() -> None:
    def damage(part: str, content: bytes) -> bytes:
        return content.replace(b"<cellStyleXfs", b"<cellStyles foo='1'/><cellStyleXfs").replace(
            b"<xf ", b"<xf foo='1' "
        ) if part == "xl/styles.xml" else content  # fmt: skip

    found = read_xlsx(rewritten(workbook(sales), damage), "a.xlsx")
    assert "门店: 无锡店; 日期: 2023-08-15; 同比: 4.2%" in found.text
    assert "styles" in found.notes[0]


def test_comments_stand_below_their_sheet() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["门店", "销量"])
        sheet.append(["苏州店", 12])
        sheet["A2"].comment = Comment("重点店", "审核")

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text.endswith("门店: 苏州店; 销量: 12\n> 批注（A2 苏州店）: 重点店")


@pytest.mark.parametrize("large", [LARGE, 0])
def test_formulas_without_result_are_counted_and_empty_texts_are_results(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LARGE", large)

    def fill(sheet: Worksheet) -> None:
        for row in (["门店", "毛利", "备注"], ["无锡店", "=1+1", '=IF(1,"","x")']):
            sheet.append(row)

    data = rewritten(workbook(fill), lambda _, part: part.replace(b'"C2"', b'"C2" t="str"'))
    read = read_xlsx(data, "a.xlsx")
    assert [note.split(";")[0] for note in read.notes] == [
        "1 formulas have no stored result and were left out"
    ]


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


def test_white_on_white_is_left_out_and_counted() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["门店", "销售额"])
        sheet.append(["无锡店", 131])
        sheet.append(["底价", 90])
        for cell in sheet[1]:
            cell.font, cell.fill = Font(color="FFFFFF"), PatternFill("solid", "4472C4")
        for cell in sheet[3]:
            cell.font = Font(color="FFFFFF")

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text == "## 门店\n\n门店: 无锡店; 销售额: 131"
    assert read.notes == ["2 hidden cells were left out"]


def test_hidden_rows_and_columns_are_left_out_and_counted() -> None:
    def fill(sheet: Worksheet) -> None:
        for row in (["名称", "成本", "单价"], ["螺丝", 3, 40], ["旧款", 4, 41], ["螺母", 5, 42]):
            sheet.append(row)
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text == "## 门店\n\n名称: 螺丝; 单价: 40\n名称: 螺母; 单价: 42"
    assert read.notes == ["1 hidden row was left out", "1 hidden column was left out"]


def test_filtered_and_folded_rows_are_read() -> None:
    def fill(sheet: Worksheet) -> None:
        for row in (["名称", "数量"], ["螺丝", 40], ["螺母", 41], [], ["明细", 7]):
            sheet.append(row)
        sheet.auto_filter.ref = "A1:B3"
        sheet.auto_filter.add_filter_column(0, ["螺丝"])
        sheet.row_dimensions[3].hidden = True
        sheet.row_dimensions.group(5, 5, hidden=True)

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert "螺母; 数量: 41" in read.text
    assert "明细" in read.text
    assert read.notes == []


def test_text_boxes_charts_and_pictures_of_a_sheet() -> None:
    from rag_app.documents.pdf.characters import Char, PageCharacters

    def anchor(row: int, content: str) -> str:
        corner = f"<xdr:from><xdr:col>1</xdr:col><xdr:row>{row}</xdr:row></xdr:from>"
        return f"<xdr:oneCellAnchor>{corner}{content}<xdr:clientData/></xdr:oneCellAnchor>"

    def box(text: str, properties: str = "") -> str:
        named = f"<xdr:nvSpPr><xdr:cNvPr id='1' name='x' {properties}/></xdr:nvSpPr>"
        words = f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"
        return f"<xdr:sp>{named}<xdr:txBody>{words}</xdr:txBody></xdr:sp>"

    chart = "<a:graphic><a:graphicData><c:chart r:id='rId1'/></a:graphicData></a:graphic>"
    drawing = "".join(
        [
            anchor(9, box("第二个框")),
            anchor(5, f"<xdr:graphicFrame>{chart}</xdr:graphicFrame>"),
            anchor(2, box("第一个框")),
            anchor(3, box("藏起来的", "hidden='1'")),
            anchor(12, "<xdr:pic><a:blip r:embed='rId2'/></xdr:pic>"),
        ]
    )
    image = io.BytesIO()
    Image.new("RGB", (90, 90), "white").save(image, "png")
    data = with_parts(
        workbook(sales),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": relations(drawing="/xl/drawings/drawing1.xml"),
            "xl/drawings/drawing1.xml": f"<xdr:wsDr {NAMES}>{drawing}</xdr:wsDr>",
            "xl/drawings/_rels/drawing1.xml.rels": relations(
                chart="../charts/chart1.xml", image="../media/image1.png"
            ),
            "xl/charts/chart1.xml": CHART,
            "xl/media/image1.png": image.getvalue(),
        },
    )
    read = read_xlsx(data, "a.xlsx")
    chart_text = ["各店销售额", "无锡店; 一月: 13.1%; 二月: 150", "苏州店; 二月: 162"]
    assert read.text.split("\n")[-5:] == ["第一个框", *chart_text, "第二个框"]
    assert read.notes == ["1 picture was not read"]
    word = PageCharacters([Char("章", 10, 10, 30, 30, 20)])
    assert read_xlsx(data, "a.xlsx", lambda _: word).text.endswith("第二个框\n章")


def test_text_boxes_on_a_chart() -> None:
    frame = "<xdr:graphicFrame><c:chart r:id='rId1'/></xdr:graphicFrame>"
    box = "<x:sp><x:txBody><a:p><a:r><a:t>目标十三万</a:t></a:r></a:p></x:txBody></x:sp>"
    data = with_parts(
        workbook(sales),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": relations(drawing="/xl/drawings/drawing1.xml"),
            "xl/drawings/drawing1.xml": (
                f"<xdr:wsDr {NAMES}><xdr:oneCellAnchor>{frame}</xdr:oneCellAnchor></xdr:wsDr>"
            ),
            "xl/drawings/_rels/drawing1.xml.rels": relations(chart="../charts/chart1.xml"),
            "xl/charts/chart1.xml": CHART.replace(
                "</c:chartSpace>", "<c:userShapes r:id='rId1'/></c:chartSpace>"
            ),
            "xl/charts/_rels/chart1.xml.rels": relations(chartUserShapes="../drawings/d2.xml"),
            "xl/drawings/d2.xml": f"<c:userShapes {NAMES} xmlns:x='x'>{box}</c:userShapes>",
        },
    )
    assert read_xlsx(data, "a.xlsx").text.split("\n")[-2:] == ["苏州店; 二月: 162", "目标十三万"]


def test_discussions_are_read_with_their_authors() -> None:
    def fill(sheet: Worksheet) -> None:
        sales(sheet)
        sheet["A2"].comment = Comment("[线程批注] 你的Excel版本允许你读取此线程批注。", "x")
        sheet["B2"].comment = Comment("以发票为准", "x")

    entries = "".join(
        f"<threadedComment ref='A2' personId='{who}'><text>{text}</text></threadedComment>"
        for who, text in (("{1}", "这家店还在吗？"), ("{2}", "在。"))
    )
    people = "<person displayName='周某' id='{1}'/><person displayName='吴某' id='{2}'/>"
    name = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
    data = with_parts(
        workbook(fill),
        {
            "xl/threadedComments/threadedComment1.xml": (
                f"<ThreadedComments xmlns='{name}'>{entries}</ThreadedComments>"
            ),
            "xl/persons/person.xml": f"<personList xmlns='{name}'>{people}</personList>",
        },
        {"xl/worksheets/_rels/sheet1.xml.rels": "../threadedComments/threadedComment1.xml"},
    )
    lines = read_xlsx(data, "a.xlsx").text.split("\n")
    first, second, third = (line for line in lines if line.startswith(">"))
    assert first.endswith("，周某）: 这家店还在吗？")
    assert second.endswith("，吴某）: 在。")
    assert third.endswith("）: 以发票为准")


def test_a_cell_far_below_that_holds_nothing_costs_nothing() -> None:
    def fill(sheet: Worksheet) -> None:
        sales(sheet)
        sheet.cell(1_048_000, 40).number_format = "0.0%"

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text == read_xlsx(workbook(sales), "a.xlsx").text


def test_characters_that_xml_has_no_room_for() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["名称", "说明"])
        sheet.append(["水泵", "第一行_x000D_第二行"])
        sheet.append(["风机", "编号_x005F_x000D_"])

    read = read_xlsx(workbook(fill), "a.xlsx")
    assert read.text.split("\n")[2:] == [
        "名称: 水泵; 说明: 第一行 第二行",
        "名称: 风机; 说明: 编号_x000D_",
    ]


def test_pictures_in_the_cells_of_wps() -> None:
    from rag_app.documents.pdf.characters import Char, PageCharacters

    def fill(sheet: Worksheet) -> None:
        sheet.append(["名称", "照片"])
        sheet.append(["水泵", '=DISPIMG("ID_0A",1)'])
        sheet["B2"].data_type = "s"

    image = io.BytesIO()
    Image.new("RGB", (90, 90), "white").save(image, "png")
    picture = "<xdr:pic><xdr:cNvPr name='ID_0A'/><a:blip r:embed='rId1'/></xdr:pic>"
    data = with_parts(
        workbook(fill),
        {
            "xl/cellimages.xml": f"<images {NAMES}>{picture}</images>",
            "xl/_rels/cellimages.xml.rels": relations(image="media/image1.png"),
            "xl/media/image1.png": image.getvalue(),
        },
    )
    read = read_xlsx(data, "a.xlsx")
    assert read.text == "## 门店\n\n名称 | 照片\n名称: 水泵"
    assert read.notes == ["1 picture was not read"]
    word = PageCharacters([Char("泵", 10, 10, 30, 30, 20)])
    assert read_xlsx(data, "a.xlsx", lambda _: word).text == "## 门店\n\n名称: 水泵; 照片: 泵"


SHEET, BOOK = "xl/worksheets/sheet1.xml", "xl/workbook.xml"


def changed(part: str, before: str, after: str, encoding: str = "utf-8") -> bytes:
    """The workbook of `sales` in which a part says something else."""
    data = workbook(sales)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = archive.read(part).decode()
    assert before in content
    return with_parts(data, {part: content.replace(before, after).encode(encoding)})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "covering",
    [
        '<mergeCells count="2"><mergeCell ref="A1:XFD1048576"/><mergeCell ref="A:C"/></mergeCells>',
        '<mergeCells count="1"><mergeCell ref="Y9:A9"/></mergeCells>',
        '<hyperlinks><hyperlink ref="A1:XFD1048576" location="A1"/></hyperlinks>',
    ],
)
def test_what_covers_billions_of_cells_costs_nothing(covering: str, encoding: str) -> None:
    data = changed(SHEET, "</sheetData>", f"</sheetData>{covering}", encoding)
    assert read_xlsx(data, "a.xlsx").text == read_xlsx(workbook(sales), "a.xlsx").text


def test_hidden_columns_beyond_the_last_one() -> None:
    columns = '<cols><col min="4" max="2000000000" hidden="1" width="9"/></cols>'
    data = changed(SHEET, "<sheetData>", f"{columns}<sheetData>")
    assert read_xlsx(data, "a.xlsx").text == read_xlsx(workbook(sales), "a.xlsx").text


@pytest.mark.parametrize(
    ("part", "before", "after"),
    [
        (BOOK, 'state="visible"', 'state="show"'),
        (BOOK, "<bookViews>", "<bookViews><workbookView activeTab='x'/>"),
        ("docProps/core.xml", "</cp:coreProperties>", "<a/></cp:coreProperties>"),
        (SHEET, "</sheetData>", "</sheetData><pageSetup firstPageNumber='-1' scale='?'/>"),
    ],
)
def test_the_cells_of_a_workbook_that_is_wrong_beside_them(
    part: str, before: str, after: str
) -> None:
    read = read_xlsx(changed(part, before, after), "a.xlsx")
    assert read.text == read_xlsx(workbook(sales), "a.xlsx").text


def test_parts_with_the_separators_of_windows() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(sales))) as archive:
        parts = {name.replace("/", "\\"): archive.read(name) for name in archive.namelist()}
    data = zipped(parts)
    assert content_kind(data) == "xlsx"
    assert read_xlsx(data, "a.xlsx").text == read_xlsx(workbook(sales), "a.xlsx").text


def test_formats_that_chinese_programs_know_by_their_numbers() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.append(["名称", "日期"])
        sheet.append(["签订", 45730])
        sheet["B2"].number_format = "0.0000"

    def by_number(part: str, content: bytes) -> bytes:
        if part != "xl/styles.xml":
            return content
        return re.sub(rb'numFmtId="(1[6-9]\d)"(?! formatCode)', b'numFmtId="31"', content)

    data = rewritten(workbook(fill), by_number)
    assert "名称: 签订; 日期: 2025年3月14日" in read_xlsx(data, "a.xlsx").text


def test_the_data_of_pivot_tables_are_not_opened() -> None:
    related = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    cache = "xl/pivotCache/pivotCacheDefinition1.xml"

    def with_pivot(part: str, content: bytes) -> bytes:
        if part == BOOK:
            caches = f'<pivotCaches xmlns:r="{related}"><pivotCache cacheId="1" r:id="rId77"/>'
            return content.replace(b"</workbook>", f"{caches}</pivotCaches></workbook>".encode())
        if part == "xl/_rels/workbook.xml.rels":
            kind = f"{related}/pivotCacheDefinition"
            link = f'<Relationship Id="rId77" Type="{kind}" Target="/{cache}"/>'
            return content.replace(b"</Relationships>", f"{link}</Relationships>".encode())
        return content

    data = rewritten(workbook(sales), with_pivot)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    found = read_xlsx(zipped(parts | {cache: b"<pivotCacheDefinition"}), "a.xlsx")
    assert "门店: 无锡店" in found.text
    assert found.notes == []


def test_boxes_to_tick_and_labels_of_charts() -> None:
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    shape = (
        '<xdr:sp><xdr:nvSpPr><xdr:cNvPr id="1025" name="x" hidden="1"><a:compatExt/></xdr:cNvPr>'
        "</xdr:nvSpPr><xdr:txBody><a:p><a:r><a:t>已核对</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    )
    drawing = (
        f"<xdr:wsDr {NAMES}><xdr:twoCellAnchor>{shape}</xdr:twoCellAnchor><xdr:twoCellAnchor>"
        '<xdr:graphicFrame><c:chart r:id="rId1"/></xdr:graphicFrame></xdr:twoCellAnchor></xdr:wsDr>'
    )
    label = "<c:dLbl><c:tx><c:rich><a:p><a:r><a:t>最高</a:t></a:r></a:p></c:rich></c:tx></c:dLbl>"

    def with_control(part: str, content: bytes) -> bytes:
        control = f'<controls xmlns:r="{office}"><control shapeId="1025" r:id="rId2"/></controls>'
        end = b"</worksheet>"
        return content.replace(end, control.encode() + end) if part == SHEET else content

    data = with_parts(
        rewritten(workbook(sales), with_control),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": relations(
                drawing="../drawings/drawing1.xml", ctrlProp="../ctrlProps/ctrlProp1.xml"
            ),
            "xl/drawings/drawing1.xml": drawing,
            "xl/drawings/_rels/drawing1.xml.rels": relations(chart="../charts/chart1.xml"),
            "xl/charts/chart1.xml": CHART.replace("</c:cat>", f"</c:cat>{label}", 1),
            "xl/ctrlProps/ctrlProp1.xml": '<x objectType="CheckBox" checked="Checked"/>',
        },
    )
    lines = read_xlsx(data, "a.xlsx").text.split("\n")
    assert "☒ 已核对" in lines
    assert lines[-1] == "最高"
