"""Open WebUI with its default settings as a client of the server, in a real browser.

It is started offline in a folder of its own, with the server as its one OpenAI connection, and
used as a person does: models are listed, both are asked, the citations are shown, the title, the
tags and the follow-up questions come from the model. The model is told its replies; with ``--real``
it is the default model, which says what it likes: what is shown of it is checked.
    python -m tests.nightly.open_webui --program VENV/bin/open-webui [--real] [--screenshots FOLDER]

Open WebUI is no dependency: `pip install open-webui -c constraints.txt` into a venv of its own.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from selenium.webdriver.common.keys import Keys

from rag_app.models.registry import load_llm
from rag_app.server.serve import listen
from rag_app.settings import load_settings
from tests.rag_app.server.browser import Browser, started
from tests.rag_app.server.serving import LI_BAI, Served, serving, upload
from tests.scripted import ScriptedLocalChat

QUESTION = "李白在哪里病逝？"
ANSWER = "李白在当涂病逝。"
DU_FU = "杜甫晚年漂泊湘江，大历五年在舟中病逝。"
ANSWERS = {"李白": ANSWER, "杜甫": "杜甫在舟中病逝。"}
GREETING = "你好，我是模型。"
CALLED = "get_current_timestamp"
CALL = json.dumps({"name": CALLED, "arguments": {}})
TIME_ANSWER = "现在的时间查到了。"
TITLE, TAG, FOLLOW_UP = "诗人的晚年", "唐诗", "李白投奔了谁？"
SECONDS = 600.0
"""For Open WebUI to start, and for each thing to happen."""

Found = TypeVar("Found")


def reply(prompt: str) -> str:
    """What the model says."""
    task = prompt.rpartition("### Task")[2]
    if "### Task" not in prompt:
        if "几点" in prompt:
            return TIME_ANSWER if "current_iso" in prompt else CALL
        if "二人" in prompt:  # what the second passage holds
            return ANSWERS[prompt.partition("[2] ")[2][:2]]
        return ANSWER if LI_BAI in prompt else GREETING
    if "follow_ups" in task:
        return json.dumps({"follow_ups": [FOLLOW_UP]}, ensure_ascii=False)
    if '"tags"' in task:
        return json.dumps({"tags": [TAG]}, ensure_ascii=False)
    return json.dumps({"title": TITLE}, ensure_ascii=False)


@contextmanager
def open_webui(program: Path, api: str, folder: Path) -> Iterator[str]:
    """Start Open WebUI; what is set keeps it from looking outside and from asking who is there."""
    with listen("127.0.0.1", 0) as free:
        port = str(free.getsockname()[1])
    settings = {
        "DATA_DIR": str(folder),
        "OPENAI_API_BASE_URL": f"{api}/v1",
        "OPENAI_API_KEY": "none",
        "ENABLE_OLLAMA_API": "False",
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "none",
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "RAG_EMBEDDING_ENGINE": "openai",
        "ENABLE_VERSION_UPDATE_CHECK": "False",
        "ANONYMIZED_TELEMETRY": "False",
        "DO_NOT_TRACK": "True",
        "SCARF_NO_ANALYTICS": "True",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", port]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**inherited, **settings}, cwd=folder, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until("Open WebUI starts", lambda: answers(f"{url}/health") or process.poll())
            if process.poll() is not None:
                sys.exit((folder / "log").read_text()[-2000:])
            yield url
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def until(what: str, found: Callable[[], Found]) -> Found:
    """Wait for something, and say that it happened."""
    deadline = time.monotonic() + SECONDS
    while not (seen := found()):
        if time.monotonic() > deadline:
            sys.exit(f"NOT: {what}")
        time.sleep(0.3)
    print(f"yes: {what}", flush=True)
    return seen


class Webui:
    """Open WebUI, as a person and as its API's clients use it."""

    def __init__(self, url: str, browser: Browser, screenshots: Path | None) -> None:
        self.url, self.browser, self._screenshots = url, browser, screenshots
        signed = httpx.post(
            f"{url}/api/v1/auths/signin", json={"email": "", "password": ""}, timeout=60
        ).json()
        key = {"Authorization": f"Bearer {signed['token']}"}
        self.client = httpx.Client(base_url=url, headers=key, timeout=SECONDS)

    def text(self) -> str:
        return str(self.browser.run("return document.body.innerText"))

    def ask(self, model: str, question: str) -> None:
        """Begin a chat on the page and send a question."""
        self.browser.driver.get(f"{self.url}/?models={quote(model)}")
        box = self.browser.shown("#chat-input")
        self.dismiss()
        box.click()
        self.browser.press(question)
        self.browser.press(Keys.ENTER)

    def dismiss(self) -> None:
        """Close what greets a new user."""
        self.browser.run(
            "for (const one of document.querySelectorAll('button'))"
            " if (/Okay, Let's Go!|Get started/i.test(one.innerText)) one.click()"
        )
        time.sleep(1)

    def picture(self, name: str) -> None:
        if self._screenshots:
            self._screenshots.mkdir(parents=True, exist_ok=True)
            self.browser.driver.save_screenshot(str(self._screenshots / f"{name}.png"))

    def chats(self) -> list[dict[str, Any]]:
        found = self.client.get("/api/v1/chats/").json()
        return [self.client.get(f"/api/v1/chats/{one['id']}").json() for one in found]


