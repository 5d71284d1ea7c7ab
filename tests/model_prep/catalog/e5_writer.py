"""A tiny file in the layout of ``e5-small-q4.bin``, written from a real BertModel."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import BertModel

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "李", "白", "▁李", "李白", "a", "A", "▁A", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -5.5, -5.25, -6.0, -7.123456, -3.0, -4.0, -4.5, 0.0]
HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES = 8, 2, 2, 16, 16, 12, 2
EPSILON = 1e-5

# Written out, not derived: the test's own knowledge of which tensor is which.
STORED = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
    **{
        f"l{layer}.{short}.{kind[0]}": f"encoder.layer.{layer}.{long}.{kind}"
        for layer in range(LAYERS)
        for kind in ("weight", "bias")
        for short, long in (
            ("q", "attention.self.query"),
            ("k", "attention.self.key"),
            ("v", "attention.self.value"),
            ("ao", "attention.output.dense"),
            ("aln", "attention.output.LayerNorm"),
            ("fi", "intermediate.dense"),
            ("fo", "output.dense"),
            ("oln", "output.LayerNorm"),
        )
    },
}


def q4_0(weights: NDArray[np.float32]) -> bytes:
    """Blocks of 32 weights that are whole multiples, -8 to 7, of a sixteenth."""
    blocks = b""
    for block in np.round(weights.reshape(-1, 32) * 16).astype(int) + 8:
        halves = [
            int(low) | int(high) << 4 for low, high in zip(block[:16], block[16:], strict=True)
        ]
        blocks += struct.pack("<e", 1 / 16) + bytes(halves)
    return blocks


def make_model() -> "BertModel":
    """A BertModel whose matrices Q4_0 holds exactly."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=POSITIONS,
        type_vocab_size=TYPES,
        layer_norm_eps=EPSILON,
    )
    model = BertModel(config)
    model.eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randint(-8, 8, weights.shape) / 16)
    return model


def tensors_of(model: "BertModel") -> dict[str, NDArray[np.float32]]:
    weights = model.state_dict()
    return {stored: weights[name].numpy() for stored, name in STORED.items()}


def e5_bytes(tensors: Mapping[str, NDArray[np.float32]], magic: bytes = b"E5S1") -> bytes:
    """The whole file; tensors of whole blocks as Q4_0, the others as float32."""
    blob, offsets = b"", [0]
    for piece in PIECES:
        blob += piece.encode()
        offsets.append(len(blob))
    head = magic + struct.pack("<I", 1)
    head += struct.pack("<7i", HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES)
    head += struct.pack("<fi", EPSILON, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob))
    head += struct.pack(f"<{len(offsets)}I", *offsets) + struct.pack(f"<{len(SCORES)}f", *SCORES)
    head += blob + struct.pack("<iI", 1, 5) + b"norms"
    head += struct.pack("<i", len(tensors))
    data = {
        name: (1, q4_0(values)) if values.size % 32 == 0 else (0, values.astype("<f4").tobytes())
        for name, values in tensors.items()
    }
    place = len(head) + sum(2 + len(name) + 21 for name in tensors)
    for name, values in tensors.items():
        kind, content = data[name]
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, values.size, place, len(content))
        place += len(content)
    return head + b"".join(content for _, content in data.values())


def write_e5(file: Path) -> Path:
    file.write_bytes(e5_bytes(tensors_of(make_model())))
    return file
