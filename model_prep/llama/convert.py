"""Conversion of LLaMA from Meta's format to Hugging Face's and back, bit for bit.

One tensor is in memory at a time.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from model_prep.checkpoint.pth_file import write_pth
from model_prep.checkpoint.reader import open_checkpoint
from model_prep.checkpoint.safetensors_file import DEFAULT_SHARD_BYTES, write_safetensors_shards
from model_prep.checkpoint.tensors import reporting, require_finite, torch_dtype
from model_prep.errors import CheckpointError, UsageError
from model_prep.json_file import write_json
from model_prep.llama.architecture import (
    MODEL_SIZES,
    published_params,
    published_shards,
    published_size,
    read_config,
    read_params,
    to_config,
    to_params,
)
from model_prep.llama.meta_checkpoint import MetaCheckpoint, meta_shards
from model_prep.output import check_output, output_folder
from model_prep.progress import Progress
from model_prep.tokenizer.loading import MODEL_FILE, save_tokenizer, vocabulary_size

Format = Literal["hf", "meta"]
_PARAMS = "params.json"


@dataclass(frozen=True)
class Conversion:
    """Result of `convert`, or of its dry run."""

    to: Format
    input_dir: Path
    """The folder that holds the weights."""
    output_dir: Path
    tensors: int
    size: int
    """Bytes of the weights."""
    dtype: str
    """The dtype of the matrices, in safetensors' spelling."""
    files: list[Path]
    """With weights, as written; empty where nothing was."""


