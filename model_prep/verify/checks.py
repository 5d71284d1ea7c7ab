"""The checks of `verify`: shapes, numbers, manifest, vocabulary and exactness of the tokenizer."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from model_prep.checkpoint.checksums import content_digest, pieces_digest
from model_prep.checkpoint.reader import Checkpoint, open_checkpoint
from model_prep.checkpoint.tensors import TensorData, TensorInfo, is_finite, reporting, torch_dtype
from model_prep.errors import CheckpointError, TokenizerError
from model_prep.gguf.header import part_of, read_gguf_header
from model_prep.json_file import read_json
from model_prep.llama.architecture import MODEL_TYPES, read_params, stated_config
from model_prep.llama.expected_tensors import OUTPUT, expected_tensors, require_fitting
from model_prep.llama.meta_checkpoint import MetaCheckpoint
from model_prep.llama.meta_layout import is_rope_buffer
from model_prep.lora.plan import MANIFEST
from model_prep.progress import Progress
from model_prep.threads import in_order
from model_prep.tokenizer.check import check_exactness
from model_prep.tokenizer.loading import (
    MODEL_FILE,
    sentencepiece_of,
    unused_pads,
    vocabulary_size,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHECKPOINTS = (".safetensors", ".bin", ".pth")
"""Files of tensors that can be read."""
Outcome = Literal["passed", "failed", "warning"]
_SHOWN = 3
_OTHER_VOCABULARIES = ("vocab.*", "*.model", "*.tiktoken")
"""Files of tokenizers that are not checked."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Example:
        >>> Check("numbers", "passed", "no NaN or infinity in 3 tensors").outcome
        'passed'
    """

    name: str
    outcome: Outcome
    said: str
    """What was found, and what to do about it."""


@dataclass
class WeightsCheck:
    """The hashes of the tensors, and the checks of them."""

    checks: list[Check] = field(default_factory=list)
    content: str | None = None
    """Content hash under the names in the files."""
    converted: str | None = None
    """Content hash as `convert` would write them, of Meta's format."""


def check_weights(path: Path, files: list[Path], progress: Progress | None) -> WeightsCheck:
    """Read all tensors once, and compare them with configuration and manifest."""
    suffixes = [file.suffix for file in files]
    try:
        if path.is_dir() and ((path / "params.json").is_file() or suffixes.count(".pth") > 1):
            return _check_meta(path, progress)
        if any(suffix in CHECKPOINTS for suffix in suffixes) or any(path.glob("*.index.json")):
            with open_checkpoint(path) as checkpoint:
                return _check_checkpoint(path, checkpoint, progress)
        if gguf := [file for file in files if file.suffix == ".gguf"]:
            return WeightsCheck([_check_gguf(file) for file in gguf])
    except CheckpointError as error:
        return WeightsCheck([Check("weights", "failed", str(error))])
    return WeightsCheck()


def _check_gguf(path: Path) -> Check:
    header = read_gguf_header(path)
    part, missing = part_of(path, header)
    if part:
        said = f"{part} of a GGUF file, as long as its table of tensors says; "
        beside = f"not beside it: {', '.join(missing)}" if missing else "all parts are there"
        return Check("file", "warning" if missing else "passed", said + beside)
    kind = header.values.get("general.architecture", "an unnamed kind")
    tokens = len(header.values.get("tokenizer.ggml.tokens", ()))
    said = f"a GGUF file of {kind} with {tokens:,} tokens, as long as its table of tensors says"
    if other := header.other_than_a_model:
        return Check("file", "warning", f"{said}; it {other}")
    return Check("file", "passed", said)


def _check_checkpoint(
    path: Path, checkpoint: Checkpoint, progress: Progress | None
) -> WeightsCheck:
    tensors = [checkpoint.data(name) for name in checkpoint.tensors]
    digests, numbers = _read(tensors, progress)
    checks = [numbers]
    if path.is_dir():
        checks += [*_shapes(path, checkpoint.tensors), *_manifest(path, digests)]
    return WeightsCheck(checks, content_digest(digests))


