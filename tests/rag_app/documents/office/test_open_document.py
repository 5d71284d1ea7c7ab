import pytest

from rag_app.documents.extraction import kind_of
from rag_app.documents.office.open_document.document import read_odf
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import zipped

NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "text", "table", "style", "presentation")
)
NAMES += ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
NAMES += ' xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"'
NAMES += ' xmlns:chart="urn:oasis:names:tc:opendocument:xmlns:chart:1.0"'
NAMES += ' xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"'
NAMES += ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
NAMES += ' xmlns:xlink="http://www.w3.org/1999/xlink"'


def odf(kind: str, body: str, styles: str = "", **parts: str | bytes) -> bytes:
    content = (
        f"<office:document-content {NAMES}><office:automatic-styles>{styles}"
        f"</office:automatic-styles><office:body><office:{kind}>{body}</office:{kind}>"
        "</office:body></office:document-content>"
    )
    mime = f"application/vnd.oasis.opendocument.{kind}"
    return zipped({"mimetype": mime, "content.xml": content, **parts})


def test_text() -> None:
    style = (
        '<text:list-style style:name="L"><text:list-level-style-number text:level="1"'
        ' style:num-format="一, 二, 三, ..." style:num-prefix="第" style:num-suffix="条"/>'
        "</text:list-style>"
    )
    body = (
        '<text:h text:outline-level="2">总则</text:h>'
        '<text:p>甲<text:s text:c="2"/>乙<text:tab/><text:span>丙</text:span>'
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>注</text:p>"
        "</text:note-body></text:note></text:p>"
        "<text:tracked-changes><text:p>删</text:p></text:tracked-changes>"
        '<text:list text:style-name="L"><text:list-item><text:p>租金</text:p></text:list-item>'
        "<text:list-item><text:p>期限</text:p></text:list-item></text:list>"
        "<text:p><text:ruby><text:ruby-base>邯</text:ruby-base><text:ruby-text>hán</text:ruby-text>"
        "</text:ruby>郸</text:p>"
    )
    data = odf("text", body, style)
    assert kind_of(data, ".odt", "a.odt") == "odt"
    assert read_odf(data, "a.odt").text == (
        "## 总则\n\n甲  乙\t丙 [注]\n\n第一条 租金\n第二条 期限\n\n邯郸"
    )


def test_only_the_first_paragraph_of_an_item_counts() -> None:
    style = (
        '<text:list-style style:name="L"><text:list-level-style-number text:level="1"'
        ' style:num-format="1" style:num-suffix="."/></text:list-style>'
    )
    body = (
        '<text:list text:style-name="L"><text:list-item><text:p>租金</text:p>'
        "<text:p>按季支付</text:p></text:list-item>"
        "<text:list-item><text:p>期限</text:p></text:list-item></text:list>"
    )
    assert read_odf(odf("text", body, style), "a.odt").text == "1. 租金\n按季支付\n2. 期限"


def test_cells_merged_both_ways_stand_once_in_each_row() -> None:
    covered = '<table:covered-table-cell table:number-columns-repeated="2"/>'
    merged = 'table:number-columns-spanned="2" table:number-rows-spanned="2"'
    head = "".join(
        f"<table:table-cell><text:p>{name}</text:p></table:table-cell>"
        for name in ("省", "市", "人数")
    )
    first = (
        f"<table:table-cell {merged}><text:p>北京</text:p></table:table-cell>"
        "<table:covered-table-cell/><table:table-cell><text:p>8</text:p></table:table-cell>"
    )
    below = f"{covered}<table:table-cell><text:p>9</text:p></table:table-cell>"
    rows = "".join(f"<table:table-row>{cells}</table:table-row>" for cells in (head, first, below))
    assert read_odf(odf("text", f"<table:table>{rows}</table:table>"), "a.odt").text == (
        "省: 北京; 市: 北京; 人数: 8\n省: 北京; 市: 北京; 人数: 9"
    )


