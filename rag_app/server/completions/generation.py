"""Text of the language model itself, for chat completions and text completions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from openai.types import CompletionUsage
from openai.types.chat.chat_completion import Choice
from pydantic import BaseModel

from rag_app.chains.prompts import Budget
from rag_app.chains.streaming import guarded
from rag_app.errors import PromptTooLongError, ToolsError
from rag_app.models.llms.local import LocalChat
from rag_app.models.llms.thoughts import REASONING, Thoughts
from rag_app.models.llms.tools import Tools
from rag_app.server.completions.chat import ChatObjects, Logprobs, completion_usage
from rag_app.server.completions.text_objects import TextObjects
from rag_app.server.errors import ApiError
from rag_app.server.queueing import end_tasks
from rag_app.server.schemas.chat import ChatRequest
from rag_app.server.schemas.completions import CompletionRequest
from rag_app.server.schemas.requests import CONSTRAINTS, Sampling
from rag_app.settings import Settings

MessageChunks = AsyncIterator[AIMessageChunk]

_AT_ONCE = 16
"""Texts of one request that are generated at a time, whatever ``n`` and the prompts come to."""
_OPTIONS = (
    "temperature", "top_p", "top_k", "max_tokens", "seed", "repetition_penalty",
    "presence_penalty", "frequency_penalty",
)  # fmt: skip


_CHOICES = {"required": "any"}
"""Choices of a tool by LangChain's names, where OpenAI's API has others."""
_FINISH_REASONS = get_args(Choice.model_fields["finish_reason"].annotation)


class LlmGeneration:
    """The texts that one request has the language model generate.

    Raises:
        ApiError: 400, it is beyond the limits, or something this model's backend can't do.
    """

    def __init__(self, request: Sampling, objects: ChatObjects) -> None:
        self._objects = objects
        self._sources: list[MessageChunks] = []
        self._thoughts: dict[int, Thoughts] = {}  # of the texts whose reasoning is parted from them
        self._notes: list[str] = []
        self._old_form = False
        """Whether calls of tools are those of functions, as older clients have them."""
        self._wants_usage = request.wants_usage
        self._calls: list[UsageMetadata] = []

    @property
    def usage(self) -> CompletionUsage:
        """Tokens so far."""
        return completion_usage(self._calls)

    async def stream(self) -> AsyncIterator[BaseModel]:
        """Yield the events of a stream."""
        for event in self._objects.first(len(self._sources)):
            yield event
        if self._notes:
            yield self._objects.chunk("", **self._noted)
        async for index, chunk in self._chunks():
            finish_reason, logprobs = _end_of(chunk)
            calls = _tool_calls(chunk, streamed=True)
            thought = _reasoning(chunk)
            if chunk.text or finish_reason or logprobs or calls or thought:
                reason, parts = self._formed(finish_reason, calls)
                parts |= thought
                yield self._objects.chunk(chunk.text, index, reason, logprobs, parts=parts)
        if self._wants_usage:
            yield self._objects.last(self.usage)

    async def whole(self) -> BaseModel:
        """Return the response of a request that does not stream."""
        texts = [[AIMessageChunk(content="")] for _ in self._sources]
        async for index, chunk in self._chunks():
            texts[index].append(chunk)
        choices = []
        for index, (first, *rest) in enumerate(texts):
            message = first + rest
            finish_reason, logprobs = _end_of(message)
            calls = _tool_calls(message)
            end, parts = self._formed(finish_reason, calls)
            thoughts = self._thoughts.get(index)
            text = thoughts.text if thoughts else message.text
            choice = self._objects.choice(text, index, end or "stop", logprobs)
            if calls:
                choice["message"] |= {**parts, "content": text or None}
            if thought := _reasoning(message):
                choice["message"] |= thought
            choices.append(choice)
        return self._objects.whole(choices, self.usage, **self._noted)

    def _formed(
        self, reason: str | None, calls: list[dict[str, Any]]
    ) -> tuple[str | None, dict[str, Any]]:
        """Return the finish reason and the parts of a message, in the form that was asked for."""
        if not self._old_form:
            return reason, {"tool_calls": calls}
        if reason == "tool_calls":
            reason = "function_call"
        return reason, {"function_call": calls[0]["function"]} if calls else {}

    @property
    def _noted(self) -> dict[str, Any]:
        if not self._notes:
            return {}
        return {"rag": {"citations": [], "answered": True, "notes": self._notes}}

    def _parted(self, index: int, chunk: AIMessageChunk) -> AIMessageChunk:
        if (thoughts := self._thoughts.get(index)) is None:
            return chunk
        parted = thoughts.add(chunk)
        if thoughts.restarted:  # a stream can't take back what it has shown
            return parted.model_copy(update={"content": f"\n\n{parted.text}"})
        return parted

    async def _chunks(self) -> AsyncIterator[tuple[int, AIMessageChunk]]:
        async for index, chunk in _merged(self._sources):
            if chunk.usage_metadata:
                self._calls.append(chunk.usage_metadata)
            yield index, self._parted(index, chunk)
        for index, thoughts in self._thoughts.items():
            if (rest := thoughts.close()).text:  # of a model that does not say why it ends
                yield index, rest


class TextGeneration(LlmGeneration):
    """How texts go on; what a model writes is taken as it comes, reasoning too."""

    def __init__(
        self, request: CompletionRequest, model: str, llm: Any, settings: Settings
    ) -> None:
        super().__init__(request, TextObjects(request, model))
        request.refuse("logit_bias", "echo", "suffix", *CONSTRAINTS)
        if request.best_of not in (None, request.n):
            raise ApiError(400, "best_of is supported only where it is n", param="best_of")
        calls = _calls_of(request, settings, llm)
        self._sources = [
            _completed(llm, prompt, call) for prompt in request.prompts for call in calls
        ]


class ChatGeneration(LlmGeneration):
    """Answers to a chat."""

    def __init__(self, request: ChatRequest, model: str, llm: Any, settings: Settings) -> None:
        super().__init__(request, ChatObjects(request, model))
        request.refuse("logit_bias", *CONSTRAINTS)
        messages = request.to_messages(tools=calls_tools(llm), forms=follows_schemas(llm))
        self._notes.extend(request.notes)
        calls = _calls_of(request, settings, llm)
        answering = self._with_tools(request, llm, messages, settings.max_new_tokens)
        self._sources = [_answered(llm, answering, messages, call) for call in calls]
        self._thoughts = {index: Thoughts(llm) for index in range(request.n)}
        self._old_form = request.calls_functions

    def _with_tools(
        self, request: ChatRequest, llm: Any, messages: Sequence[BaseMessage], reply: int
    ) -> Any:
        """Return a model with the tools that it may call."""
        if not request.wants_tools:
            return llm
        if not calls_tools(llm):
            self._notes.append("the tools were passed over: this model's backend calls none")
            return llm
        offered = request.tools or []
        if not request.must_call:
            offered = self._functions(offered)
        if not offered:
            return llm
        try:
            tools = Tools(offered, request.tool_choice)
        except ToolsError as error:
            raise ApiError(400, str(error), param=error.param) from error
        if isinstance(llm, LocalChat) and not _fit(tools, llm, messages, reply):
            self._notes.append(
                "the tools were passed over: they take too much of the model's window"
            )
            return llm
        choice = request.tool_choice
        if isinstance(choice, dict):
            choice = choice["function"]["name"]
        with guarded(llm, []):
            return llm.bind_tools(
                offered, **({"tool_choice": _CHOICES.get(choice, choice)} if choice else {})
            )

    def _functions(self, tools: Sequence[Any]) -> list[Any]:
        """Return the tools that are functions; agents offer what only OpenAI's servers run too."""
        kinds = [
            tool.get("type", "function") if isinstance(tool, dict) else "function" for tool in tools
        ]
        if others := sorted({str(kind) for kind in kinds} - {"function"}):
            self._notes.append(
                f"tools of type {', '.join(others)} were passed over: send functions"
            )
        return [tool for tool, kind in zip(tools, kinds, strict=True) if kind == "function"]


