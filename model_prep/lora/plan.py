"""The plan of a merge: its inputs, opened and checked, and each tensor of the result."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from model_prep.checkpoint.checksums import file_digests, published_name
from model_prep.checkpoint.tensors import Dtype
from model_prep.errors import AdapterError, CheckpointError, MergeOrderError, permitted
from model_prep.llama.architecture import ModelConfig, to_params
from model_prep.llama.expected_tensors import EMBEDDINGS, OUTPUT
from model_prep.lora.adapter import Adapter, open_adapter
from model_prep.lora.base import BaseWeights, is_tied, llama_config, open_base, tied_elsewhere
from model_prep.lora.order import Stage, require_order
from model_prep.lora.planned_tensors import (
    PlannedTensor,
    in_meta_order,
    plan_tensors,
    require_one_vocabulary,
)
from model_prep.progress import Progress
from model_prep.tokenizer.files import (
    chat_template,
    choose_tokenizer,
    find_tokenizer,
    pad_token_id,
)
from model_prep.tokenizer.loading import unused_pads, vocabulary_size

if TYPE_CHECKING:
    import torch

OutputType = Literal["huggingface", "pth"]

MANIFEST = "merge.json"
"""Beside merged weights: what they were made of, and the hash of each tensor."""

_CONV1D = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}
"""Models that keep their matrices as in × out (transformers' ``Conv1D``)."""
_BLOCK_ROWS = 4096  # compared at once


@dataclass(frozen=True)
class MergePlan:
    """Everything that `merge` needs to know; made by `prepare_merge`."""

    base_model: Path
    """Its folder."""
    base: BaseWeights
    base_config: dict[str, Any]
    adapters: list[Adapter]
    digests: list[dict[str, str]]
    """The files of each adapter: file name → SHA256."""
    known: list[str | None]
    """The name that each adapter was published under."""
    tensors: list[PlannedTensor]
    vocab_size: int | None
    """Rows of the merged embeddings."""
    tokenizer: Path
    """The file whose tokenizer the result gets: of the last that has one."""
    pad_token_id: int | None
    """The id of ``[PAD]`` where it is the last piece, as in Chinese-Alpaca, and no earlier one."""
    chat_template: str | None
    """From the folder whose tokenizer the adapters were trained with."""
    dtype: str
    """The dtype of the result, as PyTorch spells it."""
    tied: bool | None
    """The result's input embeddings are its output weights too; None: as in the base, which names
    them otherwise than LLaMA."""
    notes: list[str]
    """What a user should know of the result."""
    meta_config: ModelConfig | None
    """The configuration of a result in Meta's format; None: it is in Hugging Face's."""

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


@permitted(CheckpointError)
def prepare_merge(
    base_model: Path,
    lora_models: list[Path],
    *,
    output_type: OutputType = "huggingface",
    dtype: Dtype = "auto",
    allow_merged: bool = False,
    progress: Progress | None = None,
) -> MergePlan:
    """Open and check everything that goes into a merge; only the adapters are read, to hash them.

    Args:
        base_model: A folder of weights with their configuration and tokenizer.
        lora_models: Folders of LoRAs, in the order in which they are to be added.
        output_type: Format of the result.
        dtype: The dtype of the result; by default the base's.
        allow_merged: Go on where an adapter seems to be in the base already, or is given twice.
        progress: Called with bytes hashed and in all.

    Raises:
        MergeOrderError: the parts, or their tokenizers, do not belong together in this order.
        AdapterError: a folder is not an adapter, or its adapter can't be merged or does not fit.
        CheckpointError: weights are missing or damaged.
    """
    if not lora_models:
        raise AdapterError("no LoRA is given; name one with --lora-model")
    base, base_config = open_base(base_model)
    conv1d = str(base_config.get("model_type")) in _CONV1D
    adapters = [open_adapter(folder, conv1d=conv1d) for folder in lora_models]
    digests = _digests(adapters, progress)
    if not allow_merged:
        _require_no_copies(adapters, digests)
        _require_unmerged(base_model, base, adapters, digests)
    known = [next(filter(None, map(published_name, files.values())), None) for files in digests]
    stages = [
        _stage(adapter.folder, adapter.vocab_size, name)
        for adapter, name in zip(adapters, known, strict=True)
    ]
    rows = (base.tensors[name].shape[0] for name in EMBEDDINGS if name in base.tensors)
    require_order(_stage(base_model, next(rows, None)), stages)
    tied = is_tied(base_config, base)
    elsewhere = tied_elsewhere(base_config, base)
    _require_tied(elsewhere, adapters)
    resolved = _dtype_of(base) if dtype == "auto" else dtype
    tensors = plan_tensors(base, adapters, resolved, tied=tied)
    vocab_size = require_one_vocabulary(tensors, lora_models[-1])
    untied = tied and any(tensor.name == OUTPUT for tensor in tensors)
    meta_config = None
    if output_type == "pth":
        meta_config = replace(llama_config(base_model, base), vocab_size=vocab_size or 0)
        to_params(meta_config)  # raises where Meta's format has no words for it
        tensors = in_meta_order(tensors, meta_config)
    tokenizer, template = _tokenizer([*reversed(lora_models), base_model])
    return MergePlan(
        base_model=base_model,
        base=base,
        base_config=base_config,
        adapters=adapters,
        digests=digests,
        known=known,
        tensors=tensors,
        vocab_size=vocab_size,
        tokenizer=tokenizer,
        pad_token_id=pad_token_id(tokenizer),
        chat_template=template,
        dtype=resolved,
        tied=None if elsewhere else tied and not untied,
        notes=[*_notes(adapters, tokenizer, vocab_size, untied=untied)],
        meta_config=meta_config,
    )


def _tokenizer(folders: list[Path]) -> tuple[Path, str | None]:
    """Return the file of the first tokenizer, and the chat template that is in its folder.

    Raises:
        MergeOrderError: there is none.
    """
    tokenizer = choose_tokenizer(folders)
    if tokenizer is None:
        raise MergeOrderError(f"{folders[-1]} has no tokenizer; copy tokenizer.model into it")
    # Of the same pieces another folder's may have been chosen.
    return tokenizer, chat_template(next(filter(None, map(find_tokenizer, folders))).parent)


def _notes(
    adapters: list[Adapter], tokenizer: Path, vocab_size: int | None, *, untied: bool
) -> Iterator[str]:
    """Yield what a user should know of the result, a line each."""
    for adapter in adapters:
        if adapter.is_zero():
            changes = (
                "only its whole modules count" if adapter.modules_to_save else "it changes nothing"
            )
            yield (
                f"{adapter.folder} has only zeros in a factor of each LoRA, as an untrained one, "
                f"or one saved wrongly: {changes}"
            )
    if untied:
        yield "the output weights are no longer tied to the embeddings: they are written too"
    if (
        vocab_size is not None
        and vocabulary_size(tokenizer) > vocab_size
        and unused_pads(tokenizer)
    ):
        yield f"the padding token of {tokenizer} has no row; it is never used"


def _require_tied(tied: set[str], adapters: list[Adapter]) -> None:
    for adapter in adapters:
        touched = tied & {*adapter.modules_to_save, *adapter.factors}
        if touched:
            raise AdapterError(
                f"{adapter.folder} changes {min(touched)}, which the base has as output weights "
                "too; only models that name them as LLaMA does can be untied here; use PEFT itself"
            )


def _digests(adapters: list[Adapter], progress: Progress | None) -> list[dict[str, str]]:
    files = [file for adapter in adapters for file in adapter.checkpoint.files]
    found = file_digests(files, progress)
    return [{file.name: found[file] for file in adapter.checkpoint.files} for adapter in adapters]


def _stage(folder: Path, rows: int | None, known: str | None = None) -> Stage:
    file = find_tokenizer(folder)
    if not file:
        return Stage(folder, rows, None, known)
    return Stage(folder, rows, vocabulary_size(file), known, unused_pads(file))


def _dtype_of(base: BaseWeights) -> str:
    """Return the type of most of a base's weights, as PyTorch spells it."""
    sizes: Counter[str] = Counter()
    for info in base.tensors.values():
        sizes[info.dtype] += info.size
    names = {"F16": "float16", "BF16": "bfloat16"}
    return next((names.get(name, "float32") for name, _ in sizes.most_common()), "float32")


def _require_no_copies(adapters: list[Adapter], digests: list[dict[str, str]]) -> None:
    seen: dict[str, Path] = {}
    for adapter, of_files in zip(adapters, digests, strict=True):
        for digest in of_files.values():
            if digest in seen:
                raise MergeOrderError(
                    f"{adapter.folder} is the same LoRA as {seen[digest]}; leave one out, or add "
                    "--allow-merged where it is to count twice"
                )
            seen[digest] = adapter.folder


def _require_unmerged(
    base_model: Path, base: BaseWeights, adapters: list[Adapter], digests: list[dict[str, str]]
) -> None:
    """Check that no adapter is in the base already: by its manifest, then by its embeddings."""
    merged = _merged_before(base_model)
    for adapter, of_files in zip(adapters, digests, strict=True):
        if merged & set(of_files.values()) or _has_embeddings_of(base, adapter):
            raise MergeOrderError(
                f"{base_model} is already merged with {adapter.folder}; leave that LoRA out, or "
                "use the model it was trained on as --base-model; where this is wrong, add "
                "--allow-merged"
            )


def _has_embeddings_of(base: BaseWeights, adapter: Adapter) -> bool:
    """Return whether the trained embeddings of the adapter are those of the base, bit for bit."""
    trained = adapter.config.get("modules_to_save") or []
    names = [
        name
        for name in EMBEDDINGS
        if name in base.tensors
        and name in adapter.modules_to_save
        and name.split(".")[-2] in trained
    ]
    return bool(names) and all(
        _equal_rows(base.read(name), adapter.checkpoint.read(adapter.modules_to_save[name]))
        for name in names
    )


def _equal_rows(ours: "torch.Tensor", saved: "torch.Tensor") -> bool:
    """Return whether all rows are the same, looking no further than the first that is not."""
    import torch

    return ours.shape == saved.shape and all(
        torch.equal(
            ours[begin : begin + _BLOCK_ROWS], saved[begin : begin + _BLOCK_ROWS].to(ours.dtype)
        )
        for begin in range(0, len(ours), _BLOCK_ROWS)
    )


def _merged_before(base_model: Path) -> set[str]:
    """Return the hashes of the adapters' files in the manifest of a base that is a merge."""
    try:
        manifest = json.loads((base_model / MANIFEST).read_text(encoding="utf-8"))
        return {digest for adapter in manifest["adapters"] for digest in adapter["files"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
