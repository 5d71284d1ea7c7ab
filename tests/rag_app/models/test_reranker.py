"""Cross-encoders: a real one of two layers, in retrieval, on the command line and in the API."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langchain_core.documents import Document
from typer.testing import CliRunner

from rag_app.cli import app
from rag_app.engine import RagApp
from rag_app.errors import ModelError
from rag_app.models.registry import load_reranker
from rag_app.settings import load_settings
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server.serving import Served, serving
from tests.scripted import ScriptedChatModel
from tests.tiny_models import TEXTS, make_reranker

POET, MACHINE, *_ = TEXTS
QUESTION = "李白在哪里病逝？"


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_reranker(tmp_path_factory.mktemp("tiny") / "重排 reranker")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {"李白.txt": POET, "洗衣机.txt": MACHINE}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def served(home: Path, reranker: Path) -> Iterator[Served]:
    with serving(reranker=str(reranker)) as running:
        yield running


def test_it_puts_documents_in_order_and_says_how_it_scores_them(reranker: Path) -> None:
    model = load_reranker(str(reranker))
    documents = [Document(text, metadata={"source": "a.txt"}) for text in (POET, MACHINE)]
    machine, poet = model.compress_documents(documents, QUESTION)
    assert [machine.page_content, poet.page_content] == [MACHINE, POET]
    assert 1 >= machine.metadata["rerank_score"] > 0.5 > poet.metadata["rerank_score"] >= 0
    assert machine.metadata["source"] == "a.txt"
    assert "rerank_score" not in documents[0].metadata


def test_a_score_does_not_depend_on_the_texts_beside_it(reranker: Path) -> None:
    model = load_reranker(str(reranker))
    texts = [POET * count for count in range(1, 12)] + [MACHINE]
    alone = [model.scores(QUESTION, [text])[0] for text in texts]
    assert model.scores(QUESTION, texts) == pytest.approx(alone, abs=1e-5)


def test_passages_are_read_in_its_order(home: Path, files: Path, reranker: Path) -> None:
    def found(reranker: str | None) -> list[str]:
        settings = load_settings(threshold=0, reranker=reranker)
        llm, embeddings = ScriptedChatModel(replies=["三年。"]), HashingEmbeddings()
        with RagApp(settings=settings, llm=llm, embeddings=embeddings) as engine:
            engine.index([files])
            first, *_ = engine.retriever.invoke(QUESTION)
            return [first.page_content, engine.ask(QUESTION).citations[0].text]

    assert found(None) == [POET, POET]
    assert found(str(reranker)) == [MACHINE, MACHINE]


def test_the_api_ranks_with_it_by_default(served: Served) -> None:
    name = "重排 reranker"  # and not where it lies

    def order(**more: object) -> tuple[str, list[int]]:
        body = {"query": QUESTION, "documents": [POET, MACHINE], **more}
        answer = httpx.post(f"{served.url}/v1/rerank", json=body, timeout=60).json()
        assert (answer["usage"]["total_tokens"] > 0) is (answer["model"] == name)
        return answer["model"], [one["index"] for one in answer["results"]]

    assert order() == order(model=name) == (name, [1, 0])
    models = httpx.get(f"{served.url}/v1/models", timeout=60).json()["data"]
    assert name in [model["id"] for model in models]
    embedding = served.engine.settings.embedding
    assert order(model=embedding) == (embedding, [0, 1])


def test_it_is_no_model_to_talk_to(served: Served) -> None:
    body = {"model": "重排 reranker", "messages": [{"role": "user", "content": "你好"}]}
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 400
    assert "/v1/rerank" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "command", [["ask", QUESTION, "--keep-alive", "0"], ["serve", "--port", "0"]]
)
def test_one_that_is_not_here_is_told_in_one_line(
    command: list[str], home: Path, files: Path, tiny_embeddings: Path
) -> None:
    with RagApp(embedding=str(tiny_embeddings)) as engine:
        engine.index([files])
    nobody = ["--llm", "http://127.0.0.1:9/v1", "--reranker", "/nowhere/reranker"]
    result = CliRunner().invoke(app, [*command, *nobody])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "no reranker '/nowhere/reranker'" in line


def test_what_is_none_is_refused_by_name(tiny_embeddings: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no reranker '/nowhere/x'"):
        load_reranker("/nowhere/x")
    with pytest.raises(ModelError, match="holds no cross-encoder: it has no"):
        load_reranker(str(tmp_path))
    with pytest.raises(ModelError, match="no cross-encoder but BertModel"):
        load_reranker(str(tiny_embeddings))
    with pytest.raises(ModelError, match="distinguishes 3 classes"):
        load_reranker(str(make_reranker(tmp_path / "classes", labels=3)))


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    folder = make_reranker(tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="can't be loaded"):
        load_reranker(str(folder)).scores("a", ["b"])
