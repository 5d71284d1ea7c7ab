import io

import pytest
from PIL import Image

from rag_app.documents.formats import ExtractedText
from rag_app.documents.number_formats.numerals import numeral
from rag_app.documents.office.word.docx import read_docx
from rag_app.documents.pdf.characters import Char, PageCharacters
from tests.rag_app.documents.office.charts import CHART, DIAGRAM, NAMES, relations
from tests.rag_app.documents.office.word import cell, listed, root, table, text, word_file


def read(body: str, **parts: str | bytes) -> str:
    named = {name.replace("_", "."): content for name, content in parts.items()}
    return read_docx(word_file(body, named), "合同.docx").text


def level(number: int, form: str, shown: str, more: str = "") -> str:
    return (
        f'<w:lvl w:ilvl="{number}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{shown}"/></w:lvl>'
    )


def numbering(*levels: str) -> str:
    return root(
        "numbering",
        f'<w:abstractNum w:abstractNumId="7">{"".join(levels)}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="1"/></w:lvlOverride></w:num>',
    )


def test_articles_are_numbered_through_all_chapters() -> None:
    levels = numbering(
        level(0, "chineseCountingThousand", "第%1章"),
        level(1, "chineseCountingThousand", "第%2条", '<w:lvlRestart w:val="0"/>'),
    )
    body = listed("租赁物", 1) + listed("租期", 1, 1) + listed("租金", 1)
    body += listed("租金为每月八千六百元", 1, 1)
    assert read(body, numbering_xml=levels).split("\n\n") == [
        "第一章 租赁物", "第一条 租期", "第二章 租金", "第二条 租金为每月八千六百元",
    ]  # fmt: skip


def test_numbers_of_several_levels_begin_anew() -> None:
    levels = numbering(
        level(0, "decimal", "%1."), level(1, "decimal", "%1.%2"), level(2, "decimal", "(%3)")
    )
    body = listed("甲", 1) + listed("乙", 1, 1) + listed("丙", 1, 2) + listed("丁", 1, 1)
    body += listed("戊", 1) + listed("己", 1, 1) + listed("庚", 2)
    assert read(body, numbering_xml=levels).split("\n\n") == [
        "1. 甲", "1.1 乙", "(1) 丙", "1.2 丁", "2. 戊", "2.1 己", "1. 庚",
    ]  # fmt: skip


def test_what_is_struck_through_is_marked() -> None:
    def run(text: str, mark: str = "") -> str:
        return f"<w:r><w:rPr>{mark}</w:rPr><w:t>{text}</w:t></w:r>"

    struck, kept = "<w:strike/>", '<w:strike w:val="0"/>'
    runs = [run("租金"), run("八", struck), run("千", "<w:dstrike/>"), run("九千元", kept)]
    assert read(f"<w:p>{''.join(runs)}</w:p>") == "租金~~八千~~九千元"


def test_raised_text_is_an_exponent() -> None:
    def run(text: str, place: str = "") -> str:
        mark = f'<w:vertAlign w:val="{place}"/>' if place else ""
        return f"<w:r><w:rPr>{mark}</w:rPr><w:t>{text}</w:t></w:r>"

    runs = [run("10"), run("-3", "superscript"), run("升H"), run("2", "subscript"), run("O，第1")]
    runs += [run("st", "superscript"), run("版")]
    assert read(f"<w:p>{''.join(runs)}</w:p>") == "10⁻³升H2O，第1st版"


def test_legal_numbering_keeps_the_zeros_of_plain_numbers() -> None:
    levels = numbering(
        level(0, "upperRoman", "Article %1."),
        level(1, "decimalZero", "Section %1.%2", "<w:isLgl/>"),
    )
    body = listed("Name", 1) + listed("Seat", 1, 1)
    assert read(body, numbering_xml=levels).split("\n\n") == [
        "Article I. Name",
        "Section 1.01 Seat",
    ]


