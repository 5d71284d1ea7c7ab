"""Embedding models: a real folder, and the light path for questions."""

import errno
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from pydantic import SecretStr

from rag_app.errors import ModelError
from rag_app.models.embeddings.base import AdaptedEmbeddings
from rag_app.models.embeddings.sentence_transformers import SentenceTransformerEmbeddings
from rag_app.models.registry import load_embeddings

TEXTS = ["李白病逝于当涂。", "洗衣机的保修期为三年", "a", "长" * 300, ""]


@pytest.fixture(scope="module")
def embeddings(tiny_embeddings: Path) -> SentenceTransformerEmbeddings:
    loaded = load_embeddings(tiny_embeddings)
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    return loaded


@pytest.mark.slow
def test_passages_and_questions_get_the_vectors_of_sentence_transformers(
    embeddings: SentenceTransformerEmbeddings,
) -> None:
    expected = embeddings.model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(embeddings.embed_array(TEXTS), expected, atol=1e-5)
    questions = np.array([embeddings.embed_query(text) for text in TEXTS])
    np.testing.assert_allclose(questions, expected, atol=1e-5)


def test_vectors_are_normalized_float32(embeddings: SentenceTransformerEmbeddings) -> None:
    vectors = embeddings.embed_array(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embeddings.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


@pytest.mark.slow
def test_questions_and_passages_need_no_torch(tiny_embeddings: Path) -> None:
    code = (
        "import sys; from rag_app.models.registry import load_embeddings\n"
        f"loaded = load_embeddings({str(tiny_embeddings)!r})\n"
        "assert len(loaded.embed_query('李白')) == 32\n"
        "assert loaded.embed_array(['李白', '杜甫']).shape == (2, 32)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_cls_pooling_too(tiny_embeddings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cls"
    shutil.copytree(tiny_embeddings, folder)
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true,'
        ' "pooling_mode_mean_tokens": false}'
    )
    loaded = load_embeddings(str(folder))
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    expected = loaded.model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(loaded.embed_array(TEXTS), expected, atol=1e-5)


@pytest.fixture
def copied(tiny_embeddings: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, without graphs."""
    ignored = shutil.ignore_patterns("*.onnx")
    return shutil.copytree(tiny_embeddings, tmp_path / "copied", ignore=ignored)


def test_int8_is_the_same_space(copied: Path) -> None:
    exact = load_embeddings(str(copied), dtype="float32")
    quick = load_embeddings(str(copied), dtype="int8")
    cosines = (exact.embed_array(TEXTS) * quick.embed_array(TEXTS)).sum(axis=1)
    assert (cosines > 0.99).all()
    assert not np.array_equal(exact.embed_array(TEXTS), quick.embed_array(TEXTS))
    assert quick.fingerprint == exact.fingerprint
    # Once it is there, it is used.
    assert load_embeddings(str(copied)).embed_query("李白") == quick.embed_query("李白")


def test_a_vector_does_not_depend_on_what_is_embedded_beside_it(copied: Path) -> None:
    quick = load_embeddings(str(copied), dtype="int8", threads=4)
    alone = [quick.embed_query(text) for text in TEXTS]
    np.testing.assert_array_equal(quick.embed_array(TEXTS * 8), np.array(alone * 8, np.float32))


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
def test_the_default_model_in_int8_is_near_to_sentence_transformers(real_home: Path) -> None:
    loaded = load_embeddings("multilingual-e5-small")
    exact = load_embeddings("multilingual-e5-small", dtype="float32")
    assert isinstance(loaded, SentenceTransformerEmbeddings)
    texts = ["李白是怎样去世的？", "How did Li Bai die?", "长文" * 600]
    prefixed = [loaded.passage_prefix + text for text in texts]
    reference = loaded.model.encode(prefixed, normalize_embeddings=True)
    assert ((exact.embed_array(texts) * reference).sum(axis=1) > 0.99999).all()
    assert ((loaded.embed_array(texts) * reference).sum(axis=1) > 0.99).all()


@pytest.mark.slow
def test_a_question_does_not_wait_for_passages_of_sentence_transformers(
    tiny_embeddings: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "relu"
    shutil.copytree(tiny_embeddings, folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"gelu"', '"relu"'))
    loaded = load_embeddings(str(folder))
    assert isinstance(loaded, SentenceTransformerEmbeddings)
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


def graphs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.onnx"))


def test_a_graph_is_kept_and_made_again_for_other_weights(copied: Path) -> None:
    before = load_embeddings(str(copied)).embed_query("李白")
    (first,) = graphs(copied)
    (copied / first).write_bytes(b"damaged")
    assert load_embeddings(str(copied)).embed_query("李白") == before
    assert graphs(copied) == [first]
    assert (copied / first).stat().st_size > 1000
    weights = copied / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-10_000:] = bytes(10_000)
    weights.write_bytes(data)
    after = load_embeddings(str(copied)).embed_query("李白")
    (second,) = graphs(copied)
    assert second != first
    assert after != pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Exception during initialization: std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=["of ONNX Runtime", "of the system"],
)
def test_a_lack_of_memory_is_no_damage(
    error: Exception, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_embeddings(str(copied)).embed_query("李白")
    files = sorted(copied.iterdir())

    def exhausted(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("onnxruntime.InferenceSession", exhausted)
    with pytest.raises(ModelError, match="finds no memory"):
        load_embeddings(str(copied)).embed_query("李白")
    assert sorted(copied.iterdir()) == files  # the graph is kept


def test_a_graph_that_cannot_be_kept_is_made_at_each_start(
    tiny_embeddings: Path,
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.parent == copied:
            raise PermissionError(13, "Permission denied")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    expected = load_embeddings(str(tiny_embeddings)).embed_query("李白")
    assert load_embeddings(str(copied)).embed_query("李白") == expected
    assert "Permission denied" in caplog.text
    assert graphs(copied) == []


def test_a_folder_of_links_as_in_the_hub_cache(
    tiny_embeddings: Path, copied: Path, tmp_path: Path
) -> None:
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for file in [path for path in copied.iterdir() if path.is_file()]:
        blob = file.rename(blobs / f"blob of {file.name}")
        file.symlink_to(blob)
    expected = load_embeddings(str(tiny_embeddings)).embed_query("李白")
    assert load_embeddings(str(copied)).embed_query("李白") == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cohere:embed", "pip install langchain-cohere"),
        ("ollama:bge-m3", "pip install langchain-ollama"),
        ("nobody:model", "ollama"),
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


class AnyEmbeddings(Embeddings):
    """Embeddings that return whatever they are told to, for each text or for all."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def embed_documents(self, texts: list[str]) -> Any:
        return self.rows

    def embed_query(self, text: str) -> Any:
        return self.rows[0]


@pytest.mark.parametrize(
    "rows",
    [
        np.full((2, 3), 2, np.float16),
        [np.full(3, 2.0), np.full(3, 2.0)],
        [[2, 2, 2], [2, 2, 2]],
        ((2.0,) * 3,) * 2,
    ],
    ids=["an array", "arrays", "whole numbers", "tuples"],
)
def test_vectors_of_any_type_are_taken(rows: Any) -> None:
    embeddings = AdaptedEmbeddings(AnyEmbeddings(rows))
    assert embeddings.dimension == 3
    assert embeddings.embed_array(["a", "b"]) == pytest.approx(np.full((2, 3), 3**-0.5))
    assert embeddings.embed_array([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0]], r"shape \(1, 2\) for 2 texts"),
        ([[1.0], [1.0, 2.0]], "vectors of one length"),
        ([[], []], r"shape \(2, 0\)"),
        ([[[1.0]], [[1.0]]], r"shape \(2, 1, 1\)"),
        (["a", "b"], "no numbers"),
        ([None, None], r"shape \(2,\)"),
        ([[float("nan")], [1.0]], "finite"),
    ],
)
def test_what_are_no_vectors_is_said(rows: Any, said: str) -> None:
    embeddings = AdaptedEmbeddings(AnyEmbeddings(rows))
    with pytest.raises(ModelError, match=said):
        embeddings.embed_array(["a", "b"])


@pytest.mark.parametrize("row", [[], None, "a", [[1.0]], [float("inf")]])
async def test_what_is_no_vector_of_a_question_is_said(row: Any) -> None:
    embeddings = AdaptedEmbeddings(AnyEmbeddings([row]))
    with pytest.raises(ModelError, match="embedding model AnyEmbeddings returned"):
        embeddings.embed_query("a")
    with pytest.raises(ModelError, match="embedding model AnyEmbeddings returned"):
        await embeddings.aembed_query("a")
