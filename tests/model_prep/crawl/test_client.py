"""Servers that take less, say something odd, or fail."""

import json
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from model_prep.errors import CrawlError
from tests.model_prep.crawl.chat_server import (
    KEY,
    Chat,
    break_off,
    drip,
    endless,
    fail,
    hang,
    item,
    redirect,
    refuse_formats,
    say,
    say_items,
    send,
)
from tests.model_prep.crawl.conftest import Crawls, lines

# Servers that take less, or give something odd


@pytest.mark.parametrize(
    ("refused", "formats"),
    [
        ((), ["json_schema", "json_schema"]),
        (("json_schema",), ["json_schema", "json_object", "json_object"]),
        (("json_schema", "json_object"), ["json_schema", "json_object", None, None]),
    ],
)
def test_response_formats(
    crawls: Crawls, chat: Chat, refused: tuple[str, ...], formats: list[str | None]
) -> None:
    chat.otherwise = refuse_formats(*refused)
    report = crawls(4)
    assert chat.formats == formats
    assert (report.requests, report.retries) == (len(formats), 0)


def test_formats_are_found_out_once_by_all(crawls: Crawls, chat: Chat) -> None:
    chat.otherwise = refuse_formats("json_schema")
    crawls(20, concurrency=4)
    assert len(chat.asked) <= 14
    assert None not in chat.formats
    assert not crawls.report.rejected


def test_the_newer_name_of_the_limit(crawls: Crawls, chat: Chat) -> None:
    chat.acts = [fail(400, "'max_tokens' is not supported; use 'max_completion_tokens'")]
    crawls(4)
    limits = [one for body in chat.asked for one in body if one.startswith("max_")]
    assert limits == ["max_tokens", "max_completion_tokens", "max_completion_tokens"]
    assert set(chat.formats) == {"json_schema"}


def test_a_request_that_no_form_makes_right(crawls: Crawls, chat: Chat) -> None:
    chat.otherwise = fail(400, "max_tokens 4000 is above this server's 512")
    with pytest.raises(CrawlError, match=r"answered 400 \(max_tokens 4000 is above .*--max-tokens"):
        crawls()
    assert len(chat.asked) == 3


