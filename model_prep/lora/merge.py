"""Merging LoRAs into a model, one tensor at a time.

Each tensor of the base is read once, all LoRAs are applied to it in order, and it is written once.
Memory holds a few tensors, whatever the size of the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_prep.checkpoint.reader import tensor_pieces
from model_prep.checkpoint.safetensors_file import DEFAULT_SHARD_BYTES, write_safetensors_shards
from model_prep.checkpoint.tensors import TensorData
from model_prep.json_file import write_json
from model_prep.llama.architecture import published_shards
from model_prep.lora.options import MANIFEST, Dtype, OutputType
from model_prep.lora.output import manifest_of, write_configuration
from model_prep.lora.plan import MergePlan, prepare_merge
from model_prep.lora.pth_output import write_pth_shards
from model_prep.lora.stream import Buffers, Merged, Noted, merged_tensors
from model_prep.output import check_output, output_folder
from model_prep.progress import Progress

__all__ = ["MergeReport", "merge", "prepare_merge"]


@dataclass(frozen=True)
class MergeReport:
    """What a merge made, or would make."""

    output: Path
    adapters: tuple[str, ...]
    tensors: int
    size: int
    """Bytes of weights."""
    vocabulary: int | None
    alpaca: bool
    """Whether prompts are in the Alpaca format: the folder's chat template says so."""
    content_sha256: str | None = None
    """Of the merged tensors, whatever the container; None where nothing was written."""


def merge(
    base_model: Path,
    lora_models: list[Path],
    *,
    output_dir: Path,
    output_type: OutputType = "huggingface",
    dtype: Dtype = "float16",
    max_shard_size: int = DEFAULT_SHARD_BYTES,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Merge LoRAs, in the order given, into a base and write a complete model.

    Args:
        base_model: A folder: weights as safetensors, ``.bin`` or ``.pth``, and configuration.
        lora_models: Folders of adapters as PEFT saves them.
        output_dir: Is new or empty; it appears when it is whole.
        output_type: A Hugging Face folder, or Meta's ``consolidated.*.pth`` and ``params.json``.
        dtype: Of the arithmetic's roundings and of the result; the reference's is float16.
        max_shard_size: Bytes in a safetensors file.
        dry_run: Check everything and write nothing.
        progress: Told how far it is.

    Raises:
        MergeOrderError: the parts do not belong together in this order.
        AdapterError: an adapter is none, can't be merged, or does not fit the base.
        CheckpointError: weights are missing or damaged.
        OutputError: the output folder is not empty, or can't be written.
        DiskSpaceError: the disk is too full.
    """
    report = progress or (lambda *_: None)
    check_output(output_dir, 0)
    with prepare_merge(
        base_model, lora_models, output_type=output_type, dtype=dtype, progress=report
    ) as plan:
        check_output(output_dir, plan.size)
        if dry_run:
            return _report(plan, output_dir)
        with output_folder(output_dir, plan.size) as folder:
            noted: list[Noted] = []
            buffers = Buffers()
            merged = merged_tensors(plan.base, plan.tensors, buffers)
            merged = _noting(merged, noted, plan.size, report)
            if plan.meta_config:
                shards = published_shards(plan.meta_config)
                write_pth_shards(folder, [one.info for one in plan.tensors], merged, shards)
            else:
                write_safetensors_shards(folder, _as_data(plan, merged, buffers), max_shard_size)
            made = manifest_of(plan, noted)
            write_json(folder / MANIFEST, made)
            write_configuration(plan, folder)
        return _report(plan, output_dir, made["content_sha256"])


def _report(plan: MergePlan, output: Path, digest: str | None = None) -> MergeReport:
    return MergeReport(
        output=output,
        adapters=tuple(map(str, (adapter.folder for adapter in plan.adapters))),
        tensors=len(plan.tensors),
        size=plan.size,
        vocabulary=plan.vocabulary,
        alpaca=plan.pad is not None,
        content_sha256=digest,
    )


def split_folders(text: str) -> list[Path]:
    """Return the folders of ``A,B``, in order; commas in the name of one that exists stay."""
    names = [text] if Path(text).is_dir() else [name.strip() for name in text.split(",")]
    return [Path(name).expanduser() for name in names if name]


def _noting(
    merged: Iterator[Merged], noted: list[Noted], total: int, report: Progress
) -> Iterator[Merged]:
    """Pass the merged tensors on, keep what the manifest needs, and tell how far it is."""
    done = 0
    for one in merged:
        report("merging", done, total)
        noted.append(one.noted)
        yield one
        done += one.noted.info.size
    report("merging", total, total)


def _as_data(plan: MergePlan, merged: Iterator[Merged], buffers: Buffers) -> list[TensorData]:
    """Return what `write_safetensors_shards` takes: each tensor is made when its turn comes."""

    def pieces() -> Iterator[memoryview]:
        one = next(merged)
        yield from tensor_pieces(one.weight)
        buffers.give(one)

    return [
        TensorData(one.info.name, one.info.dtype, one.info.shape, pieces()) for one in plan.tensors
    ]
