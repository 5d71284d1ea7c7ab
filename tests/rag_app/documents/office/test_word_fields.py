import zipfile
from io import BytesIO

import pytest

from rag_app.documents.office.word.docx import read_docx
from rag_app.documents.office.word.eq_fields import eq_text
from tests.rag_app.documents.office.word import root, word_file

BEGIN, SEPARATE, END = (
    f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end")
)


def read(body: str, **parts: str | bytes) -> str:
    named = {name.replace("_", "."): content for name, content in parts.items()}
    return read_docx(word_file(body, named), "合同.docx").text


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def code(text: str) -> str:
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


def field(instruction: str, result: str) -> str:
    return BEGIN + instruction + SEPARATE + result + END


def test_fields_in_the_code_of_others_are_not_shown() -> None:
    merged = field(code("MERGEFIELD 性别"), run("男"))
    choice = field(code("IF ") + merged + code('="男" "先生" "女士"'), run("先生"))
    assert read(f"<w:p>{run('尊敬的')}{choice}{run('：您好。')}</w:p>") == "尊敬的先生：您好。"


def test_a_code_may_go_over_paragraphs() -> None:
    body = f"<w:p>{run('甲')}{BEGIN}{code('IF 1=1')}</w:p>"
    body += f"<w:p>{run('代码里')}{SEPARATE}{run('乙')}</w:p><w:p>{run('丙')}{END}</w:p>"
    assert read(body).split("\n\n") == ["甲", "乙", "丙"]


def test_a_field_that_does_not_end_hides_nothing() -> None:
    assert read(f"<w:p>{BEGIN}{code('PAGE')}{run('第三条')}</w:p>") == "第三条"


@pytest.mark.parametrize("result", ["", SEPARATE])
def test_fields_that_are_only_a_code_show_what_it_says(result: str) -> None:
    phonetic = r'EQ \* jc2 \* "Font:宋体" \o\ad(\s\up 9(yùn),郓)'
    body = f"<w:p>{BEGIN}{code(phonetic)}{result}{END}{run('城收件：')}"
    body += f"{BEGIN}{code('MACROBUTTON NoMacro 江海公司')}{result}{END}"
    assert read(f"{body}{BEGIN}{code('XE 索引')}{result}{END}</w:p>") == "郓城收件：江海公司"


@pytest.mark.parametrize(
    ("instruction", "right"),
    [
        (r"2\f(1,\r(3,x))", r"$2\frac{1}{\sqrt[3]{x}}$"),
        (r"\o(AB,\s\up6(→))", "$AB^{→}$"),
        (r"x\s\up7(2)\s\do3(n)", "$x^{2}_{n}$"),
        (r"\b\lc\{(\a\al(x=1,y=2))", r"${\begin{matrix} x=1 \\ y=2 \end{matrix}$"),
        (r"\b\bc\|(a)", "|a|"),
        (r"\i\su(i=1,n,x)", r"$\sum_{i=1}^{n}x$"),
        (r"\x\to(AB)", r"$\overline{AB}$"),
        (r"\o\ac(□,密)", "密"),
        (r"\f(a\,b;c)", r"$\frac{a,b}{c}$"),
    ],
)
def test_equations_in_codes(instruction: str, right: str) -> None:
    assert eq_text(instruction) == right


def test_equations_without_end_are_bounded() -> None:
    assert len(eq_text(r"\f(" * 10_000)) < 1000


def _bound(store: str, path: str, shown: str, kind: str = "<w:text/>") -> str:
    names = "xmlns:n='urn:x' xmlns:dc='http://purl.org/dc/elements/1.1/'"
    bound = f'<w:dataBinding w:prefixMappings="{names}" w:xpath="{path}" w:storeItemID="{store}"/>'
    properties = f"<w:sdtPr><w:showingPlcHdr/>{bound}{kind}</w:sdtPr>"
    return f"<w:sdt>{properties}<w:sdtContent>{run(shown)}</w:sdtContent></w:sdt>"