@pytest.mark.parametrize(
    ("number", "form", "shown"),
    [
        (3, "chineseCounting", "三"),
        (10, "chineseCounting", "十"),
        (12, "chineseCountingThousand", "十二"),
        (20, "taiwaneseCountingThousand", "二十"),
        (105, "chineseCountingThousand", "一百零五"),
        (110, "chineseCountingThousand", "一百一十"),
        (2024, "ideographDigital", "二〇二四"),
        (3, "chineseLegalSimplified", "叁"),
        (3, "decimalEnclosedCircle", "③"),
        (2, "ideographTraditional", "乙"),
        (28, "lowerLetter", "bb"),
        (4, "upperRoman", "IV"),
        (7, "decimalZero", "07"),
        (12, "decimalFullWidth", "１２"),
        (36, "decimalEnclosedCircle", "㊱"),
        (2, "ideographEnclosedCircle", "㊁"),
        (2, "ideographLegalTraditional", "貳"),
        (61, "ideographZodiacTraditional", "甲子"),
        (22, "ordinal", "22nd"),
        (111, "ordinal", "111th"),
        (21, "ordinalText", "Twenty-first"),
        (40, "ordinalText", "Fortieth"),
        (45, "cardinalText", "Forty-five"),
        (5, "none", ""),
        (5, "unheardOf", "5"),
        (0, "lowerRoman", "0"),
    ],
)
def test_numerals(number: int, form: str, shown: str) -> None:
    assert numeral(number, form) == shown


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (("<w:p><w:del><w:r><w:delText>早上七点</w:delText></w:r></w:del>"
         "<w:ins><w:r><w:t>八点半</w:t></w:r></w:ins></w:p>"), "八点半"),
        (("<w:p><w:moveFrom><w:r><w:t>锅炉房</w:t></w:r></w:moveFrom>"
         "<w:moveTo><w:r><w:t>水泵房</w:t></w:r></w:moveTo></w:p>"), "水泵房"),
        (("<w:p><w:r><w:ruby><w:rt><w:r><w:t>Chán</w:t></w:r></w:rt><w:rubyBase><w:r>"
         "<w:t>单于</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>"), "单于"),
        ("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>隐藏</w:t></w:r><w:r><w:t>公开</w:t></w:r></w:p>",
         "公开"),
        ('<w:p><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>公开</w:t></w:r></w:p>', "公开"),
        ('<w:p><w:fldSimple w:instr="DATE"><w:r><w:t>2023年</w:t></w:r></w:fldSimple></w:p>',
         "2023年"),
        (('<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF a</w:instrText>'
         '</w:r><w:r><w:t>第三条</w:t></w:r></w:p>'), "第三条"),
        ('<w:p><w:r><w:t>同意</w:t><w:sym w:font="Wingdings" w:char="F0FE"/></w:r></w:p>', "同意☑"),
        ("<w:sdt><w:sdtContent>" + text("控件里的字") + "</w:sdtContent></w:sdt>", "控件里的字"),
        ("<w:p><w:hyperlink><w:r><w:t>网址</w:t></w:r></w:hyperlink></w:p>", "网址"),
        ('<w:p><w:pPr><w:outlineLvl w:val="1"/></w:pPr><w:r><w:t>节</w:t></w:r></w:p>', "## 节"),
        (("<w:p><m:oMath><m:f><m:fPr/><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r>"
         "</m:den></m:f></m:oMath></w:p>"), "$\\frac{1}{2}$"),
        (("<w:p><m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r>"
         "</m:den></m:f></m:oMath></w:p>"), "$\\frac{1}{2}$"),
        ("<w:p><w:r><mc:AlternateContent><mc:Choice><w:drawing><w:txbxContent>" + text("电话")
         + "</w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><w:txbxContent>"
         + text("电话") + "</w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
         "</w:p>", "电话"),
    ],
)  # fmt: skip
def test_the_finished_document_is_read(body: str, shown: str) -> None:
    assert read(body) == shown


def test_hidden_text_is_counted() -> None:
    runs = "".join(
        f"<w:r><w:rPr>{mark}</w:rPr><w:t>底价</w:t></w:r>"
        for mark in ("<w:vanish/>", '<w:color w:val="FFFFFF"/>')
    )
    found = read_docx(word_file(f"<w:p>{runs}<w:r><w:t>公开</w:t></w:r></w:p>"), "合同.docx")
    assert found == ExtractedText("公开", notes=["2 hidden texts were left out"])


def test_a_large_initial_belongs_to_its_word() -> None:
    frame = '<w:pPr><w:framePr w:dropCap="drop" w:lines="3"/></w:pPr>'
    body = f"<w:p>{frame}<w:r><w:t>T</w:t></w:r></w:p>" + text("he lease ends.") + text("End.")
    assert read(body) == "The lease ends.\n\nEnd."


