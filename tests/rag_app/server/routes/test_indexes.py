"""Documents over HTTP: indexes, uploads, jobs, search, summaries."""

import errno
import json
import shutil
from pathlib import Path, PureWindowsPath
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.documents.loaders import FileLoader
from rag_app.errors import ModelError
from rag_app.server import uploads
from rag_app.server.errors import ApiError
from rag_app.server.uploads import file_name
from tests.rag_app.documents.making import pdf
from tests.rag_app.documents.pdf import drawing
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server.serving import Served, serving, upload

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
        told = httpx.get(f"{served.url}/v1/settings", timeout=60).json()
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


def test_what_of_a_file_was_not_read_is_told_and_kept() -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    scan = ImageReader(Image.new("L", (400, 600), 255))
    file = drawing.pdf(
        lambda canvas: drawing.lines(canvas, ["本合同自签订之日起生效，有效期三年。"]),
        lambda canvas: canvas.drawImage(scan, 0, 0, 595, 842),
    )
    with serving(ocr="never") as served, httpx.Client(base_url=served.url, timeout=60) as client:
        job = upload(client, "a", **{"合同.pdf": file})
        (note,) = job["notes"]
        assert note["name"] == "合同.pdf"
        assert "1 of 2 pages" in note["text"]
        assert documents(client, "a")[0]["notes"] == [note["text"]]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../../etc/甲.txt", "甲.txt"),
        ("..\\..\\windows\\甲.txt", "甲.txt"),
        ("/etc/passwd.txt", "passwd.txt"),
        (".隐藏.txt", "隐藏.txt"),
        ("字" * 65 + ".txt", "字" * 65 + ".txt"),
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
        ("a.exe", b"MZ", 400, "no supported format"),
        ("noending", b"x", 400, "no supported format"),
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


def send(client: httpx.Client, *files: tuple[str, str | bytes]) -> httpx.Response:
    """Upload files into the index ``a`` without waiting for their job."""
    client.post("/v1/indexes", json={"name": "a"})
    parts = [("files", (name, data if isinstance(data, bytes) else data.encode()))
             for name, data in files]  # fmt: skip
    return client.post("/v1/indexes/a/documents", files=parts)


def text_of(client: httpx.Client, name: str) -> str:
    (one,) = (one for one in documents(client, "a") if one["name"] == name)
    return str(client.get(f"/v1/indexes/a/documents/{one['id']}/text").json()["text"])


def stored(home: Path) -> dict[str, str]:
    """The files that the index ``a`` keeps, uploaded and waiting, with their text."""
    folders = [home / "indexes/a/files", home / "indexes/a/incoming"]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(home / "indexes/a").as_posix(): file.read_text() for file in files}


@pytest.mark.parametrize(
    ("good", "bad"),
    [("手册.md", b"\xff\xfe\x00\xd8" * 99), ("手册.md", b"   \n"), ("手册.csv", b"\0" * 999)],
)
def test_a_damaged_file_leaves_the_good_one_of_its_name(
    good: str, bad: bytes, client: httpx.Client, home: Path
) -> None:
    upload(client, "a", **{good: LI_BAI})
    text = text_of(client, good)
    job = upload(client, "a", **{good: bad, "好.txt": WASHER})
    assert (job["status"], job["added"], job["updated"]) == ("done", ["好.txt"], [])
    assert [one["name"] for one in job["failed"]] == [good]
    assert str(home) not in job["failed"][0]["reason"]
    assert "incoming" not in job["failed"][0]["reason"]
    assert text_of(client, good) == text
    assert stored(home) == {f"files/{good}": LI_BAI, "files/好.txt": WASHER}


def test_a_damaged_pdf_leaves_the_good_one(client: httpx.Client, home: Path) -> None:
    good = pdf(["Annual leave has five days."])
    upload(client, "a", **{"手册.pdf": good})
    job = upload(client, "a", **{"手册.pdf": b"%PDF-1.7 broken"})
    assert [one["name"] for one in job["failed"]] == ["手册.pdf"]
    assert "five days" in text_of(client, "手册.pdf")
    assert (home / "indexes/a/files/手册.pdf").read_bytes() == good
    found = client.post("/v1/indexes/a/search", json={"query": "annual leave"}).json()
    assert found["data"][0]["name"] == "手册.pdf"
    assert job["updated"] == []


