"""OpenAI's chats, as clients send them."""

from typing import Annotated, Any, Literal, Self

from langchain_core.messages import BaseMessage, convert_to_messages
from pydantic import Field, field_validator, model_validator

from rag_app.server.errors import ApiError
from rag_app.server.schemas.requests import (
    DocumentOptions,
    MaxTokens,
    OneOrMany,
    RequestBody,
    Sampling,
    Text,
    example,
)
from rag_app.server.schemas.tools import (
    allowed_tools,
    check_format,
    choice_of,
    is_call,
    named_function,
    nested_schema,
    with_object,
)

_NEWER_TEXTS = ("input_text", "output_text")
_TEXT = "text"
_SAID = (_TEXT, "refusal")  # parts of a message that are words; only models send the second
_MAY_BE_SILENT = ("system", "developer", "assistant")
"""Roles of messages that clients send without any content."""
_RESULTS = ("tool", "function")  # roles of what came of a call, the newer and the older one


class Part(RequestBody):
    """A part of a message; local models understand ``text``, and what they said in ``refusal``."""

    type: str = "text"
    text: Text | None = None
    refusal: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_of_other_apis(cls, values: Any) -> Any:
        """Take a string, and a text as OpenAI's newer API has it, for a part of text."""
        if isinstance(values, str):
            return {"text": values}
        if isinstance(values, dict) and values.get("type") in _NEWER_TEXTS:
            return {**values, "type": "text"}
        return values


class FunctionCall(RequestBody):
    """A call of a function, as chats had it before there were tools."""

    name: str = Field(max_length=200)
    arguments: Text = ""


class Message(RequestBody):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: OneOrMany[Text, list[Part]] | None = None
    message: OneOrMany[Text, list[Part]] | None = Field(
        default=None,
        description="Another name of `content`, which tutorials of Chinese-LLaMA-Alpaca send; "
        "passed over where there is a `content`.",
    )

    tool_calls: list[Any] | None = Field(default=None, max_length=128)
    tool_call_id: str | None = Field(default=None, max_length=200)
    function_call: FunctionCall | None = Field(
        default=None, description="The older name of a call, whose result has the role `function`."
    )

    @model_validator(mode="after")
    def _message_is_content(self) -> Self:
        if self.content is None:
            self.content = self.message
        return self

    @model_validator(mode="after")
    def _said_in_words(self) -> Self:
        """Leave out what else another model made: its thoughts, for one."""
        if self.role == "assistant" and isinstance(self.content, list):
            self.content = [part for part in self.content if part.type in _SAID]
        return self

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "\n".join(said for part in self.content if (said := part.text or part.refusal))
        return self.content or ""

    def to_message(self) -> dict[str, Any]:
        """Return it as OpenAI's API has it, text alone, for LangChain to convert."""
        # A newer name, which few chat templates know.
        role = "system" if self.role == "developer" else self.role
        message: dict[str, Any] = {"role": role, "content": self.text}
        if self.role == "assistant" and self.tool_calls:
            message["tool_calls"] = [with_object(call) for call in self.tool_calls]
        if self.role in _RESULTS:
            message |= {"role": "tool", "tool_call_id": self.tool_call_id or ""}
        return message

    def problem(self, *, tools: bool, earlier: bool) -> tuple[str, str] | None:
        """Return the field that a local model does not understand, and why, if any.

        Args:
            tools: Whether it understands tools.
            earlier: Whether the last question comes after it.
        """
        if self.role in _RESULTS and not tools:
            return "role", f"{self.role} messages are not supported: this model calls no tools"
        if self.content is None and self.role not in _MAY_BE_SILENT:
            return "content", f"a {self.role} message needs content"
        if not all(map(is_call, self.tool_calls or ())):
            return (
                "tool_calls",
                "a call is {id, type, function: {name, arguments}}, all of them text",
            )
        for part in self.content if isinstance(self.content, list) and not earlier else ():
            if part.type not in (_SAID if self.role == "assistant" else _SAID[:1]):
                return "content", f"{part.type} parts are not supported; send text"
            if getattr(part, part.type) is None:
                return "content", f"a part of type {part.type} needs {part.type}"
        return None


