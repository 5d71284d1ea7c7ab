"""The page in a real browser: how sure answers are, what carries them, and jobs that are ended.

On a light desk in Chinese and on a dark phone in English.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from rag_app.models.embeddings.base import FloatArray
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server import browser as browsers
from tests.rag_app.server.browser import Browser
from tests.rag_app.server.serving import Served, serving, upload
from tests.scripted import JudgingChatModel

pytestmark = browsers.NEEDED

QUESTION = "李白是怎样去世的？"
CARRYING = "宝应元年，李白在当涂病逝，终年六十二岁。"
ANSWER = f"{CARRYING}他投靠了族叔李阳冰。"
TEXT = f"𠮷野的商人贩运茶叶。\n\n李白晚年投靠族叔李阳冰。{CARRYING}\n\n乡里称便，四时往来。\n"
FITS = "return document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture
def judging(home: Path) -> Iterator[Served]:
    """A server whose model says how sure it is; it never refuses."""
    model = JudgingChatModel(replies=[ANSWER], judgements=[4.0])
    with serving(llm=model, threshold=0.0) as served:
        with served.client() as client:
            upload(client, "人物", **{"李白.txt": TEXT})
        yield served


@pytest.fixture
def page(judging: Served, browser: Browser, device: str) -> Iterator[Browser]:
    browser.open(judging.url)
    browser.of(device)
    browser.complaints()
    yield browser
    assert browser.run(FITS)
    assert browser.complaints() == []


def ask(page: Browser, question: str = QUESTION) -> None:
    page.ask(question)
    page.shown("#retry")


def test_an_answer_says_how_sure_it_is_and_why(page: Browser) -> None:
    ask(page)
    trust = page.shown('[data-testid="trust"]')
    assert trust.get_attribute("data-verdict") == "sure"
    assert ("可靠" if page.language == "zh" else "Sure") in page.shown(".verdict").text
    assert not page.find(".reasons").is_displayed()
    page.click('[data-testid="confidence"] summary')
    reasons = page.shown(".reasons").text.splitlines()
    assert len(reasons) == 4
    judged = (
        "模型判断这些段落回答了问题" if page.language == "zh" else "judges that the passages answer"
    )
    assert judged in reasons[2]
    size = "phone" if page.run("return innerWidth") < 600 else "desk"
    page.screenshot(f"{page.language}-10-trust-{size}")


def test_what_may_carry_it_is_shown_until_the_answer_begins(judging: Served, page: Browser) -> None:
    judging.model.delay = 1.0  # before each token
    judging.model.replies[:] = ["当涂。"]
    page.until(lambda: page.find("#index-select").get_attribute("value"))
    page.find("#question").send_keys(QUESTION)
    page.click("#send")
    waiting = page.shown('[data-testid="likely"]').text
    assert waiting.startswith("李白.txt: 李白")
    page.shown("#retry")
    page.gone('[data-testid="likely"]')


def test_the_sentence_that_carries_it_opens_its_document(page: Browser) -> None:
    ask(page)
    evidence = page.shown('[data-testid="evidence"]')
    assert CARRYING in evidence.text
    assert "李白.txt" in evidence.text
    evidence.click()
    assert page.shown("#viewer mark").text == CARRYING
    page.press(Keys.ESCAPE)
    page.gone("#viewer")
    assert page.focused() == "evidence"
    page.reload()
    assert CARRYING in page.shown('[data-testid="evidence"]').text


def test_a_doubt_is_visible(judging: Served, page: Browser) -> None:
    judging.model.judgements[:] = [-3.0]
    ask(page)
    trust = page.shown('[data-testid="trust"]')
    assert trust.get_attribute("data-verdict") == "doubtful"
    page.click('[data-testid="confidence"] summary')
    no = "没有回答问题" if page.language == "zh" else "do not answer the question"
    assert no in page.shown(".reasons").text


def hint_with(page: Browser, sentence: str) -> None:
    """Wait until a hint shows a sentence."""
    page.until(lambda: sentence in page.find("#hint").text)


def test_pointing_at_a_mark_shows_its_sentence(page: Browser) -> None:
    ask(page)
    first, second = page.all(".citation")
    for mark, sentence in ((first, CARRYING), (second, "李白晚年投靠族叔李阳冰。")):
        ActionChains(page.driver).move_to_element(mark).perform()
        hint_with(page, sentence)
        box, wide = page.find("#hint").rect, page.run("return innerWidth")
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= wide
    page.press(Keys.ESCAPE)
    page.gone("#hint")
    page.find("#question").click()
    page.run("document.querySelector('.citation').scrollIntoView({block: 'center'})")
    while page.focused() != "citation":
        page.press(Keys.TAB, held=Keys.SHIFT)
    page.shown("#hint")
    assert page.run("return document.activeElement.getAttribute('aria-describedby')") == "hint"
    page.press(Keys.ENTER)
    page.shown("#viewer mark")
    assert not page.all("#hint")


def test_the_conversation_is_exported(page: Browser) -> None:
    ask(page)
    ask(page, "李白投靠了谁？")
    page.until(lambda: len(page.all(".turn")) == 2)
    page.click("#export-chat")
    (saved,) = page.until(lambda: list(page.downloads.glob("*.md")))
    text = saved.read_text("utf-8")
    saved.unlink()
    assert saved.name == "人物.md"
    asked = [line for line in text.splitlines() if line.startswith("# ")]
    assert asked == [f"# {QUESTION}", "# 李白投靠了谁？"]
    assert text.count("**[1] 李白.txt") == 2


class Slow(HashingEmbeddings):
    """Waits a while at every batch of one text."""

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        if any("字字字" in text for text in texts):
            time.sleep(0.6)
        return super().embed_array(texts)


def test_a_job_tells_the_time_left_and_is_cancelled(
    home: Path, browser: Browser, device: str, tmp_path: Path
) -> None:
    options: Any = {"chunk_size": 50, "chunk_overlap": 0}
    with serving(embeddings=Slow(), **options) as served:
        with served.client() as client:
            upload(client, "人物", **{"李白.txt": TEXT})
        browser.open(served.url)
        browser.of(device)
        browser.until(lambda: browser.find("#index-select").get_attribute("value"))
        if device == "phone":
            browser.click("#open-library")
        file = tmp_path / "长.txt"
        file.write_text("字" * 150_000, encoding="utf-8")  # for half a minute
        browser.find("#file-input").send_keys(str(file))
        left = "还需约" if browser.language == "zh" else "left"
        browser.until(lambda: left in browser.find(".job p").text)
        assert 0 < float(str(browser.find(".job progress").get_attribute("value"))) < 1
        assert browser.run(FITS)
        button = browser.find(".job button")
        assert "长.txt" in str(button.get_attribute("aria-label"))
        browser.screenshot(f"{browser.language}-11-job-{device}")
        button.click()
        cancelled = "取消" if browser.language == "zh" else "cancelled"
        browser.until(lambda: cancelled in browser.find(".job.over p").text)
        assert browser.stored("jobs") == []
        names = [one.text for one in browser.all("#documents .file-name")]
        assert names == ["李白.txt"]
        with served.client() as client:
            assert client.get("/v1/jobs").json()["data"][-1]["status"] == "cancelled"
        assert browser.complaints() == []


def test_earlier_conversations_are_kept_searched_opened_and_renamed(page: Browser) -> None:
    ask(page)
    page.click("#new-chat")
    page.click("#confirm-yes")
    page.until(lambda: not page.all(".turn"))
    ask(page, "李白投靠了谁？")
    page.click("#open-history")
    page.shown("#history-search").send_keys("没有这样的话")
    page.shown("#history-none")
    page.find("#history-search").clear()
    page.find("#history-search").send_keys("当涂")  # in the answer
    page.until(lambda: QUESTION in page.find('[data-testid="saved"]').text)
    page.click("#history .rename")
    page.shown(".rename-field")
    page.compose(".rename-field")
    page.find(".rename-field").send_keys(Keys.CONTROL, "a", Keys.NULL, "关于当涂", Keys.ENTER)
    page.until(lambda: "关于当涂" in page.find('[data-testid="saved"]').text)
    assert page.run(FITS)
    page.click('[data-testid="saved"]')
    page.gone("#history")
    page.until(lambda: [one.text.endswith(QUESTION) for one in page.all(".asked")] == [True])
    page.reload()
    page.until(lambda: [one.text.endswith(QUESTION) for one in page.all(".asked")] == [True])
    assert page.aside("人物") == ["李白投靠了谁？"]
    page.click("#open-history")
    page.shown("#history .remove").click()
    page.click("#confirm-yes")
    page.shown("#history-none")
    assert page.aside("人物") == []
    page.press(Keys.ESCAPE)
    page.gone("#open-history")
