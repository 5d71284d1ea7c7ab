"""The server over indexes in Milvus as over those in folders, and several servers over one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app.index.milvus.store import MilvusStore
from tests.rag_app.server.serving import LI_BAI, serving, upload
from tests.rag_app.server.test_kill import check_two_servers, server

QUESTION = {"query": "李白在哪里病逝？", "k": 1}


@pytest.fixture
def store(home: Path) -> str:
    """A file of milvus-lite."""
    return f"milvus:{home}/served.db"


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of milvus-lite, in place of a cluster, as the store of all that is started."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    milvus, database, port = start_server_in_thread(str(home / "milvus"))
    monkeypatch.setenv("RAG_APP_STORE", f"milvus:http://127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"
    milvus.stop(grace=0)
    database.close()


@pytest.fixture(params=["folders", "cluster"])
def several(request: pytest.FixtureRequest) -> None:
    """Where the indexes of several servers on one home lie."""
    if request.param == "cluster":
        request.getfixturevalue("cluster")


def found(client: httpx.Client, index: str = "诗") -> list[str]:
    passages = client.post(f"/v1/indexes/{index}/search", json=QUESTION).json()["data"]
    return [passage["text"] for passage in passages]


@pytest.mark.slow
def test_from_an_upload_to_an_answer_and_away(store: str, home: Path) -> None:
    with serving(store=store) as served, served.client() as client:
        assert client.get("/v1/indexes").json()["data"] == []
        job = upload(client, "诗", **{"年/李白.txt": LI_BAI, "洗衣机.md": "保修三年。"})
        assert (job["status"], sorted(job["added"])) == ("done", ["年/李白.txt", "洗衣机.md"])
        assert upload(client, "诗", **{"洗衣机.md": "保修四年。"})["updated"] == ["洗衣机.md"]
        assert upload(client, "诗", **{"洗衣机.md": "保修四年。"})["unchanged"] == 1
        assert client.post("/v1/indexes", json={"name": "诗"}).status_code == 409
        served.replies = ["李白在当涂病逝。"]
        asked = {"model": "rag:诗", "messages": [{"role": "user", "content": "李白在哪里病逝？"}]}
        answer = client.post("/v1/chat/completions", json={**asked, "threshold": 0}).json()
        assert "当涂" in answer["choices"][0]["message"]["content"]
        assert answer["rag"]["citations"][0]["name"] == "年/李白.txt"
    with serving(store=store) as served, served.client() as client:
        (index,) = client.get("/v1/indexes").json()["data"]
        assert (index["name"], index["documents"]) == ("诗", 2)
        first, _ = client.get("/v1/indexes/诗/documents").json()["data"]
        path = f"/v1/indexes/诗/documents/{first['id']}"
        assert client.get(f"{path}/text").json()["text"] == LI_BAI
        assert found(client) == [LI_BAI]
        assert client.delete(path).status_code == 200
        assert client.get(f"{path}/text").status_code == 404
        assert found(client) == ["保修四年。"]
        assert not (home / "indexes/诗/files/年").exists()
        assert client.delete("/v1/indexes/诗").json()["deleted"]
        assert client.get("/v1/indexes/诗/documents").status_code == 404
        assert not (home / "indexes/诗").exists()
        client.post("/v1/indexes", json={"name": "诗"})
        assert client.get("/v1/indexes/诗/documents").json()["data"] == []


@pytest.mark.parametrize("name", ["..", ".deleted-1", "没有", "a%2Fb"])
def test_names_that_no_index_has(name: str, store: str) -> None:
    with serving(store=store) as served, served.client() as client:
        assert client.get(f"/v1/indexes/{name}").status_code == 404


@pytest.mark.slow
def test_a_question_looks_twice_for_the_state_of_the_index(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for the embedding model, once for the search: each may go to another machine."""
    looks: list[None] = []
    state = MilvusStore._state

    def counted(of: MilvusStore) -> Any:
        looks.append(None)
        return state(of)

    with serving(store=store) as served, served.client() as client:
        upload(client, "诗", **{"李白.txt": LI_BAI})
        monkeypatch.setattr(MilvusStore, "_state", counted)
        engine = served.app.state.registry.engine("诗")
        looks.clear()
        assert engine.retrieve("李白在哪里病逝？", k=1)
    assert len(looks) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("several")
def test_two_servers_list_cancel_and_follow_each_others_jobs() -> None:
    with server() as (_, first), server() as (_, second):
        httpx.post(f"{first}/v1/indexes", json={"name": "a"}, timeout=60)
        files = [("files", (f"{number}.txt", f"第{number}号。".encode())) for number in range(3)]
        job = httpx.post(f"{first}/v1/indexes/a/documents", files=files, timeout=60).json()
        with httpx.stream("GET", f"{second}/v1/jobs/{job['id']}/events", timeout=60) as events:
            lines = [line for line in events.iter_lines() if line]
        assert '"status":"done"' in lines[-1].replace(" ", "")
        mine, others = (
            httpx.get(f"{url}/v1/jobs", timeout=60).json()["data"] for url in (first, second)
        )
        assert mine == others
        assert others[0]["added"] == ["0.txt", "1.txt", "2.txt"]
        listed = [httpx.get(f"{url}/v1/indexes", timeout=60).json() for url in (first, second)]
        assert listed[0] == listed[1]
        answers = [
            httpx.post(f"{url}/v1/indexes/a/search", json=QUESTION, timeout=60).json()
            for url in (first, second)
        ]
        assert answers[0] == answers[1]
        # Ten seconds and more of work, of which the first second is waited for.
        big = [("files", ("big.txt", "很长的一篇，讲各种各样的事。".encode() * 400_000))]
        job = httpx.post(f"{first}/v1/indexes/a/documents", files=big, timeout=60).json()
        ended = httpx.delete(f"{second}/v1/jobs/{job['id']}", timeout=90).json()
        assert ended["status"] == "cancelled"
        assert httpx.delete(f"{second}/v1/indexes/a", timeout=60).status_code == 200
        assert httpx.get(f"{first}/v1/indexes/a", timeout=60).status_code == 404


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_what_one_acknowledged_and_was_killed_over_the_other_indexes(home: Path) -> None:
    check_two_servers(home, characters=3_500)