class ChatRequest(Sampling, DocumentOptions):
    """``POST /v1/chat/completions``."""

    model_config = example(
        model="rag:default", messages=[{"role": "user", "content": "李白是谁？"}]
    )

    messages: Annotated[
        list[Message],
        Field(
            min_length=1,
            max_length=1000,
            description="A model named `rag:INDEX` answers the last, and reads the turns before it "
            "to understand it; system messages say how its answer is to be written.",
        ),
    ]
    max_completion_tokens: MaxTokens = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: list[Any] | None = Field(
        default=None,
        max_length=128,
        description="Called by the language model; passed over by a backend that has none, and by "
        "models named `rag:INDEX`.",
    )
    functions: list[dict[str, Any]] | None = Field(
        default=None,
        max_length=128,
        description="The older form of `tools`; then the answer has a `function_call`.",
    )
    function_call: str | FunctionCall | None = Field(
        default=None, description="The older form of `tool_choice`."
    )
    tool_choice: Any = None
    modalities: list[str] | None = Field(
        default=None, description="`text` must be among them; others are passed over."
    )
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = Field(
        default=None,
        description="`json_object` and `json_schema` for a GGUF file or an upstream URL.",
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        self.max_tokens = self.max_completion_tokens or self.max_tokens
        return self

    @field_validator("functions")
    @classmethod
    def _have_names(cls, value: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        if not all(isinstance(function.get("name"), str) for function in value or ()):
            raise ValueError("each of functions is {name, description, parameters}")
        return value

    @model_validator(mode="after")
    def _functions_are_tools(self) -> Self:
        """Take functions, their calls and results for those of tools, which came after them."""
        if self.functions and not self.tools:
            self.tools = [{"type": "function", "function": function} for function in self.functions]
            self.tool_choice = self.function_call
            if isinstance(self.function_call, FunctionCall):
                self.tool_choice = named_function(self.function_call.name)
        made = ""
        for number, message in enumerate(self.messages):
            if message.function_call and not message.tool_calls:
                made = f"call_{number}"
                function = message.function_call.model_dump()
                message.tool_calls = [{"id": made, "type": "function", "function": function}]
            elif message.role == "function":
                message.tool_call_id = made
        return self

    @field_validator("tool_choice")
    @classmethod
    def _choice_of_other_apis(cls, value: Any) -> Any:
        """Take the forms of OpenAI's newer API and of Anthropic's for that of a chat."""
        return choice_of(value) if isinstance(value, dict) else value

    @field_validator("response_format")
    @classmethod
    def _nested_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Nest a schema that is given next to its type, as in OpenAI's newer API."""
        return nested_schema(value) if value else value

    @model_validator(mode="after")
    def _allowed_tools(self) -> Self:
        """Take the tools that are allowed for all there are: a client sends both for its cache."""
        choice = self.tool_choice
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            self.tools, self.tool_choice = allowed_tools(choice, self.tools or ())
        return self

    @property
    def alternatives(self) -> int | None:
        """See `Sampling`: in a chat a number next to a yes."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def wants_marks(self) -> bool:
        """Whether sentences of an answer from documents are marked."""
        return self.marks is not False

    @property
    def wants_footer(self) -> bool:
        """Whether the sources of an answer from documents stand below it."""
        return self.marks is None if self.footer is None else self.footer

    @property
    def calls_functions(self) -> bool:
        """Whether a call is answered in the form that was before there were tools."""
        return bool(self.functions)

    @property
    def wants_tools(self) -> bool:
        """Whether the answer may be a call of a tool."""
        return bool(self.tools) and self.tool_choice != "none"

    @property
    def must_call(self) -> bool:
        """Whether the answer has to be a call of a tool."""
        return self.tool_choice not in (None, "none", "auto")

    def check_format(self) -> None:
        """Refuse a ``response_format`` of another form.

        Raises:
            ApiError: 400.
        """
        if self.response_format:
            check_format(self.response_format)

    def conversation(self) -> "ChatRequest":
        """Return the chat as people had it, the last question at its end.

        Calls of tools and their results, from when another model was asked, are left out, and what
        the system says last is said first.
        """
        made = [
            call for message in self.messages for call in message.tool_calls or () if is_call(call)
        ]
        ids = {call["id"] for call in made}
        said = [
            message
            for message in self.messages
            if message.tool_call_id not in ids and (message.content or not message.tool_calls)
        ]
        late: list[Message] = []
        while len(said) > 1 and said[-1].role in ("system", "developer"):
            late.insert(0, said.pop())
        return self.model_copy(update={"messages": [*late, *said] or self.messages})

    def to_messages(self, *, tools: bool = False, forms: bool = False) -> list[BaseMessage]:
        """Return the messages as LangChain's.

        Images and files before the last question are left out: another model was asked about them.

        Args:
            tools: Whether what is given them calls tools; if not, they are passed over, unless one
                must be called.
            forms: Whether it can be held to a format.

        Raises:
            ApiError: 400, one of them holds something else than text, or the answer is to call
                tools or to have a format, where only other models can do that.
        """
        if self.modalities and _TEXT not in self.modalities:
            raise ApiError(400, "this model answers with text alone", param="modalities")
        if self.must_call and not tools:
            self.refuse("functions", "tools")
        if (self.response_format or {}).get("type", "text") != "text" and not forms:
            self.refuse("response_format")
        earlier = self._before_the_question
        for index, message in enumerate(self.messages):
            if problem := message.problem(tools=tools, earlier=index < earlier):
                field, reason = problem
                raise ApiError(400, reason, param=f"messages.{index}.{field}")
        return convert_to_messages([message.to_message() for message in self.messages])

    @property
    def notes(self) -> list[str]:
        """What is passed over: of an answer all but text, of earlier messages all but words."""
        others = sorted({*(self.modalities or ())} - {_TEXT})
        notes = [f"no {', '.join(others)}: this model answers with text alone"] if others else []
        kinds: set[str] = set()
        for message in self.messages[: self._before_the_question]:
            if isinstance(message.content, list):
                kinds |= {part.type for part in message.content} - set(_SAID)
        if kinds:
            notes.append(f"{', '.join(sorted(kinds))} parts of earlier messages were passed over")
        return notes

    @property
    def _before_the_question(self) -> int:
        """How many messages stand before the last of a user."""
        asked = [at for at, message in enumerate(self.messages) if message.role == "user"]
        return asked[-1] if asked else 0
