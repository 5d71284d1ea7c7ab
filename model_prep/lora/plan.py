"""A merge that has been checked and not begun: what goes in, and what will come out."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from model_prep.checkpoint.checksums import file_digests, published_name
from model_prep.errors import AdapterError, MergeOrderError
from model_prep.llama.architecture import ModelConfig, to_params
from model_prep.lora.adapter import EMBEDDINGS, Adapter, open_adapter
from model_prep.lora.base import BaseWeights, config_of, open_base
from model_prep.lora.options import MANIFEST, SPELLED, Dtype, OutputType
from model_prep.lora.order import Stage, require_order
from model_prep.lora.planned_tensors import (
    PlannedTensor,
    in_meta_order,
    plan_tensors,
    require_one_vocabulary,
)
from model_prep.lora.tokenizers import find_tokenizer, pad_id, tokenizer_size
from model_prep.progress import Progress

_CONV1D = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}
"""Models that keep their matrices as in × out (transformers' ``Conv1D``)."""
_SAMPLE_ROWS = 1000
"""Spread over the vocabulary: rows of rare pieces may not have moved in training."""


@dataclass(frozen=True)
class MergePlan:
    """Everything that `merge` needs to know; made by `prepare_merge`."""

    folder: Path
    """Of the base."""
    base: BaseWeights
    config: dict[str, Any]
    """The base's."""
    adapters: list[Adapter]
    digests: list[dict[str, str]]
    """Of each adapter: file name → SHA256."""
    known: list[str | None]
    """What each adapter was published as."""
    tensors: list[PlannedTensor]
    vocabulary: int | None
    """Rows of the merged embeddings."""
    tokenizer: Path
    """The file whose tokenizer the result gets: of the last that has one."""
    pad: int | None
    """Id of ``[PAD]`` where it is the last piece, as in Chinese-Alpaca and nowhere before it."""
    dtype: Dtype
    meta_config: ModelConfig | None
    """Of the result where it is to be in Meta's format; None: Hugging Face's."""

    @property
    def size(self) -> int:
        """Bytes of the merged tensors."""
        return sum(tensor.info.size for tensor in self.tensors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.base.close()
        for adapter in self.adapters:
            adapter.checkpoint.close()


def prepare_merge(
    base_model: Path,
    lora_models: list[Path],
    *,
    output_type: OutputType = "huggingface",
    dtype: Dtype = "float16",
    progress: Progress | None = None,
) -> MergePlan:
    """Open and check everything that goes into a merge; only the adapters are read, to hash them.

    Args:
        base_model: A folder of weights with their configuration and tokenizer.
        lora_models: Folders of LoRAs, in the order in which they are to be added.
        output_type: Format of the result.
        dtype: Of the result.
        progress: Told how far the hashing is.

    Raises:
        MergeOrderError: the parts, or their tokenizers, do not belong together in this order.
        AdapterError: an adapter is none, can't be merged, or does not fit the base.
        CheckpointError: weights are missing or damaged.
    """
    if not lora_models:
        raise AdapterError("no LoRA is given; name one with --lora-model")
    base, config = open_base(base_model)
    conv1d = config.get("model_type") in _CONV1D
    adapters = [open_adapter(folder, conv1d=conv1d) for folder in lora_models]
    digests = _digests(adapters, progress)
    known = [
        next(filter(None, (published_name(digest) for digest in one.values())), None)
        for one in digests
    ]
    _require_unmerged(base_model, base, adapters, digests)
    require_order(
        Stage(base_model, _rows(base), _pieces(base_model)),
        [
            Stage(adapter.folder, adapter.vocabulary, _pieces(adapter.folder), name)
            for adapter, name in zip(adapters, known, strict=True)
        ],
    )
    tensors = plan_tensors(base, adapters, SPELLED[dtype])
    vocabulary = require_one_vocabulary(tensors, lora_models[-1])
    meta_config = None
    if output_type == "pth":
        meta_config = replace(config_of(base_model, base), vocab_size=vocabulary or 0)
        to_params(meta_config)  # raises where Meta's format has no words for it
        tensors = in_meta_order(tensors, meta_config)
    tokenizer = next(filter(None, map(find_tokenizer, [*reversed(lora_models), base_model])))
    return MergePlan(
        folder=base_model,
        base=base,
        config=config,
        adapters=adapters,
        digests=digests,
        known=known,
        tensors=tensors,
        vocabulary=vocabulary,
        tokenizer=tokenizer,
        pad=pad_id(tokenizer),
        dtype=dtype,
        meta_config=meta_config,
    )


def _digests(adapters: list[Adapter], progress: Progress | None) -> list[dict[str, str]]:
    files = [file for adapter in adapters for file in adapter.checkpoint.files]
    found = file_digests(files, progress)
    return [{file.name: found[file] for file in one.checkpoint.files} for one in adapters]


def _rows(base: BaseWeights) -> int | None:
    held = [base.tensors[name].shape[0] for name in EMBEDDINGS if name in base.tensors]
    return held[0] if held else None


def _pieces(folder: Path) -> int | None:
    file = find_tokenizer(folder)
    return tokenizer_size(file) if file else None


def _require_unmerged(
    folder: Path, base: BaseWeights, adapters: list[Adapter], digests: list[dict[str, str]]
) -> None:
    """Check that no adapter is in the base already: by its manifest, then by its embeddings."""
    before = _merged_before(folder)
    for adapter, files in zip(adapters, digests, strict=True):
        if before & set(files.values()) or _brings_what_is_there(base, adapter):
            msg = (
                f"{folder} is already merged with {adapter.folder}; leave that LoRA out, or use "
                "the model it was trained on as --base-model"
            )
            raise MergeOrderError(msg)


def _brings_what_is_there(base: BaseWeights, adapter: Adapter) -> bool:
    """Return whether the trained embeddings of the adapter are those of the base, bit for bit."""
    import torch

    trained = adapter.config.get("modules_to_save") or []
    pairs = [
        (name, adapter.copies[name])
        for name in EMBEDDINGS
        if name in base.tensors and name in adapter.copies and name.split(".")[-2] in trained
    ]
    for name, copy in pairs:
        ours, theirs = base.read(name), adapter.checkpoint.read(copy)
        if ours.shape != theirs.shape:
            return False
        step = max(1, len(ours) // _SAMPLE_ROWS)
        if not torch.equal(ours[::step], theirs[::step].to(ours.dtype)):
            return False
    return bool(pairs)


def _merged_before(base: Path) -> set[str]:
    """Return the hashes of the adapters' files in the manifest of a base that is a merge."""
    try:
        noted = json.loads((base / MANIFEST).read_text(encoding="utf-8"))
        return {digest for adapter in noted["adapters"] for digest in adapter["files"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
