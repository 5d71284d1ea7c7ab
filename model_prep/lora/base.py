"""The base model of a merge, as a Hugging Face folder or in Meta's format."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from model_prep.checkpoint.reader import open_checkpoint
from model_prep.checkpoint.tensors import TensorInfo, torch_dtype
from model_prep.errors import CheckpointError
from model_prep.json_file import read_json, require_whole_links
from model_prep.llama.architecture import ModelConfig, read_config, read_params, to_config
from model_prep.llama.expected_tensors import INPUT, OUTPUT, are_tied, require_fitting
from model_prep.llama.meta_checkpoint import MetaCheckpoint

if TYPE_CHECKING:
    import torch

_CONFIG = "config.json"
_EMBEDDING_NAMES = ("wte.weight", "word_embeddings.weight", "embed_tokens.weight")
_IN_LAYER = re.compile(r"\.\d+\.")
"""In the name of a matrix of a layer, which may have as many rows as there are pieces."""


class BaseWeights(Protocol):
    """Weights under their Hugging Face names: a `Checkpoint` or a `MetaCheckpoint`."""

    files: list[Path]
    tensors: dict[str, TensorInfo]

    def read(self, name: str) -> "torch.Tensor":
        """Return one tensor, which must not be changed."""
        ...

    def release(self, name: str) -> None:
        """Release the memory that reading it took."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


def open_base(base_model: Path) -> tuple[BaseWeights, dict[str, Any]]:
    """Open a base model: a Hugging Face folder, or Meta's files with their ``params.json``.

    Returns:
        Its weights and its ``config.json``, made from ``params.json`` where Meta's files are.

    Raises:
        CheckpointError: something is missing or damaged, its weights are quantized, or do not fit
            its configuration.
    """
    file = base_model / _CONFIG
    if not file.is_file() and any(base_model.glob("consolidated.*.pth")):
        meta = MetaCheckpoint(base_model, read_params(base_model / "params.json"))
        dtype = str(torch_dtype(meta.dtype)).removeprefix("torch.")
        return meta, to_config(meta.config, dtype)
    if base_model.is_file():
        raise CheckpointError(
            f"{base_model} is a file; name the folder of a base model (of a GGUF file, "
            "`model-prep import-gguf` makes one)"
        )
    if not base_model.exists():
        raise CheckpointError(
            f"there is no {base_model}; check the path (a model on the Hugging Face hub is fetched "
            "with: model-prep pull NAME/REPOSITORY --hub)"
        )
    if not file.is_file():
        require_whole_links(base_model)
        found = ", ".join(sorted(path.name for path in base_model.glob("*"))[:5]) or "nothing"
        msg = f"{base_model} has no {_CONFIG} (it has {found}); name the folder of a base model"
        raise CheckpointError(msg)
    config = read_json(file)
    if quantization := config.get("quantization_config"):
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise CheckpointError(
            f"{base_model} is quantized ({method or 'quantization_config'} in its {_CONFIG}), and "
            "what is added to rounded weights is lost; name the model in float16, bfloat16 or "
            "float32 that it was made from"
        )
    base = open_checkpoint(base_model)
    require_fitting(base_model, config, base.tensors)
    return base, config


def is_tied(config: dict[str, Any], base: BaseWeights) -> bool:
    """Return whether a base's input embeddings are its output weights too.

    Its ``config.json`` says so, or its files have input embeddings alone.
    """
    if OUTPUT not in base.tensors:
        return INPUT in base.tensors
    return are_tied(config, base.tensors, base.read)


def tied_elsewhere(config: dict[str, Any], base: BaseWeights) -> set[str]:
    """Return the embeddings that are output weights too, in a model that names them otherwise.

    GPT-2, OPT, BLOOM and Falcon do. Nothing in the files says so, except that they have no
    output weights; ``config.json`` may leave it out.
    """
    if INPUT in base.tensors or OUTPUT in base.tensors:
        return set()
    if config.get("tie_word_embeddings") is False:
        return set()
    rows = config.get("vocab_size")
    named = {name for name in base.tensors if name.endswith(_EMBEDDING_NAMES)}
    return named or {
        name
        for name, info in base.tensors.items()
        if len(info.shape) == 2 and info.shape[0] == rows and not _IN_LAYER.search(name)
    }


def llama_config(base_model: Path, base: BaseWeights) -> ModelConfig:
    """Return the configuration of a base that is a LLaMA.

    Raises:
        CheckpointError: it is not a LLaMA, or one that Meta's format can't hold.
    """
    return base.config if isinstance(base, MetaCheckpoint) else read_config(base_model)
