"""Results pushed to a hub on this machine by the hub's own client, and pulled from it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import model_prep
from model_prep.cli import app
from model_prep.errors import PullError, PushError, UsageError
from tests.model_prep.catalog.hub_server import REPO
from tests.model_prep.catalog.writable_hub import TOKEN, WritableHub, serve_writable
from tests.model_prep.family import Family

# The hub's client sends bytes by an argument that its own library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableHub]:
    import huggingface_hub.constants

    # Its own protocol for large files is that of one server; git LFS is what others speak too.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with serve_writable() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "config.json": b"{}",
        "model-00001-of-00002.safetensors": bytes(1000),
        "model-00002-of-00002.safetensors": os.urandom(1000),
        "checkpoint-2/optimizer.pt": b"no",
        "best/adapter_config.json": b"no",
        ".cache/x": b"no",
    }
    for name, data in files.items():
        (tmp_path / "my-model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "my-model" / name).write_bytes(data)
    return tmp_path / "my-model"


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_what_is_pushed_is_pulled(hub: WritableHub, folder: Path, tmp_path: Path) -> None:
    assert model_prep.push_to_hub(folder, REPO) == f"{hub.url}/{REPO}"
    (made,) = hub.created
    assert made.get("private") or made.get("visibility") == "private"
    for name in ("checkpoint-2", "best", ".cache"):
        shutil.rmtree(folder / name)
    assert hub.files == content(folder)
    pulled = model_prep.pull_repository(f"{REPO}@main", tmp_path / "pulled")
    assert pulled == tmp_path / "pulled" / REPO.partition("/")[2]
    assert content(pulled) == hub.files
    with pytest.raises(PullError, match="is not empty"):
        model_prep.pull_repository(REPO, tmp_path / "pulled")


def test_pickles_are_left_where_safetensors_are(hub: WritableHub, tmp_path: Path) -> None:
    hub.files = {"adapter_config.json": b"{}", "adapter_model.bin": b"x", ".gitattributes": b""}
    adapter = model_prep.pull_repository(REPO, tmp_path / "old")
    assert set(content(adapter)) == {"adapter_config.json", "adapter_model.bin"}
    hub.files["adapter_model.safetensors"] = b"x"
    adapter = model_prep.pull_repository(REPO, tmp_path / "new")
    assert set(content(adapter)) == {"adapter_config.json", "adapter_model.safetensors"}


@pytest.mark.slow
def test_merge_pushes_and_pull_fetches(hub: WritableHub, family: Family, tmp_path: Path) -> None:
    arguments = ["--base-model", family.base, "--lora-model", family.chinese]
    merged, pulled = tmp_path / "merged", tmp_path / "pulled"
    run = CliRunner().invoke
    done = run(app, ["merge", *map(str, [*arguments, "--output-dir", merged]), "--dry-run"])
    assert (done.exit_code, hub.asked) == (0, [])
    push = ["--push-to-hub", REPO]
    done = run(app, ["merge", *map(str, [*arguments, "--output-dir", merged]), *push])
    assert done.exit_code == 0, done.output
    assert f"{merged} pushed: {hub.url}/{REPO}" in done.stderr
    done = run(app, ["pull", REPO, "--hub", "--dir", str(pulled)])
    assert done.exit_code == 0, done.output
    assert content(pulled / "tiny-bert") == content(merged)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_training_pushes_the_adapter(hub: WritableHub, family: Family, tmp_path: Path) -> None:
    data, out = tmp_path / "data.jsonl", tmp_path / "out"
    data.write_text('{"instruction": "李白是谁？", "output": "唐代诗人。"}\n', encoding="utf-8")
    options: dict[str, Any] = {
        "model": family.base, "data": data, "output_dir": out, "lora_rank": 2, "lora_alpha": 2,
        "target_modules": "q_proj", "max_steps": 2, "save_steps": 1, "push_to_hub": REPO,
    }  # fmt: skip
    model_prep.sft(**options)
    assert (
        hub.files["adapter_model.safetensors"] == (out / "adapter_model.safetensors").read_bytes()
    )
    assert {"adapter_config.json", "tokenizer.model"} <= set(hub.files)
    assert not any("checkpoint" in name for name in hub.files)
    hub.files.clear()
    model_prep.sft(**options)  # finished: nothing is trained, and what failed to go is pushed
    assert "adapter_model.safetensors" in hub.files


@pytest.mark.parametrize("token", [None, "hf_another"])
def test_without_a_right_token_nothing_is_begun(
    hub: WritableHub,
    family: Family,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    out = tmp_path / "merged"
    arguments = ["--base-model", family.base, "--lora-model", family.chinese, "--output-dir", out]
    done = CliRunner().invoke(app, ["merge", *map(str, arguments), "--push-to-hub", REPO])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert f"{REPO} can't be pushed to {hub.url}" in line
    assert ("not valid" if token else "HF_TOKEN") in line
    assert not out.exists()


def test_a_hub_that_is_not_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(PushError, match="can't be reached"):
        model_prep.push_to_hub(folder, REPO)
    with pytest.raises(PullError, match="can't be reached"):
        model_prep.pull_repository(REPO, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists() or not any((tmp_path / "pulled").iterdir())


def test_names_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PushError, match="--push-to-hub takes"):
        model_prep.push_to_hub(folder, "my-model")
    with pytest.raises(UsageError, match="--hub takes"):
        model_prep.pull_repository("my-model", tmp_path)
    with pytest.raises(PushError, match="does not exist"):
        model_prep.push_to_hub(tmp_path / "nothing", REPO)
