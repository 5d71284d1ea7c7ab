"""Write RGB's lines about docs_corpus: each question with passages that answer it and that don't.

Those that answer are cuts of the document around the answer; those that don't are the nearest
passages of the whole corpus that lack it. A question without an answer has the latter alone.

    python -m tests.benchmarks.noise OUT.jsonl [--split test|dev] [--each N]
    rag-app eval OUT.jsonl --noise 0.8
"""

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rag_app import RagApp
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from rag_app.evaluation.formats import RGB_PASSAGES
from tests.paths import CORPUS

_SENTENCE = re.compile(r"[^。！？\n]+[。！？\n]*")
_AROUND = ((1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (2, 2))
"""Sentences before and after the one that holds the answer."""
_LONGEST = 600
"""Characters of a cut."""


def cuts(text: str, question: GoldQuestion) -> Iterator[str]:
    """Yield parts of a document that hold the answer, each another one."""
    sentences = [match.group() for match in _SENTENCE.finditer(text)]
    seen = set()
    for before, after in _AROUND:
        for place, sentence in enumerate(sentences):
            if question.is_in(sentence):
                cut = "".join(sentences[max(0, place - before) : place + after + 1]).strip()
                if len(cut) <= _LONGEST and cut not in seen:
                    seen.add(cut)
                    yield cut


def line_of(app: RagApp, question: GoldQuestion, texts: dict[str, str]) -> dict[str, Any]:
    """Return a question as a line of RGB's."""
    found = app.retrieve(question.text, k=4 * RGB_PASSAGES)
    negative = [one.page_content for one in found if not question.is_in(one.page_content)]
    positive = islice(cuts(texts[question.document or ""], question), RGB_PASSAGES)
    return {
        "id": question.id,
        "query": question.text,
        "answer": [list(question.answers)] if question.answers else [],
        "positive": list(positive) if question.answers else [],
        "negative": negative[:RGB_PASSAGES],
    }


def drawn(questions: Sequence[GoldQuestion], each: int | None) -> list[GoldQuestion]:
    """Return so many questions with an answer and without."""
    rng = random.Random(0)
    kinds = [[one for one in questions if one.answerable is known] for known in (True, False)]
    return [one for kind in kinds for one in rng.sample(kind, min(each or len(kind), len(kind)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=["test", "dev"], default="test")
    parser.add_argument("--each", type=int, help="questions with an answer, and without")
    options = parser.parse_args()
    asked = [
        one for one in read_questions(CORPUS / "questions.jsonl") if one.split == options.split
    ]
    with tempfile.TemporaryDirectory() as folder, RagApp(index=folder) as app:
        app.index([CORPUS])
        texts = {Path(one.source).name: app.text_of(one.source) for one in app.documents()}
        lines = [line_of(app, one, {**texts, "": ""}) for one in drawn(asked, options.each)]
    kept = [line for line in lines if line["positive"] or not line["answer"]]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in kept)
    options.out.write_text(f"{text}\n", encoding="utf-8")
    known = sum(bool(line["positive"]) for line in kept)
    print(f"{len(kept)} lines in {options.out}, {known} with an answer")


if __name__ == "__main__":
    main()
