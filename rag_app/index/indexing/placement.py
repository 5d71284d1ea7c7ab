"""The folders between a document and what was named to be indexed, whose names are searched too."""

from collections.abc import Iterable
from os.path import commonprefix, expanduser
from pathlib import Path

from rag_app.documents.object_stores import canonical, is_url, url_root
from rag_app.documents.sources import root_of

_MOST = 4  # folders of a document, the innermost


class Roots:
    """The folders below which those of a document count.

    Of several it is the one that holds them all, unless that holds the home folders of users too.

    Args:
        folders: Their paths, there or not yet, or their URLs.

    Example:
        >>> Roots(["/docs/甲", "/docs/乙"]).folders_of("/docs/乙/2023/合同.pdf")
        ('乙', '2023')
        >>> Roots(["/docs/甲"]).folders_of("/docs/乙/2023/合同.pdf")
        ()
    """

    def __init__(self, folders: Iterable[str]) -> None:
        named = [_parts(_resolved(folder)) for folder in folders]
        # Each of these is a list of parts, not a path.
        shared = commonprefix(named)  # noqa: RUF071
        home = _parts(Path(expanduser("~")).parent.as_posix())  # noqa: PTH111 - there may be none
        outermost = shared and shared[-1] and home[: len(shared)] != shared
        self._roots = {tuple(root) for root in ([shared] if outermost else named)}

    @classmethod
    def of(cls, paths: Iterable[str]) -> "Roots":
        """Return those of the files, folders, globs and URLs that are to be indexed."""
        return cls(
            canonical(url_root(path)) if is_url(path) else str(root_of(path))
            for path in paths
            if path != "-"
        )

    def folders_of(self, source: str) -> tuple[str, ...]:
        """Return the folders of a document below its root, outermost first; none of another."""
        *parts, _ = _parts(Path(source).as_posix() if not is_url(source) else source)
        depths = range(len(parts) + 1)
        root = next((depth for depth in depths if tuple(parts[:depth]) in self._roots), len(parts))
        return tuple(parts[root:][-_MOST:])


def farther(folders: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ``folders`` of a document, or those ``known`` of it if these begin above them.

    It may be indexed by its own name later, which says less of where it belongs.
    """
    return max(folders, known, key=len)


def _resolved(folder: str) -> str:
    """Return a folder as sources in it are called, with ``/`` on every system."""
    return folder if is_url(folder) else Path(folder).resolve().as_posix()


def _parts(place: str) -> list[str]:
    return place.rstrip("/").split("/")
