import pytest

from rag_app.documents.pdf.appearances import Appearances
from rag_app.documents.pdf.reader import read_pdf

FONT = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
RESOURCES = "/Resources<</Font<</F 4 0 R>>>>"


def stream(entries: str, content: str) -> str:
    return f"<</Length {len(content)}{entries}>>stream\n{content}\nendstream"


def page_with(annotation: str, drawn: str) -> bytes:
    """A page with a line of text and an annotation in form 6, which draws another one."""
    look = f"/Type/XObject/Subtype/Form/BBox[0 0 200 40]{RESOURCES}"
    objects = [
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[7 0 R]>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]{RESOURCES}/Contents 5 0 R/Annots 8 0 R>>",
        FONT,
        stream("", "BT /F 12 Tf 60 700 Td (Invoice 88, total 1,200.00) Tj ET"),
        stream(look, f"BT /F 12 Tf 5 10 Td ({drawn}) Tj ET"),
        f"<</Type/Annot/Rect[300 600 500 640]/P 3 0 R/AP<</N 6 0 R>>{annotation}>>",
        "[7 0 R]",
    ]
    body = "".join(f"{at} 0 obj\n{text}\nendobj\n" for at, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>".encode()


@pytest.mark.parametrize(
    ("annotation", "is_read"),
    [
        ("/Subtype/Stamp", True),
        ("/Subtype/FreeText", True),
        ("/Subtype/Widget/FT/Sig/T(s)", True),
        ("/Subtype/Widget/FT/Tx/T(t)", True),
        ("/Subtype/Widget/FT/Tx/T(t)/Ff 8192", False),  # a password
        ("/Subtype/Stamp/F 2", False),  # hidden
        ("/Subtype/Watermark/F 32", False),  # not on the screen
    ],
)
def test_text_that_annotations_only_draw(annotation: str, is_read: bool) -> None:
    text = read_pdf(page_with(annotation, "PAID 3 May"), "a.pdf").text
    assert text.split("\n\n") == ["Invoice 88, total 1,200.00", *["PAID 3 May"] * is_read]


def test_a_value_is_not_read_twice() -> None:
    field = "/Subtype/Widget/FT/Tx/T(t)/V(Ouyang)/DA(/F 12 Tf)"
    text = read_pdf(page_with(field, "Ouyang"), "a.pdf").text
    assert text.count("Ouyang") == 1


def test_what_can_not_be_opened_again_draws_nothing() -> None:
    with Appearances(b"%PDF-") as appearances:
        assert appearances.characters(0, [0]).chars == []
