"""What lies beside merged weights: configurations, tokenizer and manifest."""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model_prep.checkpoint.checksums import (
    content_digest,
    file_digest,
    published_name,
    tensor_digest,
)
from model_prep.json_file import read_json, write_json
from model_prep.llama.architecture import to_params
from model_prep.lora.plan import MergePlan
from model_prep.lora.stream import Noted
from model_prep.lora.tokenizers import write_tokenizer

_FORMAT = 1
_VERSIONS = ("rag-app", "torch")


def write_configuration(plan: MergePlan, folder: Path) -> None:
    """Write what says what the weights are, and the tokenizer.

    That is ``params.json`` in Meta's format, else ``generation_config.json`` and ``config.json``.
    """
    if plan.meta_config:
        shutil.copyfile(plan.tokenizer, folder / plan.tokenizer.name)
        write_json(folder / "params.json", to_params(plan.meta_config))
        return
    config = {key: value for key, value in plan.config.items() if key != "_name_or_path"}
    config.pop("dtype", None)
    config["torch_dtype"] = plan.dtype  # the spelling that every version of transformers reads
    if plan.vocabulary is not None and "vocab_size" in config:
        config["vocab_size"] = plan.vocabulary
    generation = _generation_config(plan)
    if plan.pad is not None:
        config["pad_token_id"] = generation["pad_token_id"] = plan.pad
    write_json(folder / "generation_config.json", generation)
    write_tokenizer(plan.tokenizer, folder)
    write_json(folder / "config.json", config)


def _generation_config(plan: MergePlan) -> dict[str, Any]:
    """Return the base's, else one of its special tokens alone."""
    file = plan.folder / "generation_config.json"
    if file.is_file():
        return read_json(file)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: plan.config[name] for name in names if plan.config.get(name) is not None}


def manifest_of(plan: MergePlan, merged: list[Noted]) -> dict[str, Any]:
    """Return the content of ``merge.json``: what went in, what made it, what came out.

    Hashes of tensors are `checksums.tensor_digest`'s, so that they do not depend on containers.
    """
    tokenizer = file_digest(plan.tokenizer)
    return {
        "format": _FORMAT,
        "versions": {
            **{name: version(name) for name in _VERSIONS},
            "python": platform.python_version(),
        },
        "base": {
            "path": str(plan.folder),
            "files": {file.name: file.stat().st_size for file in plan.base.files},
            "content_sha256": _base_digest(plan, merged),
        },
        "adapters": [
            {
                "path": str(adapter.folder),
                "known_as": known,
                "r": adapter.config["r"],
                "lora_alpha": adapter.config["lora_alpha"],
                "files": digests,
            }
            for adapter, digests, known in zip(plan.adapters, plan.digests, plan.known, strict=True)
        ],
        "tokenizer": {
            "path": str(plan.tokenizer),
            "sha256": tokenizer,
            "known_as": published_name(tokenizer),
        },
        "dtype": plan.dtype,
        "content_sha256": content_digest({one.info.name: one.digest for one in merged}),
        "tensors": {
            one.info.name: {
                "dtype": one.info.dtype,
                "shape": list(one.info.shape),
                "sha256": one.digest,
            }
            for one in merged
        },
    }


def _base_digest(plan: MergePlan, merged: list[Noted]) -> str:
    digests = {one.name: one.base_digest for one in merged}
    left_out = plan.base.tensors.keys() - digests.keys()
    return content_digest(
        digests | {name: tensor_digest(name, plan.base.read(name)) for name in left_out}
    )
