"""Names that come from outside: of indexes, files and documents."""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from rag_app.documents.formats import SUFFIXES
from rag_app.server.errors import ApiError

_INDEX = re.compile(r"\w[\w.\- ]{0,62}\w|\w")
_DRIVE = re.compile(r"[.\s]*[A-Za-z]:")
_NOT_FIRST = re.compile(r"(?:[.\s]|[A-Za-z]:)+")
"""What no part of a path begins with: points (hidden files), spaces, and drives."""
_LONGEST = 200
"""Bytes of a file name, so that temporary files beside it fit the 255 of file systems."""
_LONGEST_PATH = 1000
"""Bytes of a file name with its folders."""


def index_name(name: str) -> str:
    """Return the name of an index if it can be one folder's.

    Raises:
        ApiError: 400.
    """
    name = unicodedata.normalize("NFC", name)
    if not _INDEX.fullmatch(name) or len(name.encode()) > _LONGEST:
        msg = (
            "an index is named with up to 64 letters, digits, Chinese characters, spaces, points "
            "and dashes; it begins and ends with a letter or digit"
        )
        raise ApiError(400, msg, param="name")
    return name


def file_name(name: str) -> str:
    """Return an uploaded file's name with its folders, as a path that stays where it is put.

    Of a path that leads elsewhere (absolute, with a drive or ``..``) the last part is left.

    Raises:
        ApiError: 400, nothing is left of it, it is too long, or its format is not read.
    """
    parts = [_printable(part).strip() for part in re.split(r"[/\\]", name)]
    absolute = len(parts) > 1 and not parts[0]
    leads_out = absolute or any(part == ".." or _DRIVE.match(part) for part in parts)
    *folders, last = [part[_begin(part) :] for part in parts]
    path = PurePosixPath(last or "_")
    if path.suffix.lower() not in SUFFIXES:
        msg = f"{last or name!r} is of no format that is read: {' '.join(sorted(SUFFIXES))}"
        raise ApiError(400, msg, code="unsupported_format", param="files")
    stem = _cut(path.stem, _LONGEST - len(path.suffix.encode()))
    kept = [] if leads_out else [_cut(folder, _LONGEST) for folder in folders if folder]
    whole = "/".join([*kept, stem + path.suffix])
    if len(whole.encode()) > _LONGEST_PATH:
        msg = f"{stem}{path.suffix} lies in folders whose names are too long together"
        raise ApiError(400, msg, param="files")
    return whole


def _begin(part: str) -> int:
    """Return where the part of a path that can stay begins."""
    found = _NOT_FIRST.match(part)
    return found.end() if found else 0


def _printable(part: str) -> str:
    return unicodedata.normalize("NFC", "".join(char for char in part if char.isprintable()))


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode("utf-8", "ignore").rstrip()


def document_id(source: str) -> str:
    """Return the id of a document in the API: its source may be a path of any length."""
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]
