"""What verify says of models that are right, wrong, consistent and broken."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from typer.testing import CliRunner

from model_prep.checkpoint.checksums import PUBLISHED, content_digest, file_digest, tensor_digest
from model_prep.checkpoint.pth_file import write_pth
from model_prep.checkpoint.reader import open_checkpoint
from model_prep.cli import app
from model_prep.errors import CheckpointError, UsageError
from model_prep.llama.convert import convert
from model_prep.verify.checks import Check
from model_prep.verify.verify import Verification, verify
from tests.model_prep.llama.meta_llama import make_meta
from tests.model_prep.tiny_qwen2 import make_qwen2
from tests.tokenizers import Tokenizers

VOCABULARY = 1000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, trained: Tokenizers) -> Path:
    """The same model as Meta's files, one and two, and in the Hugging Face format."""
    folder = tmp_path_factory.mktemp("models")
    for name, shards in (("one", 1), ("two", 2)):
        made = make_meta(folder / name, VOCABULARY, shards=shards).folder
        shutil.copy(trained.llama, made)
    convert(folder / "one", folder / "hf")
    return folder


@pytest.fixture
def model(models: Path, tmp_path: Path) -> Path:
    """A copy of the Hugging Face folder, to be changed."""
    return Path(shutil.copytree(models / "hf", tmp_path / "hf"))


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[Path]], None]:
    """Let files be those of a published model."""

    def add(name: str, files: list[Path]) -> None:
        monkeypatch.setitem(PUBLISHED, name, {file.name: file_digest(file) for file in files})

    return add


def outcomes(found: Verification) -> dict[str, str]:
    return {check.name: check.outcome for check in found.checks}


def failure(found: Verification) -> Check:
    (failed,) = [check for check in found.checks if check.outcome == "failed"]
    assert found.reason == failed.said
    assert not found.passed
    return failed


@pytest.mark.slow
def test_containers_of_the_same_tensors_have_the_same_content(models: Path, tmp_path: Path) -> None:
    import torch

    with open_checkpoint(models / "hf") as opened:
        tensors = {name: opened.read(name) for name in reversed(opened.tensors)}
        plain = content_digest({name: tensor_digest(name, one) for name, one in tensors.items()})
        torch.save(tensors, tmp_path / "pytorch_model.bin")
        torch.save(tensors, tmp_path / "any.pth")
    for path in (models / "hf", tmp_path / "pytorch_model.bin", tmp_path / "any.pth"):
        found = verify(path)
        assert found.content_sha256 == plain
        assert found.converted_sha256 is None
    one, two = verify(models / "one"), verify(models / "two")
    assert one.content_sha256 == two.content_sha256 != plain
    assert one.converted_sha256 == two.converted_sha256 == plain


def test_an_unknown_model_is_consistent(models: Path) -> None:
    found = verify(models / "hf")
    assert (found.verdict, found.passed) == ("consistent", True)
    assert outcomes(found) == dict.fromkeys(
        ("numbers", "shapes", "vocabulary", "tokenizer"), "passed"
    )
    assert {one.path.name: one.known_as for one in found.files} == {
        "model.safetensors": None,
        "tokenizer.model": None,
    }
    assert found.hint is None
    hint = verify(models / "one").hint
    assert hint is not None
    assert "though every number is right" in hint


@pytest.mark.slow
def test_a_published_model_is_right(models: Path, tmp_path: Path, publish) -> None:
    files = sorted((models / "two").glob("*.pth"))
    publish("Tiny-LLaMA", files)
    assert verify(models / "two").verdict == "right"
    assert verify(models / "two", expect="tiny-llama").reason == f"{models / 'two'} is tiny-llama"
    assert verify(files[1]).verdict == "right"
    other = verify(models / "one", expect="Tiny-LLaMA")
    assert other.verdict == "wrong"
    assert "no hash of it is that of consolidated.00.pth, consolidated.01.pth" in other.reason
    assert other.hint is not None
    mixed = Path(shutil.copytree(models / "two", tmp_path / "mixed"))
    with open_checkpoint(files[1]) as opened:
        write_pth(mixed / files[1].name, [opened.data(name) for name in reversed(opened.tensors)])
    found = verify(mixed)
    assert found.verdict == "wrong"
    assert "consolidated.00.pth: Tiny-LLaMA, consolidated.01.pth: unknown" in found.reason
    assert found.content_sha256 == verify(models / "two").content_sha256
    (mixed / files[1].name).unlink()
    assert verify(mixed).verdict == "broken"
    (mixed / "params.json").unlink()
    assert "has 1 of the 2 files of Tiny-LLaMA" in verify(mixed).reason


