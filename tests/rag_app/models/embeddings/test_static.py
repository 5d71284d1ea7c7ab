"""Static models as embeddings: the vectors of Model2Vec, without what it loads."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel
from model2vec.model import quantize_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from model_prep import distill
from rag_app import RagApp
from rag_app.errors import EmbeddingMismatchError, ModelError
from rag_app.models.registry import load_embeddings

TEXTS = ["李白病逝于当涂。", "洗衣机的保修期为三年", "白 machine", "长" * 900, "李" * 600]


@pytest.fixture(scope="module")
def folder(tiny_embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distill(tiny_embeddings, output_dir=tmp_path_factory.mktemp("static") / "made")


def reference(folder: Path) -> np.ndarray:
    model = StaticModel.from_pretrained(folder, force_download=False)
    return np.asarray(model.encode(TEXTS, normalize=True), np.float32)


def unigram(folder: Path) -> Path:
    """Write a model whose tokenizer is one of unigrams, with special tokens."""
    pieces = [
        ("<unk>", 0.0),
        ("<s>", 0.0),
        ("李白", -3.0),
        ("李", -4.0),
        ("白", -4.5),
        ("。", -2.0),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, 0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>"])
    vectors = np.random.default_rng(0).standard_normal((len(pieces), 8)).astype(np.float32)
    StaticModel(vectors, tokenizer, {"model_type": "model2vec"}, True).save_pretrained(folder)
    return folder


def test_vectors_are_those_of_model2vec(folder: Path) -> None:
    model = load_embeddings(str(folder))
    vectors = model.embed_array(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), model.dimension)
    np.testing.assert_allclose(vectors, reference(folder), atol=2e-3)
    np.testing.assert_allclose(model.embed_query(TEXTS[0]), vectors[0])


def test_models_with_fewer_rows_than_pieces_and_with_unigrams(folder: Path, tmp_path: Path) -> None:
    whole = StaticModel.from_pretrained(folder, force_download=False)
    quantize_model(whole, vocabulary_quantization=16).save_pretrained(tmp_path / "quantized")
    for made in (tmp_path / "quantized", unigram(tmp_path / "unigram")):
        found = load_embeddings(str(made)).embed_array(TEXTS)
        np.testing.assert_allclose(found, reference(made), atol=2e-3)


def test_a_text_without_known_pieces_is_finite(folder: Path) -> None:
    vectors = load_embeddings(str(folder)).embed_array(["", "🐉"])
    assert not vectors.any()


@pytest.mark.slow
def test_it_needs_neither_torch_nor_model2vec(folder: Path) -> None:
    code = (
        "import sys; from rag_app.models.registry import load_embeddings\n"
        f"assert load_embeddings({str(folder)!r}).embed_array(['李白', '杜甫']).any()\n"
        "heavy = {'torch', 'transformers', 'model2vec', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_made_at_home_and_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_APP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "static").mkdir()  # of a web site, say
    with pytest.raises(ModelError, match="model-prep distill"):
        load_embeddings("static")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "static").symlink_to(folder)
    named, by_path = load_embeddings("static"), load_embeddings(str(folder))
    assert named.name == "static"
    assert named.fingerprint == by_path.fingerprint


def test_an_index_keeps_its_identity(folder: Path, tiny_embeddings: Path, tmp_path: Path) -> None:
    file = tmp_path / "李白.txt"
    file.write_text("李白病逝于当涂。", encoding="utf-8")
    index = str(tmp_path / "index")
    with RagApp(index=index, embedding=str(folder)) as app:
        app.index([file])
        assert app.retrieve("李白", retriever="dense")
    with RagApp(index=index) as app:  # the index names its model
        assert app.embeddings.name == str(folder)
        assert app.retrieve("李白", retriever="dense")
    with RagApp(index=index, embedding=str(tiny_embeddings)) as app:
        with pytest.raises(EmbeddingMismatchError):
            app.retrieve("李白")
        assert app.reembed() == 1
        assert app.retrieve("李白", retriever="dense")


def test_a_damaged_folder_is_named(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text(json.dumps({"model_type": "model2vec"}), encoding="utf-8")
    with pytest.raises(ModelError, match="damaged or not a static model"):
        load_embeddings(str(broken))
    (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (broken / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="damaged or not a static model"):
        load_embeddings(str(broken)).embed_query("李白")
