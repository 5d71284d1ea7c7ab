"""Files that the user's paths, globs and URLs name."""

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from unicodedata import normalize

from rag_app.documents.formats import FORMATS, SUFFIXES, suffix_of
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

STDIN = Path("-")
_WILDCARDS = frozenset("*?[")
_LOCK_FILE = "~$"
"""What the names of Office's lock files begin with; they hold a user's name, no document."""


@dataclass
class FoundSources:
    """What lies at the paths that the user named.

    Example:
        >>> found = search_sources([])
        >>> found.files, found.skipped
        ([], {})
    """

    files: list[Path] = field(default_factory=list)
    """To be read, each once, in the order they are named."""
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)
    """Why files were passed over → their kinds → how many. Office's lock files, hidden ones and
    what lies in hidden folders don't count."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Folders inside the named ones that can't be looked into, and why."""


def search_sources(
    paths: Sequence[str],
    exclude: Sequence[str] = (),
    *,
    may_be_gone: Callable[[str], bool] = lambda _: False,
) -> FoundSources:
    """Return the files that ``paths`` name, and what was passed over.

    Args:
        paths: Files of any suffix; folders, searched through for files of a known suffix; globs,
            where ``**`` stands for any folders; ``-`` for standard input. In folders and globs
            hidden files and folders are left out, and links to folders are not followed.
        exclude: Globs of what is left out: of the name of a file, or of a folder with all that is
            in it; with a ``/``, of its place below the folder that was named.
        may_be_gone: Whether a path at which there is nothing is passed over.

    Raises:
        DocumentError: a path doesn't exist or can't be looked into, or a folder or glob holds no
            document.
    """
    search = _Search(tuple(exclude))
    for path in paths:
        try:
            search.add(path)
        except DocumentError:
            if not may_be_gone(path):
                raise
    return search.found()


def names(path: str, file: PurePath) -> bool:
    """Return whether `search_sources` would find a file at ``path`` if it were there.

    Args:
        path: As `search_sources` takes it; ``-`` names no file.
        file: An absolute path without links.
    """
    named = _expanded(path).resolve()
    if _WILDCARDS.intersection(path) and not _exists(named):
        return _matches(file.parts, named.parts)
    return path != "-" and named in (file, *file.parents)


def root_of(path: str) -> Path:
    """Return the folder in which everything lies that ``path`` may name, there or not yet."""
    named = _expanded(path)
    if is_glob(path):
        parts = named.parts
        return Path(*parts[: next(at for at, part in enumerate(parts) if _WILDCARDS & {*part})])
    return named if named.is_dir() else named.parent


def place_of(path: str) -> Path:
    """Return the file or folder that ``path`` names, or the folder in which a glob's files are."""
    return root_of(path) if is_glob(path) else _expanded(path)


def is_glob(path: str) -> bool:
    """Return whether ``path`` is a glob: has wildcards, and is not a file's name."""
    return bool(_WILDCARDS.intersection(path)) and not _exists(_expanded(path))


