"""Calls of tools by a local model, whose chat template may know of none.

The model is told the tools in a system message and answers freely. As soon as its answer can only
be a call, it is generated again under a grammar, where the backend has them: the name is one of the
tools', and the arguments are as its schema says. Without grammars its own words are read.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from model_prep.json_file import is_json
from rag_app.errors import ToolsError

END = object()
"""Put after the last chunk of a generation."""
Put = Callable[[Any], None]
"""Takes chunks, then `END` or an exception; from any thread."""
Generate = Callable[[list[BaseMessage], dict[str, Any], Put, threading.Event], None]
"""Begins to answer messages with some options; ends soon after the event is set."""

_log = logging.getLogger(__name__)
_TOLD = """\
You may call a function, where it helps to answer. The functions, one a line, as JSON:
{tools}
To call one, reply with nothing but {{"name": its name, "arguments": an object}}. {otherwise}"""
_MAY = "Otherwise reply as if there were no functions."
_MUST = "Reply so now."
_OBJECT = {"type": "object"}
_BEGINNINGS = ('{"name"', "<tool_call>", '```json{"name"', '```{"name"')
"""How answers begin that are calls, white space left out."""


class Tools:
    """The tools that one call to a model may call.

    Args:
        tools: As OpenAI's API has them.
        choice: ``auto``, ``required``, or the one that must be called.

    Raises:
        ToolsError: one of them is not a function with a name, or the chosen one is missing.

    Example:
        >>> tools = Tools([{"type": "function", "function": {"name": "now"}}], "required")
        >>> tools.must_call, tools.told([HumanMessage("What time is it?")])[0].type
        (True, 'system')
    """

    def __init__(self, tools: Sequence[Any], choice: Any = "auto") -> None:
        for kind in (tool.get("type", "function") for tool in tools if isinstance(tool, dict)):
            if kind != "function":
                raise ToolsError(f"tools of type {kind} are not supported; send functions", "tools")
        try:
            self._functions = {tool["function"]["name"]: tool["function"] for tool in tools}
        except (KeyError, TypeError) as error:
            msg = "each of tools is {type: function, function: {name, description, parameters}}"
            raise ToolsError(msg, "tools") from error
        self._functions = {str(name): function for name, function in self._functions.items()}
        self.must_call = choice not in (None, "auto")
        self._chosen = list(self._functions)
        if isinstance(choice, dict):
            name = (choice.get("function") or {}).get("name")
            self._chosen = [function for function in self._chosen if function == name]
        if not self._chosen or not isinstance(choice, str | dict | None):
            msg = "tool_choice is none, auto, required or one of the tools"
            raise ToolsError(msg, "tool_choice")

    def told(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return messages that begin by telling a model of the tools."""
        lines = [json.dumps(function, ensure_ascii=False) for function in self._functions.values()]
        text = _TOLD.format(tools="\n".join(lines), otherwise=_MUST if self.must_call else _MAY)
        if messages and messages[0].type == "system":
            return [SystemMessage(f"{messages[0].text}\n\n{text}"), *messages[1:]]
        return [SystemMessage(text), *messages]

    def response_format(self, other: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the form of a call.

        Args:
            other: That of a text, where the answer may be that too.
        """
        given = [self._functions[name].get("parameters") or _OBJECT for name in self._chosen]
        kinds: list[dict[str, Any]] = [
            {
                "type": "object",
                "properties": {"name": {"const": name}, "arguments": _pointer(number)},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for number, name in enumerate(self._chosen)
        ]
        if other is not None:
            kinds.append(_pointer(len(given)))
            given.append((other.get("json_schema") or other).get("schema") or _OBJECT)
        schemas = {str(number): _moved(schema, number) for number, schema in enumerate(given)}
        schema = {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), "$defs": schemas}
        return {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}

    def call_in(self, text: str) -> dict[str, Any] | None:
        """Return the call of a tool that a text is; None where it is something else."""
        try:
            call, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
        except (ValueError, RecursionError):
            return None
        is_call = isinstance(call, dict) and call.keys() == {"name", "arguments"}
        return call if is_call and call["name"] in self._functions else None


def answer_with_tools(
    tools: Tools,
    generate: Generate,
    messages: Sequence[BaseMessage],
    options: dict[str, Any],
    put: Put,
    cancelled: threading.Event,
    *,
    schemas: bool,
) -> None:
    """Begin the answer to messages: a text, or one call.

    Args:
        tools: What may be called.
        generate: Has the model answer.
        messages: Before those that describe the tools.
        options: For the call to the model; with a ``response_format``, a text has that form.
        put: Takes the chunks.
        cancelled: Set when nobody waits for them any more.
        schemas: Whether ``generate`` takes ``response_format``; else a call that must be made may
            turn out a text, which is logged.
    """
    told = tools.told(messages)
    form = options.get("response_format") or {}

    def held_to(form: dict[str, Any]) -> None:
        formed = {**options, "response_format": form}
        generate(told, formed, _Whole(tools, put, formed=True), cancelled)

    if tools.must_call and not schemas:
        generate(told, options, _Whole(tools, put), cancelled)
    elif tools.must_call:  # so there is no text to have a form
        held_to(tools.response_format())
    elif form.get("type", "text") != "text":
        held_to(tools.response_format(form))
    else:
        enough = _Either(cancelled)
        whole = _Whole(tools, put)

        def call() -> None:
            if schemas and not cancelled.is_set():
                held_to(tools.response_format())
            else:
                whole(END)

        free = _UnlessCall(put, whole, call, enough.set if schemas else lambda: None)
        generate(told, options, free, enough)


class _Either(threading.Event):
    """Set when it is, or when another event is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


class _UnlessCall:
    """Puts the chunks of a text, held back until it can't be a call any more."""

    def __init__(
        self, put: Put, hold: Put, call: Callable[[], None], enough: Callable[[], None]
    ) -> None:
        self._put, self._hold, self._call, self._enough = put, hold, call, enough
        self._held: list[ChatGenerationChunk] = []
        self._begun = ""
        self._kind: str | None = None

    def __call__(self, item: Any) -> None:
        if self._kind == "call":
            if item is END:
                self._call()
            else:
                self._hold(item)
        elif self._kind == "text" or not isinstance(item, ChatGenerationChunk):
            self._show(item)
        else:
            self._decide(item)

    def _decide(self, chunk: ChatGenerationChunk) -> None:
        self._held.append(chunk)
        self._begun += "".join(chunk.text.split())
        if self._begun.startswith(_BEGINNINGS):
            self._kind = "call"
            for held in self._held:
                self._hold(held)
            self._enough()
        elif not any(beginning.startswith(self._begun) for beginning in _BEGINNINGS):
            self._kind = "text"
            self._show()

    def _show(self, *items: Any) -> None:
        for item in [*self._held, *items]:
            self._put(item)
        self._held.clear()


class _Whole:
    """Collects an answer, and puts the call that it is, or its text.

    Args:
        tools: What may be called.
        put: Takes the one chunk.
        formed: Whether a grammar let only a complete call or a text in its form through: what is
            neither was cut off.
    """

    def __init__(self, tools: Tools, put: Put, *, formed: bool = False) -> None:
        self._tools, self._put, self._formed = tools, put, formed
        self._text = ""
        self._metadata: dict[str, Any] = {}
        self._usage: UsageMetadata | None = None

    def __call__(self, item: Any) -> None:
        if isinstance(item, ChatGenerationChunk):
            message = item.message
            self._text += item.text
            self._metadata |= message.response_metadata
            if isinstance(message, AIMessageChunk):
                self._usage = message.usage_metadata or self._usage
            return
        if item is END:
            self._put(self._chunk())
        self._put(item)

    def _chunk(self) -> ChatGenerationChunk:
        call = self._tools.call_in(self._text)
        if call:
            self._metadata["finish_reason"] = "tool_calls"
        elif self._formed and not is_json(self._text):
            self._metadata["finish_reason"] = "length"
        elif self._tools.must_call:
            _log.warning("the model called no tool, though one was to be called")
        message = AIMessageChunk(
            content="" if call else self._text,
            tool_call_chunks=[_call_chunk(call)] if call else [],
            usage_metadata=self._usage,
            response_metadata=self._metadata,
        )
        return ChatGenerationChunk(message=message, generation_info=self._metadata)


def _call_chunk(call: dict[str, Any]) -> ToolCallChunk:
    return tool_call_chunk(
        name=call["name"],
        args=json.dumps(call["arguments"], ensure_ascii=False),
        id=f"call_{uuid.uuid4().hex[:24]}",
        index=0,
    )


def tool_choice_of(choice: str | dict[str, Any] | bool | None) -> str | dict[str, Any]:
    """Return a ``tool_choice`` of LangChain's as OpenAI's API has it.

    Example:
        >>> tool_choice_of("any"), tool_choice_of("now")
        ('required', {'type': 'function', 'function': {'name': 'now'}})
    """
    if isinstance(choice, dict):
        return choice
    if not isinstance(choice, str):
        return "required" if choice else "auto"
    if choice in ("auto", "none", "required"):
        return choice
    named = {"type": "function", "function": {"name": choice}}
    return "required" if choice == "any" else named


def written_out(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return messages whose calls and results are text, for a chat template that knows none."""
    return [_written_out(message) for message in messages]


def _written_out(message: BaseMessage) -> BaseMessage:
    if isinstance(message, ToolMessage):
        return HumanMessage(f"{message.name or 'The function'} returned: {message.text}")
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
        lines = [json.dumps(call, ensure_ascii=False) for call in calls]
        return AIMessage("\n".join(filter(None, [message.text, *lines])))
    return message


def _pointer(number: int) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{number}"}


def _moved(schema: Any, number: int) -> Any:
    """Return a schema as it is one of several in ``$defs``: pointers into it lead there."""
    if isinstance(schema, list):
        return [_moved(part, number) for part in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {name: _moved(part, number) for name, part in schema.items()}
    if isinstance(pointer := moved.get("$ref"), str) and pointer.startswith("#"):
        moved["$ref"] = f"#/$defs/{number}{pointer[1:]}"
    return moved
