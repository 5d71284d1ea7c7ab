"""Routes of the resident engine, for commands: answers and summaries, its state and its end."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from langchain_core.runnables import RunnableConfig
from pydantic_core import to_jsonable_python

from rag_app.chains.rag import Timings
from rag_app.chains.results import Answer, adeltas
from rag_app.engine.warm import READ_AHEAD
from rag_app.errors import RagAppError
from rag_app.server import errors
from rag_app.server.event_stream import EventStream
from rag_app.server.idle import when_idle
from rag_app.server.resident_state import Resident
from rag_app.server.schemas.resident import File, Greeting, Lines, Passages, QuestionWork, Work

AsyncEvents = AsyncIterator[dict[str, Any]]
Pieces = Callable[[RunnableConfig], AsyncIterator[Any]]
_THREADS = 8  # for what requests do besides generating
router = APIRouter(prefix="/resident", include_in_schema=False)


def create_app(resident: Resident) -> FastAPI:
    """Return the application that commands ask; the language model is loaded when it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threads = ThreadPoolExecutor(_THREADS + resident.generating.slots, "request")
        asyncio.get_running_loop().set_default_executor(threads)
        resident.base.preload()
        ahead = when_idle(
            resident.base.settings.idle_seconds,
            lambda: resident.idle_seconds,
            partial(_read_ahead, resident),
        )
        idle = [asyncio.create_task(work) for work in (_read_answered(resident), ahead)]
        yield
        resident.ended = True
        for work in idle:
            work.cancel()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.state.resident = resident
    app.state.closing = asyncio.Event()
    app.state.read_seconds = resident.base.settings.read_seconds
    errors.install(app)
    app.include_router(router)
    return app


_warnings: ContextVar[list[str] | None] = ContextVar("warnings", default=None)
"""The warnings of the request that is being answered."""


class _Warnings(logging.Handler):
    """Hands what is warned of to the command that asked; the log has it too."""

    def emit(self, record: logging.LogRecord) -> None:
        if (found := _warnings.get()) is not None:
            found.append(" ".join(record.getMessage().split()))


def hand_over_warnings() -> None:
    """Send warnings to the commands that are being answered."""
    for package in ("rag_app", "model_prep"):
        logging.getLogger(package).addHandler(_Warnings(logging.WARNING))


def _resident(request: Request) -> Resident:
    resident: Resident = request.app.state.resident
    return resident


TheResident = Annotated[Resident, Depends(_resident)]


@router.get("")
def state(resident: TheResident) -> dict[str, Any]:
    """Show the engine."""
    return resident.state()


@router.post("/greet")
async def greet(greeting: Greeting, resident: TheResident) -> dict[str, bool]:
    """Say whether this is the engine that a command looks for, and whether it could end."""
    return {"same": greeting.identity == resident.identity, "idle": not resident.at_work}


@router.post("/stop")
async def stop(resident: TheResident) -> dict[str, Any]:
    """End."""
    resident.end()
    return resident.state()


@router.post("/ask", response_model=None)
async def ask(work: QuestionWork, resident: TheResident) -> EventStream:
    """Answer a question."""
    stream = _answered(work, resident, partial(_answer, work, resident))
    resident.know(work)
    return stream


@router.post("/ahead", response_model=None)
async def ahead(given: Lines, resident: TheResident) -> EventStream:
    """Answer the question of a command line that was asked with another one before."""
    work = await asyncio.to_thread(resident.known, given.lines)
    if work is None:
        raise errors.ApiError(404, "such a command line is not known")
    return _answered(work, resident, partial(_answer, work, resident), ahead=work.question)


async def _answer(
    work: QuestionWork, resident: Resident, config: RunnableConfig
) -> AsyncIterator[Answer]:
    engine = await asyncio.to_thread(resident.engine, work.index, work.folder)
    view = engine.using(**work.options)
    async for piece in view.astream(work.question, work.history, config=config):
        yield piece


@router.post("/summary", response_model=None)
async def summary(work: File, resident: TheResident) -> EventStream:
    """Summarize a document."""

    async def pieces(config: RunnableConfig) -> AsyncIterator[Any]:
        view = resident.base.using(**work.options)
        async for piece in view.astream_summary(work.source, encoding=work.encoding, config=config):
            yield piece

    return _answered(work, resident, pieces)


