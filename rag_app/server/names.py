"""Names that come from outside: of indexes, files and documents."""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from rag_app.documents.formats import SUFFIXES
from rag_app.server.errors import ApiError

_INDEX = re.compile(r"\w[\w.\- ]{0,62}\w|\w")
_LONGEST = 200
"""Bytes of a file name, so that temporary files beside it fit the 255 of file systems."""


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
    """Return the last part of an uploaded file's name, with nothing in it that leads elsewhere.

    Raises:
        ApiError: 400, nothing is left of it, or its format is not read.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(char for char in last if char.isprintable())
    clean = unicodedata.normalize("NFC", printable).strip().lstrip(".").strip()
    path = PurePosixPath(clean or "_")
    if path.suffix.lower() not in SUFFIXES:
        msg = f"{clean or name!r} is of no format that is read: {' '.join(sorted(SUFFIXES))}"
        raise ApiError(400, msg, code="unsupported_format", param="files")
    room = _LONGEST - len(path.suffix.encode())
    stem = path.stem.encode()[:room].decode("utf-8", "ignore")
    return stem + path.suffix


def document_id(source: str) -> str:
    """Return the id of a document in the API: its source may be a path of any length."""
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]