def test_one_document_of_several_is_searched(client: httpx.Client) -> None:
    head = "| 型号 | 年限 |\n|---|---|\n"
    rows = "".join(f"| A{number} | {number} |\n" for number in range(100))
    upload(client, "a", **{"甲.txt": LI_BAI, "保修/乙.md": f"# 保修\n{head}{rows}".encode()})

    def search(within: str | None) -> httpx.Response:
        values = {"query": "A99的年限", "within": within}
        return client.post("/v1/indexes/a/search", json=values)

    assert {found["name"] for found in search(None).json()["data"]} == {"甲.txt", "保修/乙.md"}
    assert {found["name"] for found in search("甲.txt").json()["data"]} == {"甲.txt"}
    found = search("保修").json()["data"]
    assert {passage["name"] for passage in found} == {"保修/乙.md"}
    (last,) = (passage for passage in found if "| A99 |" in passage["text"])
    assert (last["headings"], last["table_head"]) == (["保修"], "型号 | 年限")
    assert search("丙.txt").status_code == 400


def test_a_failed_job_leaves_everything_and_the_next_start_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as served, served.client() as client:
        upload(client, "a", **{"甲.txt": LI_BAI})
        with monkeypatch.context() as patch:
            patch.setattr(HashingEmbeddings, "embed_array", fails)
            failed = upload(client, "a", **{"甲.txt": WASHER})
            assert (failed["status"], failed["error"]) == ("failed", "no embeddings today")
        assert text_of(client, "甲.txt").strip() == LI_BAI.strip()
        assert (home / "indexes/a/files/甲.txt").read_text(encoding="utf-8") == LI_BAI
    with serving() as served, served.client() as client:
        ended(served, client)
        assert text_of(client, "甲.txt").strip() == WASHER.strip()
    assert stored(home) == {"files/甲.txt": WASHER}


def test_what_failed_before_never_takes_the_place_of_what_came_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as served, served.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(HashingEmbeddings, "embed_array", fails)
            upload(client, "a", **{"甲.txt": WASHER, "乙.txt": WASHER, "丙.txt": WASHER})
        upload(client, "a", **{"甲.txt": LI_BAI, "丙.txt": LI_BAI})
        (gone,) = (one for one in documents(client, "a") if one["name"] == "丙.txt")
        client.delete(f"/v1/indexes/a/documents/{gone['id']}")
    with serving() as served, served.client() as client:
        ended(served, client)
    assert stored(home) == {"files/甲.txt": LI_BAI, "files/乙.txt": WASHER}


def fails(*_: Any) -> Any:
    raise ModelError("no embeddings today")


def ended(served: Served, client: httpx.Client) -> None:
    """Wait for the jobs that a server went on with."""
    for job in list(served.app.state.jobs):
        client.get(f"/v1/jobs/{job.id}/events")


def test_files_of_one_name_in_two_folders_are_two_documents(
    client: httpx.Client, home: Path
) -> None:
    files = {"2024/report.txt": LI_BAI, "2025\\report.txt": WASHER}
    job = upload(client, "a", **files)
    assert sorted(job["added"]) == ["2024/report.txt", "2025/report.txt"]
    assert {one["name"] for one in documents(client, "a")} == set(job["added"])
    assert "运输螺栓" in text_of(client, "2025/report.txt")
    found = client.post("/v1/indexes/a/search", json={"query": "运输螺栓", "k": 1}).json()
    assert found["data"][0]["name"] == "2025/report.txt"
    assert found["data"][0]["folders"] == ["2025"]
    job = upload(client, "a", **{"2025/report.txt": WASHER + "新的一行。"})
    assert (job["added"], job["updated"]) == ([], ["2025/report.txt"])
    for one in documents(client, "a"):
        client.delete(f"/v1/indexes/a/documents/{one['id']}")
    assert list((home / "indexes/a/files").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("9:30 会议？.txt", "9:30 会议？.txt"),
        ("年/月/甲.txt", "年/月/甲.txt"),
        ("./年//甲.txt", "年/甲.txt"),
        ("年/../甲.txt", "甲.txt"),
        ("年/.\u200b./甲.txt", "甲.txt"),
        ("C:\\fakepath\\甲.txt", "甲.txt"),
        ("C:甲.txt", "甲.txt"),
        ("年/.C: D:甲.txt", "甲.txt"),
        ("\\\\server\\share\\甲.txt", "甲.txt"),
        (".git/甲.txt", "git/甲.txt"),
        (" 年 /甲.txt", "年/甲.txt"),
        ("字" * 66 + "/甲.txt", "字" * 66 + "/甲.txt"),
        ("年\x07\x1b/甲.txt", "年/甲.txt"),
    ],
)
def test_folders_of_names_are_kept_where_they_lead_nowhere_else(name: str, kept: str) -> None:
    assert file_name(name) == kept