def test_a_number_without_text_counts_and_stands_in_its_cell() -> None:
    levels = numbering(level(0, "decimal", "%1"))
    rows = (cell(listed("", 1)) + cell(name) for name in ("下料", "焊接"))
    body = listed("", 1) + table(cell("序号") + cell("工序"), *rows)
    assert read(body, numbering_xml=levels).split("\n") == [
        "序号: 2; 工序: 下料", "序号: 3; 工序: 焊接",
    ]  # fmt: skip


def test_a_list_of_notes_without_numbers() -> None:
    levels = numbering(level(0, "none", "注："))
    assert read(listed("厚度不大于16mm", 1), numbering_xml=levels) == "注： 厚度不大于16mm"


def test_signs_of_symbol_fonts() -> None:
    def sign(font: str, code: str) -> str:
        return f'<w:r><w:sym w:font="{font}" w:char="{code}"/></w:r>'

    typed = '<w:r><w:rPr><w:rFonts w:ascii="Wingdings 2"/></w:rPr><w:t>R</w:t></w:r>'
    runs = [sign("Wingdings 2", "0052"), typed, sign("Symbol", "F06D"), sign("Wingdings", "F0FC")]
    assert read(f"<w:p>{''.join(runs)}</w:p>") == "☑☑μ✓"


def test_word_art() -> None:
    art = '<w:pict><v:textpath xmlns:v="urn:schemas-microsoft-com:vml" string="内部资料"/></w:pict>'
    assert read(f"<w:p><w:r><w:t>正文</w:t>{art}</w:r></w:p>") == "正文\n\n内部资料"


def test_a_level_that_names_no_start_begins_at_zero() -> None:
    levels = numbering(level(0, "decimalZero", "%1").replace('<w:start w:val="1"/>', ""))
    assert read(listed("甲", 1) + listed("乙", 1), numbering_xml=levels) == "00 甲\n\n01 乙"


def bold(words: str) -> str:
    return f"<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>{words}</w:t></w:r></w:p>"


def test_rows_and_ends_of_paragraphs_that_were_deleted() -> None:
    ended = "<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>前半句与</w:t></w:r></w:p>"
    rows = f"<w:tr>{cell('品')}{cell('价')}</w:tr><w:tr>{cell('茶')}{cell('8')}</w:tr>"
    gone = f"<w:tr><w:trPr><w:del/></w:trPr>{cell('酒')}{cell('9')}</w:tr>"
    assert read(ended + text("后半句。") + f"<w:tbl>{rows}{gone}</w:tbl>").split("\n\n") == [
        "前半句与后半句。", "品: 茶; 价: 8",
    ]  # fmt: skip


def test_choices_and_boxes_of_forms() -> None:
    def field(data: str) -> str:
        begin = f'<w:fldChar w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar>'
        return f"<w:r>{begin}</w:r>"

    entries = '<w:result w:val="1"/><w:listEntry w:val="男"/><w:listEntry w:val="女"/>'
    choice = field(f"<w:ddList>{entries}</w:ddList>")
    ticked = field('<w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox>')
    empty = field('<w:checkBox><w:default w:val="0"/></w:checkBox>')
    words = (f"<w:r><w:t>{word}</w:t></w:r>" for word in ("性别：", "已婚", "未婚"))
    runs = [part for pair in zip(words, (choice, ticked, empty), strict=True) for part in pair]
    assert read(f"<w:p>{''.join(runs)}</w:p>") == "性别：女已婚☒未婚☐"


def test_a_row_that_begins_in_a_later_column() -> None:
    head = "".join(map(cell, ("品名", "一月", "二月")))
    late = f'<w:tr><w:trPr><w:gridBefore w:val="1"/></w:trPr>{cell("5")}{cell("6")}</w:tr>'
    assert read(f"<w:tbl><w:tr>{head}</w:tr>{late}</w:tbl>") == (
        "品名 | 一月 | 二月\n一月: 5; 二月: 6"
    )


def test_a_bold_line_over_text_is_a_heading() -> None:
    styled = '<w:p><w:pPr><w:outlineLvl w:val="0"/></w:pPr><w:r><w:t>规定</w:t></w:r></w:p>'
    body = [styled, bold("采购流程"), text("先申请。"), bold("注意："), text("须经批准。")]
    body += [bold("第二章 验收"), text("到货后验收。"), bold("甲方"), bold("乙方")]
    assert read("".join(body)).split("\n\n") == [
        "# 规定", "## 采购流程", "先申请。", "注意：", "须经批准。", "第二章 验收", "到货后验收。",
        "甲方", "乙方",
    ]  # fmt: skip
    off = bold("采购流程").replace("<w:b/>", '<w:b w:val="0"/>')
    assert read(off + text("先申请。")) == "采购流程\n\n先申请。"


