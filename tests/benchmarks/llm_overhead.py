"""`ask` with one passage against llama.cpp itself with the same prompt and answer, in one run.

Both sides use the same loaded model and take turns; the passage of each pair is new, so that
neither profits from the prompt cache. Then a second question on a passage: its first token
against the first question's.
    python -m tests.benchmarks.llm_overhead [--pairs N]
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from langchain_core.messages import convert_to_openai_messages

from rag_app import RagApp
from rag_app.chains.citations import cite
from rag_app.chains.prompts import Prompts
from rag_app.models.llms.llamacpp import LlamaCppChat
from tests.paths import CORPUS

QUESTION = "李白是怎样去世的？"
OTHER = "李白出生在哪里？"


def ask(app: RagApp, question: str) -> tuple[float, float, int]:
    """Seconds to the first text, seconds in all, and tokens of the answer."""
    start = time.perf_counter()
    first, text = 0.0, ""
    for piece in app.stream(question):
        if piece.text and not first:
            first = time.perf_counter() - start
        text += piece.text
    return first, time.perf_counter() - start, app.llm.get_num_tokens(text)


def bare(llm: LlamaCppChat, prompt: list[dict[str, Any]]) -> float:
    """Seconds that llama.cpp takes for ``prompt`` by its own interface."""
    # Without its cache: llama.cpp keeps earlier prompts aside and would find this one again.
    request: dict[str, Any] = {"messages": prompt, "temperature": 0, "max_tokens": llm.max_tokens}
    request["cache_prompt"] = False
    start = time.perf_counter()
    llm._server.handle_chat_completions(request)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    text = (CORPUS / "doc.txt").read_text(encoding="utf-8")
    death = text.index("当涂")
    passage = text[max(0, death - 450) :][:590]
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")
        app = RagApp(index=index, k=1, threshold=0, context="full")
        llm = app.llm
        assert isinstance(llm, LlamaCppChat)
        ours, theirs, cold, warm = [], [], [], []
        for pair in range(options.pairs):
            # What differs comes first, so that no two prompts begin alike.
            file = Path(folder) / "passage.txt"
            file.write_text(f"第{pair}页。{passage}", encoding="utf-8")
            app.index([file])
            (citation,) = cite(app.retrieve(QUESTION))
            context = f"[1] {citation.place}\n{citation.text}"
            prompt = Prompts().messages("answer", "zh", context=context, question=QUESTION)
            sent = convert_to_openai_messages(prompt)
            assert isinstance(sent, list)
            first, whole, tokens = ask(app, QUESTION)
            cold.append(first)
            ours.append(whole)
            warm.append(ask(app, OTHER)[0])
            theirs.append(bare(llm, sent))
            line = f"ask {whole:6.2f} s, llama.cpp {theirs[-1]:6.2f} s, {tokens} tokens"
            print(
                f"{line}; first token {first:5.2f} s, second question {warm[-1]:5.2f} s", flush=True
            )
        print(f"median ratio {median(a / b for a, b in zip(ours, theirs, strict=True)):.3f}")
        share = median(b / a for a, b in zip(cold, warm, strict=True))
        print(f"second question's first token: {share:.1%} of the first one's time")
        app.close()


if __name__ == "__main__":
    main()
