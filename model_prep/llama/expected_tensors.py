"""The tensors that a ``config.json`` calls for, and the comparison of a checkpoint with them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.checkpoint.tensors import TensorInfo
from model_prep.errors import CheckpointError
from model_prep.llama.architecture import MODEL_TYPES, ModelConfig, stated_config

if TYPE_CHECKING:
    import torch

EMBEDDINGS = INPUT, OUTPUT = ("model.embed_tokens.weight", "lm_head.weight")
"""The weights with a row for each piece of the vocabulary."""
_LAYER = (
    "input_layernorm.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight",
    "self_attn.v_proj.weight", "self_attn.o_proj.weight", "post_attention_layernorm.weight",
    "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight",
)  # fmt: skip

_MEGATRON = re.compile(
    r"\bself_attention\.linear_(?:qkv|proj)\b|\bmlp\.linear_fc[12]\b"
    r"|\blanguage_model\.(?:encoder|transformer|embedding)\."
)


def named_otherwise(names: Iterable[str]) -> str:
    """Return what to add to an error about names: that they are Megatron's, where they are.

    Example:
        >>> named_otherwise(["decoder.layers.0.mlp.linear_fc1.weight"])
        "; its names are Megatron's: convert it into Hugging Face's format with Megatron"
    """
    if any(map(_MEGATRON.search, names)):
        return "; its names are Megatron's: convert it into Hugging Face's format with Megatron"
    return ""


def expected_tensors(config: ModelConfig) -> Iterator[str]:
    """Yield the names of a model's tensors; not the output weights, which may be tied.

    Example:
        >>> list(expected_tensors(ModelConfig(8, 1, 2, 2, 20, 100, rms_norm_eps=1e-6)))[:2]
        ['model.embed_tokens.weight', 'model.layers.0.input_layernorm.weight']
    """
    yield INPUT
    for layer in range(config.num_hidden_layers):
        for name in (*_LAYER, *config.layer_extras):
            yield f"model.layers.{layer}.{name}"
    yield "model.norm.weight"


def require_fitting(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, TensorInfo],
    *,
    vocabulary: bool = False,
) -> None:
    """Check that weights are those that a configuration calls for, by names and shapes.

    Args:
        folder: The folder of both, for the message.
        config: Content of ``config.json``; models of other kinds than LLaMA's are passed over.
        tensors: What there is.
        vocabulary: Rows of the embeddings must be ``vocab_size``, as they must to be loaded.

    Raises:
        CheckpointError: a size is missing or impossible, or a tensor is missing or misshapen.
    """
    if config.get("model_type") not in MODEL_TYPES:
        return
    wanted = stated_config(folder, config)
    require_unquantized(folder, tensors)
    for name in expected_tensors(wanted):
        if name not in tensors:
            raise _lacking(folder, name, tensors)
        _require_shape(folder, tensors[name], wanted, vocabulary)
    if OUTPUT in tensors:
        _require_shape(folder, tensors[OUTPUT], wanted, vocabulary)
    elif not config.get("tie_word_embeddings"):
        raise _lacking(folder, OUTPUT, tensors)


def require_unquantized(folder: Path, tensors: Mapping[str, TensorInfo]) -> None:
    """Check that no tensor of a LLaMA is of whole numbers, as GPTQ, AWQ and bitsandbytes pack them.

    Raises:
        CheckpointError: one is.
    """
    for name, info in tensors.items():
        if not info.is_floating:
            raise CheckpointError(
                f"{folder} holds {name} as {info.dtype}: its weights are quantized; use the model "
                "in float16, bfloat16 or float32 that it was made from"
            )


def _lacking(folder: Path, name: str, tensors: Iterable[str]) -> CheckpointError:
    advice = named_otherwise(tensors) or "; get them"
    return CheckpointError(
        f"the weights of {folder} lack {name}, which its config.json calls for{advice}"
    )


def are_tied(
    config: Mapping[str, Any],
    tensors: Mapping[str, TensorInfo],
    read: "Callable[[str], torch.Tensor]",
) -> bool:
    """Return whether a model's input embeddings are its output weights too.

    Its ``config.json`` says so, and its files don't have two that differ: transformers ties them
    only where both are the same.

    Args:
        config: Content of ``config.json``.
        tensors: What there is.
        read: Returns one of them.
    """
    if not config.get("tie_word_embeddings") or INPUT not in tensors:
        return False
    if OUTPUT not in tensors:
        return True
    import torch

    shapes = {tensors[name].shape for name in EMBEDDINGS}
    return len(shapes) == 1 and torch.equal(read(INPUT), read(OUTPUT))


def _require_shape(folder: Path, found: TensorInfo, wanted: ModelConfig, vocabulary: bool) -> None:
    shape = wanted.tensor_shape(found.name)
    if found.name in EMBEDDINGS:
        if vocabulary and found.shape[:1] != shape[:1]:
            raise CheckpointError(
                f"{folder / 'config.json'} says vocab_size {wanted.vocab_size:,}, and {found.name} "
                f"has {found.shape[0] if found.shape else 0:,} rows; correct the one that is wrong"
            )
        if found.shape[1:] == shape[1:]:
            return
    if found.shape != shape:
        raise CheckpointError(
            f"{found.name} in {folder} is {found.shape} where config.json calls for {shape}; one "
            "of them belongs to another model"
        )
