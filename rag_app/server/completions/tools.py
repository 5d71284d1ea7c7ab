"""Calls of tools by a local model, whose chat template may know of none.

The model is told the tools in a system message and answers freely. As soon as its answer can only
be a call, it is generated again under a grammar: the name is one of the tools', and the arguments
are as its schema says.
"""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk

from rag_app.chains.prompts import Budget
from rag_app.errors import PromptTooLongError
from rag_app.server.errors import ApiError

_TOLD = """\
You may call a function, where it helps to answer. The functions, one a line, as JSON:
{tools}
To call one, reply with nothing but {{"name": its name, "arguments": an object}}. Otherwise reply \
as if there were no functions."""
_OBJECT = {"type": "object"}
_BEGINNINGS = ('{"name"', "<tool_call>", '```json{"name"', '```{"name"')
"""Of answers that are calls, white space left out."""


class Tools:
    """The tools of one request.

    Args:
        tools: As OpenAI's API has them.
        choice: ``auto``, ``required``, or the one that must be called.

    Raises:
        ApiError: 400, one of them is no function with a name, or the chosen one is none of them.
    """

    def __init__(self, tools: Sequence[Any], choice: Any = "auto") -> None:
        for kind in (tool.get("type", "function") for tool in tools if isinstance(tool, dict)):
            if kind != "function":
                msg = f"tools of type {kind} are not supported; send functions"
                raise ApiError(400, msg, param="tools")
        try:
            self._functions = {tool["function"]["name"]: tool["function"] for tool in tools}
        except (KeyError, TypeError) as error:
            msg = "each of tools is {type: function, function: {name, description, parameters}}"
            raise ApiError(400, msg, param="tools") from error
        self._functions = {str(name): one for name, one in self._functions.items()}
        self.must_call = choice not in (None, "auto")
        self._chosen = list(self._functions)
        if isinstance(choice, dict):
            name = (choice.get("function") or {}).get("name")
            self._chosen = [one for one in self._chosen if one == name]
        if not self._chosen or not isinstance(choice, str | dict | None):
            msg = "tool_choice is none, auto, required or one of the tools"
            raise ApiError(400, msg, param="tool_choice")

    def told(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return messages that begin by telling a model of the tools."""
        lines = [json.dumps(one, ensure_ascii=False) for one in self._functions.values()]
        text = _TOLD.format(tools="\n".join(lines))
        if messages and messages[0].type == "system":
            return [SystemMessage(f"{messages[0].text}\n\n{text}"), *messages[1:]]
        return [SystemMessage(text), *messages]

    def fit(self, llm: BaseChatModel, messages: Sequence[BaseMessage], reply: int) -> bool:
        """Return whether a model's window holds the tools, in half of it at most.

        Open WebUI sends twenty tools with every message, 6,000 tokens, which a small model would
        read for minutes and then have no window left to talk in. Where a call must be made they
        always fit, or it is an error.

        Args:
            llm: The model.
            messages: Before those that tell of the tools.
            reply: Tokens that are kept free.
        """
        if self.must_call:
            return True
        budget = Budget.of(llm, reply)
        if sum(budget.count(message.text) for message in self.told([])) > budget.window // 2:
            return False
        try:
            budget.left(self.told(messages))
        except PromptTooLongError:
            return False
        return True

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

    async def answer(
        self, llm: Any, messages: Sequence[BaseMessage], options: dict[str, Any]
    ) -> AsyncIterator[AIMessageChunk]:
        """Yield the answer of a model: its text, or one call.

        Args:
            llm: Takes ``response_format``.
            messages: Before those that tell of the tools.
            options: Of the call to the model.
        """
        told, usage = self.told(messages), None
        form = options.get("response_format") or {}
        formed = form.get("type", "text") != "text"
        if formed:
            options = {**options, "response_format": self.response_format(form)}
        elif not self.must_call:
            async with aclosing(_unless_call(llm.astream(told, **options))) as chunks:
                async for chunk in chunks:
                    if chunk is None:
                        break
                    yield chunk
                else:
                    return
        text, end = "", AIMessageChunk(content="")
        if not formed:
            options = {**options, "response_format": self.response_format()}
        async for chunk in llm.astream(told, **options):
            text, end = text + chunk.text, chunk
            usage = chunk.usage_metadata or usage
        yield self._called(text, usage, end)

    def _called(
        self, text: str, usage: UsageMetadata | None, end: AIMessageChunk
    ) -> AIMessageChunk:
        """Return the call that a text is; the text itself where it is none, or cut off."""
        try:
            call = json.loads(text)
        except ValueError:
            metadata = {**end.response_metadata, "finish_reason": "length"}
            return AIMessageChunk(content=text, usage_metadata=usage, response_metadata=metadata)
        if not (
            isinstance(call, dict)
            and call.keys() == {"name", "arguments"}
            and call["name"] in self._functions
        ):
            return AIMessageChunk(
                content=text, usage_metadata=usage, response_metadata=end.response_metadata
            )
        return _call_chunk(call, usage, end)


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


def _call_chunk(
    call: dict[str, Any], usage: UsageMetadata | None, end: AIMessageChunk
) -> AIMessageChunk:
    part = tool_call_chunk(
        name=call["name"],
        args=json.dumps(call["arguments"], ensure_ascii=False),
        id=f"call_{uuid.uuid4().hex[:24]}",
        index=0,
    )
    metadata = {**end.response_metadata, "finish_reason": "tool_calls"}
    return AIMessageChunk(
        content="", tool_call_chunks=[part], usage_metadata=usage, response_metadata=metadata
    )


async def _unless_call(
    chunks: AsyncIterator[AIMessageChunk],
) -> AsyncGenerator[AIMessageChunk | None]:
    """Yield the chunks of a text, held back until it can't be a call any more; of one only None."""
    held: list[AIMessageChunk] = []
    text, decided = "", False
    async for chunk in chunks:
        held.append(chunk)
        text += "".join(chunk.text.split())
        if not decided and text.startswith(_BEGINNINGS):
            yield None
            return
        decided = decided or not any(one.startswith(text) for one in _BEGINNINGS)
        while decided and held:
            yield held.pop(0)
    for chunk in held:
        yield chunk
