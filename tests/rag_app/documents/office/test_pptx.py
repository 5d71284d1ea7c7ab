import io
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from lxml import etree
from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.util import Inches

from rag_app.documents.office.package import rewritten, tag
from rag_app.documents.office.pptx import read_pptx
from tests.rag_app.documents.making import pptx

DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def saved(presentation: Any) -> bytes:
    file = io.BytesIO()
    presentation.save(file)
    return file.getvalue()


def blank() -> tuple[Any, Any]:
    presentation = Presentation()
    return presentation, presentation.slides.add_slide(presentation.slide_layouts[6])


def write(slide: Any, text: str, left: float, top: float) -> Any:
    box = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(2), Inches(0.5))
    box.text_frame.text = text
    return box


def cut(damaged: str, lost: int, part: str, content: bytes) -> bytes:
    return content[:-lost] if part == damaged else content


def test_shapes_are_read_from_the_top_and_from_the_left() -> None:
    presentation, slide = blank()
    write(slide, "第三", 1, 4)
    write(slide, "第二", 5, 1)
    write(slide, "第一", 1, 1.05)
    assert read_pptx(saved(presentation), "a.pptx").text == "第一\n\n第二\n\n第三"


def test_feet_are_said_once_and_numbers_and_hidden_shapes_left_out() -> None:
    presentation = Presentation()
    for title in ("供水", "供气"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = title
        for kind, text in (("ftr", "临江水务"), ("dt", "2026年3月"), ("sldNum", "第 1 页")):
            foot = write(slide, text, 1, 6)
            foot._element.nvSpPr.nvPr.append(parse_xml(f'<p:ph {nsdecls("p")} type="{kind}"/>'))
        write(slide, "旧稿", 1, 3)._element.nvSpPr.cNvPr.set("hidden", "1")
    read = read_pptx(saved(presentation), "a.pptx")
    assert read.text.split() == ["#", "供水", "临江水务", "2026年3月", "#", "供气"]
    assert read.notes == ["2 hidden shapes were not read"]


@pytest.mark.parametrize("behind", ["nothing", "the shape", "another shape", "the page"])
def test_white_text_is_left_out_where_all_behind_it_is_white(behind: str) -> None:
    presentation, slide = blank()
    write(slide, "方案", 1, 1)
    if behind == "another shape":
        slide.shapes.add_shape(1, Inches(1), Inches(3), Inches(4), Inches(2))
    shape = write(slide, "底价", 1, 3)
    if behind == "the shape":
        shape.fill.solid()
        shape.fill.fore_color.rgb = RGBColor(0, 0, 128)
    if behind == "the page":
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = RGBColor(0, 0, 128)
    shape.text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)
    read = read_pptx(saved(presentation), "a.pptx")
    hidden = behind == "nothing"
    assert read.text.split() == (["方案"] if hidden else ["方案", "底价"])
    assert read.notes == (["1 hidden text was left out"] if hidden else [])


@pytest.mark.parametrize("drawn", [False, True])
def test_white_text_of_groups_and_of_white_cells_is_left_out(drawn: bool) -> None:
    presentation, slide = blank()
    group = slide.shapes.add_group_shape()
    if drawn:
        group.shapes.add_shape(1, Inches(1), Inches(1), Inches(3), Inches(1))
    inner = group.shapes.add_textbox(Inches(1), Inches(1), Inches(2), Inches(1))
    table = slide.shapes.add_table(2, 1, Inches(1), Inches(4), Inches(3), Inches(1)).table
    for words, frame in (("底价", inner), ("表头", table.cell(0, 0)), ("折扣", table.cell(1, 0))):
        frame.text_frame.text = words
        run = frame.text_frame.paragraphs[0].runs[0]
        run.font.color.rgb = RGBColor(255, 255, 255)
    table.cell(1, 0).fill.solid()
    table.cell(1, 0).fill.fore_color.rgb = RGBColor(255, 255, 255)
    text = read_pptx(saved(presentation), "a.pptx").text.split()
    assert text == (["底价"] if drawn else []) + ["表头"]


