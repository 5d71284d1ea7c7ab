"""Preference pairs that teach a model to answer from passages, and to refuse where they don't.

In the manner of Trust-Align (Song et al. 2024, arXiv 2409.11242): of each question that a model
drafts about a passage, one pair prefers the passage's own words to a refusal; another one, with the
nearest passage that does not hold them, prefers the refusal to what the model says there. Questions
of one's own, with and without an answer in the passages, take the place of drafts.
"""

import json
import math
import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from model_prep.crawl.client import Client
from model_prep.crawl.prompts import TextPrompt
from model_prep.crawl.store import LineFormat
from model_prep.errors import UsageError

_TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_HAN = re.compile(r"[\u4e00-\u9fff]")
_RUNS = re.compile(rf"{_HAN.pattern}+|[^\W_]+")
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
"""Keys of a line's passage; the first that it has counts."""


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
    """A hash of the passage that the question was drafted from, or of a question of one's own."""

    def line(self) -> str:
        """Return the pair as a line of JSONL."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def _read_pair(value: dict[str, Any]) -> RefusalPair | None:
    try:
        return RefusalPair(**value)
    except TypeError:
        return None


@dataclass(frozen=True)
class OwnQuestion:
    """A question of one's own.

    Example:
        >>> OwnQuestion("李白的字是什么？", ("太白",)).answers
        ('太白',)
    """

    text: str
    answers: tuple[str, ...]
    """As passages write them; none where the passages do not answer."""


_Drawn = TypeVar("_Drawn")

PAIRS = LineFormat(_read_pair, b'{"prompt": [', "a pair of this command")


class Passages:
    """The passages of an index, as `rag-app docs passages` writes them.

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

    def near_miss(self, question: str, *answers: str) -> str | None:
        """Return the passage nearest to a question that holds none of its answers."""
        return self._nearest(question, lambda text: not _held(answers, text))

    def answering(self, question: str, *answers: str) -> str | None:
        """Return the passage nearest to a question that holds one of its answers."""
        return self._nearest(question, lambda text: bool(_held(answers, text)))

    def _nearest(self, question: str, fits: Callable[[str], bool]) -> str | None:
        asked = _terms(question)
        scores = {
            text: sum(self._weights[term] for term in asked & terms)
            for text, terms in zip(self.texts, self._terms, strict=True)
            if fits(text)
        }
        return max(scores, key=lambda text: scores[text], default=None)


def _held(answers: Iterable[str], text: str) -> str | None:
    """Return the first of some answers that a text holds."""
    return next((answer for answer in answers if answer.lower() in text.lower()), None)


def _terms(text: str) -> set[str]:
    """Return the words of a text, and the pairs of neighbouring Chinese characters."""
    terms: set[str] = set()
    for run in _RUNS.findall(text.lower()):
        terms |= {run[at : at + 2] for at in range(len(run) - 1)} if _HAN.match(run) else {run}
    return terms


def read_passages(file: Path) -> Passages:
    """Read passages, one JSON object with a ``text`` on each line.

    Raises:
        UsageError: the file is missing or of another format, or holds fewer than two.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        values = [json.loads(line) for line in lines if line.strip()]
        found = [next(value[key] for key in _KEYS if key in value) for value in values]
    except (OSError, ValueError, TypeError, StopIteration) as error:
        reason = getattr(error, "strerror", None) or "it is not JSONL with a text on each line"
        msg = f"{file} can't be used ({reason}); make it with: rag-app docs passages {file}"
        raise UsageError(msg) from error
    texts = [text.strip() for text in found if isinstance(text, str)]
    usable = list(dict.fromkeys(text for text in texts if len(text) >= _SHORTEST_PASSAGE))
    if len(usable) < 2:
        msg = f"{file} holds {len(usable)} passages of {_SHORTEST_PASSAGE} characters; index more"
        raise UsageError(msg)
    return Passages(usable)


def read_own_questions(file: Path, split: str | None) -> list[OwnQuestion]:
    """Read questions as ``rag-app eval`` takes them: JSON objects, one on each line.

    Args:
        file: ``question``, ``answers`` or ``answer``, ``answerable``, ``split``.
        split: Only the questions of this one.

    Raises:
        UsageError: the file is missing or of another format, or has none of the split.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        values = [json.loads(line) for line in lines if line.strip()]
        found = [_own(value) for value in values if split is None or value["split"] == split]
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSONL of questions"
        msg = f"{file} can't be used ({reason}); draft one with: rag-app eval --make {file}"
        raise UsageError(msg) from error
    if not found:
        raise UsageError(f"{file} has no question" + (f" of the split {split}" if split else ""))
    return found


