"""The folders between a document and what was named to be indexed, whose names are searched too."""

from collections.abc import Iterable, Sequence
from os.path import commonprefix, expanduser
from pathlib import Path

from rag_app.documents.object_stores import canonical, is_url, url_root
from rag_app.documents.sources import root_of

_MOST = 4
"""Folders of a document, the innermost."""


class Roots:
    """The folders below which those of a document count.

    Of several it is the one that holds them all, unless that holds the home folders of users too.

    Args:
        folders: Their paths or URLs.

    Example:
        >>> Roots(["/docs/甲", "/docs/乙"]).folders_of("/docs/乙/2023/合同.pdf")
        ('乙', '2023')
        >>> Roots(["/docs/甲"]).folders_of("/docs/乙/2023/合同.pdf")
        ()
    """

    def __init__(self, folders: Iterable[str]) -> None:
        named = [_parts(folder) for folder in folders]
        # Each of these is a list of parts, not a path.
        shared = commonprefix(named)  # noqa: RUF071
        home = _parts(Path(expanduser("~")).parent.as_posix())  # noqa: PTH111 - there may be none
        outermost = shared[-1:] not in ([], [""]) and home[: len(shared)] != shared
        self._roots = [shared] if outermost else named

    @classmethod
    def of(cls, paths: Iterable[str]) -> "Roots":
        """Return those of the files, folders, globs and URLs that are to be indexed."""
        return cls(_root(path) for path in paths if path != "-")

    def folders_of(self, source: str) -> tuple[str, ...]:
        """Return the folders of a document below its root, outermost first; none of another."""
        *parts, _ = _parts(Path(source).as_posix() if not is_url(source) else source)
        roots = [root for root in self._roots if parts[: len(root)] == root]
        below = parts[min(map(len, roots)) :] if roots else []
        return tuple(below[-_MOST:])


def is_farther(folders: Sequence[str], known: Sequence[str]) -> bool:
    """Return whether ``folders`` of a document begin above those that are ``known`` of it.

    It may be indexed by its own name later, which says less of where it belongs.
    """
    return len(folders) > len(known)


def _root(path: str) -> str:
    if not is_url(path):
        return root_of(path).resolve().as_posix()
    return canonical(url_root(path))


def _parts(place: str) -> list[str]:
    return place.rstrip("/").split("/")
