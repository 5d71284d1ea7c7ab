"""Documents in object stores and wherever else fsspec reaches: their URLs, and their bytes."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from rag_app.documents.formats import suffix_of
from rag_app.documents.sources import (
    FoundSources,
    folder_suffixes,
    is_excluded,
    is_private,
    kind_of_file,
    search_sources,
)
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WILDCARDS = re.compile(r"[*?\[]")
_BLOCK = 2**20


@dataclass(frozen=True)
class RemoteFile:
    """A file that is named by a URL such as ``s3://bucket/key``.

    Example:
        >>> import fsspec
        >>> fsspec.filesystem("memory").pipe("/docs/tea.txt", b"Green tea is steamed.")
        >>> with RemoteFile("memory://docs/tea.txt").copied(1000) as file:
        ...     file.name, file.read_text()
        ('tea.txt', 'Green tea is steamed.')
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def sha256(self, max_bytes: int) -> str | None:
        """Return the hash of its bytes, hexadecimal; None if they are more than ``max_bytes``.

        Raises:
            DocumentError: it can't be read.
        """
        if self._size() > max_bytes:
            return None
        digest = hashlib.sha256()
        for block in self._blocks(max_bytes):
            digest.update(block)
        return digest.hexdigest()

    @contextmanager
    def copied(self, max_bytes: int) -> Iterator[Path]:
        """Give a local copy, of the same name; of a larger file one byte more than ``max_bytes``.

        Raises:
            DocumentError: it can't be read.
        """
        with TemporaryDirectory(prefix="rag-app-") as folder:
            copy = Path(folder) / PurePath(self.url).name
            with copy.open("wb") as file:
                for block in self._blocks(max_bytes + 1):
                    file.write(block)
            yield copy

    def _size(self) -> int:
        with _store(self.url) as (files, path):
            return int(files.size(path) or 0)

    def _blocks(self, most: int) -> Iterator[bytes]:
        with _store(self.url) as (files, path), files.open(path, "rb") as file:
            while most and (block := file.read(min(most, _BLOCK))):
                yield block
                most -= len(block)


SourcePath = Path | RemoteFile
"""What may be indexed."""


def is_url(name: str) -> bool:
    """Return whether ``name`` is a URL rather than a path.

    Example:
        >>> is_url("s3://papers/2024"), is_url("papers/2024")
        (True, False)
    """
    return _URL.match(name) is not None


def search_objects(
    url: str, exclude: Sequence[str] = ()
) -> tuple[list[RemoteFile], dict[str, dict[str, int]]]:
    """Return the files that a URL names, by their URLs, and what was passed over.

    Args:
        url: Of a file, a folder or a glob. Of the last two the same kinds of files are taken as
            of folders on this machine.
        exclude: Globs of what is left out; see `rag_app.documents.sources.search_sources`.

    Raises:
        DocumentError: there is no document, or the store can't be reached.
    """
    with _store(url) as (files, path):
        glob = _WILDCARDS.search(path)
        if not glob and files.isfile(path):
            return [RemoteFile(files.unstrip_protocol(path))], {}
        found = sorted(files.glob(path) if glob else files.find(path))
        if glob:
            found = [name for name in found if files.isfile(name)]
        taken, skipped = [], {"of other kinds": Counter[str](), "excluded": Counter[str]()}
        root = url_root(path)
        suffixes = folder_suffixes()
        for name in found:
            place = PurePath(name.removeprefix(root).strip("/"))
            if any(map(is_private, place.parts)):
                continue
            if any(is_excluded(part, exclude) for part in (place, *place.parents[:-1])):
                skipped["excluded"][kind_of_file(place)] += 1
            elif suffix_of(place) not in suffixes:
                skipped["of other kinds"][kind_of_file(place)] += 1
            else:
                taken.append(RemoteFile(files.unstrip_protocol(name)))
    if not taken:
        raise DocumentError(f"there is no document at {shown(url)}; check the URL")
    return taken, {why: dict(kinds) for why, kinds in skipped.items() if kinds}


@dataclass
class EverySource(FoundSources):
    """What lies at paths and URLs."""

    remote: list[RemoteFile] = field(default_factory=list)
    """Each once, in the order they are named."""

    @property
    def everything(self) -> list[SourcePath]:
        """What is to be read."""
        return [*self.files, *self.remote]


def search_everywhere(
    names: Sequence[str],
    exclude: Sequence[str] = (),
    *,
    may_be_gone: Callable[[str], bool] = lambda _: False,
) -> EverySource:
    """Return the files that paths and URLs name, as `search_sources` and `search_objects` do."""
    local = [name for name in names if not is_url(name)]
    found = EverySource(**vars(search_sources(local, exclude, may_be_gone=may_be_gone)))
    remote: dict[RemoteFile, None] = {}
    for url in filter(is_url, names):
        try:
            files, skipped = search_objects(url, exclude)
        except DocumentError:
            if not may_be_gone(url):
                raise
        else:
            remote.update(dict.fromkeys(files))
            for why, kinds in skipped.items():
                found.skipped[why] = dict(Counter(found.skipped.get(why, {})) + Counter(kinds))
    found.remote = list(remote)
    return found


def url_names(url: str, source: str) -> bool:
    """Return whether ``source`` lies at a URL: is it, is in that folder, or matches that glob."""
    if not _WILDCARDS.search(url):
        return source == url or source.startswith(url.rstrip("/") + "/")
    from fsspec.utils import glob_translate

    return re.match(glob_translate(url), source) is not None


def url_root(url: str) -> str:
    """Return the folder in which everything lies that a glob may name; another URL as it is."""
    glob = _WILDCARDS.search(url)
    return url[: glob.start()].rpartition("/")[0] if glob else url


def canonical(url: str) -> str:
    """Return a URL as files below it are called.

    Raises:
        DocumentError: its store can't be reached.
    """
    with _store(url) as (files, path):
        return str(files.unstrip_protocol(path))


@contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
    """Give the file system of a URL and the path in it; show what goes wrong as one line."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        msg = f"{shown(url)} needs {error.name}; run: pip install 'rag-app[cluster]'"
        raise DocumentError(msg) from error
    try:
        yield url_to_fs(url)
    except DocumentError:
        raise
    except FileNotFoundError as error:
        raise DocumentError(f"{shown(url)} does not exist; check the URL") from error
    except ImportError as error:  # it says which package
        reason = " ".join(str(error).split())
        msg = f"{shown(url)} can't be read ({reason}); install that package with pip"
        raise DocumentError(msg) from error
    except Exception as error:  # each store has errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DocumentError(f"{shown(url)} can't be read ({shown(reason)})") from error
