"""Chains written once for sync and async use.

A chain is a generator of steps that does no input or output itself: it yields a `Call` and is sent
its complete reply, a `Batch` and is sent the list of replies, an `Invoke` and is sent the
result of another Runnable; anything else is passed on to the consumer of the stream.
`StepChain` turns it into a LangChain Runnable.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial, reduce, wraps
from inspect import signature
from operator import add
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar

from langchain_core.globals import get_llm_cache
from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from rag_app.errors import SettingsError
from rag_app.models.llms.thoughts import Thoughts, answer_in, as_chunk
from rag_app.models.providers import provider_call

MessageLists = list[list[BaseMessage]]
"""Messages of each of several calls."""
Input = TypeVar("Input")
Piece = TypeVar("Piece")
Shown_co = TypeVar("Shown_co", covariant=True)


class _Sum(Protocol):
    def __add__(self, other: Self, /) -> Self: ...


Summed = TypeVar("Summed", bound=_Sum)


class ShownAs(Protocol[Shown_co]):
    """Makes a piece of a stream of a part of a reply."""

    def __call__(self, text: str, /, *, again: bool = False) -> Shown_co:
        """Return the piece; ``again``: what the reply had shown before was not an answer."""


@dataclass(frozen=True)
class Call(Generic[Piece]):
    """One question to a model; its reply is streamed as pieces where ``piece`` is given."""

    llm: LanguageModelLike
    messages: list[BaseMessage]
    piece: "ShownAs[Piece] | None" = None
    withhold: str = ""
    """A reply that is not shown: nothing is streamed while the reply may still become this."""


@dataclass(frozen=True)
class Batch:
    """Questions to a model that don't depend on each other."""

    llm: LanguageModelLike
    prompts: MessageLists


@dataclass(frozen=True)
class Invoke:
    """Another Runnable and its input."""

    runnable: Runnable[Any, Any]
    input: Any


Steps = Generator[Piece | Call[Piece] | Batch | Invoke, Any, None]
Component = TypeVar("Component", bound=Runnable[Any, Any])
Result = TypeVar("Result")
Made = ParamSpec("Made")


_RUNNABLES = {
    "load_retriever": "of a vector store give `store.as_retriever()`",
    "load_llm": "of a name `load_llm(NAME)` makes one",
}


def loaded(
    part: Component | Callable[[], Component] | Callable[[str], Any], name: str
) -> Generator[Invoke, Any, Component]:
    """Return a part of a chain; what makes it, if it is not there yet, is a run called ``name``.

    A function that takes an input is the part itself.
    """
    if not (callable(part) or hasattr(part, "invoke")):
        msg = f"{name}: {type(part).__name__} is not a Runnable; {_RUNNABLES.get(name, 'give one')}"
        raise SettingsError(msg)
    if isinstance(part, Runnable):
        return part
    function: Any = part
    made: Component
    if _takes_input(function):  # a step, as LangChain takes functions for
        made = RunnableLambda(function)  # type: ignore[assignment]
    else:
        made = yield from result_of(function, name)
    return made


def _takes_input(function: Callable[..., Any]) -> bool:
    """Return whether a function is a step itself: it can't be called without an input."""
    try:
        signature(function).bind()
    except TypeError:
        return True
    except ValueError:  # it has no signature to be seen
        return False
    return False


def result_of(work: Callable[[], Result], name: str) -> Generator[Invoke, Any, Result]:
    """Return what a function returns; its call is a run called ``name``."""
    # In a tuple, since a RunnableLambda invokes a Runnable that it returns.
    (returned,) = yield Invoke(RunnableLambda(lambda _: (work(),), name=name), None)
    result: Result = returned
    return result


def collected(
    steps: Steps[Summed], whole: Summed, show: Callable[[Summed], Summed] | None = None
) -> Generator[Any, Any, Summed]:
    """Run the steps of another chain as a part of one; return the sum of their pieces.

    Args:
        steps: What is run; replies are not shown as they come.
        whole: What the pieces are added to.
        show: What is shown of each piece, by default nothing.
    """
    reply = None
    while (step := _next(steps, reply)) is not _END:
        reply = None
        if isinstance(step, Call) and step.piece:
            reply = yield replace(step, piece=None)
            whole = whole + step.piece(reply) if reply else whole
        elif isinstance(step, Call | Batch | Invoke):
            reply = yield step
        else:
            whole = whole + step
            if show:
                yield show(step)
    return whole


