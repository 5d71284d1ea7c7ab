"""Many clients of one server for some minutes: nothing lost, nobody waits longer than the others.

Clients stream answers from documents, chat without a stream, and search, each with a request in
flight all the time. The model is scripted, so that the server alone is measured; it runs in a
process of its own, whose memory is looked at.
    python -m tests.benchmarks.clients [--clients 50] [--minutes 3] [--parallel 4]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from statistics import median, quantiles
from typing import Any

import httpx
import psutil
from langchain_core.messages import BaseMessage

from tests.paths import CORPUS
from tests.rag_app.server.serving import serving, upload
from tests.scripted import ScriptedChatModel

ANSWER = "宝应元年，李白病逝于当涂，终年六十二岁。"
QUESTIONS = ("李白是怎样去世的？", "李白的代表作有哪些？", "李白晚年投靠了谁？")
LETTER_SECONDS = 0.02
EVERY_SECONDS = 5.0
"""Between two looks at the memory."""


class Forgetful(ScriptedChatModel):
    """Keeps its last prompts only: what grows in a long run is then the server's own."""

    def _reply(self, messages: list[BaseMessage]) -> str:
        reply = super()._reply(messages)
        del self.prompts[:-100]
        return reply


@dataclass
class Seen:
    """What happened to the requests of all clients."""

    done: Counter[int] = field(default_factory=Counter)
    """Requests that were answered, by client."""
    lost: list[str] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    """Seconds to the first byte of each stream."""
    waits: list[float] = field(default_factory=list)
    """Seconds of each stream to its end."""
    memory: list[float] = field(default_factory=list)
    """Of the server's process, in MB."""


def serve(parallel: int) -> None:
    """Serve until the input ends, and print the address."""
    model = Forgetful(replies=[ANSWER], delay=LETTER_SECONDS, window=10**6)
    with serving(llm=model, parallel=parallel) as served:
        with served.client() as client:
            upload(client, "poets", **{"doc.txt": (CORPUS / "doc.txt").read_text("utf-8")})
        print(served.url, flush=True)
        sys.stdin.read()
    os._exit(0)


async def stream(http: httpx.AsyncClient, body: dict[str, Any], seen: Seen) -> None:
    """Stream an answer to its end."""
    start = time.perf_counter()
    async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        text, ended, first = "", False, None
        async for line in answer.aiter_lines():
            first = first or time.perf_counter() - start
            if line == "data: [DONE]":
                ended = True
            elif line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    raise RuntimeError(event["error"]["message"])
                text += (event["choices"] or [{}])[0].get("delta", {}).get("content") or ""
    if not ended or not text:
        raise RuntimeError(f"an answer was cut off: {text!r}")
    seen.firsts.append(first or 0.0)
    seen.waits.append(time.perf_counter() - start)


async def request(http: httpx.AsyncClient, random: Random, seen: Seen) -> None:
    """Make one request of a client."""
    question = [{"role": "user", "content": random.choice(QUESTIONS)}]
    kind = random.random()
    if kind < 0.7:
        model = "rag:poets" if kind < 0.6 else "default"
        await stream(http, {"model": model, "messages": question, "stream": True}, seen)
    elif kind < 0.85:
        answer = await http.post("/v1/chat/completions", json={"messages": question})
        answer.raise_for_status()
        assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    else:
        answer = await http.post("/v1/indexes/poets/search", json={"query": QUESTIONS[0]})
        answer.raise_for_status()
        assert answer.json()["data"]


async def client(number: int, http: httpx.AsyncClient, until: float, seen: Seen) -> None:
    """Ask one question after another."""
    random = Random(number)
    async with http:
        while time.monotonic() < until:
            try:
                await request(http, random, seen)
                seen.done[number] += 1
            except Exception as error:
                seen.lost.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(1)


async def watch(process: "subprocess.Popen[str]", until: float, seen: Seen) -> None:
    """Look at the memory of the server."""
    shown = psutil.Process(process.pid)
    while time.monotonic() < until:
        await asyncio.sleep(EVERY_SECONDS)
        seen.memory.append(shown.memory_info().rss / 1e6)


async def run(url: str, process: "subprocess.Popen[str]", clients: int, minutes: float) -> Seen:
    # Made before the clock runs, and without certificates to load: that takes longer than asking.
    made = [httpx.AsyncClient(base_url=url, timeout=300, verify=False) for _ in range(clients)]
    seen, until = Seen(), time.monotonic() + minutes * 60
    work = [client(number, http, until, seen) for number, http in enumerate(made)]
    await asyncio.gather(watch(process, until, seen), *work)
    return seen


def report(seen: Seen, clients: int) -> None:
    done = [seen.done[number] for number in range(clients)]
    print(f"requests answered {sum(done):,}, lost {len(seen.lost)}")
    for reason, count in Counter(seen.lost).most_common(5):
        print(f"  {count} × {reason}")
    first = quantiles(seen.firsts, n=100)
    print(
        f"first byte of a stream: median {median(seen.firsts):.3f} s, 99th percentile"
        f" {first[98]:.3f} s, longest {max(seen.firsts):.3f} s"
    )
    whole = quantiles(seen.waits, n=100)
    print(f"whole stream: median {median(seen.waits):.2f} s, 99th percentile {whole[98]:.2f} s")
    squares = sum(done) ** 2 / (clients * sum(count**2 for count in done))
    print(f"requests of a client: {min(done)} to {max(done)}; Jain's fairness {squares:.3f}")
    quarter = max(len(seen.memory) // 4, 1)
    early, late = median(seen.memory[quarter : 2 * quarter]), median(seen.memory[-quarter:])
    print(
        f"memory of the server: second quarter {early:.0f} MB, last quarter {late:.0f} MB,"
        f" most {max(seen.memory):.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.parallel)
    command = [sys.executable, "-m", "tests.benchmarks.clients", "--serve"]
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [*command, "--parallel", str(options.parallel)],
            env={**os.environ, "RAG_APP_HOME": home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout
            url = process.stdout.readline().strip()
            seen = asyncio.run(run(url, process, options.clients, options.minutes))
    report(seen, options.clients)


if __name__ == "__main__":
    main()
