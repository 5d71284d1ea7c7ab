"""Static models, distilled from a real encoder of two layers."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import model_prep.catalog.distill as distill_module
from model_prep import distill
from model_prep.cli import app
from model_prep.errors import OutputError, PullError

NO_WORDS = 4
"""[PAD], [UNK], [CLS] and [SEP] come first in the vocabulary."""


@pytest.fixture(scope="module")
def folder(tiny_embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distill(tiny_embeddings, output_dir=tmp_path_factory.mktemp("static") / "made")


def table(folder: Path) -> np.ndarray:
    from safetensors.numpy import load_file

    tensors = load_file(folder / "model.safetensors")
    return np.asarray(tensors["embeddings"], np.float32)


@pytest.mark.slow
def test_the_folder_is_whole_and_of_safe_files(folder: Path) -> None:
    names = {path.name for path in folder.rglob("*")}
    assert names == {
        "README.md",
        "config.json",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["made"]
    assert "Licence: that of the encoder" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_components_have_one_variance_and_frequent_pieces_weigh_less(
    folder: Path, tiny_embeddings: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    ranks = 1 / np.arange(2, len(table(folder)) + 2)
    whitened = table(folder) * (1e-4 + ranks / ranks.sum())[:, None] / 1e-4
    covariance = np.cov(whitened.T, bias=True)
    varying = np.diag(covariance) > 0.5
    assert varying.sum() > 20
    assert covariance[np.ix_(varying, varying)] == pytest.approx(np.eye(varying.sum()), abs=0.02)
    # They are turned and scaled, so what the encoder finds alike by Mahalanobis stays alike.
    pieces = json.loads((tiny_embeddings / "tokenizer.json").read_text())["model"]["vocab"]
    chosen = ["李", "白", "洗", "a", "q"]
    encoder = SentenceTransformer(str(tiny_embeddings), local_files_only=True)
    alone = encoder.encode(list(pieces)[NO_WORDS : len(pieces) // 2], normalize_embeddings=True)
    rows = dict(zip(list(pieces)[NO_WORDS : len(pieces) // 2], alone, strict=True))
    space, *_ = np.linalg.lstsq(
        alone - alone.mean(0),
        np.stack([whitened[pieces[piece]] for piece in rows])
        - whitened[[pieces[p] for p in rows]].mean(0),
        rcond=None,
    )
    for piece in chosen:
        expected = (rows[piece] - alone.mean(0)) @ space
        found = whitened[pieces[piece]] - whitened[[pieces[p] for p in rows]].mean(0)
        assert found == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(
    folder: Path, tiny_embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, told = len(table(folder)), list[tuple[int, int]]()

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 40:
            raise KeyboardInterrupt

    monkeypatch.setattr(distill_module, "_BATCH", 20)
    with pytest.raises(KeyboardInterrupt):
        distill(tiny_embeddings, output_dir=tmp_path / "made", progress=stop)
    [kept] = tmp_path.iterdir()
    with kept.open("ab") as file:  # a batch that a kill cut off
        file.write(b"torn")
    distill(tiny_embeddings, output_dir=tmp_path / "made", progress=stop)
    assert told[:3] == [(20, count), (40, count), (60, count)]
    assert len(told) == -(-count // 20)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert table(tmp_path / "made") == pytest.approx(table(folder), abs=2e-3)


def test_what_is_there_is_left_alone(folder: Path, tiny_embeddings: Path) -> None:
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert distill(tiny_embeddings, output_dir=folder) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_with_something_else_is_refused(tiny_embeddings: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match="not empty"):
        distill(tiny_embeddings, output_dir=tmp_path)


def test_two_runs_at_once(folder: Path, tiny_embeddings: Path, tmp_path: Path) -> None:
    def second(done: int, total: int) -> None:
        with pytest.raises(OutputError, match="another run"):
            distill(tiny_embeddings, output_dir=tmp_path / "made")

    assert table(distill(tiny_embeddings, output_dir=tmp_path / "made", progress=second)).any()
    assert not list(tmp_path.glob("*.partial"))


def test_no_encoder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PullError, match=r"no config\.json"):
        distill(tmp_path)
    with pytest.raises(PullError, match="static model already"):
        distill(folder)


def test_the_command(
    tiny_embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_APP_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["distill", str(tiny_embeddings), "--json"])
    place = tmp_path / "models" / f"static-{tiny_embeddings.name}"
    assert json.loads(done.stdout) == {"path": str(place)}
    missing = CliRunner().invoke(app, ["distill"])
    assert missing.exit_code == 1
    assert "model-prep pull multilingual-e5-small" in missing.stderr