def check(webui: Webui, served: Served) -> None:
    """Use it."""
    models = {one["id"] for one in webui.client.get("/api/models").json()["data"]}
    plain = served.app.state.registry.llm_id
    until("the models are listed", lambda: {"rag:诗", plain} <= models)

    body: dict[str, Any] = {"model": "rag:诗", "messages": [{"role": "user", "content": QUESTION}]}
    whole = webui.client.post("/api/chat/completions", json=body).json()
    until(
        "its API passes on an answer and its annotations",
        lambda: (
            ANSWER[:-1] in whole["choices"][0]["message"]["content"]
            and whole["choices"][0]["message"]["annotations"]
        ),
    )
    with webui.client.stream("POST", "/api/chat/completions", json={**body, "stream": True}) as one:
        lines = "\n".join(one.iter_lines())
    until("its API passes on a stream", lambda: "url_citation" in lines and "[DONE]" in lines)

    served.replies = [reply]
    webui.ask("rag:诗", QUESTION)
    until("the page shows the answer from documents", lambda: ANSWER[:-1] in webui.text())
    until("it shows a source", lambda: "1 Source" in webui.text() or "Sources" in webui.text())
    until("the follow-up question of the model is shown", lambda: FOLLOW_UP in webui.text())
    until("the title is the model's", lambda: TITLE in [one["title"] for one in webui.chats()])
    webui.picture("rag")
    (chat,) = webui.chats()
    last = list(chat["chat"]["history"]["messages"].values())[-1]
    until(
        "the source is kept with the message",
        lambda: "李白.txt" in json.dumps(last["sources"], ensure_ascii=False),
    )
    until("tags are the model's", lambda: TAG in json.dumps(chat, ensure_ascii=False))

    served.replies = [reply]
    webui.ask("rag:诗", "李白和杜甫二人，晚年病逝在哪里？")
    until("a mark is the passage's, though no other comes before it", lambda: cited(webui))
    webui.picture("second")

    served.replies = [reply]
    webui.ask(plain, "你好")
    until("the page shows an answer of the model itself", lambda: GREETING in webui.text())
    webui.picture("model")
    until("its own tools reach the model", lambda: any(CALLED in one for one in told(served)))
    print(f"the longest prompt has {max(map(len, told(served))):,} characters")

    served.replies = [reply]
    webui.ask(plain, "现在几点？")
    until("a tool is called, and its result answered from", lambda: TIME_ANSWER in webui.text())
    webui.picture("tool")


def check_real(webui: Webui, plain: str) -> None:
    """Use it with a model whose words nobody knows."""
    models = {one["id"] for one in webui.client.get("/api/models").json()["data"]}
    until("the models are listed", lambda: {"rag:诗", plain} <= models)
    webui.ask("rag:诗", QUESTION)
    until("the page shows the answer from documents", lambda: "当涂" in said(webui))
    until("it shows a source", lambda: "1 Source" in webui.text() or "Sources" in webui.text())
    webui.picture("real-rag")
    until("the chat has a title of its own", lambda: title(webui) not in ("", "New Chat"))
    print(f"title: {title(webui)}; answer: {said(webui)}")
    webui.client.delete("/api/v1/chats/")
    webui.ask(plain, "用一句话介绍唐诗。")
    until("the page shows an answer of the model itself", lambda: "唐" in said(webui))
    webui.picture("real-model")
    print(f"answer: {said(webui)}")


def title(webui: Webui) -> str:
    """Of the one chat."""
    return str(next((one["title"] for one in webui.chats()), ""))


def said(webui: Webui) -> str:
    """The finished answer that is kept of the one chat; empty before."""
    for chat in webui.chats():
        *_, last = chat["chat"]["history"]["messages"].values()
        if last["role"] == "assistant" and last.get("done"):
            return str(last["content"])
    return ""


def told(served: Served) -> list[str]:
    """What the model was sent."""
    prompts: list[str] = served.model.prompts
    return list(prompts)


def cited(webui: Webui) -> bool:
    """Whether the mark of the second passage, alone in an answer, has the name of its document."""
    text = webui.text()
    shown = [name for name, answer in ANSWERS.items() if answer[:-1] in text]
    return any(re.search(rf"{ANSWERS[name][:-1]}\s*{name}\.txt", text) for name in shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, default=Path("open-webui"))
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--real", action="store_true", help="Ask the default model, on one thread.")
    options = parser.parse_args()
    model: Any = ScriptedLocalChat(replies=[reply], context_length=100_000)
    if options.real:  # before the home is another
        model = load_llm(load_settings(threads=1))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["RAG_APP_HOME"] = home
        with serving(llm=model) as served, served.client() as client:
            upload(client, "诗", **{"李白.txt": LI_BAI, "杜甫.txt": DU_FU})
            with open_webui(options.program, served.url, Path(home)) as url, started("en") as seen:
                webui = Webui(url, seen, options.screenshots)
                if options.real:
                    check_real(webui, served.app.state.registry.llm_id)
                else:
                    check(webui, served)
    print("Open WebUI works as a client")


if __name__ == "__main__":
    main()