def test_merged_cells_stand_in_each_row_and_column() -> None:
    down, on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    body = table(
        cell("分厂") + cell("车间") + cell("人数"),
        cell("一分厂", down) + cell("铸造") + cell("42"),
        cell("", on) + cell("锻造") + cell("35"),
        cell("合计", '<w:gridSpan w:val="2"/>') + cell("77"),
    )
    assert read(body).split("\n") == [
        "分厂: 一分厂; 车间: 铸造; 人数: 42",
        "分厂: 一分厂; 车间: 锻造; 人数: 35",
        "分厂: 合计; 人数: 77",
    ]


def test_a_table_in_a_cell_is_a_table() -> None:
    inner = table(cell("姓名") + cell("时段"), cell("工号1021") + cell("8:30"))
    body = table(cell("班次") + cell("人员"), cell("白班") + cell(inner))
    assert read(body) == "班次 | 人员\n班次: 白班\n\n姓名: 工号1021; 时段: 8:30"


def test_heads_and_feet_are_written_once() -> None:
    body = text("正文") + (
        '<w:p><w:pPr><w:sectPr><w:headerReference r:id="header1.xml"/></w:sectPr></w:pPr></w:p>'
        '<w:sectPr><w:headerReference r:id="header2.xml"/><w:footerReference r:id="footer1.xml"/>'
        "</w:sectPr>"
    )
    parts = {
        "header1.xml": root("hdr", text("文件编号：ZB-2023-017")),
        "header2.xml": root("hdr", text("文件编号：ZB-2023-017")),
        "footer1.xml": root("ftr", text("第 1 页") + text("批准人：周某某")),
    }
    found = read_docx(word_file(body, parts), "a.docx").text
    assert found == "文件编号：ZB-2023-017\n\n正文\n\n批准人：周某某"


def test_a_damaged_head_costs_only_itself() -> None:
    body = text("正文") + '<w:sectPr><w:headerReference r:id="header1.xml"/></w:sectPr>'
    parts = {"header1.xml": root("hdr", text("文件编号"))[:-3]}
    found = read_docx(word_file(body, parts), "a.docx")
    assert found.text == "正文"
    assert "1 damaged part was not read" in found.notes


def test_footnotes_and_comments_are_marked() -> None:
    body = (
        '<w:p><w:r><w:t>钥匙放在门卫室。</w:t><w:footnoteReference w:id="2"/>'
        '<w:commentReference w:id="0"/></w:r></w:p>'
    )
    shown = read(
        body,
        footnotes_xml=root("footnotes", f'<w:footnote w:id="2">{text("二楼")}</w:footnote>'),
        comments_xml=root(
            "comments", f'<w:comment w:id="0" w:author="周某">{text("已改")}</w:comment>'
        ),
    )
    assert shown.split("\n\n") == ["钥匙放在门卫室。[^2]", "[^2]: 二楼", "> 批注（周某）: 已改"]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("chunk.html", "<html><body><p>合同总价四十二万元</p></body></html>"),
        ("chunk.docx", word_file(text("合同总价四十二万元"))),
        ("chunk.txt", "合同总价四十二万元"),
    ],
)
def test_parts_in_other_formats_are_read(part: str, content: str | bytes) -> None:
    body = text("前言。") + f'<w:altChunk r:id="{part}"/>'
    data = word_file(body, {part: content})
    assert read_docx(data, "a.docx").text == "前言。\n\n合同总价四十二万元"


def test_what_is_not_read_is_counted() -> None:
    picture = "<w:p><w:r><w:drawing><pic:pic/></w:drawing></w:r></w:p>"
    body = text("正文") + picture * 2 + '<w:altChunk r:id="chunk.bin"/>'
    notes = read_docx(word_file(body, {"chunk.bin": b"\x00"}), "a.docx").notes
    assert notes == ["1 embedded document was not read", "2 pictures were not read"]


