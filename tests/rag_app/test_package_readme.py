"""The examples of rag_app's pages run as they stand, on models of a few thousand weights."""

import json
import re
import shlex
import shutil
from configparser import RawConfigParser
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import Runnable

from rag_app import RagApp, cli
from rag_app.chains.prompts import VARIABLES
from rag_app.chains.results import Answer
from rag_app.settings import load_settings
from tests.http_server import running, url_of
from tests.paths import ROOT
from tests.scripted import ScriptedChatModel

PAGES = sorted((ROOT / "rag_app").rglob("[A-Z]*.md"))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
ANSWER = "李白病逝于当涂。"


def block_with(name: str) -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    return next(block for block in blocks if name in block)


def compose_files() -> list[dict[str, Any]]:
    """That of one machine, and what is added to it for Milvus and vLLM."""
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


def services() -> list[str]:
    """The command lines of the unit and of the compose files."""
    (unit,) = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
    parsed = RawConfigParser()
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit)
    assert parsed["Service"]["Environment"] == "RAG_APP_HOME=/var/lib/rag-app"
    one, cluster = (file["services"]["rag-app"] for file in compose_files())
    assert one["environment"]["RAG_APP_HOME"] in one["volumes"][0]
    return [parsed["Service"]["ExecStart"], one["command"], cluster["command"]]


def test_services_of_a_cluster_name_each_other() -> None:
    services = compose_files()[1]["services"]
    for name in services["rag-app"]["depends_on"]:
        assert services[name]["healthcheck"]
    command, vllm = services["rag-app"]["command"], services["vllm"]["entrypoint"].split()
    assert "milvus:http://milvus:19530" in command
    assert "http://vllm:8000/v1" in command
    model = vllm[vllm.index("--served-model-name") + 1]
    assert f"--llm-name {model} " in command
    length = vllm[vllm.index("--max-model-len") + 1]
    assert services["rag-app"]["environment"] == {"RAG_APP_CONTEXT_LENGTH": length}


@pytest.mark.parametrize("which", [0, 1, 2])
def test_services_start_the_server_with_options_that_it_has(which: int) -> None:
    program, command, *options = shlex.split(services()[which])
    assert (Path(program).name, command) == ("rag-app", "serve")
    serve: Any = typer.main.get_command(cli.app).commands["serve"]  # type: ignore[attr-defined]
    with serve.make_context("serve", options) as context:
        assert context.params["host"] == "0.0.0.0"
        assert context.params["api_key_file"].name == "keys"


def run(name: str, **names: Any) -> dict[str, Any]:
    code = block_with(name).replace("max_new_tokens=400", "max_new_tokens=8")  # to be done sooner
    exec(compile(code, "README.md", "exec"), names)
    return names


@pytest.fixture
def folders(home: Path, tiny_embeddings: Path) -> Path:
    """A working folder that holds what the examples name."""
    shutil.copytree(ROOT / "docs_corpus", home / "docs_corpus")
    shutil.copytree(tiny_embeddings, home / "text2vec-base-chinese")
    return home


@pytest.mark.slow
def test_the_recipe(
    folders: Path, alpaca_tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.model_prep.tiny_llama import make_llama

    make_llama(folders / "chinese-alpaca-plus", alpaca_tokenizer / "tokenizer.model")
    names = run("HuggingFacePipeline")
    answer = names["answer"]
    assert isinstance(answer, Answer)
    assert answer.text
    assert {citation.place.split(" · ")[0] for citation in answer.citations} == {"doc.txt"}
    assert answer.citations[0].start is not None
    assert answer.text in capsys.readouterr().out


def test_a_retriever_of_another_package(folders: Path) -> None:
    names = run("InMemoryVectorStore", llm=ScriptedChatModel(replies=[ANSWER]))
    assert names["answer"].text == ANSWER
    assert any("relevance" in note for note in names["answer"].notes)


class OpenAI(BaseHTTPRequestHandler):
    """Answers a streamed chat as OpenAI does."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for delta, end in (({"role": "assistant", "content": ANSWER}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": end}
            event = {"id": "1", "created": 1, "model": "m", "object": "chat.completion.chunk"}
            line = json.dumps({**event, "choices": [choice]})
            self.wfile.write(f"data: {line}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        pass


def default_models(monkeypatch: pytest.MonkeyPatch, embeddings: Path, **settings: Any) -> None:
    monkeypatch.setenv("RAG_APP_EMBEDDING", str(embeddings))
    for name, value in {"threshold": 0, **settings}.items():
        monkeypatch.setenv(f"RAG_APP_{name.upper()}", str(value))


def test_a_model_of_a_provider(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    default_models(monkeypatch, folders / "text2vec-base-chinese")
    with running(OpenAI) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url_of(server)}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        run("openai:")
    assert capsys.readouterr().out.strip() == ANSWER


class Agent(GenericFakeChatModel):
    """Calls the first tool once, then answers."""

    def bind_tools(self, tools: Any, **_: Any) -> Runnable[Any, AIMessage]:
        return self


def test_the_retriever_is_a_tool_of_an_agent(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    default_models(monkeypatch, folders / "text2vec-base-chinese", retriever="lexical")
    call = {"name": "search_documents", "args": {"query": "李白 病逝 当涂"}, "id": "1"}
    replies = iter([AIMessage("", tool_calls=[call]), AIMessage(ANSWER)])
    names = run("create_agent", llm=Agent(messages=replies))
    (found,) = [one for one in names["state"]["messages"] if isinstance(one, ToolMessage)]
    assert "当涂" in str(found.content)
    assert capsys.readouterr().out.strip() == ANSWER


def test_prompts_of_the_pages_are_those_of_the_code(tmp_path: Path) -> None:
    files = {file.name.split(".")[0] for file in (ROOT / "rag_app/chains/prompts").glob("*.txt")}
    assert files == set(VARIABLES)
    (tmp_path / "answer.zh.txt").write_text("{context}{question}", encoding="utf-8")
    assert RagApp(settings=load_settings(prompts=str(tmp_path))).settings.prompts == tmp_path
