"""``python -m rag_app.index.search.merging FOLDER LIMITS…``: what `background` starts."""

import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rag_app.errors import BusyIndexError
from rag_app.index.search.background import merge_lock
from rag_app.index.search.faiss_cache import FaissCache, Limits
from rag_app.index.store.store import IndexStore

_NICENESS = 10


def bring_up_to_date(folder: Path, limits: Limits) -> None:
    """Bring the file of vectors of an index up to date, until nothing more has come meanwhile."""
    cache = FaissCache(IndexStore(folder), limits=replace(limits, here=sys.maxsize))
    with suppress(BusyIndexError), merge_lock(folder).held():  # another one is at work
        before = ""  # as for a file that can't be written
        while (file := cache.refresh().sha256) != before:
            before = file


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    bring_up_to_date(Path(sys.argv[1]), Limits(*map(int, sys.argv[2:])))
