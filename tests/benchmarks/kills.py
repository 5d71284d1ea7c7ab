"""kill -9 of the resident engine, of its model's process and of `ask`, at any moment of an answer.

After each the next command gives the answer that it gave before, and nothing of the index is lost;
now and then a file of the prompt cache is damaged too. On models of two layers.
    python -m tests.benchmarks.kills [--count 200] [--seed 0]
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from rag_app.engine.resident import Place, state
from tests.rag_app.engine.terminals import begun, in_pipe
from tests.tiny_models import make_embeddings

DEATH = "宝应元年（762年），李白病逝于当涂，享年六十二岁。"


def victims() -> dict[str, int]:
    """The processes that can be killed beside the command itself."""
    found: dict[str, int] = {}
    if engine := state(Place.of_home()):
        found["engine"] = engine["pid"]
        for child in psutil.Process(engine["pid"]).children():
            found["model"] = child.pid
    return found


def damage(home: Path, chance: random.Random) -> bool:
    """Change a byte of a kept prompt."""
    files = sorted((home / "cache").rglob("*.bin"))
    if not files:
        return False
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 + chance.randrange(255)
    file.write_bytes(data)
    return True


def answer(*command: str) -> dict[str, Any]:
    """The answer of a command in a pipe, without its times."""
    done = in_pipe(*command, "--json")
    if done.code:
        sys.exit(f"{command}: {done.stderr}")
    values: dict[str, Any] = json.loads(done.stdout)
    del values["timings"]
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, killed = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["RAG_APP_HOME"] = folder
        gguf = make_gguf(home)
        embeddings = make_embeddings(home / "embeddings")
        (home / "doc.txt").write_text(DEATH * 12, encoding="utf-8")
        in_pipe("index", str(home / "doc.txt"), "--embedding", str(embeddings))
        ask = [
            "ask",
            "李白是怎样去世的？",
            "--llm",
            str(gguf),
            "--threshold",
            "0",
            "--threads",
            "1",
        ]
        short, long = [*ask, "--max-new-tokens", "12"], [*ask, "--max-new-tokens", "3000"]
        documents, right = in_pipe("docs", "--json").stdout, answer(*short)
        for number in range(options.count):
            with begun(*(long if number % 3 else short)) as running:
                time.sleep(chance.uniform(0, 6))
                there = {**victims(), "ask": running.process.pid}
                name = chance.choice(sorted(there))
                try:
                    psutil.Process(there[name]).kill()
                    killed[name] += 1
                except psutil.NoSuchProcess:
                    killed["ended before"] += 1
            killed["damaged files"] += chance.random() < 0.2 and damage(home, chance)
            if answer(*short) != right:
                sys.exit(f"another answer after {number + 1} kills: {dict(killed)}")
            if in_pipe("docs", "--json").stdout != documents:
                sys.exit(f"another index after {number + 1} kills: {dict(killed)}")
            print(f"{number + 1}: {dict(killed)}", flush=True)
        in_pipe("stop")
    print("every next command gave the same answer, and the index is as it was")


def make_gguf(folder: Path) -> Path:
    """A GGUF file of two layers whose tokenizer is trained here."""
    from model_prep.gguf.exporter import export_gguf
    from tests.model_prep.tiny_llama import make_llama
    from tests.tokenizers import trained_tokenizers

    tokenizer = trained_tokenizers(folder / "tokenizers").alpaca
    made = make_llama(folder / "llama", tokenizer, max_position_embeddings=4096)
    return export_gguf(made).path


if __name__ == "__main__":
    main()
