"""Which tensors a GGUF file of a LLaMA or a Qwen2 has, and where each comes from.

Source: the tensor names and keys of ggml's GGUF specification; those of transformers' models.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_prep.checkpoint.reader import TensorInfo
from model_prep.errors import ExportError
from model_prep.llama.architecture import LlamaShape

if TYPE_CHECKING:
    from gguf import GGUFWriter


@dataclass(frozen=True)
class Source:
    """Where a tensor of the GGUF file comes from."""

    name: str
    """In the Hugging Face checkpoint."""
    shape: tuple[int, ...]
    heads: int = 0
    """Of a LLaMA's query or key projection, whose rows are reordered; 0 for any other tensor."""


_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BIASED = ("attn_q", "attn_k", "attn_v")


def sources(shape: LlamaShape, *, tied: bool) -> dict[str, Source]:
    """Return where each tensor of the file comes from, in the file's order.

    Args:
        shape: Of the model.
        tied: The embeddings are the output weights too.
    """
    names = {"token_embd.weight": "model.embed_tokens.weight"}
    for number in range(shape.layers):
        for name, source in _LAYER.items():
            ours, theirs = f"blk.{number}.{name}", f"model.layers.{number}.{source}"
            names[f"{ours}.weight"] = f"{theirs}.weight"
            if shape.kind == "qwen2" and name in _BIASED:
                names[f"{ours}.bias"] = f"{theirs}.bias"
    names["output_norm.weight"] = "model.norm.weight"
    if not tied:
        names["output.weight"] = "lm_head.weight"
    heads = {"q_proj": shape.heads, "k_proj": shape.key_heads} if shape.kind == "llama" else {}
    return {
        name: Source(source, shape.sizes(source), heads.get(source.split(".")[-2], 0))
        for name, source in names.items()
    }


def check_tensors(
    wanted: Iterable[Source], tensors: Mapping[str, TensorInfo], folder: Path
) -> None:
    """Make sure that a checkpoint holds what is wanted, and nothing that would be lost.

    Raises:
        ExportError: a tensor is missing, of another shape, or has no place in a GGUF file.
    """
    shapes = {source.name: source.shape for source in wanted}
    for name, expected in shapes.items():
        if name not in tensors:
            msg = f"the weights of {folder} lack {name}, which its config.json calls for"
            raise ExportError(msg)
        if tensors[name].shape != expected:
            msg = (
                f"{name} in {folder} is {tensors[name].shape} where config.json calls for "
                f"{expected}; one of them is of another model"
            )
            raise ExportError(msg)
    known = shapes.keys() | {"lm_head.weight"}
    lost = [name for name in tensors if name not in known and "rotary_emb" not in name]
    if lost:
        more = " and others" if len(lost) > 1 else ""
        msg = f"{folder} holds {lost[0]}{more}, which LLaMA lacks; merge adapters into it first"
        raise ExportError(msg)


def add_shape(writer: "GGUFWriter", shape: LlamaShape) -> None:
    """Set the keys ``llama.*`` or ``qwen2.*`` of a GGUF file."""
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_block_count(shape.layers)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_theta)
