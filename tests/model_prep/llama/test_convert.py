"""Meta's format to Hugging Face's and back: the same model, bit for bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from model_prep.checkpoint.reader import open_checkpoint
from model_prep.cli import app
from model_prep.errors import (
    CheckpointError,
    DiskSpaceError,
    OutputError,
    TokenizerError,
    UsageError,
)
from model_prep.llama.convert import convert
from model_prep.tokenizer.loading import load_tokenizer
from tests.memory import KNOWN, resident_bytes
from tests.model_prep.llama import meta_llama
from tests.model_prep.llama.meta_llama import HEADS, logits, make_meta
from tests.tokenizers import Tokenizers

VOCABULARY = 1003


def weights(folder: Path):
    """Every tensor of each Meta file in ``folder``."""
    import torch

    return [torch.load(file, weights_only=True) for file in sorted(folder.glob("*.pth"))]


@pytest.fixture(scope="module")
def tokenizer(trained: Tokenizers) -> Path:
    return trained.llama


@pytest.mark.parametrize(("shards", "key_heads"), [(1, HEADS), (2, HEADS), (4, HEADS), (2, 2)])
def test_transformers_gives_the_logits_of_metas_model(
    tmp_path: Path, tokenizer: Path, shards: int, key_heads: int
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from_pretrained: Callable[..., Any] = AutoModelForCausalLM.from_pretrained
    original = make_meta(tmp_path / "in", VOCABULARY, shards=shards, key_heads=key_heads)
    shutil.copy(tokenizer, original.folder / "tokenizer.model")
    done = convert(original.folder, tmp_path / "hf", max_shard_size=100_000)
    assert len(done.files) > 1
    loaded, info = from_pretrained(done.output_dir, dtype=torch.float64, output_loading_info=True)
    assert not any(info.values())
    ids = [1, 5, 77, 1002, 0, 5]
    with torch.no_grad():
        found = loaded(torch.tensor([ids])).logits[0]
    wanted = logits(original.tensors, ids)
    # transformers computes the angles in float32
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert found.std() > 0.1


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    shards=st.sampled_from([1, 2, 4]),
    back=st.sampled_from([1, 2, 4]),
    vocabulary=st.integers(1000, 1004),
    dtype=st.sampled_from(["float16", "bfloat16", "float32"]),
    size=st.sampled_from([50_000, 100_000, 10**9]),
)
def test_there_and_back_is_bit_exact(
    tmp_path_factory, tokenizer: Path, shards, back, vocabulary, dtype, size
) -> None:
    import torch

    folder = tmp_path_factory.mktemp("round")
    original = make_meta(folder / "in" / "7B", vocabulary, shards=shards, dtype=dtype)
    shutil.copy(tokenizer, folder / "in" / "tokenizer.model")
    convert(folder / "in", folder / "hf", max_shard_size=size)
    convert(folder / "hf", folder / "meta", to="meta", shards=back)
    assert (folder / "meta" / "params.json").read_bytes() == json_like(original.folder)
    shutil.copytree(original.folder, folder / "same")
    convert(folder / "meta", folder / "again", max_shard_size=size)
    with open_checkpoint(folder / "hf") as first, open_checkpoint(folder / "again") as second:
        assert first.tensors == second.tensors
        assert all(torch.equal(first.read(one), second.read(one)) for one in first.tensors)
    if shards == back:
        for before, after in zip(weights(folder / "same"), weights(folder / "meta"), strict=True):
            before.pop("rope.freqs")
            assert list(before) == list(after)
            assert all(torch.equal(before[name], after[name]) for name in before)
            assert all(before[name].dtype == after[name].dtype for name in before)


def json_like(folder: Path) -> bytes:
    return (json.dumps(json.loads((folder / "params.json").read_text()), indent=1) + "\n").encode()


def test_the_folder_is_complete(tmp_path: Path, tokenizer: Path) -> None:
    folder = make_meta(tmp_path / "in" / "7B", VOCABULARY).folder
    shutil.copy(tokenizer, tmp_path / "in" / "tokenizer.model")
    done = convert(tmp_path / "in", tmp_path / "out" / "模型")
    assert done.files == [done.output_dir / "model.safetensors"]
    assert done.input_dir == folder
    held = {path.name for path in done.output_dir.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.model"} <= held
    assert [path.name for path in done.output_dir.parent.iterdir()] == ["模型"]
    assert load_tokenizer(done.output_dir)("李白 Li Bai").input_ids[0] == 1
    back = convert(done.output_dir, tmp_path / "meta", to="meta")
    assert {path.name for path in back.output_dir.iterdir()} == {
        *("consolidated.00.pth", "params.json", "tokenizer.model")
    }


def test_a_dry_run_writes_nothing(tmp_path: Path, tokenizer: Path) -> None:
    original = make_meta(tmp_path / "in", VOCABULARY)
    shutil.copy(tokenizer, original.folder / "tokenizer.model")
    done = convert(original.folder, tmp_path / "out", dry_run=True)
    assert done.size == sum(one.nbytes for one in original.tensors.values())
    assert done.tensors == len(original.tensors)
    assert (done.dtype, done.files) == ("F16", [])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def edit(file: Path, **changes: object) -> None:
    """Change, or with None delete, entries of a JSON or .pth file."""
    import torch

    pickled = file.suffix == ".pth"
    content = torch.load(file, weights_only=True) if pickled else json.loads(file.read_text())
    content |= {name.replace("__", "."): value for name, value in changes.items()}
    content = {name: value for name, value in content.items() if value is not None}
    if pickled:
        torch.save(content, file)
    else:
        file.write_text(json.dumps(content))


def break_norm(folder: Path) -> None:
    import torch

    edit(folder / "consolidated.01.pth", norm__weight=torch.zeros(32, dtype=torch.float16))


def repeat_part(folder: Path) -> None:
    shutil.copy(folder / "consolidated.00.pth", folder / "consolidated.01.pth")


def quantize(folder: Path) -> None:
    import torch

    file = folder / "consolidated.01.pth"
    tensors = torch.load(file, weights_only=True)
    torch.save({name: tensor.to(torch.int8) for name, tensor in tensors.items()}, file)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "params.json").unlink(), r"params\.json is missing"),
        (lambda f: edit(f / "params.json", dim=None), r"params\.json lacks or misstates .*'dim'"),
        (lambda f: edit(f / "params.json", n_layers=1), r"00\.pth has besides layers\.1\."),
        (lambda f: edit(f / "params.json", n_layers=3), r"00\.pth lacks layers\.2\."),
        (
            lambda f: edit(f / "params.json", dim=64),
            r"\(1003, 16\).* \(1003, 64\) is needed",
        ),
        (lambda f: edit(f / "params.json", head_dim=64), r"misstates .*head_dim"),
        (
            lambda f: edit(f / "params.json", use_scaled_rope=True),
            r"has use_scaled_rope, which is not converted",
        ),
        (lambda f: (f / "consolidated.00.pth").unlink(), r"consolidated\.00\.pth is missing"),
        (
            lambda f: (f / "consolidated.01.pth").unlink(),
            r"01\.pth is missing: this model has 2 files",
        ),
        (lambda f: edit(f / "params.json", n_heads=8), r"params\.json has other n_heads"),
        (lambda f: edit(f / "params.json", n_kv_heads=2), r"params\.json has other n_heads"),
        (lambda f: (f / "consolidated.01.pth").write_bytes(b"PK"), r"01\.pth is damaged"),
        (lambda f: edit(f / "consolidated.01.pth", output__weight=None), r"lacks output\.weight"),
        (
            lambda f: edit(f / "consolidated.01.pth", norm__weight=None),
            r"01\.pth lacks norm\.weight",
        ),
        (repeat_part, r"01\.pth holds the same part of the model as consolidated\.00\.pth"),
        (quantize, r"consolidated\.01\.pth holds .* as I8: its weights are quantized"),
        (break_norm, r"norm\.weight has .* different models"),
        (lambda f: (f / "tokenizer.model").unlink(), r"no tokenizer\.model in .* copy it there"),
    ],
)
def test_damaged_input(tmp_path: Path, tokenizer: Path, damage, said: str) -> None:
    folder = make_meta(tmp_path / "in", VOCABULARY, shards=2).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    damage(folder)
    with pytest.raises(CheckpointError, match=said):
        convert(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_params_that_stand_below_model(tmp_path: Path, tokenizer: Path) -> None:
    folder = make_meta(tmp_path / "in", VOCABULARY, shards=2).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    params = json.loads((folder / "params.json").read_text())
    (folder / "params.json").write_text(json.dumps({"model": params, "seed": 1}))
    assert convert(folder, tmp_path / "hf").tensors == 21


def test_which_folder_is_meant(tmp_path: Path, tokenizer: Path) -> None:
    for name in ("7B", "30B"):
        make_meta(tmp_path / "in" / name, VOCABULARY)
    shutil.copy(tokenizer, tmp_path / "in" / "tokenizer.model")

    def message(input_dir: str, kind: type[Exception] = CheckpointError, **options) -> str:
        with pytest.raises(kind) as caught:
            convert(tmp_path / input_dir, tmp_path / "out", dry_run=True, **options)
        return str(caught.value)

    assert "holds several models; add --model-size, one of 30B, 7B" in message("in")
    assert "holds no 13B/consolidated.00.pth" in message("in", model_size="13B")
    assert "dim = 32, which is not the 33b model's 6656" in message("in", model_size="33b")
    assert "no LLaMA of size 8B; sizes are 7B" in message("in", UsageError, model_size="8B")
    assert "there is no folder" in message("nowhere")
    (tmp_path / "empty").mkdir()
    assert "holds no consolidated.00.pth" in message("empty")
    (tmp_path / "empty" / "config.json").write_text("{}")
    assert "add: --to meta" in message("empty")
    assert "is not of a LLaMA" in message("empty", to="meta")
    (tmp_path / "in" / "7B" / "params.json").unlink()
    assert "lacks layers.10.attention.wk.weight" in message("in", model_size="7B")


@pytest.fixture
def hugging_face(tmp_path: Path, tokenizer: Path) -> Path:
    folder = make_meta(tmp_path / "in", VOCABULARY).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    convert(folder, tmp_path / "hf")
    shutil.rmtree(folder)
    return tmp_path / "hf"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": 7}, r"\(1003, 32\) for model\.embed_tokens\.weight, and .* \(7, 32\)"),
        ({"num_hidden_layers": 3}, r"has nothing for model\.layers\.2\."),
        ({"num_hidden_layers": 1}, r"holds model\.layers\.1\..* no place"),
        ({"model_type": "qwen2"}, "is not of a LLaMA .*qwen2"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "scaled by linear"),
        ({"rms_norm_eps": None}, "'rms_norm_eps'"),
        ({"intermediate_size": 84}, "can't say that the feed-forward layers are 84 wide"),
    ],
)
def test_what_metas_format_cannot_hold(
    tmp_path: Path, hugging_face: Path, changes: dict[str, object], said: str
) -> None:
    edit(hugging_face / "config.json", **changes)
    with pytest.raises(CheckpointError, match=said):
        convert(hugging_face, tmp_path / "out", to="meta")
    with pytest.raises(CheckpointError):
        convert(hugging_face, tmp_path / "out", to="meta", shards=3)
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_heads_that_cannot_be_shared(tmp_path: Path, hugging_face: Path) -> None:
    with pytest.raises(CheckpointError, match="4 heads can't be split into 3 files"):
        convert(hugging_face, tmp_path / "out", to="meta", shards=3)


def test_outputs_that_are_refused(
    tmp_path: Path, hugging_face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="hf is not empty"):
        convert(hugging_face, hugging_face, to="meta")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        convert(hugging_face, tmp_path / "file", to="meta")
    usage = shutil.disk_usage(tmp_path)._replace(free=100 * 2**20 + 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for dry_run in (True, False):
        with pytest.raises(DiskSpaceError, match=r"GB are needed .* folder on another disk"):
            convert(hugging_face, tmp_path / "out", to="meta", dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing(tmp_path: Path, hugging_face: Path) -> None:
    def interrupt(_label: str, done: int, total: int) -> None:
        assert (tmp_path / "out.partial").is_dir()
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(hugging_face, tmp_path / "out", to="meta", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_no_number_is_refused(tmp_path: Path, hugging_face: Path, value: float) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(hugging_face, tmp_path / "changed")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"layers\.1\.feed_forward\.w3\.weight of .* NaN or"):
        convert(folder, tmp_path / "out", to="meta", shards=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed", "hf"]


def test_the_command_in_both_spellings(tmp_path: Path, tokenizer: Path) -> None:
    folder = make_meta(tmp_path / "in", VOCABULARY).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")

    def run(*arguments: str):
        return CliRunner().invoke(app, ["convert", *arguments])

    places = ("--input_dir", str(folder), "--output_dir", str(tmp_path / "hf"))
    checked = run(*places, "--dry-run")
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert checked.stderr.endswith("F16); nothing was written\n")
    assert not (tmp_path / "hf").exists()
    refused = run(*places, "--model_size", "7B")
    assert refused.exit_code == 1
    assert "says dim = 32" in refused.stderr.splitlines()[-1]
    assert run(*places, "--max_shard_size", "huge").exit_code == 1
    done = run(*places, "--max-shard-size", "3MB", "--json")
    said = json.loads(done.stdout)
    assert done.exit_code == 0
    assert all(Path(file).is_file() for file in said["files"])
    assert said["output_dir"] == str(tmp_path / "hf")
    back = run("--to", "meta", "--input-dir", str(tmp_path / "hf"), "--output-dir", "meta")
    assert back.exit_code == 0
    assert back.stderr.endswith("in 1 files: meta\n")


@pytest.mark.slow
@pytest.mark.skipif(not KNOWN, reason="needs Linux's /proc")
def test_memory_stays_near_the_largest_tensor(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """320 MB of weights in two shards, whose largest tensor has 32 MB."""
    monkeypatch.setattr(meta_llama, "DIM", 256)
    monkeypatch.setattr(meta_llama, "INNER", 65536)
    folder = make_meta(tmp_path / "in", 60_000, shards=2).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    convert(folder, tmp_path / "warm", dry_run=True)
    before = resident_bytes()
    peaks: list[int] = []
    convert(folder, tmp_path / "hf", progress=lambda *_: peaks.append(resident_bytes()))
    convert(
        tmp_path / "hf", tmp_path / "meta", to="meta", shards=2,
        progress=lambda *_: peaks.append(resident_bytes()),
    )  # fmt: skip
    assert max(peaks) - before < 120 * 2**20


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path, tokenizer: Path) -> None:
    folder = make_meta(tmp_path / "in", 999).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    with pytest.raises(CheckpointError, match=r"has 1,000 pieces and .* have 999: they belong to"):
        convert(folder, tmp_path / "out")
    (folder / "tokenizer.model").write_bytes(b"no model")
    with pytest.raises(TokenizerError, match=r"tokenizer\.model"):
        convert(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({"norm_eps": 1e-6}, 2048),
        ({"norm_eps": 1e-5}, 4096),
        ({"norm_eps": 1e-6, "n_kv_heads": HEADS}, 4096),
        ({"norm_eps": 1e-5, "rope_theta": 1e6}, 16384),
    ],
    ids=str,
)
def test_the_context_is_that_of_the_release(
    tmp_path: Path, tokenizer: Path, changes: dict[str, Any], context: int
) -> None:
    folder = make_meta(tmp_path / "in", VOCABULARY).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    edit(folder / "params.json", **changes)
    convert(folder, tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_bytes())
    assert config["max_position_embeddings"] == context


def test_a_count_of_layers_is_not_believed(tmp_path: Path, tokenizer: Path) -> None:
    folder = make_meta(tmp_path / "in", VOCABULARY).folder
    shutil.copy(tokenizer, folder / "tokenizer.model")
    edit(folder / "params.json", n_layers=10**9)
    with pytest.raises(CheckpointError, match="1,000,000,000 layers"):
        convert(folder, tmp_path / "hf")