def test_a_cell_that_is_repeated_no_times_stands_once() -> None:
    spans = 'table:number-columns-repeated="0" table:number-columns-spanned="2"'
    row = f"<table:table-cell {spans}><text:p>甲</text:p></table:table-cell>"
    row = f"<table:table-row>{row}<table:covered-table-cell/></table:table-row>"
    assert read_odf(odf("text", f"<table:table>{row}</table:table>"), "a.odt").text == "甲"


def test_numbers_begin_where_an_item_says_and_look_as_libreoffice_writes_them() -> None:
    level = '<text:list-level-style-number text:level="{}" style:num-format="1" {}/>'
    form = "xmlns:loext='urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0'"
    form += " loext:num-list-format='%1%-%2%)'"
    style = f'<text:list-style style:name="L">{level.format(1, "")}{level.format(2, form)}'
    inner = "<text:list><text:list-item><text:p>乙</text:p></text:list-item></text:list>"
    body = f'<text:list text:style-name="L"><text:list-item><text:p>甲</text:p>{inner}'
    body += '</text:list-item><text:list-item text:start-value="7"><text:p>丙</text:p>'
    body += "</text:list-item></text:list>"
    assert read_odf(odf("text", body, style + "</text:list-style>"), "a.odt").text.split("\n") == [
        "1 甲", "1-1) 乙", "7 丙",
    ]  # fmt: skip


def test_choices_and_boxes_of_word_s_forms() -> None:
    names = "urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0"

    def field(**params: str) -> str:
        given = "".join(
            f'<field:param field:name="{name.rstrip("2")}" field:value="{value}"/>'
            for name, value in params.items()
        )
        return f'<field:fieldmark xmlns:field="{names}">{given}</field:fieldmark>'

    choice = field(Dropdown_ListEntry="男", Dropdown_ListEntry2="女", Dropdown_Selected="1")
    body = f"<text:p>{choice}士{field(Checkbox_Checked='true')}已婚</text:p>"
    assert read_odf(odf("text", body), "a.odt").text == "女士☒已婚"


def test_a_flat_file() -> None:
    body = "<office:body><office:text><text:p>甲</text:p></office:text></office:body>"
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text")
    )
    data = f"<office:document {names}>{body}</office:document>".encode()
    assert kind_of(data, ".fodt", "a.fodt") == "odt"
    assert read_odf(data, "a.fodt").text == "甲"


def test_raised_text_is_an_exponent() -> None:
    def style(name: str, place: str) -> str:
        properties = f'<style:text-properties style:text-position="{place}"/>'
        return f'<style:style style:name="{name}">{properties}</style:style>'

    styles = style("A", "super 58%") + style("B", "33% 58%") + style("C", "sub 58%")
    parts = (("10", "A", "3"), ("米", "B", "2"), ("，H", "C", "2"))
    span = '{}<text:span text:style-name="{}">{}</text:span>'
    body = f"<text:p>{''.join(span.format(*part) for part in parts)}O</text:p>"
    assert read_odf(odf("text", body, styles), "a.odt").text == "10³米²，H2O"


def test_signs_of_symbol_fonts_are_what_they_look_like() -> None:
    styles = (
        '<style:font-face style:name="F" svg:font-family="&apos;Wingdings 2&apos;"/>'
        '<style:style style:name="W"><style:text-properties style:font-name="F"/></style:style>'
        '<style:style style:name="G"><style:text-properties fo:font-family="Symbol"/></style:style>'
    )
    body = (
        '<text:p><text:span text:style-name="W">\uf052</text:span>同意，'
        '<text:span text:style-name="G">a</text:span> = 5</text:p>'
    )
    assert read_odf(odf("text", body, styles), "a.odt").text == "☑同意，α = 5"


