"""A tiny LLaMA in Meta's format, and its forward pass written from that format."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DIM, LAYERS, HEADS, MULTIPLE_OF = 32, 2, 4, 32
INNER = 96  # 8/3 of DIM, rounded up to MULTIPLE_OF
EPSILON = 1e-5
COLUMNS = ("tok_embeddings", "wo", "w2")
ROWS = ("output", "wq", "wk", "wv", "w1", "w3")


@dataclass(frozen=True)
class MetaModel:
    """Its folder, and its tensors before they were split."""

    folder: Path
    tensors: "dict[str, torch.Tensor]"


def make_meta(
    folder: Path,
    vocabulary: int,
    *,
    shards: int = 1,
    key_heads: int = HEADS,
    dtype: str = "float16",
) -> MetaModel:
    """Write ``consolidated.NN.pth`` and ``params.json`` with random weights."""
    import torch

    generator = torch.Generator().manual_seed(vocabulary)

    def random(*shape: int, around: float = 0.0) -> torch.Tensor:
        values = torch.randn(*shape, generator=generator) / 4 + around
        return values.to(getattr(torch, dtype))

    keys = DIM // HEADS * key_heads
    tensors = {
        "tok_embeddings.weight": random(vocabulary, DIM),
        "norm.weight": random(DIM, around=1),
    }
    tensors["output.weight"] = random(vocabulary, DIM)
    for layer in range(LAYERS):
        shapes = {
            "attention.wq": (DIM, DIM),
            "attention.wk": (keys, DIM),
            "attention.wv": (keys, DIM),
            "attention.wo": (DIM, DIM),
            "feed_forward.w1": (INNER, DIM),
            "feed_forward.w2": (DIM, INNER),
            "feed_forward.w3": (INNER, DIM),
        }
        for name, shape in shapes.items():
            tensors[f"layers.{layer}.{name}.weight"] = random(*shape)
        for name in ("attention_norm", "ffn_norm"):
            tensors[f"layers.{layer}.{name}.weight"] = random(DIM, around=1)
    folder.mkdir(parents=True)
    frequencies = 1.0 / 10000 ** (torch.arange(0, DIM // HEADS, 2) / (DIM // HEADS))
    for number in range(shards):
        part = {name: _share(name, one, number, shards) for name, one in tensors.items()}
        torch.save({**part, "rope.freqs": frequencies}, folder / f"consolidated.{number:02}.pth")
    params: dict[str, float] = {
        "dim": DIM,
        "multiple_of": MULTIPLE_OF,
        "n_heads": HEADS,
        "n_layers": LAYERS,
    }
    params |= {"norm_eps": EPSILON, "vocab_size": -1}
    if key_heads != HEADS:
        params["n_kv_heads"] = key_heads
    (folder / "params.json").write_text(json.dumps(params))
    return MetaModel(folder, tensors)


def _share(name: str, tensor: "torch.Tensor", number: int, shards: int) -> "torch.Tensor":
    part = name.split(".")[-2]
    if part not in ROWS + COLUMNS:
        return tensor.clone()
    axis = 0 if part in ROWS else 1
    size = tensor.shape[axis] // shards
    last = tensor.shape[axis] - size * number
    return tensor.narrow(axis, size * number, last if number == shards - 1 else size).clone()


def logits(tensors: "dict[str, torch.Tensor]", ids: list[int]) -> "torch.Tensor":
    """The logits ``[len(ids), vocabulary]`` of Meta's model, in float64.

    Pairs of neighbouring numbers in a head are complex numbers, turned by the position.
    """
    import torch

    weights = {name: one.double() for name, one in tensors.items()}
    head, length = DIM // HEADS, len(ids)
    angles = torch.outer(
        torch.arange(length).double(), 10000.0 ** -(torch.arange(0, head, 2).double() / head)
    )
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + EPSILON).sqrt() * weights[f"{name}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        pairs = torch.view_as_complex(x.reshape(length, -1, head // 2, 2))
        return torch.view_as_real(pairs * turn).reshape(length, -1, head)

    hidden = weights["tok_embeddings.weight"][ids]
    future = torch.ones(length, length).triu(1).bool()
    for layer in range(LAYERS):

        def times(x: torch.Tensor, name: str, layer: int = layer) -> torch.Tensor:
            return x @ weights[f"layers.{layer}.{name}.weight"].T

        x = normed(hidden, f"layers.{layer}.attention_norm")
        queries = turned(times(x, "attention.wq"))
        keys = turned(times(x, "attention.wk"))
        values = times(x, "attention.wv").reshape(length, -1, head)
        shared = HEADS // keys.shape[1]
        keys, values = (one.repeat_interleave(shared, 1) for one in (keys, values))
        scores = torch.einsum("qhd,khd->hqk", queries, keys) / head**0.5
        attention = scores.masked_fill(future, -torch.inf).softmax(-1)
        mixed = torch.einsum("hqk,khd->qhd", attention, values).reshape(length, DIM)
        hidden = hidden + times(mixed, "attention.wo")
        x = normed(hidden, f"layers.{layer}.ffn_norm")
        gate = torch.nn.functional.silu(times(x, "feed_forward.w1"))
        hidden = hidden + times(gate * times(x, "feed_forward.w3"), "feed_forward.w2")
    return normed(hidden, "norm") @ weights["output.weight"].T
