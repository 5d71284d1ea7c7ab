"""kill -9 of a server in the middle of its work: nothing that was acknowledged is lost."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rag_app.server import uploads
from tests.paths import ROOT

# A server over models that are quick to load: what is tested is the files.
CODE = """
import socket, sys, uvicorn
from rag_app.engine import RagApp
from rag_app.server.app import create_app
from rag_app.server import indexing_jobs
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import ScriptedChatModel
indexing_jobs._ADOPTING_SECONDS = 0.2
engine = RagApp(llm=ScriptedChatModel(replies=["x"]), embeddings=HashingEmbeddings())
listening = socket.create_server(("127.0.0.1", 0))
print("port", listening.getsockname()[1], flush=True)
config = uvicorn.Config(create_app(engine), log_config=None, access_log=False)
uvicorn.Server(config).run(sockets=[listening])
"""
_MOST = 40
"""Uploads before a kill; where all were acknowledged by then, their indexing is what it meets."""


@contextmanager
def server() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout
        found = re.match(r"port (\d+)", process.stdout.readline())
        assert found
        url = f"http://127.0.0.1:{found[1]}"
        deadline = time.monotonic() + 300
        while True:
            try:
                httpx.get(f"{url}/health", timeout=60)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
        yield process, url
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def names(url: str) -> set[str]:
    listed = httpx.get(f"{url}/v1/indexes/a/documents", timeout=60).json()["data"]
    return {one["name"] for one in listed}


def set_aside(home: Path) -> set[str]:
    """Names of files that were being indexed at two kills, and are kept without being indexed."""
    return {file.name for file in (home / "indexes/a/set-aside").glob("*/*.txt")}


def _killer(process: "subprocess.Popen[str]", seconds: float) -> threading.Timer:
    """Return what kills a server some time after the first upload that it acknowledges."""
    return threading.Timer(seconds, lambda: os.kill(process.pid, signal.SIGKILL))


@pytest.mark.slow
def test_uploads_and_indexing_survive(home: Path) -> None:
    acknowledged: set[str] = set()
    for attempt in range(3):
        with server() as (process, url):
            httpx.post(f"{url}/v1/indexes", json={"name": "a"}, timeout=60)
            killer = _killer(process, 0.2 + 0.2 * attempt)
            for number in range(_MOST):
                name = f"{attempt}-{number}.txt"
                files = [("files", (name, f"第{number}号文件。".encode() * 2000))]
                try:
                    answer = httpx.post(f"{url}/v1/indexes/a/documents", files=files, timeout=60)
                except httpx.TransportError:
                    break
                if answer.status_code == 202:
                    acknowledged.add(name)
                    if killer.ident is None:
                        killer.start()
            killer.join()
    assert acknowledged
    with server() as (_, url):
        stored, deadline = home / "indexes/a/files", time.monotonic() + 300
        while not acknowledged <= names(url) | set_aside(home) or list(stored.glob(".*")):
            assert time.monotonic() < deadline, acknowledged - names(url)
            time.sleep(0.1)


@pytest.mark.slow
def test_replacements_survive(home: Path) -> None:
    """Whenever the server dies: the index and the file agree, on what was acknowledged last."""
    acknowledged = 0
    for attempt in range(4):
        with server() as (process, url):
            httpx.post(f"{url}/v1/indexes", json={"name": "a"}, timeout=60)
            killer = _killer(process, 0.1 + 0.17 * attempt)
            for version in range(acknowledged + 1, acknowledged + _MOST):
                files = [("files", ("年/甲.txt", f"第{version:05}版。".encode() * 2000))]
                try:
                    answer = httpx.post(f"{url}/v1/indexes/a/documents", files=files, timeout=60)
                except httpx.TransportError:
                    break
                if answer.status_code == 202:
                    acknowledged = version
                    if killer.ident is None:
                        killer.start()
            killer.join()
        assert acknowledged
        with server() as (_, url):
            incoming, deadline = home / "indexes/a/incoming", time.monotonic() + 300
            while list(incoming.iterdir()):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            (one,) = httpx.get(f"{url}/v1/indexes/a/documents", timeout=60).json()["data"]
            path = f"{url}/v1/indexes/a/documents/{one['id']}/text"
            text = httpx.get(path, timeout=60).json()["text"]
        assert text[:8] == (home / "indexes/a/files/年/甲.txt").read_text(encoding="utf-8")[:8]
        assert acknowledged <= int(text[1:6]) <= acknowledged + 1
        acknowledged = int(text[1:6])


@pytest.mark.slow
def test_two_servers_on_one_home(home: Path) -> None:
    check_two_servers(home, characters=14_000)


def check_two_servers(home: Path, characters: int) -> None:
    """What one acknowledged and was killed over, the other indexes; all list the same."""
    with server() as (dying, first), server() as (_, second):
        httpx.post(f"{first}/v1/indexes", json={"name": "a"}, timeout=60)
        acknowledged, jobs = set(), set()
        for number in range(20):
            url, name = (first, second)[number % 2], f"{number}.txt"
            text = f"第{number}号文件。"
            files = [("files", (name, text.encode() * (characters // len(text))))]
            answer = httpx.post(f"{url}/v1/indexes/a/documents", files=files, timeout=60)
            assert answer.status_code == 202, answer.text
            acknowledged.add(name)
            jobs.add(answer.json()["id"])
        dying.kill()
        deadline = time.monotonic() + 300
        while not acknowledged <= names(second):
            assert time.monotonic() < deadline, acknowledged - names(second)
            time.sleep(0.1)
        with server() as (_, third):
            assert names(third) == names(second) == acknowledged
            listed = {one["id"] for one in httpx.get(f"{third}/v1/jobs", timeout=60).json()["data"]}
            assert jobs <= listed
    assert not list((home / "indexes/a/incoming").iterdir())


@pytest.mark.slow
def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    code = """
import io, sys
from pathlib import Path
from rag_app.server import uploads
class Slow(io.BytesIO):
    def read(self, size=-1):
        print("writing", flush=True)
        sys.stdin.readline()
        return super().read(size)
