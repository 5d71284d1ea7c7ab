"""LoRAs that can't be merged, and why: each is one line that says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from model_prep.errors import AdapterError, CheckpointError
from model_prep.lora.adapter import open_adapter
from model_prep.lora.merge import merge
from tests.model_prep.family import Family, change_config, copy_of, make_base, state_of

Q = "base_model.model.model.layers.0.self_attn.q_proj"


def change(lora: Path, changes: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = state_of(lora)
    changes(weights)
    save_file(weights, lora / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "an adapter of the kind PREFIX_TUNING; only LoRA"),
        ({"use_dora": True}, r"uses DoRA \(use_dora\), which can't be merged here"),
        ({"lora_bias": True}, "uses LoRA with biases"),
        ({"trainable_token_indices": [1]}, "uses trainable tokens"),
        ({"r": None}, "is not a LoRA's configuration"),
        ({"r": 13}, r"factors of .* are \(32, 12\) and \(12, 32\), but .* says r=13"),
        ({"init_lora_weights": "pissa_niter_16"}, r"init_lora_weights 'pissa_niter_16'"),
        ({"init_lora_weights": "loftq"}, "fits no base as published"),
        ({"init_lora_weights": {"name": "new"}}, "fits no base as published"),
        ({"layer_replication": [[0, 2]]}, r"\(layer_replication\)"),
        ({"use_next_years_idea": True}, "has use_next_years_idea in its .* not known here"),
        ({"rank_pattern": {"(": 3}}, "is not a LoRA's configuration"),
        ({"rank_pattern": [1]}, "is not a LoRA's configuration"),
        ({"lora_alpha": float("nan")}, "is not a LoRA's configuration"),
        ({"target_modules": {"q_proj": 1}}, "target_modules are not names"),
    ],
    ids=str,
)
def test_configurations(lora: Path, changes: dict[str, Any], said: str) -> None:
    change_config(lora, **changes)
    with pytest.raises(AdapterError, match=said):
        open_adapter(lora)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target_modules": ["q_proj", "o_proj"]}, r"no LoRA of .*0.self_attn.o_proj.weight"),
        ({"target_modules": r".*\.(q|v|o)_proj"}, r"no LoRA of .*0.self_attn.o_proj.weight"),
        ({"modules_to_save": ["lm_head"]}, r"lacks lm_head.weight, .* names in modules_to_save"),
    ],
    ids=str,
)
def test_less_than_the_configuration_names(
    family: Family, lora: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    change_config(lora, **changes)
    refused(family.base, [lora], tmp_path, said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["q_proj", "v_proj", "query_key_value"]},
        {"modules_to_save": ["classifier"]},
        {"init_lora_weights": "gaussian", "use_dora": False, "auto_mapping": {"x": "y"}},
    ],
    ids=str,
)
def test_modules_that_the_base_lacks_change_nothing(
    family: Family, lora: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    change_config(lora, **changes)
    plain = merge(family.base, [family.sft], output_dir=tmp_path / "plain")
    assert merge(family.base, [lora], output_dir=tmp_path / "out").content_sha256 == (
        plain.content_sha256
    )


@pytest.mark.parametrize("text", ["", "[]", "{", '{"r": 8}', '"x"', "\xff"])
def test_a_configuration_that_is_none(lora: Path, text: str) -> None:
    (lora / "adapter_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(AdapterError, match=r"adapter_config.json is not a LoRA's configuration"):
        open_adapter(lora)


def test_a_configuration_with_a_byte_order_mark(lora: Path) -> None:
    file = lora / "adapter_config.json"
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert open_adapter(lora).factors


def test_a_folder_that_is_no_adapter(family: Family, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"has no adapter_config.json \(there is config.json"):
        open_adapter(family.base)
    with pytest.raises(AdapterError, match=r"config\.json is a file; name the folder"):
        open_adapter(family.base / "config.json")
    with pytest.raises(AdapterError, match=r"there is no .*nowhere; check the path"):
        open_adapter(tmp_path / "nowhere")
    copy_of(family.sft, tmp_path / "swift" / "v0" / "checkpoint-9")
    with pytest.raises(AdapterError, match=r"name a folder below .*: .*swift/v0/checkpoint-9$"):
        open_adapter(tmp_path / "swift")
    copy_of(family.sft, tmp_path / "run" / "checkpoint-9")
    with pytest.raises(AdapterError, match=r"name a folder below .*: .*run/checkpoint-9$"):
        open_adapter(tmp_path / "run")


def test_weights_that_are_missing_or_cut_short(lora: Path) -> None:
    file = lora / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        open_adapter(lora)
    file.unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        open_adapter(lora)


class Hostile:
    """What a pickle may hold besides tensors."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path("written"), "by a pickle")


