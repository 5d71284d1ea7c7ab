"""Names, order, sharding and row order of the tensors in Meta's own files of LLaMA.

Sources: ``model.py`` of Meta's llama repository, whose model-parallel layers split the matrices,
and transformers' LLaMA, in which a head's two halves, not its neighbouring rows, are rotated
together.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_TOP = {"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"}
_LAYER = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_BY_ROWS = {"output", "wq", "wk", "wv", "w1", "w3"}
_BY_COLUMNS = {"tok_embeddings", "wo", "w2"}
_ROPE_BUFFERS = ("rope.freqs", "rotary_emb.inv_freq")


def tensor_names(layers: int) -> Iterator[tuple[str, str]]:
    """Yield each tensor's name in Meta's files, in their order, and its Hugging Face name."""
    for meta, hugging_face in _TOP.items():
        yield f"{meta}.weight", f"{hugging_face}.weight"
    for layer in range(layers):
        for meta, hugging_face in _LAYER.items():
            yield f"layers.{layer}.{meta}.weight", f"model.layers.{layer}.{hugging_face}.weight"


def is_rope_buffer(name: str) -> bool:
    """Return whether a tensor, in either naming, is a table of angles that loaders compute."""
    return name.endswith(_ROPE_BUFFERS)


def split_axis(meta_name: str) -> int | None:
    """Return the dimension along which shards share a tensor; None: each has all of it."""
    part = meta_name.removesuffix(".weight").rsplit(".", 1)[-1]
    return 0 if part in _BY_ROWS else 1 if part in _BY_COLUMNS else None


def shard_slices(
    meta_name: str, shape: tuple[int, ...], shard: int, shards: int
) -> tuple[slice, ...]:
    """Return the part of a tensor that shard number ``shard`` holds; the last takes the rest.

    Example:
        >>> shard_slices("layers.0.attention.wo.weight", (4, 6), 1, 2)
        (slice(None, None, None), slice(3, 6, None))
    """
    axis = split_axis(meta_name)
    if axis is None:
        return ()
    share = shape[axis] // shards
    end = shape[axis] if shard == shards - 1 else (shard + 1) * share
    return (*[slice(None)] * axis, slice(shard * share, end))


def sliced_shape(shape: tuple[int, ...], slices: tuple[slice, ...]) -> tuple[int, ...]:
    """Return the shape of ``tensor[slices]``."""
    kept = [len(range(size)[part]) for size, part in zip(shape, slices, strict=False)]
    return (*kept, *shape[len(kept) :])


def is_permuted(meta_name: str) -> bool:
    """Return whether the rows of a tensor lie in another order in the two formats."""
    return meta_name.endswith(("attention.wq.weight", "attention.wk.weight"))


def permute(weight: "torch.Tensor", head_dim: int) -> "torch.Tensor":
    """Reorder the rows of whole heads from Meta's order to that of Hugging Face.

    Args:
        weight: ``[heads * head_dim, columns]``.
        head_dim: Rows of a head; even.
    """
    rows, columns = weight.shape
    return weight.view(-1, head_dim // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def unpermute(weight: "torch.Tensor", head_dim: int) -> "torch.Tensor":
    """Undo `permute`."""
    rows, columns = weight.shape
    return weight.view(-1, 2, head_dim // 2, columns).transpose(1, 2).reshape(rows, columns)
