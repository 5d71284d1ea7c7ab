"""``model-prep crawl``: options, the report, Ctrl-C."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from model_prep.crawl.settings import CrawlOptions
from tests.model_prep.crawl.chat_server import KEY, Chat, fail, hang, item, say, say_items, until
from tests.model_prep.crawl.conftest import Crawls, lines, run, start


@pytest.mark.slow
@pytest.mark.parametrize("last", [hang, fail(503, **{"Retry-After": "60"})])
def test_ctrl_c_keeps_everything(chat: Chat, out: Path, last: Any) -> None:
    """While a reply is waited for, and during a pause before a request is sent again."""
    chat.acts = [say_items(), say_items()]
    chat.otherwise = last
    process = start(out, chat, "--json")
    until(lambda: len(chat.asked) == 3)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "model-prep: interrupted"
    assert len(lines(out)) == 4
    assert json.loads(printed)["kept"] == 4
    assert chat.keys == [f"Bearer {KEY}"] * 3
    assert KEY not in printed + said


@pytest.mark.slow
def test_ctrl_c_says_what_goes_on(chat: Chat, out: Path) -> None:
    chat.acts = [say_items()]
    chat.otherwise = hang
    process = start(out, chat)
    until(lambda: len(chat.asked) == 2)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=120)
    assert printed == ""
    held = f"{out} holds 2 items of 50, 2 of them new; the same command goes on"
    assert said.splitlines()[-3:] == [
        held,
        "2 requests (0 of them again), 100 tokens read and 50 written",
        "model-prep: interrupted",
    ]


@pytest.mark.slow
def test_kills_at_any_moment(chat: Chat, out: Path) -> None:
    for _ in range(3):
        before = len(chat.asked)
        chat.otherwise = say_items(delay=0.005)
        process = start(out, chat, "--count", "100000")
        until(lambda before=before: len(chat.asked) > before + 20)  # type: ignore[misc]
        process.kill()
        process.communicate()
    found = [json.loads(line) for line in out.read_bytes().splitlines(keepends=True)[:-1]]
    assert len({one["instruction"] for one in found}) == len(found) >= 100
    chat.items_made += 10_000
    done = run(out, "--count", len(found) + 3, "--base-url", chat.url)
    assert done.exit_code == 0, done.stderr
    assert len(lines(out)) == len(found) + 3


def test_the_report(chat: Chat, out: Path) -> None:
    chat.acts = [fail(429, Retry_After="0"), say_items(shape=lambda text: text[:-9] + "{")]
    options = ["--items", 3, "--base-url", chat.url, "--price-in", "2", "--price-out", "8"]
    done = run(out, "--count", 3, *options)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-3:] == [
        f"{out} holds 3 items of 3, 3 of them new",
        "3 requests (1 of them again), 200 tokens read and 100 written, which cost 0.0012",
        "rejected: 1 × broken or cut off",
    ]
    again = run(out, "--count", 4, *options, "--json")
    assert json.loads(again.stdout) == {
        "output": str(out), "wanted": 4, "at_start": 3, "cut_off": 0, "kept": 1, "total": 4,
        "requests": 1, "retries": 0, "rejected": {}, "prompt_tokens": 100,
        "completion_tokens": 50, "cost": 0.0006,
    }  # fmt: skip


def test_a_server_that_counts_no_tokens(crawls: Crawls, chat: Chat) -> None:
    chat.acts = [say(json.dumps([item(0), item(1)]), tokens=None)]
    report = crawls(2, price_in=1.0)
    assert (report.prompt_tokens, report.completion_tokens, report.cost) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b" \n\r\n\t", "it is empty"),
        (bytes(range(256)), "it is not UTF-8"),
        ("天文与宇宙".encode("gbk"), "it is not UTF-8; save it as UTF-8"),
        ("天文".encode("utf-16"), "it is not UTF-8"),
        (b"a\x00b\x07", "a line is no plain text"),
        ("长".encode() * 201, "a line is longer than 200 characters"),
        (b"a\n" * 2_000_001, "it is larger than 4 MB"),
        (None, "no such file"),
    ],
)
@pytest.mark.parametrize("option", ["--topics", "--tasks"])
def test_hostile_lists(
    chat: Chat, out: Path, tmp_path: Path, data: bytes | None, said: str, option: str
) -> None:
    file = tmp_path / "列表.txt"
    if data is not None:
        file.write_bytes(data)
    done = run(out, "--count", 1, "--base-url", chat.url, option, file)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_lists_that_are_no_files(chat: Chat, out: Path, tmp_path: Path) -> None:
    for place in (tmp_path, "/dev/zero"):
        done = run(out, "--count", 1, "--base-url", chat.url, "--topics", place)
        assert "it is a folder or a device" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--count", "0"], 2, "must be at least 1"),
        (["--count", "1", "--items", "0"], 2, "must be at least 1"),
        (["--count", "1", "--similarity", "1.5"], 2, "must be at most 1"),
        (["--count", "1", "--base-url", "localhost:80"], 1, "'localhost:80' is not an address"),
        (["--count", "1", "--base-url", "http://"], 1, "'http://' is not an address"),
        (["--count", "1", "--base-url", "http://x:99999"], 1, "'http://x:99999' is not an address"),
        (["--count", "1", "--base-url", "http://[x"], 1, "'http://[x' is not an address"),
        (["--count", "1", "--api-key", ""], 1, "the API key is empty"),
        (["--count", "1", "--api-key", " "], 1, "the API key is empty"),
        (["--count", "1", "--api-key", "钥匙"], 1, "the API key holds characters that no key has"),
        (["--count", "1", "--api-key", "a\nb"], 1, "the API key holds characters that no key has"),
    ],
)
def test_wrong_options(out: Path, options: list[str], code: int, said: str) -> None:
    done = run(out, *options)
    assert done.exit_code == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not out.exists()


def test_an_address_that_only_the_client_knows_to_be_wrong(out: Path) -> None:
    done = run(out, "--count", 1, "--base-url", "http://\u200b/v1")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("; check --base-url")


def test_settings_of_the_environment(
    chat: Chat, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", chat.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert run(out, "--count", 1, "--model", "qwen").exit_code == 0
    assert chat.keys == [f"Bearer {KEY}"]
    assert chat.asked[0]["model"] == "qwen"
    assert KEY not in repr(CrawlOptions(out, 1, api_key=KEY))


def test_without_rapidfuzz(chat: Chat, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    done = run(out, "--count", 1, "--base-url", chat.url)
    assert done.exit_code == 1
    assert done.stderr == "model-prep: crawl needs rapidfuzz; run: pip install 'rag-app[train]'\n"
