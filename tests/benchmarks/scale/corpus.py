"""A corpus of any size: real passages, and news varied by seeded templates around them.

The vectors of real passages and questions are the default model's; a varied passage's lies between
those of two real ones and a little aside, as its text tells, so that it costs no model.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, normalized
from rag_app.models.registry import load_embeddings
from rag_app.settings import DEFAULTS
from tests.benchmarks.corpora import read_squad

PASSAGES_OF_A_DOCUMENT = 10
_NEWS = 192
"""Passages of news that are embedded; texts are varied from all."""
_NOISE = 0.25
"""Length of what is added to a varied passage's vector, of length 1."""
_NOISES = 4096
_AT_ONCE = 64
_SENTENCES = re.compile(r"[^。！？]*[。！？]?")
_NUMBERS = re.compile(r"\d+")
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_FIRST, _LAST = 0x4E00, 0x8FA0
"""Han characters that names are made of."""
_TEMPLATES = (
    "{name}于{year}年出任{place}{thing}有限公司总经理，工号{code}。",
    "据{place}日报{year}年报道，{name}在{thing}项目中负责第{code}号标段。",
    "{place}市第{code}号文件由{name}签发，涉及{thing}的管理办法。",
)


@dataclass(frozen=True)
class RealTexts:
    """Texts whose vectors the default model makes."""

    passages: list[str]
    """Of CMRC 2018 trial, which its questions are about, then of news."""
    questions: list[str]
    golds: list[int]
    """The passage that answers each question, as its number."""
    news: list[str]
    """Passages of news."""


def read_texts(data: Path) -> RealTexts:
    """Read the passages and questions of the test data."""
    splitter = ChineseTextSplitter()
    passages: list[str] = []
    questions: list[str] = []
    golds: list[int] = []
    for paragraph in read_squad(data / "cmrc2018" / "cmrc2018_trial.json"):
        for question in paragraph.questions[::2]:
            questions.append(question.text)
            golds.append(len(passages))
        passages.append(paragraph.text)
    news = (data / "news" / "news_2023.txt").read_text(encoding="utf-8").splitlines()
    parts = [part for line in news if line.strip() for part in splitter.split_text(line)]
    return RealTexts(passages + parts[:_NEWS], questions, golds, parts)


class Corpus:
    """Documents of ten passages, and questions.

    Args:
        data: The folder of the test data.
        folder: Where the vectors of real texts are kept.
    """

    def __init__(self, data: Path, folder: Path) -> None:
        self.texts = read_texts(data)
        self._file = folder / "real.npy"

    @cached_property
    def vectors(self) -> FloatArray:
        """Those of the real passages, then of the questions: float32 ``[n, dimension]``."""
        if not self._file.exists():
            self._embed()
        return np.asarray(np.load(self._file), np.float32)

    @property
    def passage_vectors(self) -> FloatArray:
        """Of the real passages."""
        return self.vectors[: len(self.texts.passages)]

    @property
    def question_vectors(self) -> FloatArray:
        """Of the questions."""
        return self.vectors[len(self.texts.passages) :]

    def documents(self, passages: int, seed: int = 0) -> Iterator[tuple[str, list[str]]]:
        """Yield name and passages of each document: the real ones first, then varied ones."""
        real = self.texts.passages if not seed else []
        for number in range(-(-passages // PASSAGES_OF_A_DOCUMENT)):
            begin = number * PASSAGES_OF_A_DOCUMENT
            end = min(begin + PASSAGES_OF_A_DOCUMENT, passages)
            chance = random.Random(f"{seed}/{number}")
            texts = [real[i] if i < len(real) else self._varied(chance) for i in range(begin, end)]
            yield f"/news/{seed}/{number // 1000:04}/{number:07}.txt", texts

    def _varied(self, chance: random.Random) -> str:
        first, second = chance.choice(self._sentences), chance.choice(self._sentences)
        kept = [part for part in first if chance.random() < 0.7]
        kept += [part for part in second if chance.random() < 0.3]
        text = _NUMBERS.sub(lambda found: str(chance.randrange(10 ** len(found[0]))), "".join(kept))
        return text[:500] + chance.choice(_TEMPLATES).format(
            name=chance.choice(_SURNAMES) + _han(chance, 2),
            place=_han(chance, 2),
            thing=_han(chance, 2),
            year=chance.randrange(1950, 2030),
            code=chance.randrange(10**6),
        )

    @cached_property
    def _sentences(self) -> list[list[str]]:
        return [[part for part in _SENTENCES.findall(text) if part] for text in self.texts.news]

    def _embed(self) -> None:
        """Embed in pieces that are kept, so that an interrupted run goes on."""
        model = load_embeddings(DEFAULTS.embedding, threads=1)
        texts, done = self.texts.passages, len(self.texts.passages)
        parts: list[FloatArray] = []
        for begin in range(0, done + len(self.texts.questions), _AT_ONCE):
            piece = self._file.with_name(f"real-{begin:05}.npy")
            if not piece.exists():
                batch = texts[begin : begin + _AT_ONCE]
                rows = [model.embed_array(batch)] if batch else []
                asked = self.texts.questions[max(begin - done, 0) : max(begin + _AT_ONCE - done, 0)]
                rows += [np.array([model.embed_query(text) for text in asked])] if asked else []
                np.save(piece, np.concatenate(rows).astype(np.float32))
            parts.append(np.load(piece))
        np.save(self._file, np.concatenate(parts))


class CorpusEmbeddings(DocumentEmbeddings):
    """The default model's vectors for real texts, and made ones for the rest."""

    name = DEFAULTS.embedding
    fingerprint = "scale"

    def __init__(self, corpus: Corpus) -> None:
        self.real = corpus.passage_vectors
        self.dimension = int(self.real.shape[1])
        rows = corpus.texts.passages + corpus.texts.questions
        self.known = {text: corpus.vectors[row] for row, text in enumerate(rows)}
        noise = np.random.default_rng(0).standard_normal((_NOISES, self.dimension))
        self.noise = normalized(noise.astype(np.float32)) * np.float32(_NOISE)

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Return real or made vectors, float32 ``[len(texts), dimension]``."""
        digests = b"".join(
            hashlib.blake2b(text.encode(), digest_size=20).digest() for text in texts
        )
        seeds = np.frombuffer(digests, "<u4").reshape(-1, 5).astype(np.int64)
        news = self.real[-_NEWS:]
        first, second = news[seeds[:, 0] % len(news)], news[seeds[:, 1] % len(news)]
        share = (seeds[:, 2:3] % 1000 / 2000).astype(np.float32)
        # Two rows of a table, added: 16 million ways aside.
        aside = (
            self.noise[seeds[:, 3] % len(self.noise)] + self.noise[seeds[:, 4] % len(self.noise)]
        )
        made = normalized(first * (1 - share) + second * share + aside * np.float32(0.5**0.5))
        for row, text in enumerate(texts):
            if text in self.known:
                made[row] = self.known[text]
        return made


def _han(chance: random.Random, length: int) -> str:
    return "".join(chr(chance.randrange(_FIRST, _LAST)) for _ in range(length))
