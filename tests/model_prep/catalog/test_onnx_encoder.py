"""ONNX graphs of encoders: which folders have one, and when it is written."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file
from typer.testing import CliRunner

from model_prep.catalog import models as catalog
from model_prep.catalog.entry import HubSource, ModelEntry
from model_prep.catalog.onnx_encoder import graph_path, supports, write_graph
from model_prep.catalog.pull import pull
from model_prep.cli import app
from tests.model_prep.catalog.hub_server import COMMIT, REPO, Hub, serve


@pytest.fixture
def folder(tiny_embeddings: Path, tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("*.onnx")
    return shutil.copytree(tiny_embeddings, tmp_path / "encoder", ignore=ignored)


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_bert_folder_has_one(folder: Path) -> None:
    assert supports(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "xlm-roberta"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
    ],
)
def test_another_architecture_has_none(folder: Path, values: dict[str, str]) -> None:
    change(folder / "config.json", **values)
    assert not supports(folder)


def test_other_layers_after_the_encoder_are_not_passed_over(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.insert(2, {**modules[2], "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    assert not supports(folder)


def test_another_pooling_has_none(folder: Path) -> None:
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    assert not supports(folder)


def test_half_precision_and_truncated_weights_have_none(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert not supports(folder)
    weights.write_bytes(whole)
    halved = {name: tensor.astype(np.float16) for name, tensor in load_file(weights).items()}
    save_file(halved, weights)
    assert not supports(folder)


def test_a_graph_is_written_once_for_each_state_of_the_weights(folder: Path) -> None:
    first = write_graph(folder, "int8")
    written = first.stat().st_mtime_ns
    assert write_graph(folder, "int8") == first
    assert first.stat().st_mtime_ns == written
    exact = write_graph(folder, "float32")
    (folder / "model.safetensors").write_bytes(
        save({name: 2 * tensor for name, tensor in load_file(folder / "model.safetensors").items()})
    )
    second = write_graph(folder, "int8")
    assert sorted(folder.glob("*.onnx")) == sorted([exact, second])
    assert second != first


def test_float32_weights_are_not_written_twice(folder: Path) -> None:
    weights = (folder / "model.safetensors").stat().st_size
    assert write_graph(folder, "float32").stat().st_size < weights / 2


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that has the encoder, called tiny-encoder in the catalog."""
    source = HubSource(REPO, COMMIT)
    entry = ModelEntry("tiny-encoder", "embedding", "MIT", "tiny", 48, 1000, (source,))
    monkeypatch.setitem(catalog.CATALOG, entry.name, entry)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    with serve(Hub(files)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield


def test_a_pulled_encoder_has_its_graph(hub: None) -> None:
    place = pull("tiny-encoder")
    assert list(place.glob("*.onnx")) == [graph_path(place, "float32")]
    graph_path(place, "float32").unlink()  # as an earlier version left it
    assert pull("tiny-encoder") == place
    assert graph_path(place, "float32").is_file()


def test_int8_on_demand(hub: None) -> None:
    done = CliRunner().invoke(app, ["pull", "tiny-encoder", "--onnx"])
    assert done.exit_code == 0, done.output
    place = pull("tiny-encoder")
    assert list(place.glob("*.onnx")) == [graph_path(place, "int8")]


def test_int8_of_a_folder(folder: Path) -> None:
    done = CliRunner().invoke(app, ["pull", str(folder), "--onnx"])
    assert done.exit_code == 0, done.output
    assert graph_path(folder, "int8").is_file()


def test_int8_of_a_folder_that_can_have_none(folder: Path) -> None:
    change(folder / "config.json", hidden_act="relu")
    done = CliRunner().invoke(app, ["pull", str(folder), "--onnx"])
    assert done.exit_code == 1
    assert "leave out --onnx" in done.stderr
    assert not list(folder.glob("*.onnx"))
