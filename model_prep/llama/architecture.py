"""The architecture of a LLaMA or Qwen2, as ``config.json`` and Meta's ``params.json`` state it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from model_prep.errors import CheckpointError
from model_prep.json_file import read_json

ModelType = Literal["llama", "qwen2"]
"""Qwen2's layers are LLaMA's with a bias on queries, keys and values."""

MODEL_SIZES = ("7B", "13B", "33B", "30B", "65B")
"""Of the first LLaMA; Meta calls 33B ``30B``."""
# hidden_size, num_hidden_layers, num_attention_heads, rms_norm_eps, shards of Meta's files
_PUBLISHED = {
    "7B": (4096, 32, 32, 1e-6, 1),
    "13B": (5120, 40, 40, 1e-6, 2),
    "33B": (6656, 60, 52, 1e-6, 4),
    "65B": (8192, 80, 64, 1e-5, 8),
}


@dataclass(frozen=True)
class ModelConfig:
    """The fields of a ``config.json`` that both formats need.

    Example:
        >>> config = ModelConfig(8, 1, 2, 2, 20, 100, rms_norm_eps=1e-6)
        >>> config.tensor_shape("model.layers.0.mlp.down_proj.weight")
        (8, 20)
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    rms_norm_eps: float
    rope_theta: float = 10000.0
    max_position_embeddings: int = 2048
    """By default the context of the first LLaMA, which ``params.json`` does not name."""
    model_type: ModelType = "llama"

    @property
    def head_dim(self) -> int:
        """Rows of one attention head."""
        return self.hidden_size // self.num_attention_heads

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor by its Hugging Face name."""
        hidden, key_value = self.hidden_size, self.num_key_value_heads * self.head_dim
        matrices = {
            "embed_tokens": (self.vocab_size, hidden),
            "lm_head": (self.vocab_size, hidden),
            "q_proj": (hidden, hidden),
            "k_proj": (key_value, hidden),
            "v_proj": (key_value, hidden),
            "o_proj": (hidden, hidden),
            "gate_proj": (self.intermediate_size, hidden),
            "up_proj": (self.intermediate_size, hidden),
            "down_proj": (hidden, self.intermediate_size),
        }
        module, _, parameter = name.rpartition(".")
        shape = matrices.get(module.rpartition(".")[2], (hidden,))
        return shape[:1] if parameter == "bias" else shape


def published_size(model_size: str) -> str:
    """Return the name of a size as used here: upper case, ``33B`` for ``30B``."""
    return model_size.upper().replace("30B", "33B")


def published_params(model_size: str) -> dict[str, Any]:
    """Return the ``params.json`` of a published size, one of `MODEL_SIZES`."""
    hidden, layers, heads, epsilon, _ = _PUBLISHED[published_size(model_size)]
    return _params(hidden, layers, heads, epsilon)


def published_shards(config: ModelConfig) -> int:
    """Return how many files Meta split a model of this size into; 1 where it published none."""
    size = (config.hidden_size, config.num_hidden_layers)
    return next((shards for *found, _, _, shards in _PUBLISHED.values() if (*found,) == size), 1)


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


def to_params(config: ModelConfig) -> dict[str, Any]:
    """Return Meta's ``params.json`` of a model.

    Raises:
        CheckpointError: it can't state the width of the feed-forward layers.
    """
    params = _params(
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.rms_norm_eps,
    )
    params["multiple_of"] = _multiple_of(config)
    if config.num_key_value_heads != config.num_attention_heads:
        params["n_kv_heads"] = config.num_key_value_heads
    if config.rope_theta != ModelConfig.rope_theta:
        params["rope_theta"] = config.rope_theta
    return params


def _params(hidden: int, layers: int, heads: int, epsilon: float) -> dict[str, Any]:
    sizes = {"dim": hidden, "multiple_of": 256, "n_heads": heads, "n_layers": layers}
    return {**sizes, "norm_eps": epsilon, "vocab_size": -1}


def _multiple_of(config: ModelConfig) -> int:
    """Return the multiple that two thirds of four times ``hidden_size`` are rounded up to."""
    least, width = 8 * config.hidden_size // 3, config.intermediate_size
    for multiple in (256, 128, 64, 32, 16, 8, 4, 2, 1, width):
        if -(-least // multiple) * multiple == width:
            return multiple
    msg = (
        f"params.json can't say that the feed-forward layers are {width} wide where the model is "
        f"{config.hidden_size} wide; models of this shape stay in the Hugging Face format"
    )
    raise CheckpointError(msg)


def read_config(folder: Path, model_types: tuple[ModelType, ...] = ("llama",)) -> ModelConfig:
    """Read the ``config.json`` of a Hugging Face folder that is of one of ``model_types``.

    Raises:
        CheckpointError: it is missing, damaged, or of another model.
    """
    config = read_json(folder / "config.json")
    try:
        _require_plain(config, model_types)
        return parse_config(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        wanted = "LLaMA of the first kind" + (" or a Qwen2" if "qwen2" in model_types else "")
        msg = f"{folder / 'config.json'} is not of a {wanted} ({error})"
        raise CheckpointError(msg) from error


def _require_plain(config: dict[str, Any], model_types: tuple[ModelType, ...]) -> None:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scaling = rope.get("rope_type") or rope.get("type") or "default"
    if config["model_type"] not in model_types or scaling != "default":
        msg = f"model type {config['model_type']}, positions scaled by {scaling}"
        raise ValueError(msg)
    if config.get("use_sliding_window"):
        raise ValueError("attention in a sliding window")


def parse_config(config: dict[str, Any]) -> ModelConfig:
    """Return what the content of a ``config.json`` states.

    Raises:
        KeyError, TypeError, ValueError, ZeroDivisionError: it lacks or misstates something.
    """
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    rope = config.get("rope_parameters") or {}
    if hidden % (2 * heads) or int(config.get("head_dim") or hidden // heads) != hidden // heads:
        msg = f"{heads} heads do not share {hidden} columns evenly"
        raise ValueError(msg)
    return ModelConfig(
        hidden_size=hidden,
        num_hidden_layers=int(config["num_hidden_layers"]),
        num_attention_heads=heads,
        num_key_value_heads=int(config.get("num_key_value_heads") or heads),
        intermediate_size=int(config["intermediate_size"]),
        vocab_size=int(config["vocab_size"]),
        rms_norm_eps=float(config["rms_norm_eps"]),
        rope_theta=float(
            rope.get("rope_theta") or config.get("rope_theta") or ModelConfig.rope_theta
        ),
        max_position_embeddings=int(
            config.get("max_position_embeddings") or ModelConfig.max_position_embeddings
        ),
        model_type="qwen2" if config.get("model_type") == "qwen2" else "llama",
    )


def to_config(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """Return the ``config.json`` of a Hugging Face folder.

    Args:
        config: Of the model.
        dtype: Of the weights, as PyTorch spells it.
    """
    own = {
        "llama": {"architectures": ["LlamaForCausalLM"], "attention_bias": False},
        "qwen2": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
    }
    return {
        **own[config.model_type],
        **asdict(config),
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "initializer_range": 0.02,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "use_cache": True,
        "torch_dtype": dtype,  # the spelling that every version of transformers reads
    }
