"""Pages over HTTP: pictures of them, where passages stand, and files that are not as they were."""

from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from rag_app.server.middleware.access import Access, ApiKey
from tests.rag_app.documents.pdf.drawing import lines, pdf
from tests.rag_app.server.serving import Served, serving, upload

FIRST = ["李白，字太白，号青莲居士，唐代诗人。他的诗想象丰富，语言流转自然，音", "律和谐多变。"]
SECOND = ["李白晚年投奔族叔，宝应元年在当涂病逝。"]
DATA = pdf(lambda canvas: lines(canvas, FIRST), lambda canvas: lines(canvas, SECOND))


@pytest.fixture
def path(client: httpx.Client) -> str:
    """The path of a document of two pages."""
    upload(client, "诗", **{"李白.pdf": DATA})
    (document,) = client.get("/v1/indexes/诗/documents").json()["data"]
    return f"/v1/indexes/诗/documents/{document['id']}"


def test_where_a_passage_stands(client: httpx.Client, path: str) -> None:
    text = client.get(f"{path}/text").json()["text"]
    start = text.index("宝应元年")
    place = {"start": start, "end": start + 10}
    found = client.get(f"{path}/pages", params=place).json()
    (page,) = found["data"]
    (box,) = page["boxes"]
    assert (found["total"], page["page"]) == (2, 2)
    assert 0.2 < box["left"] < box["right"] < 0.5  # a part of its line
    assert 0.05 < box["top"] < box["bottom"] < 0.1
    picture = client.get(f"{path}/pages/2.png")
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(picture.content)).size == (page["width"], page["height"])


def test_a_working_folder_with_a_file_of_a_modules_name(
    client: httpx.Client, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "html.py").write_text("raise SystemExit(9)", encoding="utf-8")
    (tmp_path / "json.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert client.get(f"{path}/pages/1.png").status_code == 200


@pytest.mark.slow
def test_a_passage_on_two_pages(client: httpx.Client, path: str) -> None:
    text = client.get(f"{path}/text").json()["text"]
    found = client.get(f"{path}/pages", params={"start": 0, "end": len(text)}).json()
    assert [(page["page"], len(page["boxes"])) for page in found["data"]] == [(1, 2), (2, 1)]
    first = client.get(f"{path}/pages").json()
    assert [(page["page"], page["boxes"]) for page in first["data"]] == [(1, [])]


def test_pages_that_there_are_not(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}/pages/3.png").json()["error"]["code"] == "page_not_found"
    assert client.get(f"{path}/pages/0.png").status_code == 400
    upload(client, "诗", **{"甲.txt": "没有页码的文字。"})
    listed = client.get("/v1/indexes/诗/documents").json()["data"]
    (plain,) = [one["id"] for one in listed if one["name"] == "甲.txt"]
    answer = client.get(f"/v1/indexes/诗/documents/{plain}/pages")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_pages")


@pytest.mark.slow
def test_a_file_that_was_changed_or_is_gone(client: httpx.Client, path: str, home: Path) -> None:
    (file,) = (home / "indexes/诗/files").iterdir()
    assert client.get(f"{path}/pages/1.png").status_code == 200
    file.write_bytes(pdf(lambda canvas: lines(canvas, ["另一份文件。"])))
    answer = client.get(f"{path}/pages/1.png")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "file_changed")
    assert "李白.pdf was changed" in answer.json()["error"]["message"]
    assert str(home) not in answer.text
    file.unlink()
    answer = client.get(f"{path}/pages")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "file_missing")


def test_pages_are_for_those_who_may_read_the_index(home: Path) -> None:
    keys = [ApiKey.parse("all sk-all"), ApiKey.parse("other sk-other read index:别的")]
    with serving(access=Access(keys=keys)) as served:
        with served.client(headers={"Authorization": "Bearer sk-all"}) as client:
            upload(client, "诗", **{"李白.pdf": DATA})
            (document,) = client.get("/v1/indexes/诗/documents").json()["data"]
            path = f"/v1/indexes/诗/documents/{document['id']}/pages/1.png"
            assert client.get(path).status_code == 200
        with served.client() as client:
            assert client.get(path).status_code == 401
            other = {"Authorization": "Bearer sk-other"}
            assert client.get(path, headers=other).status_code == 404


def test_a_picture_that_takes_too_long(
    served: Served, client: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_app.server.page_images._SECONDS", 0.0)
    answer = client.get(f"{path}/pages/1.png")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