def test_text_too_small_or_white_on_white_is_left_out() -> None:
    def run(properties: str, word: str) -> str:
        return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{word}</w:t></w:r>"

    white, shaded = '<w:color w:val="FFFFFF"/>', '<w:shd w:fill="000000"/>'
    runs = [
        run('<w:sz w:val="2"/>', "微小"),
        run(white, "白字"),
        run(white + shaded, "黑底白字"),
        run('<w:color w:val="FF0000"/><w:sz w:val="21"/>', "红字"),
    ]
    body = f"<w:p>{''.join(runs)}</w:p>{table(cell('<w:p>' + run(white, '表头') + '</w:p>'))}"
    found = read_docx(word_file(body), "a.docx").text
    assert "黑底白字红字" in found
    assert "表头" in found
    assert "微小" not in found
    assert found.count("白字") == 1


def test_charts_and_diagrams_stand_where_they_are_drawn() -> None:
    def drawn(item: str) -> str:
        return f"<w:p><w:r><w:drawing>{item}</w:drawing></w:r></w:p>"

    chart = drawn(f'<c:chart {NAMES} r:id="chart1.xml"/>')
    diagram = drawn('<dgm:relIds r:dm="data1.xml"/>')
    read = read_docx(
        word_file(
            text("前文") + chart + text("中间") + diagram + text("后文"),
            {"chart1.xml": CHART, "data1.xml": DIAGRAM},
        ),
        "a.docx",
    )
    assert read.text.split("\n\n") == [
        *("前文", "各店销售额", "无锡店; 一月: 13.1%; 二月: 150", "苏州店; 二月: 162", "中间"),
        *("申请人填单", "  - 附发票", "部门经理审核", "财务总监签字", "后文"),
    ]
    assert read.notes == []


@pytest.mark.parametrize("damage", ["<c:chartSpace", "", "<x/>"])
def test_a_damaged_chart_costs_only_itself(damage: str) -> None:
    chart = f'<w:p><w:r><w:drawing><c:chart {NAMES} r:id="chart1.xml"/></w:drawing></w:r></w:p>'
    assert (
        read_docx(word_file(text("前文") + chart, {"chart1.xml": damage}), "a.docx").text == "前文"
    )


def test_pictures_of_a_header_are_its_own() -> None:
    picture = (
        '<w:p><w:r><w:drawing><pic:pic><a:blip r:embed="rId1"/></pic:pic></w:drawing></w:r></w:p>'
    )
    with Image.new("RGB", (90, 90), "white") as image, io.BytesIO() as file:
        image.save(file, "png")
        png = file.getvalue()
    data = word_file(
        '<w:p><w:pPr><w:sectPr><w:headerReference r:id="header1.xml"/></w:sectPr></w:pPr></w:p>'
        + text("正文"),
        {
            "header1.xml": root("hdr", picture),
            "_rels/header1.xml.rels": relations(image="logo.png"),
            "logo.png": png,
        },
    )
    word = PageCharacters([Char("章", 10, 10, 30, 30, 20)])
    assert read_docx(data, "a.docx", lambda _: word).text == "章\n\n正文"


def test_cells_of_a_form_that_cover_several_columns_are_read_once() -> None:
    wide = '<w:gridSpan w:val="4"/>'
    rows = (
        cell("姓名") + cell("李某", wide) + cell("性别", wide) + cell("女"),
        cell("民族") + cell("", wide) + cell("籍贯", wide) + cell("绵州"),
        cell("身份证号") + cell("", wide) + cell("职务", wide) + cell(""),
    )
    text_of_form = read(table(*rows))
    assert text_of_form.split("\n") == [
        "姓名: 李某; 性别: 女",
        "民族; 籍贯: 绵州",
        "身份证号; 职务",
    ]


@pytest.mark.parametrize(
    ("equation", "right"),
    [
        (
            (
                "<m:nary><m:naryPr/><m:sub><m:r><m:t>0</m:t></m:r></m:sub>"
                "<m:sup><m:r><m:t>1</m:t></m:r></m:sup><m:e><m:r><m:t>x</m:t></m:r></m:e></m:nary>"
            ),
            r"$\int_{0}^{1}x$",
        ),
        (
            (
                "<m:sSup><m:e><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t>"
                "</m:r></m:den></m:f></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>"
            ),
            r"${\frac{a}{b}}^{2}$",
        ),
        (
            (
                "<m:borderBox><m:borderBoxPr/><m:e><m:r><m:t>a</m:t></m:r></m:e></m:borderBox>"
                "<m:sPre><m:sub><m:r><m:t>1</m:t></m:r></m:sub><m:sup><m:r><m:t>2</m:t></m:r>"
                "</m:sup><m:e><m:r><m:t>H</m:t></m:r></m:e></m:sPre>"
            ),
            "$a{}_{1}^{2}H$",
        ),
    ],
)
def test_equations_that_the_converter_reads_wrongly(equation: str, right: str) -> None:
    assert read(f"<w:p><m:oMath>{equation}</m:oMath></w:p>") == right


