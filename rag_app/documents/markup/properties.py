"""Java's properties → lines of ``key=value``, with the characters that are written as codes."""

import re

_PARTS = re.compile(
    r"^(?P<comment>[ \t\f]*[#!].*)|\\\n[ \t\f]*|(?P<codes>(?:\\u[0-9a-fA-F]{4})+)|\\(?P<sign>.)",
    re.M,
)
"""Comments, which are as they are; ends of lines that go on, codes, and signs that are escaped."""
_CONTROLS = {"t": "\t", "n": "\n", "r": "", "f": ""}


def properties_text(text: str) -> str:
    r"""Return properties as they are meant: lines joined, characters decoded.

    Example:
        >>> properties_text("a.title=\\u505c\\u6c34\\n\\\n  \\u901a\\u77e5\n")
        'a.title=停水\n通知\n'
    """
    return _PARTS.sub(_meant, text)


def _meant(part: "re.Match[str]") -> str:
    if part["codes"]:
        return bytes.fromhex(part["codes"].replace("\\u", "")).decode("utf-16-be", "replace")
    return part["comment"] or _CONTROLS.get(part["sign"], part["sign"]) or ""
