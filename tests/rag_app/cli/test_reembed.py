"""`rag-app reembed`: another embedding model for an index that is used meanwhile."""

import json
from pathlib import Path

import pytest

from rag_app import RagApp
from rag_app.index.indexing import reembed as reembed_module
from rag_app.models.embeddings.base import embed_by_length
from tests.rag_app.cli.program import Program
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.tiny_models import make_embeddings


@pytest.fixture
def indexed(rag_app: Program, home: Path) -> Path:
    folder = home / "docs"
    folder.mkdir()
    for name in ("李白", "杜甫", "王维"):
        (folder / f"{name}.txt").write_text(f"{name}是唐代诗人。", encoding="utf-8")
    rag_app.ok("index", str(folder))
    return folder


@pytest.fixture
def other(tmp_path: Path) -> str:
    folder = make_embeddings(tmp_path / "other")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    return str(folder)


def status(rag_app: Program) -> dict[str, str]:
    return dict(json.loads(rag_app.ok("status", "--json").stdout))


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Have the next embedding end with Ctrl-C after some batches of one passage."""
    batches = 0

    def interrupted(*arguments):
        nonlocal batches
        batches += 1
        if batches > after:
            raise KeyboardInterrupt
        return embed_by_length(*arguments)

    monkeypatch.setattr(reembed_module, "_BATCH", 1)
    monkeypatch.setattr(reembed_module, "embed_by_length", interrupted)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(
    rag_app: Program, indexed: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patches:
        interrupt(patches, after=2)
        stopped = rag_app("reembed", "--embedding", other)
    assert stopped.exit_code == 130
    assert "2 of 3 passages" in stopped.stderr
    assert f"2 of 3 passages, with {other}" in status(rag_app)["reembedding"]
    rag_app.ok("ask", "李白", "--threshold", "0")  # the old vectors serve
    (indexed / "孟浩然.txt").write_text("孟浩然是唐代诗人。", encoding="utf-8")
    rag_app.ok("index", str(indexed))
    done = rag_app.ok("reembed", "--json")  # the model is that of the run that was interrupted
    assert json.loads(done.stdout) == {"embedding": other, "passages": 2}
    assert "reembedding" not in status(rag_app)
    assert status(rag_app)["embedding"] == other
    rag_app.ok("ask", "李白", "--threshold", "0")
    assert "already" in rag_app.ok("reembed").stderr
    assert "rag-app reembed" in rag_app.fails("index", str(indexed))


def test_an_open_application_follows(rag_app: Program, indexed: Path, other: str) -> None:
    with RagApp() as app:
        before = app.embeddings
        assert app.retrieve("李白")
        rag_app.ok("reembed", "--embedding", other)
        assert app.retrieve("李白")
        assert app.embeddings.name == other
        assert app.embeddings.fingerprint != before.fingerprint
        (indexed / "孟浩然.txt").write_text("孟浩然是唐代诗人。", encoding="utf-8")
        assert app.index([indexed]).added == 1


def test_an_application_with_a_model_of_its_own_does_not_follow(
    rag_app: Program, indexed: Path, other: str
) -> None:
    rag_app.ok("reembed", "--embedding", other)
    with RagApp(embeddings=HashingEmbeddings()) as app:
        assert app.reembed() == 3
        assert app.reembed(again=False) == 0
        assert app.retrieve("李白")


def test_without_an_index(rag_app: Program, home: Path) -> None:
    assert "rag-app index PATH" in rag_app.fails("reembed")
