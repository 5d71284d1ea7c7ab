"""What pydantic finds wrong with a value, in words of a user."""

from collections.abc import Mapping
from typing import Any

_MUST_BE = {
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "bool_": "true or false",
    "string_": "text",
    "path_": "a path",
    "list_": "a list",
    "dict_": "names with values",
    "mapping_": "names with values",
    "model_": "an object",
    "json_": "JSON",
}
"""By the beginning of a kind of problem."""
_LIMITS = {
    "greater_than": "above",
    "greater_than_equal": "at least",
    "less_than": "below",
    "less_than_equal": "at most",
}
_LENGTHS = {
    "too_short": "hold at least {min_length}",
    "too_long": "hold at most {max_length}",
    "string_too_short": "have at least {min_length} characters",
    "string_too_long": "have at most {max_length} characters",
}
_OTHERS = {
    "literal_error": "must be {expected}",
    "none_required": "is not taken here",
    "missing": "is missing",
    "extra_forbidden": "is not known",
}


def invalid_reason(problem: Mapping[str, Any]) -> str:
    """Return why a value is not taken, such as ``must be at least 1``.

    Args:
        problem: One of ``ValidationError.errors()``.

    Example:
        >>> from pydantic import TypeAdapter, ValidationError
        >>> try:
        ...     TypeAdapter(int).validate_python("many")
        ... except ValidationError as error:
        ...     invalid_reason(error.errors()[0])
        'must be a whole number'
    """
    kind, said, context = problem["type"], str(problem["msg"]), problem.get("ctx", {})
    if kind == "value_error":  # a rule of our own, in words of our own
        return said.removeprefix("Value error, ")
    if kind in _LIMITS:
        return f"must be {_LIMITS[kind]} {said.rsplit(maxsplit=1)[-1]}"
    if kind in _LENGTHS:
        return f"must {_LENGTHS[kind].format(**context)}"
    if kind in _OTHERS:
        return _OTHERS[kind].format(**context)
    found = next((what for begin, what in _MUST_BE.items() if kind.startswith(begin)), None)
    return f"must be {found}" if found else said.replace("Input should", "must")