def test_what_is_written_by_hand_is_its_picture() -> None:
    presentation, slide = blank()
    write(slide, "签字", 1, 1)
    ink = f"""<mc:AlternateContent {nsdecls("p", "r", "a")}
        xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">
        <mc:Choice Requires="p14"><p:contentPart r:id="rId9"/></mc:Choice><mc:Fallback><p:pic>
        <p:nvPicPr><p:cNvPr id="9" name="i"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill/>
        <p:spPr/></p:pic></mc:Fallback></mc:AlternateContent>"""
    slide.shapes._spTree.append(parse_xml(ink))
    read = read_pptx(saved(presentation), "a.pptx")
    assert read.text == "签字"
    assert read.notes == ["1 picture was not read"]


def test_paragraphs_that_number_themselves() -> None:
    presentation, slide = blank()
    frame = write(slide, "目标", 1, 1).text_frame
    schemes = [("arabicPeriod", 0), ("ea1ChsPlain", 1), ("ea1ChsPlain", 1), ("arabicPeriod", 0)]
    for text, (scheme, level) in zip("甲乙丙丁", schemes, strict=True):
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = text, level
        numbering = parse_xml(f'<a:buAutoNum {nsdecls("a")} type="{scheme}" startAt="3"/>')
        paragraph._p.get_or_add_pPr().append(numbering)
    lines = read_pptx(saved(presentation), "a.pptx").text.split("\n")
    assert lines == ["目标", "3. 甲", "  三 乙", "  四 丙", "4. 丁"]


def test_what_is_struck_through_is_marked() -> None:
    presentation, slide = blank()
    paragraph = write(slide, "租金", 1, 1).text_frame.paragraphs[0]
    for text, strike in (("八千 ", "sngStrike"), ("九千元", "noStrike")):
        run = paragraph.add_run()
        run.text = text
        run._r.get_or_add_rPr().set("strike", strike)
    assert read_pptx(saved(presentation), "a.pptx").text == "租金~~八千~~ 九千元"


def test_raised_text_is_an_exponent() -> None:
    presentation, slide = blank()
    paragraph = write(slide, "占地10", 1, 1).text_frame.paragraphs[0]
    for text, baseline in (("3", "30000"), ("亩，CO", "0"), ("2", "-25000")):
        run = paragraph.add_run()
        run.text = text
        run._r.get_or_add_rPr().set("baseline", baseline)
    assert read_pptx(saved(presentation), "a.pptx").text == "占地10³亩，CO2"


@pytest.mark.parametrize(
    ("scheme", "label"),
    [("alphaLcParenBoth", "(b)"), ("romanUcPeriod", "II."), ("circleNumDbPlain", "②"), ("x", "2")],
)
def test_schemes_of_numbers(scheme: str, label: str) -> None:
    presentation, slide = blank()
    paragraph = write(slide, "甲", 1, 1).text_frame.paragraphs[0]
    numbering = parse_xml(f'<a:buAutoNum {nsdecls("a")} type="{scheme}" startAt="2"/>')
    paragraph._p.get_or_add_pPr().append(numbering)
    assert read_pptx(saved(presentation), "a.pptx").text == f"{label} 甲"


def test_a_shape_without_geometry_costs_nothing_else() -> None:
    presentation, slide = blank()
    write(slide, "负责人是基建处。", 1, 1)
    odd = write(slide, "三季度完成封顶。", 1, 2)
    properties = odd._element.spPr
    for child in list(properties):
        properties.remove(child)
    odd._element.remove(properties)
    text = read_pptx(saved(presentation), "a.pptx").text
    assert "负责人是基建处。" in text
    assert "三季度完成封顶。" in text