def convert(
    input_dir: str | Path,
    output_dir: str | Path,
    *,
    to: Format = "hf",
    model_size: str | None = None,
    max_shard_size: int = DEFAULT_SHARD_BYTES,
    shards: int | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Convert a LLaMA from one format to the other.

    Args:
        input_dir: To ``hf``: the folder with ``consolidated.*.pth`` and ``params.json``, or the one
            above, where ``tokenizer.model`` lies. To ``meta``: a Hugging Face folder.
        output_dir: Must not exist or be empty.
        to: The format to be written.
        model_size: One of `MODEL_SIZES`: which folder in ``input_dir``, and its ``params.json``
            where that is missing.
        max_shard_size: Bytes of weights in a file, to ``hf``.
        shards: Number of files, to ``meta``; by default as many as Meta has.
        dry_run: Only check.
        progress: Told the bytes written.

    Raises:
        UsageError: ``model_size`` is unknown.
        CheckpointError: something is missing, damaged, does not fit, or is no number.
        TokenizerError: the tokenizer is damaged or of another family.
        OutputError: ``output_dir`` holds something or can't be written.
        DiskSpaceError: the disk is too full.

    Example:
        >>> [file.name for file in convert("llama-hf", "llama", to="meta", shards=1).files]
        ['consolidated.00.pth']
    """
    input_dir, output_dir = Path(input_dir), Path(output_dir)
    if model_size is not None and model_size.upper() not in MODEL_SIZES:
        msg = f"there is no LLaMA of size {model_size}; sizes are {', '.join(MODEL_SIZES)}"
        raise UsageError(msg)
    if not input_dir.is_dir():
        raise CheckpointError(f"there is no folder {input_dir}; check --input-dir")
    if to == "hf":
        return _to_hugging_face(
            input_dir, output_dir, model_size, max_shard_size, dry_run, progress
        )
    return _to_meta(input_dir, output_dir, shards, dry_run, progress)


def _to_hugging_face(
    input_dir: Path,
    output_dir: Path,
    model_size: str | None,
    max_shard_size: int,
    dry_run: bool,
    progress: Progress | None,
) -> Conversion:
    folder, params = _find_meta(input_dir, model_size)
    tokenizer = _find_tokenizer(folder, input_dir)
    pieces = vocabulary_size(tokenizer)
    with MetaCheckpoint(folder, params) as meta:
        if pieces > (rows := meta.config.vocab_size):
            raise CheckpointError(
                f"{tokenizer} has {pieces:,} pieces and the weights in {meta.files[0].parent} have "
                f"{rows:,}: they belong to different models; get the right tokenizer"
            )
        tensors = require_finite(meta.data(), folder)
        size = sum(tensor.size for tensor in tensors)
        done = Conversion("hf", folder, output_dir, len(tensors), size, meta.dtype, [])
        if dry_run:
            check_output(output_dir, size)
            return done
        with output_folder(output_dir, size) as partial:
            files = write_safetensors_shards(
                partial, reporting(tensors, "converting", progress), max_shard_size
            )
            dtype = str(torch_dtype(meta.dtype)).removeprefix("torch.")
            write_json(partial / "config.json", to_config(meta.config, dtype))
            write_json(partial / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
            save_tokenizer(tokenizer, partial)
    return replace(done, files=[output_dir / file.name for file in files])


def _find_meta(input_dir: Path, model_size: str | None) -> tuple[Path, dict[str, Any]]:
    """Return the folder with Meta's files and the content of its ``params.json``."""
    folder = _meta_folder(input_dir, model_size)
    if model_size is None:
        return folder, read_params(folder / _PARAMS)
    published = published_params(model_size)
    if not (folder / _PARAMS).exists():
        return folder, published
    params = read_params(folder / _PARAMS)
    for name in ("dim", "n_layers", "n_heads"):
        if params[name] != published[name]:
            raise CheckpointError(
                f"{folder / _PARAMS} says {name} = {params[name]}, which is not the {model_size} "
                f"model's {published[name]}; leave out --model-size or correct the file"
            )
    return folder, params


def _meta_folder(input_dir: Path, model_size: str | None) -> Path:
    if any(input_dir.glob("consolidated.*.pth")):
        return input_dir
    inside = sorted({file.parent for file in input_dir.glob("*/consolidated.*.pth")})
    if model_size is not None:
        size = published_size(model_size)
        inside = [folder for folder in inside if published_size(folder.name) == size]
    if len(inside) == 1:
        return inside[0]
    if inside:
        found = ", ".join(folder.name for folder in inside)
        msg = f"{input_dir} holds several models; add --model-size, one of {found}"
    elif (input_dir / "config.json").exists():
        msg = f"{input_dir} is in the Hugging Face format already; to undo that add: --to meta"
    else:
        what = f"{model_size}/consolidated.00.pth" if model_size else "consolidated.00.pth"
        msg = f"{input_dir} holds no {what}; name the folder of Meta's files"
    raise CheckpointError(msg)


def _find_tokenizer(*folders: Path) -> Path:
    for folder in (*folders, folders[0].parent):
        if (folder / MODEL_FILE).is_file():
            return folder / MODEL_FILE
    raise CheckpointError(f"there is no {MODEL_FILE} in {folders[0]} or above it; copy it there")


def _to_meta(
    input_dir: Path,
    output_dir: Path,
    shards: int | None,
    dry_run: bool,
    progress: Progress | None,
) -> Conversion:
    config = read_config(input_dir)
    params = to_params(config)
    with open_checkpoint(input_dir) as checkpoint:
        parts = meta_shards(checkpoint, config, shards or published_shards(config))
        tensors = require_finite([tensor for part in parts for tensor in part], input_dir)
        size = sum(tensor.size for tensor in tensors)
        dtype = checkpoint.tensors["model.layers.0.self_attn.q_proj.weight"].dtype
        done = Conversion("meta", input_dir, output_dir, len(parts[0]), size, dtype, [])
        if dry_run:
            check_output(output_dir, size)
            return done
        with output_folder(output_dir, size) as partial:
            reported = iter(reporting(tensors, "converting", progress))
            names = [f"consolidated.{number:02}.pth" for number in range(len(parts))]
            for name, part in zip(names, parts, strict=True):
                write_pth(partial / name, [next(reported) for _ in part])
            write_json(partial / _PARAMS, params)
            if (input_dir / MODEL_FILE).exists():
                shutil.copyfile(input_dir / MODEL_FILE, partial / MODEL_FILE)
    return replace(done, files=[output_dir / name for name in names])
