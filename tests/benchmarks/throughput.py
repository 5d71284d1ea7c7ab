"""Four clients of the server at once against the same four in turn, both in one run.

Each client streams from a real server over the default model. Generation-heavy: a short prompt and
a long answer; prompt-heavy: a long prompt and a short answer. Prompts differ, and none is asked
twice, so that no side profits from the prompt cache.
    python -m tests.benchmarks.throughput [--clients 4] [--rounds 3] [--only LOAD]
    python -m tests.benchmarks.throughput --llm FILE.gguf    (of another quantization)
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from statistics import median

import httpx

from tests.paths import CORPUS
from tests.rag_app.server.serving import serving

# (characters of context, tokens of the answer)
Way = Callable[[str, list[str], int], None]
LOADS = {"generation-heavy": (0, 96), "prompt-heavy": (900, 8)}


def ask(url: str, prompt: str, tokens: int) -> None:
    """Stream one answer to its end."""
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": tokens,
    }
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=600) as answer:
        answer.raise_for_status()
        if not any(line == "data: [DONE]" for line in answer.iter_lines()):
            raise SystemExit("an answer did not come to its end")


def prompts(context: int) -> Iterator[str]:
    """Prompts that share no beginning, with ``context`` characters of real text each."""
    text = "".join(
        file.read_text(encoding="utf-8") for file in (CORPUS / "doc.txt", CORPUS / "sample.txt")
    )
    question = "这段话讲了什么？" if context else "请写一篇介绍中国古代诗歌的长文章，分点详述。"
    for number in count(1):
        begin = number * 37 % max(len(text) - context, 1)
        yield f"第{number}号材料。{text[begin : begin + context]}\n\n{question}"


def in_turn(url: str, asked: list[str], tokens: int) -> None:
    for prompt in asked:
        ask(url, prompt, tokens)


def at_once(url: str, asked: list[str], tokens: int) -> None:
    with ThreadPoolExecutor(len(asked)) as clients:
        list(clients.map(lambda prompt: ask(url, prompt, tokens), asked))


def seconds(work: Way, url: str, asked: list[str], tokens: int) -> float:
    start = time.perf_counter()
    work(url, asked, tokens)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=LOADS, help="by default both loads")
    parser.add_argument("--llm", help="as rag-app takes it; by default the default model")
    options = parser.parse_args()
    from rag_app.engine import RagApp

    chosen = {"llm": options.llm} if options.llm else {}
    engine = RagApp(parallel=options.clients, **chosen)
    with serving(llm=engine.llm, parallel=options.clients, max_new_tokens=400) as served:
        for name in [options.only] if options.only else LOADS:
            context, tokens = LOADS[name]
            unused = prompts(context)
            ask(served.url, next(unused), 4)
            ratios = []
            for _ in range(options.rounds):
                alone = seconds(in_turn, served.url, list(islice(unused, options.clients)), tokens)
                together = seconds(
                    at_once, served.url, list(islice(unused, options.clients)), tokens
                )
                ratios.append(together / alone)
                print(
                    f"{name:18} in turn {alone:6.1f} s, at once {together:6.1f} s,"
                    f" ratio {ratios[-1]:.2f}"
                )
            print(f"{name:18} median ratio {median(ratios):.2f}", flush=True)


if __name__ == "__main__":
    main()