def test_a_prompt_that_a_filter_refuses(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.acts = [say_items(), fail(400, "filtered"), say_items()]
    report = crawls(4)
    assert report.rejected == {"prompt refused by the server": 1}
    assert crawls.notes == [f"{chat.url} answered 400 (filtered)"]
    assert len(lines(out)) == 4


@pytest.mark.parametrize(
    "act",
    [
        say(""),
        say(None),
        say("好的，我明白了。"),
        say("{"),
        send(b'{"choices": [{"message": {"content": 7}}]}'),
    ],
)
def test_replies_that_hold_nothing(crawls: Crawls, chat: Chat, out: Path, act: Any) -> None:
    chat.acts = [act]
    assert crawls(2).rejected == {"reply without items": 1}
    assert len(lines(out)) == 2


NO_CHAT = [
    (send(b"<html>log in first</html>", "text/html"), "<html>log in first</html>"),
    (send(b'{"error": {"message": "no money", "code": 402}}'), "no money"),
    (send(b'{"error": "no money"}'), "no money"),
    (send(b'{"code": 1113, "msg": "no money"}'), "{'code': 1113, 'msg': 'no money'}"),
    (send(b'{"choices": []}'), "choices=[]"),
    (send(b'{"choices": null}'), "choices=None"),
    (send(b'{"choices": "x", "usage": {"prompt_tokens": "many"}}'), "choices='x'"),
    (send(b"[1, 2]"), "[1, 2]"),
    (send(b"null"), "None"),
    (send(b"{"), "no JSON"),
]


@pytest.mark.parametrize(("act", "said"), NO_CHAT)
def test_what_is_no_chat_completion_is_asked_for_again(
    crawls: Crawls, chat: Chat, act: Any, said: str
) -> None:
    chat.acts = [act]
    assert crawls(2).retries == 1
    assert f"{chat.url} sent no chat completion (" in crawls.notes[0]
    assert said in crawls.notes[0]


def test_a_server_that_sends_none_at_all(crawls: Crawls, chat: Chat) -> None:
    chat.otherwise = send(b"<html>log in first</html>", "text/html")
    with pytest.raises(CrawlError, match=r"no chat completion .*, 3 times; check --base-url"):
        crawls(tries=3)


@pytest.mark.parametrize(("act", "said"), NO_CHAT)
def test_one_prompt_without_a_completion(crawls: Crawls, chat: Chat, act: Any, said: str) -> None:
    chat.acts = [say_items(), act, say_items()]
    assert crawls(4).rejected == {"prompt refused by the server": 1}
    assert said in crawls.notes[0]


@pytest.mark.parametrize("begin", ["<think>", "\n<think>\n", ""])
def test_thoughts_are_no_answers(crawls: Crawls, chat: Chat, out: Path, begin: str) -> None:
    draft = json.dumps(item(1000), ensure_ascii=False)
    chat.otherwise = say_items(shape=lambda text: f"{begin}例如 {draft}</think>\n{text}")
    chat.acts = [say(f"<think>例如 {draft}")]  # cut off
    assert crawls(2).rejected == {"reply without items": 1}
    assert lines(out) == [item(0), item(1)]


def test_it_ends_when_nothing_can_be_kept(crawls: Crawls, chat: Chat) -> None:
    bad = {**item(0), "output": "抱歉，我无法回答。"}
    chat.otherwise = say(json.dumps([bad, {"instruction": "没有回答"}]))
    said = r"10 replies in a row gave nothing to keep \(10 × refusal.*10 × a text is missing\)"
    with pytest.raises(CrawlError, match=said):
        crawls()
    assert len(chat.asked) == 10
    chat.acts = [*[say("")] * 9, say_items(), *[say("")] * 9, say_items()]
    assert crawls(4).kept == 4


# Errors that pass, and errors that don't


def test_retry_after(crawls: Crawls, chat: Chat) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    chat.acts = [
        *(fail(429, "slow down", Retry_After=value) for value in ("7", soon, "soon", "-3", "nan")),
        say_items(),
    ]
    report = crawls(2)
    assert (report.requests, report.retries) == (6, 5)
    first, date, *others = crawls.waits
    assert 7 <= first <= 8
    assert 25 <= date <= 31
    assert 4 <= others[0] <= 8  # unreadable: the third back-off
    assert 0 <= others[1] <= 1
    assert 16 <= others[2] <= 32
    assert re.search(r"answered 429 \(.*slow down.*\); try 2 of 6 in \d s", crawls.notes[0])


def test_a_server_that_asks_for_hours(crawls: Crawls, chat: Chat) -> None:
    chat.otherwise = fail(429, Retry_After="7200")
    with pytest.raises(
        CrawlError, match=r"and asks to wait 120 minutes; the same command goes on then"
    ):
        crawls()
    assert crawls.waits == []


@pytest.mark.parametrize("status", [408, 500, 502, 503, 529])
def test_errors_that_pass(crawls: Crawls, chat: Chat, out: Path, status: int) -> None:
    chat.acts = [fail(status), fail(status)]
    report = crawls(2)
    assert (report.requests, report.retries) == (3, 2)
    assert 1 <= crawls.waits[0] <= 2 <= crawls.waits[1] <= 4
    assert len(lines(out)) == 2


def test_errors_that_stay(crawls: Crawls, chat: Chat) -> None:
    chat.otherwise = fail(503, "overloaded")
    with pytest.raises(CrawlError, match=r"answered 503 \(.*overloaded.*\), 3 times; the same"):
        crawls(tries=3)
    assert (crawls.report.requests, crawls.report.retries, len(crawls.waits)) == (3, 2, 2)


def test_timeouts_and_broken_connections(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.acts = [hang, drip, break_off]
    report = crawls(2, timeout=1)
    assert report.retries == 3
    assert all("gave no answer in 1 s" in note for note in crawls.notes[:2])
    assert "can't be reached" in crawls.notes[2]
    assert len(lines(out)) == 2


def test_an_endless_answer_is_not_kept(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.acts = [endless]
    crawls(2)
    assert "sent more than 8 MB to one request" in crawls.notes[0]
    assert len(lines(out)) == 2


def test_nobody_listens(crawls: Crawls, chat: Chat) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(CrawlError, match=rf"127.0.0.1:{port}/v1 can't be reached \(.+\), 6 times"):
        crawls(base_url=f"http://user:geheim@127.0.0.1:{port}/v1")
    assert len(crawls.waits) == 5
    assert "geheim" not in "".join(crawls.notes)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (fail(401, f"wrong key {KEY}"), r"401 \(.*wrong key \*\*\*.*\); .* set OPENAI_API_KEY"),
        (fail(403, "not in your region"), r"403 \(.*not in your region.*\); check the key"),
        (fail(402, "Insufficient Balance"), r"402 \(.*Insufficient Balance.*\); the account is"),
        (send(b'{"error": "no model x"}', status=404), r"answered 404 \(no model x\)"),
        (redirect, r"redirects to http.*/moved and answered 405"),
        (fail(404, "no model x"), r"answered 404 \(.*no model x.*\); check --base-url"),
        (fail(429, code="insufficient_quota"), "the account is used up"),
        (fail(413, f"too long {KEY}\nsecond line"), r"answered 413 \(.*too long \*\*\* second"),
    ],
)
def test_errors_that_end_it(crawls: Crawls, chat: Chat, act: Any, said: str) -> None:
    chat.otherwise = act
    with pytest.raises(CrawlError, match=said) as failure:
        crawls(api_key=KEY)
    assert len(chat.asked) == 1
    assert KEY not in str(failure.value)
    assert crawls.waits == []


def test_what_came_before_an_error_is_kept(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.acts = [say_items(), fail(401)]
    with pytest.raises(CrawlError):
        crawls()
    assert len(lines(out)) == crawls.report.kept == 2