def _calls_of(request: Sampling, settings: Settings, llm: BaseChatModel) -> list[dict[str, Any]]:
    """Return the options of each call for one prompt: they differ by their seeds alone.

    Raises:
        ApiError: 400, something this model's backend can't do.
    """
    options = options_of(request, settings, llm) | {"stop": request.stops or None}
    seed = options.get("seed")
    return [
        options if seed is None else {**options, "seed": seed + offset}
        for offset in range(request.n)
    ]


def options_of(request: Sampling, settings: Settings, llm: BaseChatModel) -> dict[str, Any]:
    """Return the options of a call to the model that a request asks for.

    Raises:
        ApiError: 400, something this model's backend can't do.
    """
    most = min(settings.reply_limit, settings.context_length // 2)
    request.limit_tokens(settings.reply_limit, unlimited=most)
    if getattr(request, "top_logprobs", None) and not getattr(request, "logprobs", None):
        raise ApiError(400, "top_logprobs needs logprobs: true", param="top_logprobs")
    options = {name: getattr(request, name) for name in _OPTIONS}
    if (alternatives := request.alternatives) is not None:
        if not getattr(llm, "gives_logprobs", False):
            msg = "this model's backend gives no logprobs; a GGUF file or an upstream URL does"
            raise ApiError(400, msg, param="logprobs")
        # llama.cpp gives none at all where no alternatives are asked for.
        asked = max(alternatives, 1)
        chat = isinstance(request, ChatRequest)
        options |= {"logprobs": True, "top_logprobs": asked} if chat else {"logprobs": asked}
    if isinstance(request, ChatRequest) and follows_schemas(llm):
        request.check_format()
        options["response_format"] = request.response_format
    return {name: value for name, value in options.items() if value is not None}


def calls_tools(llm: Any) -> bool:
    """Return whether tools and their results mean something to a model."""
    return isinstance(llm, BaseChatModel) and type(llm).bind_tools is not BaseChatModel.bind_tools


def follows_schemas(llm: Any) -> bool:
    """Return whether a model can be held to a format, or to a call of a tool."""
    return bool(getattr(llm, "follows_schemas", False))


def _fit(tools: Tools, llm: BaseChatModel, messages: Sequence[BaseMessage], reply: int) -> bool:
    """Return whether a model's window holds the tools, in half of it at most.

    Open WebUI sends twenty tools with every message, 6,000 tokens, which a small model would read
    for minutes and then have no window left to talk in. Where a call must be made they always fit,
    or it is an error.
    """
    if tools.must_call:
        return True
    budget = Budget.of(llm, reply)
    if sum(budget.count(message.text) for message in tools.told([])) > budget.window // 2:
        return False
    try:
        budget.left(tools.told(messages))
    except PromptTooLongError:
        return False
    return True


def _tool_calls(message: AIMessageChunk, *, streamed: bool = False) -> list[dict[str, Any]]:
    """Return the calls of tools in a message, or the parts of them in a piece of one."""
    calls = []
    for place, call in enumerate(message.tool_call_chunks):
        function = {"name": call["name"], "arguments": call["args"] or ""}
        if not streamed:
            calls.append({"id": call["id"], "type": "function", "function": function})
            continue
        part: dict[str, Any] = {"index": call["index"] or place, "function": function}
        if call["id"]:
            part |= {"id": call["id"], "type": "function"}
        calls.append(part)
    return calls


def _reasoning(message: AIMessageChunk) -> dict[str, Any]:
    """Return the reasoning in a message, or in a piece of one, as DeepSeek's API has it."""
    thought = message.additional_kwargs.get(REASONING)
    return {REASONING: thought} if thought else {}


def _end_of(chunk: AIMessageChunk) -> tuple[str | None, Logprobs]:
    """Return the finish reason and the log probabilities in the metadata of a message.

    Reasons of other providers than OpenAI, which OpenAI's API doesn't know, become ``stop``.
    """
    info = chunk.response_metadata
    reason = info.get("finish_reason")
    known = reason is None or reason in _FINISH_REASONS
    return (reason if known else "stop"), (info.get("logprobs") or {}).get("content") or []


async def _answered(
    llm: Any, answering: Any, messages: list[BaseMessage], options: dict[str, Any]
) -> MessageChunks:
    with guarded(llm, [messages]) as [prompt]:
        async for chunk in answering.astream(prompt, **options):
            yield chunk


async def _completed(llm: Any, prompt: str, options: dict[str, Any]) -> MessageChunks:
    async for chunk in llm.acomplete(prompt, **options):
        yield chunk.message


async def _merged(sources: Sequence[MessageChunks]) -> AsyncIterator[tuple[int, AIMessageChunk]]:
    """Yield the chunks of several iterators as they come, with the iterator's number."""
    if len(sources) == 1:
        async for chunk in sources[0]:
            yield 0, chunk
        return
    arrived: asyncio.Queue[tuple[int, AIMessageChunk | None]] = asyncio.Queue()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def read(index: int, chunks: MessageChunks) -> None:
        try:
            async with slots:
                async for chunk in chunks:
                    arrived.put_nowait((index, chunk))
        finally:
            arrived.put_nowait((index, None))

    tasks = [asyncio.create_task(read(index, chunks)) for index, chunks in enumerate(sources)]
    try:
        left = len(tasks)
        while left:
            index, arrival = await arrived.get()
            if arrival is not None:
                yield index, arrival
                continue
            left -= 1
            await tasks[index]  # raises what went wrong in it
    finally:
        await end_tasks(tasks)
