"""Who may ask what: keys, hosts, origins, rates and sizes; what the log tells and what not."""

import json
import socket
import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from rag_app.cli import app as commands
from rag_app.errors import SettingsError
from rag_app.server.middleware.access import Access
from rag_app.settings import load_settings
from rag_app.surroundings import is_loopback
from tests.rag_app.server.serving import Served, serving

ASKED = {"messages": [{"role": "user", "content": "一个秘密的问题"}]}
CHAT = "/v1/chat/completions"


def test_one_of_the_keys_is_needed(home: Path) -> None:
    access = Access(keys=("first-key", "第二把"))
    with serving(access=access) as served, served.client() as client:
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 200
        for path in ("/v1/models", "/metrics", "/v1/indexes", "/v1/settings"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
        for sent in ("Bearer wrong", "first-key", "Basic first-key", "Bearer", "Bearer first-ke"):
            headers = {"Authorization": sent}
            assert client.get("/v1/models", headers=headers).status_code == 401
        for key in ("first-key", "第二把"):
            right = [(b"Authorization", f"bearer {key}"), (b"api-key", key), (b"x-api-key", key)]
            for name, value in right:
                # Some clients must have a key, and then send one of no meaning beside it.
                dummy = [(b"Authorization", b"Bearer none")] * (name != b"Authorization")
                headed = httpx.Headers([*dummy, (name, value.encode())])
                assert client.get("/v1/models", headers=headed).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://friend.example"}, 200),
        ({"Origin": "file://"}, 200),
        ({"Origin": "app://obsidian.md"}, 200),
        ({"Origin": "tauri://localhost"}, 200),
        ({"Origin": "http://tauri.localhost"}, 200),
        ({"Origin": "vscode-webview://1a2b"}, 200),
        ({"Origin": "http://tauri.localhost.evil.example"}, 403),
        ({"Origin": "chrome-extension://abc"}, 403),
        ({"Origin": "chrome-extension://friend"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "host.docker.internal:1"}, 200),
        ({"Host": "docker.internal.evil.example"}, 403),
    ],
)
def test_other_sites_pages_are_refused(headers: dict[str, str], status: int, home: Path) -> None:
    access = Access(origins=("http://friend.example", "chrome-extension://friend"))
    with serving(access=access) as served, served.client() as client:
        assert client.post(CHAT, json=ASKED, headers=headers).status_code == status


