"""Tools, calls of them and formats of answers, in the forms in which clients name them.

One form is kept, that of OpenAI's chats; its older one, OpenAI's newer API and Anthropic's have
others.
"""

import json
from collections.abc import Sequence
from typing import Any

from rag_app.server.errors import ApiError

_CHOICES = ("auto", "none", "required", "any")
_FORMATS = ("text", "json_object", "json_schema")


def named_function(name: str) -> dict[str, Any]:
    """Return the choice of one tool."""
    return {"type": "function", "function": {"name": name}}


def is_call(call: Any) -> bool:
    """Return whether a value is a call of a function as OpenAI's API has it."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return False
    texts = call.get("id"), function.get("name")
    return all(isinstance(text, str) for text in texts) and isinstance(
        function.get("arguments"), str | dict
    )


def with_object(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call whose arguments are an object, as text; clients send back what they got.

    That may be nothing at all, the object itself, or one that was cut off.
    """
    arguments = call["function"]["arguments"] or {}
    if isinstance(arguments, str):
        try:
            found = json.loads(arguments)
        except (ValueError, RecursionError):
            found = None
        arguments = found if isinstance(found, dict) else {"arguments": arguments}
    function = {**call["function"], "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {**call, "function": function}


def choice_of(value: dict[str, Any]) -> Any:
    """Return a choice of tools in the form of a chat.

    Example:
        >>> choice_of({"type": "any"})
        'required'
        >>> choice_of({"type": "tool", "name": "search"})
        {'type': 'function', 'function': {'name': 'search'}}
    """
    kind, name = value.get("type"), value.get("name")
    if "function" in value:
        return value
    if kind in ("function", "tool") and isinstance(name, str):
        return named_function(name)
    return {"any": "required"}.get(kind, kind) if kind in _CHOICES else value


def allowed_tools(choice: dict[str, Any], tools: Sequence[Any]) -> tuple[list[Any], Any]:
    """Return the tools that a choice allows, and how one of them is chosen.

    Args:
        choice: One of the type ``allowed_tools``.
        tools: All there are; a client sends both for its cache.

    Raises:
        ValueError: it is of another form.
    """
    allowed = choice.get("allowed_tools", choice)
    try:
        names = {tool.get("function", tool)["name"] for tool in allowed["tools"]}
        found = [tool for tool in tools if tool["function"]["name"] in names]
        return found, allowed.get("mode", "auto")
    except (AttributeError, KeyError, TypeError) as error:
        msg = "tool_choice.allowed_tools is {mode, tools: [{type, function: {name}}]}"
        raise ValueError(msg) from error


def nested_schema(form: dict[str, Any]) -> dict[str, Any]:
    """Return a format as a chat has it; in OpenAI's newer API a schema is next to its type."""
    if form.get("type") != "json_schema" or "json_schema" in form:
        return form
    named = {name: part for name, part in form.items() if name != "type"}
    return {"type": "json_schema", "json_schema": {"name": "answer", **named}}


def check_format(form: dict[str, Any]) -> None:
    """Refuse a ``response_format`` of another form.

    Raises:
        ApiError: 400.
    """
    kind = form.get("type", "text")
    if kind not in _FORMATS:
        msg = "response_format.type is text, json_object or json_schema"
        raise ApiError(400, msg, param="response_format")
    schema = form.get("json_schema")
    if kind == "json_schema" and not (
        isinstance(schema, dict) and isinstance(schema.get("schema"), dict)
    ):
        msg = "response_format.json_schema.schema is missing"
        raise ApiError(400, msg, param="response_format")
