"""Office files that are one XML file, under whatever suffix."""

from io import BytesIO
from zipfile import ZipFile

import pytest
from lxml import etree

from rag_app.documents.extraction import extract, kind_of
from rag_app.documents.formats import ExtractedText
from tests.rag_app.documents.making import pptx

WORKBOOK = """<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"
 xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Styles>
<Style ss:ID="day"><NumberFormat ss:Format="yyyy/m/d"/></Style>
<Style ss:ID="part"><NumberFormat ss:Format="0.0%"/></Style></Styles>
<Worksheet ss:Name="订单"><Table>
<Row><Cell ss:MergeAcross="3"><Data ss:Type="String">订单汇总</Data></Cell></Row>
<Row><Cell><Data ss:Type="String">单号</Data></Cell><Cell><Data ss:Type="String">日期</Data></Cell>
<Cell><Data ss:Type="String">数量</Data></Cell><Cell><Data ss:Type="String">完成率</Data></Cell>
</Row>
<Row><Cell ss:MergeDown="1"><Data ss:Type="String">D-001</Data></Cell>
<Cell ss:StyleID="day"><Data ss:Type="DateTime">2025-03-14T00:00:00.000</Data></Cell>
<Cell><Data ss:Type="Number">36</Data></Cell>
<Cell ss:StyleID="part"><Data ss:Type="Number">0.425</Data></Cell></Row>
<Row><Cell ss:Index="3"><Data ss:Type="Number">12</Data><Comment ss:Author="审核"><Data>待查</Data>
</Comment></Cell></Row>
<Row ss:Hidden="1"><Cell><Data ss:Type="String">底价</Data></Cell></Row></Table></Worksheet>
<Worksheet ss:Name="内部"><Table><Row><Cell><Data ss:Type="String">机密</Data></Cell></Row></Table>
<WorksheetOptions xmlns="urn:schemas-microsoft-com:office:excel"><Visible>SheetHidden</Visible>
</WorksheetOptions></Worksheet></Workbook>"""

WORD_2003 = """<?xml version="1.0"?><?mso-application progid="Word.Document"?>
<w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"
 xmlns:wx="http://schemas.microsoft.com/office/word/2003/auxHint"
 xmlns:aml="http://schemas.microsoft.com/aml/2001/core"><w:styles><w:style w:styleId="1">
<w:name w:val="heading 1"/></w:style></w:styles><w:body><wx:sect>
<w:p><w:pPr><w:pStyle w:val="1"/></w:pPr><w:r><w:t>检验报告</w:t></w:r></w:p>
<w:p><w:pPr><w:listPr><wx:t wx:val="第一条"/></w:listPr></w:pPr><w:r><w:t>共三台</w:t></w:r>
<w:r><w:footnote><w:p><w:r><w:t>含备用</w:t></w:r></w:p></w:footnote></w:r>
<aml:annotation w:type="Word.Deletion"><aml:content><w:r><w:delText>两</w:delText></w:r>
</aml:content></aml:annotation></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>项目</w:t></w:r></w:p></w:tc>
<w:tc><w:p><w:r><w:t>结果</w:t></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:tcPr>
<w:vmerge w:val="restart"/></w:tcPr><w:p><w:r><w:t>铅</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r>
<w:t>0.03</w:t></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vmerge/></w:tcPr><w:p/></w:tc><w:tc>
<w:p><w:r><w:t>0.05</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p><w:r><w:pict>
<w:binData w:name="a.png">iVBORw0KGgo=</w:binData></w:pict></w:r></w:p><w:sectPr>
<w:hdr w:type="odd"><w:p><w:r><w:t>质检科</w:t></w:r></w:p></w:hdr></w:sectPr></wx:sect></w:body>
</w:wordDocument>"""

FLAT = """<?xml version="1.0"?><?mso-application progid="Word.Document"?>
<pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage">
<pkg:part pkg:name="/word/document.xml" pkg:contentType="x"><pkg:xmlData><w:document
 xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>
<w:t>合同价四十万元</w:t></w:r></w:p></w:body></w:document></pkg:xmlData></pkg:part>
<pkg:part pkg:name="/word/media/a.png" pkg:contentType="image/png">
<pkg:binaryData>iVBORw0KGgo=</pkg:binaryData></pkg:part></pkg:package>"""


