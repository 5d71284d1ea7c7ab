"""What would come out wrong without a word: merged rightly, or refused in one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from model_prep.errors import AdapterError, CheckpointError, MergeError, MergeOrderError
from model_prep.lora.merge import merge
from model_prep.verify.verify import verify
from tests.model_prep.family import (
    LLAMA,
    Family,
    change_config,
    copy_of,
    make_base,
    make_lora,
    state_of,
)
from tests.model_prep.lora.random_adapters import make_adapter
from tests.model_prep.lora.random_adapters import make_base as make_padded_base

UP = "model.layers.0.mlp.up_proj.weight"
Q = "base_model.model.model.layers.0.self_attn.q_proj"


def config_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    return content


def set_config(folder: Path, **changes: Any) -> None:
    text = json.dumps(config_of(folder) | changes)
    (folder / "config.json").write_text(text, encoding="utf-8")


def change(folder: Path, file: str, **changes: Any) -> None:
    """Set the first number of tensors; None drops one."""
    weights = state_of(folder)
    for name, value in changes.items():
        name = name.replace("__", ".")
        if value is None:
            del weights[name]
        else:
            weights[name].view(-1)[0] = value
    save_file(weights, folder / file, metadata={"format": "pt"})


@pytest.fixture
def base(family: Family, tmp_path: Path) -> Path:
    return copy_of(family.base, tmp_path / "base")


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
def test_the_bases_own_type(family: Family, base: Path, tmp_path: Path, kind: str) -> None:
    dtype = getattr(torch, kind)
    weights = {name: tensor.to(dtype) for name, tensor in state_of(base).items()}
    weights[UP].view(-1)[0] = 60_000
    save_file(weights, base / "model.safetensors")
    merge(base, [family.sft], output_dir=tmp_path / "out")
    merged = state_of(tmp_path / "out")
    assert {tensor.dtype for tensor in merged.values()} == {dtype}
    assert torch.equal(merged[UP], weights[UP])
    assert config_of(tmp_path / "out")["torch_dtype"] == kind


def test_what_does_not_fit_the_type_is_refused(family: Family, base: Path, tmp_path: Path) -> None:
    weights = {name: tensor.float() for name, tensor in state_of(base).items()}
    weights[UP].view(-1)[0] = 1e5
    save_file(weights, base / "model.safetensors")
    with pytest.raises(MergeError, match=rf"{UP} has numbers too large for float16; use --dtype"):
        merge(base, [family.sft], output_dir=tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(
    family: Family, base: Path, lora: Path, tmp_path: Path, value: float
) -> None:
    change(lora, "adapter_model.safetensors", **{f"{Q}.lora_A.weight".replace(".", "__"): value})
    with pytest.raises(AdapterError, match=rf"{lora} holds NaN or infinity for .*q_proj"):
        merge(base, [lora], output_dir=tmp_path / "out")
    change(base, "model.safetensors", model__norm__weight=value)
    with pytest.raises(MergeError, match=rf"model.norm.weight of the base {base} holds NaN or"):
        merge(base, [family.sft], output_dir=tmp_path / "out")


def test_a_lora_that_adds_nothing_is_said(family: Family, lora: Path, tmp_path: Path) -> None:
    """As PEFT makes one that was never trained."""
    weights = state_of(lora)
    for name, weight in weights.items():
        if "lora_B" in name:
            weight.zero_()
    save_file(weights, lora / "adapter_model.safetensors")
    report = merge(family.base, [lora], output_dir=tmp_path / "out")
    assert [note for note in report.notes if f"{lora} has only zeros" in note]
    assert state_of(tmp_path / "out").keys() == state_of(family.base).keys()
    assert not merge(family.base, [family.sft], output_dir=tmp_path / "o", dry_run=True).notes


@pytest.mark.parametrize("packed", ["weight", "qweight", "weight_packed"])
def test_whole_numbers_are_no_weights(
    family: Family, base: Path, tmp_path: Path, packed: str
) -> None:
    """As of a model that was quantized, and whose configuration does not say so."""
    weights = state_of(base)
    module = Q.removeprefix("base_model.model.")
    whole = weights.pop(f"{module}.weight").to(torch.int8)
    save_file(weights | {f"{module}.{packed}": whole}, base / "model.safetensors")
    said = rf"{base} holds {module}.{packed} as I8: its weights are quantized"
    with pytest.raises(CheckpointError, match=said):
        merge(base, [family.sft], output_dir=tmp_path / "out")
    shapes = next(check for check in verify(base).checks if check.name == "shapes")
    assert shapes.outcome == "failed"
    assert re.match(said, shapes.said)


def test_output_weights_that_are_missing(family: Family, base: Path, tmp_path: Path) -> None:
    change(base, "model.safetensors", lm_head__weight=None)
    with pytest.raises(CheckpointError, match=r"lack lm_head\.weight, which its config\.json"):
        merge(base, [family.sft], output_dir=tmp_path / "out")


def test_a_file_is_no_base(family: Family, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(CheckpointError, match=r"model\.gguf is a file; .*import-gguf"):
        merge(tmp_path / "model.gguf", [family.sft], output_dir=tmp_path / "out")


@pytest.mark.slow
def test_the_same_adapter_twice(family: Family, lora: Path, tmp_path: Path) -> None:
    with pytest.raises(MergeOrderError, match=rf"{lora} is the same LoRA as {family.sft}; leave"):
        merge(family.base, [family.sft, lora], output_dir=tmp_path / "out")
    merge(family.base, [family.sft, lora], output_dir=tmp_path / "out", allow_merged=True)
    merge(family.base, [family.sft], output_dir=tmp_path / "once")
    merge(tmp_path / "once", [lora], output_dir=tmp_path / "again", allow_merged=True)
    first, second = state_of(tmp_path / "out"), state_of(tmp_path / "again")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_few_rows_of_embeddings_make_no_alarm(family: Family, tmp_path: Path) -> None:
    lora = make_lora(tmp_path / "lora", family.base, LLAMA, r=4)
    held = state_of(lora)
    for name, ours in state_of(family.base).items():
        key = f"base_model.model.{name}"
        if key in held:
            held[key] = ours.clone()
            held[key][7] += 0.1
    save_file(held, lora / "adapter_model.safetensors")
    report = merge(family.base, [lora], output_dir=tmp_path / "out")
    assert report.vocabulary == LLAMA
    row = state_of(tmp_path / "out")["lm_head.weight"][7]
    assert torch.equal(row, held["base_model.model.lm_head.weight"][7])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, r"is quantized \(gptq"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, r"is quantized \(bitsandb"),
        ({"num_hidden_layers": 10**9}, r"misstates a size \(1,000,000,000 layers\)"),
        ({"num_hidden_layers": 3}, r"lack model.layers.2.input_layernorm.weight, which its"),
        ({"intermediate_size": 89}, r"gate_proj.weight in .* is \(88, 32\) where config.json"),
        ({"hidden_size": float("inf")}, "misstates a size"),
        ({"num_attention_heads": 0}, "misstates a size"),
    ],
    ids=str,
)
def test_a_base_that_is_not_what_it_says(
    family: Family, base: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    set_config(base, **changes)
    with pytest.raises(CheckpointError, match=said):
        merge(base, [family.sft], output_dir=tmp_path / "out")


def test_a_base_that_lacks_tensors(family: Family, base: Path, tmp_path: Path) -> None:
    change(base, "model.safetensors", model__norm__weight=None)
    with pytest.raises(CheckpointError, match=r"lack model.norm.weight, which its config.json"):
        merge(base, [family.sft], output_dir=tmp_path / "out")


def test_a_vocabulary_size_that_lies_is_corrected(
    family: Family, base: Path, tmp_path: Path
) -> None:
    set_config(base, vocab_size=32_000)
    merge(base, [family.sft], output_dir=tmp_path / "out")
    assert config_of(tmp_path / "out")["vocab_size"] == LLAMA


def test_ends_of_an_early_conversion_are_corrected(
    family: Family, base: Path, tmp_path: Path
) -> None:
    wrong = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": -1}
    set_config(base, **wrong)
    (base / "generation_config.json").write_text(json.dumps(wrong), encoding="utf-8")
    merge(base, [family.sft], output_dir=tmp_path / "out")
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_bytes())
    for held in (config_of(tmp_path / "out"), generation):
        assert (held["bos_token_id"], held["eos_token_id"]) == (1, 2)
        assert held.get("pad_token_id", 0) >= 0


def test_rows_beyond_the_ids_are_padding(tmp_path: Path) -> None:
    base = make_padded_base(tmp_path / "base", "qwen2", torch.bfloat16, tied=True)
    make_adapter(base, tmp_path / "lora", {"target_modules": ["q_proj"]}, seed=1)
    report = merge(base, [tmp_path / "lora"], output_dir=tmp_path / "out")
    assert report.vocabulary == 96


def test_a_padding_token_without_a_row(family: Family, base: Path, tmp_path: Path) -> None:
    """As in the LLaMA 2 of July 2023."""
    text = json.dumps({"<pad>": LLAMA})
    (base / "added_tokens.json").write_text(text, encoding="utf-8")
    report = merge(base, [family.sft], output_dir=tmp_path / "out")
    assert report.vocabulary == LLAMA
    assert any("padding token" in note and "no row" in note for note in report.notes)
    assert verify(base).passed
    (base / "added_tokens.json").write_text(text.replace("<pad>", "<|im_end|>"), encoding="utf-8")
    with pytest.raises(MergeOrderError, match=r"311 pieces, and .* needs 310"):
        merge(base, [family.sft], output_dir=tmp_path / "again")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "tied"),
    [
        ({"modules_to_save": ["embed_tokens"], "target_modules": ["q_proj"]}, False),
        ({"modules_to_save": ["embed_tokens", "lm_head"], "target_modules": ["q_proj"]}, False),
        ({"target_modules": ["q_proj", "embed_tokens"]}, False),
        ({"target_modules": ["q_proj", "lm_head"]}, False),
        ({"target_modules": ["q_proj"]}, True),
        (
            {
                "modules_to_save": ["embed_tokens"],
                "target_modules": ["q_proj"],
                "ensure_weight_tying": True,
            },
            True,
        ),
        ({"target_modules": ["q_proj", "embed_tokens"], "ensure_weight_tying": True}, True),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")  # PEFT's advice, and what it asks transformers for
def test_tied_embeddings(tmp_path: Path, options: dict[str, Any], tied: bool) -> None:
    """Merged and attached, the model says what PEFT's own says, and is tied only if it may be."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from model_prep.lora.attach import attach_loras
    from model_prep.lora.plan import prepare_merge

    base = make_padded_base(tmp_path / "base", "qwen2", torch.float32, tied=True)
    make_adapter(base, tmp_path / "lora", options, seed=3)
    merge(base, [tmp_path / "lora"], output_dir=tmp_path / "out")
    config, names = config_of(tmp_path / "out"), state_of(tmp_path / "out").keys()
    assert config["tie_word_embeddings"] is tied
    assert ("lm_head.weight" in names) is not tied

    def loaded(folder: Path) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    with prepare_merge(base, [tmp_path / "lora"]) as plan:
        attached = attach_loras(loaded(base), plan.adapters)
    ids = torch.arange(3, 23).view(1, -1)
    with torch.no_grad():
        expected = PeftModel.from_pretrained(loaded(base), tmp_path / "lora")(input_ids=ids).logits
        for model in (loaded(tmp_path / "out"), attached):
            torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=0, atol=1e-5)


