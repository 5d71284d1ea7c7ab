"""Java's properties → lines of ``key=value``, with the characters that are written as codes."""

import re

_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\n[ \t\f]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_CONTROLS = {"t": "\t", "n": "\n", "r": "", "f": ""}


def properties_text(text: str) -> str:
    r"""Return properties as they are meant: lines joined, characters decoded.

    Example:
        >>> properties_text("a.title=\\u505c\\u6c34\\n\\\n  \\u901a\\u77e5\n")
        'a.title=停水\n通知\n'
    """
    return _ESCAPE.sub(_character, _CONTINUED.sub(r"\1", text))


def _character(escape: "re.Match[str]") -> str:
    if escape[1]:
        code = int(escape[1], 16)
        return escape[0] if 0xD800 <= code < 0xE000 else chr(code)
    return _CONTROLS.get(escape[2], escape[2])
