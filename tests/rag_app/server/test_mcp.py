"""The tools that MCP clients get, asked by the package's own client."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from rag_app.engine import RagApp
from rag_app.server.index_registry import IndexRegistry
from rag_app.server.mcp import ToolServer
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server.serving import Served, serving
from tests.scripted import ScriptedChatModel

README = ROOT / "README.md"
PROGRAM = str(Path(sys.executable).with_name("rag-app"))
TOOLS = ["add_document", "ask", "list_documents", "list_indexes", "read_passage", "search"]
TEXT = "宝应元年，李白在当涂病逝。他葬在龙山。"
ANSWER = "李白在当涂病逝。"


IN_BOTH_STORES = pytest.mark.parametrize(
    "engine", ["local", pytest.param("milvus", marks=pytest.mark.slow)], indirect=True
)


@pytest.fixture
def engine(request: pytest.FixtureRequest, home: Path) -> Iterator[RagApp]:
    llm = ScriptedChatModel(replies=[ANSWER])
    in_milvus = getattr(request, "param", "local") == "milvus"
    store = f"milvus:{home}/mcp.db" if in_milvus else "local"
    with RagApp(llm=llm, embeddings=HashingEmbeddings(), threshold=0.0, store=store) as app:
        yield app


@asynccontextmanager
async def connected(engine: RagApp, **options: Any) -> AsyncIterator[Client]:
    registry = IndexRegistry(engine)
    async with Client(ToolServer(registry, **options)) as client:
        yield client
    registry.close()


async def call(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content: dict[str, Any] = result.structured_content
    return content


def said(result: CallToolResult) -> str:
    """The one line that says why a call failed."""
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert "\n" not in content.text
    return content.text


async def test_each_tool_says_what_it_needs(engine: RagApp) -> None:
    async with connected(engine) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert sorted(tools) == TOOLS
    assert all(tool.description for tool in tools.values())
    assert tools["ask"].input_schema["required"] == ["question"]
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations}
    assert {name for name in hints if not hints[name].read_only_hint} == {"add_document"}


@IN_BOTH_STORES
async def test_a_text_is_added_found_asked_and_read(engine: RagApp) -> None:
    async with connected(engine) as client:
        added = await call(client, "add_document", name="诗人/李白.md", text=TEXT)
        assert (added["index"], added["name"], added["replaced"]) == (
            "default",
            "诗人/李白.md",
            False,
        )
        found = await call(client, "search", query="李白在哪里病逝？", k=1)
        (passage,) = found["data"]
        assert passage["document"] == added["document"]
        assert passage["name"] == "诗人/李白.md"
        answer = await call(client, "ask", question="李白在哪里病逝？")
        assert answer["text"] == "李白在当涂病逝[1]。"
        assert answer["evidence"] == "宝应元年，李白在当涂病逝。"
        assert answer["verdict"] in ("sure", "doubtful")
        assert answer["passages"][0]["document"] == added["document"]
        read = await call(client, "read_passage", document="李白.md", start=5, end=13)
        assert (read["text"], read["characters"]) == (TEXT[5:13], len(TEXT))


@IN_BOTH_STORES
async def test_a_text_of_the_same_name_replaces_the_earlier_one(engine: RagApp) -> None:
    async with connected(engine) as client:
        await call(client, "add_document", name="备忘", text=TEXT)
        again = await call(client, "add_document", name="备忘", text="杜甫在江上病逝。")
        listed = await call(client, "list_documents")
        read = await call(client, "read_passage", document="备忘.txt")
    assert again["replaced"]
    assert [document["name"] for document in listed["data"]] == ["备忘.txt"]
    assert read["text"] == "杜甫在江上病逝。"


async def test_indexes_are_made_and_named(engine: RagApp) -> None:
    async with connected(engine) as client:
        await call(client, "add_document", name="a", text=TEXT, index="诗人")
        await call(client, "add_document", name="b", text=TEXT, index="其他")
        listed = await call(client, "list_indexes")
        assert sorted(index["name"] for index in listed["data"]) == ["其他", "诗人"]
        assert "诗人" in said(await client.call_tool("search", {"query": "李白"}))
        assert (await call(client, "search", query="李白", index="诗人"))["data"]


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("search", {"query": " "}, "question"),
        ("search", {"query": "李白", "k": 0}, "k: "),
        ("search", {}, "query: is missing"),
        ("ask", {"question": "李白", "index": "没有"}, "there are: default"),
        ("ask", {"question": "李白", "within": "没有.txt"}, "没有.txt"),
        ("read_passage", {"document": "没有"}, "list_documents"),
        ("add_document", {"name": "x.exe", "text": "x"}, "no supported format"),
        ("add_document", {"name": "x.txt", "text": ""}, "empty"),
        ("add_document", {"name": "x.pdf", "text": "no PDF"}, "x.pdf"),
        ("add_document", {"name": "x", "text": "x", "index": "../.."}, "an index is named"),
        ("nothing", {}, "nothing"),
    ],
)
async def test_what_a_user_can_correct_is_one_line(
    tool: str, arguments: dict[str, Any], expected: str, engine: RagApp, home: Path
) -> None:
    async with connected(engine) as client:
        await call(client, "add_document", name="李白.txt", text=TEXT)
        message = said(await client.call_tool(tool, arguments))
        assert expected in message
        assert str(home) not in message
        assert len((await call(client, "list_documents"))["data"]) == 1


async def test_readers_can_not_add(engine: RagApp) -> None:
    async with connected(engine, read_only=True) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
    assert sorted(tools) == [name for name in TOOLS if name != "add_document"]


@pytest.fixture
def behind(home: Path) -> Iterator[Served]:
    """What holds the model of a process."""
    with serving(llm=ScriptedChatModel(replies=[ANSWER])) as served:
        yield served


def options(served: Served, embeddings: Path) -> list[str]:
    llm = ["--llm", f"{served.url}/v1", "--llm-name", "default"]
    return [*llm, "--embedding", str(embeddings), "--threshold", "0"]


@pytest.mark.slow
async def test_over_standard_input_and_output(
    behind: Served, tiny_embeddings: Path, home: Path, tmp_path: Path
) -> None:
    log = tmp_path / "stderr"
    (config,) = re.findall(r"```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    told = json.loads(config)["mcpServers"]["rag-app"]
    assert [told["command"], *told["args"]] == ["rag-app", "mcp"]
    args = [*told["args"], *options(behind, tiny_embeddings)]
    server = StdioServerParameters(command=PROGRAM, args=args, env=dict(os.environ), cwd=home)
    with log.open("w", encoding="utf-8") as errors:
        async with Client(stdio_client(server, errlog=errors)) as client:
            assert "rag-app" in str(client.server_info)
            assert sorted(tool.name for tool in (await client.list_tools()).tools) == TOOLS
            await call(client, "add_document", name="李白", text=TEXT)
            answer = await call(client, "ask", question="李白在哪里病逝？")
            assert answer["text"] == "李白在当涂病逝[1]。"
            assert "there are" in said(
                await client.call_tool("search", {"query": "x", "index": "y"})
            )
    assert "Traceback" not in log.read_text(encoding="utf-8")


def lines_of(process: "subprocess.Popen[str]", *requests: dict[str, Any]) -> Iterator[Any]:
    assert process.stdin
    assert process.stdout
    for request in requests:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **request}) + "\n")
        process.stdin.flush()
        if "id" in request:
            yield json.loads(process.stdout.readline())


@pytest.mark.slow
def test_stdout_holds_messages_only_and_the_end_of_input_ends_it(home: Path) -> None:
    start = {"protocolVersion": "2025-06-18", "capabilities": {}}
    info = {"clientInfo": {"name": "test", "version": "1"}}
    with subprocess.Popen(
        [PROGRAM, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        greeting, tools, failed = lines_of(
            process,
            {"id": 1, "method": "initialize", "params": {**start, **info}},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/list"},
            {
                "id": 3,
                "method": "tools/call",
                "params": {"name": "search", "arguments": {"query": "李白"}},
            },
        )
        rest, _ = process.communicate(timeout=60)
    assert greeting["result"]["serverInfo"]["name"] == "rag-app"
    assert len(tools["result"]["tools"]) == len(TOOLS)
    assert failed["result"]["isError"]
    assert rest == ""
    assert process.returncode == 0


@pytest.mark.slow
def test_ctrl_c_ends_it_while_it_waits_for_input(home: Path) -> None:
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([PROGRAM, "mcp"], text=True, **pipes) as process:
        (pong,) = lines_of(process, {"id": 1, "method": "ping"})
        assert pong["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr
        assert process.stderr.read() == "rag-app: interrupted\n"


@pytest.mark.slow
async def test_over_http_with_keys(
    behind: Served, tiny_embeddings: Path, home: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("boss sk-write\nguest sk-read read index:公开\n", encoding="utf-8")
    http = ["--http", "--port", "0", "--api-key-file", str(keys)]
    command = [PROGRAM, "mcp", *http, *options(behind, tiny_embeddings)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            url = process.stderr.readline().split()[1]
            refused = httpx.post(
                url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, timeout=60
            )
            assert refused.status_code == 401
            proxied = {"Host": "rag.example"}
            assert httpx.post(url, json={}, headers=proxied, timeout=60).status_code == 401
            proxied["Authorization"] = "Bearer sk-write"
            let_in = httpx.post(url, json={}, headers=proxied, timeout=60)
            assert let_in.status_code == 400  # what is wrong is said by the protocol
            assert "jsonrpc" in let_in.text
            async with over_http(url, "sk-write") as boss:
                await call(boss, "add_document", name="李白", text=TEXT, index="公开")
                await call(boss, "add_document", name="密", text=TEXT, index="内部")
            async with over_http(url, "sk-read") as guest:
                listed = await call(guest, "list_indexes")
                assert [index["name"] for index in listed["data"]] == ["公开"]
                adding = {"name": "x", "text": "x", "index": "公开"}
                assert "read only" in said(await guest.call_tool("add_document", adding))
                hidden = await guest.call_tool("search", {"query": "李白", "index": "内部"})
                assert "there are: 公开" in said(hidden)
                answer = await call(guest, "ask", question="李白在哪里病逝？")
                assert answer["answered"]
        finally:
            process.terminate()


@asynccontextmanager
async def over_http(url: str, key: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client
