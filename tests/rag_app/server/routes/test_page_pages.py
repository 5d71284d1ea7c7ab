"""The page in a real browser: the pages of a PDF beside the answer, with the passage highlighted.

On a light desk in Chinese and on a dark phone in English.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.keys import Keys

from tests.rag_app.documents.pdf.drawing import lines, pdf
from tests.rag_app.server import browser as browsers
from tests.rag_app.server.browser import Browser
from tests.rag_app.server.serving import Served, serving, upload
from tests.scripted import JudgingChatModel

pytestmark = browsers.NEEDED

QUESTION = "李白是怎样去世的？"
ANSWER = "宝应元年，李白在当涂病逝。"
OTHER = ["江上的商人贩运茶叶与瓷器，账目分明，四时往来不绝，乡里称便，官府亦不", "加禁止。"]
TOLD = ["李白晚年投靠族叔李阳冰。宝应元年，李白在当涂病逝。", "后人为他修墓。"]
DATA = pdf(
    lambda canvas: lines(canvas, OTHER),
    lambda canvas: lines(canvas, TOLD, y=300),
    lambda canvas: lines(canvas, OTHER),
)
SEEN = """
    const found = document.querySelector("#viewer-page rect");
    if (!found) return false;
    const mark = found.getBoundingClientRect();
    const box = document.querySelector("#viewer-page").getBoundingClientRect();
    return mark.width > 20 && mark.top >= box.top && mark.bottom <= box.bottom + 1
        && mark.left >= box.left && mark.left < box.right;
"""


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    model = JudgingChatModel(replies=[ANSWER], judgements=[4.0])
    with serving(llm=model, threshold=0.0) as running:
        with running.client() as client:
            upload(client, "人物", **{"李白.pdf": DATA, "甲.txt": "没有页码的文字。"})
        yield running


@pytest.fixture
def page(served: Served, browser: Browser, device: str) -> Iterator[Browser]:
    browser.open(served.url)
    browser.of(device)
    browser.complaints()
    yield browser
    browser.dark(False)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []


def open_source(page: Browser) -> None:
    """Ask, and open the passage that carries the answer."""
    page.ask(QUESTION)
    page.shown("#retry")
    page.click('[data-testid="evidence"]')
    page.shown("#viewer-page img")


def test_the_passage_is_highlighted_on_its_page(page: Browser, device: str) -> None:
    open_source(page)
    page.until(lambda: page.run(SEEN))
    assert page.shown("#page-number").text == "2 / 3"
    assert "2" in str(page.find("#viewer-page img").get_attribute("alt"))
    said = page.find("#viewer-page figcaption").get_attribute("textContent")
    assert ANSWER in str(said)
    assert page.focused() == "viewer-page"
    page.screenshot(f"{page.language}-12-page-{device}")
    page.click("#page-zoom")
    box = page.find("#viewer-page")
    assert page.run("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    assert page.run(SEEN)
    turn_pages_by_keyboard(page)


def turn_pages_by_keyboard(page: Browser) -> None:
    """Turn to the last page, to the text, and back."""
    page.run("document.querySelector('#view-page').focus()")
    page.tab_to("page-after")
    page.press(Keys.ENTER)
    page.until(lambda: page.find("#page-number").text == "3 / 3")
    page.until(lambda: not page.all("#viewer-page rect"))
    assert not page.find("#page-after").is_enabled()
    page.click("#view-text")
    assert page.shown("#viewer mark").text == ANSWER
    assert page.find("#view-text").get_attribute("aria-pressed") == "true"
    page.click("#view-page")
    page.until(lambda: page.run(SEEN))
    page.press(Keys.ESCAPE)
    page.gone("#viewer")
    assert page.focused() == "evidence"


def test_a_file_that_was_changed_is_shown_as_text(page: Browser, home: Path) -> None:
    (file,) = (home / "indexes/人物/files").glob("*.pdf")
    file.write_bytes(DATA + b"\n")
    page.ask(QUESTION)
    page.shown("#retry")
    page.click('[data-testid="evidence"]')
    assert page.shown("#viewer mark").text == ANSWER
    page.until(lambda: "李白.pdf" in page.find("#viewer-note").text)
    assert "409" in "".join(page.complaints())


def test_of_many_documents_those_in_sight_have_rows_and_all_are_searched(
    home: Path, browser: Browser
) -> None:
    files = {f"年{n % 3}/{n:03}.txt": f"第{n}份文件。" for n in range(130)}
    rows = "return document.querySelectorAll('#documents .document').length"
    with serving() as running, running.client() as client:
        upload(client, "多", **files)
        browser.open(running.url)
        browser.until(lambda: 0 < browser.run(rows) < 130)
        first = browser.find("#documents .document")
        assert first.get_attribute("aria-setsize") == "130"
        browser.shown("#document-search").send_keys("年1/11")
        wanted = sum(name.startswith("年1/11") for name in files)
        browser.until(lambda: browser.run(rows) == wanted)
        browser.find("#document-search").send_keys("没有")
        browser.shown("#no-documents")
        browser.find("#document-search").send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)
        browser.until(lambda: browser.run(rows) >= 100)
        browser.run("document.querySelector('#library').scrollTop = 1e9")
        browser.until(lambda: browser.run(rows) > 100)
        assert browser.complaints() == []


def test_more_of_a_long_text_is_shown_and_a_gone_one_keeps_its_passage(
    home: Path, browser: Browser, device: str
) -> None:
    other = "江上的商人贩运茶叶与瓷器，乡里称便。\n" * 1500
    model = JudgingChatModel(replies=[ANSWER], judgements=[4.0])
    with serving(llm=model, threshold=0.0) as running, running.client() as client:
        upload(client, "人物", **{"长.txt": f"{other}{ANSWER}\n{other}"})
        browser.open(running.url)
        browser.of(device)
        browser.ask(QUESTION)
        browser.shown("#retry")
        browser.click('[data-testid="evidence"]')
        assert browser.shown("#viewer mark").text == ANSWER
        length = "return document.querySelector('#viewer-text').textContent.length"
        seen = browser.run(length)
        for name in ("earlier", "later"):
            button = browser.all("#viewer .more")[0 if name == "earlier" else -1]
            browser.run("arguments[0].scrollIntoView({block: 'center'})", button)
            button.click()
            assert browser.run(length) > seen + 5000
            seen = browser.run(length)
        assert not browser.all("#viewer .more")
        assert seen == len(f"{other}{ANSWER}\n{other}".rstrip())
        browser.press(Keys.ESCAPE)
        browser.gone("#viewer")
        (document,) = client.get("/v1/indexes/人物/documents").json()["data"]
        client.delete(f"/v1/indexes/人物/documents/{document['id']}").raise_for_status()
        browser.reload()
        browser.click('[data-testid="evidence"]')
        assert browser.shown("#viewer mark").text == ANSWER
        assert browser.find("#viewer-note").text
        browser.complaints()
