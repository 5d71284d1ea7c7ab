"""kill -9 of the resident engine, of its model's process and of `ask`, at any moment of an answer.

Or while a prompt is written into the cache. After each the next command answers as it should,
nothing of the index is lost, and what the cache holds is whole; now and then a file of it is
damaged too. On models of two layers, whose answer is to be the very same each time, or on the
default ones, whose answers are to hold what `docs_corpus` says.
    python -m tests.benchmarks.engine.kills [--count 200] [--seed 0] [--default-models]
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from model_prep import models_folder
from rag_app.models.llms.prompt_cache import KeptPrompt, all_kept_prompts, caches_folder
from rag_app.surroundings import EnginePlace
from tests.paths import CORPUS
from tests.rag_app.engine.terminals import Running, begun, in_pipe, in_terminal
from tests.tiny_models import make_embeddings

DEATH = "宝应元年（762年），李白病逝于当涂，享年六十二岁。"
KNOWN = {
    "是谁称李白为“谪仙人”的？": "贺知章",
    "李白和杜甫是在哪座城市认识的？": "洛阳",
    "清澜净水器的反渗透滤芯多久换一次？": "36个月",
    "清澜净水产品的服务热线是多少？": "400-660-5000",
    "商品服务的进程内缓存是用什么实现的？": "Caffeine",
}
FILES = ("doc.txt", "water_purifier.txt", "cache_notes.md")
EVERYTHING = "all of them"

Answer = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked, and what its answer is to be."""

    short: list[str]
    """The command."""
    long: list[str]
    """One that takes longer, to be killed."""
    right: Callable[[Answer], bool]


def victims(ask: int) -> dict[str, int]:
    """The processes that can be killed: that of the command, and what works for it."""
    found = {"ask": ask}
    with suppress(OSError, ValueError, KeyError, psutil.Error):
        said = json.loads(EnginePlace.of_home().state.read_text(encoding="utf-8"))
        engine = psutil.Process(said["pid"])
        if "rag_app.server.resident" in engine.cmdline():
            found["engine"] = engine.pid
            found.update(("model", child.pid) for child in engine.children())
    return found


def being_written() -> set[Path]:
    """Prompts that are not in their place yet, or never will be."""
    return {*caches_folder().glob("*/.*")}


def wait_for_writing(running: Running, chance: random.Random, *, alone: bool) -> dict[str, int]:
    """Wait until a prompt is being written, and a moment longer; return who can be killed then.

    That is nobody where the command ends before.
    """
    before, there = being_written(), victims(running.process.pid)
    while running.process.poll() is None:
        if being_written() - before:
            time.sleep(chance.choice([0, chance.uniform(0, 0.03)]))
            return there
        if not alone and "model" not in there:  # to look for it takes longer than to write
            there = victims(running.process.pid)
        time.sleep(0.0005)
    return {}


def damage(chance: random.Random, done: Counter[str]) -> KeptPrompt | None:
    """Damage a kept prompt and count how; return it, None where none is kept."""
    if not (kept := all_kept_prompts()):
        return None
    entry, other = chance.choice(kept), chance.choice(kept)
    how = chance.choice(["a byte", "noise", "cut", "another's", "stamp"])
    data = bytearray(entry.file.read_bytes())
    if how == "a byte":
        data[chance.randrange(len(data))] ^= 1 + chance.randrange(255)
    elif how == "noise":
        start = len(data) // 8
        data[start:] = chance.randbytes(len(data) - start)
    elif how == "cut":
        del data[chance.randrange(len(data)) :]
    elif how == "another's":
        data = bytearray(other.file.read_bytes())
    else:
        entry.stamp.write_bytes(entry.stamp.read_bytes()[: chance.randrange(200)])
    entry.file.write_bytes(data)
    done[f"damaged: {how}"] += 1
    return entry


def answer(command: list[str], *, terminal: bool) -> Answer:
    """The answer of a command, without its times; in a terminal, an engine stays for the next."""
    done = (in_terminal if terminal else in_pipe)(*command, "--json")
    if done.code:
        sys.exit(f"{command}: {done.stderr}")
    values: Answer = json.loads(done.stdout)
    del values["timings"]
    return values