def test_controls_show_the_data_that_a_program_put_into_a_template() -> None:
    related = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="x/customXmlProps" Target="props.xml"/></Relationships>'
    )
    described = (
        '<ds:item xmlns:ds="http://schemas.openxmlformats.org/officeDocument/2006/customXml" '
        'ds:itemID="{A1}"/>'
    )
    parts = {
        "customXml/item1.xml": '<c:deal xmlns:c="urn:x"><c:buyer>北辰 钢构</c:buyer></c:deal>',
        "customXml/props.xml": described,
        "customXml/_rels/item1.xml.rels": related,
    }
    buyer = "/n:deal[1]/n:buyer[1]"
    body = _bound("{a1}", buyer, "单击此处输入文字")
    body += _bound("{a1}", "/n:deal[1]/n:lost[1]", "，如旧")
    body += _bound("{a1}", buyer, "，选", "<w:dropDownList/>")
    body += _bound("{a1}", f"{buyer}[count(//*)>0]", "，完")  # a path that may take long
    text = read_docx(word_file(f"<w:p>{body}</w:p>", parts), "a.docx").text
    assert text == "北辰 钢构，如旧，选，完"


def test_controls_show_the_properties_of_the_document() -> None:
    title = _bound("{6C3C8BC8-F283-45AE-878A-BAB7291924A1}", "/properties[1]/dc:title[1]", "[标题]")
    file = BytesIO(word_file(f"<w:p>{title}</w:p>"))
    with zipfile.ZipFile(file, "a") as archive:
        names = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
        core = f"<properties {names}><dc:title>供货合同</dc:title></properties>"
        archive.writestr("docProps/core.xml", core)
    assert read_docx(file.getvalue(), "a.docx").text == "供货合同"


def test_the_looks_of_styles_count_for_their_runs() -> None:
    def style(kind: str, name: str, look: str) -> str:
        return f'<w:style w:type="{kind}" w:styleId="{name}"><w:rPr>{look}</w:rPr></w:style>'

    def paragraph(name: str, *runs: str) -> str:
        return f'<w:p><w:pPr><w:pStyle w:val="{name}"/></w:pPr>{"".join(runs)}</w:p>'

    def styled(name: str, text: str) -> str:
        return f'<w:r><w:rPr><w:rStyle w:val="{name}"/></w:rPr><w:t>{text}</w:t></w:r>'

    styles = style("paragraph", "Key", "<w:vanish/>") + style("character", "Old", "<w:strike/>")
    styles += style("character", "Up", '<w:vertAlign w:val="superscript"/>')
    shown = '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>看得见</w:t></w:r>'
    styles += style("paragraph", "Gone", "<w:strike/>")
    whole = '<w:r><w:rPr><w:strike w:val="0"/></w:rPr><w:t>有效</w:t></w:r>'
    assert read(paragraph("Gone", whole), styles_xml=root("styles", styles)) == "有效"
    body = paragraph("Key", run("答案：丙"), shown)
    body += paragraph("x", styled("Old", "九十元"), run("10"), styled("Up", "6"))
    assert read(body, styles_xml=root("styles", styles)) == "看得见\n\n~~九十元~~10⁶"


def test_parts_are_known_by_their_relations() -> None:
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="a" Type="{office}/styles" Target="styles2.xml"/></Relationships>'
    )
    heading = '<w:style w:styleId="1"><w:name w:val="heading 1"/></w:style>'
    body = f'<w:p><w:pPr><w:pStyle w:val="1"/></w:pPr>{run("目的")}</w:p>'
    data = word_file(body, {"styles2.xml": root("styles", heading)})
    assert read_docx(_with_relations(data, relations), "a.docx").text == "# 目的"


def _with_relations(data: bytes, relations: str) -> bytes:
    import io
    import zipfile

    from tests.rag_app.documents.making import zipped

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped(parts | {"word/_rels/document.xml.rels": relations.encode()})
