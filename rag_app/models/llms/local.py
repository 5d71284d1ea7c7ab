"""Chat models that work in threads of this process: what llama.cpp's and transformers' share."""

import asyncio
import queue
import threading
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from rag_app.errors import ModelError
from rag_app.models.llms.tools import END, Put, Tools, answer_with_tools, tool_choice_of
from rag_app.settings import DEFAULTS, Settings

Start = Callable[[Put, threading.Event], None]
"""Begins a generation that puts its chunks, and ends it soon after the event is set."""

_SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "seed")


class LocalChat(BaseChatModel):
    """A chat model of this process: subclasses begin a generation, this class hands it over.

    Closing a stream early ends the generation. As many calls as ``parallel`` says are worked on
    together, a token of each at a time; more wait for their turn.

    Args:
        context_length: Tokens of prompt and answer together, for each call.
        parallel: Calls worked on together; memory for the context grows with them.
        max_tokens: Most tokens of an answer.
        stop: Strings before which an answer ends, where a call gives none.
        seed: The same one gives the same answer again; by default each is different.
    """

    guards_itself: ClassVar[bool] = True
    follows_schemas: ClassVar[bool] = False
    """Whether a call may have OpenAI's ``response_format``: a grammar is made of it."""

    context_length: int = DEFAULTS.context_length
    parallel: int = DEFAULTS.parallel
    max_tokens: int = DEFAULTS.max_new_tokens
    temperature: float = DEFAULTS.temperature
    top_p: float = DEFAULTS.top_p
    top_k: int = DEFAULTS.top_k
    repetition_penalty: float = DEFAULTS.repetition_penalty
    seed: int | None = None
    stop: list[str] | None = None

    def model_post_init(self, _: Any) -> None:
        """Say how long the context is."""
        self.profile = {"max_input_tokens": self.context_length}

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process as what it was made with, to be loaded there."""
        made_with = self.model_fields_set - {"process"}
        return partial(type(self), **{name: getattr(self, name) for name in made_with}), ()

    @property
    @abstractmethod
    def model_name(self) -> str:
        """What the model is called where its usage is counted."""

    @abstractmethod
    def _start(
        self,
        prompt: str | list[BaseMessage],
        stop: list[str],
        options: dict[str, Any],
        put: Put,
        cancelled: threading.Event,
    ) -> None:
        """Begin to continue a text or to answer messages; see `Start`."""

    def _generation(
        self, prompt: str | list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> Start:
        sampling = {name: getattr(self, name) for name in ("max_tokens", *_SAMPLING)}
        options, stop = {**sampling, **options}, stop or self.stop or []
        given, choice = options.pop("tools", None), options.pop("tool_choice", None)
        if not given or choice == "none" or isinstance(prompt, str):
            return partial(self._start, prompt, stop, options)

        def generate(
            messages: list[BaseMessage], options: dict[str, Any], put: Put, ended: threading.Event
        ) -> None:
            self._start(messages, stop, options, put, ended)

        tools, schemas = Tools(given, choice), self.follows_schemas
        return partial(answer_with_tools, tools, generate, prompt, options, schemas=schemas)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,  # noqa: ARG002 - a call under a grammar always is
        parallel_tool_calls: bool | None = None,  # noqa: ARG002 - there is one at a time
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools that it may call, one in an answer.

        Args:
            tools: What LangChain makes tools of, or tools as OpenAI's API has them.
            tool_choice: ``auto``, ``none``, ``any``, the name of a tool, or as in that API.
            strict: Passed over.
            parallel_tool_calls: Passed over.
            **kwargs: Other options of each call.

        Raises:
            ToolsError: one of them is not a tool, or ``tool_choice`` is not one of them.
        """
        given = [convert_to_openai_tool(tool) for tool in tools]
        choice = tool_choice_of(tool_choice)
        Tools(given, choice)  # refuses what is not a tool
        return self.bind(tools=given, tool_choice=choice, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with closing(_read(self._generation(messages, stop, kwargs))) as chunks:
            for chunk in chunks:
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(_aread(self._generation(messages, stop, kwargs))) as chunks:
            async for chunk in chunks:
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    async def acomplete(
        self, prompt: str, stop: list[str] | None = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield how ``prompt`` goes on, as it is: without a chat template.

        Args:
            prompt: Plain text; a start token is added where the model has one.
            stop: Strings before which the text ends.
            **options: Sampling, as a chat takes it.
        """
        async with aclosing(_aread(self._generation(prompt, stop, options))) as chunks:
            async for chunk in chunks:
                yield chunk


def local_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of a `LocalChat` that ``settings`` decide."""
    names = ("context_length", "parallel", *_SAMPLING)
    return {name: getattr(settings, name) for name in names} | {
        "max_tokens": settings.max_new_tokens
    }


def failure(message: str, cause: BaseException, kind: type[ModelError] = ModelError) -> ModelError:
    """Return an error to be put where chunks are."""
    error = kind(message)
    error.__cause__ = cause
    return error


def unwanted(cancelled: threading.Event) -> bool:
    """Return whether a generation should end: nobody reads it, or the process is ending."""
    return cancelled.is_set() or not threading.main_thread().is_alive()


def _read(start: Start) -> Generator[ChatGenerationChunk]:
    """Yield the chunks of a generation; closing the iterator ends it."""
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancelled = threading.Event()
    start(items.put, cancelled)
    try:
        while (item := items.get()) is not END:
            yield _checked(item)
    finally:
        cancelled.set()


async def _aread(start: Start) -> AsyncGenerator[ChatGenerationChunk]:
    """`_read` for an event loop."""
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[Any] = asyncio.Queue()
    cancelled = threading.Event()

    def put(item: Any) -> None:
        try:
            loop.call_soon_threadsafe(items.put_nowait, item)
        except RuntimeError:  # the loop is closed
            cancelled.set()

    start(put, cancelled)
    try:
        while (item := await items.get()) is not END:
            yield _checked(item)
    finally:
        cancelled.set()


def _checked(item: Any) -> ChatGenerationChunk:
    if isinstance(item, BaseException):
        raise item
    chunk: ChatGenerationChunk = item
    return chunk
