"""How long a command takes, as its user feels it, beside llama.cpp alone: all in one run.

Each command is a new process whose output is a terminal. What llama.cpp alone takes is the load of
the model and the same prompts, without its cache. The home is a temporary one, with the real
default models.
    python -m tests.benchmarks.latency [--busy 1] [--threads N] [--full]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from model_prep import models_folder
from rag_app.engine.resident import tell
from rag_app.surroundings import EnginePlace
from tests.paths import CORPUS
from tests.rag_app.engine.terminals import begun, in_pipe

FILES = ("doc.txt", "du_fu.txt", "water_purifier.txt", "cache_notes.md")
QUESTION = "李白是怎样去世的？"
SAME = "李白去世时多大年纪？"
OTHER = "杜甫是在哪里出生的？"
AGAIN = "杜甫字什么？"
NEVER = "净水器的滤芯多久换一次？"

BUSY_SECONDS = 60.0
"""Until the load average knows of a neighbour."""

Times = tuple[float, float]
"""Seconds to the first text on stdout, and to the end."""


def timed(*arguments: str) -> Times:
    """Run a command in a terminal."""
    start = time.perf_counter()
    with begun(*arguments) as running:
        running.began.wait()
        first = time.perf_counter() - start
        done = running.end()
    whole = time.perf_counter() - start
    if done.code:
        sys.exit(done.stderr)
    return first, whole


def show(name: str, times: Times, alone: Times | None = None) -> None:
    """Print a row, with what llama.cpp alone takes where that is comparable."""
    row = f"{name:52}{times[0]:8.2f}{times[1]:8.2f}"
    if alone:
        ratios = f"{times[0] / alone[0]:6.2f}x {times[1] / alone[1]:6.2f}x"
        row += f"{alone[0]:10.2f}{alone[1]:8.2f}  {ratios}"
    print(row, flush=True)


def alone(question: str, threads: Sequence[str]) -> dict[str, Any]:
    """Return what llama.cpp alone takes for a question's calls, measured in another process."""
    command = [sys.executable, "-m", "tests.benchmarks.latency", "--alone", question, *threads]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_alone(question: str, threads: int | None) -> None:
    """Load the model and ask it what a question comes to; print the seconds as JSON."""
    start = time.perf_counter()
    from rag_app.models.llms.llamacpp_server import ServerOptions
    from rag_app.models.registry import resolve
    from rag_app.settings import load_settings
    from rag_app.surroundings import free_cores

    settings = load_settings(threads=threads)
    _, path = resolve(settings.llm)
    options = ServerOptions(
        path, settings.context_length, 1, threads or free_cores(), -1, key="alone"
    )
    server = options.start()
    load = time.perf_counter() - start

    prompts, tokens = calls_of(question, threads)
    first, start = 0.0, time.perf_counter()

    def receive(event: Any) -> bool:
        nonlocal first
        for one in event if isinstance(event, list) else [event]:
            choices = one.get("choices") or [{}]
            if not first and choices[0].get("delta", {}).get("content"):
                first = time.perf_counter() - start
        return False

    for messages, answer_tokens in prompts:
        server.handle_chat_completions(
            {
                "messages": messages,
                "stream": True,
                "temperature": 0,
                "max_tokens": answer_tokens,
                "cache_prompt": False,
            },
            receive,
        )
    values = {"load": load, "first": first, "whole": time.perf_counter() - start}
    print(json.dumps({**values, "calls": len(prompts), "tokens": tokens}))


