"""LoRAs attached to a loaded model by PEFT, without merging them into its weights.

A LoRA may bring modules too (``modules_to_save``: in this family the embeddings and the
output layer, with a row for each piece of a larger vocabulary). PEFT holds such modules beside the
model's and uses those of one adapter only, all of one size; here they replace the model's, each
LoRA's in its turn, so that the later one wins, as it does in a merge.
"""

import warnings
from typing import TYPE_CHECKING, Any

from model_prep.errors import AdapterError, first_line
from model_prep.llama.expected_tensors import INPUT, OUTPUT
from model_prep.lora.adapter import Adapter
from model_prep.process_state import seeded

if TYPE_CHECKING:
    import torch


def attach_loras(model: Any, adapters: list[Adapter]) -> Any:
    """Return the model, whose modules are changed, with all LoRAs active in the order given.

    Raises:
        AdapterError: one does not fit the model.
    """
    for adapter in adapters:
        for weight, name in adapter.modules_to_save.items():
            _replace(model, weight, adapter.checkpoint.read(name), adapter)
    outputs = model.get_output_embeddings()
    if outputs is not None and outputs.weight is not model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False  # where only one was replaced
    # PEFT draws factors at random, which those of the adapters then replace.
    with seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT asks transformers for what is on its way out
        for number, adapter in enumerate(adapters):
            model = _attach(model, f"lora{number}", adapter)
        names = [f"lora{number}" for number in range(len(adapters))]
        model.base_model.set_adapter(names, inference_mode=True)
    return model.eval()


def _replace(model: Any, weight: str, saved: "torch.Tensor", adapter: Adapter) -> None:
    """Put a saved weight in a module's place; embeddings may get another number of rows."""
    import torch

    path, _, parameter = weight.rpartition(".")
    try:
        module = model.get_submodule(path)
        old = getattr(module, parameter)
    except AttributeError as error:
        msg = f"{adapter.folder} brings {weight}, which the base model has no place for"
        raise AdapterError(msg) from error
    new = torch.nn.Parameter(saved.to(old.device, old.dtype, copy=True), requires_grad=False)
    setattr(module, parameter, new)
    if module in (model.get_input_embeddings(), model.get_output_embeddings()):
        rows = "num_embeddings" if hasattr(module, "num_embeddings") else "out_features"
        setattr(module, rows, len(new))
        model.config.vocab_size = len(new)


def _factors_by_name(adapter: Adapter) -> "dict[str, torch.Tensor]":
    """Return an adapter's factors by the names that PEFT gives them today."""
    named = {}
    for weight, factors in adapter.factors.items():
        module = f"base_model.model.{weight.removesuffix('.weight')}"
        embedding = ".lora_embedding_" in factors.lora_a
        for side, name in (("A", factors.lora_a), ("B", factors.lora_b)):
            factor = f"lora_embedding_{side}" if embedding else f"lora_{side}.weight"
            named[f"{module}.{factor}"] = adapter.checkpoint.read(name)
    return named


def _attach(model: Any, name: str, adapter: Adapter) -> Any:
    from dataclasses import fields

    from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict

    known = {field.name for field in fields(LoraConfig)} - {"peft_type"}
    settings = {key: value for key, value in adapter.config.items() if key in known}
    # The modules that it has, by name: what its configuration says of them was checked.
    settings |= dict.fromkeys(("modules_to_save", "exclude_modules", "layers_to_transform"))
    settings["target_modules"] = [weight.removesuffix(".weight") for weight in adapter.factors]
    config = LoraConfig(**{**settings, "ensure_weight_tying": False, "inference_mode": True})
    weights = _factors_by_name(adapter)
    if adapter.factors.get(OUTPUT) and adapter.factors[OUTPUT] is adapter.factors.get(INPUT):
        update = adapter.read_update(OUTPUT)  # tied: it has factors of the embeddings alone
        place = f"base_model.model.{OUTPUT.removesuffix('.weight')}"
        weights[f"{place}.lora_A.weight"] = update.lora_a
        weights[f"{place}.lora_B.weight"] = update.lora_b
    try:
        if isinstance(model, PeftModel):
            model.add_adapter(name, config)
        else:
            model = get_peft_model(model, config, adapter_name=name)
        result = set_peft_model_state_dict(model, weights, adapter_name=name)
    except (ValueError, RuntimeError, KeyError) as error:
        reason = first_line(error)
        msg = f"{adapter.folder} does not fit the base model ({reason}); it is for another model"
        raise AdapterError(msg) from error
    missing = [key for key in result.missing_keys if f".{name}." in key]
    if odd := [*result.unexpected_keys, *missing]:
        msg = f"{adapter.folder} does not fit the base model ({odd[0]}); it is for another model"
        raise AdapterError(msg)
    return model
