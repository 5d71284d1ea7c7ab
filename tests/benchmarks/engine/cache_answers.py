"""Whether answers at temperature 0 are the same with the cache of prompts and without.

Each question is asked three times, its passages read in whole: anew, as with nothing kept; in the
same process, which then has them in memory and on disk; and in a new one, which restores the files.
The home is a temporary one, with the real default models.
    python -m tests.benchmarks.engine.cache_answers [--count 50] [--seed 0]
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from langchain_core.callbacks import UsageMetadataCallbackHandler
from pydantic import Field

from model_prep import models_folder
from rag_app import RagApp
from rag_app.evaluation.datasets import read_questions
from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.llms.local import local_options
from rag_app.models.registry import resolve
from rag_app.settings import load_settings
from tests.paths import CORPUS
from tests.rag_app.engine.terminals import in_pipe

_BEGINNING = 500  # characters, most of them of a passage


class Chat(LlamaCppChat):
    """The model; what it has read it takes from memory and from disk, unless told otherwise."""

    anew: bool = False
    """Whether it reads what no call about the same question has read before."""
    begun: set[str] = Field(default_factory=set)
    """What the calls about a question began with; copies of the object share it."""

    def _start(self, prompt: Any, stop: list[str], options: dict[str, Any], *rest: Any) -> None:
        beginning = str(prompt)[:_BEGINNING]
        cached = not self.anew or beginning in self.begun
        self.begun.add(beginning)
        super()._start(prompt, stop, {**options, "cache_prompt": cached}, *rest)


@dataclass(frozen=True)
class Told:
    """An answer and what its prompts cost."""

    text: str
    tokens: int
    evaluated: int


def told(questions: Sequence[str], rounds: Sequence[bool]) -> list[list[Told]]:
    """Return the answers of rounds, which read anew or not, by a model that begins with nothing."""
    settings = load_settings(context="full")
    path = Path(resolve(settings.llm)[1])
    llm = Chat(path=path, cache_size=settings.cache_size, **local_options(settings))
    found = []
    with RagApp(settings=settings, llm=llm) as app:
        for llm.anew in rounds:
            found.append(answers := list[Told]())
            for question in questions:
                llm.begun.clear()
                usage = UsageMetadataCallbackHandler()
                text = app.ask(question, config={"callbacks": [usage]}).text
                used = [*usage.usage_metadata.values()]
                tokens = sum(one["input_tokens"] for one in used)
                held = sum(one["input_token_details"]["cache_read"] for one in used)
                answers.append(Told(text, tokens, tokens - held))
                print(len(answers), answers[-1], file=sys.stderr, flush=True)
    return found


def show(name: str, answers: list[Told], others: list[Told]) -> None:
    """Print how many answers are those of others, and what was read for them."""
    same = sum(one.text == other.text for one, other in zip(answers, others, strict=True))
    tokens, evaluated = sum(one.tokens for one in answers), sum(one.evaluated for one in answers)
    print(f"{name}: {same} of {len(others)} the same; {evaluated:,} of {tokens:,} tokens evaluated")


def run(questions: list[str]) -> None:
    """Ask and print."""
    alone, again = told(questions, [True, False])
    with get_context("spawn").Pool(1) as pool:
        (restored,) = pool.apply(told, (questions, [False]))
    show("with nothing kept", alone, alone)
    show("in the same process", again, alone)
    show("in a new process", restored, alone)
    for question, *answers in zip(questions, alone, again, restored, strict=True):
        if len({answer.text for answer in answers}) > 1:
            print(question, *(f"    {answer.text}" for answer in answers), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = [str(file) for end in ("txt", "md") for file in CORPUS.glob(f"*.{end}")]
    names = {Path(file).name for file in files}
    found = read_questions(CORPUS / "questions.jsonl")
    about = [one.text for one in found if one.answers and one.document in names]
    models = models_folder()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAG_APP_HOME"] = folder
        (Path(folder) / "models").symlink_to(models.resolve(), target_is_directory=True)
        if (indexed := in_pipe("index", *files)).code:
            sys.exit(indexed.stderr)
        run(random.Random(options.seed).sample(about, options.count))


if __name__ == "__main__":
    main()
