"""Embedding models: a real folder, and the light path for questions."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from pydantic import SecretStr
from threadpoolctl import threadpool_info

from rag_app.errors import ModelError
from rag_app.models.embeddings.base import AdaptedEmbeddings
from rag_app.models.embeddings.bert import BertQueryEncoder
from rag_app.models.embeddings.registry import load_embeddings
from rag_app.models.embeddings.sentence_transformers import SentenceTransformerEmbeddings

TEXTS = ["李白病逝于当涂。", "洗衣机的保修期为三年", "a", "长" * 300, ""]


@pytest.fixture(scope="module")
def embeddings(tiny_embeddings: Path) -> SentenceTransformerEmbeddings:
    loaded = load_embeddings(str(tiny_embeddings))
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    return loaded


def test_questions_get_the_vectors_that_passages_get(
    embeddings: SentenceTransformerEmbeddings,
) -> None:
    assert BertQueryEncoder.supports(embeddings.folder)
    passages = embeddings.embed_array(TEXTS)
    questions = np.array([embeddings.embed_query(text) for text in TEXTS])
    assert (passages * questions).sum(axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_vectors_are_normalized_float32(embeddings: SentenceTransformerEmbeddings) -> None:
    vectors = embeddings.embed_array(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embeddings.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_a_question_needs_no_torch(tiny_embeddings: Path) -> None:
    code = (
        "import sys; from rag_app.models.embeddings.registry import load_embeddings\n"
        f"assert len(load_embeddings({str(tiny_embeddings)!r}).embed_query('李白')) == 32\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cls_pooling_too(tiny_embeddings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cls"
    shutil.copytree(tiny_embeddings, folder)
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true,'
        ' "pooling_mode_mean_tokens": false}'
    )
    loaded = load_embeddings(str(folder))
    assert np.dot(loaded.embed_query("李白"), loaded.embed_array(["李白"])[0]) == pytest.approx(1)


def test_the_fingerprint_is_of_the_weights_and_not_of_the_place(
    tiny_embeddings: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(tiny_embeddings, copied)
    original = load_embeddings(str(tiny_embeddings)).fingerprint
    assert load_embeddings(str(copied)).fingerprint == original
    weights = copied / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    assert load_embeddings(str(copied)).fingerprint != original


def test_prefixes_come_from_the_catalog(tiny_embeddings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "multilingual-e5-small"
    shutil.copytree(tiny_embeddings, folder)
    loaded = load_embeddings(str(folder))
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    assert (loaded.query_prefix, loaded.passage_prefix) == ("query: ", "passage: ")
    assert loaded.fingerprint != load_embeddings(str(tiny_embeddings)).fingerprint


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("multilingual-e5-small", "model-prep pull multilingual-e5-small"),
        ("没有这个", "no embedding model"),
        ("nobody/nothing", "not in the local hub cache"),
    ],
)
def test_what_is_not_there_is_one_clear_error(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_embeddings(spec)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_embeddings(str(tmp_path))


def test_a_damaged_folder(tiny_embeddings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_embeddings, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged"):
        load_embeddings(str(folder)).embed_query("李白")


@pytest.mark.model
def test_the_default_model_agrees_with_itself(real_home: Path) -> None:
    loaded = load_embeddings("multilingual-e5-small")
    texts = ["李白是怎样去世的？", "How did Li Bai die?", "长文" * 600]
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    loaded.passage_prefix = loaded.query_prefix
    questions = np.array([loaded.embed_query(text) for text in texts])
    assert ((loaded.embed_array(texts) * questions).sum(axis=1) > 0.99999).all()


@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
def test_a_question_does_not_wait_for_passages(
    tiny_embeddings: Path, tmp_path: Path, hidden_act: str
) -> None:
    folder = tmp_path / hidden_act
    shutil.copytree(tiny_embeddings, folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"gelu"', f'"{hidden_act}"'))
    loaded = load_embeddings(str(folder))
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    assert BertQueryEncoder.supports(folder) is (hidden_act == "gelu")
    alone = loaded.embed_query("李白")
    begun, done = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        begun.set()
        assert done.wait(60)

    hook = loaded.model.register_forward_hook(wait)
    passages = threading.Thread(target=loaded.embed_array, args=[TEXTS])
    passages.start()
    assert begun.wait(60)
    assert loaded.embed_query("李白") == pytest.approx(alone, abs=1e-6)
    assert loaded.count_tokens(["李白", "长" * 300]) == 4 + 302
    assert passages.is_alive()
    done.set()
    passages.join()
    hook.remove()
    assert loaded.embed_array(["李白"])[0] == pytest.approx(alone, abs=1e-5)


def test_a_question_leaves_the_process_its_threads(
    embeddings: SentenceTransformerEmbeddings,
) -> None:
    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    workers = [threading.Thread(target=embeddings.embed_query, args=["李白"]) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert threads() == before


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cohere:embed", "pip install langchain-cohere"),
        ("nobody:nothing", "'nobody' is not supported"),
        ("openai:text-embedding-3-small", "OPENAI_API_KEY"),
    ],
)
def test_a_provider_that_cannot_be_used_says_why(
    spec: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match=message) as caught:
        load_embeddings(spec)
    assert "\n" not in str(caught.value)


def test_embeddings_of_a_provider_are_called_what_the_user_calls_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    loaded = load_embeddings("openai:text-embedding-3-small")
    assert loaded.name == "openai:text-embedding-3-small"


class RefusedEmbeddings(DeterministicFakeEmbedding):
    """Embeddings of a provider that refuses their key, and repeats it."""

    model: str = "small"
    api_key: SecretStr = SecretStr("sk-secret")

    def embed_query(self, text: str) -> list[float]:
        raise PermissionError("401: sk-secret\nis refused")

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


async def test_what_a_providers_embeddings_raise_is_one_line() -> None:
    embeddings = AdaptedEmbeddings(RefusedEmbeddings(size=8))
    line = r"^RefusedEmbeddings small failed \(401: \*\*\* is refused\)$"
    for embed in (
        lambda: embeddings.embed_query("李白"),
        lambda: embeddings.embed_array(["李白"]),
        lambda: embeddings.dimension,
    ):
        with pytest.raises(ModelError, match=line):
            embed()
    with pytest.raises(ModelError, match=line):
        await embeddings.aembed_query("李白")
