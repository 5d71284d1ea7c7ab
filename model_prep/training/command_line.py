"""Options from a YAML file and a command line, names of other projects included."""

import difflib
import tomllib
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from model_prep.errors import CheckpointError, TrainingError
from model_prep.json_file import read_json
from model_prep.training.conversations import COLUMNS, TAGS
from model_prep.training.dataset_files import TEXT_KEYS
from model_prep.training.settings import ALL_LINEAR, TrainingSettings

_OLD = tomllib.loads(Path(__file__).with_name("old_options.toml").read_text(encoding="utf-8"))
RENAMED: dict[str, str] = _OLD["renamed"]
"""What the options of the family's training scripts, and LLaMA-Factory's, are called here."""
PASSED_OVER: dict[str, str] = _OLD["passed_over"]
"""Options that mean nothing any more, and why."""
_STAGES = {"pt": "pretrain", "sft": "sft", "dpo": "prefer"}
"""The command for each stage of LLaMA-Factory."""
_ONLY = {"finetuning_type": ("lora",), "quantization_method": ("bitsandbytes", "bnb")}
"""Options of LLaMA-Factory that say what is done anyway, or what can't be."""
_DATASETS = {"dataset_dir": "data", "dataset": "data", "eval_dataset": "validation"}
"""A folder of data and LLaMA-Factory's names for what is in it, and the options they stand for."""
_REGISTRY = "dataset_info.json"
_FLASH = "flash_attention_2"
_VALUES: dict[str, dict[str, Any]] = {
    "quantization_bit": {"4": "4bit", "8": "8bit"},
    "lora_target": {"all": "all-linear"},
    "resume_from_checkpoint": {"true": True, "false": False},
    "load_in_kbits": {"4": "4bit", "8": "8bit", "16": None, "32": None},
    "flash_attn": {"true": _FLASH, "fa2": _FLASH, "false": None, "auto": None},
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
        arguments: ``--name value``, ``--name=value``, ``--name`` alone, which is true, or several
            values after a name, as a shell makes of ``*.jsonl``.

    Returns:
        The options, and a line about each that is passed over.

    Raises:
        TrainingError: the file can't be read, an option is unknown or given twice, or says what is
            only done by LLaMA-Factory.
    """
    notes: list[str] = []
    options: dict[str, Any] = {}
    of_file = [*read_yaml(file).items()] if file else []
    of_line = _pairs(arguments)
    for pairs in (of_file, of_line):
        own = _translated(kind, pairs, notes)
        for name in own.keys() & _DATASETS:
            options.pop(_DATASETS[name], None)
        options |= own
    _find_data(kind, options, notes)
    if "finetuning_type" in dict([*of_file, *of_line]):
        _add_defaults(options, notes)
    return options, notes


def _find_data(kind: type[TrainingSettings], options: dict[str, Any], notes: list[str]) -> None:
    """Put files, or their folder, in the place of the names of data.

    Raises:
        TrainingError: a name is not there, its data is no file, or a column is called otherwise.
    """
    # Plain text is under these names only.
    columns = COLUMNS | {"prompt": TEXT_KEYS} if kind.kind == "pretrain" else COLUMNS
    folder, *named = (options.pop(name, None) for name in _DATASETS)
    wanted = {
        option: names if isinstance(names, list) else str(names).split(",")
        for option, names in zip(("data", "validation"), named, strict=True)
        if names and not options.get(option)
    }
    if wanted:
        place = Path(str(folder or "data"))
        try:
            registry = read_json(place / _REGISTRY)
        except CheckpointError as error:
            msg = f"{error} (--dataset_dir names its folder); or name files: --data FILE"
            raise TrainingError(msg) from error
        for option, given in wanted.items():
            names = [str(name).strip() for name in given]
            options[option] = [_registered_file(place, registry, name, columns) for name in names]
            notes += [
                f"num_samples of {name} is passed over: {PASSED_OVER['max_samples']}"
                for name in names
                if registry[name].get("num_samples")
            ]
    if folder and not options.get("data"):
        options["data"] = folder


def _registered_file(
    folder: Path, registry: dict[str, Any], name: str, columns: dict[str, tuple[str, ...]]
) -> Path:
    entry = registry.get(name)
    if not isinstance(entry, dict):
        raise TrainingError(f"{folder / _REGISTRY} has no {name}; name files: --data FILE")
    if not isinstance(file := entry.get("file_name"), str):
        raise TrainingError(f"{name} in {folder / _REGISTRY} is no file; download it, and name it")
    for table, known in (("columns", columns), ("tags", TAGS)):
        given = entry.get(table) or {}
        if not isinstance(given, dict):
            msg = f"{table} of {name} in {folder / _REGISTRY} are not names and values"
            raise TrainingError(msg)
        for what, names in known.items():
            called = given.get(what)
            if called and called not in names:
                raise TrainingError(
                    f"{name} in {folder / _REGISTRY} calls its {what} {called}, which is not read "
                    f"here; rename that in {file} to {names[0]}, and there too"
                )
    return folder / file


def _add_defaults(options: dict[str, Any], notes: list[str]) -> None:
    """Add what LLaMA-Factory takes for the LoRA's options that are not given."""
    rank = str(options.get("lora_rank") or 8)
    if options.get("adapter") or not rank.isdecimal():
        return
    defaults = {"lora_rank": 8, "lora_alpha": 2 * int(rank), "target_modules": ALL_LINEAR}
    for name, value in defaults.items():
        if options.get(name) is None:
            options[name] = value
            notes.append(f"--{name} is {value}, as LLaMA-Factory has it where none is given")


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
        values = [value] if equals else [*takewhile(lambda word: word[:2] != "--", waiting)]
        del waiting[: 0 if equals else len(values)]
        given = values if len(values) > 1 else values[0] if values else "true"
        pairs.append((name.removeprefix("--").replace("-", "_"), given))
    return pairs


def _translated(kind: type[TrainingSettings], pairs: Any, notes: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    unknown = []
    for name, value in pairs:
        if name == "stage" or name in _ONLY:
            _require_same(kind, name, value)
            continue
        if reason := PASSED_OVER.get(name):
            notes.append(f"--{name} is passed over: {reason}")
            continue
        now = RENAMED.get(name, name)
        if now not in kind.model_fields and now not in _DATASETS:
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
    for name in options.keys() & _DATASETS:
        if options[name] and options.get(_DATASETS[name]):
            raise TrainingError(f"--{name} is given twice (as --{_DATASETS[name]} too)")
    return options


def _require_same(kind: type[TrainingSettings], name: str, value: Any) -> None:
    """Check that an option of LLaMA-Factory says what is done anyway.

    Raises:
        TrainingError: it says something else.
    """
    if name == "stage":
        does = _STAGES.get(str(value))
        if does != kind.kind:
            command = f"run: model-prep {does}" if does else "use LLaMA-Factory"
            raise TrainingError(f"--stage {value} is not what {kind.kind} does; {command}")
    elif value not in _ONLY[name]:
        raise TrainingError(
            f"--{name} {value} is not done here, only {_ONLY[name][0]}; leave it out, or use "
            "LLaMA-Factory"
        )


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
