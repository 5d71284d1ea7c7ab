"""`rag-app summarize` over several documents, and long ones."""

import json
from pathlib import Path

import pytest

from tests.rag_app.cli.program import Program
from tests.scripted import ScriptedChatModel
from tests.scripted_llm_server import scripted_llm_server


@pytest.fixture
def rag_app(tiny_llm: Path, tiny_embeddings: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    llm = ScriptedChatModel(replies=["李白是诗人。"])
    monkeypatch.setattr("rag_app.models.registry.load_llm", lambda _: llm)
    return Program(tiny_llm, tiny_embeddings)


LONG = "李白是唐代诗人，一生写下了许多名篇。\n" * 100


def test_one_bad_file_does_not_stop_the_others(rag_app: Program, home: Path) -> None:
    (home / "bad.pdf").write_bytes(b"%PDF-1.7 garbage")
    (home / "ok.txt").write_text(LONG, encoding="utf-8")
    for arguments in (["bad.pdf", "ok.txt"], ["."]):
        result = rag_app("summarize", *arguments)
        assert result.exit_code == 3
        assert "李白是诗人。" in result.stdout
        assert "bad.pdf is damaged" in result.stderr
    result = rag_app("summarize", "bad.pdf", "ok.txt", "--json")
    assert json.loads(result.stdout)["text"] == "李白是诗人。"
    assert "damaged" in rag_app.fails("summarize", "bad.pdf")


def test_a_long_summary_says_how_long_it_will_take(
    rag_app: Program, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_APP_SUMMARY_STEP_TOKENS", "400")
    (home / "long.txt").write_text(LONG, encoding="utf-8")
    (home / "short.txt").write_text(LONG[:400], encoding="utf-8")
    said = rag_app.ok("summarize", "long.txt").stderr
    assert "5 steps; " in said
    assert "about 1 min to go" in said
    assert "min to go" not in rag_app.ok("summarize", "short.txt").stderr


def test_what_stands_nowhere_is_told_and_json_says_where_the_rest_stands(
    rag_app: Program, home: Path
) -> None:
    (home / "long.txt").write_text(LONG, encoding="utf-8")
    shown = rag_app.ok("summarize", "long.txt")
    assert shown.stdout.strip() == "李白是诗人。"  # no marks where it is not a terminal
    values = json.loads(rag_app.ok("summarize", "long.txt", "--json").stdout)
    (sentence,) = values["sentences"]
    assert values["marked_text"] == f"李白是诗人[{sentence['markers'][0]}]。"
    assert [one["marker"] for one in values["citations"]] == sentence["markers"]
    assert 0 < values["coverage"] < 1
    assert "Sources" in shown.stderr


def test_several_urls(tiny_llm: Path, tiny_embeddings: Path, home: Path) -> None:
    program = Program(tiny_llm, tiny_embeddings)
    (home / "short.txt").write_text("李白是唐代诗人。", encoding="utf-8")
    with scripted_llm_server("甲") as dead:
        pass
    with scripted_llm_server("乙") as alive:
        urls = f"{dead.url},{alive.url}"
        result = program.ok("summarize", "short.txt", "--llm", urls)
    assert result.stdout.strip() == "乙。"
    assert f"{dead.url} is set aside" in result.stderr
    failed = program.fails("summarize", "short.txt", "--llm", urls)
    assert dead.url in failed
    assert alive.url in failed
