"""Merging LoRAs into a model, one tensor at a time.

Each tensor of the base is read once, all LoRAs are applied to it in order, and it is written once.
Memory holds a few tensors, whatever the size of the model.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from model_prep.checkpoint.reader import tensor_pieces
from model_prep.checkpoint.safetensors_file import DEFAULT_SHARD_BYTES, write_safetensors_shards
from model_prep.checkpoint.tensors import Dtype, TensorData
from model_prep.json_file import write_json
from model_prep.llama.architecture import published_shards
from model_prep.lora.output import merge_manifest, write_configuration, write_pth_shards
from model_prep.lora.plan import MANIFEST, MergePlan, OutputType, prepare_merge
from model_prep.lora.stream import Buffers, MergedTensor, merged_tensors
from model_prep.output import check_output, output_folder
from model_prep.progress import Progress

__all__ = ["MergeReport", "merge", "prepare_merge"]


@dataclass(frozen=True)
class MergeReport:
    """The result of a merge, or of its dry run."""

    output: Path
    adapters: tuple[str, ...]
    tensors: int
    size: int
    """Bytes of weights."""
    vocabulary: int | None
    alpaca: bool
    """Whether prompts are in the Alpaca format: the folder's chat template says so."""
    content_sha256: str | None = None
    """Hash of the merged tensors, whatever the container; None where nothing was written."""
    notes: tuple[str, ...] = ()
    """What a user should know of the result, a line each."""


def merge(
    base_model: str | Path,
    lora_models: Sequence[str | Path],
    *,
    output_dir: str | Path,
    output_type: OutputType = "huggingface",
    dtype: Dtype = "auto",
    allow_merged: bool = False,
    max_shard_size: int = DEFAULT_SHARD_BYTES,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Merge LoRAs, in the order given, into a base and write a complete model.

    Args:
        base_model: A folder: weights as safetensors, ``.bin`` or ``.pth``, and configuration.
        lora_models: Folders of adapters as PEFT saves them.
        output_dir: Is new or empty; it appears when it is complete.
        output_type: A Hugging Face folder, or Meta's ``consolidated.*.pth`` and ``params.json``.
        dtype: The dtype of the roundings and of the result; by default the base's own. The
            reference's is float16, as its bases are.
        allow_merged: Go on where an adapter seems to be in the base already, or is given twice.
        max_shard_size: Bytes in a safetensors file.
        dry_run: Check everything and write nothing.
        progress: Called with bytes of the weights merged and in all.

    Raises:
        MergeOrderError: the parts do not belong together in this order.
        AdapterError: a folder is not an adapter, or its adapter can't be merged or does not fit.
        MergeError: base, adapters or result hold NaN or infinity.
        CheckpointError: weights are missing, damaged or quantized.
        OutputError: the output folder is not empty, or can't be written.
        DiskSpaceError: the disk is too full.

    Example:
        >>> loras = ["chinese-llama-lora", "chinese-alpaca-lora"]
        >>> report = merge("llama-hf", loras, output_dir="chinese-alpaca")
        >>> report.vocabulary, report.alpaca, Path("chinese-alpaca", "config.json").exists()
        (314, True, True)
    """
    report = progress or (lambda *_: None)
    output_dir = Path(output_dir)
    check_output(output_dir, 0)
    with prepare_merge(
        Path(base_model),
        list(map(Path, lora_models)),
        output_type=output_type,
        dtype=dtype,
        allow_merged=allow_merged,
        progress=report,
    ) as plan:
        check_output(output_dir, plan.size)
        if dry_run:
            return _report(plan, output_dir)
        with output_folder(output_dir, plan.size) as folder:
            digests, base_digests = _write_weights(plan, folder, max_shard_size, report)
            manifest = merge_manifest(plan, digests, base_digests)
            write_json(folder / MANIFEST, manifest)
            write_configuration(plan, folder)
        return _report(plan, output_dir, manifest["content_sha256"])


def _report(plan: MergePlan, output: Path, digest: str | None = None) -> MergeReport:
    return MergeReport(
        output=output,
        adapters=tuple(str(adapter.folder) for adapter in plan.adapters),
        tensors=len(plan.tensors),
        size=plan.size,
        vocabulary=plan.vocab_size,
        alpaca=plan.pad_token_id is not None,
        content_sha256=digest,
        notes=tuple(plan.notes),
    )


def _write_weights(
    plan: MergePlan, folder: Path, max_shard_size: int, report: Progress
) -> tuple[dict[str, str], dict[str, str]]:
    """Merge and write all tensors; return their hashes, and those of the base's tensors."""
    digests: dict[str, str] = {}
    base_digests: dict[str, str] = {}
    buffers = Buffers()

    def merged() -> Generator[MergedTensor]:
        done = 0
        for tensor in merged_tensors(plan.base, plan.tensors, buffers):
            report("merging", done, plan.size)
            digests[tensor.planned.info.name] = tensor.digest
            base_digests[tensor.planned.base_name] = tensor.base_digest
            yield tensor
            done += tensor.planned.info.size

    def pieces(tensors: Iterator[MergedTensor]) -> Iterator[memoryview]:
        tensor = next(tensors)
        yield from tensor_pieces(tensor.weight)
        buffers.give(tensor)

    infos = [tensor.info for tensor in plan.tensors]
    with closing(merged()) as tensors:
        if plan.meta_config:
            write_pth_shards(folder, infos, tensors, published_shards(plan.meta_config))
        else:
            # Each tensor is made when its turn to be written comes.
            data = [
                TensorData(info.name, info.dtype, info.shape, pieces(tensors)) for info in infos
            ]
            write_safetensors_shards(folder, data, max_shard_size)
    report("merging", plan.size, plan.size)
    return digests, base_digests


def split_folders(*texts: str) -> list[Path]:
    """Return the folders of texts such as ``A,B``, in order.

    Commas in the name of a folder that exists stay.
    """
    names = [
        name.strip()
        for text in texts
        for name in ([text] if Path(text).is_dir() else text.split(","))
    ]
    return [Path(name).expanduser() for name in names if name]
