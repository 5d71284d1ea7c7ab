"""Markdown as it is shown: without comments, and with the tables that are written in HTML."""

import re

from rag_app.documents.web.html import page_markdown

_FENCED = re.compile(r"(^(?:```|~~~).*?(?:^(?:```|~~~)|\Z))", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?<!`)<!--.*?-->", re.DOTALL)
_NOTE = re.compile(r"^\[[^\]\n]+\]:[^\S\n]*(?:#|<>)[^\S\n]+[(\"'].*[)\"'][^\S\n]*$", re.MULTILINE)
"""A link that no text refers to: how Markdown writes notes to its authors."""
_TABLE = re.compile(
    r"(?<!`)<table[\s>](?:[^<]|<(?!table[\s>])){0,100000}?</table\s*>", re.DOTALL | re.IGNORECASE
)


def shown_markdown(text: str) -> str:
    """Return Markdown without what it does not show, its tables of HTML as lines."""
    parts = _FENCED.split(without_markdown_comments(text))
    for at in range(0, len(parts), 2):
        parts[at] = _TABLE.sub(lambda table: f"\n\n{page_markdown(table[0])}\n\n", parts[at])
    return "".join(parts)


def without_markdown_comments(text: str) -> str:
    r"""Return Markdown without what it does not show, outside blocks of code.

    Example:
        >>> without_markdown_comments("# Lease\n<!-- draft -->\n[//]: # (Ask Ann.)\nDue in May.")
        '# Lease\n\n\nDue in May.'
    """
    parts = _FENCED.split(text)
    parts[::2] = [_NOTE.sub("", _without_closed_comments(part)) for part in parts[::2]]
    return "".join(parts)


def _without_closed_comments(text: str) -> str:
    end = text.rfind("-->") + 3  # beyond it none is closed, and each would be searched to the end
    return _COMMENT.sub("", text[:end]) + text[end:] if end > 2 else text