def calls_of(question: str, threads: int | None) -> tuple[list[tuple[list[Any], int]], int]:
    """Return the messages of each call that a question comes to, with the tokens of its answer.

    And the tokens of all prompts.
    """
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.messages import convert_to_openai_messages

    from rag_app import RagApp

    class Calls(BaseCallbackHandler):
        def __init__(self) -> None:
            self.asked: list[list[Any]] = []
            self.usage: list[Any] = []

        def on_chat_model_start(
            self, serialized: dict[str, Any], messages: list[list[Any]], **_: Any
        ) -> None:
            self.asked += messages

        def on_llm_end(self, response: Any, **_: Any) -> None:
            self.usage.append(response.generations[0][0].message.usage_metadata)

    calls = Calls()
    with RagApp(threads=threads, cache_size=0) as app:
        app.ask(question, config={"callbacks": [calls]})
    prompts = []
    for messages, usage in zip(calls.asked, calls.usage, strict=True):
        sent = convert_to_openai_messages(messages)
        assert isinstance(sent, list)
        prompts.append((sent, int(usage["output_tokens"])))
    return prompts, sum(usage["input_tokens"] for usage in calls.usage)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many cores busy for a block."""
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def run(home: Path, threads: Sequence[str], *, full: bool) -> Times:
    """Print the table for one state of the machine; return the times of the first `ask`."""
    ask = ["ask", "--threads", threads[1]] if threads else ["ask"]
    ran = alone(QUESTION, threads)
    cold = ran["load"] + ran["first"], ran["load"] + ran["whole"]
    print(
        f"llama.cpp alone: load {ran['load']:.2f} s, first token {ran['first']:.2f} s, "
        f"{ran['calls']} calls with {ran['tokens']} tokens of prompts {ran['whole']:.2f} s"
    )
    print(f"{'seconds':52}{'first':>8}{'whole':>8}{'alone':>10}{'whole':>8}   ratios")

    def forget() -> None:
        in_pipe("stop")
        shutil.rmtree(home / "cache", ignore_errors=True)

    forget()
    asked = timed(*ask, QUESTION)
    show("ask: nothing resident, nothing kept", asked, cold)
    show("ask: resident, the same passage", timed(*ask, SAME))
    other = alone(OTHER, threads) if full else None
    beside = (other["first"], other["whole"]) if other else None
    whole = timed(*ask, OTHER, "--context", "full")
    show("ask: resident, another passage, read in whole", whole, beside)
    forget()
    timed(*ask, QUESTION)
    show("ask: resident, another passage", timed(*ask, OTHER), beside)
    start = time.perf_counter()
    while tell(EnginePlace.of_home(), "GET", "/resident")["reading"]:
        time.sleep(0.1)
    print(f"its passage read in whole: {time.perf_counter() - start:.2f} s")
    show("ask: resident, the same passage after that", timed(*ask, AGAIN))
    in_pipe("stop")
    show("ask: after a restart, the question kept", timed(*ask, QUESTION), cold)
    in_pipe("stop")
    show("ask: after a restart, the passage kept", timed(*ask, SAME))
    forget()
    show("ask --keep-alive 0 --cache-size 0 (one process)", timed(
        *ask, QUESTION, "--keep-alive", "0", "--cache-size", "0"
    ), cold)  # fmt: skip
    start = time.perf_counter()
    in_pipe("warm", *threads)
    print(f"warm, all passages: {time.perf_counter() - start:.2f} s")
    show("ask: after warm, nothing resident", timed(*ask, OTHER))
    show("ask: after warm, resident", timed(*ask, SAME))
    show("ask: after warm, resident, a passage never asked", timed(*ask, NEVER))
    show("status", timed("status"))
    show("docs", timed("docs"))
    in_pipe("stop")
    small = home / "small.txt"
    small.write_text(f"临溪镇在{time.time():.0f}年有居民三千人。", encoding="utf-8")
    start = time.perf_counter()
    in_pipe("index", str(small))
    print(f"index of one small file into the index: {time.perf_counter() - start:.2f} s")
    return asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=0, help="cores kept busy in a second table")
    parser.add_argument("--threads", type=int, help="of the model")
    parser.add_argument("--full", action="store_true", help="llama.cpp alone for each question")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        measure_alone(options.alone, options.threads)
        return
    threads = ["--threads", str(options.threads)] if options.threads else []
    with tempfile.TemporaryDirectory() as folder:
        models = models_folder()
        os.environ["RAG_APP_HOME"] = folder
        os.environ["RAG_APP_IDLE_SECONDS"] = "0"  # nothing is read ahead beside what is measured
        home = Path(folder)
        (home / "models").symlink_to(models.resolve(), target_is_directory=True)
        start = time.perf_counter()
        indexed = in_pipe("index", *(str(CORPUS / name) for name in FILES))
        if indexed.code:
            sys.exit(indexed.stderr)
        print(f"index of {len(FILES)} files: {time.perf_counter() - start:.2f} s")
        try:
            quiet = run(home, threads, full=options.full)
            if options.busy:
                print(f"\nbeside {options.busy} busy core(s)")
                with busy(options.busy):
                    time.sleep(BUSY_SECONDS)
                    beside = run(home, threads, full=options.full)
                ratios = [busy / alone for busy, alone in zip(beside, quiet, strict=True)]
                print(f"the first ask beside them: {ratios[0]:.2f}x, {ratios[1]:.2f}x of quiet")
        finally:
            in_pipe("stop")


if __name__ == "__main__":
    main()
