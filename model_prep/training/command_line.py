"""Options from a YAML file and a command line, names of other projects included."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_prep.errors import TrainingError
from model_prep.training.settings import TrainingSettings

_OLD = tomllib.loads(Path(__file__).with_name("old_options.toml").read_text(encoding="utf-8"))
RENAMED: dict[str, str] = _OLD["renamed"]
"""What the options of the family's training scripts, and LLaMA-Factory's, are called here."""
PASSED_OVER: dict[str, str] = _OLD["passed_over"]
"""Options that mean nothing any more, and why."""
_ONLY: dict[str, dict[str, tuple[str, ...]]] = {
    "pretrain": {"stage": ("pt",), "finetuning_type": ("lora",)},
    "sft": {"stage": ("sft",), "finetuning_type": ("lora",)},
    "prefer": {"stage": ("dpo",), "finetuning_type": ("lora",)},
}
"""Options of LLaMA-Factory that say what each command does anyway."""
_VALUES: dict[str, dict[str, Any]] = {
    "quantization_bit": {"4": "4bit", "8": "8bit"},
    "lora_target": {"all": "all-linear"},
    "resume_from_checkpoint": {"true": True, "false": False},
    "load_in_kbits": {"4": "4bit", "8": "8bit", "16": None, "32": None},
    "flash_attn": {"true": "flash_attention_2", "false": None},
    "pref_loss": {"sigmoid": "dpo"},
    "overwrite_output_dir": {"true": False, "false": None},
}


def read_options(
    kind: type[TrainingSettings], file: Path | None, arguments: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return options by today's names, those of the command line over those of the file.

    Args:
        kind: Whose names there are.
        file: YAML.
        arguments: ``--name value``, ``--name=value``, or ``--name`` alone, which is true.

    Returns:
        The options, and a line about each that is passed over.

    Raises:
        TrainingError: the file can't be read, or an option is unknown or given twice.
    """
    notes: list[str] = []
    options: dict[str, Any] = {}
    for pairs in (read_yaml(file).items() if file else (), _pairs(arguments)):
        options |= _translated(kind, pairs, notes)
    return options, notes


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        TrainingError: it is missing, not YAML, or not a mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise TrainingError(f"{file} can't be read ({reason}); it takes YAML") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        msg = f"{file} holds no options; write one on each line, such as learning_rate: 0.0001"
        raise TrainingError(msg)
    return content


def _pairs(arguments: Sequence[str]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    waiting = list(arguments)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        if not name.startswith("--"):
            raise TrainingError(f"{name!r} is not an option; options are written --name value")
        if not equals:
            value = waiting.pop(0) if waiting and not waiting[0].startswith("--") else "true"
        pairs.append((name.removeprefix("--").replace("-", "_"), value))
    return pairs


def _translated(kind: type[TrainingSettings], pairs: Any, notes: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    unknown = []
    for name, value in pairs:
        if value in _ONLY[kind.kind].get(name, ()):
            continue
        if reason := PASSED_OVER.get(name):
            notes.append(f"--{name} is passed over: {reason}")
            continue
        now = RENAMED.get(name, name)
        if now not in kind.model_fields:
            unknown.append(name)
            continue
        if value is None and now in options:
            continue  # a file may name both, and say nothing by one
        if now in options:
            msg = f"--{name} is given twice" + (f" (as --{now} too)" if now != name else "")
            raise TrainingError(msg)
        options[now] = _value(name, value)
    if unknown:
        raise _unknown(unknown, kind)
    return options


def _value(name: str, value: Any) -> Any:
    if name in _VALUES and str(value).lower() in _VALUES[name]:
        return _VALUES[name][str(value).lower()]
    if name == "validation_split_percentage":
        try:
            share = float(value)  # the scripts took it as a share, whatever its name says
        except (TypeError, ValueError):
            return value  # refused with everything that is not a number
        return share / 100 if share >= 1 else share
    return None if value in ("", "None", "none") else value


def _unknown(names: list[str], kind: type[TrainingSettings]) -> TrainingError:
    name, *others = names
    known = [*kind.model_fields, *RENAMED, *PASSED_OVER]
    near = difflib.get_close_matches(name, known, 1)
    command = f"model-prep {kind.kind} --options"
    hint = f"; did you mean --{near[0]}?" if near else f"; `{command}` lists all"
    more = "".join(f", nor --{other}" for other in others)
    return TrainingError(f"there is no option --{name}{more}{hint}")