def test_tables_charts_groups_and_notes() -> None:
    presentation, slide = blank()
    table = slide.shapes.add_table(3, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for row, values in enumerate((("季度", "产量"), ("一季度", "15"), ("二季度", "18"))):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    data = CategoryChartData()
    data.categories = ["无锡", "常州"]
    data.add_series("销售额", (131, 88.5))
    place = (Inches(1), Inches(3), Inches(4), Inches(2))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    group = slide.shapes.add_group_shape()
    write(group, "组里的字", 1, 6)
    slide.notes_slide.notes_text_frame.text = "讲到这里停一停"
    text = read_pptx(saved(presentation), "a.pptx").text
    for line in ("季度: 二季度; 产量: 18", "销售额: 88.5", "组里的字", "讲到这里停一停"):
        assert line in text


def test_lines_of_a_paragraph_and_fields() -> None:
    presentation, slide = blank()
    box = write(slide, "第一行\v第二行", 1, 1)
    paragraph = box.text_frame.paragraphs[0]._p
    for kind, shown in (("datetime1", "2024/5/7"), ("slidenum", "12")):
        field = parse_xml(f'<a:fld {nsdecls("a")} id="{{1}}" type="{kind}"/>')
        field.append(parse_xml(f"<a:t {nsdecls('a')}>{shown}</a:t>"))
        paragraph.append(field)
    assert read_pptx(saved(presentation), "a.pptx").text == "第一行\n第二行2024/5/7"


def test_words_of_a_diagram() -> None:
    presentation, slide = blank()
    steps = ("申请人填单", "部门经理审核", "财务总监签字")
    points = "".join(
        f'<dgm:pt modelId="{n}"><dgm:t><a:bodyPr/><a:p><a:r><a:t>{step}</a:t></a:r></a:p></dgm:t>'
        "</dgm:pt>"
        for n, step in enumerate(steps)
    )
    names = f'xmlns:dgm="{DIAGRAM}" {nsdecls("a", "r", "p")}'
    data = f"<dgm:dataModel {names}><dgm:ptLst>{points}</dgm:ptLst></dgm:dataModel>"
    part = Part(
        PackURI("/ppt/diagrams/data1.xml"), "application/xml", slide.part.package, data.encode()
    )
    identity = slide.part.relate_to(part, f"{RELATIONS}/diagramData")
    slide.shapes._spTree.append(
        parse_xml(
            f"<p:graphicFrame {names}><p:nvGraphicFramePr><p:cNvPr id='9' name='x'/>"
            "<p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm><a:off x='0' y='0'/>"
            f"<a:ext cx='9' cy='9'/></p:xfrm><a:graphic><a:graphicData uri='{DIAGRAM}'>"
            f"<dgm:relIds r:dm='{identity}'/></a:graphicData></a:graphic></p:graphicFrame>"
        )
    )
    assert read_pptx(saved(presentation), "a.pptx").text.split("\n") == list(steps)


def test_a_slide_that_is_missing_costs_only_itself() -> None:
    presentation, slide = blank()
    write(slide, "甲", 1, 1)
    write(presentation.slides.add_slide(presentation.slide_layouts[6]), "乙", 1, 1)
    presentation.slides._sldIdLst[0].rId = "rId999"
    read = read_pptx(saved(presentation), "a.pptx")
    assert (read.text, read.notes) == ("乙", ["1 missing slide was not read"])


def test_hidden_slides_and_pictures_are_counted() -> None:
    from PIL import Image

    presentation, slide = blank()
    write(slide, "公开", 1, 1)
    picture = io.BytesIO()
    Image.new("L", (20, 20)).save(picture, "png")
    slide.shapes.add_picture(picture, Inches(1), Inches(2))
    other = presentation.slides.add_slide(presentation.slide_layouts[6])
    write(other, "草稿", 1, 1)
    other._element.set("show", "0")
    read = read_pptx(saved(presentation), "a.pptx")
    assert read.text == "公开"
    assert read.notes == ["1 hidden slide was not read", "1 picture was not read"]


@pytest.mark.parametrize(
    "kind",
    [
        "vnd.openxmlformats-officedocument.presentationml.slideshow",
        "vnd.openxmlformats-officedocument.presentationml.template",
        "vnd.ms-powerpoint.presentation.macroEnabled",
        "vnd.ms-powerpoint.slideshow.macroEnabled",
    ],
)
def test_shows_templates_and_files_with_macros(kind: str) -> None:
    usual = b"vnd.openxmlformats-officedocument.presentationml.presentation.main"

    def retyped(part: str, content: bytes) -> bytes:
        return content.replace(usual, f"{kind}.main".encode())

    show = rewritten(pptx(("建设", "道路分三期建设。")), retyped)
    assert read_pptx(show, "a.ppsx").text == "# 建设\n\n道路分三期建设。"


def test_a_picture_in_place_of_the_title() -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[8])
    slide.placeholders[2].text = "厂区全景"
    slide.placeholders[1].insert_picture(io.BytesIO(_picture()))
    place = next(shape for shape in slide.placeholders if shape.element.tag.endswith("}pic"))
    slide.shapes.title.element.getparent().remove(slide.shapes.title.element)
    place.element.nvPicPr.nvPr.ph.set("type", "title")
    place.element.nvPicPr.nvPr.ph.set("idx", "0")
    found = read_pptx(saved(presentation), "a.pptx")
    assert found.text == "厂区全景"
    assert found.notes == ["1 picture was not read"]


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 60), "white").save(file, "png")
    return file.getvalue()