def _check_meta(path: Path, progress: Progress | None) -> WeightsCheck:
    # It compares every shard with the others and with params.json when it is opened.
    with MetaCheckpoint(path, read_params(path / "params.json")) as meta:
        digests, numbers = _read(meta.data("meta"), progress)
        converted, _ = _read(meta.data(), progress)
    shapes = Check("shapes", "passed", f"all {len(digests)} tensors fit params.json")
    checks = [numbers, shapes, *_manifest(path, digests)]
    return WeightsCheck(checks, content_digest(digests), content_digest(converted))


def _read(tensors: list[TensorData], progress: Progress | None) -> tuple[dict[str, str], Check]:
    """Read all tensors once, several at a time, in pieces of some megabytes.

    Returns:
        The content hash of each tensor by name, and whether all hold numbers.
    """
    read = reporting(tensors, "reading tensors", progress)
    found = in_order((partial(_digest, tensor) for tensor in read), os.cpu_count() or 1)
    digests, not_finite = {}, []
    for tensor, (digest, finite) in zip(tensors, found, strict=True):
        digests[tensor.name] = digest
        if not finite:
            not_finite.append(tensor.name)
    if not_finite:
        said = f"{_some(not_finite)} hold NaN or infinity; make or get the weights again"
        return digests, Check("numbers", "failed", said)
    return digests, Check("numbers", "passed", f"no NaN or infinity in {len(tensors)} tensors")


def _digest(tensor: TensorData) -> tuple[str, bool]:
    """Return a tensor's content hash, and whether all its numbers are finite."""
    import torch

    dtype, finite = torch_dtype(tensor.dtype), True

    def pieces() -> "Iterator[Buffer]":
        nonlocal finite
        for piece in tensor.pieces:
            finite = finite and is_finite(torch.frombuffer(piece, dtype=dtype))
            yield piece

    return pieces_digest(tensor.name, tensor.dtype, tensor.shape, pieces()), finite


def _shapes(folder: Path, tensors: Mapping[str, TensorInfo]) -> list[Check]:
    if (folder / "adapter_config.json").is_file():
        return [_adapter_shapes(tensors)]
    if not (folder / "config.json").is_file():
        return [Check("shapes", "warning", "there is no config.json to compare the shapes with")]
    config = read_json(folder / "config.json")
    if config.get("model_type") not in MODEL_TYPES:
        kind = config.get("model_type")
        return [Check("shapes", "warning", f"shapes of models of kind {kind} are not checked")]
    try:
        require_fitting(folder, config, tensors, vocabulary=True)
        wanted = {*expected_tensors(stated_config(folder, config))}
    except CheckpointError as error:
        return [Check("shapes", "failed", str(error))]
    if not config.get("tie_word_embeddings"):
        wanted.add(OUTPUT)
    if more := [name for name in tensors if name not in wanted and not is_rope_buffer(name)]:
        return [Check("shapes", "warning", f"config.json does not ask for {_some(more)}")]
    return [Check("shapes", "passed", f"all {len(wanted)} tensors fit config.json")]


def _adapter_shapes(tensors: Mapping[str, TensorInfo]) -> Check:
    """Check that each low-rank pair, ``[r, in]`` and ``[out, r]``, is complete."""
    pairs = 0
    for name, lora_a in tensors.items():
        if not (found := re.search(r"lora_A(?=\.)", name)):
            continue
        lora_b = tensors.get(f"{name[: found.start()]}lora_B{name[found.end() :]}")
        if lora_b is None or lora_b.shape[1] != lora_a.shape[0]:
            said = f"{name} has no lora_B of the same rank; get the adapter again"
            return Check("shapes", "failed", said)
        pairs += 1
    if not pairs:
        return Check("shapes", "failed", "there is no lora_A in the adapter; get it again")
    return Check("shapes", "passed", f"all {pairs} low-rank pairs fit")


