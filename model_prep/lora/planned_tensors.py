"""The tensors of a merge, planned and checked by names and shapes before any weight is read."""

from dataclasses import dataclass, replace
from pathlib import Path

from model_prep.checkpoint.tensors import TensorInfo, dtype_name
from model_prep.errors import AdapterError, MergeError
from model_prep.llama.architecture import ModelConfig
from model_prep.llama.meta_layout import is_permuted, is_rope_buffer, tensor_names
from model_prep.lora.adapter import EMBEDDINGS, Adapter
from model_prep.lora.base import BaseWeights

_FLOATING = {"F16", "BF16", "F32", "F64"}


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of the result."""

    name: str
    """As in the base."""
    info: TensorInfo
    """As it is to be written, before it is split into shards."""
    source: Adapter | None
    """The adapter whose saved module it starts from; None: the base."""
    updates: tuple[Adapter, ...]
    """The adapters whose low-rank products are then added, in order."""
    head_dim: int | None = None
    """Rows of a head where the rows of each are to be put into Meta's order, else None."""


def plan_tensors(base: BaseWeights, adapters: list[Adapter], dtype: str) -> list[PlannedTensor]:
    """Assign what the adapters hold to the tensors of the base, in the base's order.

    Args:
        base: Open.
        adapters: In the order in which they are applied.
        dtype: Of all floating tensors of the result, in PyTorch's spelling.

    Raises:
        AdapterError: an adapter does not fit the base.
    """
    import torch

    for adapter in adapters:
        _require_modules(base, adapter)
    spelled = dtype_name(getattr(torch, dtype))
    tensors = [info for name, info in base.tensors.items() if not is_rope_buffer(name)]
    return [_plan(info, adapters, spelled) for info in tensors]


def _plan(info: TensorInfo, adapters: list[Adapter], dtype: str) -> PlannedTensor:
    name, shape, source, updates = info.name, info.shape, None, list[Adapter]()
    for adapter in adapters:
        if name in adapter.modules_to_save:
            saved = adapter.checkpoint.tensors[adapter.modules_to_save[name]].shape
            # A module to save is as large as what it replaces, but for the vocabulary's rows.
            first = 1 if name in EMBEDDINGS else 0
            if len(saved) != len(shape) or saved[first:] != shape[first:]:
                raise _misfit(name, adapter, saved, shape)
            shape, source, updates = saved, adapter, []  # the later one wins
        if name in adapter.factors:
            if adapter.update_shape(name) != shape:
                raise _misfit(name, adapter, adapter.update_shape(name), shape)
            updates.append(adapter)
    dtype = dtype if info.dtype in _FLOATING else info.dtype
    return PlannedTensor(name, replace(info, shape=shape, dtype=dtype), source, tuple(updates))


def _misfit(
    name: str, adapter: Adapter, found: tuple[int, ...], shape: tuple[int, ...]
) -> AdapterError:
    return AdapterError(
        f"{adapter.folder} was made for a model of another shape: {name} is {_times(shape)}, and "
        f"the adapter has {_times(found)}; use the base and the adapter of the same size (7B, 13B)"
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _require_modules(base: BaseWeights, adapter: Adapter) -> None:
    """Check that all that the adapter acts on is there, and that it acts on all that it should."""
    held = adapter.factors.keys() | adapter.modules_to_save.keys()
    if unknown := sorted(held - base.tensors.keys()):
        msg = (
            f"{adapter.folder} acts on {unknown[0]}, which the base does not have "
            f"({len(unknown)} of its {len(held)} modules are missing there); use the base that the "
            "adapter was trained on"
        )
        raise AdapterError(msg)
    targets = adapter.config.get("target_modules")
    narrowed = adapter.config.get("layers_to_transform") or adapter.config.get("exclude_modules")
    if not isinstance(targets, list) or narrowed:
        return
    ends = tuple(f".{target}.weight" for target in targets)
    for name in base.tensors:
        if f".{name}".endswith(ends) and name not in held:
            msg = (
                f"{adapter.folder} has no LoRA of {name}, which its configuration targets; it is "
                "incomplete, or was made for a smaller model: fetch it again, or use its own base"
            )
            raise AdapterError(msg)


def require_one_vocabulary(tensors: list[PlannedTensor], last: Path) -> int | None:
    """Return the rows of the result's embeddings, None where it has none by the usual names.

    Raises:
        AdapterError: input and output embeddings differ.
    """
    rows = {tensor.name: tensor.info.shape[0] for tensor in tensors if tensor.name in EMBEDDINGS}
    if len(set(rows.values())) > 1:
        both = " and ".join(f"{name} {count:,}" for name, count in rows.items())
        msg = (
            f"the merged model would have unequal vocabularies ({both} rows): {last} brings only "
            "one of the two embeddings; use an adapter with both"
        )
        raise AdapterError(msg)
    return next(iter(rows.values()), None)


def in_meta_order(planned: list[PlannedTensor], config: ModelConfig) -> list[PlannedTensor]:
    """Return the tensors under Meta's names and in Meta's order.

    Raises:
        MergeError: the model has others than a LLaMA has.
    """
    held = {tensor.name: tensor for tensor in planned}
    pairs = dict(tensor_names(config.num_hidden_layers))
    if unlike := sorted(held.keys() ^ set(pairs.values())):
        msg = f"Meta's format holds LLaMA only, which {unlike[0]} tells apart; use huggingface"
        raise MergeError(msg)
    return [
        replace(
            held[name],
            info=replace(held[name].info, name=meta),
            head_dim=config.head_dim if is_permuted(meta) else None,
        )
        for meta, name in pairs.items()
    ]
