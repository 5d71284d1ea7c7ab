"""Progress of reading or writing one document."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Show = Callable[[str], None]
"""Takes how far it is, such as ``120,000 rows``."""
Item = TypeVar("Item")

_STEP = 10_000
_show: ContextVar[Show | None] = ContextVar("show", default=None)


@contextmanager
def shown_progress(show: Show) -> Iterator[None]:
    """Have `counted` call ``show`` in this context.

    Example:
        >>> seen: list[str] = []
        >>> with shown_progress(seen.append):
        ...     pages = list(counted(range(25), "pages", step=10))
        >>> seen
        ['10 pages', '20 pages']
    """
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


def counted(items: Iterable[Item], unit: str, *, step: int = _STEP) -> Iterator[Item]:
    """Yield the items; say how many there were after each ``step`` of them."""
    show = _show.get()
    for number, item in enumerate(items, 1):
        yield item
        if show is not None and number % step == 0:
            show(f"{number:,} {unit}")
