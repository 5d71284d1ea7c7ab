"""Download of models from the Hugging Face hub or the mirror that ``HF_ENDPOINT`` names."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from model_prep.catalog.entry import HubSource
from model_prep.checkpoint.reader import Checkpoint
from model_prep.checkpoint.safetensors_file import write_safetensors
from model_prep.errors import (
    CheckpointError,
    ChecksumError,
    PullError,
    UnreachableError,
    first_line,
)
from model_prep.output import is_full, require_space
from model_prep.process_state import quiet_hub
from model_prep.progress import Progress, folder_size, watched

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

_WEIGHTS = "model.safetensors"
_PICKLED = "pytorch_model.bin"
_PICKLES = (".bin", ".pt", ".pth")
_NEEDED_SUFFIXES = (".json", ".txt", ".model")
_BOOKKEEPING = ".cache"
_NO_ANSWER = "it can't be reached"


@dataclass(frozen=True)
class _File:
    name: str
    size: int  # bytes; 0 where the mirror does not say
    sha256: str | None


def fetch_repository(source: HubSource, folder: Path, progress: Progress) -> None:
    """Download what is needed of a repository into ``folder``; goes on where it was cut short.

    Needed are one file, where the source names one; else configuration, tokenizer and weights as
    safetensors. Weights that only exist pickled are turned into safetensors.

    Raises:
        UnreachableError: the hub does not answer.
        DiskSpaceError: the disk is too full.
        PullError: the hub has no such repository, commit or file.
        ChecksumError: a file has another size or hash; it was deleted.
    """
    with _hub_errors(source):
        commit, files = _needed_files(source)
        _check_space(files, folder)
        _download(source, commit, files, folder, progress)
    for file in files:
        progress(f"checking {file.name}", 0, 0)
        _check(folder / file.name, file)
    shutil.rmtree(folder / _BOOKKEEPING, ignore_errors=True)
    if (folder / _PICKLED).is_file():
        progress(f"converting {_PICKLED}", 0, 0)
        unpickle_weights(folder / _PICKLED)


def _needed_files(source: HubSource) -> tuple[str, list[_File]]:
    """Return the commit and its files that are needed."""
    from huggingface_hub import HfApi

    info = HfApi(endpoint=endpoint()).model_info(
        source.repo, revision=source.revision, files_metadata=True
    )
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
    wanted = _choose(set(siblings), source)
    if not wanted:
        raise FileNotFoundError(f"it holds no {source.file or _WEIGHTS}")
    files = [_file(siblings[name], source) for name in sorted(wanted)]
    return info.sha or source.revision, files


def endpoint() -> str | None:
    """Return the mirror that is used in place of the hub, None where none is."""
    return os.environ.get("HF_ENDPOINT") or None


def _choose(names: set[str], source: HubSource) -> set[str]:
    if source.file:
        return {source.file} & names
    if source.whole:
        pickled = any(name.endswith(".safetensors") for name in names)
        left = {name for name in names if not name.startswith(".")}
        return {name for name in left if not (pickled and name.endswith(_PICKLES))}
    weights = {_WEIGHTS} & names or {_PICKLED} & names
    return weights and weights | {name for name in names if _is_configuration(name)}


def _is_configuration(name: str) -> bool:
    """Return whether a file is at the top or in a module's folder, such as ``1_Pooling``."""
    path = PurePosixPath(name)
    *folders, _ = path.parts
    if path.suffix not in _NEEDED_SUFFIXES or "\\" in name or len(folders) > 1:
        return False
    return not folders or (folders[0][:1].isdigit() and "_" in folders[0])


def _file(sibling: "RepoSibling", source: HubSource) -> _File:
    name = sibling.rfilename
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if source.sha256 and name in (source.file, _WEIGHTS):
        sha256 = source.sha256
    return _File(name, sibling.size or 0, sha256)


def _check_space(files: list[_File], folder: Path) -> None:
    needed = sum(file.size for file in files)
    # Pickled weights are written a second time, as safetensors.
    needed += sum(file.size for file in files if file.name == _PICKLED)
    require_space(folder, max(needed - folder_size(folder), 0))


def _download(
    source: HubSource, commit: str, files: list[_File], folder: Path, progress: Progress
) -> None:
    from huggingface_hub import snapshot_download

    total = sum(file.size for file in files)
    with watched(folder, lambda size: progress(source.repo, min(size, total), total)):
        snapshot_download(
            source.repo,
            revision=commit,
            local_dir=folder,
            allow_patterns=[file.name for file in files],
            endpoint=endpoint(),
        )


@contextmanager
def _hub_errors(source: HubSource) -> Iterator[None]:
    """Turn what the hub's client raises into one line."""
    from huggingface_hub import errors

    try:
        with quiet_hub():
            yield
    except errors.RepositoryNotFoundError as error:
        raise PullError(_cannot(source, "there is no such repository")) from error
    except errors.RevisionNotFoundError as error:
        raise PullError(_cannot(source, f"there is no commit {source.revision}")) from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise UnreachableError(_cannot(source, _NO_ANSWER)) from error
    except Exception as error:
        # By name: the hub's client is built on httpx or httpx2, depending on its version.
        bases = {base.__name__ for base in type(error).__mro__}
        if "TransportError" in bases:
            raise UnreachableError(_cannot(source, _NO_ANSWER)) from error
        full = isinstance(error, OSError) and is_full(error)
        if full or not bases & {"HTTPError", "OSError", "ValueError"}:
            raise
        raise PullError(_cannot(source, first_line(error))) from error


def _cannot(source: HubSource, reason: str) -> str:
    return (
        f"{source.repo} can't be downloaded from {endpoint() or 'the hub'} ({reason}); check the "
        "network, set HF_ENDPOINT to a mirror, or copy the models folder from another machine"
    )


def _check(path: Path, file: _File) -> None:
    right = path.is_file() and file.size in (0, path.stat().st_size)
    if right and file.sha256:
        with path.open("rb") as data:
            right = hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
    if not right:
        path.unlink(missing_ok=True)
        msg = f"{file.name} is not the file that {file.sha256 or 'the hub'} names; it was deleted: "
        raise ChecksumError(msg + "run the same command again, or choose another HF_ENDPOINT")


def unpickle_weights(file: Path) -> Path:
    """Turn a ``pytorch_model.bin`` into ``model.safetensors`` beside it and delete it.

    Raises:
        ChecksumError: the file is damaged or holds anything else than named tensors.
    """
    try:
        checkpoint = Checkpoint([file])
    except CheckpointError as error:
        msg = f"{file} is damaged or holds more than tensors, so it was not used; delete it"
        raise ChecksumError(msg) from error
    target = file.with_name("model.safetensors")
    part = target.with_name("model.safetensors.part")
    with checkpoint:
        write_safetensors(part, [checkpoint.data(name) for name in checkpoint.tensors])
    part.replace(target)
    file.unlink()
    return target
