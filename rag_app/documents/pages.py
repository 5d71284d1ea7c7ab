"""Pages and slides as one text."""

from collections.abc import Sequence


def joined(pages: Sequence[str]) -> tuple[str, list[int]]:
    """Return the pages as one text, a blank line between them, and the offset of each page."""
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + 2
    return "\n\n".join(pages), starts
