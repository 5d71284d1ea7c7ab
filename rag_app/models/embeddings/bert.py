"""The vector of a question without PyTorch: BERT's forward pass in numpy.

A question is a dozen tokens, but importing sentence-transformers takes longer than answering from
a warm model. Of the word embeddings, by far the largest part, only the rows that are needed are
read. Both give the same vectors (tested to a cosine of 0.99999).

Source: Devlin et al. 2018, arXiv 1810.04805, and transformers' `BertModel`.
"""

import json
import math
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from rag_app.models.embeddings.base import FloatArray

_ONE_AT_A_TIME = threading.Lock()
"""The number of BLAS threads is the process's: it can only be restored in order."""


class BertQueryEncoder:
    """Embeds single short texts with a BERT folder of sentence-transformers.

    Args:
        folder: Has passed `supports`.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        self._config = _json(folder / "config.json")
        self._pooling = _pooling(folder)
        self._limit = _token_limit(folder, self._config)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._file = safe_open(folder / "model.safetensors", framework="numpy")
        names = set(self._file.keys())
        # Checkpoints of other classes keep the encoder under a name of its own.
        self._prefix = "bert." if "bert.embeddings.LayerNorm.weight" in names else ""
        self._layers = [self._layer(index) for index in range(self._config["num_hidden_layers"])]

    @staticmethod
    def supports(folder: Path) -> bool:
        """Return whether ``folder`` is a float32 BertModel with mean or CLS pooling."""
        try:
            config = _json(folder / "config.json")
            return (
                config.get("model_type") == "bert"
                and config.get("hidden_act", "gelu") == "gelu"
                and config.get("position_embedding_type", "absolute") == "absolute"
                and (folder / "tokenizer.json").is_file()
                and (folder / "model.safetensors").is_file()
                and _dtype(folder) == "F32"
                and _pooling(folder) is not None
            )
        except (OSError, ValueError):
            return False

    def encode(self, text: str) -> FloatArray:
        """Return the vector of ``text``, float32 ``[hidden]``, L2-normalized."""
        self._tokenizer.enable_truncation(self._limit)
        ids: list[int] = self._tokenizer.encode(text).ids
        # Products this small are hardly faster on many threads, and where the other cores are busy
        # every one of them waits for the slowest.
        with _ONE_AT_A_TIME, _blas().limit(limits=1):
            hidden = self._embed(ids)
            for layer in self._layers:
                hidden = _transform(hidden, layer, self._config)
        vector = hidden[0] if self._pooling == "cls" else hidden.mean(axis=0)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` has, however long it is."""
        self._tokenizer.no_truncation()
        return len(self._tokenizer.encode(text).ids)

    def _embed(self, ids: list[int]) -> FloatArray:
        words = self._file.get_slice(f"{self._prefix}embeddings.word_embeddings.weight")
        rows = np.concatenate([words[token : token + 1] for token in ids])
        positions = self._tensor("embeddings.position_embeddings.weight", slice(0, len(ids)))
        types = self._tensor("embeddings.token_type_embeddings.weight", slice(0, 1))
        return _layer_norm(
            rows + positions + types,
            self._tensor("embeddings.LayerNorm.weight"),
            self._tensor("embeddings.LayerNorm.bias"),
            self._config["layer_norm_eps"],
        )

    def _tensor(self, name: str, rows: slice | None = None) -> FloatArray:
        if rows is None:
            return np.asarray(self._file.get_tensor(self._prefix + name), np.float32)
        return np.asarray(self._file.get_slice(self._prefix + name)[rows], np.float32)

    def _layer(self, index: int) -> dict[str, FloatArray]:
        parts = (
            "attention.self.query", "attention.self.key", "attention.self.value",
            "attention.output.dense", "attention.output.LayerNorm",
            "intermediate.dense", "output.dense", "output.LayerNorm",
        )  # fmt: skip
        return {
            f"{part}.{kind}": self._tensor(f"encoder.layer.{index}.{part}.{kind}")
            for part in parts
            for kind in ("weight", "bias")
        }


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _transform(
    hidden: FloatArray, layer: dict[str, FloatArray], config: dict[str, Any]
) -> FloatArray:
    """Return ``hidden``, float32 ``[tokens, hidden]``, after one layer."""

    def linear(values: FloatArray, name: str) -> FloatArray:
        return np.asarray(values @ layer[f"{name}.weight"].T + layer[f"{name}.bias"], np.float32)

    def norm(values: FloatArray, name: str) -> FloatArray:
        weight, bias = layer[f"{name}.weight"], layer[f"{name}.bias"]
        return _layer_norm(values, weight, bias, config["layer_norm_eps"])

    heads = config["num_attention_heads"]

    def split(values: FloatArray) -> FloatArray:
        return values.reshape(len(values), heads, -1).transpose(1, 0, 2)

    query, key, value = (
        split(linear(hidden, f"attention.self.{name}")) for name in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    context = (weights @ value).transpose(1, 0, 2).reshape(hidden.shape)
    attended = norm(
        linear(context, "attention.output.dense") + hidden, "attention.output.LayerNorm"
    )
    inner = _gelu(linear(attended, "intermediate.dense"))
    return norm(linear(inner, "output.dense") + attended, "output.LayerNorm")


def _layer_norm(values: FloatArray, weight: FloatArray, bias: FloatArray, eps: float) -> FloatArray:
    centred = values - values.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return np.asarray(centred / deviation * weight + bias, np.float32)


def _gelu(values: FloatArray) -> FloatArray:
    """Return x Φ(x), with erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7)."""
    x = values / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = 0.254829592 + t * (
        -0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))
    )
    erf = np.sign(x) * (1 - t * series * np.exp(-(x**2)))
    return np.asarray(0.5 * values * (1 + erf), np.float32)


def _pooling(folder: Path) -> str | None:
    """Return ``mean`` or ``cls``; None for any other kind."""
    config = _json(folder / "1_Pooling" / "config.json")
    if not config:
        return "mean"  # what sentence-transformers makes of a plain BERT folder
    modes = {name for name, value in config.items() if name.startswith("pooling_mode") and value}
    if "pooling_mode" in modes:  # newer folders name the mode
        return str(config["pooling_mode"]) if config["pooling_mode"] in ("mean", "cls") else None
    return {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get(
        modes.pop() if len(modes) == 1 else ""
    )


def _token_limit(folder: Path, config: dict[str, Any]) -> int:
    limit = int(config["max_position_embeddings"])
    given = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    return min(int(given or limit), limit)


def _json(file: Path) -> dict[str, Any]:
    """Return what a JSON file holds, nothing if there is none."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _dtype(folder: Path) -> str:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        name = next(name for name in file.keys() if name.endswith("embeddings.LayerNorm.weight"))  # noqa: SIM118
        return str(file.get_slice(name).get_dtype())
