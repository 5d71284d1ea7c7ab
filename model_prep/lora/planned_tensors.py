"""The tensors of a merge, planned and checked by names and shapes before any weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from model_prep.checkpoint.tensors import TensorInfo, dtype_name
from model_prep.errors import AdapterError, MergeError
from model_prep.llama.architecture import ModelConfig
from model_prep.llama.expected_tensors import EMBEDDINGS, INPUT, OUTPUT, named_otherwise
from model_prep.llama.meta_layout import is_permuted, is_rope_buffer, tensor_names
from model_prep.lora.adapter import Adapter
from model_prep.lora.adapter_config import targets
from model_prep.lora.base import BaseWeights


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of the result."""

    name: str
    """In the Hugging Face format."""
    base_name: str
    """The base's tensor that it starts from: where embeddings were tied, not its own."""
    info: TensorInfo
    """As it is to be written, before it is split into shards."""
    source: Adapter | None
    """The adapter whose saved module it starts from; None: the base."""
    updates: tuple[Adapter, ...]
    """The adapters whose low-rank products are then added, in order."""
    head_dim: int | None = None
    """Rows of a head where the rows of each are to be put into Meta's order, else None."""


def plan_tensors(
    base: BaseWeights, adapters: list[Adapter], dtype: str, *, tied: bool = False
) -> list[PlannedTensor]:
    """Assign what the adapters hold to the tensors of the base, in the base's order.

    Args:
        base: Open.
        adapters: In the order in which they are applied.
        dtype: The dtype of all floating tensors of the result, in PyTorch's spelling.
        tied: The base's input embeddings are its output weights. The result has output weights of
            its own where the adapters do not do the same to both.

    Raises:
        AdapterError: an adapter does not fit the base.
    """
    import torch

    tensors = {name: info for name, info in base.tensors.items() if not is_rope_buffer(name)}
    if tied:
        tensors[OUTPUT] = replace(tensors[INPUT], name=OUTPUT)
        for adapter in adapters:
            adapter.tie()
    for adapter in adapters:
        _require_modules(tensors, adapter)
    spelled = dtype_name(getattr(torch, dtype))
    planned = {name: _plan(info, adapters, spelled) for name, info in tensors.items()}
    if tied:
        planned[OUTPUT] = replace(planned[OUTPUT], base_name=INPUT)
        if _same(planned[INPUT], planned[OUTPUT]):
            del planned[OUTPUT]
    return list(planned.values())


def _same(first: PlannedTensor, second: PlannedTensor) -> bool:
    """Return whether two tensors that start from the same one come to the same."""
    import torch

    if (first.source, first.updates) != (second.source, second.updates):
        return False
    if source := first.source:
        ours, theirs = (source.modules_to_save[tensor.name] for tensor in (first, second))
        saved = source.checkpoint.tensors
        if ours != theirs and (
            saved[ours].shape != saved[theirs].shape
            or not torch.equal(source.checkpoint.read(ours), source.checkpoint.read(theirs))
        ):
            return False
    pairs = (
        (adapter.read_update(first.name), adapter.read_update(second.name))
        for adapter in first.updates
    )
    return all(
        ours.lora_a.shape == theirs.lora_a.shape
        and torch.equal(ours.lora_a, theirs.lora_a)
        and torch.equal(ours.lora_b, theirs.lora_b)
        and ours.scaling == theirs.scaling
        for ours, theirs in pairs
    )


