"""Several keys: names, scopes, the file of them, and guesses."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from rag_app.cli import app as commands
from rag_app.errors import SettingsError
from rag_app.server.middleware.access import Access, ApiKey, read_keys
from rag_app.server.serve import access_for
from tests.rag_app.server.serving import serving, upload

ASKED = [{"role": "user", "content": "运输螺栓在哪里？"}]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_scopes(home: Path) -> None:
    keys: list[str | ApiKey] = [
        "all",
        *map(ApiKey.parse, ("reader r read", "sales s index:a", "one o read index:a")),
    ]
    with serving(access=Access(keys=keys)) as served:
        with served.client(headers=bearer("all")) as owner:
            first = upload(owner, "a", **{"甲.txt": "首次使用前请拆下运输螺栓。"})
            upload(owner, "b", **{"乙.txt": "李白在当涂病逝。"})
        with served.client(headers=bearer("r")) as reader:
            assert len(reader.get("/v1/indexes").json()["data"]) == 2
            refused = [
                reader.post("/v1/indexes", json={"name": "c"}),
                reader.delete("/v1/indexes/a"),
                reader.post("/v1/indexes/a/documents", files=[("files", ("x.txt", b"x"))]),
                reader.delete("/v1/indexes/a/documents/x"),
                reader.delete(f"/v1/jobs/{first['id']}"),
            ]
            assert [answer.status_code for answer in refused] == [403] * 5
            assert refused[0].json()["error"]["code"] == "insufficient_permissions"
            asked = {"model": "rag:b", "messages": ASKED}
            assert reader.post("/v1/chat/completions", json=asked).status_code == 200
        with served.client(headers=bearer("s")) as sales:
            assert [one["name"] for one in sales.get("/v1/indexes").json()["data"]] == ["a"]
            models = [one["id"] for one in sales.get("/v1/models").json()["data"]]
            assert "rag:a" in models
            assert "rag:b" not in models
            asked = {"model": "rag:b", "messages": ASKED}
            assert sales.post("/v1/chat/completions", json=asked).status_code == 404
            assert sales.post("/v1/indexes/b/search", json={"query": "x"}).status_code == 404
            assert sales.delete("/v1/indexes/b").status_code == 404
            assert sales.post("/v1/indexes", json={"name": "c"}).status_code == 403
            assert {job["index"] for job in sales.get("/v1/jobs").json()["data"]} == {"a"}
            assert upload(sales, "a", **{"丙.txt": "新的一页。"})["status"] == "done"
        with served.client(headers=bearer("o")) as one:
            assert one.post("/v1/indexes/a/search", json={"query": "螺栓"}).status_code == 200
            assert one.delete("/v1/indexes/a").status_code == 403
        with served.client(headers=bearer("all")) as owner:
            (job,) = (job for job in owner.get("/v1/jobs").json()["data"] if job["index"] == "b")
            answer = httpx.get(f"{served.url}/v1/jobs/{job['id']}", headers=bearer("s"), timeout=60)
            assert answer.status_code == 404


@pytest.mark.slow
def test_wrong_keys_are_slowed_and_right_ones_are_not(home: Path) -> None:
    with serving(access=Access(keys=("right", "other"))) as served, served.client() as client:
        assert client.get("/v1/models", headers=bearer("right")).status_code == 200
        found = [client.get("/v1/models", headers=bearer(f"x{n}")).status_code for n in range(15)]
        assert found[:10] == [401] * 10
        assert 429 in found[10:]
        late = client.get("/v1/models", headers=bearer("guessed"))
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) >= 1
        # A right guess is not told apart now, and whoever was let in before still is.
        assert client.get("/v1/models", headers=bearer("other")).status_code == 429
        assert client.get("/v1/models", headers=bearer("right")).status_code == 200
        assert client.get("/v1/models").status_code == 401


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_of_keys(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    text = "sk-plain\r\n\n# theirs\nsales sk-sales read index:合同 index:价格\n"
    file.write_text(text, encoding=encoding)
    access = access_for("0.0.0.0", [], [], file)
    plain, sales = access.api_keys
    assert (plain.can_write, plain.opens("x")) == (True, True)
    assert (sales.name, sales.can_write) == ("sales", False)
    assert [sales.opens(name) for name in ("合同", "价格", "x")] == [True, True, False]
    assert "sk-" not in f"{access!r} {plain!r} {sales}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key"),
        ("\n  \n# none\n", "holds no key"),
        ("a geheim admin", "scope other than"),
        ("a geheim read write", "scope other than"),
        ("a geheim index:", "scope other than"),
    ],
)
def test_files_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message) as error:
        read_keys(file)
    assert "geheim" not in str(error.value)


def test_serve_takes_a_file_of_keys(tmp_path: Path) -> None:
    arguments = ["serve", "--host", "0.0.0.0", "--port", "0", "--api-key-file"]
    done = CliRunner().invoke(commands, [*arguments, str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "can't be read" in done.stderr
    (tmp_path / "keys").write_text("sk-1\n", encoding="utf-8")
    done = CliRunner().invoke(
        commands, [*arguments, str(tmp_path / "keys"), "--llm", "/no/such/model.gguf"]
    )
    assert "does not exist" in done.stderr  # past the keys
