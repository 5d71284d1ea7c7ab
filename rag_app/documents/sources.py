"""From what the user names to the files to read."""

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from rag_app.documents.formats import FORMATS, SUFFIXES
from rag_app.documents.ocr import is_available
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

STDIN = Path("-")
_WILDCARDS = frozenset("*?[")


def find_sources(paths: Sequence[str]) -> list[Path]:
    """Return the files that ``paths`` name, each once, in the order they are named.

    Args:
        paths: Files of any suffix; folders, searched through for files of a known suffix; globs,
            where ``**`` stands for any folders; ``-`` for standard input. In folders and globs
            hidden files and folders are left out, and links to folders are not followed.

    Raises:
        DocumentError: a path doesn't exist or can't be looked into, or a folder or glob holds no
            document.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _files(path):
            found.setdefault(file if file == STDIN else file.resolve(), file)
    return list(found.values())


def names(path: str, file: Path) -> bool:
    """Return whether `find_sources` would find a file at ``path`` if it were there.

    Args:
        path: As `find_sources` takes it; ``-`` names no file.
        file: An absolute path without links.
    """
    named = _expanded(path).resolve()
    if _WILDCARDS.intersection(path) and not _exists(named):
        return _matches(file.parts, named.parts)
    return path != "-" and named in (file, *file.parents)


def _files(name: str) -> Iterator[Path]:
    if name == "-":
        yield STDIN
        return
    path = _expanded(name)
    if name and _exists(path):
        if path.is_dir():
            suffixes = folder_suffixes()
            inside = (file for file in _walk(path) if file.suffix.lower() in suffixes)
            yield from _some(inside, f"the folder {shown(name)} holds no document")
        else:
            # Path("./-") is Path("-"), which would be standard input.
            yield path.absolute() if path == STDIN else path
    elif _WILDCARDS.intersection(name):
        yield from _some(_glob(path), f"nothing matches {shown(name)}")
    else:
        raise _missing(path if name else Path("''"))


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~ of nobody: a name like any other
        return Path(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        msg = f"{shown(path)} can't be read ({error.strerror}); check the path"
        raise DocumentError(msg) from error


def _missing(path: Path) -> DocumentError:
    if path.is_symlink():
        return DocumentError(f"{shown(path)} is a link that leads nowhere; mend or remove it")
    try:
        beside = get_close_matches(path.name, os.listdir(path.parent), n=1)  # noqa: PTH208
    except (OSError, ValueError):
        beside = []
    advice = f"did you mean {shown(path.with_name(beside[0]))}?" if beside else "check the path"
    return DocumentError(f"{shown(path)} does not exist; {advice}")


def _some(files: Iterator[Path], problem: str) -> Iterator[Path]:
    """Yield files, or raise the problem that there are none."""
    first = next(files, None)
    if first is None:
        msg = f"{problem}; these are read: {' '.join(sorted(SUFFIXES))}"
        raise DocumentError(msg)
    yield first
    yield from files


def _walk(folder: Path, depth: int | None = None) -> Iterator[Path]:
    """Yield the regular files in a folder, at most ``depth`` folders down, sorted by path."""
    found = []
    waiting = [(folder, 1)]  # not recursive: folders can be deeper than Python's stack
    while waiting:
        current, level = waiting.pop()
        try:
            entries = [entry for entry in os.scandir(current) if not entry.name.startswith(".")]
        except OSError as error:
            msg = f"{shown(current)} can't be listed ({error.strerror}); leave it out or mend it"
            raise DocumentError(msg) from error
        found += [current / entry.name for entry in entries if _is_file(entry)]
        if depth is None or level < depth:
            folders = (entry for entry in entries if entry.is_dir(follow_symlinks=False))
            waiting += [(current / entry.name, level + 1) for entry in folders]
    # In a folder named . the file - would be standard input.
    yield from (file.absolute() if file == STDIN else file for file in sorted(found))


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _glob(pattern: Path) -> Iterator[Path]:
    """Yield the files that match; not `glob.glob`, which never ends among links in a circle."""
    parts = pattern.parts
    fixed = next(at for at, part in enumerate(parts) if _WILDCARDS.intersection(part))
    root, wanted = Path(*parts[:fixed]), parts[fixed:]
    if not root.is_dir():
        return
    named = not _WILDCARDS.intersection(pattern.suffix) and pattern.suffix != ""
    suffixes = folder_suffixes()
    for file in _walk(root, None if "**" in wanted else len(wanted)):
        relative = file.absolute().relative_to(root.absolute()).parts
        if (named or file.suffix.lower() in suffixes) and _matches(relative, wanted):
            yield file


def is_within(source: str, pattern: str) -> bool:
    """Return whether an indexed document is meant by a path, a folder or a glob.

    A path that exists means itself; another one, and a glob, the end of a document's path or one
    of the folders that it lies in.

    Example:
        >>> is_within("/资料/2024/合同.pdf", "2024"), is_within("/资料/2024/合同.pdf", "*.docx")
        (True, False)
    """
    if source == pattern:
        return True
    path, parts = Path(pattern), PurePath(source).parts
    if not _WILDCARDS.intersection(pattern) and os.path.lexists(path):
        return PurePath(source).is_relative_to(path.resolve())
    wanted = path.parts
    starts = [0] if path.is_absolute() else range(len(parts))
    return bool(wanted) and any(
        _matches(parts[at:], wanted) or _matches(parts[at:], (*wanted, "**")) for at in starts
    )


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the path with these parts matches a glob with those."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:] or ("*",)
        return any(_matches(parts[skip:], rest) for skip in range(len(parts)))
    here = bool(parts) and fnmatchcase(parts[0], pattern[0])
    return here and _matches(parts[1:], pattern[1:])


def folder_suffixes() -> frozenset[str]:
    """Return the suffixes of what is read of a folder: pictures only where OCR is installed."""
    pictures = {suffix for suffix, kind in FORMATS.items() if kind == "image"}
    return SUFFIXES if is_available() else SUFFIXES - pictures
