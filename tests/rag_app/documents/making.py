"""Small real files of every format, made byte by byte or by the libraries that own the format."""

import io
import zipfile
from collections.abc import Mapping, Sequence

BIOGRAPHY = (
    "李白（701年—762年），字太白，号青莲居士，唐代诗人，被后人称为“诗仙”。他五岁随父迁居绵州，少年时读书学剑，"
    "二十五岁离开四川，漫游各地。天宝元年，他被召入长安，供奉翰林；三年后离开。晚年他病逝于当涂，终年六十一岁。"
)
POLICY = (
    "员工每年享有十五天带薪年假，工作满一年后开始计算。请假须提前三个工作日向部门主管提出申请，由人力资源部备案。"
    "未使用的年假可以顺延到次年三月三十一日，逾期作废；特殊情况经总经理批准后可以折算为工资。"
)
TRADITIONAL = (
    "臺北市立圖書館宣布，自下個月起延長週末開放時間，並且增加兒童閱讀區的座位。館長表示，去年借閱總數超過三百萬冊，"
    "其中電子書佔了四分之一。市民可以透過網路預約座位，也能使用手機辦理借書與還書。"
)
LAW = (
    "第一條 為了保障勞工權益，加強勞雇關係，促進社會與經濟發展，特制定本法；"
    "本法未規定者，適用其他法律之規定。"
    "第二條 雇主對於僱用之勞工，應預防職業上災害，建立適當之工作環境及福利設施。"
)


def zipped(parts: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def docx(*paragraphs: str, heading: str = "") -> bytes:
    from docx import Document

    document = Document()
    if heading:
        document.add_heading(heading, level=1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def docx_table(rows: Sequence[Sequence[str]]) -> bytes:
    from docx import Document

    document = Document()
    table = document.add_table(rows=len(rows), cols=len(rows[0]))
    for row, values in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def pptx(*slides: tuple[str, str]) -> bytes:
    from pptx import Presentation

    presentation = Presentation()
    for title, body in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    file = io.BytesIO()
    presentation.save(file)
    return file.getvalue()


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def epub(title: str, *chapters: str) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:'
            'container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            f"<dc:title>{title}</dc:title></metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>",
        }
        | {
            f"OEBPS/c{n}.xhtml": '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "x.dtd">'
            f"<html><head><title>x</title></head><body>{chapter}</body></html>"
            for n, chapter in enumerate(chapters)
        }
    )


_FONT = (
    "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
    "/DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light "
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> "
    "/DW 1000 /W [1 95 500] /FontDescriptor << /Type /FontDescriptor /FontName /STSong-Light "
    "/Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 "
    "/CapHeight 880 /StemV 93 >> >>] >>"
)


def pdf(*pages: Sequence[str], trailer: str = "") -> bytes:
    """A PDF of Chinese text with a font that readers have: STSong-Light (PDF 1.7, 9.7.5.2)."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        _FONT,
    ]
    for n, lines in enumerate(pages):
        shown = " T* ".join(f"<{line.encode('utf-16-be').hex()}> Tj" for line in lines)
        content = f"BT /F1 12 Tf 18 TL 72 720 Td {shown} ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    return _file(objects, trailer)


def _file(objects: Sequence[str], trailer: str = "") -> bytes:
    """The bytes of a PDF of objects, the first of which is its catalog."""
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    return (
        out
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
            f"trailer << /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\n"
            f"startxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def locked_pdf() -> bytes:
    """A PDF whose password is unknown: its digests fit none."""
    digest = "<" + "ab" * 32 + ">"
    return pdf(
        ["机密"],
        trailer=f"/ID [<{'01' * 16}> <{'01' * 16}>] /Encrypt << /Filter /Standard /V 1 /R 2 "
        f"/O {digest} /U {digest} /P -4 >>",
    )


def hidden_layer_pdf(shown: str, hidden: str) -> bytes:
    """A PDF of two layers, the second of which is off (PDF 1.7, 8.11)."""
    content = " ".join(
        f"/OC /{name} BDC BT /F1 12 Tf 72 {y} Td ({text}) Tj ET EMC"
        for name, y, text in (("On", 720, shown), ("Off", 690, hidden))
    )
    catalog = "/Pages 2 0 R /OCProperties << /OCGs [5 0 R 6 0 R] /D << /OFF [6 0 R] >> >>"
    fonts = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    layers = "/Properties << /On 5 0 R /Off 6 0 R >>"
    page = f"/MediaBox [0 0 595 842] /Contents 4 0 R /Resources << {fonts} {layers} >>"
    objects = [
        f"<< /Type /Catalog {catalog} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R {page} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /OCG /Name (Shown) >>",
        "<< /Type /OCG /Name (Hidden) >>",
    ]
    return _file(objects)