def _manifest(folder: Path, digests: dict[str, str]) -> list[Check]:
    """Compare the tensors with what the merge that wrote them noted."""
    file = folder / MANIFEST
    if not file.is_file():
        return []
    try:
        tensors = read_json(file)["tensors"]
        noted = {name: str(tensor["sha256"]) for name, tensor in tensors.items()}
    except (CheckpointError, KeyError, TypeError, AttributeError):
        return [Check("manifest", "failed", f"{file} is damaged; merge again")]
    unlike = sorted(name for name in noted | digests if noted.get(name) != digests.get(name))
    if unlike:
        said = f"{_some(unlike)} are not what {MANIFEST} says was merged; merge again"
        return [Check("manifest", "failed", said)]
    return [Check("manifest", "passed", f"all {len(noted)} tensors are as they were merged")]


def check_tokenizer(path: Path) -> list[Check]:
    """Compare the tokenizer in a folder with the weights' vocabulary and with SentencePiece."""
    file = path / MODEL_FILE if path.is_dir() else path
    if path.is_dir() and not file.is_file() and _is_sentencepiece(path / "tokenizer.json"):
        said = (
            f"it is a tokenizer.json made of a {MODEL_FILE}, which splits some text "
            f"differently from SentencePiece; put the {MODEL_FILE} of the model there, if any"
        )
        return [Check("tokenizer", "warning", said)]
    if path.is_dir() and sentencepiece_of(path) is None:
        return _check_json_tokenizer(path)
    if not file.is_file() or file.suffix != ".model":
        return []
    try:
        pieces = vocabulary_size(file)
        if not (path / "config.json").is_file():
            return [Check("vocabulary", "passed", f"the tokenizer has {pieces:,} ids")]
        checks = [_vocabulary(path, pieces, unused_pads(file))]
        found = check_exactness(path)
        if found.exact is not None:
            outcome: Outcome = "passed" if found.exact else "warning"
            checks.append(Check("tokenizer", outcome, found.message))
        return checks
    except (TokenizerError, CheckpointError) as error:
        return [Check("tokenizer", "failed", str(error))]


def _check_json_tokenizer(folder: Path) -> list[Check]:
    """Compare a model's ``tokenizer.json`` with its weights' vocabulary."""
    file = folder / "tokenizer.json"
    if not (folder / "config.json").is_file():
        return []
    if not file.is_file():
        if any(any(folder.glob(name)) for name in _OTHER_VOCABULARIES):
            return []
        said = f"the folder has no tokenizer; put the model's tokenizer.json or {MODEL_FILE} there"
        return [Check("tokenizer", "warning", said)]
    try:
        return [_vocabulary(folder, vocabulary_size(file), unused_pads(file))]
    except (TokenizerError, CheckpointError) as error:
        return [Check("tokenizer", "failed", str(error))]


def _is_sentencepiece(file: Path) -> bool:
    """Return whether a ``tokenizer.json`` was made of a LLaMA's SentencePiece model."""
    try:
        model = read_json(file)["model"]
        return bool(
            model["type"] == "BPE" and model.get("byte_fallback") and "<0x0A>" in model["vocab"]
        )
    except (CheckpointError, KeyError, TypeError, AttributeError):
        return False


def _vocabulary(folder: Path, pieces: int, pads: int) -> Check:
    rows = read_json(folder / "config.json").get("vocab_size")
    if isinstance(rows, int) and pieces - pads > rows:
        said = f"the tokenizer has {pieces:,} ids and the model {rows:,}; they are not of one model"
        return Check("vocabulary", "failed", said)
    return Check("vocabulary", "passed", f"the tokenizer has {pieces:,} ids, the model {rows}")


def _some(tensors: list[str]) -> str:
    more = len(tensors) - _SHOWN
    return ", ".join(tensors[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
