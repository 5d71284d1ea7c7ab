"""Indexing jobs: fair, bounded, cancelled, and set aside when they kill the server."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app import RagApp
from rag_app.errors import BusyIndexError
from rag_app.models.embeddings.base import FloatArray
from rag_app.server import uploads
from rag_app.server.job_records import JobRecords
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server.routes.test_indexes import ended
from tests.rag_app.server.serving import Served, serving, upload
from tests.rag_app.server.test_queueing import until

POISON = "字" * 20_000
LONG_POISON = POISON * 5
"""Of so many slices that it is at work for long, however quickly each of them passes."""
SMALL = "李白在当涂病逝。"


class Slow(HashingEmbeddings):
    """Waits at every slice of the poison, and at no other.

    Args:
        seconds: How long, unless the gate opens.
    """

    def __init__(self, seconds: float = 60) -> None:
        super().__init__()
        self.seconds = seconds
        self.begun, self.gate = threading.Event(), threading.Event()

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        if any("字字字" in text for text in texts):
            self.begun.set()
            self.gate.wait(self.seconds)
        return super().embed_array(texts)


@pytest.fixture
def slow(home: Path) -> Iterator[tuple[Served, Slow, httpx.Client]]:
    embeddings = Slow()
    with serving(embeddings=embeddings, chunk_size=50, chunk_overlap=0) as served:
        with served.client() as client:
            yield served, embeddings, client
        embeddings.gate.set()


def send(client: httpx.Client, index: str, **files: str) -> dict[str, Any]:
    """Upload files without waiting until they are indexed."""
    client.post("/v1/indexes", json={"name": index})
    parts = [("files", (name, text.encode())) for name, text in files.items()]
    answer = client.post(f"/v1/indexes/{index}/documents", files=parts)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def status(client: httpx.Client, job: dict[str, Any]) -> str:
    return str(client.get(f"/v1/jobs/{job['id']}").json()["status"])


def test_a_long_job_of_one_index_holds_up_no_other(
    slow: tuple[Served, Slow, httpx.Client],
) -> None:
    _, embeddings, client = slow
    poison = send(client, "a", **{"毒.txt": POISON})
    assert embeddings.begun.wait(60)
    assert upload(client, "b", **{"乙.txt": SMALL})["status"] == "done"
    behind = send(client, "a", **{"甲.txt": SMALL})
    assert (status(client, poison), status(client, behind)) == ("running", "queued")
    embeddings.gate.set()
    until(lambda: status(client, behind) == "done")
    assert status(client, poison) == "done"


def test_jobs_are_cancelled(slow: tuple[Served, Slow, httpx.Client], home: Path) -> None:
    _, embeddings, client = slow
    embeddings.seconds = 0.5
    poison = send(client, "a", **{"毒.txt": LONG_POISON})
    behind = send(client, "a", **{"甲.txt": SMALL})
    assert embeddings.begun.wait(60)
    answer = client.delete(f"/v1/jobs/{behind['id']}")
    assert answer.json()["status"] == "cancelled"
    assert client.delete(f"/v1/jobs/{poison['id']}").json()["status"] == "cancelled"
    assert client.get("/v1/indexes/a/documents").json()["data"] == []
    assert list((home / "indexes/a/incoming").iterdir()) == []
    again = client.delete(f"/v1/jobs/{poison['id']}")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert client.delete("/v1/jobs/none").status_code == 404
    assert upload(client, "a", **{"甲.txt": SMALL})["status"] == "done"


@pytest.mark.slow
def test_a_job_is_ended_for_another_server(slow: tuple[Served, Slow, httpx.Client]) -> None:
    _, embeddings, client = slow
    embeddings.seconds = 0.5
    for name in ("a", "b"):  # the second after a time without any
        embeddings.begun.clear()
        poison = send(client, name, **{"毒.txt": LONG_POISON})
        assert embeddings.begun.wait(60)
        others = JobRecords()
        others.cancel(next(record for record, _, job in others.all() if job.id == poison["id"]))
        until(lambda: status(client, poison) == "cancelled")  # noqa: B023 - it is called here


def test_an_index_is_deleted_while_it_is_written(
    slow: tuple[Served, Slow, httpx.Client], home: Path
) -> None:
    _, embeddings, client = slow
    embeddings.seconds = 0.5
    send(client, "a", **{"毒.txt": LONG_POISON})
    assert embeddings.begun.wait(60)
    assert client.delete("/v1/indexes/a").status_code == 200
    assert not (home / "indexes/a").exists()


def test_documents_are_bounded_in_passages(home: Path) -> None:
    settings: dict[str, Any] = {"chunk_size": 50, "chunk_overlap": 0, "upload_passages": 100}
    with serving(**settings) as served, served.client() as client:
        job = upload(client, "a", **{"毒.txt": POISON, "甲.txt": SMALL})
    assert job["added"] == ["甲.txt"]
    (failed,) = job["failed"]
    assert "400 passages, more than 100" in failed["reason"]


def test_a_job_that_takes_too_long_is_set_aside(home: Path) -> None:
    settings: dict[str, Any] = {"chunk_size": 50, "chunk_overlap": 0}
    with serving(job_seconds=1e-9, **settings) as served, served.client() as client:
        job = upload(client, "a", **{"毒.txt": POISON})
        assert job["status"] == "failed"
        assert "longer than" in job["error"]
        assert str(home) not in job["error"]
    (kept,) = (home / "indexes/a" / uploads.SET_ASIDE).glob("*/毒.txt")
    assert kept.read_text(encoding="utf-8") == POISON
    with serving(**settings) as served, served.client() as client:
        ended(served, client)
        assert client.get("/v1/indexes/a/documents").json()["data"] == []


def test_what_kills_the_server_twice_is_set_aside(home: Path) -> None:
    with serving() as served, served.client() as client:
        client.post("/v1/indexes", json={"name": "a"})
    folders = [home / "indexes/a/incoming" / name for name in ("1", "2", "3")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / f"{folder.name}.txt").write_text(SMALL + folder.name, encoding="utf-8")
    uploads.attempt(folders[0])  # as a process does that is killed before it ends
    uploads.attempt(folders[1])
    uploads.attempt(folders[1])
    with serving() as served, served.client() as client:
        ended(served, client)
        names = {one["name"] for one in client.get("/v1/indexes/a/documents").json()["data"]}
        assert names == {"1.txt", "3.txt"}
        (job,) = (job for job in client.get("/v1/jobs").json()["data"] if job["error"])
        assert job["status"] == "failed"
        assert "ended twice" in job["error"]
    assert list((home / "indexes/a" / uploads.SET_ASIDE).glob("2-*/2.txt"))


@pytest.mark.slow
def test_a_server_that_ends_in_order_counts_no_attempt(home: Path) -> None:
    embeddings = Slow(seconds=0.5)
    settings: dict[str, Any] = {"embeddings": embeddings, "chunk_size": 50, "chunk_overlap": 0}
    for _ in range(3):
        with serving(**settings) as served:
            with served.client() as client:
                if not client.get("/v1/indexes").json()["data"]:
                    send(client, "a", **{"毒.txt": LONG_POISON})
                assert embeddings.begun.wait(60)
            embeddings.begun.clear()
    embeddings.gate.set()
    with serving(**settings) as served, served.client() as client:
        ended(served, client)
        assert len(client.get("/v1/indexes/a/documents").json()["data"]) == 1


def test_an_answer_from_an_unfinished_index_says_so(
    slow: tuple[Served, Slow, httpx.Client],
) -> None:
    _, embeddings, client = slow
    upload(client, "a", **{"甲.txt": SMALL})
    send(client, "a", **{"毒.txt": POISON})
    assert embeddings.begun.wait(60)
    asked = {"model": "rag:a", "messages": [{"role": "user", "content": "李白在哪里病逝？"}]}
    answer = client.post("/v1/chat/completions", json={**asked, "threshold": 0}).json()
    assert any("still being indexed" in note for note in answer["rag"]["notes"])
    embeddings.gate.set()
    until(lambda: not any(job.index == "a" and not job.ended for job in slow[0].app.state.jobs))
    answer = client.post("/v1/chat/completions", json={**asked, "threshold": 0}).json()
    assert not any("still being indexed" in note for note in answer["rag"]["notes"])


@pytest.mark.parametrize("what", ["create", "upload"])
def test_a_folder_that_a_full_disk_left(what: str, home: Path) -> None:
    (home / "indexes/ghost").mkdir(parents=True)
    with serving() as served, served.client() as client:
        assert client.post("/v1/indexes", json={"name": "ghost"}).status_code == 201
        if what == "upload":
            assert upload(client, "ghost", **{"甲.txt": SMALL})["status"] == "done"
        assert client.delete("/v1/indexes/ghost").status_code == 200
        assert not (home / "indexes/ghost").exists()


def test_a_job_waits_for_another_process_that_writes_the_index(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, busy = RagApp.index, [True, True]

    def once_free(app: RagApp, *arguments: Any, **options: Any) -> Any:
        if busy:
            busy.pop()
            raise BusyIndexError("being written")
        return index(app, *arguments, **options)

    monkeypatch.setattr(RagApp, "index", once_free)
    with serving() as served, served.client() as client:
        job = upload(client, "a", **{"a.txt": SMALL})
    assert (job["status"], job["added"], busy) == ("done", ["a.txt"], [])