class StepChain(Runnable[Input, Piece]):
    """A Runnable whose stream is the pieces of ``steps`` and whose result is their sum.

    What it is given in chunks is collected first: it runs once, not once for each chunk. Where
    LangChain's cache is set, `invoke` asks for complete replies, since streams bypass the cache.

    Args:
        steps: The generator of the steps for an input.
        name: The name of its runs, in traces.
        input_type: What the steps take, such as a TypedDict whose fields an agent sees where
            the chain is a tool; by default that can't be seen.

    Raises:
        SettingsError: on use, a call has options: they belong to the model in it.

    Example:
        >>> def steps(word):
        ...     yield word
        ...     yield "!"
        >>> StepChain(steps, "shout").invoke("hey")
        'hey!'
    """

    def __init__(
        self, steps: Callable[[Input], Steps[Piece]], name: str, *, input_type: Any = Any
    ) -> None:
        self._steps = steps
        self._input_type = input_type
        self._made: tuple[Any, ...] | None = None
        self.name = name

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Go to another process as what it was made of, where `made_again` noted that."""
        return self._made or super().__reduce_ex__(protocol)

    def __deepcopy__(self, _: Any) -> Self:
        """Return itself: it has no state, and its parts are shared, a model of this process too."""
        return self

    @property
    def InputType(self) -> Any:  # noqa: N802 - the name is LangChain's
        """What the steps take, as far as it was given."""
        return self._input_type

    @property
    def OutputType(self) -> Any:  # noqa: N802
        """Any: what the steps make can't be seen from here."""
        return Any

    def invoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Piece:  # noqa: A002 - the name is LangChain's
        """Return the sum of the pieces."""
        run = partial(self._run, whole=True)
        return reduce(add, self._pieces(run, input, config, **kwargs))

    async def ainvoke(
        self,
        input: Input,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Piece:
        """Return the sum of the pieces."""
        run = partial(self._arun, whole=True)
        pieces = [piece async for piece in self._apieces(run, input, config, **kwargs)]
        return reduce(add, pieces)

    def stream(
        self,
        input: Input,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Piece]:
        """Yield the pieces as they come."""
        yield from self._pieces(self._run, input, config, **kwargs)

    # Returns the generator itself, so that closing it ends the call to the model at once.
    def astream(
        self,
        input: Input,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Piece]:
        """Yield the pieces as they come, without blocking the event loop."""
        return self._apieces(self._arun, input, config, **kwargs)

    # Any: LangChain takes functions of this form too, though its types leave it out.
    def _pieces(
        self, run: Any, given: Input, config: RunnableConfig | None, **kwargs: Any
    ) -> Iterator[Piece]:
        _refuse_options(kwargs)
        return self._transform_stream_with_config(iter([given]), run, config)

    def _apieces(
        self, run: Any, given: Input, config: RunnableConfig | None, **kwargs: Any
    ) -> AsyncIterator[Piece]:
        async def inputs() -> AsyncIterator[Input]:
            yield given

        _refuse_options(kwargs)
        return self._atransform_stream_with_config(inputs(), run, config)

    def _run(
        self, inputs: Iterator[Input], config: RunnableConfig, *, whole: bool = False
    ) -> Iterator[Piece]:
        steps = self._steps(next(inputs))
        answer: Any = None
        while (step := _next(steps, answer)) is not _END:
            answer = None
            told = _told(config, step)
            if isinstance(step, Call):
                reply = _Reply(step)
                with guarded(step.llm, [step.messages]) as [messages]:
                    if whole and _cached(step.llm):
                        yield from reply.add(step.llm.invoke(messages, told))
                    else:
                        for chunk in step.llm.stream(messages, told):
                            yield from reply.add(chunk)
                yield from reply.close()
                answer = reply.text.strip()
            elif isinstance(step, Batch):
                with guarded(step.llm, step.prompts) as prompts:
                    replies = step.llm.batch([*prompts], told)
                answer = [answer_in(reply, step.llm) for reply in replies]
            elif isinstance(step, Invoke):
                answer = step.runnable.invoke(step.input, told)
            else:
                yield step

    async def _arun(
        self, inputs: AsyncIterator[Input], config: RunnableConfig, *, whole: bool = False
    ) -> AsyncIterator[Piece]:
        steps = self._steps(await anext(inputs))
        answer: Any = None
        # In a thread, since a step may count tokens, which for some models means asking them.
        while (step := await asyncio.to_thread(_next, steps, answer)) is not _END:
            answer = None
            told = _told(config, step)
            if isinstance(step, Call):
                reply = _Reply(step)
                with guarded(step.llm, [step.messages]) as [messages]:
                    chunks = (
                        _alone(step.llm.ainvoke(messages, told))
                        if whole and _cached(step.llm)
                        else step.llm.astream(messages, told)
                    )
                    async for chunk in chunks:
                        for piece in reply.add(chunk):
                            yield piece
                for piece in reply.close():
                    yield piece
                answer = reply.text.strip()
            elif isinstance(step, Batch):
                with guarded(step.llm, step.prompts) as prompts:
                    replies = await step.llm.abatch([*prompts], told)
                answer = [answer_in(reply, step.llm) for reply in replies]
            elif isinstance(step, Invoke):
                answer = await step.runnable.ainvoke(step.input, told)
            else:
                yield step


def made_again(make: Callable[Made, Component]) -> Callable[Made, Component]:
    """Let chains that a function makes be pickled as the function's arguments."""

    @wraps(make)
    def making(*args: Made.args, **kwargs: Made.kwargs) -> Component:
        chain = make(*args, **kwargs)
        if isinstance(chain, StepChain):
            chain._made = _call, (making, args, kwargs)
        return chain

    return making


def _call(make: Callable[..., Result], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Result:
    return make(*args, **kwargs)


def _told(config: RunnableConfig, step: Any) -> RunnableConfig:
    """Return the config of a step, with LangGraph's tag where its tokens are not of the answer."""
    if isinstance(step, Call) and step.piece:
        return config
    return {**config, "tags": [*config.get("tags", []), "nostream"]}


def _refuse_options(options: Mapping[str, Any]) -> None:
    if options:
        names = ", ".join(options)
        msg = f"a chain takes no {names}; give it to the model, as in llm.bind({names}=…)"
        raise SettingsError(msg)


class _Reply(Generic[Piece]):
    """Collects a reply and says which part can be shown."""

    def __init__(self, call: Call[Piece]) -> None:
        self._call = call
        self._thoughts = Thoughts(call.llm)
        self._waiting = ""
        self._again = False
        self._id: str | None = None

    @property
    def text(self) -> str:
        """The answer so far, reasoning left out."""
        return self._thoughts.text

    def add(self, chunk: Any) -> Iterator[Piece]:
        # A whole message may be a cached one, whose id an earlier answer has.
        self._id = chunk.id if isinstance(chunk, AIMessageChunk) else None
        yield from self._show(self._thoughts.add(as_chunk(chunk)).text)

    def close(self) -> Iterator[Piece]:
        """Show what was held back but turned out to be something else."""
        yield from self._show(self._thoughts.close().text, last=True)

    def _show(self, text: str, *, last: bool = False) -> Iterator[Piece]:
        if self._thoughts.restarted:
            self._again, self._waiting = True, ""
        self._waiting += text
        said = self.text.strip()
        held = said == self._call.withhold if last else self._call.withhold.startswith(said)
        if self._call.piece and (self._again or (self._waiting and not held)):
            shown = "" if held else self._waiting
            more = {"again": True} if self._again else {}
            piece: Any = self._call.piece(shown, **more)
            yield replace(piece, message=(self._id, shown)) if self._id else piece
            self._waiting = self._waiting[len(shown) :]
            self._again = False


def _cached(llm: LanguageModelLike) -> bool:
    """Return whether LangChain's cache, the model's own or everybody's, keeps its replies."""
    own = getattr(llm, "cache", None)
    return get_llm_cache() is not None if own is None else own is not False


async def _alone(reply: Awaitable[Any]) -> AsyncIterator[Any]:
    yield await reply


def guarded(llm: LanguageModelLike, prompts: MessageLists) -> AbstractContextManager[MessageLists]:
    """Return a block that asks a model: our own need nothing, others what `provider_call` does."""
    ours = getattr(llm, "guards_itself", False)
    return nullcontext(prompts) if ours else provider_call(llm, prompts)


_END = object()


def _next(steps: Steps[Piece], answer: Any) -> Any:
    """Return the next step, `_END` after the last: StopIteration can't leave a thread."""
    try:
        return steps.send(answer)
    except StopIteration:
        return _END
