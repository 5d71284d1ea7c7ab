"""The architecture of LLaMA and its kin, as ``config.json`` and Meta's ``params.json`` state it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from model_prep.errors import CheckpointError
from model_prep.json_file import read_json

ModelType = Literal["llama", "mistral", "qwen2", "qwen3"]
"""Mistral's layers are LLaMA's, Qwen2's have a bias on queries, keys and values, Qwen3's a norm on
queries and keys."""
MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)
_MAX_LAYERS = 1000
"""Beyond what any model has: a damaged number must not fill the memory with names."""
_MISSTATED = (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError)
"""What `parse_config` raises."""

_BEYOND = (
    *("use_scaled_rope", "rope_scaling", "moe", "qk_norm", "use_qk_norm"),
    *("quantization_args", "lora_args"),
)
"""Fields of ``params.json`` of later models, which change what is computed."""

MODEL_SIZES = ("7B", "13B", "33B", "30B", "65B")
"""The sizes of the first LLaMA; Meta calls 33B ``30B``."""
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
    head_size: int | None = None
    """Rows of a head where they are not ``hidden_size / num_attention_heads``, as in Qwen3."""
    attention_bias: bool = False
    """Queries, keys, values and the output have biases; Qwen2's first three have them always."""
    mlp_bias: bool = False
    rope_scaling: Mapping[str, Any] | None = None
    """How positions beyond those of the training are reached, as ``config.json`` states it."""

    @property
    def head_dim(self) -> int:
        """Rows of one attention head."""
        return self.head_size or self.hidden_size // self.num_attention_heads

    @property
    def layer_extras(self) -> tuple[str, ...]:
        """Names, within a layer, of the tensors that the first LLaMA has not."""
        biased: tuple[str, ...] = (
            ("q_proj", "k_proj", "v_proj") if self.model_type == "qwen2" else ()
        )
        if self.attention_bias and self.model_type != "qwen2":
            biased = ("q_proj", "k_proj", "v_proj", "o_proj")
        norms = ("q_norm", "k_norm") if self.model_type == "qwen3" else ()
        feed_forward = ("gate_proj", "up_proj", "down_proj") if self.mlp_bias else ()
        return (
            *(f"self_attn.{name}.bias" for name in biased),
            *(f"self_attn.{name}.weight" for name in norms),
            *(f"mlp.{name}.bias" for name in feed_forward),
        )

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor by its Hugging Face name."""
        hidden, key_value = self.hidden_size, self.num_key_value_heads * self.head_dim
        query = self.num_attention_heads * self.head_dim
        matrices = {
            "embed_tokens": (self.vocab_size, hidden),
            "lm_head": (self.vocab_size, hidden),
            "q_proj": (query, hidden),
            "k_proj": (key_value, hidden),
            "v_proj": (key_value, hidden),
            "o_proj": (hidden, query),
            "q_norm": (self.head_dim,),
            "k_norm": (self.head_dim,),
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
    params = params.get("model") or params  # in some releases beside what is said of training
    try:
        for name in ("dim", "n_layers", "n_heads"):
            if int(params[name]) < 1:
                raise ValueError(name)
        _require_layers(int(params["n_layers"]))
        if params["dim"] % (2 * params["n_heads"]):
            raise ValueError
        float(params["norm_eps"])
        if params["n_heads"] * (params.get("head_dim") or 0) not in (0, params["dim"]):
            raise ValueError("head_dim")
        if beyond := next(filter(params.get, _BEYOND), None):
            raise CheckpointError(
                f"{file} has {beyond}, which is not converted; get the model as Hugging Face has it"
            )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        msg = f"{file} lacks or misstates a size of the model ({error}); get it again"
        raise CheckpointError(msg) from error
    return params


def to_params(config: ModelConfig) -> dict[str, Any]:
    """Return Meta's ``params.json`` of a model.

    Raises:
        CheckpointError: it can't state the width of the heads or of the feed-forward layers.
    """
    if config.head_size or config.rope_scaling or config.layer_extras:
        raise CheckpointError(
            "params.json can't state what this model has: heads of another width, biases or scaled "
            "positions; it stays in the Hugging Face format"
        )
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


def context_of(params: Mapping[str, Any]) -> int:
    """Return the tokens of the context, which Meta's ``params.json`` does not name, by the release.

    LLaMA 2 has another epsilon than LLaMA (except 65B) or grouped heads; Code Llama and LLaMA 3
    have other angles.
    """
    theta = float(params.get("rope_theta") or ModelConfig.rope_theta)
    if theta >= 1e6:
        return 16384
    if theta >= 5e5:
        return 8192
    *shape, epsilon, _ = _PUBLISHED["65B"]
    first_65b = [params["dim"], params["n_layers"], params["n_heads"]] == shape
    second = float(params["norm_eps"]) == epsilon and not first_65b
    return 4096 if second or params.get("n_kv_heads") else ModelConfig.max_position_embeddings


def _params(hidden: int, layers: int, heads: int, epsilon: float) -> dict[str, Any]:
    sizes = {"dim": hidden, "multiple_of": 256, "n_heads": heads, "n_layers": layers}
    return {**sizes, "norm_eps": epsilon, "vocab_size": -1}


def _multiple_of(config: ModelConfig) -> int:
    """Return the multiple that two thirds of four times ``hidden_size`` are rounded up to."""
    least, width = 8 * config.hidden_size // 3, config.intermediate_size
    for multiple in (256, 128, 64, 32, 16, 8, 4, 2, 1, width):
        if -(-least // multiple) * multiple == width:
            return multiple
    raise CheckpointError(
        f"params.json can't say that the feed-forward layers are {width} wide where the model is "
        f"{config.hidden_size} wide; models of this shape stay in the Hugging Face format"
    )


def read_config(
    folder: Path,
    model_types: tuple[ModelType, ...] = ("llama",),
    scalings: tuple[str, ...] = ("default",),
) -> ModelConfig:
    """Read the ``config.json`` of a Hugging Face folder, for a format that holds some models only.

    Raises:
        CheckpointError: it is missing, damaged, or of another model.
    """
    if not (folder / "config.json").is_file() and (folder / "params.json").is_file():
        raise CheckpointError(
            f"{folder} is in Meta's format; make a Hugging Face folder of it with: model-prep "
            f"convert --input-dir {folder} --output-dir FOLDER"
        )
    config = read_json(folder / "config.json")
    try:
        _require_plain(config, model_types, scalings)
        return parse_config(config)
    except (*_MISSTATED, AttributeError) as error:
        others = [name.capitalize() for name in model_types if name != "llama"]
        wanted = " or a ".join(["LLaMA of the first kind", *others])
        raise CheckpointError(f"{folder / 'config.json'} is not of a {wanted} ({error})") from error


def _require_plain(
    config: dict[str, Any], model_types: tuple[ModelType, ...], scalings: tuple[str, ...]
) -> None:
    scaling = scaling_type(_rope(config))
    if config["model_type"] not in model_types or scaling not in scalings:
        raise ValueError(f"model type {config['model_type']}, positions scaled by {scaling}")
    if scaling == "linear":
        float(_rope(config)["factor"])  # raises where it is missing
    if config.get("use_sliding_window"):
        raise ValueError("attention in a sliding window")
    if (activation := config.get("hidden_act") or "silu") not in ("silu", "swish"):
        raise ValueError(f"hidden_act {activation}, where only silu can be stated")


def scaling_type(rope: Mapping[str, Any] | None) -> str:
    """Return the name of a way of scaling positions; ``default`` is none."""
    return str((rope or {}).get("rope_type") or (rope or {}).get("type") or "default")


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of positions, in the words of transformers before and since version 5.

    Raises:
        TypeError: it is not a mapping, or one for each kind of layer.
    """
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    if any(isinstance(value, Mapping) for value in rope.values()):
        raise TypeError("positions of their own for each kind of layer")
    return rope


