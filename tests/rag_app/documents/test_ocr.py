import io
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rag_app.documents import ocr
from rag_app.documents.loaders import FileLoader
from rag_app.documents.pdf import reader
from rag_app.documents.pdf.characters import Char, PageCharacters
from rag_app.documents.pdf.reader import read_pdf
from rag_app.errors import DocumentError
from tests.rag_app.documents.office.word import word_file
from tests.rag_app.documents.pdf.drawing import lines, pdf

LINES = ["The library is open from nine to five", "Each reader may borrow five books"]


def picture(texts: Sequence[str] = LINES, *, angle: float = 0) -> Image.Image:
    """A page with printed lines, as a scanner sees it at 100 dots an inch."""
    font = ImageFont.load_default(size=26)
    image = Image.new("RGB", (800, 300), "white")
    draw = ImageDraw.Draw(image)
    for number, text in enumerate(texts):
        draw.text((60, 70 + 60 * number), text, fill="black", font=font)
    return image.rotate(angle, expand=True, fillcolor="white")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def scripted(text: str) -> Callable[[Image.Image], PageCharacters]:
    """What reads the same line in every picture."""

    def read(image: Image.Image) -> PageCharacters:
        chars = [
            Char(char, 10.0 + 12 * n, 20, 22.0 + 12 * n, 32, 12) for n, char in enumerate(text)
        ]
        return PageCharacters(chars)

    return read


@pytest.mark.slow
@pytest.mark.parametrize("angle", [0, 3, 90, 180])
def test_a_printed_page_is_read_however_it_lies(angle: float) -> None:
    pytest.importorskip("rapidocr")
    Path("scan.png").write_bytes(png(picture(angle=angle)))
    (document,) = FileLoader("scan.png").load()
    assert document.page_content.replace("\n", " ").split() == " ".join(LINES).split()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_transparent_picture_lies_on_white(mode: str) -> None:
    pytest.importorskip("rapidocr")
    ink = picture().convert("L").point(lambda shade: 255 - shade)
    clear = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    clear.putalpha(ink)
    Path("clear.png").write_bytes(png(clear.convert(mode)))
    (document,) = FileLoader("clear.png").load()
    assert document.page_content.replace("\n", " ").split() == " ".join(LINES).split()


def test_pages_of_a_pdf_that_are_pictures_are_read() -> None:
    image = ImageReader(picture())

    def scan(canvas: Canvas) -> None:
        canvas.drawImage(image, 0, 400, 595, 220)

    data = pdf(lambda canvas: lines(canvas, ["第一页的文字。"]), scan)
    read = read_pdf(data, "a.pdf", scripted("第二页是扫描的。"))
    assert read.text == "第一页的文字。\n\n第二页是扫描的。"
    assert read.notes == []


def test_a_picture_on_a_page_of_text_is_read_where_it_stands() -> None:
    image = ImageReader(picture())

    def page(canvas: Canvas) -> None:
        lines(canvas, ["上面的一段文字说明了水泵房的位置和它每天的开放时间，并附有图。"] * 2, y=780)
        canvas.drawImage(image, 60, 400, 300, 120)

    text = read_pdf(pdf(page), "a.pdf", scripted("图中的字")).text
    assert text.endswith("图中的字")


def test_pictures_of_a_word_file_are_read() -> None:
    drawing = (
        '<w:p><w:r><w:drawing><pic:pic><a:blip r:embed="image1.png"/></pic:pic></w:drawing>'
        "</w:r></w:p>"
    )
    from rag_app.documents.office.word.docx import read_docx

    data = word_file(drawing, {"image1.png": png(picture())})
    assert read_docx(data, "a.docx", scripted("盖章处")).text == "盖章处"


def test_without_the_extra_it_is_said_how_to_read_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "find_spec", lambda name: None)
    Path("scan.png").write_bytes(png(picture()))
    with pytest.raises(DocumentError, match=r"rag-app\[ocr\]"):
        FileLoader("scan.png").load()
    Path("page.pdf").write_bytes(pdf(lambda canvas: lines(canvas, ["文字"])))
    with pytest.raises(DocumentError, match=r"rag-app\[ocr\]"):
        FileLoader("page.pdf", ocr="always").load()


