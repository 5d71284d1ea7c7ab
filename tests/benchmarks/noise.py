"""Write RGB's lines about docs_corpus: each question with passages that answer it and that don't.

Those that answer are cuts of the document around the answer; those that don't are the nearest
passages of the whole corpus that lack it. A question without an answer has the latter alone. Each
stands below its document's name and its headings, as a passage of an index does: without them an
answer to "what does E21 on the HD-900 mean" names no HD-900, and is none.

    python -m tests.benchmarks.noise OUT.jsonl [--split test|dev] [--each N]
    rag-app eval OUT.jsonl --noise 0.8
"""

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rag_app import RagApp
from rag_app.evaluation.datasets import GoldQuestion, read_questions
from rag_app.evaluation.formats import RGB_PASSAGES
from rag_app.index.store.records import ChunkRecord
from tests.paths import CORPUS

_SENTENCE = re.compile(r"[^。！？\n]+[。！？\n]*")
_AROUND = ((1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (2, 2))
"""Sentences before and after the one that holds the answer."""
_LONGEST = 600
"""Characters of a cut."""


def cuts(chunks: Iterable[ChunkRecord], question: GoldQuestion) -> Iterator[str]:
    """Yield parts of a document that hold the answer, each another one."""
    parted = [
        (chunk, [match.group() for match in _SENTENCE.finditer(chunk.text)]) for chunk in chunks
    ]
    for before, after in _AROUND:
        for chunk, sentences in parted:
            for place, sentence in enumerate(sentences):
                if question.is_in(sentence):
                    cut = "".join(sentences[max(0, place - before) : place + after + 1]).strip()
                    if len(cut) <= _LONGEST:
                        yield replace(chunk, text=cut).searched_text


def line_of(app: RagApp, question: GoldQuestion, chunks: Sequence[ChunkRecord]) -> dict[str, Any]:
    """Return a question as a line of RGB's."""
    places = {(chunk.source, chunk.start): chunk.searched_text for chunk in chunks}
    found = app.retrieve(question.text, k=4 * RGB_PASSAGES)
    texts = [places[one.metadata["source"], one.metadata["start"]] for one in found]
    negative = [text for text in texts if not question.is_in(text)]
    own = [chunk for chunk in chunks if Path(chunk.source).name == question.document]
    positive = islice(dict.fromkeys(cuts(own, question)), RGB_PASSAGES)
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
        with app.store.read() as snapshot:
            chunks = [one for own in snapshot.documents() for one in snapshot.chunks_of(own.source)]
        lines = [line_of(app, one, chunks) for one in drawn(asked, options.each)]
    kept = [line for line in lines if line["positive"] or not line["answer"]]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in kept)
    options.out.write_text(f"{text}\n", encoding="utf-8")
    known = sum(bool(line["positive"]) for line in kept)
    print(f"{len(kept)} lines in {options.out}, {known} with an answer")


if __name__ == "__main__":
    main()