def _own(value: dict[str, Any]) -> OwnQuestion:
    answers = value["answers"] if "answers" in value else [value["answer"]]
    if not all(isinstance(text, str) for text in [value["question"], *answers]):
        raise TypeError("neither question nor answers")
    answerable = value.get("answerable", True)
    return OwnQuestion(value["question"], tuple(filter(None, answers)) if answerable else ())


def drawn(passages: Passages, done: set[str], seed: int | None) -> list[str]:
    """Return the passages that no pair was made of yet, in a random order."""
    return _shuffled([text for text in passages.texts if known_as(text) not in done], seed)


def drawn_questions(
    questions: list[OwnQuestion], done: set[str], seed: int | None
) -> list[OwnQuestion]:
    """Return the questions that no pair was made of yet, in a random order."""
    return _shuffled([own for own in questions if known_as(own.text) not in done], seed)


def _shuffled(values: list[_Drawn], seed: int | None) -> list[_Drawn]:
    random.Random(seed).shuffle(values)  # noqa: S311 - a sample, no secret
    return values


def known_as(text: str) -> str:
    """Return what a passage or question is known by in the file of pairs."""
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


async def pairs_of(text: str, passages: Passages, client: Client) -> list[RefusalPair] | str:
    """Return the pairs of a question that the model drafts about a passage, or why there are none.

    Raises:
        CrawlError: as `Client.ask` raises it.
    """
    texts = _TEXTS[_language(text)]
    reply = await client.ask(TextPrompt(_messages(texts, "draft", context=text)))
    found = _DRAFT.search(reply or "")
    if found is None:
        return "draft in another form"
    question, answer = found["question"].strip(), found["answer"].strip(_AROUND)
    if fault := _fault(question, answer, text):
        return fault
    known = known_as(text)
    near = await _near_miss(OwnQuestion(question, (answer,)), known, passages, client)
    return [_answerable(question, answer, text, known), *near]


async def pairs_about(
    own: OwnQuestion, passages: Passages, client: Client
) -> list[RefusalPair] | str:
    """Return the pairs of a question of one's own, or why there are none.

    Raises:
        CrawlError: as `Client.ask` raises it.
    """
    known, pairs = known_as(own.text), list[RefusalPair]()
    if own.answers:
        text = passages.answering(own.text, *own.answers)
        answer = _held(own.answers, text or "")
        if text is None or answer is None:
            return "answer in no passage"
        if _language(text) != _language(own.text):
            return "question in another language than its passage"
        pairs.append(_answerable(own.text, answer, text, known))
    pairs += await _near_miss(own, known, passages, client)
    return pairs or "refused already"


def _answerable(question: str, answer: str, text: str, known: str) -> RefusalPair:
    texts = _TEXTS[_language(question)]
    prompt = _messages(texts, "answer", context=text, question=question)
    return RefusalPair(prompt, answer, texts["refusal"], "answerable", known)


async def _near_miss(
    own: OwnQuestion, known: str, passages: Passages, client: Client
) -> list[RefusalPair]:
    """Return the pair about the nearest passage that does not answer; none where nothing is wrong.

    What refuses already teaches nothing; an answer that is not in the passage is invented.
    """
    other = passages.near_miss(own.text, *own.answers)
    if other is None:
        return []
    texts = _TEXTS[_language(own.text)]
    prompt = _messages(texts, "answer", context=other, question=own.text)
    said = " ".join((await client.ask(TextPrompt(prompt)) or "").split())
    invented = next(iter(own.answers), None) if not said or _REFUSES.search(said) else said
    if invented is None:
        return []
    return [RefusalPair(prompt, texts["refusal"], invented, "near-miss", known)]


def _language(text: str) -> str:
    return "zh" if _HAN.search(text) else "en"


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
