"""Tokenizers of encoders: of a large vocabulary only what the texts at hand can use.

Building the search tree of a quarter of a million pieces takes longer than all else that a question
needs. How unigrams split a text depends on the pieces that occur in it and on the lowest score of
all, so a tokenizer of those alone gives the same tokens. Reading them all takes as long as a small
file's other work, so they are kept in an SQLite file beside the tokenizer, which is asked for those
of the first texts.
"""

import hashlib
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_prep.output import sync

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WHOLE_FROM = 20_000  # characters after which the whole tokenizer is built
_KEPT_UNTIL = 4_000  # characters up to which the pieces are looked for in their file
_KEPT_VERSION = 1
_COMPACT = (",", ":")

ScoredPiece = tuple[str, float]
"""A piece of the vocabulary and its score."""

Ids = NDArray[np.int64]


class EncoderTokenizer:
    """A ``tokenizer.json``; any number of threads may use it.

    Attributes:
        unknown: The id of what the vocabulary lacks, None if it has none.
    """

    def __init__(self, file: Path) -> None:
        self._guard = threading.Lock()
        self._characters = 0
        self._whole: Tokenizer | None = None
        self._file = file
        self._parts = _kept_parts(file)
        if self._parts is not None:
            self.unknown = _unknown(self._parts.spec)
            return
        spec = json.loads(file.read_text(encoding="utf-8"))
        self.unknown = _unknown(spec)
        if _has_parts(spec):
            self._parts = _listed_parts(spec)
            _keep(file, self._parts)

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

    def _fitting_parts(self, texts: Sequence[str]) -> "_UnigramParts | None":
        """Return what makes a tokenizer for texts; None where the whole one is to be used."""
        if self._parts is None or self._characters >= _WHOLE_FROM:
            return None
        if self._parts.kept and self._characters >= _KEPT_UNTIL:
            self._parts = self._listed()
        return None if self._parts.names_special(texts) else self._parts

    def _listed(self) -> "_UnigramParts":
        """Return the parts of the vocabulary, which is read into memory."""
        return _listed_parts(json.loads(self._file.read_text(encoding="utf-8")))

    def _tokenizer(self, texts: Sequence[str]) -> "tuple[Tokenizer, Ids | None]":
        """Return what splits ``texts``, and which ids its own stand for."""
        with self._guard:
            self._characters += sum(map(len, texts))
            if parts := self._fitting_parts(texts):
                try:
                    return parts.tokenizer(texts)
                except sqlite3.Error:  # the file is damaged
                    self._parts = self._listed()
                    _keep(self._file, self._parts)
                    return self._parts.tokenizer(texts)
            if self._whole is None:
                self._whole = _loaded(self._file.read_text(encoding="utf-8"))
                self._parts = None
            return self._whole, None


class _Pieces(Protocol):
    """A vocabulary that is asked for some of its pieces."""

    def of(self, texts: Iterable[str]) -> dict[int, ScoredPiece]:
        """Return those among some texts, by their ids."""


class _ListedPieces:
    """The vocabulary in memory."""

    def __init__(self, vocabulary: Sequence[ScoredPiece]) -> None:
        self.vocabulary = vocabulary
        self._ids = {piece: id_ for id_, (piece, _) in enumerate(vocabulary)}

    def of(self, texts: Iterable[str]) -> dict[int, ScoredPiece]:
        ids = {self._ids[text] for text in texts if text in self._ids}
        return {id_: self.vocabulary[id_] for id_ in ids}


