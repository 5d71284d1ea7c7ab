"""The hub's own client against a hub on this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from model_prep.catalog import models as catalog
from model_prep.catalog.entry import HubSource, ModelEntry, WheelSource
from model_prep.catalog.pull import is_pulled, model_path, models_folder, pull
from model_prep.errors import ChecksumError, DiskSpaceError, PullError, UnreachableError
from tests.model_prep.catalog.hub_server import COMMIT, REPO, Hub, serve
from tests.model_prep.catalog.packages import sha256, tiny_source
from tests.model_prep.conftest import Downloads

NAME = "tiny-bert"
WEIGHTS = {"embeddings.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
CONFIG = json.dumps({"model_type": "bert", "hidden_size": 3}).encode()
NEEDED = {"config.json": CONFIG, "tokenizer.json": b"{}", "vocab.txt": "李\n".encode()}


def enter(monkeypatch: pytest.MonkeyPatch, *sources: HubSource | WheelSource) -> None:
    entry = ModelEntry(NAME, "embedding", "MIT", "tiny", 64, 1000, sources or (source(),))
    monkeypatch.setitem(catalog.CATALOG, NAME, entry)


def source(**changes: str | None) -> HubSource:
    return HubSource(**{"repo": REPO, "revision": COMMIT, **changes})  # type: ignore[arg-type]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    enter(monkeypatch)
    with serve(Hub({**NEEDED, "model.safetensors": save(WEIGHTS)})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


SENTENCE_FILES = {
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
}


def test_only_what_is_needed_is_fetched(hub: Hub) -> None:
    hub.files |= {
        "README.md": b"#",
        "pytorch_model.bin": b"pickle",
        "onnx/model.onnx": b"x",
        "onnx/config.json": b"{}",
        "openvino/tokenizer.json": b"{}",
        "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
        "modules.json": b"[]",
    }
    folder = pull(NAME)
    assert folder == models_folder() / NAME
    expected = {*NEEDED, "model.safetensors", "1_Pooling/config.json", "modules.json"}
    assert files_of(folder) == expected
    assert (folder / "modules.json").read_bytes() == b"[]"
    assert not any("pytorch_model" in path or "onnx" in path for path in hub.asked)
    assert not (models_folder() / f".{NAME}.partial").exists()


def test_a_plain_encoder_becomes_a_sentence_model(hub: Hub) -> None:
    folder = pull(NAME)
    assert files_of(folder) == {*NEEDED, "model.safetensors", *SENTENCE_FILES}
    limits = json.loads((folder / "sentence_bert_config.json").read_text())
    assert limits["max_seq_length"] == 64


def test_a_second_pull_asks_nothing(hub: Hub) -> None:
    pull(NAME)
    hub.asked.clear()
    assert pull(NAME) == model_path(NAME)
    assert hub.asked == []


def test_pickled_weights_become_safetensors(hub: Hub, tmp_path: Path) -> None:
    import torch

    state = {"embeddings.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3)}
    torch.save(state, tmp_path / "weights")
    del hub.files["model.safetensors"]
    hub.files["pytorch_model.bin"] = (tmp_path / "weights").read_bytes()
    folder = pull(NAME)
    assert files_of(folder) == {*NEEDED, "model.safetensors", *SENTENCE_FILES}
    loaded = load_file(folder / "model.safetensors")
    np.testing.assert_array_equal(loaded["embeddings.weight"], WEIGHTS["embeddings.weight"])


def test_pickled_code_is_never_run(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    # A pickle that would make a file: opcodes for os.mkdir(path), written by hand.
    target = tmp_path / "ran"
    hub.files["pytorch_model.bin"] = b"cos\nmkdir\n(V" + str(target).encode() + b"\ntR."
    with pytest.raises(ChecksumError, match="holds more than tensors, so it was not used"):
        pull(NAME)
    assert not target.exists()
    assert not is_pulled(NAME)


@pytest.mark.parametrize("wrong", ["same length", "shorter"])
def test_a_file_that_is_not_what_the_hub_lists(hub: Hub, wrong: str) -> None:
    right = dict(hub.files)
    hub.listed = right
    sent = bytearray(right["model.safetensors"])
    sent[-1] ^= 1
    hub.files["model.safetensors"] = bytes(sent if wrong == "same length" else sent[:-1])
    with pytest.raises((ChecksumError, PullError), match=r"model.safetensors|Consistency"):
        pull(NAME)
    assert not is_pulled(NAME)
    hub.files = right
    hub.listed = None
    assert (pull(NAME) / "model.safetensors").read_bytes() == right["model.safetensors"]


def test_a_hash_of_the_catalog_outranks_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, source(sha256="0" * 64))
    with pytest.raises(ChecksumError, match=f"model.safetensors is not the file that {'0' * 64}"):
        pull(NAME)
    assert not is_pulled(NAME)


def test_one_file_is_enough_where_the_catalog_names_one(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files["tiny.gguf"] = b"GGUF"
    only = source(file="tiny.gguf", sha256=sha256(b"GGUF"))
    entry = ModelEntry(NAME, "llm", "MIT", "tiny", 64, 4, (only,), file="tiny.gguf")
    monkeypatch.setitem(catalog.CATALOG, NAME, entry)
    assert pull(NAME).read_bytes() == b"GGUF"
    assert files_of(models_folder() / NAME) == {"tiny.gguf"}


def test_a_repository_without_weights(hub: Hub) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(PullError, match=rf"{REPO} can't be .* \(it holds no model.safetensors\)"):
        pull(NAME)


def test_names_that_lead_outside_are_not_fetched(hub: Hub) -> None:
    hub.files |= {"../../evil.json": b"{}", "/tmp/evil.json": b"{}", "..\\evil.json": b"{}"}
    folder = pull(NAME)
    assert "evil" not in " ".join(files_of(models_folder()))
    assert files_of(folder) == {*NEEDED, "model.safetensors", *SENTENCE_FILES}


def test_a_commit_that_is_not_there(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, source(revision="f" * 40))
    with pytest.raises(PullError, match=f"{REPO} can't be downloaded from {hub.url}"):
        pull(NAME)


def test_no_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: closed
    with pytest.raises(UnreachableError, match=r"can't be reached\); check the network, set HF_EN"):
        pull(NAME)


def test_what_was_fetched_is_kept_for_the_next_attempt(hub: Hub) -> None:
    whole = hub.files.pop("vocab.txt")
    hub.listed = {**hub.files, "vocab.txt": whole}
    with pytest.raises((PullError, ChecksumError)):
        pull(NAME)
    hub.files["vocab.txt"] = whole
    hub.asked.clear()
    pull(NAME)
    assert f"/{REPO}/resolve/{COMMIT}/model.safetensors" not in hub.asked


def test_a_full_disk_is_seen_before_the_work(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(DiskSpaceError, match="free some space"):
        pull(NAME)
    assert not any("resolve" in path for path in hub.asked)


def test_the_next_source_is_tried(
    hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, tiny_source(), source())
    next(downloads.folder.glob("tiny_part0*")).write_bytes(b"no zip")
    assert (pull(NAME) / "model.safetensors").is_file()
    assert downloads == ["tiny-part0"]


def test_all_sources_fail_in_one_line(
    hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, tiny_source(), source())
    next(downloads.folder.glob("tiny_part0*")).write_bytes(b"no zip")
    hub.files.clear()
    with pytest.raises(PullError, match=r"does not hold tiny_part0.*; or else org/tiny-bert can't"):
        pull(NAME)


def test_a_truncated_folder_is_noticed(hub: Hub) -> None:
    weights = pull(NAME) / "model.safetensors"
    (models_folder() / f".{NAME}.json").unlink()
    assert is_pulled(NAME)  # as if copied by hand
    weights.write_bytes(weights.read_bytes()[:-1])
    assert not is_pulled(NAME)