def test_names_that_windows_does_not_have_are_written_wide() -> None:
    assert file_name("年?/9:30 会议 10:00.txt", windows=True) == "年？/9：30 会议 10：00.txt"


def test_long_names_that_differ_at_their_end_are_of_two_documents(client: httpx.Client) -> None:
    long = "关于印发管理办法的通知" * 9
    upload(client, "a", **{f"{long}（一）.txt": LI_BAI})
    job = upload(client, "a", **{f"{long}（二）.txt": WASHER})
    assert (len(job["added"]), job["updated"]) == (1, [])
    assert len({one["name"] for one in documents(client, "a")}) == 2
    assert file_name("字" * 300 + "/甲.txt") != file_name("字" * 301 + "/甲.txt")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("李白.txt".encode(), "李白.txt"),
        ("李白.txt".encode("gbk"), "李白.txt"),
        ("café.txt".encode("latin-1"), "café.txt"),
        (b"=?utf-8?B?5p2O55m9LnR4dA==?=", "李白.txt"),
        (b"=?nothing?B?5p2O?=.txt", "=?nothing?B?5p2O?=.txt"),
        (b"%E6%9D%8E%E7%99%BD.txt", "李白.txt"),
        (b"5%20%E6%9D.txt", "5%20%E6%9D.txt"),
        (b"5%2520.txt", "5%2520.txt"),
        ("关于%22红旗%22的通知.txt".encode(), '关于"红旗"的通知.txt'),
    ],
)
def test_names_of_files_as_clients_write_them(sent: bytes, kept: str, client: httpx.Client) -> None:
    client.post("/v1/indexes", json={"name": "a"})
    head = b'--X\r\nContent-Disposition: form-data; name="files"; filename="' + sent
    body = head + b'"\r\n\r\n' + LI_BAI.encode() + b"\r\n--X--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=X"}
    answer = client.post("/v1/indexes/a/documents", content=body, headers=kind)
    assert answer.status_code == 202, answer.text
    while not documents(client, "a"):
        pass
    assert [one["name"] for one in documents(client, "a")] == [kept]


def test_a_part_that_is_no_file_is_said(client: httpx.Client) -> None:
    client.post("/v1/indexes", json={"name": "a"})
    for parts in ({"files": "x"}, {"file": "x"}):
        answer = client.post("/v1/indexes/a/documents", data=parts)
        assert "each part named files has a filename" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["", "a/", "/", "..", "C:", "\0.txt/..", "长" * 60 + "/" * 3])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ApiError):
        file_name(name)


@given(st.text(alphabet=st.sampled_from("ab.:/\\ \0\n\u200b年C"), max_size=40))
def test_no_name_leads_out(name: str) -> None:
    parts = Path(file_name(f"{name}x.txt", windows=True)).parts
    assert parts
    assert all(part and not part.startswith(".") and part.isprintable() for part in parts)
    assert not {"/", "\\"} & set("".join(parts))
    assert not PureWindowsPath(*parts).anchor


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["report.txt", "report.txt"], "two files are named report.txt"),
        (["../甲.txt", "甲.txt"], "two files are named 甲.txt"),
        (["a.txt/b.txt", "a.txt"], "a.txt is a file and the folder of a.txt/b.txt"),
        (["/".join(["长" * 60] * 8) + ".txt"], "too long together"),
    ],
)
def test_names_that_do_not_go_together(
    names: list[str], said: str, client: httpx.Client, home: Path
) -> None:
    answer = send(client, *((name, WASHER) for name in names))
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "files"
    assert stored(home) == {}


@pytest.mark.parametrize(("first", "second"), [("a.txt/b.txt", "a.txt"), ("a.txt", "a.txt/b.txt")])
def test_a_file_where_a_folder_is_already(
    first: str, second: str, client: httpx.Client, home: Path
) -> None:
    upload(client, "a", **{first: LI_BAI})
    answer = send(client, (second, WASHER))
    assert answer.status_code == 409
    assert "already; give" in answer.json()["error"]["message"]
    assert stored(home) == {f"files/{first}": LI_BAI}


