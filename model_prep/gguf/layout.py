"""The tensors of a GGUF file of a LLaMA or its kin, and where each comes from.

Source: the tensor names and keys of ggml's GGUF specification; those of transformers' models.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.checkpoint.tensors import TensorInfo
from model_prep.errors import ExportError
from model_prep.llama.architecture import ModelConfig, scaling_type
from model_prep.llama.expected_tensors import OUTPUT, expected_tensors, require_fitting

if TYPE_CHECKING:
    import torch
    from gguf import GGUFWriter


@dataclass(frozen=True)
class TensorSource:
    """Where a tensor of the GGUF file comes from.

    Example:
        >>> config = ModelConfig(8, 1, 2, 2, 20, 100, rms_norm_eps=1e-6)
        >>> sources(config, tied=False)["blk.0.attn_q.weight"]
        TensorSource(name='model.layers.0.self_attn.q_proj.weight', shape=(8, 8), head_dim=4)
    """

    name: str
    """In the Hugging Face checkpoint."""
    shape: tuple[int, ...]
    head_dim: int = 0
    """Rows of a head of a LLaMA's query or key projection, which are unpermuted; else 0."""

    @property
    def is_computed(self) -> bool:
        """Whether no checkpoint has it: the factors of scaled positions."""
        return self.name == _ROPE_FREQUENCIES


ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""llama.cpp's name of a model's architecture."""
_LLAMA3 = (*("factor", "low_freq_factor", "high_freq_factor"), "original_max_position_embeddings")
SCALINGS = ("default", "linear", "llama3")
"""Ways of scaling positions that a file can state."""
_ROPE_FREQUENCIES = "rope_freqs.weight"


def sources(config: ModelConfig, *, tied: bool) -> dict[str, TensorSource]:
    """Return where each tensor of the file comes from, in the file's order.

    Args:
        config: The configuration of the model.
        tied: The embeddings are the output weights too.
    """
    import gguf

    architecture = ARCHITECTURES[config.model_type]
    number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    permuted = ("q_proj", "k_proj") if architecture == "llama" else ()
    found = {
        names.get_name(source, try_suffixes=(".weight", ".bias")): TensorSource(
            source,
            config.tensor_shape(source),
            config.head_dim if source.split(".")[-2] in permuted else 0,
        )
        for source in [*expected_tensors(config), *([] if tied else [OUTPUT])]
    }
    if scaling_type(config.rope_scaling) == "llama3":
        found[_ROPE_FREQUENCIES] = TensorSource(_ROPE_FREQUENCIES, (config.head_dim // 2,))
    return found


def check_tensors(
    stated: Mapping[str, Any],
    wanted: Iterable[TensorSource],
    tensors: Mapping[str, TensorInfo],
    folder: Path,
) -> None:
    """Check that a checkpoint holds what is wanted, and nothing that would be lost.

    Args:
        stated: Content of its ``config.json``.
        wanted: What a GGUF file of it holds.
        tensors: What there is.
        folder: The folder of both, for the message.

    Raises:
        CheckpointError: a tensor is missing, of another shape, or quantized already.
        ExportError: one has no place in a GGUF file.
    """
    require_fitting(folder, stated, tensors, vocabulary=True)
    known = {OUTPUT, *(source.name for source in wanted)}
    lost = [name for name in tensors if name not in known and "rotary_emb" not in name]
    if lost:
        more = " and others" if len(lost) > 1 else ""
        merge = "; merge adapters into it first" if "lora" in lost[0] else ""
        msg = f"{folder} holds {lost[0]}{more}, for which a GGUF file of it has no place{merge}"
        raise ExportError(msg)


def add_config(writer: "GGUFWriter", config: ModelConfig) -> None:
    """Set the keys ``llama.*``, ``qwen2.*`` or ``qwen3.*`` of a GGUF file."""
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    if config.rope_scaling and scaling_type(config.rope_scaling) == "linear":
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(config.rope_scaling["factor"]))


def rope_factors(config: ModelConfig) -> "torch.Tensor":
    """Return what llama.cpp divides the angles by, float32 ``[head_dim / 2]``: LLaMA 3.1's scaling.

    Source of the formula: Meta's ``apply_scaling`` and transformers' ``llama3``: short waves stay
    as they are, long ones are stretched by ``factor``, those between by something between.

    Raises:
        ExportError: the configuration lacks a number of it.
    """
    import torch

    try:
        scaling = {name: float((config.rope_scaling or {})[name]) for name in _LLAMA3}
    except (KeyError, TypeError, ValueError) as error:
        msg = f"config.json lacks or misstates {error} of its rope_scaling llama3; get it again"
        raise ExportError(msg) from error
    factor, low, high, length = (scaling[name] for name in _LLAMA3)
    steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    waves = 2 * math.pi * config.rope_theta**steps
    smooth = ((length / waves - low) / (high - low)).clamp(0, 1)
    return 1 / ((1 - smooth) / factor + smooth)