def test_a_bin_that_is_not_a_state_dict(lora: Path, home: Path) -> None:
    (lora / "adapter_model.safetensors").unlink()
    torch.save({"x": Hostile()}, lora / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="more than named tensors"):
        open_adapter(lora)
    assert not (home / "written").exists()


def test_half_a_pair(lora: Path) -> None:
    change(lora, lambda weights: weights.pop(f"{Q}.lora_B.weight"))
    with pytest.raises(AdapterError, match=r"lacks lora_B of model.layers.0.self_attn.q_proj"):
        open_adapter(lora)


def test_a_tensor_of_no_lora(lora: Path) -> None:
    change(lora, lambda weights: weights.update({f"{Q}.lora_magnitude_vector": torch.ones(3)}))
    with pytest.raises(AdapterError, match="lora_magnitude_vector, which is not part of a LoRA"):
        open_adapter(lora)


def test_the_configuration_of_another_program(lora: Path) -> None:
    config = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": {"rank": 8}}
    (lora / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(AdapterError, match="as PEFT writes it: it has no lora_alpha; convert"):
        open_adapter(lora)


def refused(base: Path, adapters: list[Path], folder: Path, said: str) -> None:
    with pytest.raises(AdapterError, match=said):
        merge(base, adapters, output_dir=folder / "out")
    assert not (folder / "out").exists()
    assert not (folder / "out.partial").exists()


def test_another_shape(family: Family, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", hidden_size=64)
    said = r"made for a model of another shape: .*q_proj.weight is 64×64, and the adapter has 32×32"
    refused(base, [family.sft], tmp_path, said)


def test_embeddings_of_another_width(family: Family, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", hidden_size=64, intermediate_size=88)
    refused(base, [family.chinese], tmp_path, r"(embed_tokens|lm_head).weight is \d+×64")


def test_more_layers_than_the_base_has(family: Family, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", num_hidden_layers=1)
    said = r"acts on model.layers.1.self_attn.q_proj.weight, which the base does not have \(2 of"
    refused(base, [family.sft], tmp_path, said)


def test_names_of_megatron(family: Family, tmp_path: Path) -> None:
    lora = copy_of(family.sft, tmp_path / "lora")
    weights = {
        name.replace("model.layers", "decoder.layers").replace("self_attn.q_proj", "mlp.linear_fc1")
        for name in state_of(lora)
    }
    save_file({name: torch.ones(2, 2) for name in weights}, lora / "adapter_model.safetensors")
    change_config(lora, r=2)
    refused(family.base, [lora], tmp_path, "names are Megatron's: convert it")
    base = copy_of(family.base, tmp_path / "base")
    save_file({"decoder.layers.0.mlp.linear_fc1.weight": torch.ones(2)}, base / "model.safetensors")
    with pytest.raises(CheckpointError, match="names are Megatron's: convert it"):
        merge(base, [family.sft], output_dir=tmp_path / "out")


def test_fewer_layers_than_the_base_has(family: Family, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", num_hidden_layers=3)
    said = r"has no LoRA of model.layers.2.self_attn.q_proj.weight, which its configuration targets"
    refused(base, [family.sft], tmp_path, said)


def test_one_embedding_of_two(family: Family, tmp_path: Path) -> None:
    lora = copy_of(family.chinese, tmp_path / "lora")
    change_config(lora, modules_to_save=["embed_tokens"])
    change(
        lora,
        lambda weights: [weights.pop(name) for name in list(weights) if "lm_head" in name],
    )
    refused(family.base, [lora], tmp_path, "unequal vocabularies .* brings only one of the two")


def test_a_base_that_is_none(family: Family, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no .*nowhere; check the path"):
        merge(tmp_path / "nowhere", [family.sft], output_dir=tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"has no config.json \(it has .*adapter_config.json"):
        merge(family.sft, [family.sft], output_dir=tmp_path / "out")
    base = copy_of(family.base, tmp_path / "base")
    (base / "config.json").write_text(json.dumps([]), encoding="utf-8")
    with pytest.raises(CheckpointError, match="holds no names"):
        merge(base, [family.sft], output_dir=tmp_path / "out")
    (base / "model.safetensors").write_bytes(b"x" * 100)
    (base / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        merge(base, [family.sft], output_dir=tmp_path / "out")
