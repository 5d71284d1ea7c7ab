"""Verification of models: by published hashes, and by checks that they are consistent."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_prep.catalog.entry import WheelSource
from model_prep.catalog.models import CATALOG
from model_prep.checkpoint.checksums import PUBLISHED, file_digests, published_name
from model_prep.errors import CheckpointError, UsageError
from model_prep.json_file import require_whole_links
from model_prep.progress import Progress
from model_prep.verify.checks import Check, WeightsCheck, check_tokenizer, check_weights

_PATTERNS = (
    *("*.safetensors", "pytorch_model*.bin", "adapter_model.bin"),
    *("*.pth", "*.gguf", "*.model"),
)
Verdict = Literal["right", "wrong", "consistent", "broken"]
VERDICTS: dict[Verdict, str] = {
    "right": "known and right",
    "wrong": "known and wrong",
    "consistent": "unknown but consistent",
    "broken": "broken",
}
WHY_HASHES_DIFFER = (
    "a file's hash can differ though every number is right: the bytes of a .pth or .bin file "
    "depend on the version of PyTorch that wrote it, on the order of the tensors and on the file's "
    "name; the content hash depends on none of them: compare that one with a merge you trust"
)


@dataclass(frozen=True)
class FileHash:
    """One file of a model."""

    path: Path
    sha256: str
    known_as: str | None
    """What it was published as."""


@dataclass(frozen=True)
class Verification:
    """The result of `verify`."""

    path: Path
    verdict: Verdict
    reason: str
    """One sentence: why that is the verdict."""
    files: list[FileHash]
    content_sha256: str | None
    """Hash of the tensors, whatever the container; of Meta's shards joined, by their own names."""
    converted_sha256: str | None
    """For Meta's format: the content hash that `convert` gives the Hugging Face folder."""
    checks: list[Check]
    hint: str | None
    """Why a file hash may differ, where that matters."""

    @property
    def passed(self) -> bool:
        """Whether the model is right or consistent."""
        return self.verdict in ("right", "consistent")


def verify(
    path: str | Path, *, expect: str | None = None, progress: Progress | None = None
) -> Verification:
    """Check a model, an adapter or a tokenizer: a folder or one file.

    Files are hashed and compared with the published hashes; tensors are read once, for NaN and
    infinity and for hashes that don't depend on the container; shapes are compared with the
    configuration, tensors with the manifest of a merge, the tokenizer with SentencePiece.

    Args:
        path: What to check.
        expect: What it should be: the name of a published model, or a SHA256 of a file or of the
            content.
        progress: Called with bytes read and in all.

    Raises:
        CheckpointError: there is nothing at ``path`` that can be checked, or it can't be read.
        UsageError: ``expect`` is neither a name nor a SHA256.

    Example:
        >>> verification = verify("llama-hf")
        >>> verification.verdict, verification.passed
        ('consistent', True)
    """
    path = Path(path)
    wanted = expected_digests(expect) if expect else {}
    files = _files_of(path)
    digests = file_digests(files, progress)
    hashes = [FileHash(file, digest, name_of_digest(digest)) for file, digest in digests.items()]
    # A file of the hash that was asked for is right, whatever can be read of it.
    proven = path.suffix == ".gguf" and any(digest in wanted for digest in digests.values())
    weights = WeightsCheck() if proven else check_weights(path, files, progress)
    checks = [*weights.checks, *check_tokenizer(path)]
    recognized = expect or any(file.known_as for file in hashes)
    if not checks and not recognized:
        said = f"{path} can't be checked beyond its hash, which is unknown; name it with --expect"
        checks = [Check("format", "failed", said)]
    contents = {digest for digest in (weights.content, weights.converted) if digest}
    verdict, reason = _judge(path, hashes, checks, contents, expect, wanted)
    unsure = verdict == "wrong" or (verdict == "consistent" and weights.content is not None)
    pickled = any(file.suffix in (".pth", ".bin") for file in files)
    return Verification(
        path=path,
        verdict=verdict,
        reason=reason,
        files=hashes,
        content_sha256=weights.content,
        converted_sha256=weights.converted,
        checks=checks,
        hint=WHY_HASHES_DIFFER if unsure and pickled else None,
    )


def _files_of(path: Path) -> list[Path]:
    """Return the files to be hashed: weights and SentencePiece models."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CheckpointError(f"there is no {path}; check the path")
    require_whole_links(path)
    files = {file for pattern in _PATTERNS for file in path.glob(pattern) if file.is_file()}
    if not files and not any(path.glob("*.index.json")):
        raise CheckpointError(f"{path} holds no weights and no tokenizer; check the path")
    return sorted(files)


def expected_digests(expect: str) -> dict[str, str]:
    """Return what ``expect`` stands for: SHA256 → the file that has it.

    Raises:
        UsageError: it is neither a name nor a SHA256.
    """
    if re.fullmatch("[0-9a-fA-F]{64}", expect):
        return {expect.lower(): "a file or the content"}
    for name, files in PUBLISHED.items():
        if name.lower() == expect.lower():
            return {digest: file for file, digest in files.items()}
    msg = f"{expect!r} is neither a SHA256 nor a published name; those are: {', '.join(PUBLISHED)}"
    raise UsageError(msg)


def name_of_digest(digest: str) -> str | None:
    """Return the published model, or the catalog's, that has a file of this SHA256."""
    sources = ((entry.name, source) for entry in CATALOG.values() for source in entry.sources)
    found = (
        name
        for name, source in sources
        if isinstance(source, WheelSource) and not source.convert and source.sha256 == digest
    )
    return published_name(digest) or next(found, None)


def _judge(
    path: Path,
    hashes: list[FileHash],
    checks: list[Check],
    contents: set[str],
    expect: str | None,
    wanted: dict[str, str],
) -> tuple[Verdict, str]:
    failed = [check for check in checks if check.outcome == "failed"]
    if failed:
        altered = all(check.name == "manifest" for check in failed)
        return "wrong" if altered else "broken", failed[0].said
    digests = {file.sha256 for file in hashes} | contents
    if expect:
        missing = [name for digest, name in wanted.items() if digest not in digests]
        if missing:
            return "wrong", f"{path} is not {expect}: no hash of it is that of {', '.join(missing)}"
        return "right", f"{path} is {expect}"
    return _recognized(path, hashes) or (
        "consistent", "no file is in the table of published hashes, and nothing is wrong with them"
    )  # fmt: skip


def _recognized(path: Path, hashes: list[FileHash]) -> tuple[Verdict, str] | None:
    """Judge by the published hashes of the weights, or of a tokenizer without any."""
    weights = [file for file in hashes if file.path.suffix != ".model"] or hashes
    names = {file.known_as for file in weights}
    if names == {None}:
        return None
    if len(names) == 1:
        name = str(names.pop())
        files = PUBLISHED.get(name, {})
        if path.is_dir() and len(files) > len(weights):
            return "wrong", f"{path} has {len(weights)} of the {len(files)} files of {name}"
        return "right", f"{path} is {name}"
    known = ", ".join(f"{file.path.name}: {file.known_as or 'unknown'}" for file in weights)
    return "wrong", f"the files of {path} are not of one published model ({known})"
