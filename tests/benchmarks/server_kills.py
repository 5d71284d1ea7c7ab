"""kill -9 of a server at any moment of uploads, replacements, deletions, cancelling and indexing.

After each kill another server takes over, and is itself killed now and then while it does. Whatever
was acknowledged must be there: each document in the version that was accepted last, what was
deleted gone, the text in the index that of the stored file. Embeddings are hashes; each server is
forked from this process, which has everything imported.
    python -m tests.benchmarks.server_kills [--rounds 1000] [--seed 0]
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from rag_app.engine import RagApp
from rag_app.server import indexing_jobs
from rag_app.server.app import create_app
from rag_app.server.connections import Server
from rag_app.server.index_registry import document_id
from rag_app.server.serve import listen
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import ScriptedChatModel

NAMES = [f"{folder}{number}.txt" for folder in ("", "年/") for number in range(8)]
PADDING = "账目分明，四时往来不绝，乡里称便。"
FAULT_SECONDS = 120.0
"""After which what should have come to rest counts as lost."""
_PATIENCE = 600.0
"""Seconds: on a busy machine a server that is slow is not one that died."""
GONE = 0
"""In place of a version: there is no such document."""


def fork_server(life: float, *, now: bool) -> tuple[int, str]:
    """Start a server, and return its process and address.

    Args:
        life: Seconds after which it kills itself.
        now: They count from its beginning, else from a signal.
    """
    listening = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    if pid := os.fork():
        listening.close()
        return pid, address
    killer = threading.Timer(life, lambda: os.kill(os.getpid(), signal.SIGKILL))
    killer.daemon = True
    if now:
        killer.start()
    signal.signal(signal.SIGUSR1, lambda *_: killer.start())
    indexing_jobs._ADOPTING_SECONDS = 0.2
    engine = RagApp(
        llm=ScriptedChatModel(replies=["x"]),
        embeddings=HashingEmbeddings(),
        chunk_size=60,
        chunk_overlap=0,
    )
    Server(create_app(engine)).run(sockets=[listening])
    os._exit(0)


@contextmanager
def server(life: float, *, now: bool = False) -> Iterator[tuple[int, httpx.Client]]:
    """A server and its client; that it does not answer any more ends the block."""
    pid, address = fork_server(life, now=now)
    try:
        with (
            httpx.Client(base_url=address, timeout=_PATIENCE) as client,
            suppress(httpx.TransportError),
        ):
            yield pid, client
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # it was waited for already
            os.waitpid(pid, 0)


class Expected:
    """What may be there: of each document the versions that are right, of an index whether."""

    def __init__(self) -> None:
        self.versions: dict[str, set[int]] = {name: {GONE} for name in NAMES}
        self.other: set[bool] = {False}
        self.jobs: dict[str, list[str]] = {}
        """Names in jobs that were acknowledged in this life of the server."""
        self.done = Counter[str]()
        self.last = GONE

    def file(self, name: str) -> tuple[str, tuple[str, bytes]]:
        """A new version of a document, as a form has it."""
        text = f"第{self.last:06}版，{name}。\n\n" + PADDING * random.randrange(1, 200)
        return ("files", (name, text.encode()))


def upload(client: httpx.Client, seen: Expected) -> None:
    names = random.sample(NAMES, random.choice([1, 1, 1, 3]))
    seen.last += 1
    for name in names:  # until it is acknowledged, either may be there
        seen.versions[name].add(seen.last)
    files = [seen.file(name) for name in names]
    answer = client.post("/v1/indexes/a/documents", files=files)
    assert answer.status_code == 202, answer.text
    for name in names:
        seen.versions[name] = {seen.last}
    seen.jobs[answer.json()["id"]] = names


def delete(client: httpx.Client, seen: Expected) -> None:
    listed = client.get("/v1/indexes/a/documents").json()["data"]
    if not listed:
        return
    one = random.choice(listed)
    seen.versions[one["name"]].add(GONE)
    answer = client.delete(f"/v1/indexes/a/documents/{one['id']}")
    if answer.status_code in {404, 409, 503}:  # replaced meanwhile, or the index is being written
        return
    assert answer.status_code == 200, answer.text
    seen.versions[one["name"]] = {GONE}


def cancel(client: httpx.Client, seen: Expected) -> None:
    for job, names in random.sample(sorted(seen.jobs.items()), min(len(seen.jobs), 1)):
        if client.get(f"/v1/jobs/{job}").json()["status"] == "done":
            continue
        for name in names:  # what it had not indexed is as it was before any of the waiting jobs
            seen.versions[name] = set(range(seen.last + 1))
        assert client.delete(f"/v1/jobs/{job}").status_code == 200


def make_or_drop(client: httpx.Client, seen: Expected) -> None:
    there = True in seen.other
    seen.other = {True, False}
    if there:
        answer = client.delete("/v1/indexes/b")
        assert answer.status_code in {200, 404}, answer.text
    else:
        answer = client.post("/v1/indexes", json={"name": "b"})
        assert answer.status_code in {201, 409}, answer.text
    seen.other = {not there}


def settle(client: httpx.Client, _: Expected) -> None:
    """Let all jobs end."""
    until(lambda: all(job["status"] not in {"queued", "running"} for job in jobs(client)))


def jobs(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/jobs").json()["data"]
    return found


OPERATIONS: list[tuple[int, Callable[[httpx.Client, Expected], None]]] = [
    (6, upload),
    (3, delete),
    (2, cancel),
    (1, make_or_drop),
    (2, settle),
]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FAULT_SECONDS
    while not true():
        if time.monotonic() > deadline:
            sys.exit("what was acknowledged did not come to rest")
        time.sleep(0.02)


def look(client: httpx.Client) -> None:
    """Ask a server until it dies."""
    while True:
        jobs(client)


def work(client: httpx.Client, seen: Expected) -> None:
    """Use a server until it dies."""
    seen.jobs.clear()
    weights = [weight for weight, _ in OPERATIONS]
    while True:
        ((_, operation),) = random.choices(OPERATIONS, weights)
        operation(client, seen)
        seen.done[operation.__name__] += 1


def verify(client: httpx.Client, home: Path, seen: Expected) -> None:
    """Look at what a server finds that took over; from then on that alone is right."""
    folder = home / "indexes/a"
    until(lambda: bool(jobs(client)) or not list((folder / "incoming").glob("[!.]*")))
    settle(client, seen)
    listed = {one["name"]: one["id"] for one in
              client.get("/v1/indexes/a/documents").json()["data"]}  # fmt: skip
    assert set(listed) <= set(NAMES), listed
    aside = {
        (file.relative_to(folder / "set-aside").parts[1:], version_of(file.read_text("utf-8")))
        for file in (folder / "set-aside").rglob("*.txt")
    }
    for name, allowed in seen.versions.items():
        found = GONE
        if name in listed:
            text = client.get(f"/v1/indexes/a/documents/{listed[name]}/text").json()["text"]
            found = version_of(text)
            stored = folder / "files" / name
            assert listed[name] == document_id(str(stored.resolve()))
            assert version_of(stored.read_text("utf-8")) == found, f"{name}: index and file"
            asked = {"query": f"第{found:06}版 {name}", "k": 20, "retriever": "lexical"}
            hits = client.post("/v1/indexes/a/search", json=asked).json()["data"]
            names = {each for hit in hits for each in (hit["name"], *hit["copies"])}
            assert name in names, f"{name} is not found"
        kept = {version for parts, version in aside if "/".join(parts) == name}
        if found not in allowed and not allowed & kept:
            sys.exit(f"{name} is in version {found}, not {sorted(allowed)[-5:]}, {kept=}")
        seen.versions[name] = {found}
    other = "b" in {one["name"] for one in client.get("/v1/indexes").json()["data"]}
    assert other in seen.other, f"index b: {other}, not {seen.other}"
    seen.other = {other}
    seen.done["set aside"] = len(aside)


def verify_alive(pid: int, client: httpx.Client, home: Path, seen: Expected) -> None:
    """`verify` with a server that nothing kills: it lives, whatever becomes of a connection."""
    while True:
        try:
            verify(client, home, seen)
        except httpx.TransportError as error:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                sys.exit(f"the server died by itself: status {status}, {error!r}")
            print(f"a connection was lost, and the server lives: {error!r}", flush=True)
        else:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    seen, started = Expected(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["RAG_APP_HOME"] = folder
        with server(0) as (_, client):
            assert client.post("/v1/indexes", json={"name": "a"}).status_code == 201
        for kills in range(1, options.rounds + 1):
            if random.random() < 0.2:  # while it takes over
                with server(random.uniform(0.02, 0.6), now=True) as (_, client):
                    look(client)
                continue
            with server(random.expovariate(2)) as (pid, client):
                verify_alive(pid, client, home, seen)
                os.kill(pid, signal.SIGUSR1)
                work(client, seen)
            passed = time.monotonic() - started
            print(f"{kills} kills, {passed:.0f} s: {dict(seen.done)}", flush=True)
        with server(0) as (pid, client):
            verify_alive(pid, client, home, seen)
    print(f"nothing acknowledged was lost in {options.rounds} kills")


def version_of(text: str) -> int:
    return int(text[1:7])


if __name__ == "__main__":
    main()