def test_text_that_is_struck_through() -> None:
    def style(name: str, line: str, parent: str = "") -> str:
        of = f'style:parent-style-name="{parent}"' if parent else ""
        properties = f'<style:text-properties style:text-line-through-style="{line}"/>'
        return f'<style:style style:name="{name}" {of}>{properties if line else ""}</style:style>'

    styles = style("S", "solid") + style("C", "", "S") + style("N", "none", "S")
    body = (
        '<text:p>租金<text:span text:style-name="S">八百元</text:span>九百元</text:p>'
        '<text:p text:style-name="C">第二条作废</text:p><text:p text:style-name="N">第三条</text:p>'
    )
    assert read_odf(odf("text", body, styles), "a.odt").text == (
        "租金~~八百元~~九百元\n\n~~第二条作废~~\n\n第三条"
    )
    rows = [
        cell("品名") + cell("单价"),
        cell("铅笔", 'table:style-name="C"') + cell("2", 'table:style-name="C"'),
    ]
    sheet = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    body = f'<table:table table:name="价">{sheet}</table:table>'
    assert read_odf(odf("spreadsheet", body, styles), "a.ods").text == (
        "## 价\n\n品名: ~~铅笔~~; 单价: ~~2~~"
    )


def cell(text: str, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def test_workbook() -> None:
    covered = "<table:covered-table-cell/>"
    rows = [
        cell("大区") + cell("门店") + cell("增长"),
        cell("华东", 'table:number-rows-spanned="2"') + cell("苏州店") + cell("15%"),
        covered + cell("无锡店") + cell("-4%"),
        cell("合计", 'table:number-columns-spanned="2"') + covered + cell("3%"),
    ]
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    empty = '<table:table-row table:number-rows-repeated="1048570"><table:table-cell/>'
    empty += "</table:table-row>"
    hidden = (
        '<style:style style:name="H"><style:table-properties table:display="false"/></style:style>'
    )
    sheets = (
        f'<table:table table:name="门店">{body}{empty}</table:table>'
        f'<table:table table:name="底稿" table:style-name="H">{body}</table:table>'
    )
    read = read_odf(odf("spreadsheet", sheets, hidden), "a.ods")
    assert read.text.split("\n") == [
        "## 门店",
        "",
        "大区: 华东; 门店: 苏州店; 增长: 15%",
        "大区: 华东; 门店: 无锡店; 增长: -4%",
        "大区: 合计; 增长: 3%",
    ]
    assert read.notes == ["1 hidden sheet was left out"]


def test_hidden_rows_values_without_text_and_drawings_of_a_sheet() -> None:
    def row(name: str, value: str, more: str = "") -> str:
        cells = f"<table:table-cell><text:p>{name}</text:p></table:table-cell>{value}"
        return f"<table:table-row {more}>{cells}</table:table-row>"

    hidden = 'table:visibility="collapse"'
    formula = '<table:table-cell table:formula="of:=1"/>'
    number = '<table:table-cell office:value-type="float" office:value="{}"/>'
    box = "<draw:frame><draw:text-box><text:p>单位：万元</text:p></draw:text-box></draw:frame>"
    head = "<table:table-cell><text:p>销售额</text:p></table:table-cell>"
    sheet = (
        f'<table:table table:name="门店"><table:shapes>{box}</table:shapes>'
        f"<table:table-column/><table:table-column/><table:table-column {hidden}/>"
        + row("门店", head + head)
        + row("无锡店", number.format(131) + number.format(90))
        + row("常州店", formula + number.format(80))
        + row("总仓", number.format(9), hidden)
        + "</table:table>"
    )
    read = read_odf(odf("spreadsheet", sheet), "a.ods")
    lines = ["门店: 无锡店; 销售额: 131", "门店: 常州店", "单位：万元"]
    assert read.text.split("\n") == ["## 门店", "", *lines]
    assert read.notes == [
        "1 hidden row was left out",
        "1 hidden column was left out",
        (
            "1 formulas have no stored result and were left out; "
            "open and save the workbook in a spreadsheet program"
        ),
    ]


def test_white_text_is_left_out_and_counted() -> None:
    style = (
        '<style:style style:name="W"><style:text-properties fo:color="#FFFFFF"{}/></style:style>'
    )
    body = '<text:p>公开<text:span text:style-name="W">底价</text:span></text:p>'
    read = read_odf(odf("text", body, style.format("")), "a.odt")
    assert (read.text, read.notes) == ("公开", ["1 hidden text was left out"])
    dark = style.format(' fo:background-color="#000080"')
    assert read_odf(odf("text", body, dark), "a.odt").text == "公开底价"


def test_what_stands_in_an_item_is_read_once() -> None:
    cell = "<table:table-cell><text:p>乙</text:p></table:table-cell>"
    table = f"<table:table><table:table-row>{cell}</table:table-row></table:table>"
    body = f"<text:list><text:list-item><text:p>甲</text:p>{table}</text:list-item></text:list>"
    assert read_odf(odf("text", body), "a.odt").text == "- 甲\n乙"


def test_slides_are_pages() -> None:
    page = (
        "<draw:page><draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
        "<presentation:notes><draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box>"
        "</draw:frame></presentation:notes></draw:page>"
    )
    read = read_odf(odf("presentation", page.format("一", "备注") + page.format("二", "")), "a.odp")
    assert read.text == "一\n\nNotes: 备注\n\n二"
    assert list(read.page_starts) == [0, read.text.index("二")]


def test_what_means_harm_is_refused() -> None:
    locked = odf("text", "", **{"META-INF/manifest.xml": "<m><encryption-data/></m>"})
    with pytest.raises(DocumentError, match="password"):
        read_odf(locked, "a.odt")
    many = cell("x", 'table:number-columns-repeated="9999"')
    row = f'<table:table-row table:number-rows-repeated="999999">{many}</table:table-row>'
    with pytest.raises(DocumentError, match="too many cells"):
        read_odf(odf("spreadsheet", f"<table:table>{row}</table:table>"), "a.ods")
    deep = "<text:section>" * 1000 + "</text:section>" * 1000
    with pytest.raises(Exception, match=r"too deep|depth"):
        read_odf(odf("text", deep), "a.odt")


def test_equations_charts_and_pictures_in_frames() -> None:
    shown = '<draw:frame><draw:object xlink:href="./{}"/></draw:frame>'
    image = '<draw:frame><draw:image xlink:href="Pictures/a.png"/></draw:frame>'
    body = (
        f"<text:p>其中{shown.format('式')}为质量。</text:p><text:p>见图{shown.format('图')}{image}"
        "</text:p>"
    )
    math = '<?xml version="1.0"?><math><mfrac><mi>m</mi><mn>2</mn></mfrac></math>'
    rows = [cell("") + cell("销量"), cell("一月") + cell("31")]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    chart = (
        f"<office:document-content {NAMES}><office:body><office:chart><chart:chart><chart:title>"
        f"<text:p>各月销量</text:p></chart:title><table:table>{table}</table:table></chart:chart>"
        "</office:chart></office:body></office:document-content>"
    )
    parts: dict[str, str | bytes] = {
        "式/content.xml": math, "图/content.xml": chart, "Pictures/a.png": b"\x89PNG"
    }  # fmt: skip
    read = read_odf(odf("text", body, "", **parts), "a.odt")
    assert read.text.split("\n\n") == [
        "其中$\\frac{m}{2}$为质量。",
        "见图",
        "各月销量",
        "一月; 销量: 31",
    ]
    assert list(read.notes) == ["1 picture was not read"]
    damaged = odf("text", body, "", **{**parts, "图/content.xml": chart[:-9]})
    assert "其中$" in read_odf(damaged, "a.odt").text


def test_text_that_its_style_hides() -> None:
    styles = (
        '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
    )
    body = (
        '<text:p>甲<text:span text:style-name="H">密</text:span>乙</text:p>'
        '<text:p text:style-name="H">密</text:p>'
    )
    assert read_odf(odf("text", body, styles), "a.odt").text == "甲乙"


def test_comments_of_cells_stand_behind_their_text() -> None:
    comment = "<office:annotation><text:p>已核对</text:p></office:annotation>"
    rows = [
        cell("门店") + cell("增长"),
        cell("苏州店") + f"<table:table-cell>{comment}<text:p>15%</text:p></table:table-cell>",
    ]
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    sheets = f'<table:table table:name="表">{body}</table:table>'
    read = read_odf(odf("spreadsheet", sheets), "a.ods")
    assert read.text.split("\n")[2:] == ["门店: 苏州店; 增长: 15%", "> 批注（15%）: 已核对"]


def test_what_sections_and_variables_hide_is_left_out() -> None:
    body = (
        '<text:section text:display="none"><text:p>内部</text:p></text:section>'
        '<text:p><text:variable-set text:display="none">藏</text:variable-set>公开</text:p>'
    )
    found = read_odf(odf("text", body), "a.odt")
    assert found.text == "公开"
    assert found.notes == ["1 hidden text was left out"]


def test_a_numbered_paragraph_may_be_a_heading() -> None:
    level = '<text:list-level-style-number text:level="1" style:num-format="1"/>'
    style = f'<text:list-style style:name="L">{level}</text:list-style>'
    body = (
        '<text:numbered-paragraph text:style-name="L" text:level="1">'
        '<text:h text:outline-level="2">总则</text:h></text:numbered-paragraph>'
    )
    assert read_odf(odf("text", body, style), "a.odt").text == "## 1 总则"


def test_numbered_paragraphs_and_ids_that_are_there_twice() -> None:
    level = (
        '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    )
    style = f'<text:list-style style:name="L">{level}</text:list-style>'
    body = "".join(
        f'<text:numbered-paragraph text:style-name="L" text:level="1" xml:id="a"><text:p>{word}'
        "</text:p></text:numbered-paragraph>"
        for word in ("甲", "乙")
    )
    found = read_odf(odf("text", body, style), "a.odt")
    assert found.text.split("\n\n") == ["1. 甲", "2. 乙"]


def test_comments_follow_their_paragraph_and_headings_in_lists_are_headings() -> None:
    comment = (
        "<office:annotation><dc:creator>罗工</dc:creator><text:p>待核</text:p></office:annotation>"
    )
    heading = '<text:h text:outline-level="2">范围</text:h>'
    body = f"<text:p>产量{comment}三万吨。</text:p><text:list><text:list-item>{heading}"
    found = read_odf(odf("text", f"{body}</text:list-item></text:list>"), "a.odt")
    assert found.text.split("\n\n") == ["产量三万吨。", "> 批注（罗工）: 待核", "## 范围"]


def test_shapes_of_a_slide_are_read_by_where_they_stand() -> None:
    def frame(word: str, left: int, top: int, kind: str = "") -> str:
        place = f'presentation:class="{kind}" svg:x="{left}cm" svg:y="{top}cm" svg:height="1cm"'
        box = f"<draw:text-box><text:p>{word}</text:p></draw:text-box>"
        return f"<draw:frame {place}>{box}</draw:frame>"

    group = f"<draw:g>{frame('右下', 9, 8)}{frame('右上', 9, 5)}</draw:g>"
    page = f"<draw:page>{group}{frame('左', 1, 5)}{frame('标题', 1, 9, 'title')}</draw:page>"
    found = read_odf(odf("presentation", page), "a.odp")
    assert found.text.split("\n\n") == ["标题", "左", "右上", "右下"]


def test_cells_whose_format_shows_nothing() -> None:
    hidden = '<table:table-cell office:value="7"><text:p/></table:table-cell>'
    alone = '<table:table-cell office:value="8"/>'
    body = "".join(
        f"<table:table-row>{row}</table:table-row>"
        for row in (cell("项") + cell("密") + cell("值"), cell("甲") + hidden + alone)
    )
    found = read_odf(
        odf("spreadsheet", f'<table:table table:name="表">{body}</table:table>'), "a.ods"
    )
    assert found.text.split("\n")[-1] == "项: 甲; 值: 8"
