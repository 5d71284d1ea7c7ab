"""The files of a merged model: Meta's shards, configuration, tokenizer and manifest."""

import platform
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model_prep.checkpoint.checksums import (
    content_digest,
    file_digest,
    published_name,
    tensor_digest,
)
from model_prep.checkpoint.pth_file import pth_writer
from model_prep.checkpoint.reader import tensor_pieces
from model_prep.checkpoint.tensors import TensorInfo
from model_prep.json_file import read_json, write_json
from model_prep.llama.architecture import to_params
from model_prep.llama.meta_layout import shard_slices, sliced_shape
from model_prep.lora.plan import MergePlan
from model_prep.lora.stream import MergedTensor
from model_prep.tokenizer.files import write_tokenizer
from model_prep.tokenizer.loading import MODEL_FILE
from model_prep.tokenizer.sentencepiece_file import read_sentencepiece

_FORMAT = 1
_VERSIONS = ("rag-app", "torch")


def write_pth_shards(
    folder: Path, infos: list[TensorInfo], merged: Iterator[MergedTensor], shards: int
) -> None:
    """Write ``consolidated.00.pth`` and so on, all at once: each tensor is made once.

    Args:
        folder: Exists.
        infos: All tensors before they are split, by Meta's names, in the order of ``merged``.
        merged: Yields them.
        shards: Number of files.
    """

    def part(info: TensorInfo, shard: int) -> tuple[slice, ...]:
        return shard_slices(info.name, info.shape, shard, shards)

    with ExitStack() as files:
        writers = [
            files.enter_context(
                pth_writer(
                    folder / f"consolidated.{shard:02}.pth",
                    [
                        TensorInfo(
                            info.name, info.dtype, sliced_shape(info.shape, part(info, shard))
                        )
                        for info in infos
                    ],
                )
            )
            for shard in range(shards)
        ]
        for tensor in merged:
            for shard, write in enumerate(writers):
                write(tensor_pieces(tensor.weight[part(tensor.planned.info, shard)]))


def write_configuration(plan: MergePlan, folder: Path) -> None:
    """Write what says what the weights are, and the tokenizer.

    That is ``params.json`` in Meta's format, else ``generation_config.json`` and ``config.json``.
    """
    if plan.meta_config:
        shutil.copyfile(plan.tokenizer, folder / plan.tokenizer.name)
        write_json(folder / "params.json", to_params(plan.meta_config))
        return
    config = {key: value for key, value in plan.base_config.items() if key != "_name_or_path"}
    config.pop("dtype", None)
    config["torch_dtype"] = plan.dtype  # the spelling that every version of transformers reads
    if plan.vocab_size is not None and "vocab_size" in config:
        config["vocab_size"] = plan.vocab_size
    # Where nothing is said some architectures are tied, and others are not.
    if plan.tied is False or (plan.tied and "tie_word_embeddings" in config):
        config["tie_word_embeddings"] = plan.tied
    generation = _generation_config(plan)
    _correct_ends(plan.tokenizer, config, generation)
    if plan.pad_token_id is not None:
        config["pad_token_id"] = generation["pad_token_id"] = plan.pad_token_id
    write_json(folder / "generation_config.json", generation)
    write_tokenizer(plan.tokenizer, folder, template=plan.chat_template)
    write_json(folder / "config.json", config)


def _correct_ends(tokenizer: Path, *configs: dict[str, Any]) -> None:
    """Put LLaMA's own ids where an early conversion of it left others.

    The pieces 0, 1 and 2 are ``<unk>``, ``<s>`` and ``</s>`` in all of the family; there are bases
    whose configuration says 0 and 1 for the last two, and -1 for the padding.
    """
    if tokenizer.name != MODEL_FILE or not read_sentencepiece(tokenizer).is_llama:
        return
    for config in configs:
        if config.get("bos_token_id") in (0, 2):
            config["bos_token_id"] = 1
        if config.get("eos_token_id") in (0, 1):
            config["eos_token_id"] = 2
        if isinstance(pad := config.get("pad_token_id"), int) and pad < 0:
            del config["pad_token_id"]


def _generation_config(plan: MergePlan) -> dict[str, Any]:
    """Return the base's, else one of its special tokens alone."""
    file = plan.base_model / "generation_config.json"
    if file.is_file():
        return read_json(file)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {
        name: plan.base_config[name] for name in names if plan.base_config.get(name) is not None
    }


def merge_manifest(
    plan: MergePlan, digests: dict[str, str], base_digests: dict[str, str]
) -> dict[str, Any]:
    """Return the content of ``merge.json``: what went in, what made it, what came out.

    Hashes of tensors are `checksums.tensor_digest`'s, so that they do not depend on containers.
    """
    tokenizer = file_digest(plan.tokenizer)
    left_out = plan.base.tensors.keys() - base_digests.keys()
    all_digests = base_digests | {
        name: tensor_digest(name, plan.base.read(name)) for name in left_out
    }
    return {
        "format": _FORMAT,
        "versions": {
            **{name: version(name) for name in _VERSIONS},
            "python": platform.python_version(),
        },
        "base": {
            "path": str(plan.base_model),
            "files": {file.name: file.stat().st_size for file in plan.base.files},
            "content_sha256": content_digest(all_digests),
        },
        "adapters": [
            {
                "path": str(adapter.folder),
                "known_as": known,
                "r": adapter.config["r"],
                "lora_alpha": adapter.config["lora_alpha"],
                "files": of_files,
            }
            for adapter, of_files, known in zip(
                plan.adapters, plan.digests, plan.known, strict=True
            )
        ],
        "tokenizer": {
            "path": str(plan.tokenizer),
            "sha256": tokenizer,
            "known_as": published_name(tokenizer),
        },
        "dtype": plan.dtype,
        "content_sha256": content_digest(digests),
        "tensors": {
            tensor.info.name: {
                "dtype": tensor.info.dtype,
                "shape": list(tensor.info.shape),
                "sha256": digests[tensor.info.name],
            }
            for tensor in plan.tensors
        },
    }