def test_a_kill_between_indexing_and_moving(home: Path) -> None:
    """The index holds the new text, the file still waits: the next start moves it."""
    with serving() as served, served.client() as client:
        earlier = upload(client, "a", **{"年/甲.txt": LI_BAI})["id"]
    files, batch = home / "indexes/a/files", home / "indexes/a/incoming/1-x"
    (files / "年/甲.txt").write_text(WASHER, encoding="utf-8")  # as if it were the earlier one
    (batch / "年").mkdir(parents=True)
    (batch / "年/甲.txt").write_text(LI_BAI, encoding="utf-8")
    half = home / "indexes/a/incoming/.half.upload"
    half.mkdir()
    (half / "乙.txt").write_text("half of", encoding="utf-8")
    (home / "indexes/a/incoming/0-empty/年").mkdir(parents=True)
    with serving() as served, served.client() as client:
        ended(served, client)
        jobs = [job for job in served.app.state.jobs if job.id != earlier]
        assert [(job.added, job.updated, job.unchanged) for job in jobs] == [([], [], 1)] * 2
        assert text_of(client, "年/甲.txt").strip() == LI_BAI.strip()
    assert stored(home) == {"files/年/甲.txt": LI_BAI}
    assert list((home / "indexes/a/incoming").iterdir()) == []


def test_a_file_that_can_no_longer_be_read_is_not_deleted(home: Path) -> None:
    with serving() as served, served.client() as client:
        upload(client, "a", **{"甲.txt": LI_BAI})
    less: Any = {"max_file_bytes": 20, "chunk_size": 50, "chunk_overlap": 0}
    with serving(**less) as served, served.client() as client:
        ended(served, client)
        assert [one["name"] for one in documents(client, "a")] == ["甲.txt"]
    assert stored(home) == {"files/甲.txt": LI_BAI}


def test_a_summary_is_streamed_and_whole(served: Served, client: httpx.Client) -> None:
    upload(client, "合同", **{"甲.txt": LI_BAI})
    (one,) = documents(client)
    path = f"/v1/indexes/合同/documents/{one['id']}/summary"
    served.replies = ["李白是唐代诗人。"]
    assert client.post(path, json={"chain": "stuff"}).json()["text"] == "李白是唐代诗人。"
    told = events(client.post(path, json={"chain": "refine", "stream": True}))
    assert told[-1] == "[DONE]"
    assert "".join(event["delta"] for event in told[:-1]) == "李白是唐代诗人。"
    served.replies = ["李白是唐代诗人。"]
    marked = "".join(event.get("marked", "") for event in told[:-1])
    last = told[-2]
    assert marked == last["marked_text"]
    assert len(last["sentences"]) == 1
    assert client.post(path, json={"chain": "refine"}).json()["sentences"] == last["sentences"]
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


@pytest.mark.slow
def test_an_index_whose_embedding_model_is_gone(
    home: Path, tiny_embeddings: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
        (warning,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        assert "旧" in warning
        assert "no embedding model" in warning
        assert client.delete("/v1/indexes/旧").status_code == 200


def test_what_was_uploaded_and_not_indexed_is_indexed_at_the_start(home: Path) -> None:
    with serving() as served, served.client() as client:
        upload(client, "a", **{"甲.txt": LI_BAI})
    (home / "indexes/a/files/乙.txt").write_text(WASHER, encoding="utf-8")
    (home / "indexes/a/files/.x.upload").write_text("half of", encoding="utf-8")
    with serving() as served, served.client() as client:
        *_, job = served.app.state.jobs
        client.get(f"/v1/jobs/{job.id}/events")
        assert {one["name"] for one in documents(client, "a")} == {"甲.txt", "乙.txt"}
    assert not (home / "indexes/a/files/.x.upload").exists()


def test_a_home_that_can_only_be_read_is_served(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied() -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    with serving() as served, served.client() as client:
        upload(client, "a", **{"甲.txt": LI_BAI})
    (home / "indexes/a/incoming/1-job-dead").mkdir(parents=True)
    monkeypatch.setattr(uploads, "own_name", denied)
    with serving() as served, served.client() as client:
        assert client.post("/v1/indexes/a/search", json={"query": "李白"}).status_code == 200
        answer = client.post("/v1/indexes/a/documents", files={"files": ("乙.txt", b"x")})
        assert answer.status_code == 503
        assert "Permission denied" in answer.json()["error"]["message"]
    assert "can't be taken over" in caplog.text


def test_only_the_indexes_that_are_named(home: Path) -> None:
    from rag_app.engine import RagApp
    from rag_app.server.index_registry import IndexRegistry

    with serving() as served, served.client() as client:
        upload(client, "甲", **{"甲.txt": LI_BAI})
        upload(client, "乙", **{"乙.txt": WASHER})
    library = IndexRegistry(RagApp(llm=served.model), only=["甲"])
    assert library.names() == ["甲"]
    with pytest.raises(Exception, match="no index '乙'"):
        library.engine("乙")
