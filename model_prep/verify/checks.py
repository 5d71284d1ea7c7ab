"""The checks of `verify`: each says what it found."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model_prep.checkpoint.reader import Checkpoint, open_checkpoint
from model_prep.checkpoint.tensors import TensorInfo
from model_prep.errors import CheckpointError, TokenizerError
from model_prep.gguf.layout import sources
from model_prep.json_file import read_json
from model_prep.llama.architecture import parse_config, read_params
from model_prep.llama.meta_checkpoint import MetaCheckpoint
from model_prep.llama.meta_layout import is_rope_buffer
from model_prep.progress import Progress
from model_prep.tokenizer.check import check_exactness
from model_prep.tokenizer.loading import MODEL_FILE, vocabulary_size
from model_prep.verify.contents import read_contents
from model_prep.verify.files import Weights

Outcome = Literal["passed", "failed", "warning"]
_MANIFEST = "merge.json"
_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    outcome: Outcome
    said: str
    """What was found, and what to do about it."""


@dataclass
class WeightsFound:
    """What the tensors are, and what was found to be wrong with them."""

    checks: list[Check] = field(default_factory=list)
    content: str | None = None
    """Content hash under the names in the files."""
    converted: str | None = None
    """Content hash as `convert` would write them, of Meta's format."""


def check_weights(path: Path, weights: Weights | None, progress: Progress | None) -> WeightsFound:
    """Read all tensors once, and compare them with configuration and manifest."""
    if weights is None:
        return WeightsFound()
    try:
        if weights.layout == "meta":
            return _check_meta(path, progress)
        with open_checkpoint(weights.path) as checkpoint:
            return _check_checkpoint(path, checkpoint, progress)
    except CheckpointError as error:
        return WeightsFound([Check("weights", "failed", str(error))])


def _check_checkpoint(
    path: Path, checkpoint: Checkpoint, progress: Progress | None
) -> WeightsFound:
    tensors = [checkpoint.data(name) for name in checkpoint.tensors]
    contents = read_contents(tensors, progress)
    checks = [_finite(contents.not_finite, len(tensors))]
    if path.is_dir():
        checks += _shapes(path, checkpoint.tensors)
        checks += _manifest(path, contents.digests)
    return WeightsFound(checks, contents.digest)


def _check_meta(path: Path, progress: Progress | None) -> WeightsFound:
    # It compares every shard with the others and with params.json when it is opened.
    with MetaCheckpoint(path, read_params(path / "params.json")) as meta:
        contents = read_contents(meta.data("meta"), progress)
        converted = read_contents(meta.data(), progress).digest
        shapes = Check("shapes", "passed", f"all {len(contents.digests)} tensors fit params.json")
        checks = [_finite(contents.not_finite, len(contents.digests)), shapes]
        checks += _manifest(path, contents.digests)
        return WeightsFound(checks, contents.digest, converted)


def _finite(not_finite: list[str], count: int) -> Check:
    if not_finite:
        said = f"{_some(not_finite)} hold NaN or infinity; make or get the weights again"
        return Check("numbers", "failed", said)
    return Check("numbers", "passed", f"no NaN or infinity in {count} tensors")