class _KeptPieces:
    """The vocabulary in a file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        weakref.finalize(self, connection.close)

    def of(self, texts: Iterable[str]) -> dict[int, ScoredPiece]:
        query = (
            "SELECT id, piece, score FROM pieces WHERE piece IN (SELECT value FROM json_each(?))"
        )
        rows = self._connection.execute(query, (json.dumps([*dict.fromkeys(texts)]),))
        return {id_: (piece, score) for id_, piece, score in rows}


class _UnigramParts:
    """Unigram tokenizers of some pieces of a vocabulary."""

    def __init__(
        self, spec: dict[str, Any], pieces: _Pieces, longest: int, always: dict[int, ScoredPiece]
    ) -> None:
        self.spec, self.pieces, self.longest, self.always = spec, pieces, longest, always
        self._special = [token["content"] for token in spec["added_tokens"]]
        self._splitter = self._made(self.always)

    @property
    def kept(self) -> bool:
        """Whether the vocabulary lies in a file."""
        return isinstance(self.pieces, _KeptPieces)

    def names_special(self, texts: Iterable[str]) -> bool:
        """Return whether a special token is written out in a text, and would split it."""
        return any(token in text for text in texts for token in self._special)

    def tokenizer(self, texts: Iterable[str]) -> "tuple[Tokenizer, Ids]":
        """Return a tokenizer of the pieces that can occur in ``texts``, and its ids' originals."""
        found = self.pieces.of(self._candidates(texts)) | self.always
        return self._made(found), np.array(sorted(found), np.int64)

    def _candidates(self, texts: Iterable[str]) -> Iterator[str]:
        splitter: Any = self._splitter
        for text in texts:
            normalized = splitter.normalizer.normalize_str(text) if splitter.normalizer else text
            for word, _ in splitter.pre_tokenizer.pre_tokenize_str(normalized):
                for start in range(len(word)):
                    for end in range(start + 1, min(start + self.longest, len(word)) + 1):
                        yield word[start:end]

    def _made(self, pieces: dict[int, ScoredPiece]) -> "Tokenizer":
        ids = sorted(pieces)
        own = {id_: position for position, id_ in enumerate(ids)}
        spec = json.loads(json.dumps(self.spec))
        spec["model"]["vocab"] = [pieces[id_] for id_ in ids]
        spec["model"]["unk_id"] = own[spec["model"]["unk_id"]]
        for token in spec["added_tokens"]:
            token["id"] = own[token["id"]]
        for token in (spec["post_processor"] or {}).get("special_tokens", {}).values():
            token["ids"] = [own[id_] for id_ in token["ids"]]
        return _loaded(json.dumps(spec, separators=_COMPACT))


def _has_parts(spec: dict[str, Any]) -> bool:
    """Return whether a part of a vocabulary gives the same tokens."""
    model = spec["model"]
    return model.get("type") == "Unigram" and not model.get("byte_fallback")


def _listed_parts(spec: dict[str, Any]) -> _UnigramParts:
    vocabulary: list[ScoredPiece] = [(piece, score) for piece, score in spec["model"].pop("vocab")]
    lowest = min(range(len(vocabulary)), key=lambda id_: vocabulary[id_][1])
    added = {token["id"] for token in spec["added_tokens"]}
    always = {id_: vocabulary[id_] for id_ in {lowest, spec["model"]["unk_id"], *added}}
    longest = max(len(piece) for piece, _ in vocabulary)
    return _UnigramParts(spec, _ListedPieces(vocabulary), longest, always)


def _kept_path(file: Path) -> Path:
    """Return where the vocabulary of a tokenizer is kept; its name has the file's state."""
    status = file.stat()
    state = f"{_KEPT_VERSION} {status.st_size} {status.st_mtime_ns}"
    return file.with_name(f"tokenizer-{hashlib.sha256(state.encode()).hexdigest()[:12]}.sqlite3")


def _kept_parts(file: Path) -> _UnigramParts | None:
    """Return the parts of a vocabulary that is kept, None where none is or it is damaged."""
    path = _kept_path(file)
    if not path.is_file():
        return None
    connection = None
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        (text,) = connection.execute("SELECT value FROM spec").fetchone()
        kept = json.loads(text)
        always = {int(id_): (piece, score) for id_, (piece, score) in kept["always"].items()}
        return _UnigramParts(kept["spec"], _KeptPieces(connection), kept["longest"], always)
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        if connection is not None:
            connection.close()
        with suppress(OSError):
            path.unlink()
        return None


def _keep(file: Path, parts: _UnigramParts) -> None:
    """Keep a vocabulary beside its tokenizer; where that can't be, it is read at each start."""
    assert isinstance(parts.pieces, _ListedPieces)  # noqa: S101 - it was just read
    path = _kept_path(file)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    spec = json.dumps({"spec": parts.spec, "longest": parts.longest, "always": parts.always})
    rows = ((piece, id_, score) for id_, (piece, score) in enumerate(parts.pieces.vocabulary))
    with suppress(OSError, sqlite3.Error, UnicodeError):
        try:
            with closing(sqlite3.connect(new)) as connection, connection:
                connection.execute("CREATE TABLE spec (value TEXT NOT NULL)")
                connection.execute("INSERT INTO spec VALUES (?)", (spec,))
                connection.execute(
                    "CREATE TABLE pieces (piece TEXT PRIMARY KEY, id INTEGER NOT NULL, "
                    "score REAL NOT NULL) WITHOUT ROWID"
                )
                connection.executemany("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)", rows)
            sync(new)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
        for other in file.parent.glob("tokenizer-*.sqlite3"):
            if other != path:
                other.unlink(missing_ok=True)


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
