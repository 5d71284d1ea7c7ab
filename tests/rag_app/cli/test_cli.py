"""The command line, in process, on real models of two layers."""

import json
import os
import pty
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag_app import RagApp, __version__
from rag_app.cli import app
from rag_app.engine.command_engine import parts
from tests.paths import ROOT
from tests.rag_app.cli.program import DEATH, Program
from tests.scripted import ScriptedChatModel
from tests.tiny_models import ANSWER


@pytest.mark.slow
def test_the_tutorial_needs_no_other_flag(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus / "李白.txt"))
    asked = rag_app.ok("ask", "李白是怎样去世的？", "--threshold", "0")
    assert asked.stdout.strip() == ANSWER.replace("。", "[1]。")
    assert "李白.txt" in asked.stderr
    summary = rag_app.ok("summarize", str(corpus / "李白.txt"), "--chain", "refine")
    assert summary.stdout.strip() == ANSWER


def test_json_is_alone_on_stdout(rag_app: Program, corpus: Path) -> None:
    assert json.loads(rag_app.ok("status", "--json").stdout)["documents"] == 0
    report = json.loads(rag_app.ok("index", str(corpus), "--json").stdout)
    assert (report["added"], report["failed"]) == (2, [])
    answer = json.loads(rag_app.ok("ask", "李白", "--threshold", "0", "--json").stdout)
    assert answer["text"] == ANSWER
    assert {"source", "start", "end", "text", "score"} <= set(answer["citations"][0])
    documents = json.loads(rag_app.ok("docs", "--json").stdout)
    assert [Path(one["source"]).name for one in documents] == ["washer.md", "李白.txt"]
    summary = json.loads(rag_app.ok("summarize", str(corpus / "washer.md"), "--json").stdout)
    assert summary["text"] == ANSWER
    assert json.loads(rag_app.ok("status", "--json").stdout)["documents"] == 2


