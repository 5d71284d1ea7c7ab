"""Tests in several processes that share one collection: a pytest plugin.

``pytest -p tests.forked --forks 3`` imports what tests need and collects them once, and then forks.
Whichever process is free runs the next file of tests. pytest-xdist would have each process import
and collect everything again, which takes about as long as half of the quick tests.
"""

import gc
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

_SHARED = (
    "fastapi.testclient",
    "langchain_openai",
    "onnxruntime",
    "peft",
    "pypinyin",
    "rag_app.server.app",
    "sentence_transformers",
    "torch",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
)
"""What tests of most files would import sooner or later, each process for itself."""
_LONG = {"model": 100, "slow": 10}
"""How many of the other tests one with this mark takes as long as, about."""
_NUMBER = 4
"""Bytes of the number of a file in the queue."""
_DONE = ""  # sent in place of a test's name when none is left
_MEMORY = Path("/dev/shm")
_ROOM = 2**30
"""Free bytes there that are enough: the quick tests leave about a tenth."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--forks", type=int, default=1, help="processes that share one collection")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    """Run the collected tests in forked processes; show their reports here."""
    forks = session.config.getoption("forks")
    if forks < 2 or session.config.option.collectonly or session.testsfailed:
        return None
    files = [list(items) for _, items in groupby(session.items, key=lambda item: item.path)]
    files.sort(key=_length, reverse=True)  # no process is left with a long one at the end
    for name in _SHARED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is there now is never looked at again, nor copied for that
    queue, numbers = os.pipe()
    os.write(numbers, b"".join(n.to_bytes(_NUMBER, "little") for n in range(len(files))))
    os.close(numbers)
    context = get_context("fork")
    running: dict[Connection, ForkProcess] = {}
    with _temporary_files(in_memory=not any(map(_is_of_a_model, session.items))):
        for _ in range(forks):
            reports, sent = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(session, files, queue, sent))
            process.start()
            sent.close()
            running[reports] = process
        try:
            for report in _received(running, session.config):
                session.config.hook.pytest_runtest_logreport(report=report)
        finally:
            for process in running.values():  # where this one was interrupted
                process.terminate()
    return True


def _length(items: list[pytest.Item]) -> int:
    """About how long the tests of a file take, in those without a mark."""
    marks = [mark.name for item in items for mark in item.iter_markers()]
    return len(items) + sum(_LONG.get(mark, 0) for mark in marks)


def _is_of_a_model(item: pytest.Item) -> bool:
    """Whether a test may write gigabytes, as those of the real models do."""
    return item.get_closest_marker("model") is not None


@contextmanager
def _temporary_files(*, in_memory: bool) -> Iterator[None]:
    """Have temporary files lie in memory where that has room: a disk is waited for."""
    if not (in_memory and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM):
        yield
        return
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        tempfile.tempdir = folder
        yield
        tempfile.tempdir = before


def _received(
    running: dict[Connection, ForkProcess], config: pytest.Config
) -> Iterator[pytest.TestReport | pytest.CollectReport]:
    """Yield the reports of all processes as they come, until the processes have ended."""
    begun: dict[Connection, str] = {}
    while running:
        for reports in wait(running):
            assert isinstance(reports, Connection)
            try:
                data = reports.recv()
            except EOFError:
                process = running.pop(reports)
                process.join()
                if process.exitcode or begun.get(reports) != _DONE:
                    where = begun.get(reports, "its first test")
                    pytest.exit(f"a process ended with {process.exitcode} in {where}", 1)
            else:
                if isinstance(data, str):
                    begun[reports] = data
                else:
                    yield config.hook.pytest_report_from_serializable(config=config, data=data)


class _Sender:
    """Sends the name of each test that begins and its reports to the process that shows them."""

    def __init__(self, reports: Connection, config: pytest.Config) -> None:
        self._reports = reports
        self._config = config

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._reports.send(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        hook = self._config.hook
        data = hook.pytest_report_to_serializable(config=self._config, report=report)
        self._reports.send(data)


def _work(
    session: pytest.Session, files: list[list[pytest.Item]], queue: int, reports: Connection
) -> None:
    """Run files of tests, in a process of its own, as long as there are any."""
    config = session.config
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()  # its files are those of the other processes too
    capture.start_global_capturing()
    capture.suspend_global_capture()
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(_Sender(reports, config))
    with suppress(KeyboardInterrupt):
        while number := os.read(queue, _NUMBER):
            items = files[int.from_bytes(number, "little")]
            # After the last one, what is left is the session's.
            for item, following in zip(items, [*items[1:], session], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        reports.send(_DONE)
    config.hook.pytest_sessionfinish(session=session, exitstatus=0)
