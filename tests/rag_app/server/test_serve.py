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
    ("sent", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
    ],
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
        return bool(httpx.get(f"{url}/health", timeout=60).json()["ready"])
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
        said = "interrupted" if sent == signal.SIGINT else f"ended by {sent.name}"
        assert ended(process) == (status, f"rag-app: {said}")


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


LLAMA_CPP = """
import sys, xllamacpp
from model_prep.inference.llamacpp_model import start_server
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], 1024, 1
params.warmup, params.verbosity = False, -1
server = start_server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_cpp(model: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """llama.cpp's own server in a process of its own, and its address."""
    command = [sys.executable, "-c", LLAMA_CPP, str(model)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        try:
            yield process, f"{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


@pytest.mark.slow
def test_servers_of_llama_cpp_are_killed_behind_it(tiny_gguf: Path) -> None:
    with (
        llama_cpp(tiny_gguf) as (first, one),
        llama_cpp(tiny_gguf) as (second, other),
        serve("--llm", f"{one},{other}", "--llm-name", "tiny") as (_, url),
    ):

        def ask() -> httpx.Response:
            return httpx.post(url + CHAT, json={**ASKED, "max_tokens": 8}, timeout=SECONDS)

        assert [ask().status_code for _ in range(4)] == [200] * 4
        first.kill()
        assert [ask().status_code for _ in range(4)] == [200] * 4
        streamed = {**ASKED, "max_tokens": 8, "stream": True}
        assert "[DONE]" in httpx.post(url + CHAT, json=streamed, timeout=SECONDS).text
        second.kill()
        refused = ask()
        assert refused.status_code >= 500
        assert "none of the model's servers answers" in refused.text
        assert is_ready(url)


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