def _shapes(folder: Path, tensors: Mapping[str, TensorInfo]) -> list[Check]:
    if (folder / "adapter_config.json").is_file():
        return [_adapter_shapes(tensors)]
    if not (folder / "config.json").is_file():
        return [Check("shapes", "warning", "there is no config.json to compare the shapes with")]
    config = read_json(folder / "config.json")
    if config.get("model_type") not in ("llama", "qwen2"):
        kind = config.get("model_type")
        return [Check("shapes", "warning", f"shapes of models of kind {kind} are not checked")]
    try:
        wanted_config = parse_config(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        said = f"{folder / 'config.json'} lacks or misstates a size ({error}); get it again"
        return [Check("shapes", "failed", said)]
    tied = bool(config.get("tie_word_embeddings"))
    wanted = {one.name: one.shape for one in sources(wanted_config, tied=tied).values()}
    return [_compared(wanted, tensors)]


def _compared(wanted: dict[str, tuple[int, ...]], tensors: Mapping[str, TensorInfo]) -> Check:
    missing = [name for name in wanted if name not in tensors]
    if missing:
        return Check("shapes", "failed", f"config.json asks for {_some(missing)}; get all shards")
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            said = f"{name} is {tensors[name].shape} and config.json says {shape}; one is not its"
            return Check("shapes", "failed", f"{said} model's")
    more = [name for name in tensors if name not in wanted and not is_rope_buffer(name)]
    if more:
        return Check("shapes", "warning", f"config.json does not ask for {_some(more)}")
    return Check("shapes", "passed", f"all {len(wanted)} tensors fit config.json")


def _adapter_shapes(tensors: Mapping[str, TensorInfo]) -> Check:
    """Check that each low-rank pair, ``[r, in]`` and ``[out, r]``, is whole."""
    pairs = 0
    for name, down in tensors.items():
        if not (found := re.search(r"lora_A(?=\.)", name)):
            continue
        up = tensors.get(f"{name[: found.start()]}lora_B{name[found.end() :]}")
        if up is None or up.shape[1] != down.shape[0]:
            said = f"{name} has no lora_B of the same rank beside it; get the adapter again"
            return Check("shapes", "failed", said)
        pairs += 1
    if not pairs:
        return Check("shapes", "failed", "there is no lora_A in the adapter; get it again")
    return Check("shapes", "passed", f"all {pairs} low-rank pairs fit")


def _manifest(folder: Path, digests: dict[str, str]) -> list[Check]:
    """Compare the tensors with what the merge that wrote them noted."""
    file = folder / _MANIFEST
    if not file.is_file():
        return []
    try:
        noted = {name: str(one["sha256"]) for name, one in read_json(file)["tensors"].items()}
    except (CheckpointError, KeyError, TypeError, AttributeError):
        return [Check("manifest", "failed", f"{file} is damaged; merge again")]
    unlike = sorted(name for name in noted | digests if noted.get(name) != digests.get(name))
    if unlike:
        said = f"{_some(unlike)} are not what {_MANIFEST} says was merged; merge again"
        return [Check("manifest", "failed", said)]
    return [Check("manifest", "passed", f"all {len(noted)} tensors are as they were merged")]


def check_tokenizer(path: Path) -> list[Check]:
    """Compare the tokenizer in a folder with the weights' vocabulary and with SentencePiece."""
    if path.is_file():
        if path.suffix != ".model":
            return []
        folder, file = None, path
    else:
        folder, file = path, path / MODEL_FILE
        if not file.is_file():
            return []
    try:
        pieces = vocabulary_size(file)
        checks = [Check("vocabulary", "passed", f"the tokenizer has {pieces:,} ids")]
        if folder and (folder / "config.json").is_file():
            checks = [_vocabulary(folder, pieces), *_exactness(folder)]
    except (TokenizerError, CheckpointError) as error:
        return [Check("tokenizer", "failed", str(error))]
    return checks


def _vocabulary(folder: Path, pieces: int) -> Check:
    rows = read_json(folder / "config.json").get("vocab_size")
    if isinstance(rows, int) and pieces > rows:
        said = f"the tokenizer has {pieces:,} ids and the model {rows:,}; they are not of one model"
        return Check("vocabulary", "failed", said)
    return Check("vocabulary", "passed", f"the tokenizer has {pieces:,} ids, the model {rows}")


def _exactness(folder: Path) -> list[Check]:
    found = check_exactness(folder)
    if found.exact is None:
        return []
    return [Check("tokenizer", "passed" if found.exact else "warning", found.message)]


def _some(tensors: list[str]) -> str:
    more = len(tensors) - _SHOWN
    return ", ".join(tensors[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
