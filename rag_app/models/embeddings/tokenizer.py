"""Tokenizers of encoders: of a large vocabulary only what the texts at hand can use.

Building the search tree of a quarter of a million pieces takes longer than all else that a question
needs. How unigrams split a text depends on the pieces that occur in it and on the lowest score of
all, so a tokenizer of those alone gives the same tokens.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WHOLE_FROM = 20_000
"""Characters after which the whole tokenizer is built."""
_COMPACT = (",", ":")

Ids = NDArray[np.int64]


class EncoderTokenizer:
    """A ``tokenizer.json``; any number of threads may use it.

    Args:
        file: The tokenizer.

    Attributes:
        unknown: The id of what the vocabulary lacks, None if it has none.
    """

    def __init__(self, file: Path) -> None:
        self._guard = threading.Lock()
        self._characters = 0
        self._whole: Tokenizer | None = None
        self._parts: _UnigramParts | None = None
        self._text = file.read_text(encoding="utf-8")
        spec = json.loads(self._text)
        self.unknown = _unknown(spec)
        if spec["model"].get("type") == "Unigram" and not spec["model"].get("byte_fallback"):
            self._parts = _UnigramParts(spec)

    def ids(self, texts: Sequence[str], limit: int) -> list[Ids]:
        """Return the ids of each text with special tokens, at most ``limit``."""
        tokenizer, originals = self._tokenizer(texts)
        room = limit - tokenizer.num_special_tokens_to_add(False)
        found = []
        for text in texts:
            # Setting a limit while another thread encodes is an error, so texts are cut here.
            encoding = tokenizer.encode(text, add_special_tokens=False)
            encoding.truncate(room)
            ids = np.array(tokenizer.post_process(encoding).ids, np.int64)
            found.append(ids if originals is None else originals[ids])
        return found

    def count(self, text: str) -> int:
        """Return how many tokens ``text`` has with special ones, however long it is."""
        return len(self._tokenizer([text])[0].encode(text).ids)

    def _tokenizer(self, texts: Sequence[str]) -> "tuple[Tokenizer, Ids | None]":
        """Return what splits ``texts``, and which ids its own stand for."""
        with self._guard:
            self._characters += sum(map(len, texts))
            parts = self._parts
            if parts and self._characters < _WHOLE_FROM and not parts.names_special(texts):
                return parts.tokenizer(texts)
            if self._whole is None:
                self._whole = _loaded(self._text)
                self._parts, self._text = None, ""
            return self._whole, None


class _UnigramParts:
    """Unigram tokenizers of some pieces of a vocabulary."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._vocabulary: list[tuple[str, float]] = spec["model"].pop("vocab")
        self._spec = spec
        self._ids = {piece: id_ for id_, (piece, _) in enumerate(self._vocabulary)}
        self._longest = max(map(len, self._ids))
        lowest = min(range(len(self._vocabulary)), key=lambda id_: self._vocabulary[id_][1])
        self._special = [token["content"] for token in spec["added_tokens"]]
        self._always = {lowest, spec["model"]["unk_id"]}
        self._always |= {token["id"] for token in spec["added_tokens"]}
        self._splitter = self._made(sorted(self._always))

    def names_special(self, texts: Iterable[str]) -> bool:
        """Return whether a special token is written out in a text, and would split it."""
        return any(token in text for text in texts for token in self._special)

    def tokenizer(self, texts: Iterable[str]) -> "tuple[Tokenizer, Ids]":
        """Return a tokenizer of the pieces that can occur in ``texts``, and its ids' originals."""
        used = {self._ids[piece] for piece in self._pieces(texts) if piece in self._ids}
        ids = sorted(used | self._always)
        return self._made(ids), np.array(ids, np.int64)

    def _pieces(self, texts: Iterable[str]) -> Iterator[str]:
        splitter: Any = self._splitter
        for text in texts:
            normalized = splitter.normalizer.normalize_str(text) if splitter.normalizer else text
            for word, _ in splitter.pre_tokenizer.pre_tokenize_str(normalized):
                for start in range(len(word)):
                    for end in range(start + 1, min(start + self._longest, len(word)) + 1):
                        yield word[start:end]

    def _made(self, ids: list[int]) -> "Tokenizer":
        own = {id_: position for position, id_ in enumerate(ids)}
        spec = json.loads(json.dumps(self._spec))
        spec["model"]["vocab"] = [self._vocabulary[id_] for id_ in ids]
        spec["model"]["unk_id"] = own[spec["model"]["unk_id"]]
        for token in spec["added_tokens"]:
            token["id"] = own[token["id"]]
        for token in (spec["post_processor"] or {}).get("special_tokens", {}).values():
            token["ids"] = [own[id_] for id_ in token["ids"]]
        return _loaded(json.dumps(spec, separators=_COMPACT))


def _unknown(spec: dict[str, Any]) -> int | None:
    model = spec["model"]
    if model.get("type") == "Unigram":
        found: int | None = model.get("unk_id")
        return found
    added = {token["content"]: token["id"] for token in spec.get("added_tokens") or ()}
    token = model.get("unk_token")
    return model["vocab"].get(token, added.get(token)) if token else None


def _loaded(text: str) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
