"""Adapters of random configurations over tiny models, and what PEFT makes of them.

``python -m tests.model_prep.lora.random_adapters 500`` tries that many and prints the outcomes.
"""

import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from model_prep.errors import ModelPrepError
from model_prep.lora.merge import merge
from tests.model_prep.family import state_of
from tests.model_prep.seeds import try_seeds

ROWS = 96
_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_SIZES: dict[str, Any] = {
    "vocab_size": ROWS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
_REFUSED_FIELDS = ("use_dora", "lora_bias", "trainable_token_indices", "init_lora_weights")


def make_base(folder: Path, kind: str, dtype: torch.dtype, *, tied: bool) -> Path:
    """A model with a tokenizer of fewer ids than it has rows."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    model: Any = (
        Qwen2ForCausalLM(Qwen2Config(**_SIZES, tie_word_embeddings=tied))
        if kind == "qwen2"
        else LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=tied))
    )
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.0 if weight.dim() > 1 else 1.0, std=0.05)
    model.to(dtype).save_pretrained(folder)
    words = {chr(0x4E00 + number): number for number in range(ROWS - 6)}
    Tokenizer(models.BPE(words, [])).save(str(folder / "tokenizer.json"))
    return folder


def random_configuration(chance: random.Random) -> dict[str, Any]:
    """Arguments of PEFT's ``LoraConfig``; some of them PEFT itself refuses."""
    options: dict[str, Any] = {
        "r": chance.choice([1, 2, 3, 6, 8, 12]),
        "lora_alpha": chance.choice([1, 7, 10, 16, 32]),
        "use_rslora": chance.random() < 0.3,
        "target_modules": chance.choice(
            [
                chance.sample(_LINEAR, chance.randint(1, 7)),
                [*chance.sample(_LINEAR, 2), "embed_tokens"],
                [*chance.sample(_LINEAR, 1), "lm_head"],
                [*chance.sample(_LINEAR, 2), "no_such_module"],
                "all-linear",
                r".*layers\.1\..*(q|k|up)_proj",
                r".*\.(gate|down)_proj",
            ]
        ),
    }
    sometimes = {
        "rank_pattern": {"q_proj": 5, r"layers\.0\.mlp\.\w+_proj": 4},
        "alpha_pattern": {"v_proj": 3, "model.layers.1.self_attn.q_proj": 90},
        "exclude_modules": chance.choice([["k_proj"], r".*layers\.0\.mlp.*"]),
        "layers_to_transform": chance.choice([[1], 0, [0, 1]]),
        "modules_to_save": chance.choice(
            [
                ["embed_tokens", "lm_head"],
                ["embed_tokens"],
                ["lm_head"],
                ["input_layernorm", "norm"],
            ]
        ),
        "bias": chance.choice(["all", "lora_only"]),
        "fan_in_fan_out": True,
        "init_lora_weights": chance.choice(["pissa", "olora", "gaussian", "orthogonal"]),
        "use_dora": True,
        "lora_bias": True,
        "trainable_token_indices": [1, 5],
        "ensure_weight_tying": True,
    }
    for name in chance.sample(sorted(sometimes), chance.randint(0, 3)):
        if name not in _REFUSED_FIELDS or chance.random() < 0.4:
            options[name] = sometimes[name]
    return options


def make_adapter(base: Path, folder: Path, options: dict[str, Any], seed: int) -> bool:
    """Save an adapter with random weights; False where PEFT refuses the configuration."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's advice
        try:
            adapted: Any = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
        except (ValueError, NotImplementedError, TypeError, KeyError, RuntimeError):
            return False
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
        adapted.save_pretrained(folder)
    return True


def by_peft(base: Path, folder: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return, for each weight of PEFT's model, what merging makes of it, and its scale.

    Both float32: base plus PEFT's own delta, and the largest number that was rounded on the way.
    """
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from peft.utils import ModulesToSaveWrapper
    from transformers import AutoModelForCausalLM

    model: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    inside, merged = model.base_model.model, {}
    for path, module in inside.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            module = module.modules_to_save["default"]
        if isinstance(module, LoraLayer):
            layer: Any = module
            plain = layer.get_base_layer()
            weight, delta = plain.weight.float(), layer.get_delta_weight("default").float()
            scale = torch.maximum(weight.abs(), delta.abs()) + _magnitude(layer)
            merged[f"{path}.weight"] = (weight + delta, scale)
            if getattr(plain, "bias", None) is not None:
                merged[f"{path}.bias"] = (plain.bias.float(), plain.bias.float().abs())
        elif not any(part in path for part in ("base_layer", "modules_to_save", "lora_")):
            for name, parameter in module.named_parameters(recurse=False):
                merged[f"{path}.{name}"] = (parameter.float(), parameter.float().abs())
    return {name: pair for name, pair in merged.items() if ".original_module." not in name}


def _magnitude(layer: Any) -> torch.Tensor:
    """Return the sums of what is added up in a product: where they cancel, their order shows."""
    if "default" in layer.lora_embedding_A:
        factors = layer.lora_embedding_A["default"].T, layer.lora_embedding_B["default"].T
    else:
        factors = layer.lora_B["default"].weight, layer.lora_A["default"].weight
    first, second = (factor.float().abs() for factor in factors)
    magnitude: torch.Tensor = first @ second * abs(layer.scaling["default"])
    return magnitude


def differing(out: Path, expected: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> list[str]:
    """Return the weights of a merged folder that are off by more than a unit in the last place."""
    merged = state_of(out)
    config = json.loads((out / "config.json").read_bytes())
    if config.get("tie_word_embeddings"):
        merged.setdefault("lm_head.weight", merged["model.embed_tokens.weight"])
    wrong = sorted(merged.keys() ^ expected.keys())
    for name in merged.keys() & expected.keys():
        weight, (right, scale) = merged[name], expected[name]
        unit = torch.finfo(weight.dtype).eps * torch.maximum(scale, right.abs())
        if weight.shape != right.shape or ((weight.float() - right).abs() > unit).any():
            wrong.append(name)
    return wrong


def outcome(bases: list[Path], folder: Path, seed: int) -> str:
    """Try one configuration: ``merged``, ``refused: …``, ``not of PEFT``, or ``wrong: …``."""
    chance = random.Random(seed)
    base, options = chance.choice(bases), random_configuration(chance)
    lora, out = folder / "lora", folder / "out"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's advice
        if not make_adapter(base, lora, options, seed):
            return "not of PEFT"
        try:
            merge(base, [lora], output_dir=out)
        except ModelPrepError as error:
            lines = str(error).splitlines()
            return f"refused: {error}" if len(lines) == 1 else f"wrong: {lines}"
        try:
            wrong = differing(out, by_peft(base, lora))
        except (RuntimeError, ValueError) as error:
            return f"not loaded by PEFT: {error}"
    return f"wrong: {base.name} {options} {wrong}" if wrong else "merged"


def make_bases(folder: Path) -> list[Path]:
    dtypes = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
    return [
        make_base(folder / f"{kind}-{name}{'-tied' * tied}", kind, dtype, tied=tied)
        for kind, tied in (("llama", False), ("qwen2", False), ("qwen2", True))
        for name, dtype in dtypes.items()
    ]


if __name__ == "__main__":
    try_seeds(sys.argv[1:], make_bases, outcome, ("merged", "not of PEFT"))
