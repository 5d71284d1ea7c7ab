"""Documents over HTTP: indexes, uploads, jobs, search, summaries."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app.documents.loaders import FileLoader
from tests.rag.server.serving import Served, serving, upload

LI_BAI = "李白，字太白，唐代诗人。\n\n李白晚年投奔族叔李阳冰，宝应元年在当涂病逝。\n" * 20
WASHER = "洗衣机使用说明。\n\n首次使用前请拆下运输螺栓。\n"


def events(answer: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def documents(client: httpx.Client, index: str = "合同") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/v1/indexes/{index}/documents").json()["data"]
    return found


def test_from_an_upload_to_a_passage(client: httpx.Client) -> None:
    assert client.get("/v1/indexes").json()["data"] == []
    job = upload(client, "合同", **{"李白 生平.txt": LI_BAI, "说明.md": WASHER})
    assert (job["status"], job["failed"], job["error"]) == ("done", [], None)
    assert sorted(job["added"]) == ["李白 生平.txt", "说明.md"]
    (index,) = client.get("/v1/indexes").json()["data"]
    assert (index["name"], index["documents"]) == ("合同", 2)
    found = client.post("/v1/indexes/合同/search", json={"query": "运输螺栓", "k": 1}).json()
    (passage,) = found["data"]
    assert passage["name"] == "说明.md"
    text = client.get(f"/v1/indexes/合同/documents/{passage['document']}/text").json()["text"]
    assert text[passage["start"] : passage["end"]] == passage["text"]


def test_the_settings_in_force(home: Path) -> None:
    own: Any = {"k": 7, "answer_chain": "stuff", "temperature": 0.3, "max_file_bytes": 999}
    with serving(**own, summary_chain="map_reduce", summary_length=50) as served:
        told = httpx.get(f"{served.url}/v1/settings").json()
    assert {name: told[name] for name in own} == own
    assert (told["summary_chain"], told["summary_length"]) == ("map_reduce", 50)
    assert {".pdf", ".docx", ".txt"} <= set(told["formats"])


def test_the_text_has_the_offsets_of_the_file(client: httpx.Client, tmp_path: Path) -> None:
    text = "".join(f"第{n}段。" + "内容" * (n % 90) + "\n\n   \n" for n in range(200))
    upload(client, "a", **{"长.txt": text})
    (tmp_path / "长.txt").write_text(text, encoding="utf-8")
    (whole,) = FileLoader(tmp_path / "长.txt").load()
    (one,) = documents(client, "a")
    got = client.get(f"/v1/indexes/a/documents/{one['id']}/text").json()["text"]
    kept = [(a, b) for a, b in zip(got, whole.page_content, strict=False) if not b.isspace()]
    assert all(a == b for a, b in kept)


def test_what_changed_and_what_did_not(client: httpx.Client) -> None:
    upload(client, "a", **{"甲.txt": LI_BAI, "乙.txt": WASHER})
    job = upload(client, "a", **{"甲.txt": LI_BAI + "新的一行。", "乙.txt": WASHER})
    assert (job["added"], job["updated"], job["unchanged"]) == ([], ["甲.txt"], 1)


def test_a_damaged_file_is_told_and_not_kept(client: httpx.Client, home: Path) -> None:
    job = upload(client, "a", **{"好.txt": LI_BAI, "坏.pdf": b"no pdf at all" * 9})
    assert job["status"] == "done"
    assert [one["name"] for one in job["failed"]] == ["坏.pdf"]
    assert "坏.pdf is damaged" in job["failed"][0]["reason"]
    assert str(home) not in job["failed"][0]["reason"]
    assert [file.name for file in (home / "indexes/a/files").iterdir()] == ["好.txt"]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../../etc/甲.txt", "甲.txt"),
        ("..\\..\\windows\\甲.txt", "甲.txt"),
        ("/etc/passwd.txt", "passwd.txt"),
        (".隐藏.txt", "隐藏.txt"),
        ("字" * 300 + ".txt", "字" * 65 + ".txt"),
        ("a\x00b\n.txt", None),
    ],
)
def test_names_cannot_leave_their_folder(
    name: str, stored: str | None, client: httpx.Client, home: Path
) -> None:
    client.post("/v1/indexes", json={"name": "a"})
    answer = client.post("/v1/indexes/a/documents", files=[("files", (name, WASHER.encode()))])
    if answer.status_code == 202:
        client.get(f"/v1/jobs/{answer.json()['id']}/events")
    kept = [file.name for file in (home / "indexes/a").glob("files/*")]
    assert kept == ([stored] if stored else kept)
    outside = [path for path in home.rglob("*.txt") if "indexes/a/files" not in path.as_posix()]
    assert outside == []


@pytest.mark.parametrize(
    ("name", "data", "status", "message"),
    [
        ("a.exe", b"MZ", 400, "no format that is read"),
        ("noending", b"x", 400, "no format that is read"),
        ("空.txt", b"", 400, "空.txt is empty"),
        ("大.txt", b"x" * 3000, 413, "larger than 2,000 bytes"),
    ],
)
def test_uploads_that_are_refused(
    name: str, data: bytes, status: int, message: str, home: Path
) -> None:
    with serving(max_file_bytes=2000) as served, served.client() as client:
        client.post("/v1/indexes", json={"name": "a"})
        parts = [("files", ("好.txt", WASHER.encode())), ("files", (name, data))]
        answer = client.post("/v1/indexes/a/documents", files=parts)
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]
        assert list((home / "indexes/a").glob("files/*")) == []  # all of them or none


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x.", " ", "a\nb", "字" * 100])
def test_names_that_no_index_has(name: str, client: httpx.Client) -> None:
    answer = client.post("/v1/indexes", json={"name": name})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "name"


def test_indexes_are_made_once_and_deleted_whole(client: httpx.Client, home: Path) -> None:
    upload(client, "合同", **{"甲.txt": LI_BAI})
    assert client.post("/v1/indexes", json={"name": "合同"}).status_code == 409
    assert client.delete("/v1/indexes/合同").json() == {"name": "合同", "deleted": True}
    assert list((home / "indexes").iterdir()) == []
    assert client.delete("/v1/indexes/合同").status_code == 404
    assert client.get("/v1/indexes/合同/documents").status_code == 404
    upload(client, "合同", **{"乙.txt": WASHER})
    assert [one["name"] for one in documents(client)] == ["乙.txt"]


def test_documents_are_removed_with_their_files(client: httpx.Client, home: Path) -> None:
    upload(client, "合同", **{"甲.txt": LI_BAI, "乙.txt": WASHER})
    (first,) = (one for one in documents(client) if one["name"] == "甲.txt")
    assert client.delete(f"/v1/indexes/合同/documents/{first['id']}").json()["deleted"]
    assert [one["name"] for one in documents(client)] == ["乙.txt"]
    assert [file.name for file in (home / "indexes/合同/files").iterdir()] == ["乙.txt"]
    assert client.delete(f"/v1/indexes/合同/documents/{first['id']}").status_code == 404


def test_a_summary_is_streamed_and_whole(served: Served, client: httpx.Client) -> None:
    upload(client, "合同", **{"甲.txt": LI_BAI})
    (one,) = documents(client)
    path = f"/v1/indexes/合同/documents/{one['id']}/summary"
    served.replies = ["李白是唐代诗人。"]
    assert client.post(path, json={"chain": "stuff"}).json()["text"] == "李白是唐代诗人。"
    told = events(client.post(path, json={"chain": "refine", "stream": True}))
    assert told[-1] == "[DONE]"
    assert "".join(event["delta"] for event in told[:-1]) == "李白是唐代诗人。"
    wrong = client.post(path, json={"chain": "magic"})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] == "chain"


def test_an_index_that_is_damaged_says_so_and_leaves_the_others(home: Path) -> None:
    with serving() as served, served.client() as client:
        upload(client, "好", **{"甲.txt": LI_BAI})
        upload(client, "坏", **{"甲.txt": LI_BAI})
    (home / "indexes/坏/index.sqlite3").write_bytes(b"no database")
    with serving() as served, served.client() as client:
        listed = {one["name"]: one for one in client.get("/v1/indexes").json()["data"]}
        assert listed["好"]["documents"] == 1
        assert "damaged" in listed["坏"]["error"]
        assert client.post("/v1/indexes/坏/search", json={"query": "李白"}).status_code == 503


def test_an_index_whose_embedding_model_is_gone(home: Path, tiny_embeddings: Path) -> None:
    from rag_app.engine import RagApp

    folder = shutil.copytree(tiny_embeddings, home / "model")
    (home / "甲.txt").write_text(LI_BAI, encoding="utf-8")
    with RagApp(index=str(home / "indexes" / "旧"), embedding=str(folder)) as app:
        app.index([home / "甲.txt"])
    shutil.rmtree(folder)
    with serving(hashing=False) as served, served.client() as client:
        (index,) = client.get("/v1/indexes").json()["data"]
        assert (index["documents"], index["error"]) == (1, None)
        assert [one["name"] for one in documents(client, "旧")] == ["甲.txt"]
        answer = client.post("/v1/indexes/旧/search", json={"query": "李白"})
        assert answer.status_code == 503
        assert "no embedding model" in answer.json()["error"]["message"]
        assert client.delete("/v1/indexes/旧").status_code == 200


def test_what_was_uploaded_and_not_indexed_is_indexed_at_the_start(home: Path) -> None:
    with serving() as served, served.client() as client:
        upload(client, "a", **{"甲.txt": LI_BAI})
    (home / "indexes/a/files/乙.txt").write_text(WASHER, encoding="utf-8")
    (home / "indexes/a/files/.x.upload").write_text("half of", encoding="utf-8")
    with serving() as served, served.client() as client:
        (job,) = served.app.state.context.jobs._jobs.values()
        client.get(f"/v1/jobs/{job.id}/events")
        assert {one["name"] for one in documents(client, "a")} == {"甲.txt", "乙.txt"}
    assert not (home / "indexes/a/files/.x.upload").exists()


def test_only_the_indexes_that_are_named(home: Path) -> None:
    from rag_app.engine import RagApp
    from rag_app.server.library import Library

    with serving() as served, served.client() as client:
        upload(client, "甲", **{"甲.txt": LI_BAI})
        upload(client, "乙", **{"乙.txt": WASHER})
    library = Library(RagApp(llm=served.model), only=["甲"])
    assert library.names() == ["甲"]
    with pytest.raises(Exception, match="no index '乙'"):
        library.engine("乙")
