"""LoRAs in the files and under the names that trainers give them: read as PEFT's, or refused."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from model_prep.errors import AdapterError, CheckpointError
from model_prep.lora.adapter import open_adapter
from model_prep.lora.attach import attach_loras
from model_prep.lora.merge import merge
from tests.model_prep.family import Family, state_of

FILE = "adapter_model.safetensors"
Weights = dict[str, torch.Tensor]


def rename(lora: Path, ours: str, theirs: str) -> Weights:
    return {name.replace(ours, theirs, 1): tensor for name, tensor in state_of(lora).items()}


def require_as_peft_saves_it(family: Family, lora: Path) -> None:
    """The adapter is, tensor for tensor, that of the family."""
    ours, plain = open_adapter(lora), open_adapter(family.sft)
    assert ours.factors.keys() == plain.factors.keys()
    assert ours.modules_to_save.keys() == plain.modules_to_save.keys()
    for weight in plain.factors:
        for found, expected in zip(ours.read_all(weight), plain.read_all(weight), strict=True):
            assert torch.equal(found, expected)
            assert not found.requires_grad


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (".weight", ".default.weight"),
        (".weight", ".my-adapter.weight"),
        ("model.layers.", "_orig_mod.model.layers."),
        ("self_attn.", "_fsdp_wrapped_module.self_attn._checkpoint_wrapped_module."),
        ("base_model.model.", ""),
        ("base_model.model.", "module."),
        ("base_model.model.", "module.base_model.model."),
        ("base_model.model.", "_forward_module.base_model.model."),
        ("base_model.model.", "base_model.model.base_model.model."),
    ],
)
def test_names_with_more_in_them(family: Family, lora: Path, ours: str, theirs: str) -> None:
    """As in checkpoints that trainers wrote: of an adapter with a name, or a wrapped model."""
    save_file(rename(lora, ours, theirs), lora / FILE)
    require_as_peft_saves_it(family, lora)
    model = AutoModelForCausalLM.from_pretrained(family.base)
    assert attach_loras(model, [open_adapter(lora)]).peft_config


def test_ms_swifts_own_format(family: Family, lora: Path) -> None:
    file = lora / "adapter_config.json"
    config = json.loads(file.read_bytes())
    del config["peft_type"]
    file.write_text(json.dumps(config | {"swift_type": "LORA"}))
    names = rename(lora, "base_model.model.", "")
    weights = {name.replace(".weight", ".default.weight"): names[name] for name in names}
    save_file(weights, lora / FILE)
    require_as_peft_saves_it(family, lora)
    file.write_text(json.dumps(config | {"swift_type": "LONGLORA"}))
    with pytest.raises(AdapterError, match="of the kind LONGLORA"):
        open_adapter(lora)


def test_two_adapters_in_one_file(lora: Path, family: Family) -> None:
    """As DPO with a reference adapter leaves them: the last one would win without a word."""
    default, reference = (
        rename(lora, ".weight", f".{name}.weight") for name in ("default", "reference")
    )
    save_file(default | reference, lora / FILE)
    with pytest.raises(AdapterError, match=r"holds two LoRAs of .*; save the one"):
        open_adapter(lora)
    apart = {name: tensor for name, tensor in default.items() if "q_proj" in name}
    apart |= {name: tensor for name, tensor in reference.items() if "v_proj" in name}
    save_file(apart, lora / FILE)
    with pytest.raises(AdapterError, match="holds the adapters default, reference; save the one"):
        open_adapter(lora)


def test_the_model_in_the_adapters_folder(family: Family, lora: Path, tmp_path: Path) -> None:
    """Each is taken from the files of its own name, whichever of the two the folder is named as."""
    plain = merge(family.base, [family.sft], output_dir=tmp_path / "plain")
    for file in family.base.iterdir():
        shutil.copy(file, lora)
    for number, base in enumerate((family.base, lora)):
        report = merge(base, [lora], output_dir=tmp_path / f"out{number}")
        assert report.content_sha256 == plain.content_sha256


def test_an_old_checkpoint_beside_the_adapter(family: Family, lora: Path) -> None:
    torch.save({}, lora / "pytorch_model.bin")
    require_as_peft_saves_it(family, lora)


CONTAINERS: dict[str, Callable[[Weights, Path], Any]] = {
    "parameters": lambda weights, file: torch.save(
        {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()}, file
    ),
    "before 1.6": lambda weights, file: torch.save(
        weights, file, _use_new_zipfile_serialization=False
    ),
    "safetensors": save_file,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_a_bin_may_be(family: Family, lora: Path, container: str) -> None:
    weights = state_of(lora)
    (lora / FILE).unlink()
    CONTAINERS[container](weights, lora / "adapter_model.bin")
    require_as_peft_saves_it(family, lora)


def test_what_a_bin_may_not_be(lora: Path) -> None:
    weights = state_of(lora)
    (lora / FILE).unlink()  # the tensors map it
    torch.save(weights, lora / FILE)
    with pytest.raises(CheckpointError, match=r"is a file of torch\.save, not safetensors; rename"):
        open_adapter(lora)
    (lora / FILE).unlink()
    with pytest.raises(
        CheckpointError, match=r"no weights \(adapter_model.safetensors, adapter_mo"
    ):
        open_adapter(lora)
    (lora / "adapter_model.bin").write_bytes(pickle.dumps(weights))
    with pytest.raises(
        CheckpointError, match=r"more than named tensors as torch\.save writes them"
    ):
        open_adapter(lora)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda tensor: tensor[:0].flatten(),
            "is empty, as where ZeRO-3 kept the weights in parts",
        ),
        (lambda tensor: tensor.to(torch.int8), "is I8: it is quantized; use the adapter in"),
    ],
)
def test_factors_that_are_no_numbers(
    lora: Path, change: Callable[[torch.Tensor], torch.Tensor], said: str
) -> None:
    save_file({name: change(tensor) for name, tensor in state_of(lora).items()}, lora / FILE)
    with pytest.raises(AdapterError, match=said):
        open_adapter(lora)


@pytest.mark.parametrize(
    "part", ["lora_magnitude_vector.default.weight", "lora_B.bias", "lora_up.weight"]
)
def test_what_belongs_to_another_method(lora: Path, part: str) -> None:
    weights = state_of(lora)
    name = f"base_model.model.model.layers.0.self_attn.q_proj.{part}"
    save_file(weights | {name: torch.ones(4)}, lora / FILE)
    with pytest.raises(AdapterError, match=f"{part}, which is not part of a LoRA"):
        open_adapter(lora)
