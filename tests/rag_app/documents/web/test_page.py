import pytest

from rag_app.documents.web.page import read_page
from rag_app.errors import DocumentError

DATA = '<script id="d" type="application/json">{"a": {"b": "零下 28 度"}}</script>'


def test_a_page_that_shows_nothing_is_read_by_its_data() -> None:
    page = f"<title>冷库</title><div id=app></div>{DATA}<script>x</script>"
    assert read_page(page, "a.html") == ("冷库\n\na: b: 零下 28 度", [])


def test_data_of_a_page_that_shows_text_is_not_read() -> None:
    assert read_page(f"<h1>冷库</h1><p>每日记录。</p>{DATA}", "a.html")[0] == "# 冷库\n\n每日记录。"


def test_a_page_that_only_scripts_write_is_said() -> None:
    with pytest.raises(DocumentError, match="until its scripts run"):
        read_page("<div id=app></div><script>x</script>", "a.html")
    _, notes = read_page("<title>冷库</title><script>x</script>", "a.html")
    assert "scripts" in notes[0]
