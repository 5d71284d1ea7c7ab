"""The file of a SentencePiece model: its pieces, read and added to without loading the model.

Format: the protocol buffer ``ModelProto`` of sentencepiece_model.proto. Field 1 is a piece (1 text,
2 score, 3 type), field 2 how it was trained (3 algorithm, 35 byte fallback), field 3 how text is
normalized (2 character map, 3 whether a space goes first, 4 whether spaces are joined). Bytes that
are not understood stay as they are, so a file that is added to differs in nothing else.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model_prep.errors import TokenizerError

NORMAL = 1
"""The type of a piece of text; others are unknown, control, user-defined, unused, and byte."""
_BPE = 2
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; its id is its place among the pieces."""

    text: str
    score: float = 0.0
    kind: int = NORMAL


@dataclass(frozen=True)
class SentencePieceFile:
    """A SentencePiece model."""

    data: bytes
    """The whole file."""
    pieces: list[Piece]
    end: int
    """Where in ``data`` the last piece ends."""
    is_llama: bool
    """Whether text is encoded as LLaMA's is: BPE with byte fallback, a space first, unchanged."""

    def with_pieces(self, added: Iterable[Piece]) -> bytes:
        """Return the file with more pieces after its own."""
        new = b"".join(_field(1, _piece_bytes(piece)) for piece in added)
        return self.data[: self.end] + new + self.data[self.end :]


def read_sentencepiece(file: Path) -> SentencePieceFile:
    """Read a ``tokenizer.model``.

    Raises:
        TokenizerError: it is missing, damaged, or something else.
    """
    try:
        return parse_sentencepiece(file.read_bytes())
    except OSError as error:
        msg = f"{file} can't be read ({error.strerror}); name a SentencePiece model (*.model)"
        raise TokenizerError(msg) from error
    except (ValueError, IndexError, struct.error) as error:
        msg = f"{file} is damaged or no SentencePiece model; check its size and get it again"
        raise TokenizerError(msg) from error


def parse_sentencepiece(data: bytes) -> SentencePieceFile:
    """Return the model that ``data`` holds.

    Raises:
        ValueError, IndexError, struct.error: it holds none, or not all of one.
    """
    pieces: list[Piece] = []
    last, training, normalizing = 0, b"", b""
    for number, value, end in _fields(data):
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
            last = end
        elif number == 2 and isinstance(value, bytes):
            training = value
        elif number == 3 and isinstance(value, bytes):
            normalizing = value
    if not pieces or not training:
        raise ValueError("no pieces, or not how they were trained")
    trained = {number: value for number, value, _ in _fields(training)}
    normal = {number: value for number, value, _ in _fields(normalizing)}
    is_llama = (trained.get(3, 1), trained.get(35, 0)) == (_BPE, 1) and (
        (normal.get(2, b""), normal.get(3, 1), normal.get(4, 1)) == (b"", 1, 0)
    )
    return SentencePieceFile(data, pieces, last, is_llama)


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, value, _ in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode()
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


def _piece_bytes(piece: Piece) -> bytes:
    # NORMAL is the type of a piece that names none, and the published files name none.
    kind = b"" if piece.kind == NORMAL else b"\x18" + _varint_bytes(piece.kind)
    return _field(1, piece.text.encode()) + b"\x15" + struct.pack("<f", piece.score) + kind


def _field(number: int, value: bytes) -> bytes:
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(len(value)) + value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes, int]]:
    """Yield each field's number and value, and where it ends."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: int | bytes
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            if kind == _BYTES:
                size, at = _varint(data, at)
            elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
                size = 4 if kind == _FOUR_BYTES else 8
            else:
                raise ValueError("no protocol buffer")
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise ValueError("cut off")
        yield key >> 3, value, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and where it ends: seven bits a byte, low first."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