def test_levels_and_lists_that_belong_to_styles() -> None:
    def styled(word: str, style: str) -> str:
        return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{word}</w:t></w:r></w:p>'

    numbered = '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>'
    styles = "".join(f'<w:style w:styleId="{key}">{numbered}</w:style>' for key in ("章", "条"))
    levels = (
        level(0, "chineseCounting", "第%1章", '<w:pStyle w:val="章"/>')
        + level(1, "decimal", "%1.%2", '<w:pStyle w:val="条"/><w:isLgl/>')
    )  # fmt: skip
    lists = (
        f'<w:abstractNum w:abstractNumId="7"><w:styleLink w:val="L"/>{levels}</w:abstractNum>'
        '<w:abstractNum w:abstractNumId="8"><w:numStyleLink w:val="L"/></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="8"/></w:num>'
    )
    body = styled("总则", "章") + styled("范围", "条") + styled("职责", "章") + styled("主任", "条")
    parts = {"numbering_xml": root("numbering", lists), "styles_xml": root("styles", styles)}
    assert read(body, **parts).split("\n\n") == [
        "第一章 总则",
        "1.1 范围",
        "第二章 职责",
        "2.1 主任",
    ]


def test_numbers_filled_up_with_zeros() -> None:
    custom = (
        '<w:lvl w:ilvl="0"><w:start w:val="8"/><mc:AlternateContent><mc:Choice Requires="w14">'
        '<w:numFmt w:val="custom" w:format="001, 002, 003, ..."/></mc:Choice><mc:Fallback>'
        '<w:numFmt w:val="decimal"/></mc:Fallback></mc:AlternateContent><w:lvlText w:val="附%1"/>'
        "</w:lvl>"
    )
    assert read(listed("图纸", 1), numbering_xml=numbering(custom)) == "附008 图纸"


def test_cells_that_are_merged_in_the_old_way_or_deleted() -> None:
    head = cell("项目") + cell("收入", '<w:hMerge w:val="restart"/>') + cell("", "<w:hMerge/>")
    deleted = cell("作废", "<w:cellDel/>")
    rows = (
        head + deleted,
        cell("") + cell("门票") + cell("餐饮") + deleted,
        cell("一月") + cell("31") + cell("12") + deleted,
        cell("二月") + cell("28") + cell("9") + deleted,
    )
    assert read(table(*rows)).split("\n") == [
        "项目: 一月; 收入/门票: 31; 收入/餐饮: 12", "项目: 二月; 收入/门票: 28; 收入/餐饮: 9",
    ]  # fmt: skip


def test_comments_on_cells_are_below_their_table() -> None:
    comment = f'<w:comment w:id="1" w:author="罗工">{text("此数待核")}</w:comment>'
    marked = '<w:p><w:r><w:t>88</w:t><w:commentReference w:id="1"/></w:r></w:p>'
    body = table(cell("项") + cell("值"), cell("产能") + cell(marked), cell("库存") + cell("12"))
    assert read(body, comments_xml=root("comments", comment)).split("\n\n") == [
        "项: 产能; 值: 88\n项: 库存; 值: 12", "> 批注（罗工）: 此数待核",
    ]  # fmt: skip


def test_text_of_drawings_of_other_kinds() -> None:
    canvas = (
        "<a:graphicData><a:txBody><a:p><a:r><a:t>底层</a:t></a:r></a:p></a:txBody></a:graphicData>"
    )
    box = f'<x:txbx xmlns:x="urn:x"><x:txbxContent>{text("旁注")}</x:txbxContent></x:txbx>'
    drawings = "".join(f"<w:r><w:drawing>{each}</w:drawing></w:r>" for each in (canvas, box))
    assert read(f"<w:p><w:r><w:t>正文</w:t></w:r>{drawings}</w:p>") == "正文\n\n底层\n\n旁注"