def _plan(info: TensorInfo, adapters: list[Adapter], dtype: str) -> PlannedTensor:
    name, shape, source, updates = info.name, info.shape, None, list[Adapter]()
    for adapter in adapters:
        if name in adapter.modules_to_save:
            saved = adapter.checkpoint.tensors[adapter.modules_to_save[name]].shape
            # A module to save is as large as what it replaces, except the vocabulary's rows.
            first = 1 if name in EMBEDDINGS else 0
            if len(saved) != len(shape) or saved[first:] != shape[first:]:
                raise _misfit(name, adapter, saved, shape)
            shape, source, updates = saved, adapter, []  # the later one wins
        if name in adapter.factors:
            if adapter.update_shape(name) != shape:
                raise _misfit(name, adapter, adapter.update_shape(name), shape)
            updates.append(adapter)
    if (source or updates) and not info.is_floating:
        raise MergeError(
            f"{name} of the base is {info.dtype}: its weights are quantized; use the model in "
            "float16, bfloat16 or float32 that it was made from"
        )
    dtype = dtype if info.is_floating else info.dtype
    return PlannedTensor(
        name, name, replace(info, shape=shape, dtype=dtype), source, tuple(updates)
    )


def _misfit(
    name: str, adapter: Adapter, found: tuple[int, ...], shape: tuple[int, ...]
) -> AdapterError:
    return AdapterError(
        f"{adapter.folder} was made for a model of another shape: {name} is {_times(shape)}, and "
        f"the adapter has {_times(found)}; use the base and the adapter of the same size (7B, 13B)"
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _require_modules(tensors: Mapping[str, TensorInfo], adapter: Adapter) -> None:
    """Check that all that the adapter acts on is there, and that it acts on all that it should."""
    held = adapter.factors.keys() | adapter.modules_to_save.keys()
    if unknown := sorted(held - tensors.keys()):
        msg = (
            f"{adapter.folder} acts on {unknown[0]}, which the base does not have "
            f"({len(unknown)} of its {len(held)} modules are missing there)"
        )
        msg += named_otherwise(unknown) or "; use the base that the adapter was trained on"
        if unknown[0].startswith("model.language_model."):
            msg = (
                f"{msg}; where it was, the files of this vision-language model name their tensors "
                "differently from the model itself, and PEFT itself merges it"
            )
        raise AdapterError(msg)
    saved = [f".{name}.weight" for name in adapter.config.get("modules_to_save") or []]
    for name, info in tensors.items():
        if name in held or not name.endswith(".weight"):
            continue
        module = name.removesuffix(".weight")
        if len(info.shape) == 2 and targets(adapter.config, module):
            raise AdapterError(
                f"{adapter.folder} has no LoRA of {name}, which its configuration targets; it is "
                "incomplete, or was made for a smaller model: fetch it again, or use its own base"
            )
        if f".{name}".endswith(tuple(saved)):
            raise AdapterError(
                f"{adapter.folder} lacks {name}, which its configuration names in modules_to_save; "
                "it is incomplete: fetch it again"
            )


def require_one_vocabulary(tensors: list[PlannedTensor], last: Path) -> int | None:
    """Return the rows of the result's embeddings, None where it has none by the usual names.

    Raises:
        AdapterError: input and output embeddings differ.
    """
    rows = {tensor.name: tensor.info.shape[0] for tensor in tensors if tensor.name in EMBEDDINGS}
    if len(set(rows.values())) > 1:
        both = " and ".join(f"{name} {count:,}" for name, count in rows.items())
        raise AdapterError(
            f"the merged model would have unequal vocabularies ({both} rows): {last} brings only "
            "one of the two embeddings; use an adapter with both"
        )
    return next(iter(rows.values()), None)


def in_meta_order(planned: list[PlannedTensor], config: ModelConfig) -> list[PlannedTensor]:
    """Return the tensors under Meta's names and in Meta's order.

    Raises:
        MergeError: the model has others than a LLaMA has.
    """
    held = {tensor.name: tensor for tensor in planned}
    pairs = dict(tensor_names(config.num_hidden_layers))
    if unlike := sorted(held.keys() ^ set(pairs.values())):
        msg = f"Meta's format holds LLaMA only, which {unlike[0]} distinguishes; use huggingface"
        raise MergeError(msg)
    return [
        replace(
            held[name],
            info=replace(held[name].info, name=meta),
            head_dim=config.head_dim if is_permuted(meta) else None,
        )
        for meta, name in pairs.items()
    ]
