"""`rag-app --store milvus:URI`: the same commands say the same, wherever the index lies."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rag_app.cli.program import DEATH, WASHER, Program
from tests.scripted import ScriptedChatModel

VARYING = {
    "indexed_at",
    "seconds",
    "embedding_seconds",
    "searchable_seconds",  # in folders alone, where documents are written before they are embedded
    "timings",
    "index",
    "bytes",
    "models",
    "id",
}


def steady(value: Any) -> Any:
    """A JSON value without what differs from run to run."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in VARYING}
    if isinstance(value, list):
        return [steady(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def walk(rag_app: Program, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each command of a walk prints, as JSON."""
    said: list[Any] = []

    def run(*arguments: str) -> None:
        said.append(steady(json.loads(rag_app.ok(*arguments, "--json").stdout)))

    def ask(question: str, reply: str, *options: str) -> None:
        llm = ScriptedChatModel(replies=[reply])
        monkeypatch.setattr("rag_app.models.registry.load_llm", lambda _: llm)
        run("ask", question, *options)
        said.append(llm.prompts)

    run("status")
    run("index", str(corpus), "--dry-run")
    run("index", str(corpus))
    run("index", str(corpus))
    run("status")
    run("docs")
    ask("李白是怎样去世的？", "病逝于当涂。", "--threshold", "0")
    ask("洗衣机保修多久？", "三年。", "--threshold", "0", "--in", str(corpus / "washer.md"))
    ask("量子计算机怎样纠错？", "没有问到。", "--threshold", "0.9")
    (corpus / "李白.txt").write_text(DEATH + "他号青莲居士。", encoding="utf-8")
    (corpus / "washer.md").unlink()
    (corpus / "new.txt").write_text("新的一篇。", encoding="utf-8")
    run("index", str(corpus), "--prune")
    run("docs")
    run("docs", "remove", str(corpus / "new.txt"))
    said.append(rag_app.fails("docs", "remove", str(corpus / "new.txt")))
    run("docs")
    run("status")
    for path in corpus.iterdir():
        path.unlink()
    (corpus / "李白.txt").write_text(DEATH, encoding="gb18030")
    (corpus / "washer.md").write_text(f"# 保修\n\n{WASHER}", encoding="utf-8")
    return said


@pytest.mark.slow
def test_a_walk_says_the_same_in_both_stores(
    rag_app: Program, corpus: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = walk(rag_app, corpus, monkeypatch)
    monkeypatch.setenv("RAG_APP_STORE", f"milvus:{home}/walk.db")
    in_milvus = walk(rag_app, corpus, monkeypatch)
    for here, there in zip(local, in_milvus, strict=True):
        assert here == there
    assert "milvus:" in rag_app.ok("status").stdout
    assert len(local) == 18


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("milvus:http://127.0.0.1:1", "no Milvus answers at http://127.0.0.1:1"),
        ("milvus:somewhere", "is not a URI of Milvus"),
        ("redis:6379", "give local, or milvus: with a URI"),
    ],
)
def test_a_store_that_is_none_is_one_line(rag_app: Program, store: str, message: str) -> None:
    said = rag_app.fails("docs", "--store", store)
    assert message in said
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_another_process_has_the_file_of_milvus_lite(
    rag_app: Program, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    monkeypatch.setattr("rag_app.index.milvus.connection._CONNECT_SECONDS", 0.5)
    code = (
        "from rag_app.index.milvus.connection import connect\n"
        f"connect({str(home / 'held.db')!r}); print('open', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == "open\n"
        said = rag_app.fails("docs", "--store", f"milvus:{home}/held.db")
        holder.communicate("\n")
    assert "is open in another process" in said
    assert len(said.splitlines()) == 1


def test_what_milvus_does_not_do_is_said(rag_app: Program, home: Path) -> None:
    store = f"milvus:{home}/x.db"
    assert "can't be embedded again" in rag_app.fails("reembed", "--store", store)


def test_without_the_extra_it_is_named(rag_app: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pymilvus", None)
    monkeypatch.setitem(sys.modules, "pymilvus.exceptions", None)
    assert "pip install 'rag-app[milvus]'" in rag_app.fails("docs", "--store", "milvus:x.db")


@pytest.mark.slow
def test_an_index_is_copied_there_and_back_without_embedding(
    rag_app: Program, corpus: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"milvus:{home}/copy.db"
    rag_app.ok("index", str(corpus), "--index", "甲")
    local = json.loads(rag_app.ok("docs", "--index", "甲", "--json").stdout)
    monkeypatch.setattr("rag_app.models.registry.load_embeddings", None)
    first = json.loads(rag_app.ok("copy", "甲", "--to", store, "--json").stdout)
    assert (first["copied"], first["unchanged"], first["passages"]) == (2, 0, 2)
    again = json.loads(rag_app.ok("copy", "甲", "--to", store, "--json").stdout)
    assert (again["copied"], again["unchanged"]) == (0, 2)
    rag_app.ok("docs", "remove", str(corpus / "washer.md"), "--index", "甲", "--store", store)
    (home / "indexes" / "甲" / "index.sqlite3").unlink()
    back = rag_app.ok("copy", "甲", "--store", store, "--to", "local").stderr
    assert "copied 1 document with 1 passage; 0 were there, 0 removed" in back
    there = json.loads(rag_app.ok("docs", "--index", "甲", "--json").stdout)
    assert steady(there) == steady([one for one in local if one["source"].endswith("李白.txt")])
    assert "already" in rag_app.fails("copy", "甲", "--to", "local")
    assert "--to: give local, or milvus:" in rag_app.fails("copy", "甲", "--to", "nowhere")
    assert "no index" in rag_app.fails("copy", "乙", "--to", store)


def test_a_server_of_milvus_is_used_in_the_same_way(
    rag_app: Program, corpus: Path, home: Path
) -> None:
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(home / "server"))
    store = f"milvus:http://127.0.0.1:{port}"
    try:
        rag_app.ok("index", str(corpus), "--store", store)
        documents = json.loads(rag_app.ok("docs", "--store", store, "--json").stdout)
        assert len(documents) == 2
        assert "no index 乙" in rag_app.fails("docs", "--store", store, "--index", "乙")
    finally:
        server.stop(grace=0)
        database.close()
    assert "no Milvus answers" in rag_app.fails("docs", "--store", store)


@pytest.mark.slow
def test_indexes_are_listed_and_deleted_where_they_lie(
    rag_app: Program, corpus: Path, home: Path
) -> None:
    store = f"milvus:{home}/x.db"
    rag_app.ok("index", str(corpus), "--index", "甲", "--store", store)
    rag_app.ok("index", str(corpus), "--index", "甲")
    rag_app.ok("index", str(corpus), "--index", "乙", "--store", store)
    listed = json.loads(rag_app.ok("indexes", "--store", store, "--json").stdout)
    assert [(one["name"], one["documents"], one["size"]) for one in listed] == [
        *(("乙", 2, None), ("甲", 2, None))
    ]
    rag_app.ok("indexes", "delete", "甲", "--yes", "--store", store)
    assert "乙" in rag_app.ok("indexes", "--store", store).stdout
    assert "no index 甲" in rag_app.fails("docs", "--index", "甲", "--store", store)
    assert len(json.loads(rag_app.ok("docs", "--index", "甲", "--json").stdout)) == 2
    assert "no index" in rag_app.fails("indexes", "delete", "甲", "--yes", "--store", store)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("mcp",)])
def test_a_server_says_at_once_that_its_store_does_not_answer(
    command: tuple[str, ...], rag_app: Program
) -> None:
    options = ("--llm", rag_app.models["--llm"], "--store", "milvus:http://127.0.0.1:1")
    assert "no Milvus answers" in rag_app.fails(*command, *options)
