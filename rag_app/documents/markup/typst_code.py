"""Where the parts of Typst's code end: groups in brackets, statements and arguments."""

import re

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ARGUMENT = re.compile(r"\s*([a-zA-Z][\w-]*)\s*:(?!:)")
_LONGEST = 50_000
"""Characters of a group."""


def end_of_group(source: str, at: int) -> int:
    """Return where the group ends whose bracket is at a place; in text only ``[`` opens another.

    Example:
        >>> end_of_group('("a)", [1)])x', 0), end_of_group("[a(b]", 0)
        (12, 5)
    """
    open_ones: list[str] = []
    limit = min(len(source), at + _LONGEST)
    while at < limit:
        sign = source[at]
        in_text = bool(open_ones) and open_ones[-1] == "["
        if sign == "\\":
            at += 1
        elif sign == '"' and not in_text:
            at = _end_of_string(source, at)
        elif sign == "[" or (sign in _CLOSING and not in_text):
            open_ones.append(sign)
        elif open_ones and sign == _CLOSING[open_ones[-1]]:
            open_ones.pop()
            if not open_ones:
                return at + 1
        at += 1
    return limit


def _end_of_string(source: str, at: int) -> int:
    """Return the place of the quote that ends a string, or the last place."""
    end = at + 1
    while end < len(source) and source[end] != '"':
        end += 2 if source[end] == "\\" else 1
    return min(end, len(source) - 1)


def end_of_statement(source: str, at: int) -> int:
    """Return where a statement ends: at the end of a line outside all brackets."""
    while at < len(source) and source[at] not in "\n;":
        if source[at] == '"':
            at = _end_of_string(source, at) + 1
        else:
            at = end_of_group(source, at) if source[at] in _CLOSING else at + 1
    return at


def arguments(source: str) -> list[tuple[str, str]]:
    """Return the arguments between two parentheses, each with its name, "" if it has none.

    Example:
        >>> arguments("columns: 2, [a, b], f(1, 2)")
        [('columns', '2'), ('', '[a, b]'), ('', 'f(1, 2)')]
    """
    found: list[tuple[str, str]] = []
    start = at = 0
    while at <= len(source):
        if at == len(source) or source[at] == ",":
            argument = source[start:at]
            name = _ARGUMENT.match(argument)
            value = argument[name.end() :] if name else argument
            found += [(name[1] if name else "", value.strip())] if argument.strip() else []
            start = at = at + 1
        elif source[at] == '"':
            at = _end_of_string(source, at) + 1
        else:
            at = end_of_group(source, at) if source[at] in _CLOSING else at + 1
    return found
