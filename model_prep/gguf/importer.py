"""Import of GGUF files as Hugging Face folders, so that what llama.cpp runs can be trained.

Quantized weights become float16 numbers; what the quantization lost stays lost. The weights pass
through some megabytes at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.catalog.models import find
from model_prep.catalog.pull import find_pulled
from model_prep.checkpoint.safetensors_file import DEFAULT_SHARD_BYTES, write_safetensors_shards
from model_prep.checkpoint.tensors import TensorData, reporting
from model_prep.errors import CheckpointError, TokenizerError, UsageError, first_line
from model_prep.gguf.layout import TensorSource, sources
from model_prep.json_file import write_json
from model_prep.llama.architecture import ModelConfig, to_config
from model_prep.output import output_folder
from model_prep.process_state import quiet_transformers
from model_prep.progress import Progress

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderTensor

_BLOCK_WEIGHTS = 2**24  # weights that are computed together: 64 MB as float32


@dataclass(frozen=True)
class GgufImport:
    """The result of an import."""

    path: Path
    """The file that was read."""
    output_dir: Path
    tensors: int
    vocabulary: int
    """Tokens."""
    size: int
    """Bytes of the weights."""


def import_gguf(
    model: str | Path, output_dir: str | Path, *, progress: Progress | None = None
) -> GgufImport:
    """Write a GGUF file of a Qwen2, tokenizer included, as a Hugging Face folder of float16.

    Args:
        model: The file, or the catalog's name of a pulled one.
        output_dir: Is new or empty; it appears when it is complete.
        progress: Called with bytes of the weights written and in all.

    Raises:
        UsageError: there is no such model.
        PullError: it has not been pulled.
        CheckpointError: the file is damaged, or its model or tokenizer is of another kind.
        OutputError: ``output_dir`` holds something or can't be written.
        DiskSpaceError: the disk is too full.
    """
    output_dir = Path(output_dir)
    path = _file(model)
    reader = _open(path)
    held = {tensor.name: tensor for tensor in reader.tensors}
    config = _model_config(reader, path)
    tied = "output.weight" not in held
    wanted = sources(config, tied=tied)
    _check(wanted, held, path)
    tensors = [
        TensorData(source.name, "F16", source.shape, _pieces(held[name]))
        for name, source in wanted.items()
    ]
    size = sum(tensor.size for tensor in tensors)
    with output_folder(output_dir, size) as folder:
        write_safetensors_shards(
            folder, reporting(tensors, f"reading {path.name}", progress), DEFAULT_SHARD_BYTES
        )
        _write_tokenizer(path, folder)
        write_json(folder / "config.json", _config(reader, config, tied=tied))
    return GgufImport(path, output_dir, len(tensors), config.vocab_size, size)


def _file(model: str | Path) -> Path:
    entry = find(str(model))
    if entry and not entry.file:
        raise UsageError(f"{model} is not a GGUF file but a folder already; use it as it is")
    path = find_pulled(str(model)) or Path(model).expanduser()
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        msg = f"{path} {what}; name a GGUF file, or a model that model-prep models lists as one"
        raise UsageError(msg)
    return path


def _open(path: Path) -> "GGUFReader":
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except PermissionError as error:
        raise CheckpointError(f"{path} can't be read ({error.strerror})") from error
    except Exception as error:  # whatever a damaged or hostile file makes the library raise
        msg = f"{path} is not a GGUF file, or is damaged ({first_line(error)}); get it again"
        raise CheckpointError(msg) from error


def _value(reader: "GGUFReader", name: str, default: Any = None) -> Any:
    field = reader.get_field(name)
    return default if field is None else field.contents()


def _model_config(reader: "GGUFReader", path: Path) -> ModelConfig:
    model_type, pre = _value(reader, "general.architecture"), _value(reader, "tokenizer.ggml.pre")
    if model_type != "qwen2" or pre != "qwen2":
        raise CheckpointError(
            f"{path} holds a model of kind {model_type} with a tokenizer of kind {pre}; only "
            "Qwen2's files hold all that a folder needs. Use the folder that the file was made of"
        )
    try:
        return ModelConfig(
            hidden_size=int(_value(reader, "qwen2.embedding_length")),
            num_hidden_layers=int(_value(reader, "qwen2.block_count")),
            num_attention_heads=int(_value(reader, "qwen2.attention.head_count")),
            num_key_value_heads=int(_value(reader, "qwen2.attention.head_count_kv")),
            intermediate_size=int(_value(reader, "qwen2.feed_forward_length")),
            vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
            # Held as float32, of which the digits beyond seven are noise.
            rms_norm_eps=float(f"{_value(reader, 'qwen2.attention.layer_norm_rms_epsilon'):.6g}"),
            rope_theta=float(f"{_value(reader, 'qwen2.rope.freq_base', 10000.0):.6g}"),
            max_position_embeddings=int(_value(reader, "qwen2.context_length")),
            model_type="qwen2",
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} lacks or misstates a size of its model ({error}); get it again"
        raise CheckpointError(msg) from error


def _check(wanted: dict[str, TensorSource], held: "dict[str, ReaderTensor]", path: Path) -> None:
    for name, source in wanted.items():
        found = tuple(map(int, reversed(held[name].shape))) if name in held else None
        if found != source.shape:
            msg = f"{path} has {name} as {found}, not as {source.shape}; get it again"
            raise CheckpointError(msg)
    if more := held.keys() - wanted.keys():
        msg = f"{path} holds {min(more)}, which no Qwen2 has; it can't be written as a folder"
        raise CheckpointError(msg)


def _pieces(tensor: "ReaderTensor") -> Iterator[memoryview]:
    """Yield a tensor as float16, some rows each."""
    import numpy as np
    from gguf.quants import dequantize

    rows = tensor.data.reshape(-1, tensor.data.shape[-1])
    step = max(_BLOCK_WEIGHTS // int(tensor.shape[0]), 1)
    for begin in range(0, len(rows), step):
        values = dequantize(rows[begin : begin + step], tensor.tensor_type)
        yield values.astype(np.float16).data.cast("B")


def _write_tokenizer(path: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    try:
        # Its advice on GGUF files is for those who go on with the object.
        with quiet_transformers(warnings=False):
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            tokenizer.save_pretrained(folder)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        msg = f"{path} has no tokenizer that can be read ({first_line(error)})"
        raise TokenizerError(msg) from error


def _config(reader: "GGUFReader", config: ModelConfig, *, tied: bool) -> dict[str, Any]:
    special = {
        f"{ours}_token_id": _value(reader, f"tokenizer.ggml.{theirs}_token_id")
        for ours, theirs in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    return {**to_config(config, "float16"), "tie_word_embeddings": tied, **special}