def test_shapes_with_equations_which_old_programs_show_as_pictures() -> None:
    presentation, slide = blank()
    write(slide, "面积公式", 1, 1)
    names = (
        f'{nsdecls("p", "a")} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
        ' xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"'
        ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    )
    equation = (
        "<a14:m><m:oMath><m:r><m:t>S=</m:t></m:r><m:f><m:num><m:r><m:t>ah</m:t></m:r></m:num>"
        "<m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath></a14:m>"
    )

    def shape(number: int, paragraph: str) -> str:
        return (
            f"<p:sp><p:nvSpPr><p:cNvPr id='{number}' name='x'/><p:cNvSpPr/><p:nvPr/></p:nvSpPr>"
            "<p:spPr><a:xfrm><a:off x='9' y='2914400'/><a:ext cx='9' cy='9'/></a:xfrm></p:spPr>"
            f"<p:txBody><a:bodyPr/><a:p>{paragraph}</a:p></p:txBody></p:sp>"
        )

    new, old = shape(8, f"<a:r><a:t>即</a:t></a:r>{equation}"), shape(9, "<a:r><a:t> </a:t></a:r>")
    slide.shapes._spTree.append(
        parse_xml(
            f"<mc:AlternateContent {names}><mc:Choice Requires='a14'>{new}</mc:Choice>"
            f"<mc:Fallback>{old}</mc:Fallback></mc:AlternateContent>"
        )
    )
    text = read_pptx(saved(presentation), "a.pptx").text
    assert text == "面积公式\n\n即$S=\\frac{ah}{2}$"


def test_comments_on_slides() -> None:
    presentation, slide = blank()
    write(slide, "第三季度", 1, 1)
    package = slide.part.package

    def part(name: str, content: str) -> Part:
        return Part(PackURI(name), "application/xml", package, content.encode())

    authors = f"<p:cmAuthorLst {nsdecls('p')}><p:cmAuthor id='0' name='周某'/></p:cmAuthorLst>"
    old = f"<p:cmLst {nsdecls('p')}><p:cm authorId='0'><p:text>数字要核对</p:text></p:cm></p:cmLst>"
    words = "<a:p><a:r><a:t>{}</a:t></a:r></a:p>"
    new = (
        f'<x:cmLst xmlns:x="http://schemas.microsoft.com/office/powerpoint/2018/8/main" '
        f"{nsdecls('a')}>"
        f"<x:cm authorId='9'><x:replyLst><x:reply><x:txBody>{words.format('已核对')}"
        f"</x:txBody></x:reply></x:replyLst><x:txBody>{words.format('再看一遍')}</x:txBody></x:cm></x:cmLst>"
    )
    presentation.part.relate_to(part("/ppt/authors.xml", authors), f"{RELATIONS}/commentAuthors")
    for number, comments in enumerate((old, new)):
        slide.part.relate_to(
            part(f"/ppt/comments/c{number}.xml", comments), f"{RELATIONS}/comments"
        )
    assert read_pptx(saved(presentation), "a.pptx").text.split("\n\n") == [
        *("第三季度", "> 批注（周某）: 数字要核对", "> 批注: 再看一遍", "> 批注: 已核对"),
    ]