@router.post("/warm", response_model=None)
async def warm(work: Passages, resident: TheResident) -> EventStream:
    """Read passages ahead, as long as nobody asks."""
    _check(work, resident)
    resident.keep_alive, resident.reading = work.keep_alive, resident.reading + 1
    return EventStream(_warmed(work, resident), release=resident.end_reading)


async def _warmed(work: Passages, resident: Resident) -> AsyncEvents:
    """Yield how many passages are read, of how many; at the end whether it was to the end."""
    gone, asked, loop = threading.Event(), threading.Event(), asyncio.get_running_loop()
    events: asyncio.Queue[list[int] | None] = asyncio.Queue()

    def stop() -> bool:
        if resident.busy:
            asked.set()
        return gone.is_set() or asked.is_set()

    def progress(done: int, total: int) -> None:
        loop.call_soon_threadsafe(events.put_nowait, [done, total])

    def read() -> int:
        try:
            view = resident.engine(work.index, work.folder).using(**work.options)
            return view.warm(work.limit, progress, stop)
        finally:
            loop.call_soon_threadsafe(events.put_nowait, None)

    reading = asyncio.ensure_future(asyncio.to_thread(read))
    try:
        while (now := await events.get()) is not None:
            yield {"progress": now}
        yield {"count": await reading, "stopped": asked.is_set()}
    except RagAppError as error:
        yield {"error": [type(error).__name__, str(error)]}
    finally:
        gone.set()


async def _read_answered(resident: Resident) -> None:
    """Read passages in full, after answers that were found in parts of them."""
    while await resident.answered.wait():
        resident.answered.clear()
        if not resident.busy:
            resident.reads_answered = True
            with suppress(RagAppError):
                await asyncio.to_thread(resident.base.read_wanted, partial(_is_asked, resident))
            resident.reads_answered = False


def _read_ahead(resident: Resident) -> None:
    """Read passages that are likely to be asked about, once after questions."""
    if resident.read_for == resident.answers:
        return
    resident.read_for = resident.answers
    for engine in resident.engines:
        with suppress(RagAppError):
            if engine.keeps_prompts:
                engine.warm(READ_AHEAD, stop=partial(_is_asked, resident))


def _is_asked(resident: Resident) -> bool:
    return resident.busy or resident.ended


def _check(work: Work, resident: Resident) -> None:
    if work.identity != resident.identity:
        raise errors.ApiError(409, "this engine has other settings")


def _answered(
    work: Work, resident: Resident, pieces: Pieces, ahead: str | None = None
) -> EventStream:
    """Return the stream of some work; it begins at once and waits for the model's turn itself.

    Where a question was sent ahead, that is the first event, and the others say what to show.
    """
    _check(work, resident)

    async def in_turn() -> AsyncEvents:
        if ahead is not None:
            yield {"question": ahead}
        async with resident.generating.slot():
            async for event in _events(pieces, shown=ahead is not None):
                yield event

    resident.enter(work.keep_alive)
    return EventStream(in_turn(), release=resident.leave)


async def _events(pieces: Pieces, *, shown: bool) -> AsyncEvents:
    """Yield pieces with what was warned of, then the timings, or the error of a user's."""
    warned: list[str] = []
    _warnings.set(warned)
    timings = Timings()
    try:
        made = pieces(RunnableConfig(callbacks=[timings]))
        async for event in _with_text(made) if shown else _alone(made):
            yield {"warnings": warned.copy(), **event}
            warned.clear()
    except RagAppError as error:
        yield {"warnings": warned, "error": [type(error).__name__, str(error)]}
    else:
        yield {"warnings": warned, "timings": timings.seconds}


async def _alone(pieces: AsyncIterator[Any]) -> AsyncEvents:
    async for piece in pieces:
        yield {"piece": to_jsonable_python(piece)}


async def _with_text(pieces: AsyncIterator[Answer]) -> AsyncEvents:
    """Yield pieces of an answer with what a terminal shows of each."""
    async for delta in adeltas(pieces, marks=Answer.marker):
        likely = delta.piece.likely_line if delta.piece else ""
        shown = {"text": delta.text, "replaces": delta.replaces, "likely": likely}
        piece = {} if delta.piece is None else {"piece": to_jsonable_python(delta.piece)}
        yield {"shown": shown, **piece}