@pytest.mark.parametrize("origin", ["app://obsidian.md", "file://", "tauri://localhost"])
def test_pages_of_programs_may_read_the_answers(origin: str, client: httpx.Client) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    before = client.options(CHAT, headers={**asks, "Access-Control-Request-Headers": "x-title"})
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == origin
    answer = client.post(CHAT, json=ASKED, headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin


def test_a_key_tells_more_than_an_origin(home: Path) -> None:
    with serving(access=Access(keys=("k",))) as served, served.client() as client:
        page = {"Origin": "null"}
        assert client.post(CHAT, json=ASKED, headers=page).status_code == 401
        answer = client.post(CHAT, json=ASKED, headers={**page, "Authorization": "Bearer k"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


def test_a_key_tells_more_than_a_host(home: Path) -> None:
    with serving(access=Access(keys=("k",))) as served, served.client() as client:
        host = {"Host": "rag.example.org"}  # as a proxy names it
        assert client.post(CHAT, json=ASKED, headers=host).status_code == 401
        answer = client.post(CHAT, json=ASKED, headers={**host, "Authorization": "Bearer k"})
        assert answer.status_code == 200


def test_the_log_says_which_pages_were_refused(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rag_app.server")
    with serving() as served, served.client() as client:
        client.post(CHAT, json=ASKED, headers={"Origin": "http://localhost:3000"})
    named = [vars(one)["origin"] for one in caplog.records if "origin" in vars(one)]
    assert named == ["http://localhost:3000"]


def test_pages_of_named_origins_may_read_the_answers(home: Path) -> None:
    friend = {"Origin": "http://friend.example"}
    access = Access(keys=("k",), origins=("http://friend.example",))
    with serving(access=access) as served, served.client() as client:
        asks = {"Access-Control-Request-Method": "POST"}
        asks["Access-Control-Request-Headers"] = "authorization"
        asks["Access-Control-Request-Private-Network"] = "true"
        before = client.options(CHAT, headers={**friend, **asks})
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == friend["Origin"]
        assert before.headers["access-control-allow-private-network"] == "true"
        refused = client.post(CHAT, json=ASKED, headers=friend)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == friend["Origin"]
        assert "X-Request-ID" in refused.headers["access-control-expose-headers"]
        key = {"Authorization": "Bearer k"}
        assert client.post(CHAT, json=ASKED, headers={**friend, **key}).status_code == 200
        other = client.options(CHAT, headers={**asks, "Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_page_of_the_server_itself_may(served: Served, client: httpx.Client) -> None:
    assert client.post(CHAT, json=ASKED, headers={"Origin": served.url}).status_code == 200
    assert "access-control-allow-origin" not in client.get("/health").headers


def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_requests_that_are_too_large(home: Path) -> None:
    with serving(max_body_bytes=2000, max_upload_bytes=9000) as served, served.client() as client:
        big = {"messages": [{"role": "user", "content": "长" * 3000}]}
        answer = client.post(CHAT, json=big)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "request_too_large"
        body = json.dumps(big).encode()
        blocks = (body[at : at + 500] for at in range(0, len(body), 500))
        headers = {"Content-Type": "application/json"}
        assert client.post(CHAT, content=blocks, headers=headers).status_code == 413
        client.post("/v1/indexes", json={"name": "a"})
        files = [("files", ("a.txt", b"x" * 20_000))]
        assert client.post("/v1/indexes/a/documents", files=files).status_code == 413
        request = client.build_request("POST", "/v1/indexes/a/documents", files=files)
        whole = request.read()
        blocks = (whole[at : at + 500] for at in range(0, len(whole), 500))
        headers = {"Content-Type": request.headers["content-type"]}  # and no length
        late = client.post("/v1/indexes/a/documents", content=blocks, headers=headers)
        assert late.status_code == 413
        assert late.json()["error"]["code"] == "request_too_large"


def test_rates_are_kept_for_each_key(home: Path) -> None:
    access = Access(keys=("a", "b"))
    with serving(access=access, requests_per_minute=3) as served, served.client() as client:
        first = [client.get("/v1/models", headers={"Authorization": "Bearer a"}) for _ in range(4)]
        assert [one.status_code for one in first] == [200, 200, 200, 429]
        assert int(first[-1].headers["retry-after"]) > 0
        other = client.get("/v1/models", headers={"Authorization": "Bearer b"})
        assert other.status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
        ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("localhost.evil.example", False), ("", False),
    ],
)  # fmt: skip
def test_which_addresses_are_of_this_machine_alone(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "there is no key: give --api-key KEY"),
        (["--host", "0.0.0.0", "--api-key", ""], "an API key is empty"),
        (["--host", "0.0.0.0", "--api-key", " \t"], "an API key is empty"),
        (["--api-key", ""], "an API key is empty"),
        (["--api-key", "good", "--api-key", ""], "an API key is empty"),
        (["--host", "no.such.host.invalid", "--api-key", "x"], "choose another --host"),
        (["--llm", "/no/such/model.gguf", "--port", "0"], "does not exist"),
    ],
)
def test_what_serve_refuses(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(commands, ["serve", *arguments])
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("key", ["", "  ", ",", "good,", "good, ,better"])
@pytest.mark.parametrize("source", ["environment", "file"])
def test_serve_refuses_empty_keys(
    key: str, source: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if source == "environment":
        monkeypatch.setenv("RAG_APP_API_KEY", key)
    else:
        Path("rag-app.toml").write_text(f'api_key = "{key}"\n', encoding="utf-8")
    done = CliRunner().invoke(commands, ["serve", "--host", "0.0.0.0", "--port", "0"])
    assert done.exit_code == 1
    assert "key is empty" in done.stderr
    assert "good" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("host", ["", "127.0.0.1:80", "http://127.0.0.1", "a b"])
def test_what_is_no_host_is_not_called_open(host: str) -> None:
    with pytest.raises(SettingsError, match="not an address or name of a host"):
        Access(host=host)


def test_nobody_is_let_in_from_elsewhere_without_a_key() -> None:
    for keys in ((), ("",), ("good", " ")):
        with pytest.raises(SettingsError):
            Access(host="0.0.0.0", keys=keys)
    assert Access(host="0.0.0.0", keys=("good",)).keys == ("good",)


@pytest.mark.parametrize(
    "settings",
    [
        {"llm_api_key": 1, "api_key": "geheim"},
        {"llm_api_key": "geheim\nx"},
        {"chunk_size": 100, "chunk_overlap": 100, "api_key": "geheim"},
        {"api_keys": "geheim"},
        {"k": 0, "api_key": "geheim"},
        {"api_key": ["geheim"]},
    ],
)
def test_no_error_tells_a_key(settings: dict[str, Any], home: Path) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(**settings)
    assert "geheim" not in "".join(traceback.format_exception(error.value))


def test_settings_and_access_show_no_key(home: Path) -> None:
    settings = load_settings(api_key="geheim,zweiter", llm_api_key="geheim")
    assert settings.client_keys == ["geheim", "zweiter"]
    access = Access(keys=settings.client_keys)
    assert "geheim" not in f"{settings} {settings!r} {settings.model_dump_json()} {access!r}"


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(commands, ["serve", "--port", port])
    assert done.exit_code == 1
    assert "choose another --port" in done.stderr
