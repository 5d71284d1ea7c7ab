"""Hashes of files and of tensors, the latter independent of the file that holds them.

Python's lock is released while a buffer is read or hashed, so that threads keep as many cores busy.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from model_prep.checkpoint.tensors import dtype_name, raw_bytes
from model_prep.errors import CheckpointError
from model_prep.progress import Progress, ProgressCounter

if TYPE_CHECKING:
    import torch
    from typing_extensions import Buffer

PUBLISHED: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("published.json").read_bytes()
)
"""Models of the Chinese-LLaMA family: name → file → the SHA256 that its authors published.

The merged ``.pth`` files were written by PyTorch 1.13, whose zips differ from those of today.
"""
_BUFFER_BYTES = 2**20  # small enough to stay in the processor's cache between reading and hashing


def file_digests(
    files: Iterable[Path], progress: Progress | None = None, *, threads: int | None = None
) -> dict[Path, str]:
    """Return the SHA256 of each file, in hexadecimal; several are hashed at once.

    Args:
        files: In the order of the result.
        progress: Told the bytes hashed so far.
        threads: By default one for each core.

    Raises:
        CheckpointError: a file can't be read.
    """
    wanted = list(dict.fromkeys(files))
    counter = ProgressCounter("hashing files", _total_size(wanted), progress)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        digests = [pool.submit(_file_digest, file, counter) for file in wanted]
        try:
            return {file: digest.result() for file, digest in zip(wanted, digests, strict=True)}
        except BaseException:
            counter.stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def file_digest(file: Path) -> str:
    """Return the SHA256 of one file, in hexadecimal.

    Raises:
        CheckpointError: it can't be read.
    """
    return file_digests([file], threads=1)[file]


def tensor_digest(name: str, tensor: "torch.Tensor") -> str:
    """Return the content hash of one tensor, in hexadecimal; see `pieces_digest`."""
    return pieces_digest(name, dtype_name(tensor.dtype), tuple(tensor.shape), [raw_bytes(tensor)])


def pieces_digest(name: str, dtype: str, shape: tuple[int, ...], pieces: "Iterable[Buffer]") -> str:
    """Return the content hash of a tensor given in pieces, in hexadecimal.

    It is the SHA256 of a line with name, dtype in safetensors' spelling and shape, separated by
    tabs, followed by the bytes, row-major and little-endian. It does not depend on the container.
    """
    digest = hashlib.sha256(f"{name}\t{dtype}\t{'x'.join(map(str, shape))}\n".encode())
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def content_digest(digests: Mapping[str, str]) -> str:
    """Return the hash of a whole model, in hexadecimal, from those of its tensors by name.

    It is the SHA256 of the tensors' hashes, one a line, in the order of the names' code points.
    """
    lines = "".join(f"{digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def published_name(digest: str) -> str | None:
    """Return the published model of which a file has this SHA256, if there is one."""
    wanted = digest.lower()
    return next((name for name, files in PUBLISHED.items() if wanted in files.values()), None)


def _total_size(files: list[Path]) -> int:
    try:
        return sum(file.stat().st_size for file in files)
    except OSError as error:
        raise _unreadable(Path(error.filename), error) from error


def _file_digest(file: Path, counter: ProgressCounter) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    try:
        with file.open("rb", buffering=0) as data:
            while not counter.stopped and (size := data.readinto(buffer)):
                digest.update(buffer[:size])
                counter.add(size)
    except OSError as error:
        raise _unreadable(file, error) from error
    return digest.hexdigest()


def _unreadable(file: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"{file} can't be read ({error.strerror}); check the path and the disk")
