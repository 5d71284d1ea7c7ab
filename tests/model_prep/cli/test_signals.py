import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PROGRAM = """
import signal, sys, tempfile, typer
from model_prep.cli.boundary import run
app = typer.Typer()
@app.callback(invoke_without_command=True)
def work():
    with tempfile.TemporaryDirectory():
        try:
            print("begun", flush=True)
            signal.pause()
        except (Exception, KeyboardInterrupt):
            print("going on")
run(lambda: app, "program")
"""


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_order(kind: signal.Signals, tmp_path: Path) -> None:
    with begun(tmp_path) as process:
        process.send_signal(kind)
        out, said = process.communicate(timeout=60)
    assert (out, said) == ("", f"program: ended by {kind.name}\n")
    assert process.returncode == -kind
    assert not list(tmp_path.iterdir())


LOOP = """
import anyio, asyncio, typer
from model_prep.cli.boundary import run
app = typer.Typer()
async def wait():
    print("begun", flush=True)
    while True:
        await asyncio.sleep(0)
async def request():
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
async def tasks():
    await asyncio.wait([asyncio.create_task(request())])
@app.callback(invoke_without_command=True)
def work():
    try:
        asyncio.run(tasks())
    finally:
        print("closed")
run(lambda: app, "program")
"""


def test_a_signal_ends_an_event_loop_in_order(tmp_path: Path) -> None:
    """In a task it would be a group of exceptions, which Python shows with their traceback."""
    with begun(tmp_path, LOOP) as process:
        process.send_signal(signal.SIGTERM)
        out, said = process.communicate(timeout=60)
    assert out.endswith("closed\n")
    assert said == "program: ended by SIGTERM\n"
    assert process.returncode == -signal.SIGTERM


def test_what_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = begun(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert said == "program: ended by SIGTERM\n"


def begun(folder: Path, program: str = PROGRAM) -> "subprocess.Popen[str]":
    """A program that works, in a temporary folder of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process
