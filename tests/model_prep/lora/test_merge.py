"""Merging, against PEFT and against the formula of the reference."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from model_prep.checkpoint.checksums import content_digest, tensor_digest
from model_prep.checkpoint.tensors import TensorData, TensorInfo
from model_prep.errors import AdapterError, CheckpointError, ModelPrepError, OutputError
from model_prep.llama.meta_layout import permute, split_axis, tensor_names
from model_prep.lora.merge import merge, split_folders
from model_prep.verify.verify import verify
from tests.model_prep.family import (
    ALPACA,
    CHINESE,
    LLAMA,
    Family,
    change_config,
    copy_of,
    make_base,
    make_lora,
    state_of,
    write_tokenizer,
)


def by_formula(base: Path, *adapters: Path) -> dict[str, torch.Tensor]:
    """FACTS' formula, written plainly; saved modules replace the base's."""
    merged: dict[str, torch.Tensor] = state_of(base)
    for folder in adapters:
        held = state_of(folder)
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        for name in merged:
            module = f"base_model.model.{name.removesuffix('.weight')}"
            if f"{module}.weight" in held:
                merged[name] = held[f"{module}.weight"]
            if f"{module}.lora_A.weight" in held:
                a, b = held[f"{module}.lora_A.weight"], held[f"{module}.lora_B.weight"]
                merged[name] += (b.float() @ a.float()) * (config["lora_alpha"] / config["r"])
    return merged


def by_peft(base: Path, *adapters: tuple[Path, int | None]) -> dict[str, torch.Tensor]:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's advice
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)
        for folder, vocabulary in adapters:
            if vocabulary:
                model.resize_token_embeddings(vocabulary, mean_resizing=False)
            model = PeftModel.from_pretrained(model, folder).merge_and_unload()
    return dict(model.state_dict())


def assert_near(merged: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Within the two roundings to float16 that may fall otherwise."""
    for name, one in merged.items():
        torch.testing.assert_close(one, expected[name], rtol=2**-9, atol=2**-12)


