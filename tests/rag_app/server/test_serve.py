"""`rag-app serve` as a process: it ends when it is told to, whatever it is doing."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.rag_app.server.serving import Served, serving
from tests.rag_app.server.test_queueing import inside, until
from tests.scripted import ScriptedChatModel

PROGRAM = str(Path(sys.executable).with_name("rag-app"))
ASKED: Any = {"messages": [{"role": "user", "content": "讲一个长故事"}]}
CHAT = "/v1/chat/completions"
SECONDS = 60
ENDS = pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)


@pytest.fixture
def behind(home: Path) -> Iterator[Served]:
    """What holds the model: the process is then quick to start."""
    slow = ScriptedChatModel(replies=["故事" * 50_000], delay=0.005, window=10**6)
    with serving(llm=slow) as served:
        yield served


@contextmanager
def serve(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server's process, and its address once it is ready."""
    command = [PROGRAM, "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            url = process.stderr.readline().split()[1]
            until(lambda: is_ready(url))
            yield process, url
        finally:
            process.kill()


def is_ready(url: str) -> bool:
    try:
        return bool(httpx.get(f"{url}/health").json()["ready"])
    except httpx.TransportError:
        return False


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the end; return the exit status, and what was said beside the log's lines."""
    _, said = process.communicate(timeout=SECONDS)
    lines = [line for line in said.splitlines() if not line.startswith("{")]
    assert not any("traceback" in line for line in said.splitlines())
    return process.returncode, "\n".join(lines)


@pytest.mark.slow
@ENDS
def test_it_ends_when_told_to(sent: signal.Signals, status: int, behind: Served) -> None:
    with serve("--llm", f"{behind.url}/v1", "--llm-name", "default") as (process, _):
        process.send_signal(sent)
        said = "rag-app: interrupted" if sent == signal.SIGINT else ""
        assert ended(process) == (status, said)


@pytest.mark.slow
@ENDS
def test_a_stream_does_not_keep_it(sent: signal.Signals, status: int, behind: Served) -> None:
    with (
        serve("--llm", f"{behind.url}/v1", "--llm-name", "default") as (process, url),
        httpx.stream("POST", url + CHAT, json={**ASKED, "stream": True}, timeout=SECONDS) as answer,
    ):
        lines = (line for line in answer.iter_lines() if line)
        next(lines)
        process.send_signal(sent)
        *_, error, done = lines
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "shutting_down"
        assert done == "data: [DONE]"
        assert ended(process)[0] == status
    until(lambda: inside(behind) == 0)


@pytest.mark.slow
def test_an_answer_that_is_waited_for_is_given_up(behind: Served) -> None:
    with serve("--llm", f"{behind.url}/v1", "--llm-name", "default") as (process, url):
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(url + CHAT, json=ASKED, timeout=SECONDS))
        )
        asking.start()
        until(lambda: inside(behind) == 1)
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert answers[0].status_code == 503
        assert answers[0].json()["error"]["code"] == "shutting_down"
        ended(process)


@pytest.mark.slow
def test_a_second_server_on_the_port_says_so(behind: Served) -> None:
    llm = ["--llm", f"{behind.url}/v1", "--llm-name", "default"]
    with serve(*llm) as (_, url):
        port = url.rsplit(":", 1)[1]
        command = [PROGRAM, "serve", "--port", port, *llm]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert f"can't listen on 127.0.0.1:{port}" in line
    assert "choose another --port" in line


@pytest.mark.model
@pytest.mark.usefixtures("real_home")
def test_the_real_model_does_not_keep_it() -> None:
    with (
        serve() as (process, url),
        httpx.stream("POST", url + CHAT, json={**ASKED, "stream": True}, timeout=SECONDS) as answer,
    ):
        lines = (line for line in answer.iter_lines() if line)
        next(lines)
        process.send_signal(signal.SIGINT)
        assert "shutting_down" in [*lines][-2]
        assert ended(process)[0] == 130