@pytest.mark.parametrize(
    "part",
    [
        "ppt/slideMasters/slideMaster1.xml",
        "ppt/slideLayouts/slideLayout7.xml",
        "ppt/slideLayouts/_rels/slideLayout7.xml.rels",
        "docProps/core.xml",
    ],
)
def test_what_is_damaged_beside_the_slides_costs_no_slide(part: str) -> None:
    presentation, slide = blank()
    write(slide, "自五月起施行。", 1, 1)
    data = saved(presentation)
    for lost in (3, 40, 200):
        found = read_pptx(rewritten(data, partial(cut, part, lost)), "a.pptx")
        assert found.text == "自五月起施行。"
        assert "damaged" in found.notes[0]


def test_a_damaged_slide_is_not_believed() -> None:
    presentation, slide = blank()
    write(slide, "自五月起施行。", 1, 1)
    damaged = rewritten(saved(presentation), partial(cut, "ppt/slides/slide1.xml", 9))
    with pytest.raises(etree.XMLSyntaxError):
        read_pptx(damaged, "a.pptx")


def test_what_the_master_shows_is_said_once() -> None:
    presentation = Presentation()
    slides = [presentation.slides.add_slide(presentation.slide_layouts[6]) for _ in range(2)]
    boxes = [slide.shapes.add_textbox(0, 0, 10, 10) for slide in slides]
    for box, words in zip(boxes, ("甲", "乙"), strict=True):
        box.text_frame.text = words
    drawn = deepcopy(boxes[0]._element)
    next(drawn.iter(tag("a:t"))).text = "云杉公司"
    presentation.slide_master.shapes._spTree.append(drawn)
    assert read_pptx(saved(presentation), "a.pptx").text == "甲\n\n云杉公司\n\n乙"
    for slide in slides:
        slide.element.set("showMasterSp", "0")
    assert read_pptx(saved(presentation), "a.pptx").text == "甲\n\n乙"


def test_numbers_that_a_layout_gives_its_levels() -> None:
    presentation = Presentation()
    layout = presentation.slide_layouts[1]
    body = next(each for each in layout.placeholders if each.placeholder_format.idx == 1)
    style = body.text_frame._txBody.find(tag("a:lstStyle"))
    level = etree.SubElement(style, tag("a:lvl1pPr"))
    etree.SubElement(level, tag("a:buAutoNum")).set("type", "arabicPeriod")
    slide = presentation.slides.add_slide(layout)
    slide.placeholders[1].text_frame.text = "备料\n开机"
    assert read_pptx(saved(presentation), "a.pptx").text == "1. 备料\n2. 开机"


def test_raised_and_struck_text_in_cells() -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = slide.shapes.add_table(2, 2, 0, 0, 10, 10).table
    for at, word in enumerate(("规格", "值", "10", "5")):
        table.cell(at // 2, at % 2).text = word
    run = table.cell(1, 0).text_frame.paragraphs[0].add_run()
    run.text = "3"
    run._r.get_or_add_rPr().set("baseline", "30000")
    assert read_pptx(saved(presentation), "a.pptx").text == "规格: 10³; 值: 5"


def test_heads_side_by_side_are_followed_by_their_own_texts() -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[4])
    for at, words in zip((0, 1, 2, 3, 4), ("比较", "优点", "便宜", "缺点", "慢"), strict=True):
        slide.placeholders[at].text_frame.text = words
    assert read_pptx(saved(presentation), "a.pptx").text.split("\n\n") == [
        "# 比较", "优点", "便宜", "缺点", "慢",
    ]  # fmt: skip


@pytest.mark.parametrize("above", [0, 1])
def test_names_and_figures_on_each_other_stand_together(above: int) -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    for row, words in enumerate((("营业收入", "净利润"), ("1.2亿元", "2300万元"))):
        for column, text in enumerate(words):
            top = row if not above else 1 - row
            place = (Inches(4 * column), Inches(1 + top), Inches(3), Inches(1))
            slide.shapes.add_textbox(*place).text_frame.text = text
    order = ["营业收入", "1.2亿元", "净利润", "2300万元"]
    order = [order[at ^ above] for at in range(4)]
    assert read_pptx(saved(presentation), "a.pptx").text.split("\n\n") == order
