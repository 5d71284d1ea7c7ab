"""A real browser for the tests of the page, and what a person does in it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urljoin

import httpx
import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.paths import ROOT

SCREENSHOTS = ROOT / "build" / "screenshots"
SECONDS = 30
DEVICES = {"desk": (1280, 800), "phone": (360, 740)}

Seen = TypeVar("Seen")


def missing() -> str:
    """Return why no browser can be started, empty where one can."""
    names = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(names)} (apt install chromium chromium-driver)" if names else ""


NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
"""Marks of the tests that take a browser."""


class Browser:
    """Chromium on the page."""

    def __init__(self, driver: Chrome, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads

    def open(self, url: str) -> None:
        """Open the page as somebody who was never there before."""
        self.driver.get(url)
        self.run("localStorage.clear(); sessionStorage.clear()")
        self.size(1280, 800)
        self.reload()

    def reload(self) -> None:
        self.driver.refresh()
        self.until(lambda: self.run("return document.readyState") == "complete")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, seen: Callable[[], Seen]) -> Seen:
        """Wait until ``seen`` gives something true, and return it: what it looks at may come."""
        ignored = (NoSuchElementException, StaleElementReferenceException, IndexError)
        wait = WebDriverWait(self.driver, SECONDS, 0.05, ignored_exceptions=ignored)
        return wait.until(lambda _: seen())

    def shown(self, selector: str) -> WebElement:
        """Wait until an element is shown, and return it."""

        def one() -> WebElement | None:
            element = self.find(selector)
            return element if element.is_displayed() else None

        found = self.until(one)
        assert found is not None
        return found

    def gone(self, selector: str) -> None:
        """Wait until no such element is shown."""
        self.until(lambda: not any(one.is_displayed() for one in self.all(selector)))

    def click(self, selector: str) -> None:
        self.shown(selector).click()

    def ask(self, question: str, index: str = "人物") -> None:
        """Ask an index, once it is the one that is asked."""
        self.until(lambda: index in str(self.find("#question").get_attribute("placeholder")))
        self.find("#question").send_keys(question)
        self.click("#send")

    def press(self, *keys: str, held: str = "") -> None:
        """Press keys wherever the focus is, another one held down meanwhile."""
        actions = ActionChains(self.driver)
        if held:
            actions.key_down(held)
        actions.send_keys(*keys)
        if held:
            actions.key_up(held)
        actions.perform()

    def compose(self, selector: str) -> None:
        """Press Enter to an input method, as browsers without isComposing say it."""
        event = "{key: 'Enter', keyCode: 229, bubbles: true, cancelable: true}"
        script = f"arguments[0].dispatchEvent(new KeyboardEvent('keydown', {event}))"
        self.run(script, self.find(selector))

    def focused(self) -> str:
        """The id or class of what has the focus."""
        return str(self.run("const e = document.activeElement; return e.id || e.className"))

    def tab_to(self, name: str, most: int = 40) -> list[str]:
        """Press Tab until ``name`` has the focus; return what had it on the way."""
        passed: list[str] = []
        for _ in range(most):
            self.press(Keys.TAB)
            passed.append(self.focused())
            if passed[-1] == name:
                return passed
        raise AssertionError(f"Tab never reached {name}: {passed}")

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def record(self, path: str) -> None:
        """Keep what is sent to where ``path`` ends from now on, for `sent`."""
        self.run(
            """
            window.sent = [];
            const original = window.fetch;
            const [end] = arguments;
            window.fetch = (path, options) => {
                if (path.endsWith(end)) window.sent.push(JSON.parse(options.body));
                return original(path, options);
            };
            """,
            path,
        )

    def sent(self) -> list[dict[str, Any]]:
        """What was sent since `record`."""
        return list(self.run("return window.sent"))

    def drop(self, path: Path) -> None:
        """Drop a file or a folder on the page, as from a file manager."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": 400, "y": 300, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def stored(self, key: str) -> Any:
        """What the page keeps in the browser."""
        return self.run("return JSON.parse(localStorage.getItem('rag-app.' + arguments[0]))", key)

    def kept(self, index: str) -> list[dict[str, Any]]:
        """The turns that the server keeps of the conversation that is shown."""
        kept = self._asked(index, self.stored(f"conversation.{index}"))
        turns = kept.json()["data"] if kept.status_code == 200 else []
        return [{**turn, **turn.pop("details")} for turn in turns]

    def aside(self, index: str) -> list[str]:
        """The names of the conversations that the server keeps beside it, the latest first."""
        shown, kept = self.stored(f"conversation.{index}"), self._asked(index).json()["data"]
        return [one["name"] for one in kept if one["id"] != shown]

    def _asked(self, index: str, *conversation: str) -> httpx.Response:
        self.until(lambda: self.stored("unsaved") is None)
        path = "/".join(map(quote, ("v1/indexes", index, "conversations", *conversation)))
        return httpx.get(urljoin(self.driver.current_url, f"/{path}"), timeout=60)

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    @property
    def language(self) -> str:
        """Of the page: zh or en."""
        return str(self.run("return document.documentElement.lang")).partition("-")[0]

    def of(self, device: str) -> None:
        """Be the size of a desk's window, or of a phone, which is dark."""
        self.size(*DEVICES[device])
        self.dark(device == "phone")

    def dark(self, on: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def slow(self, bytes_per_second: int) -> None:
        """Limit what arrives, and what is sent; -1 is as fast as can be."""
        conditions = {"offline": False, "latency": 0, "uploadThroughput": bytes_per_second}
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {**conditions, "downloadThroughput": bytes_per_second},
        )

    def screenshot(self, name: str) -> None:
        # Those that never end can't be finished: they are shown as they are.
        self.run("""
            for (const one of document.getAnimations()) {
                if (one.effect.getComputedTiming().endTime !== Infinity) one.finish();
            }
        """)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser's console has had to say since the last call."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries]


@contextmanager
def started(language: str) -> Iterator[Browser]:
    """Start Chromium, with no profile, for a person who reads ``language``."""
    binary, driver_binary = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary
    assert driver_binary
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ChromeOptions()
        options.binary_location = binary
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={folder}/profile",
            f"--lang={language}",
        ):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options, ChromeService(driver_binary, log_output=os.devnull))
        try:
            downloads = Path(folder) / "downloads"
            downloads.mkdir()
            behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
            driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
            yield Browser(driver, downloads)
        finally:
            driver.quit()
