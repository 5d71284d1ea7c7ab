"""The shape of a LLaMA, or of its kin, as ``params.json`` and ``config.json`` say it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model_prep.errors import CheckpointError
from model_prep.json_file import read_json

Kind = Literal["llama", "qwen2"]
"""Qwen2's layers are LLaMA's with a bias on queries, keys and values."""

_CONTEXT = 2048
"""Tokens that the first LLaMA was trained on; ``params.json`` does not name them."""
_ROPE_THETA = 10000.0


@dataclass(frozen=True)
class LlamaShape:
    """What both formats need to know."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    """Of keys and values; as many as ``heads`` in the first LLaMA."""
    intermediate: int
    vocabulary: int
    epsilon: float
    rope_theta: float = _ROPE_THETA
    context: int = _CONTEXT
    """Tokens."""
    kind: Kind = "llama"

    @property
    def head(self) -> int:
        """Rows of a head."""
        return self.hidden // self.heads

    def sizes(self, hugging_face_name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        hidden = self.hidden
        name, _, what = hugging_face_name.rpartition(".")
        if what not in ("weight", "bias"):
            name = hugging_face_name
        part = name.rsplit(".", 1)[-1]
        matrices = {
            "embed_tokens": (self.vocabulary, hidden),
            "lm_head": (self.vocabulary, hidden),
            "q_proj": (hidden, hidden),
            "k_proj": (self.key_heads * self.head, hidden),
            "v_proj": (self.key_heads * self.head, hidden),
            "o_proj": (hidden, hidden),
            "gate_proj": (self.intermediate, hidden),
            "up_proj": (self.intermediate, hidden),
            "down_proj": (hidden, self.intermediate),
        }
        sizes = matrices.get(part, (hidden,))
        return sizes[:1] if what == "bias" else sizes


# hidden, layers, heads, epsilon, shards of Meta's files
_PUBLISHED = {
    "7B": (4096, 32, 32, 1e-6, 1),
    "13B": (5120, 40, 40, 1e-6, 2),
    "33B": (6656, 60, 52, 1e-6, 4),
    "65B": (8192, 80, 64, 1e-5, 8),
}
MODEL_SIZES = ("7B", "13B", "33B", "30B", "65B")
"""Of the first LLaMA; Meta calls 33B ``30B``."""


def published_params(model_size: str) -> dict[str, Any]:
    """Return the ``params.json`` of a published size, one of `MODEL_SIZES`."""
    hidden, layers, heads, epsilon, _ = _PUBLISHED[model_size.replace("30B", "33B")]
    return _params(hidden, layers, heads, epsilon)


def published_shards(shape: LlamaShape) -> int:
    """Return how many files Meta split a model of this shape into; 1 where it published none."""
    sizes = (one for one in _PUBLISHED.values() if one[:2] == (shape.hidden, shape.layers))
    return next((one[-1] for one in sizes), 1)


def read_params(file: Path) -> dict[str, Any]:
    """Read a ``params.json``.

    Raises:
        CheckpointError: it is missing, damaged or lacks something.
    """
    params = read_json(file)
    try:
        for name in ("dim", "n_layers", "n_heads"):
            if int(params[name]) < 1:
                raise ValueError(name)
        if params["dim"] % (2 * params["n_heads"]):
            raise ValueError
        float(params["norm_eps"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{file} lacks or misstates a size of the model ({error}); get it again"
        raise CheckpointError(msg) from error
    return params


def to_params(shape: LlamaShape) -> dict[str, Any]:
    """Return what Meta's ``params.json`` says of a model of this shape.

    Raises:
        CheckpointError: it has no words for the width of the feed-forward layers.
    """
    params = _params(shape.hidden, shape.layers, shape.heads, shape.epsilon)
    params["multiple_of"] = _multiple_of(shape)
    if shape.key_heads != shape.heads:
        params["n_kv_heads"] = shape.key_heads
    if shape.rope_theta != _ROPE_THETA:
        params["rope_theta"] = shape.rope_theta
    return params


def _params(hidden: int, layers: int, heads: int, epsilon: float) -> dict[str, Any]:
    sizes = {"dim": hidden, "multiple_of": 256, "n_heads": heads, "n_layers": layers}
    return {**sizes, "norm_eps": epsilon, "vocab_size": -1}


def _multiple_of(shape: LlamaShape) -> int:
    """Return the multiple that two thirds of four times ``hidden`` are rounded up to."""
    least = 8 * shape.hidden // 3
    for multiple in (256, 128, 64, 32, 16, 8, 4, 2, 1, shape.intermediate):
        if -(-least // multiple) * multiple == shape.intermediate:
            return multiple
    msg = (
        f"params.json can't say that the feed-forward layers are {shape.intermediate} wide where "
        f"the model is {shape.hidden} wide; models of this shape stay in the Hugging Face format"
    )
    raise CheckpointError(msg)


def read_config(folder: Path, kinds: tuple[Kind, ...] = ("llama",)) -> LlamaShape:
    """Read the shape from the ``config.json`` of a Hugging Face folder.

    Args:
        folder: Holds it.
        kinds: Those that are wanted.

    Raises:
        CheckpointError: it is missing, damaged, or of a model of another kind.
    """
    config = read_json(folder / "config.json")
    try:
        _require_plain(config, kinds)
        return shape_of(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        wanted = "LLaMA of the first kind" + (" or a Qwen2" if "qwen2" in kinds else "")
        msg = f"{folder / 'config.json'} is not of a {wanted} ({error})"
        raise CheckpointError(msg) from error


def _require_plain(config: dict[str, Any], kinds: tuple[Kind, ...]) -> None:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if config["model_type"] not in kinds or kind != "default":
        msg = f"model type {config['model_type']}, positions scaled by {kind}"
        raise ValueError(msg)
    if config.get("use_sliding_window"):
        msg = "attention in a sliding window"
        raise ValueError(msg)


def shape_of(config: dict[str, Any]) -> LlamaShape:
    """Return the shape that the content of a ``config.json`` says.

    Raises:
        KeyError, TypeError, ValueError, ZeroDivisionError: it does not say it.
    """
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    rope = config.get("rope_parameters") or {}
    if hidden % (2 * heads) or int(config.get("head_dim") or hidden // heads) != hidden // heads:
        msg = f"{heads} heads do not share {hidden} columns evenly"
        raise ValueError(msg)
    return LlamaShape(
        hidden=hidden,
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        key_heads=int(config.get("num_key_value_heads") or heads),
        intermediate=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        epsilon=float(config["rms_norm_eps"]),
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or _ROPE_THETA),
        context=int(config.get("max_position_embeddings") or _CONTEXT),
        kind="qwen2" if config.get("model_type") == "qwen2" else "llama",
    )


def to_config(shape: LlamaShape, dtype: str) -> dict[str, Any]:
    """Return the ``config.json`` of a Hugging Face folder.

    Args:
        shape: Of the model.
        dtype: Of the weights, as PyTorch spells it.
    """
    own = {
        "llama": {"architectures": ["LlamaForCausalLM"], "attention_bias": False},
        "qwen2": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
    }
    return {
        **own[shape.kind],
        "model_type": shape.kind,
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope_theta,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "initializer_range": 0.02,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "use_cache": True,
        "torch_dtype": dtype,  # the spelling that every version of transformers reads
    }
