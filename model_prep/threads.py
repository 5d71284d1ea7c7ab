"""Work in threads whose results come in order, with few of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def in_order(tasks: Iterable[Callable[[], _Result]], threads: int) -> Iterator[_Result]:
    """Yield the result of each task, in order, working ahead on as many as there are threads.

    Example:
        >>> list(in_order([lambda: "a", lambda: "b"], threads=2))
        ['a', 'b']
    """
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
