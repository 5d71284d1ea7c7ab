"""The page in a real browser, against the real server: what a person does, from end to end."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from rag_app.chains.overview.whole_documents import NOT_YET  # noqa: E402
from rag_app.chains.reading import BEYOND, DOUBTFUL, LACKING, UNCHECKED  # noqa: E402
from rag_app.chains.summarize import ORDERS_LEFT_OUT  # noqa: E402
from rag_app.chains.translation import UNTRANSLATED  # noqa: E402
from rag_app.documents.extraction import no_text  # noqa: E402
from rag_app.documents.pdf.page_text import INSTALL_OCR  # noqa: E402
from tests.rag_app.server import browser as browsers  # noqa: E402
from tests.rag_app.server.browser import Browser  # noqa: E402
from tests.rag_app.server.serving import serving  # noqa: E402

pytestmark = browsers.NEEDED

QUESTION = "李白是怎样去世的？"
ANSWER = "宝应元年，李白在当涂病逝，终年六十二岁。"
# Characters outside the BMP: offsets count each as one, JavaScript as two.
FILLER = "𠮷野的商人沿江贩运茶叶与瓷器，账目分明，四时往来不绝，乡里称便。" * 12
TEXT = f"𠮷野商旅记\n\n{FILLER}\n\n{FILLER}\n\n李白晚年投靠族叔李阳冰。{ANSWER}\n\n{FILLER}\n"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def chinese() -> Iterator[Browser]:
    with browsers.started("zh-CN") as one:
        yield one


@pytest.fixture
def page(served: Any, chinese: Browser) -> Iterator[Browser]:
    """The page, opened for the first time."""
    served.replies = [ANSWER]
    chinese.open(served.url)
    chinese.complaints()
    yield chinese
    chinese.slow(-1)
    assert chinese.complaints() == []


@pytest.fixture
def index(page: Browser) -> str:
    """A new index, made as a person makes it."""
    return create_index(page)


@pytest.fixture
def document(page: Browser, index: str, tmp_path: Path) -> str:
    """The name of a document that was uploaded to the index."""
    return upload(page, tmp_path / "李白生平.txt")


def create_index(page: Browser) -> str:
    name = f"人物 {next(_numbers)}"
    page.click("#new-index")
    page.shown("#index-name").send_keys(name, Keys.ENTER)
    page.gone("#name-dialog")
    return name


def upload(page: Browser, path: Path, text: str = TEXT) -> str:
    path.write_text(text, encoding="utf-8")
    page.find("#file-input").send_keys(str(path))
    page.until(lambda: path.name in names(page))
    return path.name


def names(page: Browser) -> list[str]:
    return [one.text for one in page.all("#documents .file-name")]


def ask(page: Browser, question: str = QUESTION) -> None:
    turns = len(page.all(".turn"))
    page.until(lambda: not page.find("#question").get_attribute("disabled"))
    page.find("#question").send_keys(question)
    page.click("#send")
    page.until(lambda: len(page.all(".turn")) == turns + 1)


def answered(page: Browser) -> str:
    """Wait for the end of the last answer and return its text, marks left out."""
    page.shown("#retry")
    script = """
        const text = [...document.querySelectorAll(".answer .prose")].at(-1).cloneNode(true);
        text.querySelectorAll(".citation").forEach((mark) => mark.remove());
        return text.textContent;
    """
    return str(page.run(script))


def test_a_newcomer_is_told_what_to_do_next(page: Browser, tmp_path: Path) -> None:
    assert page.shown("#welcome").text
    page.screenshot("zh-1-welcome")
    index = create_index(page)
    assert page.find("#index-select").get_attribute("value") == index
    page.until(lambda: index in page.find("#welcome").text)
    assert page.shown("#no-documents").text
    page.find("#question").send_keys(QUESTION, Keys.ENTER)
    assert index in page.shown("#composer-error").text
    upload(page, tmp_path / "李白生平.txt")
    page.until(lambda: page.all(".example"))
    page.screenshot("zh-2-documents")


def test_a_name_that_is_refused_is_explained(page: Browser, index: str) -> None:
    page.click("#new-index")
    page.shown("#index-name").send_keys(index, Keys.ENTER)
    assert index in page.shown("#name-error").text
    page.press(Keys.ESCAPE)
    page.gone("#name-dialog")
    assert page.focused() == "new-index"
    assert all("409" in one for one in page.complaints())


def test_a_file_that_cannot_be_read_is_named(page: Browser, index: str, tmp_path: Path) -> None:
    bad = [tmp_path / f"{name}.xyz" for name in "甲乙丙丁"]
    empty, damaged = tmp_path / "空.txt", tmp_path / "坏.docx"
    for file in (*bad, empty):
        file.write_text("" if file is empty else "x")
    damaged.write_bytes(b"PK")
    page.find("#file-input").send_keys("\n".join(map(str, [*bad, empty, damaged])))
    unread, nothing = page.shown("#library-error").text.splitlines()
    assert "甲.xyz、乙.xyz、丙.xyz 等 4 个文件" in unread
    assert "PDF、Word、Excel" in unread
    assert "空.txt" in nothing
    # A reason that begins with the file's name stands alone.
    page.until(lambda: page.find(".failures").text.count("坏.docx") == 1)


def test_a_dropped_folder_keeps_its_paths(page: Browser, index: str, tmp_path: Path) -> None:
    folder = tmp_path / "报告"
    (folder / "2025").mkdir(parents=True)
    (folder / "甲.txt").write_text(TEXT, encoding="utf-8")
    (folder / "2025" / "甲.txt").write_text(TEXT, encoding="utf-8")
    (folder / ".hidden").write_bytes(b"x")
    page.drop(folder)
    page.until(lambda: set(names(page)) == {"报告/甲.txt", "报告/2025/甲.txt"})
    assert not page.find("#library-error").is_displayed()


def test_a_dropped_file_is_uploaded(page: Browser, index: str, tmp_path: Path) -> None:
    file = tmp_path / "甲.txt"
    file.write_text(TEXT, encoding="utf-8")
    page.drop(file)
    page.until(lambda: names(page) == ["甲.txt"])


def test_leaving_during_an_upload_is_asked_about(page: Browser, index: str, tmp_path: Path) -> None:
    leaves = "return dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert page.run(leaves)
    page.slow(10_000)
    path = tmp_path / "长.txt"
    path.write_text(TEXT * 100, encoding="utf-8")
    page.find("#file-input").send_keys(str(path))
    page.until(lambda: "%" in page.find("#jobs").text)
    assert not page.run(leaves)
    page.click("#jobs button")
    page.until(lambda: page.run(leaves))


def test_asking_and_opening_the_passage(page: Browser, index: str, document: str) -> None:
    ask(page)
    assert answered(page) == ANSWER
    assert document in page.shown(".sources").text
    page.screenshot("zh-3-answer")
    page.click(".citation")
    mark = page.shown("#viewer mark")
    cited = page.kept(index)[0]["citations"][0]
    assert mark.get_attribute("textContent") == cited["text"]
    assert ANSWER in cited["text"]
    assert cited["start"] > 0
    assert page.find("#viewer-title").text == document
    box, place = page.find("#viewer-text").rect, mark.rect
    assert box["y"] <= place["y"] < box["y"] + box["height"]
    page.screenshot("zh-4-passage")
    page.dark(True)
    page.screenshot("zh-5-passage-dark")
    page.dark(False)
    page.press(Keys.ESCAPE)
    page.gone("#viewer")
    assert page.focused() == "citation"


def test_the_conversation_goes_along(page: Browser, document: str) -> None:
    page.record("/chat/completions")
    ask(page)
    answered(page)
    ask(page, "他终年多少岁？")
    answered(page)
    first, second = page.sent()
    assert [one["role"] for one in first["messages"]] == ["user"]
    assert [one["content"] for one in second["messages"]] == [QUESTION, ANSWER, "他终年多少岁？"]
    page.click("#retry")
    page.until(lambda: len(page.sent()) == 3)
    answered(page)
    third = page.sent()[2]
    assert third["messages"] == second["messages"]
    assert len(page.all(".turn")) == 2


def test_what_the_documents_do_not_hold(page: Browser, index: str, document: str) -> None:
    ask(page, "量子计算机的超导芯片用什么材料？")
    answered(page)
    assert page.shown(".answer.not-found .badge").text
    assert not page.all(".citation")
    quoted = [one.text.strip('“”"') for one in page.all(".source q.snippet")]
    assert quoted
    page.screenshot("zh-6-not-found")
    page.reload()
    page.shown(".answer.not-found .badge")
    assert [one.text.strip('“”"') for one in page.all(".source q.snippet")] == quoted
    page.click(".source")
    assert any(text in page.shown("#viewer").text for text in quoted)


def test_an_answer_can_be_stopped(served: Any, page: Browser, index: str, document: str) -> None:
    served.replies = [ANSWER * 90]
    page.slow(10_000)
    ask(page)
    page.until(lambda: ANSWER[:10] in page.find(".answer .prose").text)
    page.click("#stop")
    page.shown("#retry")
    assert page.find("#send").is_displayed()
    assert page.find(".answer").get_attribute("data-status") == "stopped"
    kept = page.kept(index)[0]["text"]
    assert ANSWER[:10] in kept
    assert len(kept) < len(ANSWER) * 90
    page.slow(-1)
    served.replies = [ANSWER]
    page.click("#retry")
    page.until(lambda: page.find(".answer").get_attribute("data-status") == "done")
    assert answered(page) == ANSWER


def test_markup_in_an_answer_stays_text(served: Any, page: Browser, document: str) -> None:
    markup = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    served.replies = [f"{ANSWER}{markup}"]
    ask(page)
    assert markup in answered(page)
    assert not page.all(".answer img, .answer script")


@pytest.mark.parametrize("chain", ["refine", "stuff", "map_reduce"])
def test_summarizing_with_a_chain(
    served: Any, page: Browser, index: str, document: str, chain: str
) -> None:
    served.replies = ["李白在当涂病逝。"]
    page.record("/summary")
    page.click("#documents .summarize")
    page.click(f'#summary label:has([value="{chain}"])')
    page.click("#summary-start")
    page.shown("#summary-actions")
    assert page.find("#summary-text").text == "李白在当涂病逝。"
    assert page.sent()[-1]["chain"] == chain
    page.screenshot(f"zh-7-summary-{chain}")
    page.press(Keys.ESCAPE)
    page.gone("#summary")
    page.click("#documents .summarize")
    assert page.shown("#summary-text").text == "李白在当涂病逝。"


def test_a_summary_tells_where_its_sentences_stand(
    served: Any, page: Browser, index: str, document: str
) -> None:
    served.replies = ["李白在当涂病逝。他活了99岁。"]
    page.click("#documents .summarize")
    page.click("#summary-start")
    page.shown("#summary-where li")
    first, second = page.all("#summary-where li")
    assert "文中没有：99" in second.text
    first.find_element("css selector", "button").click()
    page.shown("#viewer mark")
    page.screenshot("zh-7-summary-where")


def test_a_summary_can_be_stopped(served: Any, page: Browser, document: str) -> None:
    served.replies = ["李白在当涂病逝。" * 300]
    page.click("#documents .summarize")
    page.slow(10_000)
    page.click("#summary-start")
    page.until(lambda: page.find("#summary-text").text.startswith("李白"))
    page.click("#summary-stop")
    page.shown("#summary-start")
    assert 0 < len(page.find("#summary-text").text) < 2400


def test_a_reload_finds_everything_again(page: Browser, document: str) -> None:
    page.click("#open-settings")
    page.shown("#set-k").send_keys(Keys.ARROW_RIGHT)
    page.find("#set-chain").send_keys(Keys.ARROW_DOWN)
    page.screenshot("zh-8-settings")
    page.click("#settings .primary")
    ask(page)
    answered(page)
    index = create_index(page)
    page.until(lambda: not page.all(".turn"))
    first = page.find("#index-select option").get_attribute("value")
    page.run(
        "const box = document.getElementById('index-select'); box.value = arguments[0];"
        "box.dispatchEvent(new Event('change'))",
        first,
    )
    page.until(lambda: len(page.all(".turn")) == 1)
    page.reload()
    page.until(lambda: document in names(page))
    assert page.find("#index-select").get_attribute("value") == first != index
    assert QUESTION in page.find(".asked").text
    assert answered(page) == ANSWER
    page.click("#open-settings")
    assert page.shown("#set-k").get_attribute("value") == "5"
    assert page.find("#set-chain").get_attribute("value") == "stuff"
    page.press(Keys.ESCAPE)
    page.click(".citation")
    assert ANSWER in page.shown("#viewer mark").text


def test_a_half_written_question_is_kept_with_its_conversation(
    page: Browser, document: str
) -> None:
    ask(page)
    answered(page)
    page.find("#question").send_keys("他的代表作")
    page.reload()
    page.until(lambda: len(page.all(".turn")) == 1)
    assert page.find("#question").get_attribute("value") == "他的代表作"
    page.click("#new-chat")
    page.click("#confirm-yes")
    page.until(lambda: not page.all(".turn"))
    assert not page.find("#question").get_attribute("value")
    page.find("#question").send_keys("呢")
    page.click("#open-history")  # the new one is not in it, so its text goes along
    page.click("[data-testid=saved]")
    page.until(lambda: len(page.all(".turn")) == 1)
    page.find("#question").send_keys("？", Keys.ENTER)
    page.until(lambda: "他的代表作\n呢？" in page.all(".asked")[-1].text)
    answered(page)
    page.reload()
    page.until(lambda: len(page.all(".turn")) == 2)
    assert not page.find("#question").get_attribute("value")


def test_an_answer_is_stopped_by_leaving_the_page(
    served: Any, page: Browser, document: str
) -> None:
    served.model.delay, served.replies = 0.05, ["很长的回答。" * 200]
    ask(page)
    page.until(lambda: "很长" in page.find(".answer").text)
    page.reload()
    page.shown(".answer .stopped")
    assert "很长" in page.find(".answer").text
    assert not page.all(".answer .error")


def test_the_settings_begin_with_the_servers(home: Path, chinese: Browser) -> None:
    own: Any = {"k": 30, "answer_chain": "stuff", "temperature": 0.25}
    with serving(**own, summary_chain="map_reduce", summary_length=5005) as served:
        chinese.open(served.url)
        assert chinese.stored("settings") is None
        assert shown_settings(chinese) == ("30", "stuff", "0.25", "5005")
        chinese.find("#set-length").send_keys(Keys.CONTROL, "a", Keys.NULL, "305", Keys.TAB)
        chinese.click("#settings .primary")
        chinese.gone("#settings")
        assert chinese.stored("settings") == {"length": 305}
        chinese.reload()
        assert shown_settings(chinese) == ("30", "stuff", "0.25", "305")
        chinese.click("#set-defaults")
        assert chinese.find("#set-length").get_attribute("value") == "5005"
        chinese.press(Keys.ESCAPE)
    with serving(**own, summary_chain="map_reduce", max_file_bytes=10_000) as served:
        chinese.open(served.url)
        create_index(chinese)
        big = home / "大.txt"
        big.write_text("x" * 10_001)
        chinese.find("#file-input").send_keys(str(big))
        assert "大.txt" in chinese.shown("#library-error").text
        upload(chinese, home / "小.txt", ANSWER)
        chinese.click("#documents .summarize")
        chosen = "return document.querySelector('#summary :checked').value"
        assert chinese.run(chosen) == "map_reduce"
    chinese.complaints()


def shown_settings(page: Browser) -> tuple[str, ...]:
    """Open the settings: passages, chain, temperature, length of a summary."""
    page.until(lambda: page.find("#open-settings").is_enabled())
    page.click("#open-settings")
    page.shown("#set-k")
    k, temperature = page.find("#set-k-value").text, page.find("#set-temperature-value").text
    assert page.find("#set-k").get_attribute("value") == k
    rest = [page.find(one).get_attribute("value") for one in ("#set-chain", "#set-length")]
    return k, str(rest[0]), temperature, str(rest[1])


def test_a_job_is_followed_again_after_a_reload(page: Browser, index: str, tmp_path: Path) -> None:
    names_ = [f"文档{number}.txt" for number in range(5)]
    for name in names_:
        (tmp_path / name).write_text(f"{name}\n{TEXT}", encoding="utf-8")
    page.find("#file-input").send_keys("\n".join(str(tmp_path / name) for name in names_))
    page.until(lambda: page.stored("jobs") or names(page))
    page.reload()
    page.until(lambda: sorted(names(page)) == names_)
    page.until(lambda: page.stored("jobs") == [])


def test_removing_a_document_and_an_index(page: Browser, index: str, document: str) -> None:
    page.click("#documents .remove")
    assert document in page.shown("#confirm").text
    page.press(Keys.ESCAPE)
    page.gone("#confirm")
    assert names(page) == [document]
    page.click("#documents .remove")
    page.click("#confirm-yes")
    page.until(lambda: not names(page))
    page.click("#delete-index")
    page.click("#confirm-yes")
    page.until(lambda: index not in page.find("#index-select").text)


def test_a_new_conversation(page: Browser, index: str, document: str) -> None:
    ask(page)
    answered(page)
    page.click("#new-chat")
    page.click("#confirm-yes")
    page.until(lambda: not page.all(".turn"))
    assert page.kept(index) == []
    assert page.focused() == "question"


def test_two_tabs_keep_each_others_turns(page: Browser, index: str, document: str) -> None:
    ask(page)
    answered(page)
    first, address = page.driver.current_window_handle, page.run("return location.href")
    page.driver.switch_to.new_window("tab")
    second = page.driver.current_window_handle
    try:
        page.driver.get(address)
        page.until(lambda: len(page.all(".turn")) == 1)
        page.driver.switch_to.window(first)
        ask(page, "李白终年多少岁？")
        answered(page)
        page.driver.switch_to.window(second)
        page.until(lambda: len(page.all(".turn")) == 2)
        ask(page, "他投靠了谁？")
        answered(page)
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    page.until(lambda: len(page.all(".turn")) == 3)
    page.reload()
    page.until(lambda: len(page.all(".turn")) == 3)
    asked = [turn["question"] for turn in page.kept(index)]
    assert asked == [QUESTION, "李白终年多少岁？", "他投靠了谁？"]


def test_each_index_keeps_its_conversation(
    served: Any, page: Browser, index: str, document: str, tmp_path: Path
) -> None:
    ask(page)
    answered(page)
    other = create_index(page)
    upload(page, tmp_path / "别处.txt")
    served.model.delay, served.replies = 0.05, ["很长的回答。" * 200]
    ask(page, "李白在哪里病逝？")
    page.until(lambda: "很长" in page.all(".answer .prose")[-1].text)
    page.run("""
        const select = document.querySelector("#index-select");
        select.value = arguments[0];
        select.dispatchEvent(new Event("change"));
    """, index)  # fmt: skip
    page.until(lambda: ANSWER[:4] in page.all(".answer .prose")[-1].text)
    assert [turn["question"] for turn in page.kept(index)] == [QUESTION]
    assert [turn["question"] for turn in page.kept(other)] == ["李白在哪里病逝？"]
    page.reload()
    page.until(lambda: len(page.all(".turn")) == 1)
    assert ANSWER[:4] in page.all(".answer .prose")[-1].text


def test_suggested_questions_are_answered(page: Browser, index: str, document: str) -> None:
    page.until(lambda: page.all(".example"))
    question = page.all(".example")[0].text
    page.click(".example")
    page.click("#send")
    answered(page)
    assert page.kept(index)[0]["question"] == question
    assert not page.all(".answer.not-found")


def test_an_answer_is_saved_with_its_sources(page: Browser, document: str) -> None:
    ask(page)
    answered(page)
    page.click('[data-testid="download"]')
    (saved,) = page.until(lambda: list(page.downloads.glob("*.md")))
    text = saved.read_text("utf-8")
    saved.unlink()
    assert text.startswith(f"# {QUESTION}\n\n")
    assert f"**[1] {document}" in text
    page.click('[data-testid="copy"]')
    page.until(lambda: page.find("#status").get_attribute("textContent"))


def test_nothing_leaves_the_machine(served: Any, page: Browser, document: str) -> None:
    ask(page)
    answered(page)
    page.click(".citation")
    page.shown("#viewer mark")
    loaded = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert loaded
    own = urlsplit(served.url).netloc
    assert {urlsplit(one).netloc for one in loaded if not one.startswith("data:")} == {own}


def test_everything_by_keyboard(page: Browser, index: str, document: str) -> None:
    page.reload()
    page.until(lambda: names(page) == [document])
    passed = page.tab_to("question")
    order = ["skip", "index-select", "new-index", "delete-index", "open-settings", "file-input"]
    assert [one for one in passed if one in order] == order
    page.press("第一行")
    page.press(Keys.ENTER, held=Keys.SHIFT)
    page.press(QUESTION)
    assert page.find("#question").get_attribute("value") == f"第一行\n{QUESTION}"
    page.run("""
        const composing = { key: "Enter", isComposing: true, bubbles: true, cancelable: true };
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", composing));
    """)
    assert not page.all(".turn")
    page.press("a", held=Keys.CONTROL)
    page.press(QUESTION, Keys.ENTER)
    assert answered(page) == ANSWER
    assert page.focused() == "question"
    assert page.find("#status").get_attribute("textContent")
    page.run("document.querySelector('.citation').focus()")
    page.press(Keys.ENTER)
    page.shown("#viewer mark")
    assert page.run("return document.activeElement.tagName") == "MARK"
    page.press(Keys.ESCAPE)
    page.gone("#viewer")
    assert page.focused() == "citation"


def test_controls_have_names_and_the_page_landmarks(page: Browser, document: str) -> None:
    unnamed = page.run("""
        const named = (one) => one.ariaLabel || one.textContent.trim() || one.labels?.length;
        return [...document.querySelectorAll("button, input, select, textarea")]
            .filter((one) => one.checkVisibility() && !named(one)).map((one) => one.outerHTML);
    """)
    assert unnamed == []
    assert page.all("header") != []
    for landmark in ("main", "aside", "h1", '[aria-live="polite"]'):
        assert page.all(landmark) != []
    assert page.run("return document.documentElement.lang") == "zh-CN"


def test_a_phone(page: Browser, document: str) -> None:
    ask(page)
    answered(page)
    page.size(360, 740)
    fits = "return document.documentElement.scrollWidth <= innerWidth"
    assert page.run(fits)
    page.screenshot("zh-9-phone")
    page.click(".citation")
    page.shown("#viewer mark")
    assert page.run("return document.querySelector('#viewer').matches(':modal')")
    assert page.run(fits)
    page.screenshot("zh-9-phone-passage")
    page.press(Keys.ESCAPE)
    page.gone("#viewer")
    page.click("#open-library")
    page.until(lambda: page.find("#close-library").is_displayed())
    assert page.run(fits)
    page.press(Keys.ESCAPE)
    page.until(lambda: page.focused() == "open-library")


def test_a_phone_shows_what_becomes_of_files(page: Browser, index: str, tmp_path: Path) -> None:
    page.size(360, 740)
    empty = tmp_path / "空.txt"
    empty.touch()
    page.shown("#welcome button.primary")  # it opens the window in which files are chosen
    page.find("#file-input").send_keys(str(empty))
    assert "空.txt" in page.shown("#library-error").text
    page.press(Keys.ESCAPE)
    page.gone("#library-error")
    upload(page, tmp_path / "李白生平.txt")
    assert page.shown("#jobs .job").text


def test_placeholders_can_be_read_in_the_dark(page: Browser, document: str) -> None:
    page.dark(True)
    muted, *colors = page.run("""
        const color = (one, part) => getComputedStyle(one, part).color;
        const fields = [...document.querySelectorAll("[placeholder]")];
        return [color(document.querySelector("#composer-hint")),
            ...fields.map((one) => color(one, "::placeholder"))];
    """)
    page.dark(False)
    assert colors != []
    assert set(colors) == {muted}


@pytest.mark.parametrize(
    ("status", "line"), [(429, "7"), (500, "坏了"), (0, "rag-app")], ids=["429", "500", "network"]
)
def test_errors_say_what_to_do(page: Browser, document: str, status: int, line: str) -> None:
    page.run(
        """
        const original = window.fetch;
        const body = JSON.stringify({ error: { message: "坏了" } });
        const answer = (status) => status
            ? Promise.resolve(new Response(body, { status, headers: { "Retry-After": "7" } }))
            : Promise.reject(new TypeError("no network"));
        window.fetch = (path, options) => path === "v1/chat/completions"
            ? answer(arguments[0]) : original(path, options);
        """.replace("arguments[0]", str(status))
    )
    ask(page)
    assert line in page.shown(".answer .error").text
    page.reload()
    page.click("#retry")
    page.until(lambda: page.find(".answer").get_attribute("data-status") == "done")


def test_a_key_is_asked_for_and_kept_for_the_tab(page: Browser, document: str) -> None:
    page.run("""
        const original = window.fetch;
        window.fetch = (path, options) => options?.headers?.Authorization === "Bearer 对的"
            || path === "health"
            ? original(path, { ...options, headers: { "Content-Type": "application/json" } })
            : Promise.resolve(new Response("{}", { status: 401 }));
    """)
    ask(page)
    page.shown("#api-key").send_keys(Keys.ESCAPE)
    page.shown(".answer .error")
    done = "dispatchEvent(new Event('visibilitychange')); setTimeout(arguments[0], 500)"
    page.driver.execute_async_script(done)  # the page asks the server again, by itself
    assert not page.find("#key-dialog").is_displayed()
    page.click("#retry")
    page.shown("#api-key").send_keys("错的", Keys.ENTER)
    assert page.shown("#key-error").text
    page.find("#api-key").send_keys("对的", Keys.ENTER)
    assert answered(page) == ANSWER
    assert page.run("return sessionStorage.getItem('rag-app.key')") == "对的"


def test_notes_are_in_the_language_of_the_page(page: Browser, served: Any, index: str) -> None:
    def refused(path: str, **body: Any) -> str:
        with served.client() as client:
            return str(client.post(path, json=body).json()["error"]["message"])

    chat = {"path": "/v1/chat/completions", "model": f"rag:{index}"}
    asked = [
        refused(**chat, messages=[{"role": "user", "content": text}])
        for text in ("？！", "诗" * 10_000)
    ]
    files = [
        *(f"甲 is a picture; {INSTALL_OCR}", f"甲 holds no text, only scans; {INSTALL_OCR}"),
        *(str(no_text("甲")), "甲 is damaged (2); save it again"),
        f"2 of 9 pages hold only pictures and were not read (page 3-4); {INSTALL_OCR}",
    ]
    notes = [
        *(UNCHECKED, LACKING.format("七"), DOUBTFUL, BEYOND, NOT_YET.format(count=3)),
        *(UNTRANSLATED, ORDERS_LEFT_OUT, "not found in the documents: 何时？"),
        *(refused("/v1/indexes", name="一/二"), refused("/v1/indexes", name=index), *asked, *files),
    ]
    script = """
        const [notes, done] = arguments;
        import("./static/i18n.js").then(({ translateNote }) => done(notes.map(translateNote)));
    """
    shown = page.driver.execute_async_script(script, notes)
    assert not re.findall("[a-z]+", " ".join(shown).replace("rag-app[ocr]", ""))


def test_a_conversation_is_printed_whole(page: Browser, document: str) -> None:
    ask(page)
    answered(page)
    page.size(800, 300)
    script = "const one = document.querySelector('#conversation'); return one.scrollHeight - one."
    assert page.run(f"{script}clientHeight") > 0
    try:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert page.run(f"{script}clientHeight") == 0
        assert not page.find("#composer").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_english(served: Any) -> None:
    with browsers.started("en-US") as page:
        page.open(served.url)
        assert page.run("return document.documentElement.lang") == "en"
        assert page.find("#file-input").find_element(By.XPATH, "../label").text == "Add files"
        page.until(lambda: page.find("#welcome").text or page.all(".document"))
        page.screenshot("en-1-welcome")
        page.dark(True)
        page.screenshot("en-2-welcome-dark")


def han(page: Browser) -> list[str]:
    """Chinese that is shown or read out anywhere on the page; the documents here have none."""
    texts: list[str] = page.run("""
        const shown = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility());
        const names = ["aria-label", "title", "placeholder", "alt", "aria-description"];
        return shown.flatMap((element) => [
            ...[...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data),
            ...names.map((name) => element.getAttribute(name) ?? ""),
        ]).filter((text) => /\\p{Script=Han}/u.test(text) && text.trim() !== "中文");
    """)
    return texts


def test_the_first_gestures_in_english_on_a_phone(served: Any, tmp_path: Path) -> None:
    said = "The pump holds forty liters of water."
    served.replies = [said]
    with browsers.started("en-US") as page:
        page.open(served.url)
        page.of("phone")
        seen: dict[str, list[str]] = {}

        def look(where: str) -> None:
            page.until(lambda: page.run("return document.getAnimations().length === 0"))
            seen[where] = han(page)
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), where
            dialogs = page.all("dialog[open]")
            fits = "return arguments[0].every((one) => one.scrollWidth <= one.clientWidth)"
            assert page.run(fits, dialogs), where

        look("welcome")
        page.click("#new-index")
        look("name")
        page.shown("#index-name").send_keys("Pumps", Keys.ENTER)
        page.gone("#name-dialog")
        page.click("#open-library")
        page.shown("#close-library")
        look("library")
        path = tmp_path / "pump.txt"
        path.write_text(f"Manual\n\n{said} Clean it once a week.\n", encoding="utf-8")
        page.find("#file-input").send_keys(str(path))
        page.until(lambda: names(page) == ["pump.txt"])
        look("documents")
        served.replies = [f"{said} It is cleaned once a week."]
        page.click("#documents .summarize")
        look("summary asked")
        page.click("#summary-start")
        page.shown("#summary-actions")
        look("summary")
        page.press(Keys.ESCAPE)
        page.gone("#summary")
        page.press(Keys.ESCAPE)
        page.until(lambda: page.focused() == "open-library")
        served.replies = [said]
        ask(page, "How much water does the pump hold?")
        assert answered(page).strip() == said
        look("answer")
        page.click(".citation")
        page.shown("#viewer mark")
        look("passage")
        page.press(Keys.ESCAPE)
        page.gone("#viewer")
        page.until(lambda: page.find("#open-settings").is_enabled())
        page.click("#open-settings")
        page.shown("#set-k")
        look("settings")
        page.press(Keys.ESCAPE)
        page.click("#open-library")
        look("library again")
        page.click("#documents .remove")
        page.shown("#confirm")
        look("removal")
        page.click("#confirm-yes")
        page.until(lambda: not names(page))
        page.press(Keys.ESCAPE)
        page.until(lambda: page.focused() == "open-library")
        page.click("#delete-index")
        look("deletion")
        page.click("#confirm-yes")
        page.until(lambda: "Pumps" not in page.find("#index-select").text)
        look("end")
        assert {where: texts for where, texts in seen.items() if texts} == {}