def assert_equal(merged: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert merged.keys() == expected.keys()
    assert [name for name in merged if not torch.equal(merged[name], expected[name])] == []


@pytest.mark.slow
def test_alpaca_plus(family: Family, tmp_path: Path) -> None:
    report = merge(family.base, [family.chinese, family.alpaca], output_dir=tmp_path / "合并")
    merged = state_of(tmp_path / "合并")
    assert_equal(merged, by_formula(family.base, family.chinese, family.alpaca))
    assert_near(merged, by_peft(family.base, (family.chinese, CHINESE), (family.alpaca, ALPACA)))
    assert report.vocabulary == ALPACA
    assert report.alpaca
    assert report.size == sum(one.nbytes for one in merged.values())


def test_one_lora(family: Family, tmp_path: Path) -> None:
    report = merge(family.base, [family.chinese], output_dir=tmp_path / "out")
    assert_equal(state_of(tmp_path / "out"), by_formula(family.base, family.chinese))
    assert_near(state_of(tmp_path / "out"), by_peft(family.base, (family.chinese, CHINESE)))
    assert not report.alpaca


@pytest.mark.slow
def test_three_loras_the_last_without_embeddings(family: Family, tmp_path: Path) -> None:
    adapters = [family.chinese, family.alpaca, family.sft]
    report = merge(family.base, adapters, output_dir=tmp_path / "out")
    assert_equal(state_of(tmp_path / "out"), by_formula(family.base, *adapters))
    assert report.vocabulary == ALPACA


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 3, r"layers.1.mlp.\w+_proj": 5}},
        {"alpha_pattern": {"model.layers.0.self_attn.k_proj": 1, "o_proj": 100}},
        {"fan_in_fan_out": True},
        {"target_modules": [*("q_proj", "down_proj"), "embed_tokens"]},
        {"target_modules": "all-linear"},
        {"target_modules": r".*layers\.1.*(up|down)_proj"},
        {"layers_to_transform": [1]},
        {"modules_to_save": ["input_layernorm"]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_configuration_that_peft_writes(
    family: Family, tmp_path: Path, options: dict[str, Any]
) -> None:
    lora = make_lora(tmp_path / "lora", family.base, None, **{"r": 4, "lora_alpha": 6, **options})
    merge(family.base, [lora], output_dir=tmp_path / "out")
    merged = state_of(tmp_path / "out")
    assert_near(merged, by_peft(family.base, (lora, None)))
    before = state_of(family.base)
    assert any(not torch.equal(merged[name], before[name]) for name in merged)


def test_matrices_that_lie_the_other_way_round(tmp_path: Path) -> None:
    """GPT-2 keeps them as in × out, where PEFT sets fan_in_fan_out."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=LLAMA, n_embd=16, n_layer=1, n_head=2, n_positions=16, bos_token_id=1
    )
    base = tmp_path / "base"
    GPT2LMHeadModel(config).half().save_pretrained(base)
    write_tokenizer(base, LLAMA)
    targets = ["c_attn", "c_proj"]
    lora = make_lora(
        tmp_path / "lora", base, None, r=2, target_modules=targets, fan_in_fan_out=True
    )
    merge(base, [lora], output_dir=tmp_path / "out")
    assert_near(state_of(tmp_path / "out"), by_peft(base, (lora, None)))


def test_adapters_and_bases_in_every_container(family: Family, tmp_path: Path) -> None:
    """Old names and files, as of PEFT and transformers in 2023."""
    base, lora = copy_of(family.base, tmp_path / "base"), copy_of(family.chinese, tmp_path / "lora")
    torch.save(state_of(base), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    kept = {
        name: one
        for name, one in state_of(lora).items()
        if ".modules_to_save." not in name and ".original_module." not in name
    }
    inv_freq = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    torch.save({**state_of(family.base), **inv_freq}, base / "pytorch_model.bin")
    torch.save(kept, lora / "adapter_model.bin")
    (lora / "adapter_model.safetensors").unlink()
    old = {"r": 8, "lora_alpha": 32, "peft_type": "LORA", "enable_lora": None, "bias": "none"}
    named = {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}
    (lora / "adapter_config.json").write_text(json.dumps({**old, **named}), encoding="utf-8")
    merge(base, [lora], output_dir=tmp_path / "out")
    assert_equal(state_of(tmp_path / "out"), by_formula(family.base, family.chinese))


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_pth_out_and_in(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """What is written as Meta's files is, joined and turned, what is written as safetensors."""
    monkeypatch.setattr("model_prep.lora.merge.published_shards", lambda _: shards)
    adapters = [family.chinese, family.alpaca]
    merge(family.base, adapters, output_dir=tmp_path / "pth", output_type="pth")
    files = [f"consolidated.{number:02}.pth" for number in range(shards)]
    held = {path.name for path in (tmp_path / "pth").iterdir()}
    assert held == {*files, "merge.json", "params.json", "tokenizer.model"}
    parts = [torch.load(tmp_path / "pth" / name, weights_only=True, mmap=True) for name in files]
    expected = by_formula(family.base, *adapters)
    assert all(list(part) == [name for name, _ in tensor_names(2)] for part in parts)
    for name, ours in tensor_names(2):
        axis = split_axis(name)
        whole = parts[0][name] if axis is None else torch.cat([one[name] for one in parts], axis)
        turned = permute(whole, 8) if name.endswith(("wq.weight", "wk.weight")) else whole
        assert torch.equal(turned, expected[ours])
    params = json.loads((tmp_path / "pth" / "params.json").read_text(encoding="utf-8"))
    assert (params["dim"], params["n_layers"], params["vocab_size"]) == (32, 2, -1)
    (tmp_path / "pth" / "tokenizer.model").rename(tmp_path / "tokenizer.model")  # as Meta has it
    merge(tmp_path / "pth", [family.sft], output_dir=tmp_path / "again")
    assert (tmp_path / "again" / "tokenizer.model").is_file()
    assert_equal(state_of(tmp_path / "again"), by_formula(family.base, *adapters, family.sft))


@pytest.mark.slow
def test_each_tensor_of_metas_files_is_looked_up_once(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work grows with the number of tensors, not with its square."""
    merge(family.base, [family.chinese], output_dir=tmp_path / "pth", output_type="pth")
    looked_up = 0

    class Counted(TensorInfo):
        def __post_init__(self) -> None:
            nonlocal looked_up
            looked_up += 1

    class CountedData(Counted, TensorData):
        pass

    monkeypatch.setattr("model_prep.llama.meta_checkpoint.TensorInfo", Counted)
    monkeypatch.setattr("model_prep.llama.meta_checkpoint.TensorData", CountedData)
    report = merge(tmp_path / "pth", [family.sft], output_dir=tmp_path / "out")
    assert report.tensors == 21
    assert looked_up <= 2 * report.tensors


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_other_types(family: Family, tmp_path: Path, dtype: Any) -> None:
    merge(family.base, [family.sft], output_dir=tmp_path / "out", dtype=dtype)
    merged = state_of(tmp_path / "out")
    assert {one.dtype for one in merged.values()} == {getattr(torch, dtype)}
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["torch_dtype"] == dtype
    expected = by_formula(family.base, family.sft)
    for name, one in merged.items():
        torch.testing.assert_close(one.float(), expected[name].float(), rtol=2**-7, atol=2**-9)


@pytest.mark.slow
def test_the_folder_is_complete(family: Family, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "out"
    merge(family.base, [family.chinese, family.alpaca], output_dir=out, max_shard_size=50_000)
    assert len(list(out.glob("model-*-of-*.safetensors"))) > 1
    assert (out / "tokenizer.model").read_bytes() == (
        family.alpaca / "tokenizer.model"
    ).read_bytes()
    loaded: Any = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    model, info = loaded
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.vocab_size == ALPACA
    assert model.config.pad_token_id == model.generation_config.pad_token_id == ALPACA - 1
    tokenizer: Any = AutoTokenizer.from_pretrained(out, trust_remote_code=True)
    assert tokenizer.pad_token_id == ALPACA - 1
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "李白是谁？"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt.endswith("\n\n### Instruction:\n李白是谁？\n\n### Response: ")


@pytest.mark.slow
def test_the_manifest(family: Family, tmp_path: Path) -> None:
    report = merge(family.base, [family.chinese, family.alpaca], output_dir=tmp_path / "out")
    noted = json.loads((tmp_path / "out" / "merge.json").read_text(encoding="utf-8"))
    merged, before = state_of(tmp_path / "out"), state_of(family.base)
    digests = {name: tensor_digest(name, one) for name, one in merged.items()}
    assert {name: one["sha256"] for name, one in noted["tensors"].items()} == digests
    assert noted["content_sha256"] == content_digest(digests) == report.content_sha256
    assert noted["base"]["content_sha256"] == content_digest(
        {name: tensor_digest(name, one) for name, one in before.items()}
    )
    assert [one["path"] for one in noted["adapters"]] == [str(family.chinese), str(family.alpaca)]
    assert noted["adapters"][0]["files"].keys() == {"adapter_model.safetensors"}
    again = merge(family.base, [family.chinese, family.alpaca], output_dir=tmp_path / "again")
    assert again.content_sha256 == report.content_sha256


@pytest.mark.slow
@pytest.mark.parametrize("output_type", ["huggingface", "pth"])
def test_what_is_merged_is_found_consistent(
    family: Family, tmp_path: Path, output_type: Any
) -> None:
    report = merge(
        family.base,
        [family.chinese, family.alpaca],
        output_dir=tmp_path / "out",
        output_type=output_type,
    )
    found = verify(tmp_path / "out")
    assert found.passed, found
    assert found.content_sha256 == report.content_sha256


def test_a_dry_run_writes_nothing(family: Family, tmp_path: Path) -> None:
    report = merge(family.base, [family.chinese], output_dir=tmp_path / "out", dry_run=True)
    assert (report.tensors, report.vocabulary, report.content_sha256) == (21, CHINESE, None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_refused(family: Family, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is not empty"):
        merge(family.base, [family.chinese], output_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("output_type", ["huggingface", "pth"])
@pytest.mark.parametrize("at", [0, 5, 20])
def test_an_interruption_leaves_nothing(
    family: Family, tmp_path: Path, output_type: Any, at: int
) -> None:
    seen = 0

    def stop(label: str, _done: int, _total: int) -> None:
        nonlocal seen
        if label == "merging":
            seen += 1
            if seen > at:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        merge(family.base, [family.chinese], output_dir=out, output_type=output_type, progress=stop)
    assert list(tmp_path.iterdir()) == []
    merge(family.base, [family.chinese], output_dir=out, output_type=output_type)
    assert out.is_dir()


def test_what_a_killed_merge_left_is_made_anew(family: Family, tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "model.safetensors").write_bytes(b"half")
    merge(family.base, [family.chinese], output_dir=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("output_type", ["huggingface", "pth"])
def test_a_disk_that_fills_up(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output_type: Any
) -> None:
    import errno
    import os

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    where = "output.tensor_pieces" if output_type == "pth" else "merge.tensor_pieces"
    monkeypatch.setattr(f"model_prep.lora.{where}", full)
    with pytest.raises(ModelPrepError, match="is full"):
        merge(family.base, [family.chinese], output_dir=tmp_path / "o", output_type=output_type)
    assert list(tmp_path.iterdir()) == []


def test_another_width_of_meta_is_seen_before_the_work(tmp_path: Path, family: Family) -> None:
    base = make_base(tmp_path / "base", intermediate_size=50)
    lora = make_lora(tmp_path / "lora", base, None, r=2)
    with pytest.raises(CheckpointError, match="feed-forward layers are 50 wide"):
        merge(base, [lora], output_dir=tmp_path / "out", output_type="pth", dry_run=True)


def test_folders_of_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert split_folders("a,b") == [Path("a,b")]
    assert split_folders("x, y") == [Path("x"), Path("y")]
    assert split_folders("x,") == [Path("x")]


def test_no_lora(family: Family, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no LoRA is given"):
        merge(family.base, [], output_dir=tmp_path / "out")


def test_alpha_and_rank_come_from_the_configuration(family: Family, tmp_path: Path) -> None:
    lora = copy_of(family.sft, tmp_path / "lora")
    change_config(lora, lora_alpha=70)
    merge(family.base, [lora], output_dir=tmp_path / "out")
    assert_equal(state_of(tmp_path / "out"), by_formula(family.base, lora))