batch = uploads.save([("a.txt", io.BytesIO(b"a"))], Path(sys.argv[1]), 1000)
uploads.save([("b.txt", Slow(b"b"))], Path(sys.argv[1]), 1000)
"""
    (tmp_path / "incoming").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "writing\n"
        uploads.sweep(tmp_path)
        assert uploads.adopt(tmp_path, own=True) == []
        assert len(list((tmp_path / "incoming").iterdir())) == 2
        other.kill()
        other.wait()
    uploads.sweep(tmp_path)
    [adopted] = uploads.adopt(tmp_path, own=False)
    assert [file.name for file in uploads.contents(adopted)] == ["a.txt"]
    assert uploads.waiting(tmp_path) == [adopted]
    assert uploads.adopt(tmp_path, own=False) == []
    assert uploads.adopt(tmp_path, own=True) == [adopted]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_of_a_deletion_that_is_interrupted_the_newest_version_stays(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / uploads.FILES
    files.mkdir()
    (files / "甲.txt").write_text("1", encoding="utf-8")
    for version in (b"2", b"3"):
        uploads.save([("甲.txt", io.BytesIO(version))], tmp_path, 1000)
    deleted: list[Path] = []
    unlink = Path.unlink

    def dying(path: Path, missing_ok: bool = False) -> None:
        if len(deleted) == most:
            raise KeyboardInterrupt
        deleted.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        uploads.delete((files / "甲.txt").resolve(), tmp_path)
    kept = sorted(file.read_text(encoding="utf-8") for file in tmp_path.rglob("甲.txt"))
    assert kept == ["1", "2", "3"][most:]


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_random_kills() -> None:
    """Some rounds of the benchmark, which kills a thousand times."""
    command = [sys.executable, "-m", "tests.benchmarks.server_kills", "--rounds", "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "nothing acknowledged was lost in 5 kills" in done.stdout