@pytest.mark.slow
def test_a_hash_that_is_expected(models: Path) -> None:
    content = verify(models / "hf").content_sha256
    assert content is not None
    for digest in (content, content.upper(), file_digest(models / "hf" / "model.safetensors")):
        assert verify(models / "hf", expect=digest).verdict == "right"
    assert verify(models / "one", expect=content).verdict == "right"
    assert verify(models / "hf", expect="0" * 64).verdict == "wrong"
    with pytest.raises(
        UsageError, match=r"'LLaMA-8B' is neither a SHA256 nor .* LLaMA-7B, LLaMA-13B"
    ):
        verify(models / "hf", expect="LLaMA-8B")


@pytest.mark.slow
def test_real_tokenizers(published: Tokenizers) -> None:
    found = verify(published.llama)
    assert (found.verdict, found.reason.split()[-1]) == ("right", "LLaMA-tokenizer")
    assert verify(found.path, expect="llama-tokenizer").verdict == "right"
    assert verify(found.path, expect="Chinese-Alpaca-tokenizer").verdict == "wrong"


def change(folder: Path, name: str, value: float | None) -> None:
    """Change one number of a tensor, or with None leave the tensor out."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    if value is None:
        del tensors[name]
    else:
        tensors[name][-1] = value
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none(model: Path, value: float) -> None:
    change(model, "model.norm.weight", value)
    found = verify(model)
    assert found.verdict == "broken"
    assert failure(found).said.startswith("model.norm.weight hold NaN or infinity")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_hidden_layers": 3}, "lack model.layers.2.input_layernorm.weight, "),
        ({"intermediate_size": 7}, "is (96, 32) where config.json calls for (7, 32)"),
        ({"hidden_size": None}, "lacks or misstates a size ('hidden_size')"),
        ({"vocab_size": 999}, "says vocab_size 999, and model.embed_tokens.weight has 1,000 rows"),
    ],
)
def test_shapes_that_do_not_fit(model: Path, changes: dict[str, object], said: str) -> None:
    config = json.loads((model / "config.json").read_text()) | changes
    (model / "config.json").write_text(
        json.dumps({name: value for name, value in config.items() if value is not None})
    )
    found = verify(model)
    assert found.verdict == "broken"
    assert said in found.reason


def test_a_tensor_that_is_missing(model: Path) -> None:
    change(model, "model.norm.weight", None)
    assert "lack model.norm.weight, which its config.json calls for" in failure(verify(model)).said


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.model"])
def test_a_file_that_was_cut_short(model: Path, name: str) -> None:
    data = (model / name).read_bytes()
    (model / name).write_bytes(data[: len(data) // 2])
    found = verify(model)
    assert found.verdict == "broken"
    assert name in found.reason


def test_a_shard_that_is_missing(models: Path, tmp_path: Path) -> None:
    convert(models / "one", tmp_path / "hf", max_shard_size=150_000)
    assert verify(tmp_path / "hf").content_sha256 == verify(models / "hf").content_sha256
    (tmp_path / "hf" / "model-00001-of-00002.safetensors").unlink()
    found = verify(tmp_path / "hf")
    assert found.verdict == "broken"
    assert "not beside it (model-00001-of-00002.safetensors)" in found.reason


def test_the_manifest_of_a_merge(model: Path) -> None:
    with open_checkpoint(model) as opened:
        noted = {
            name: {"sha256": tensor_digest(name, opened.read(name))} for name in opened.tensors
        }
    (model / "merge.json").write_text(json.dumps({"format": 1, "tensors": noted}))
    found = verify(model)
    assert found.passed
    assert outcomes(found)["manifest"] == "passed"
    change(model, "model.norm.weight", 0.5)
    found = verify(model)
    assert found.verdict == "wrong"
    assert failure(found).said.startswith("model.norm.weight are not what merge.json says")
    (model / "merge.json").write_text("{}")
    assert "merge.json is damaged" in failure(verify(model)).said


def test_a_tokenizer_of_another_model(model: Path) -> None:
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["added_tokens_decoder"] = {"1000": {"content": "[PAD]", "special": True}}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    found = verify(model)
    assert found.verdict == "broken"
    assert "the tokenizer has 1,001 ids and the model 1,000" in found.reason


def test_a_tokenizer_json(tmp_path: Path) -> None:
    folder = make_qwen2(tmp_path / "qwen2", ["唐代诗人 the quick brown fox"] * 9)
    assert outcomes(verify(folder))["vocabulary"] == "passed"
    file = folder / "tokenizer.json"
    content = json.loads(file.read_bytes())
    content["model"]["vocab"]["more"] = 5000
    file.write_text(json.dumps(content))
    assert "the tokenizer has 5,001 ids and the model" in failure(verify(folder)).said
    file.write_text("version https://git-lfs.github.com/spec/v1")
    assert f"{file} is not a tokenizer" in failure(verify(folder)).said
    file.unlink()
    assert outcomes(verify(folder))["tokenizer"] == "warning"


def test_an_inexact_tokenizer_is_reported(model: Path) -> None:
    """What transformers itself makes of the file alone."""
    for file in [*model.glob("tokenizer_config.json"), *model.glob("*.py")]:
        file.unlink()
    found = verify(model)
    (check,) = [check for check in found.checks if check.name == "tokenizer"]
    assert check.outcome == "warning"
    assert found.verdict == "consistent"


def test_adapters(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    (tmp_path / "adapter_config.json").write_text("{}")
    file = tmp_path / "adapter_model.safetensors"
    stem = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    pair = {f"{stem}A.weight": torch.ones(2, 8), f"{stem}B.weight": torch.ones(8, 2)}
    save_file(pair, file)
    assert outcomes(verify(tmp_path)) == {"numbers": "passed", "shapes": "passed"}
    save_file({**pair, f"{stem}B.weight": torch.ones(8, 3)}, file)
    assert "no lora_B of the same rank" in failure(verify(tmp_path)).said
    save_file({"other": torch.ones(3)}, file)
    assert "no lora_A in the adapter" in failure(verify(tmp_path)).said


def test_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no "):
        verify(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="holds no weights and no tokenizer"):
        verify(tmp_path)


def test_files_of_other_kinds_are_known_by_their_hash_only(tmp_path: Path) -> None:
    for name in ("model.gguf", "model.onnx"):
        file = tmp_path / name
        file.write_bytes(b"GGUF")
        found = verify(file)
        assert found.verdict == "broken"
        said = "is truncated" if name == "model.gguf" else "can't be checked beyond its hash"
        assert said in found.reason
        assert verify(file, expect=file_digest(file)).verdict == "right"


def test_a_part_of_a_split_file_says_which_it_is(tmp_path: Path) -> None:
    parts = [tmp_path / f"a-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, part in enumerate(parts):
        writer = GGUFWriter(part, "llama")
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        writer.add_tensor(f"{number}", np.zeros(32, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    assert "part 2 of 2" in verify(parts[1]).checks[0].said
    assert outcomes(verify(tmp_path)) == {"file": "passed"}
    parts[0].unlink()
    (check,) = verify(parts[1]).checks
    assert check.outcome == "warning"
    assert parts[0].name in check.said


@pytest.mark.parametrize(("kind", "outcome"), [("adapter", "warning"), ("model", "passed")])
def test_a_lora_in_gguf_is_told_from_a_model(tmp_path: Path, kind: str, outcome: str) -> None:
    writer = GGUFWriter(tmp_path / "lora.gguf", "llama")
    writer.add_type(kind)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (check,) = verify(tmp_path / "lora.gguf").checks
    assert check.outcome == outcome
    assert ("is a LoRA, not a model" in check.said) is (kind == "adapter")


def test_the_command(models: Path, model: Path) -> None:
    def run(*arguments: str):
        return CliRunner().invoke(app, ["verify", *arguments])

    good = run(str(models / "hf"))
    assert good.exit_code == 0
    lines = good.stdout.splitlines()
    assert lines[-1].startswith("unknown but consistent: no file is in the table")
    assert "hashing files of" in good.stderr
    wrong = run(str(model), "--expect", "LLaMA-7B", "--json")
    assert wrong.exit_code == 1
    said = json.loads(wrong.stdout)
    assert (said["verdict"], said["passed"]) == ("wrong", False)
    assert said["files"][0]["path"] == str(model / "model.safetensors")
    missing = run(str(models / "nothing"))
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith("model-prep: there is no ")