def struck(question: Question, chance: random.Random, seconds: float) -> str:
    """Ask, and kill at some moment; return what was killed, and when."""
    writing, alone = chance.random() < 0.3, chance.random() < 0.2
    if writing:
        for entry in all_kept_prompts():  # else nothing is to be written
            entry.delete()
    asked = [*question.long, *(["--keep-alive", "0"] if alone else [])]
    with begun(*asked, *(["--context", "full"] if writing else [])) as running:
        if writing:
            there = wait_for_writing(running, chance, alone=alone)
        else:
            time.sleep(chance.uniform(0, seconds))
            there = victims(running.process.pid)
        if alone or running.process.poll() is not None:
            there = {name: pid for name, pid in there.items() if name == "ask"}
        if not there or running.process.poll() is not None:
            return "ended before"
        name = chance.choice([*sorted(there), *([EVERYTHING] if len(there) > 1 else [])])
        for pid in there.values() if name == EVERYTHING else [there[name]]:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
    return f"{name}{' alone' if alone else ''}{', writing' if writing else ''}"


def run(questions: list[Question], chance: random.Random, count: int, seconds: float) -> None:
    """Kill so often; end the program where what follows is not as it should be."""
    documents, killed, damaged = in_pipe("docs", "--json").stdout, Counter[str](), set[Path]()
    for question in questions:
        if not question.right(found := answer(question.short, terminal=True)):
            sys.exit(f"another answer before any kill: {found}")
    for number in range(1, count + 1):
        killed[struck(chance.choice(questions), chance, seconds)] += 1
        torn = [entry for entry in all_kept_prompts() if not entry.is_whole()]
        killed["torn"] += len([entry for entry in torn if entry.file not in damaged])
        if chance.random() < 0.4 and (entry := damage(chance, killed)):
            damaged.add(entry.file)
        question = chance.choice(questions)
        found = answer(question.short, terminal=chance.random() < 0.7)
        if not question.right(found):
            sys.exit(f"another answer after {number} kills: {dict(killed)}: {found}")
        if in_pipe("docs", "--json").stdout != documents:
            sys.exit(f"another index after {number} kills: {dict(killed)}")
        said = {**dict(sorted(killed.items())), "left half written": len(being_written())}
        print(f"{number}: {said}", flush=True)
    print("every next command answered as it should, and the index is as it was")


def tiny_questions(home: Path) -> list[Question]:
    """A question to models of two layers, whose index is made in a home."""
    embeddings = make_embeddings(home / "embeddings")
    (home / "doc.txt").write_text(DEATH * 12, encoding="utf-8")
    in_pipe("index", str(home / "doc.txt"), "--embedding", str(embeddings))
    llm = ["--llm", str(make_gguf(home)), "--threshold", "0", "--threads", "1"]
    ask = ["ask", "李白是怎样去世的？", *llm, "--context", "full"]
    short = [*ask, "--max-new-tokens", "12"]
    right = answer(short, terminal=False)
    return [Question(short, [*ask, "--max-new-tokens", "3000"], lambda found: found == right)]


def default_questions(home: Path, models: Path) -> list[Question]:
    """Questions to the default models about documents that are indexed in a home."""
    (home / "models").symlink_to(models.resolve(), target_is_directory=True)
    indexed = in_pipe("index", *(str(CORPUS / name) for name in FILES))
    if indexed.code:
        sys.exit(indexed.stderr)

    def question(text: str, known: str) -> Question:
        return Question(["ask", text], ["ask", text], lambda found: known in found["text"])

    return [question(text, known) for text, known in KNOWN.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--default-models", action="store_true")
    options = parser.parse_args()
    models = models_folder()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAG_APP_HOME"] = folder
        os.environ["RAG_APP_IDLE_SECONDS"] = "0"  # what is written, an answer writes
        home = Path(folder)
        try:
            if options.default_models:
                questions = default_questions(home, models)
            else:
                questions = tiny_questions(home)
            run(questions, random.Random(options.seed), options.count, 6)
        finally:
            in_pipe("stop")


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