class _Search:
    """Collects what the paths name."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = exclude
        self._files: dict[Path, Path] = {}
        self._skipped: dict[str, Counter[str]] = defaultdict(Counter)
        self._unreadable: dict[Path, str] = {}

    def found(self) -> FoundSources:
        skipped = {reason: dict(kinds.most_common()) for reason, kinds in self._skipped.items()}
        return FoundSources(list(self._files.values()), skipped, self._unreadable)

    def add(self, name: str) -> None:
        path = _expanded(name)
        if name == "-":
            self._take([STDIN])
        elif name and _exists(path):
            if path.is_dir():
                self._add_folder(path, name)
            # Path("./-") is Path("-"), which would be standard input.
            elif is_excluded(PurePath(path.name), self._exclude):
                self._skipped["excluded"][kind_of_file(path)] += 1
            elif not path.name.startswith(_LOCK_FILE):
                self._take([path.absolute() if path == STDIN else path])
        elif _WILDCARDS.intersection(name):
            self._add_some(self._glob(path), f"nothing matches {shown(name)}")
        else:
            raise _missing(path if name else Path("''"))

    def _take(self, files: Iterable[Path]) -> None:
        for file in files:
            self._files.setdefault(file if file == STDIN else file.resolve(), file)

    def _add_folder(self, folder: Path, name: str) -> None:
        suffixes = folder_suffixes()

        def documents() -> Iterator[Path]:
            for file in self._walk(folder):
                if suffix_of(file) in suffixes:
                    yield file
                else:
                    self._skipped["of other kinds"][kind_of_file(file)] += 1

        self._add_some(documents(), f"the folder {shown(name)} holds no document")

    def _add_some(self, files: Iterable[Path], problem: str) -> None:
        """Take files, or raise the problem that there are none."""
        before = len(self._unreadable)
        taken = list(files)
        if not taken:
            unreadable = list(self._unreadable.items())[before:]
            raise DocumentError(
                f"{shown(unreadable[0][0])} {unreadable[0][1]}"
                if unreadable
                else f"{problem}; these are read: {' '.join(sorted(SUFFIXES))}"
            )
        self._take(taken)

    def _walk(self, folder: Path, depth: int | None = None) -> Iterator[Path]:
        """Yield the regular files in a folder, at most ``depth`` folders down, sorted by path."""
        found = []
        waiting = [(folder, 1)]  # not recursive: folders can be deeper than Python's stack
        while waiting:
            current, level = waiting.pop()
            try:
                entries = [entry for entry in os.scandir(current) if not is_private(entry.name)]
            except OSError as error:
                if isinstance(error, FileNotFoundError) and current != folder:
                    continue  # it went while others were listed
                reason = f"can't be listed ({error.strerror}); correct that, or leave it out"
                self._unreadable[current] = reason
                continue
            for entry in entries:
                path = current / entry.name
                if is_excluded(path.relative_to(folder), self._exclude):
                    self._skipped["excluded"][kind_of_file(path)] += 1
                elif entry.is_dir(follow_symlinks=False):
                    if depth is None or level < depth:
                        waiting.append((path, level + 1))
                elif self._is_regular(entry):
                    found.append(path)
        # In a folder named . the file - would be standard input.
        yield from (file.absolute() if file == STDIN else file for file in sorted(found))

    def _is_regular(self, entry: "os.DirEntry[str]") -> bool:
        """Return whether an entry is a file that ends; a link to a folder is passed over.

        So is a file in a folder that can be listed but not entered: its reading says why it fails.
        """
        try:
            mode = entry.stat().st_mode
        except OSError:
            if not entry.is_symlink():
                return True
            self._skipped["that can't be reached"]["link"] += 1
            return False
        if kind := _special_kind(mode):
            self._skipped["that are not regular files"][kind] += 1
        return stat.S_ISREG(mode)

    def _glob(self, pattern: Path) -> Iterator[Path]:
        """Yield the files that match; `glob.glob` never ends among links in a circle."""
        parts = pattern.parts
        fixed = next(at for at, part in enumerate(parts) if _WILDCARDS.intersection(part))
        root, wanted = Path(*parts[:fixed]), parts[fixed:]
        if not root.is_dir():
            return
        named = not _WILDCARDS.intersection(pattern.suffix) and pattern.suffix != ""
        suffixes = folder_suffixes()
        for file in self._walk(root, None if "**" in wanted else len(wanted)):
            relative = file.absolute().relative_to(root.absolute()).parts
            if (named or suffix_of(file) in suffixes) and _matches(relative, wanted):
                yield file


def is_excluded(place: PurePath, patterns: Sequence[str]) -> bool:
    """Return whether a file or folder at ``place`` below a named folder is left out."""
    return any(
        _matches(place.parts, PurePath(pattern.strip("/")).parts)
        if "/" in pattern.rstrip("/")
        else fnmatchcase(place.name, pattern.rstrip("/"))
        for pattern in patterns
    )


def kind_of_file(file: PurePath) -> str:
    """Return the kind by which files that are passed over are counted."""
    return suffix_of(file) or "no suffix"


def is_private(name: str) -> bool:
    """Return whether a name is of a hidden file or of Office's lock file."""
    return name.startswith((".", _LOCK_FILE))


def _special_kind(mode: int) -> str | None:
    kinds = {stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket"}
    kinds |= dict.fromkeys((stat.S_ISCHR, stat.S_ISBLK), "device")
    return next((kind for is_kind, kind in kinds.items() if is_kind(mode)), None)


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
        return DocumentError(f"{shown(path)} is a link that leads nowhere; correct or remove it")
    try:
        names = {_letters(name): name for name in os.listdir(path.parent)}  # noqa: PTH208
    except (OSError, ValueError):
        names = {}
    near = get_close_matches(_letters(path.name), names, n=1)
    advice = f"did you mean {shown(path.with_name(names[near[0]]))}?" if near else "check the path"
    return DocumentError(f"{shown(path)} does not exist; {advice}")


def documents_within(sources: Collection[str], pattern: str) -> frozenset[str]:
    """Return the documents that a path, a folder or a glob means, or several with NULs between.

    Where none has that very path or lies in it, the pattern is that of the end of a document's
    path, or of a folder that it is in; where it is of none, of one in other letters: upper or
    lower case, accents apart or not, as macOS writes them.

    Example:
        >>> sorted(documents_within(["/资料/2023/合同.pdf", "/资料/2024/合同.pdf"], "2024"))
        ['/资料/2024/合同.pdf']
    """
    if "\0" in pattern:
        wanted = set(filter(None, pattern.split("\0")))
        exact = wanted.intersection(sources)
        return frozenset(exact).union(*(documents_within(sources, one) for one in wanted - exact))
    if not pattern.strip():  # would be the working folder
        return frozenset()
    places = {str(Path(pattern).absolute()), str(Path(pattern).resolve())}
    found = {
        source
        for source in sources
        if source in {pattern, *places} or not places.isdisjoint(map(str, PurePath(source).parents))
    }
    found = found or {source for source in sources if _is_meant(source, pattern)}
    written = _letters(pattern)
    return frozenset(
        found or {source for source in sources if _is_meant(_letters(source), written)}
    )


def _letters(name: str) -> str:
    return normalize("NFC", name).casefold()


def _is_meant(source: str, pattern: str) -> bool:
    parts, wanted = PurePath(source).parts, PurePath(pattern).parts
    starts = [0] if PurePath(pattern).is_absolute() else range(len(parts))
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
    from rag_app.documents.ocr import is_available  # which reads PDFs: a question needs it not

    pictures = {suffix for suffix, kind in FORMATS.items() if kind == "image"}
    return SUFFIXES if is_available() else SUFFIXES - pictures