def test_interactive_reads_a_question_with_those_before_it(
    rag_app: Program, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rag_app.ok("index", str(corpus))
    llm = ScriptedChatModel(replies=["病逝于当涂。", "李白享年多少？", "六十二岁。"])
    monkeypatch.setattr("rag_app.models.registry.load_llm", lambda _: llm)
    result = rag_app.ok("ask", "--threshold", "0", stdin="李白是怎样去世的？\n他享年多少？\n")
    assert "六十二岁" in result.stdout
    assert "李白是怎样去世的？" in llm.prompts[1]
    assert "问题：李白享年多少？" in llm.prompts[2]


def test_prompts_in_place_of_ours(
    rag_app: Program, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rag_app.ok("index", str(corpus))
    (tmp_path / "answer.zh.txt").write_text("{context}\n只答：{question}", encoding="utf-8")
    llm = ScriptedChatModel(replies=["病逝于当涂。"])
    monkeypatch.setattr("rag_app.models.registry.load_llm", lambda _: llm)
    rag_app.ok("ask", "李白？", "--threshold", "0", "--prompts", str(tmp_path))
    assert llm.prompts[0].endswith("只答：李白？")
    (tmp_path / "answer.zh.txt").write_text("{context}", encoding="utf-8")
    message = rag_app.fails("ask", "李白？", "--prompts", str(tmp_path))
    assert "answer.zh: it lacks {question}" in message


def test_the_version(rag_app: Program) -> None:
    assert rag_app.ok("--version").stdout == f"rag-app {__version__}\n"


def test_interactive_asks_until_an_empty_line(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    result = rag_app.ok("ask", "--threshold", "0", stdin="李白？\n洗衣机？\n\n没有问到\n")
    assert result.stdout.count("当涂") == 2


def test_a_line_of_another_encoding_is_said(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    result = CliRunner().invoke(
        app, ["ask", "--llm", rag_app.models["--llm"]], input="李白？\n".encode("gbk")
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not valid text" in result.stderr


@pytest.mark.slow
def test_the_prompt_edits_lines(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    ours, theirs = pty.openpty()
    code = "from rag_app.cli import main; main()"
    options = ["--threshold", "1", "--keep-alive", "0", "--json", "--llm", rag_app.models["--llm"]]
    with subprocess.Popen(
        [sys.executable, "-c", code, "ask", *options], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        for typed in ("黑洞在哪里\x1b[D\x1b[D有哪\x7f\r", "\r"):
            prompts = shown.count(b"(empty to end): ")
            while shown.count(b"(empty to end): ") == prompts:
                shown += os.read(ours, 4096)
            os.write(ours, typed.encode())
        with suppress(OSError):  # Linux: the other side is closed
            while part := os.read(ours, 4096):
                shown += part
        assert process.wait() == 0
    os.close(ours)
    answers = [line for line in shown.decode().splitlines() if line.startswith("{")]
    asked = [json.loads(line)["question"] for line in answers]
    assert asked == ["黑洞在有哪里"]


def test_show_context_and_timings(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    result = rag_app.ok("ask", "李白", "--threshold", "0", "--show-context", "--timings")
    assert DEATH in result.stderr
    assert "total" in result.stderr
    assert DEATH not in result.stdout


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux tells it by this clock")
def test_a_command_began_after_the_machine_and_before_now(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    later = 1e9
    monkeypatch.setattr(time, "clock_gettime", lambda clock: later)
    whole = parts({})["total"]
    assert 0 < later - whole < now


def test_one_document_can_be_asked(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    washer = ("--in", "*.md", "--show-context", "--threshold", "0")
    assert DEATH not in rag_app.ok("ask", "李白", *washer).stderr
    assert "李白.txt" not in rag_app.ok("ask", "李白", *washer).stderr
    assert "没有.txt" in rag_app.fails("ask", "李白", "--in", "没有.txt")


def test_nothing_relevant_calls_no_model(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    result = rag_app.ok(
        "ask", "火星上有几座城市？", "--threshold", "0.999", "--llm", "/no/such.gguf"
    )
    assert result.stdout.strip() == "文档中没有找到这个问题的答案。"
    nearest = result.stderr.partition("Nearest passages")[2]
    assert "    “" in nearest


def test_documents_are_removed_by_path(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    rag_app.ok("docs", "remove", str(corpus / "李白.txt"))
    assert "李白.txt" not in rag_app.ok("docs").stdout
    assert "not in the index" in rag_app.fails("docs", "remove", str(corpus / "李白.txt"))


def test_prune_drops_what_is_gone(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    (corpus / "washer.md").unlink()
    rag_app.ok("index", str(corpus), "--prune")
    assert "washer.md" not in rag_app.ok("docs").stdout


@pytest.mark.slow
def test_stdin_and_named_indexes(rag_app: Program, home: Path) -> None:
    code = "from rag_app.cli import main; main()"
    arguments = ["index", "-", "--index", "第二个", "--embedding", rag_app.models["--embedding"]]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=DEATH.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (home / "indexes" / "第二个" / "index.sqlite3").exists()
    assert json.loads(rag_app.ok("docs", "--index", "第二个", "--json").stdout)[0]["source"] == "-"


def test_settings_come_from_the_environment_and_a_file(
    rag_app: Program, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("rag-app.toml").write_text('index = "from-file"\n', encoding="utf-8")
    assert rag_app.ok("status").stdout.split()[1].endswith("from-file")
    monkeypatch.setenv("RAG_APP_INDEX", "from-environment")
    assert rag_app.ok("status").stdout.split()[1].endswith("from-environment")
    assert rag_app.ok("status", "--index", "flag").stdout.split()[1].endswith("flag")


def test_a_settings_file_that_is_no_toml_is_said_in_a_line(rag_app: Program) -> None:
    Path("rag-app.toml").write_text("index = default\n", encoding="utf-8")
    assert "rag-app.toml is not TOML" in rag_app.fails("status")


def test_any_langchain_loader_can_be_named(
    rag_app: Program, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = corpus.parent / "page_loaders.py"
    module.write_text(
        "from pathlib import Path\n"
        "from langchain_core.document_loaders import BaseLoader\n"
        "from langchain_core.documents import Document\n"
        "class Pages(BaseLoader):\n"
        "    def __init__(self, path): self.path = path\n"
        "    def lazy_load(self):\n"
        "        for part in Path(self.path).read_text('gb18030').split('，'):\n"
        "            yield Document(page_content=part)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(corpus.parent))
    rag_app.ok("index", str(corpus / "李白.txt"), "--loader", "page_loaders:Pages")
    (document,) = json.loads(rag_app.ok("docs", "--json").stdout)
    assert document["loader"] == "page_loaders:Pages"
    message = rag_app.fails("index", str(corpus / "washer.md"), "--loader", "NoSuchLoader")
    assert "rag-app[community]" in message


def _write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("missing.txt", None, "does not exist"),
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \n\t ", "no text"),
        ("binary.txt", bytes(range(256)) * 40, "binary"),
        ("damaged.pdf", b"%PDF-1.7\n garbage", "damaged"),
        ("damaged.docx", b"PK\x03\x04 garbage", "damaged"),
    ],
)
def test_a_bad_document_is_one_line_and_the_index_stays(
    rag_app: Program, corpus: Path, name: str, data: bytes | None, said: str
) -> None:
    rag_app.ok("index", str(corpus))
    before = rag_app.ok("docs").stdout
    path = corpus / name
    if data is not None:
        path.write_bytes(data)
    message = rag_app.fails("index", str(path))
    assert said in message
    assert name in message
    assert rag_app.ok("docs").stdout == before


def test_a_folder_without_documents(rag_app: Program, home: Path) -> None:
    (home / "nothing").mkdir()
    assert "holds no document" in rag_app.fails("index", str(home / "nothing"))


def test_a_question_far_too_long(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    assert "100,000 characters" in rag_app.fails("ask", "问" * 100_000)
    assert "empty" in rag_app.fails("ask", "  ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "问", "--chain", "magic"], ": --chain: must be 'refine' or 'stuff' (got 'magic')"),
        (["ask", "问", "--k", "0"], "see rag-app ask --help"),
        (["summarize", "x.txt", "--chain", "magic"], ": --chain: "),
        (["serve", "--workers-limit", "0"], ": --workers-limit: "),
        (["ask", "问", "--retriever", "magic"], ": --retriever: "),
        (["ask", "问", "--max-new-tokens", "0"], ": --max-new-tokens: "),
        (["index", "x", "--chunk-size", "50", "--chunk-overlap", "50"], "overlap 50 must be below"),
    ],
)
def test_a_wrong_option_is_one_line(rag_app: Program, arguments: list[str], said: str) -> None:
    assert said in rag_app.fails(*arguments)


def test_usage_errors_exit_with_2(rag_app: Program) -> None:
    assert rag_app("ask", "--no-such-option").exit_code == 2
    assert rag_app("index").exit_code == 2


def test_asking_without_an_index(rag_app: Program) -> None:
    assert "rag-app index PATH" in rag_app.fails("ask", "问")


@pytest.mark.slow
def test_a_missing_model_says_how_to_get_it(corpus: Path, rag_app: Program) -> None:
    message = rag_app.fails("index", str(corpus), "--embedding", "multilingual-e5-small")
    assert "model-prep pull multilingual-e5-small" in message
    rag_app.ok("index", str(corpus))
    message = rag_app.fails(
        "ask", "李白", "--threshold", "0", "--llm", "qwen2.5-coder-1.5b-instruct"
    )
    assert "model-prep pull qwen2.5-coder-1.5b-instruct" in message


def test_a_truncated_gguf(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    file = _write(corpus / "model.gguf", b"GGUF\x03\x00\x00\x00")
    message = rag_app.fails("ask", "李白", "--threshold", "0", "--llm", file)
    assert "truncated or damaged" in message


def test_another_embedding_model(
    rag_app: Program, corpus: Path, tiny_llm: Path, tmp_path: Path
) -> None:
    from tests.tiny_models import make_embeddings

    rag_app.ok("index", str(corpus))
    other = make_embeddings(tmp_path / "other")
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    message = rag_app.fails("ask", "李白", "--embedding", str(other))
    assert "rag-app reembed --embedding" in message
    rag_app.ok("reembed", "--embedding", str(other))
    rag_app.ok("ask", "李白", "--threshold", "0")


def test_a_damaged_faiss_file_is_made_anew(rag_app: Program, corpus: Path, home: Path) -> None:
    rag_app.ok("index", str(corpus))
    derived = home / "indexes" / "default" / "vectors.faiss"
    before = derived.read_bytes()
    derived.write_bytes(b"damaged" + before[7:])
    asked = rag_app.ok("ask", "李白", "--threshold", "0")
    (warning,) = [line for line in asked.stderr.splitlines() if "warning" in line]
    assert warning.startswith("rag-app: warning:")
    assert "vectors.faiss" in warning
    assert derived.read_bytes() == before


def test_a_damaged_database_is_named_and_left_alone(
    rag_app: Program, corpus: Path, home: Path
) -> None:
    rag_app.ok("index", str(corpus))
    database = home / "indexes" / "default" / "index.sqlite3"
    database.write_bytes(b"not a database at all" * 100)
    for arguments in (["ask", "李白"], ["index", str(corpus)], ["docs"], ["status"]):
        assert "index.sqlite3 is damaged" in rag_app.fails(*arguments)
    assert database.read_bytes() == b"not a database at all" * 100


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(rag_app: Program, corpus: Path) -> None:
    rag_app.ok("index", str(corpus))
    code = f"{sys.executable} -c 'from rag_app.cli import main; main()' docs | true"
    done = subprocess.run(
        code, shell=True, capture_output=True, text=True, env=os.environ, check=False
    )
    assert "Traceback" not in done.stderr


def test_help_is_quick_to_read(rag_app: Program) -> None:
    for command in ("index", "ask", "summarize", "docs", "status"):
        assert "Usage" in rag_app.ok(command, "--help").stdout


@pytest.mark.slow
def test_indexing_and_searching_need_no_torch(
    home: Path, tiny_embeddings: Path, tmp_path: Path
) -> None:
    (tmp_path / "poet.txt").write_text("李白病逝于当涂。", encoding="utf-8")
    code = (
        "import sys\n"
        "from rag_app import RagApp\n"
        f"app = RagApp(embedding={str(tiny_embeddings)!r})\n"
        f"assert app.index([{str(tmp_path / 'poet.txt')!r}]).added == 1\n"
        "assert app.retriever.invoke('李白是怎样去世的？')\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "docs"])
def test_what_describes_an_index_loads_little(
    home: Path, tiny_embeddings: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "poet.txt").write_text("李白病逝于当涂。", encoding="utf-8")
    RagApp(embedding=str(tiny_embeddings)).index([tmp_path / "poet.txt"])
    code = (
        "import sys\n"
        "from rag_app.cli import main\n"
        f"sys.argv = ['rag-app', {command!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'langchain_core', 'numpy', 'faiss', 'onnxruntime'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout


def test_a_working_folder_that_was_deleted_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"rmdir ../gone; exec {sys.executable} -m rag_app ask 什么"
    where = {**os.environ, "PYTHONPATH": str(ROOT), "RAG_APP_HOME": "home"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=gone, env=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("rag-app: the working folder no longer exists")
    assert len(done.stderr.splitlines()) == 1
