"""Export of models of the LLaMA family, Mistral, Qwen2 and Qwen3 as GGUF files for llama.cpp.

The package ``gguf`` writes the header; the weights pass through some megabytes at a time, so that
memory does not limit the model.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from model_prep.checkpoint.reader import Checkpoint, open_checkpoint
from model_prep.checkpoint.tensors import forget, raw_bytes
from model_prep.errors import DiskSpaceError, ExportError, OutputError
from model_prep.gguf.layout import (
    ARCHITECTURES,
    SCALINGS,
    TensorSource,
    add_config,
    check_tensors,
    rope_factors,
    sources,
)
from model_prep.gguf.quantization import (
    Quantization,
    quantize_rows,
    require_quantizer,
    tensor_type,
)
from model_prep.gguf.vocabulary import Vocabulary, read_vocabulary
from model_prep.json_file import read_json
from model_prep.llama.architecture import MODEL_TYPES, ModelConfig, read_config
from model_prep.llama.expected_tensors import are_tied
from model_prep.llama.meta_layout import unpermute
from model_prep.output import PARTIAL, is_full, locked, require_space, sync
from model_prep.progress import Progress
from model_prep.threads import in_order

if TYPE_CHECKING:
    import torch
    from gguf import GGMLQuantizationType

_BLOCK_WEIGHTS = 2**22  # weights that are quantized together: 16 MB as float32
_THREADS = os.cpu_count() or 1
_HEADER_BYTES = 8 * 2**20  # more than keys, vocabulary and tensor table take
_REMEDY = "free some space, or write to another disk with --output"


@dataclass(frozen=True)
class GgufExport:
    """The result of an export, or of its dry run."""

    path: Path
    quantize: Quantization
    tensors: int
    vocabulary: int
    """Tokens."""
    size: int
    """Bytes of the weights."""
    notes: tuple[str, ...] = ()
    """What a user should know of the file, a line each."""


def export_gguf(
    folder: str | Path,
    target: str | Path | None = None,
    *,
    quantize: Quantization = "f16",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> GgufExport:
    """Write a Hugging Face folder of a LLaMA or its kin, tokenizer included, as one GGUF file.

    Norms stay float32, rows that no block divides float16. The output weights are held finer, as
    they bear it least; so are half the layers' values and down projections in the mixes ``_k_m``.

    Args:
        folder: With ``config.json``, weights, and ``tokenizer.model``, or a ``tokenizer.json`` of
            Qwen's or LLaMA 3's kind.
        target: By default beside the folder: ``<folder>-<quantize>.gguf``; in the working folder
            where that is a snapshot in the hub's cache.
        quantize: How the weights are held.
        dry_run: Check everything and write nothing.
        progress: Called with bytes of the weights written and in all.

    Raises:
        ExportError: the folder is not such a model, or a weight is not a number or too large.
        OutputError: the target exists or can't be written.
        TokenizerError: its tokenizer is missing or damaged.
        CheckpointError: the configuration or the weights are missing, damaged, or of another kind.
        DiskSpaceError: the file would not fit.

    Example:
        >>> export_gguf("llama-hf", quantize="f16").path.name
        'llama-hf-f16.gguf'
    """
    if quantize not in get_args(Quantization):
        known = ", ".join(get_args(Quantization))
        raise ExportError(f"quantization {quantize!r} is not known; choose one of {known}")
    require_quantizer(quantize)
    folder = Path(folder).expanduser()
    target = Path(target) if target else _default_target(folder.resolve(), quantize)
    _require_new(target)
    config = read_config(folder, MODEL_TYPES, SCALINGS)
    vocabulary = read_vocabulary(folder, config)
    with open_checkpoint(folder) as checkpoint:
        stated = read_json(folder / "config.json")
        tied = are_tied(stated, checkpoint.tensors, checkpoint.read)
        wanted = sources(config, tied=tied)
        check_tensors(stated, wanted.values(), checkpoint.tensors, folder)
        plan = _plan(wanted, quantize, layers=config.num_hidden_layers, tied=tied)
        size = sum(tensor.size for tensor in plan)
        _check_room(target, size)
        if not dry_run:
            with _partial_file(target) as part:
                _write(part, checkpoint, plan, (config, vocabulary, quantize), progress)
    return GgufExport(target, quantize, len(plan), len(vocabulary.tokens), size, vocabulary.notes)


def _default_target(folder: Path, quantize: Quantization) -> Path:
    beside, name = folder.parent, folder.name
    if beside.name == "snapshots" and (repository := beside.parent.name).startswith("models--"):
        beside, name = Path.cwd(), repository.rpartition("--")[2]
    return beside / f"{name}-{quantize}.gguf"


@dataclass(frozen=True)
class _Tensor:
    name: str
    source: TensorSource
    type: "GGMLQuantizationType"
    size: int  # bytes in the file, without padding

    @property
    def padding(self) -> int:
        from gguf import GGUF_DEFAULT_ALIGNMENT

        return int(-self.size % GGUF_DEFAULT_ALIGNMENT)


def _plan(
    wanted: dict[str, TensorSource], quantize: Quantization, *, layers: int, tied: bool
) -> list[_Tensor]:
    from gguf import GGML_QUANT_SIZES

    plan = []
    for name, source in wanted.items():
        kind = tensor_type(name, source.shape, quantize, layers=layers, tied=tied)
        weights, block = GGML_QUANT_SIZES[kind]
        size = math.prod(source.shape) // weights * block
        plan.append(_Tensor(name, source, kind, size))
    return plan


def _require_new(target: Path) -> None:
    if target.exists():
        raise OutputError(f"{target} exists; delete it, or name another file with --output")


def _check_room(target: Path, size: int) -> None:
    parent = target.parent
    if not parent.is_dir():
        msg = f"there is no folder {parent}; make it, or name another file with --output"
        raise OutputError(msg)
    require_space(parent, size + _HEADER_BYTES, remedy=_REMEDY)


@contextmanager
def _partial_file(target: Path) -> Iterator[Path]:
    """Yield a file beside ``target`` that this run alone writes, and that becomes it at the end."""
    part = target.with_name(f"{target.name}{PARTIAL}")
    try:
        part.touch()
        with locked(part) as alone:
            if not alone:
                msg = f"another run is writing {target}; wait for it, or name another file"
                raise OutputError(msg)
            try:
                _require_new(target)
                yield part
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(target, error) from error


def _cannot_write(target: Path, error: OSError) -> OutputError | DiskSpaceError:
    if is_full(error):
        return DiskSpaceError(f"the disk of {target} is full; {_REMEDY}; nothing was kept")
    reason = error.strerror or str(error) or type(error).__name__
    return OutputError(f"{target} can't be written ({reason}); name another file with --output")


def _write(
    part: Path,
    checkpoint: Checkpoint,
    plan: list[_Tensor],
    about: tuple[ModelConfig, Vocabulary, Quantization],
    progress: Progress | None,
) -> None:
    _write_header(part, plan, *about)
    total = sum(tensor.size + tensor.padding for tensor in plan)
    done = 0

    def weight(source: TensorSource) -> "torch.Tensor":
        return rope_factors(about[0]) if source.is_computed else checkpoint.read(source.name)

    tasks = (task for tensor in plan for task in _tasks(weight(tensor.source), tensor))
    with part.open("ab") as file:
        for data in in_order(tasks, _THREADS):
            done += file.write(data)
            if progress:
                progress(f"writing {part.stem}", done, total)
    sync(part)


def _write_header(
    part: Path,
    plan: list[_Tensor],
    config: ModelConfig,
    vocabulary: Vocabulary,
    quantize: Quantization,
) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(part, ARCHITECTURES[config.model_type])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(part.name.removesuffix(".gguf.partial"))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{quantize.upper()}"])
    add_config(writer, config)
    vocabulary.add_to(writer)
    for tensor in plan:
        writer.add_tensor_info(
            tensor.name, tensor.source.shape, np.dtype(np.float32), tensor.size, tensor.type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with part.open("ab") as file:
        file.write(bytes(-file.tell() % gguf.GGUF_DEFAULT_ALIGNMENT))


def _tasks(weight: "torch.Tensor", tensor: _Tensor) -> "Iterator[Callable[[], bytes]]":
    """Yield the work of making a tensor's bytes, some rows each; whole heads where it has any."""
    unit = tensor.source.head_dim or 1
    step = max(_BLOCK_WEIGHTS // (weight[0].numel() * unit), 1) * unit
    for begin in range(0, len(weight), step):
        padding = tensor.padding if begin + step >= len(weight) else 0
        yield partial(_encode, weight[begin : begin + step], tensor, padding)


def _encode(rows: "torch.Tensor", tensor: _Tensor, padding: int) -> bytes:
    """Return rows as the file holds them, and as many zeros as ``padding`` says.

    llama.cpp rotates neighbouring values of a query or key, as Meta's weights have them; Hugging
    Face's weights have the first and the second half of each head apart.

    Raises:
        ExportError: a weight is not a number, or beyond float16 where that is asked for.
    """
    import gguf
    import torch

    low, high = torch.aminmax(rows)  # NaN where any weight is
    limit = torch.finfo(torch.float16).max
    if not (-limit <= low.item() and high.item() <= limit):
        raise ExportError(
            f"{tensor.source.name} holds a weight that is not a number or beyond float16 "
            f"(±{limit:,.0f}), so nothing was exported; see: model-prep verify"
        )
    halves = tensor.type == gguf.GGMLQuantizationType.F16
    values = rows.to(torch.float16 if halves else torch.float32)
    if tensor.source.head_dim:
        columns = values.reshape(len(values), -1).contiguous()  # a bias has one
        values = unpermute(columns, tensor.source.head_dim).reshape(values.shape)
    data = quantize_rows(values.contiguous().numpy(), tensor.type)
    if rows.is_contiguous():
        forget(raw_bytes(rows))
    return data + bytes(padding)
