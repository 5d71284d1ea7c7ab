"""The page in a real browser: what an answer is shown as, what it is asked of, and what people say.

On a light desk in Chinese and on a dark phone in English.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.keys import Keys

from rag_app.evaluation.datasets import read_dataset
from tests.rag_app.server import browser as browsers
from tests.rag_app.server.browser import Browser
from tests.rag_app.server.serving import Served, serving, upload
from tests.scripted import JudgingChatModel

pytestmark = browsers.NEEDED

QUESTION = "李白是怎样去世的？"
TOLD = "李白晚年投靠族叔李阳冰。宝应元年，李白在当涂病逝。"
ANSWER = r"""## 李白的**晚年**

宝应元年，李白在当涂病逝。价格是 $5 和 $6；能量 $E = mc^2$，面积 \(\text{面积} = \pi r^2\)。

| 年份 | 事件 |
|---|--:|
| 宝应元年 | 李白在当涂病逝。 |

3. 李白晚年投靠族叔李阳冰。
   - 子项

```python
x = "李白在当涂病逝。"  # **不是粗体** LONG
```

$$
\sum_{i=1}^{n} \frac{x_i!}{2} = \begin{pmatrix} a & b \\ c & d \end{pmatrix} \pmb{x}
$$

坏的 $\frac{1$ 与 \(\href{https://a.example}{x}\)，<img src=x onerror=alert(1)>
"""
ANSWER = ANSWER.replace("LONG", "长" * 99)


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    model = JudgingChatModel(replies=[ANSWER], judgements=[4.0], window=100_000)
    with serving(llm=model, threshold=0.0) as running, running.client() as client:
        upload(client, "人物", **{"李白.txt": TOLD})
        yield running


@pytest.fixture
def page(
    request: pytest.FixtureRequest, served: Served, browser: Browser, device: str
) -> Iterator[Browser]:
    browser.open(served.url)
    browser.of(device)
    browser.complaints()
    yield browser
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []
    browser.screenshot(f"{browser.language}-13-{request.node.originalname}-{device}")


def ask(page: Browser, question: str = QUESTION) -> None:
    page.ask(question)
    page.shown("#retry")


def test_markdown_and_formulas(page: Browser) -> None:
    ask(page)
    page.until(lambda: len(page.all(".prose math")) == 3)
    texts = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
    assert page.run(texts, ".prose h3 strong") == ["晚年"]
    assert page.run(texts, ".prose td") == ["宝应元年", "李白在当涂病逝。"]
    assert page.run(texts, ".prose li li") == ["子项"]
    assert page.find(".prose ol > li").get_attribute("value") == "3"
    (code,) = page.run(texts, ".prose pre code")
    assert code.startswith('x = "李白在当涂病逝。"  # **不是粗体**')
    first = page.find(".prose > p")
    assert "$5 和 $6；" in first.text
    assert [one.text for one in first.find_elements("css selector", "button")] == ["1"]
    assert not page.all(":is(.prose math, .prose td, .prose pre) .citation")
    assert page.run(texts, ".formula.broken") == [
        r"$\frac{1$",
        r"\(\href{https://a.example}{x}\)",
    ]
    assert "<img src=x onerror=alert(1)>" in page.find(".prose").text
    assert not page.all(".prose :is(img, a, script)")
    weight = "return getComputedStyle(document.querySelector('math mstyle')).fontWeight"
    assert page.run(weight) == "700"  # which the policy would not let an attribute say
    wide = page.find(".code-box")
    assert page.run("return arguments[0].scrollWidth > arguments[0].clientWidth", wide)


def test_blocks_that_are_whole_stay_while_an_answer_streams(served: Served, page: Browser) -> None:
    served.model.delay, served.replies = 0.01, [f"{ANSWER}\n\n" + "很长的结尾。" * 60]
    page.ask(QUESTION)
    page.until(lambda: "很长的结尾" in page.find(".prose").text)
    page.run("window.seen = [...document.querySelectorAll('.prose > *')].slice(0, 5)")
    page.shown("#retry")
    still = "return window.seen.map((one) => one.isConnected)"
    assert page.run(still) == [True] * 5


ABOUT = {
    "zh": ["这些文档主要讲了什么？", "文档里提到了哪些重要日期？", "有哪些文档？"],
    "en": ["What are these documents about?", "List the files", "Which dates do they mention?"],
}


def test_whole_documents_are_told_of_with_their_sources(served: Served, page: Browser) -> None:
    served.replies = ["讲李白的晚年。"]
    with served.client() as client:
        upload(client, "人物", **{"2024/杜甫.txt": "杜甫在大历五年（770年）病逝。"})
    page.reload()
    for question in ABOUT[page.language]:
        ask(page, question)
        page.until(lambda: page.all(".answer")[-1].get_attribute("data-status") == "done")
    about, *others = page.all(".answer")
    assert "李白.txt" in about.text
    assert "杜甫.txt" in about.text
    assert "770" in "".join(other.text for other in others)
    assert not page.all(".answer.not-found")
    page.all(".answer .citation")[0].click()
    assert page.shown("#viewer mark").text
    page.press(Keys.ESCAPE)
    page.gone("#viewer")


def test_ratings_become_test_questions(served: Served, page: Browser, tmp_path: Path) -> None:
    served.replies = ["李白在当涂病逝。"]
    ask(page)
    page.click('[data-testid="good"]')
    page.until(lambda: page.find('[data-testid="good"]').get_attribute("aria-pressed") == "true")
    ask(page, "他投靠了谁？")
    page.until(lambda: len(page.all('[data-testid="bad"]')) == 2)
    page.run("arguments[0].focus()", page.all('[data-testid="bad"]')[1])
    page.press(Keys.ENTER)
    page.shown('[data-testid="right-answer"]')
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    page.press(Keys.TAB, Keys.TAB, "李阳冰", Keys.ENTER, "族叔李阳冰")
    page.press(Keys.TAB, Keys.TAB, "李白投靠了谁？", Keys.TAB, Keys.ENTER)
    page.gone('[data-testid="save-rating"]')
    page.reload()
    page.until(lambda: len(page.all('[aria-pressed="true"]:is(.good, .bad)')) == 2)
    page.click("#open-settings")
    page.click("#export-ratings")
    (saved,) = page.until(lambda: list(page.downloads.glob("*.jsonl")))
    first, second = read_dataset(saved).questions
    saved.unlink()
    assert (first.text, first.answers, first.document) == (
        QUESTION,
        ("李白在当涂病逝。",),
        "李白.txt",
    )
    assert (second.text, second.answers) == ("李白投靠了谁？", ("李阳冰", "族叔李阳冰"))
    page.press(Keys.ESCAPE)
    page.gone("#settings")
    for button in page.all('[aria-pressed="true"]:is(.good, .bad)'):
        button.click()
    page.until(lambda: not page.all('[aria-pressed="true"]:is(.good, .bad)'))
    with served.client() as client:
        assert client.get("/v1/indexes/人物/ratings/questions.jsonl").text == ""


def test_only_chosen_documents_are_asked(served: Served, page: Browser) -> None:
    served.replies = ["李白在采石病逝。"]
    others = {f"别的/{n:02}.txt": f"第{n}份。李白在采石病逝。" for n in range(12)}
    with served.client() as client:
        upload(client, "人物", **others)
    page.reload()
    phone = page.run("return innerWidth") < 600
    if phone:
        page.click("#open-library")
    page.until(lambda: len(page.all("#documents .document")) == 13)
    page.shown("#document-folder").send_keys("别的")
    page.until(lambda: len(page.all("#documents .document")) == 12)
    page.find("#document-search").send_keys("/1")
    page.until(lambda: len(page.all("#documents .document")) == 2)
    page.click("#choose-found")
    page.until(lambda: page.run("return document.querySelectorAll('.choose:checked').length") == 2)
    page.find("#documents .choose").click()
    if phone:
        page.press(Keys.ESCAPE)
        page.until(lambda: page.focused() == "open-library")
    assert "别的/11.txt" in page.shown("#chosen").text
    ask(page)
    (source,) = page.all(".source-name b")
    assert source.text == "别的/11.txt"
    assert "别的/11.txt" in page.find(".asked").text
    page.click("#chosen-none")
    page.gone("#chosen")
    assert page.focused() == "question"


def test_the_settings_say_how_answers_are_written(served: Served, page: Browser) -> None:
    page.record("/chat/completions")
    page.until(lambda: page.find("#open-settings").is_enabled())
    page.click("#open-settings")
    page.shown("#set-style").send_keys(Keys.ARROW_DOWN)
    page.find("#set-language").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    page.find("#set-threshold").send_keys(Keys.ARROW_RIGHT)
    page.screenshot(f"{page.language}-13-settings")
    page.click("#settings .primary")
    page.gone("#settings")
    served.replies = ["In Dangtu."]
    ask(page)
    (sent,) = page.sent()
    system, question = sent["messages"]
    assert (system["role"], question["content"]) == ("system", QUESTION)
    assert "English" in system["content"]
    assert sent["threshold"] == pytest.approx(0.05)
    assert system["content"].splitlines()[0] in served.model.prompts[-1]


def test_what_earlier_versions_kept_in_the_browser_is_taken_over(page: Browser) -> None:
    turn = {"id": "1", "question": "早先的问题", "text": "早先的回答", "status": "done"}
    old = {"citations": [], "notes": [], "answered": True}
    aside = [{"id": "x", "name": "改过的名字", "turns": [{**turn, **old, "id": "2"}]}]
    for key, value in (("chat.人物", [{**turn, **old}]), ("saved.人物", aside)):
        put = "localStorage.setItem('rag-app.' + arguments[0], arguments[1])"
        page.run(put, key, json.dumps(value))
    page.reload()
    page.until(lambda: "早先的回答" in page.find(".answer").text)
    assert [one["question"] for one in page.kept("人物")] == ["早先的问题"]
    page.until(lambda: page.aside("人物") == ["改过的名字"])
    assert page.stored("chat.人物") is None
    assert page.stored("saved.人物") is None


def test_what_the_server_could_not_take_is_sent_later(served: Served, page: Browser) -> None:
    served.replies = ["李白在当涂病逝。"]
    page.run("""
        const original = window.fetch;
        window.fetch = (path, options) => options.method === "PUT"
            ? Promise.reject(new TypeError("no network")) : original(path, options);
    """)
    ask(page)
    page.until(lambda: page.stored("unsaved"))
    with served.client() as client:
        assert client.get("/v1/indexes/人物/conversations").json()["data"] == []
    page.reload()
    page.until(lambda: "当涂" in page.find(".answer").text)
    assert [one["question"] for one in page.kept("人物")] == [QUESTION]
