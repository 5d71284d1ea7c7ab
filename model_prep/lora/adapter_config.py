"""``adapter_config.json`` as PEFT writes it: which modules a LoRA acts on, and how strongly.

Fields and their meaning are those of PEFT's ``LoraConfig``. What would change the arithmetic of a
merge and is not done here is refused by the name of its field, unknown fields of later versions of
PEFT among them: a merge that passed over one would be wrong without a word.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from model_prep.errors import AdapterError
from model_prep.json_file import require_whole_links

CONFIG = "adapter_config.json"

_OTHER_METHODS = {
    "use_dora": "DoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "BD-LoRA",
    "lora_bias": "LoRA with biases",
    "trainable_token_indices": "trainable tokens",
    "target_parameters": "LoRA on parameters",
    "layer_replication": "layer replication",
    "alora_invocation_tokens": "activated LoRA",
    "kasa_config": "KaSA",
    "velora_config": "VeLoRA",
    "monteclora_config": "MonteCLoRA",
    "arrow_config": "Arrow routing",
    "megatron_config": "Megatron's layers",
}
"""Fields of PEFT that change what a merge would have to compute."""
_UNDERSTOOD = {
    *("peft_type", "swift_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"),
    *("target_modules", "exclude_modules", "modules_to_save", "fan_in_fan_out", "bias"),
    *("layers_to_transform", "layers_pattern", "ensure_weight_tying", "init_lora_weights"),
}
_NO_MATTER = {
    *("auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode"),
    *("peft_version", "lora_dropout", "megatron_core", "loftq_config", "eva_config"),
    *("corda_config", "lora_ga_config", "qalora_group_size", "runtime_config"),
    *("enable_lora", "merge_weights", "model_type", "transformers_version"),
    *("lora_dtype", "lorap_lr_ratio", "lorap_emb_lr"),  # of ms-swift: how it was trained
}
"""Fields without a say in a merge; the configurations of initializations go by the next table."""
_INIT_OF_LORA_ALONE = ("gaussian", "eva", "orthogonal", "true", "false")
"""Values of ``init_lora_weights`` that leave the base as it is; others take something off it."""


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """Read and check the configuration of a LoRA.

    Raises:
        AdapterError: there is none, it is damaged, or of an adapter that can't be merged.
    """
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8-sig"))
        kind = str(config.get("peft_type") or config.get("swift_type") or "LORA").upper()
        missing = {"r", "lora_alpha"} - config.keys()
        if kind == "LORA" and not missing:
            _require_types(config)
    except NotADirectoryError:
        raise AdapterError(
            f"{folder} is a file; name the folder of a LoRA as PEFT saves it, with {CONFIG} (a "
            "GGUF adapter was made from one)"
        ) from None
    except FileNotFoundError:
        raise AdapterError(_no_config(folder)) from None
    except (OSError, ValueError, TypeError, AttributeError, re.error) as error:
        msg = f"{file} is not a LoRA's configuration ({error}); fetch it again"
        raise AdapterError(msg) from error
    except RecursionError as error:
        msg = f"{file} is not a LoRA's configuration (nested too deeply); fetch it again"
        raise AdapterError(msg) from error
    if kind != "LORA":
        raise AdapterError(f"{folder} is an adapter of the kind {kind}; only LoRA can be merged")
    if missing:
        raise AdapterError(
            f"{file} is not a LoRA's configuration as PEFT writes it: it has no {min(missing)}; "
            "convert another program's adapter with that program, or fetch it again"
        )
    _require_understood(folder, config)
    return dict(config)


def _no_config(folder: Path) -> str:
    """Return what a folder without a configuration is, and where one is near it."""
    if not folder.exists():
        return (
            f"there is no {folder}; check the path (an adapter on the Hugging Face hub is fetched "
            "with: model-prep pull NAME/REPOSITORY --hub)"
        )
    require_whole_links(folder)
    msg = f"{folder} is not a LoRA: it has no {CONFIG}"
    held = (*folder.glob(f"*/{CONFIG}"), *folder.glob(f"*/*/{CONFIG}"))  # ms-swift's are two below
    if below := sorted(str(file.parent) for file in held):
        return f"{msg}; name a folder below that has one: {', '.join(below[:3])}"
    found = ", ".join(sorted(path.name for path in folder.glob("*"))[:5]) or "nothing"
    return f"{msg} (there is {found}); name the adapter's folder"


def _require_types(config: dict[str, Any]) -> None:
    """Check the values that the arithmetic is made of.

    Raises:
        TypeError, ValueError, re.error: one is missing or of another kind.
    """
    ranks, alphas = (config.get(f"{kind}_pattern") or {} for kind in ("rank", "alpha"))
    numbers = [config["lora_alpha"], *alphas.values()]
    if not all(math.isfinite(float(number)) for number in numbers):
        raise ValueError("lora_alpha is not a number")
    if any(int(r) < 1 for r in [config["r"], *ranks.values()]):
        raise ValueError("r is below 1")
    for pattern in [*ranks, *alphas]:
        re.compile(pattern)
    for field in ("target_modules", "exclude_modules", "modules_to_save"):
        value = config.get(field)
        names = [value] if isinstance(value, str) else value or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"{field} are not names")
        if isinstance(value, str):
            re.compile(value)
    if isinstance(config.get("modules_to_save"), str):
        raise TypeError("modules_to_save is not a list")
    layers = config.get("layers_to_transform")
    if not all(isinstance(layer, int) for layer in _listed(layers)):
        raise TypeError("layers_to_transform are not numbers")


def _require_understood(folder: Path, config: dict[str, Any]) -> None:
    for field, method in _OTHER_METHODS.items():
        if config.get(field):
            msg = f"{folder} uses {method} ({field}), which can't be merged here; use PEFT itself"
            raise AdapterError(msg)
    start = config.get("init_lora_weights")
    if start is not None and str(start).lower() not in _INIT_OF_LORA_ALONE:
        raise AdapterError(
            f"{folder} was begun by changing the base's weights (init_lora_weights {start!r}), so "
            "that it fits no base as published; let PEFT convert it into an ordinary LoRA "
            "(save_pretrained with path_initial_model_for_weight_conversion), and merge that"
        )
    for field, value in config.items():
        if field not in _UNDERSTOOD | _NO_MATTER | _OTHER_METHODS.keys() and value:
            raise AdapterError(
                f"{folder} has {field} in its {CONFIG}, which is not known here and may change the "
                "result; merge with PEFT itself, or remove the field if it does not affect a merge"
            )


def by_pattern(patterns: dict[str, float] | None, module: str, default: float) -> float:
    """Return the value of the first pattern that is the end, or the whole, of the module's name.

    Example:
        >>> by_pattern({"q_proj": 3}, "model.layers.0.self_attn.q_proj", 8)
        3
    """
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def targets(config: dict[str, Any], module: str) -> bool:
    """Return whether a configuration asks for a LoRA on the module of that name.

    Source of the rules: ``check_target_module_exists`` of PEFT.
    """
    excluded, wanted = config.get("exclude_modules"), config.get("target_modules")
    if excluded and _names(excluded, module):
        return False
    saved = config.get("modules_to_save") or []
    if any(re.match(rf"(^|.*\.){name}($|\..*)", module) for name in saved):
        return False
    if not wanted:
        return False
    if isinstance(wanted, str):
        return _names(wanted, module)
    return _names(wanted, module) and (module in wanted or _in_layers(config, module))


def _names(names: str | list[str], module: str) -> bool:
    """Return whether a regular expression is the module's name, or one of a list its end."""
    if isinstance(names, str):
        return bool(re.fullmatch(names, module))
    return any(f".{module}".endswith(f".{name}") for name in names)


def _in_layers(config: dict[str, Any], module: str) -> bool:
    layers = config.get("layers_to_transform")
    if layers is None or layers == []:
        return True
    patterns = config.get("layers_pattern") or []
    places = [rf"(?:^|.*?\.){pattern}\.(\d+)\." for pattern in _listed(patterns)]
    matches = (re.match(place, module) for place in places or [r".*?\.[^.]*\.(\d+)\."])
    found = next(filter(None, matches), None)
    return found is not None and int(found[1]) in _listed(layers)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