def _require_layers(layers: int) -> None:
    if not 1 <= layers <= _MAX_LAYERS:
        raise ValueError(f"{layers:,} layers")


def stated_config(folder: Path, config: Mapping[str, Any]) -> ModelConfig:
    """Return what the content of a folder's ``config.json`` states.

    Raises:
        CheckpointError: it lacks or misstates something.
    """
    try:
        return parse_config(config)
    except _MISSTATED as error:
        msg = f"{folder / 'config.json'} lacks or misstates a size ({error}); get it again"
        raise CheckpointError(msg) from error


def parse_config(config: Mapping[str, Any]) -> ModelConfig:
    """Return what the content of a ``config.json`` states.

    Raises:
        KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError: it lacks or misstates
            something.
    """
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    if heads < 1 or hidden < 1:
        raise ValueError(f"{heads} heads of {hidden} columns")
    head_size = int(config.get("head_dim") or 0) or None
    if head_size is None and hidden % (2 * heads):
        raise ValueError(f"{heads} heads do not share {hidden} columns evenly")
    layers = int(config["num_hidden_layers"])
    _require_layers(layers)
    rope = _rope(config)
    kind = config.get("model_type")
    # Of a Mistral, the tokens that see each other.
    length = int(config.get("max_position_embeddings") or ModelConfig.max_position_embeddings)
    window = config.get("sliding_window") if config.get("model_type") == "mistral" else None
    return ModelConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=int(config.get("num_key_value_heads") or heads),
        intermediate_size=int(config["intermediate_size"]),
        vocab_size=int(config["vocab_size"]),
        rms_norm_eps=float(config["rms_norm_eps"]),
        rope_theta=float(
            rope.get("rope_theta") or config.get("rope_theta") or ModelConfig.rope_theta
        ),
        max_position_embeddings=min(length, int(window)) if window else length,
        model_type=kind if kind in MODEL_TYPES else "llama",
        head_size=None if head_size == hidden // heads else head_size,
        attention_bias=bool(config.get("attention_bias")),
        mlp_bias=bool(config.get("mlp_bias")),
        rope_scaling=rope if scaling_type(rope) != "default" else None,
    )


def to_config(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """Return the ``config.json`` of a Hugging Face folder.

    Args:
        config: The configuration of the model.
        dtype: The dtype of the weights, as PyTorch spells it.
    """
    own: dict[str, dict[str, Any]] = {
        "llama": {"architectures": ["LlamaForCausalLM"]},
        "mistral": {"architectures": ["MistralForCausalLM"], "sliding_window": None},
        "qwen2": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
        "qwen3": {"architectures": ["Qwen3ForCausalLM"], "use_sliding_window": False},
    }
    stated = asdict(config)
    if head_size := stated.pop("head_size"):
        stated["head_dim"] = head_size
    for name in ("mlp_bias", "rope_scaling"):
        if not stated[name]:
            del stated[name]
    if config.model_type == "qwen2":
        del stated["attention_bias"]
    return {
        **own[config.model_type],
        **stated,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "initializer_range": 0.02,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "use_cache": True,
        "torch_dtype": dtype,  # the spelling that every version of transformers reads
    }
