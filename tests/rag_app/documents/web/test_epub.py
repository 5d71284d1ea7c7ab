from rag_app.documents.web.epub import read_epub
from tests.rag_app.documents.making import epub, zipped

CONTAINER = '<container><rootfiles><rootfile full-path="book.opf"/></rootfiles></container>'


def test_internal_entities_are_replaced() -> None:
    entities = {"nbsp": "&#160;", "firm": "某&kind;", "kind": "厂"}
    declared = "".join(f'<!ENTITY {name} "{value}">' for name, value in entities.items())
    chapter = f"<!DOCTYPE html [{declared}]><p>甲&nbsp;&firm;&mdash;</p>"
    package = (
        '<package><manifest><item id="a" href="a%20b.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="n" href="n.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        '</manifest><spine><itemref idref="n"/><itemref idref="a"/></spine></package>'
    )
    book = {"META-INF/container.xml": CONTAINER, "book.opf": package, "a b.xhtml": chapter}
    assert read_epub(zipped(book), "a.epub").text == "甲\xa0某厂—"


def test_chapters_follow_the_spine_without_the_title_of_the_book() -> None:
    table = "<table><tr><td>品名<td>价<tr><td>米<td>3</table>"
    text = read_epub(epub("x", "<h2>其二</h2><p>乙</p>", table), "a.epub").text
    assert text == "**Title:** x\n\n## 其二\n\n乙\n\n品名: 米; 价: 3"


def test_a_missing_chapter_is_said() -> None:
    package = (
        '<package><manifest><item id="a" href="a.html"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    parts = {"META-INF/container.xml": CONTAINER, "book.opf": package}
    said = ["1 chapters are missing from the book"]
    assert read_epub(zipped(parts), "a.epub").notes == said
    other = read_epub(zipped(parts | {"a.html": "application/epub+zip"}), "a.epub")
    assert (other.text, other.notes) == ("", said)


def test_footnotes_and_boxes_belong_to_the_book() -> None:
    chapter = '<p>山泉。</p><aside epub:type="footnote" id="n">海拔九百米。</aside>'
    box = '<p>河流。</p><aside role="doc-tip">涨水勿近。</aside>'
    text = read_epub(epub("书", chapter, box), "a.epub").text
    assert "海拔九百米。" in text
    assert "涨水勿近。" in text


def test_a_chapter_may_be_a_drawing() -> None:
    package = (
        '<package><manifest><item id="a" href="a.svg" media-type="image/svg+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg"><text x="1">采菊</text><text>三斤</text></svg>'
    )
    book = {"META-INF/container.xml": CONTAINER, "book.opf": package, "a.svg": drawing}
    assert read_epub(zipped(book), "a.epub").text == "采菊 三斤"


def test_boxes_of_books_belong_to_their_text() -> None:
    book = epub("手册", "<p>路面每五年罩面。</p><aside><p>雨天停工。</p></aside>")
    assert "雨天停工。" in read_epub(book, "a.epub").text
