"""Documents within documents: what mails are sent with, what archives hold."""

import re
import stat
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import PurePosixPath

from rag_app.documents.archive import MAX_UNPACKED, check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.structure import Structure
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

MAX_DEPTH = 3
"""Archives in archives, mails in mails."""
MAX_PARTS = 1000
MAX_BYTES = 512 * 2**20
"""Bytes of all parts of one file together."""
_MOST_NOTES = 20
_LEVEL = 10  # what each ``#`` adds to the level of a heading

ReadPart = Callable[[bytes, str], ExtractedText]
"""Reads what a file holds, by its content and name; raises DocumentError as for a file."""


class PartsBudget:
    """What may still be read of the parts of one file, however they are nested."""

    def __init__(self) -> None:
        self.parts = MAX_PARTS
        self.bytes = MAX_BYTES

    def spend(self, data: bytes, name: str) -> None:
        """Count a part.

        Raises:
            DocumentError: there are too many, or they are too large together.
        """
        self.parts -= 1
        self.bytes -= len(data)
        if self.parts < 0 or self.bytes < 0:
            msg = f"{shown(name)} is one part too many; unpack the file and name its documents"
            raise DocumentError(msg)


def read_parts(
    parts: Iterable[tuple[str, bytes]], read: ReadPart, *, level: int = 2
) -> tuple[list[str], list[str]]:
    """Return the texts of parts, each under its name, and a note of each that can't be read.

    Args:
        parts: Names and contents.
        read: Reads one.
        level: Of the headings that are made of the names; those of a part come below.
    """
    texts: list[str] = []
    notes: list[str] = []
    more = 0
    for name, data in parts:
        label = " ".join(shown(name).split()) or "?"
        try:
            found = read(data, name)
        except DocumentError as error:
            more += len(notes) >= _MOST_NOTES
            notes += [f"{label} was not read: {error}"] if len(notes) < _MOST_NOTES else []
            continue
        texts.append(f"{'#' * level} {label}\n\n{_lowered(found.text.strip(), level)}")
        notes += [f"{label}: {note}" for note in found.notes]
    if more:
        notes.append(f"{more} more files in it were not read")
    return texts, notes


def read_zip(data: bytes, name: str, read: ReadPart) -> ExtractedText:
    """Return the documents of a ZIP archive, each under its name in it.

    Raises:
        DocumentError: it is damaged, a bomb, or holds no document that can be read.
    """
    check_archive(data, name, max_xml=MAX_UNPACKED, max_tags=None, entities=True)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        entries = [item for item in archive.infolist() if not item.is_dir() and not _is_link(item)]
        parts = (
            (path, archive.read(entry)) for entry in entries if not _is_hidden(path := _name(entry))
        )
        texts, notes = read_parts(parts, read, level=1)
    if not texts:
        reason = f" ({notes[0]})" if notes else ""
        msg = f"{shown(name)} holds no document that can be read{reason}; unpack it to see"
        raise DocumentError(msg[:380])
    return ExtractedText("\n\n".join(texts), notes=notes)


def _lowered(text: str, levels: int) -> str:
    """Return a text with its headings some levels lower, as far as Markdown has them."""
    written, at = [], 0
    for start, end, _, level in Structure(text).headings:
        if level % _LEVEL == 0:  # the others are known by their words
            title = text[start:end].split("\n", maxsplit=1)[0].lstrip("# ")
            written += [text[at:start], "#" * min(level // _LEVEL + levels, 6), " ", title]
            at = end
    return "".join([*written, text[at:]])


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "~$", "__MACOSX")) for part in PurePosixPath(path).parts)


def _is_link(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry only names another file, as Unix archives may."""
    return stat.S_ISLNK(entry.external_attr >> 16)


def _name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name without what would lead out of the archive."""
    parts = re.split(r"[/\\]", re.sub(r"^[A-Za-z]:", "", _decoded_name(entry)))
    return "/".join(part for part in parts if part not in {"", ".", ".."}) or "?"


def _decoded_name(entry: zipfile.ZipInfo) -> str:
    """Return a name as it is written; without the flag of UTF-8, in the code page of its maker."""
    if entry.flag_bits & 0x800:
        return entry.filename
    raw = entry.filename.encode("cp437", "replace")
    for codec in ("utf-8", "gb18030"):
        try:
            return raw.decode(codec)
        except UnicodeDecodeError:
            continue
    return entry.filename