def test_a_fast_tokenizer_does_not_displace_the_exact_one(
    family: Family, lora: Path, tmp_path: Path
) -> None:
    from transformers import LlamaTokenizer

    LlamaTokenizer.from_pretrained(family.base).save_pretrained(lora)
    (lora / "chat_template.jinja").write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    assert not (lora / "tokenizer.model").exists()
    merge(family.base, [lora], output_dir=tmp_path / "out")
    ours = (tmp_path / "out" / "tokenizer.model").read_bytes()
    assert ours == (family.base / "tokenizer.model").read_bytes()
    template = (tmp_path / "out" / "chat_template.jinja").read_text(encoding="utf-8")
    assert template == "{{ messages[0]['content'] }}"
    (tmp_path / "out" / "tokenizer.model").unlink()
    LlamaTokenizer.from_pretrained(family.base).save_pretrained(tmp_path / "out")
    said = {check.name: check.said for check in verify(tmp_path / "out").checks}
    assert "splits some text differently from SentencePiece" in said["tokenizer"]


def test_conv1d_is_asked_for_by_the_base_alone(family: Family, lora: Path, tmp_path: Path) -> None:
    change_config(lora, fan_in_fan_out=True)
    plain = merge(family.base, [family.sft], output_dir=tmp_path / "plain")
    turned = merge(family.base, [lora], output_dir=tmp_path / "turned")
    assert turned.content_sha256 == plain.content_sha256


def test_a_base_made_by_the_test_is_whole(tmp_path: Path) -> None:
    assert verify(make_base(tmp_path / "base")).passed
