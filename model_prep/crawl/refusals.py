"""Preference pairs that teach a model to answer from passages, and to refuse where they don't.

In the manner of Trust-Align (Song et al. 2024, arXiv 2409.11242): of each question that a model
drafts about a passage, one pair prefers the passage's own words to a refusal; another one, with the
nearest passage that does not hold them, prefers the refusal to what the model says there.
"""

import json
import math
import random
import re
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from model_prep.crawl.client import Client
from model_prep.crawl.prompts import TextPrompt
from model_prep.crawl.store import LineFormat
from model_prep.errors import UsageError

_TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_HAN = re.compile(r"[\u4e00-\u9fff]")
_RUNS = re.compile(r"[\u4e00-\u9fff]+|[^\W_]+")
_DRAFT = re.compile(
    r"(?:问题|question)\s*[:：]\s*(?P<question>[^\n]+?)\s*\n+\s*(?:答案|answer)\s*[:：]\s*(?P<answer>[^\n]+)",
    re.IGNORECASE,
)
_POINTS_AT_TEXT = re.compile(
    r"资料|(本|上|该|此)文|文中|(这|本)(段|篇)|passage|(the|this) (text|document)", re.IGNORECASE
)
_REFUSES = re.compile(
    r"没有|未提|未说明|无法|不能|不知道|\b(not|no answer|cannot|can't|unknown)\b", re.IGNORECASE
)
_AROUND = " \t\"'“”‘’「」。.；;"
_SHORTEST_PASSAGE = 30
_LONGEST_ANSWER, _LONGEST_QUESTION = 60, 200
"""Characters."""
_KEYS = ("text", "page_content", "content")
"""Of a line of passages, the first that it has."""


@dataclass(frozen=True)
class RefusalPair:
    """A prompt with passages, the answer or refusal that is right, and one that is not.

    Example:
        >>> prompt = [{"role": "user", "content": "…"}]
        >>> pair = RefusalPair(prompt, "唐代。", "宋代。", kind="answerable", passage="1")
        >>> PAIRS.read(json.loads(pair.line())) == pair
        True
    """

    prompt: list[dict[str, str]]
    chosen: str
    rejected: str
    kind: str
    """answerable or near-miss."""
    passage: str
    """A hash of the passage that the question was drafted from."""

    def line(self) -> str:
        """Return the pair as a line of JSONL."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def _read_pair(value: dict[str, Any]) -> RefusalPair | None:
    try:
        return RefusalPair(**value)
    except TypeError:
        return None


PAIRS = LineFormat(_read_pair, b'{"prompt": [', "pair of this command")


class Passages:
    """The passages of an index, as `rag-app docs passages` writes them.

    Args:
        texts: One each.

    Example:
        >>> passages = Passages(["李白是唐代的诗人。", "李白喜欢喝酒。", "洗衣机保修三年。"])
        >>> passages.near_miss("李白是哪个朝代的诗人？", "唐代")
        '李白喜欢喝酒。'
    """

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self._terms = [_terms(text) for text in texts]
        counts = Counter(term for terms in self._terms for term in terms)
        self._weights = {term: math.log(1 + len(texts) / count) for term, count in counts.items()}

    def near_miss(self, question: str, answer: str) -> str | None:
        """Return the passage nearest to a question that does not hold its answer."""
        asked = _terms(question)
        scores = {
            number: sum(self._weights[term] for term in asked & terms)
            for number, (text, terms) in enumerate(zip(self.texts, self._terms, strict=True))
            if answer.lower() not in text.lower()
        }
        best = max(scores, key=lambda number: scores[number], default=None)
        return None if best is None else self.texts[best]


def _terms(text: str) -> set[str]:
    """Return the words of a text, and the pairs of neighbouring Chinese characters."""
    terms: set[str] = set()
    for run in _RUNS.findall(text.lower()):
        terms |= {run[at : at + 2] for at in range(len(run) - 1)} if _HAN.match(run) else {run}
    return terms


def read_passages(file: Path) -> Passages:
    """Read passages, one JSON object with a ``text`` on each line.

    Raises:
        UsageError: the file is missing, is none such, or holds fewer than two.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        values = [json.loads(line) for line in lines if line.strip()]
        found = [next(value[key] for key in _KEYS if key in value) for value in values]
    except (OSError, ValueError, TypeError, StopIteration) as error:
        reason = getattr(error, "strerror", None) or "it is no JSONL with a text on each line"
        msg = f"{file} can't be used ({reason}); make it with: rag-app docs passages {file}"
        raise UsageError(msg) from error
    texts = [text.strip() for text in found if isinstance(text, str)]
    usable = list(dict.fromkeys(text for text in texts if len(text) >= _SHORTEST_PASSAGE))
    if len(usable) < 2:
        msg = f"{file} holds {len(usable)} passages of {_SHORTEST_PASSAGE} characters; index more"
        raise UsageError(msg)
    return Passages(usable)


def drawn(passages: Passages, done: set[str], seed: int | None) -> list[str]:
    """Return the passages that no pair was made of yet, in a random order."""
    left = [text for text in passages.texts if passage_id(text) not in done]
    random.Random(seed).shuffle(left)  # noqa: S311 - a sample, no secret
    return left


def passage_id(text: str) -> str:
    """Return what a passage is known by in the file of pairs."""
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


async def pairs_of(text: str, passages: Passages, client: Client) -> list[RefusalPair] | str:
    """Return the pairs of a question that the model drafts about a passage, or why there are none.

    Raises:
        CrawlError: as `Client.ask` raises it.
    """
    texts = _TEXTS["zh" if _HAN.search(text) else "en"]
    reply = await client.ask(TextPrompt(_messages(texts, "draft", context=text)))
    found = _DRAFT.search(reply or "")
    if found is None:
        return "draft in another form"
    question, answer = found["question"].strip(), found["answer"].strip(_AROUND)
    if fault := _fault(question, answer, text):
        return fault
    refusal, known = texts["refusal"], passage_id(text)
    prompt = _messages(texts, "answer", context=text, question=question)
    pairs = [RefusalPair(prompt, answer, refusal, "answerable", known)]
    other = passages.near_miss(question, answer)
    if other is not None:
        prompt = _messages(texts, "answer", context=other, question=question)
        said = " ".join((await client.ask(TextPrompt(prompt)) or "").split())
        # What refuses already teaches nothing; the answer that stands elsewhere is invented here.
        invented = answer if not said or _REFUSES.search(said) else said
        pairs.append(RefusalPair(prompt, refusal, invented, "near-miss", known))
    return pairs


def _messages(texts: dict[str, str], name: str, **values: str) -> list[dict[str, str]]:
    content = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], texts[name].strip())
    return [
        {"role": "system", "content": texts["system"]},
        {"role": "user", "content": content},
    ]


def _fault(question: str, answer: str, text: str) -> str:
    """Return what is wrong with a draft; empty if nothing."""
    if not answer or answer not in text:
        return "answer not in the passage"
    if len(answer) > _LONGEST_ANSWER or len(question) > _LONGEST_QUESTION:
        return "too long"
    if len(question) < 4 or answer in question:
        return "question holds its answer, or is too short"
    return "question points at the text" if _POINTS_AT_TEXT.search(question) else ""