def test_pictures_are_left_alone_if_one_says_so() -> None:
    Path("scan.png").write_bytes(png(picture()))
    with pytest.raises(DocumentError, match="picture"):
        FileLoader("scan.png", ocr="never").load()


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("二O二四年三月", "二〇二四年三月"),
        (
            "一九九o年，二○○八年，二。二四年，二口一O年",
            "一九九〇年，二〇〇八年，二〇二四年，二〇一〇年",
        ),
        ("一O三号楼，二0日", "一〇三号楼，二〇日"),
        ("共二。三月交货，O型血，A0纸，一口二三", "共二。三月交货，O型血，A0纸，一口二三"),
        ("2008年，第一O号", "2008年，第一〇号"),
    ],
)
def test_zeros_among_chinese_numerals(
    read: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Engine:
        """Finds one line in every picture, and reads the same in it."""

        def __call__(self, image: object, *, use_det: bool, **_: bool) -> SimpleNamespace:
            corners = [[0, 0], [400, 0], [400, 30], [0, 30]]
            return SimpleNamespace(boxes=[corners] if use_det else None, txts=[read], scores=[1.0])

    monkeypatch.setattr(ocr, "_engine", Engine)
    found = ocr.read_picture(Image.new("RGB", (500, 100), "white"))
    assert "".join(char.text for char in found.chars) == right


def test_a_larger_line_of_a_picture_is_its_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "县档案馆 卷宗0417": (60, 40, 290, 76),
        "石门渡口志略": (340, 100, 608, 154),
        "石门渡口在县城以东，两岸山势夹峙，形如石门。": (140, 180, 872, 227),
        "渡口始设于明万历九年，初为民渡，过河者给米。": (140, 240, 872, 282),
        "清康熙二十三年改为官渡，造大船两只，有渡夫。": (140, 300, 872, 343),
    }

    class Engine:
        """Finds the lines, and reads in each what stands in one of its height."""

        def __call__(self, image: Any, *, use_det: bool, **_: bool) -> SimpleNamespace:
            if use_det:
                corners = [[[a, b], [c, b], [c, d], [a, d]] for a, b, c, d in found.values()]
                return SimpleNamespace(boxes=corners, txts=None, scores=None)
            height = image.shape[0]
            text = next(text for text, box in found.items() if box[3] - box[1] == height)
            return SimpleNamespace(boxes=None, txts=[text], scores=[1.0])

    monkeypatch.setattr(ocr, "_engine", Engine)
    monkeypatch.setattr(ocr, "is_available", lambda: True)
    monkeypatch.setattr(ocr, "version", lambda package: "1")
    kept: dict[bytes, bytes] = {}
    pictures = SimpleNamespace(get=kept.get, keep=kept.__setitem__)
    read = ocr.reader_of("auto", "scan.png", pictures)
    assert read is not None
    data = png(Image.new("RGB", (1000, 400), "white"))
    heading, body = "# 石门渡口志略", list(found)[2]
    for _ in range(2):  # the second time it is not read, but what was kept
        text = ocr.read_image(data, "scan.png", read).text
        assert text.startswith(f"县档案馆 卷宗0417\n\n{heading}\n\n{body}")
    assert len(kept) == 1


def test_digits_of_a_font_without_a_map_are_read_in_the_picture_or_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = "\uf356\uf357\uf358\uf359"
    text = ("Last updated in the year 2017 by the club of all readers. " * 4).replace(" ", "")
    text = "".join(codes[int(char) % 4] if char.isdigit() else char for char in text)
    unmapped = "".join(char for char in text if char in codes)
    chars = [Char(char, 60 + 4 * n, 700, 64 + 4 * n, 708, 8) for n, char in enumerate(text)]
    page = PageCharacters(chars, unmapped=unmapped)
    monkeypatch.setattr(reader, "page_characters", lambda _: page)
    data = pdf(lambda canvas: lines(canvas, ["Last updated in 2017"]))
    assert read_pdf(data, "a.pdf", scripted("Updated 2017")).text == "Updated 2017"
    (note,) = read_pdf(data, "a.pdf").notes
    assert note.startswith("16 characters on page 1 have a font")
    assert PageCharacters(chars, unmapped="\uf0b7" * 28).private == 0  # bullets of Symbol