def read(content: str, suffix: str) -> ExtractedText:
    data, name = content.encode(), f"a{suffix}"
    return extract(data, kind_of(data, suffix, name), name)


@pytest.mark.parametrize("suffix", [".xls", ".xml", ".xlsx"])
def test_workbooks(suffix: str) -> None:
    found = read(WORKBOOK, suffix)
    assert found.text.split("\n") == [
        "## 订单",
        "",
        "订单汇总",
        "单号: D-001; 日期: 2025/3/14; 数量: 36; 完成率: 42.5%",
        "单号: D-001; 数量: 12",
        "> 批注（12，审核）: 待查",
    ]
    assert found.notes == ["1 hidden row was left out", "1 hidden sheet was left out"]


@pytest.mark.parametrize("suffix", [".doc", ".xml", ".docx"])
def test_documents_of_word_2003(suffix: str) -> None:
    assert read(WORD_2003, suffix).text.split("\n\n") == [
        "质检科",
        "# 检验报告",
        "第一条 共三台[^1]",
        "[^1]: 含备用",
        "项目: 铅; 结果: 0.03\n项目: 铅; 结果: 0.05",
    ]


@pytest.mark.parametrize("suffix", [".doc", ".xml", ".docx"])
def test_flat_documents(suffix: str) -> None:
    assert read(FLAT, suffix).text == "合同价四十万元"


def test_lists_of_values_under_the_suffix_of_workbooks() -> None:
    assert read("工号,姓名\n0017,谷某\n0018,言某\n", ".xls").text.startswith(
        "工号: 0017; 姓名: 谷某"
    )


def test_columns_that_are_hidden_and_formats_with_names() -> None:
    columns = '<Column ss:Span="1"/><Column ss:Index="3" ss:StyleID="d"/><Column ss:Hidden="1"/>'
    cells = "".join(
        f'<Cell><Data ss:Type="{kind}">{value}</Data></Cell>'
        for kind, value in [("String", "甲"), ("Number", 7), ("DateTime", "2025-03-14T00:00:00")]
    )
    hidden = '<Cell><Data ss:Type="String">底价</Data></Cell>'
    book = WORKBOOK.partition("<Styles>")[0] + (
        '<Styles><Style ss:ID="d"><NumberFormat ss:Format="Short Date"/></Style></Styles>'
        f'<Worksheet ss:Name="一"><Table>{columns}<Row>{cells}{hidden}</Row></Table></Worksheet>'
        "</Workbook>"
    )
    found = read(book, ".xls")
    assert found.text == "## 一\n\n甲 | 7 | 2025-03-14"
    assert found.notes == ["1 hidden column was left out"]


def test_slides_in_one_file_whose_picture_has_an_odd_name() -> None:
    with ZipFile(BytesIO(pptx(("合同", "价款四十万元")))) as archive:
        types = etree.fromstring(archive.read("[Content_Types].xml"))
        kinds = {item.get("PartName"): item.get("ContentType") for item in types}
        parts = {f"/{name}": archive.read(name) for name in archive.namelist()}
    relations = "application/vnd.openxmlformats-package.relationships+xml"
    kinds |= dict.fromkeys((name for name in parts if name.endswith(".rels")), relations)
    flat = "".join(
        f'<pkg:part pkg:name="{name}" pkg:contentType="{kinds[name]}"><pkg:xmlData>'
        f"{etree.tostring(etree.fromstring(data)).decode()}</pkg:xmlData></pkg:part>"
        for name, data in parts.items()
        if name in kinds and data.startswith(b"<")
    )
    picture = FLAT[FLAT.rindex("<pkg:part") :].replace("/word/media/a", "/ppt/media/a&amp;b")
    head = FLAT[: FLAT.index("<pkg:part")]
    assert "价款四十万元" in read(head + flat + picture, ".xml").text
