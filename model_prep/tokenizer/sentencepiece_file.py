"""Reading of SentencePiece models and appending of pieces, without loading the model.

Format: the protocol buffer ``ModelProto`` of sentencepiece_model.proto. What is not changed is
written as it was, so a file that is added to differs in nothing else.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model_prep.errors import TokenizerError

NORMAL = 1
"""The type of a piece of text; others are unknown, control, user-defined, unused, and byte."""
USER_DEFINED = 4
"""Of a piece that is never split, such as a word that the model's maker named."""
_BPE = 2
_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")
"""The first line: a piece in base 64, and its rank."""


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; its id is its place among the pieces.

    Example:
        >>> Piece("天地")
        Piece(text='天地', score=0.0, type=1)
    """

    text: str
    score: float = 0.0
    type: int = NORMAL


@dataclass(frozen=True)
class SentencePieceFile:
    """A SentencePiece model.

    Example:
        >>> import io, sentencepiece
        >>> trained, text = io.BytesIO(), iter(["ab abc"])
        >>> sentencepiece.SentencePieceTrainer.train(
        ...     sentence_iterator=text, model_writer=trained, vocab_size=8, minloglevel=2
        ... )
        >>> model = parse_sentencepiece(trained.getvalue())
        >>> parse_sentencepiece(model.with_pieces([Piece("天地")])).pieces[-1].text
        '天地'
    """

    data: bytes
    """The whole file."""
    pieces: list[Piece]
    is_llama: bool
    """Whether text is encoded as LLaMA's is: BPE with byte fallback, a space first, unchanged."""

    def with_pieces(self, added: Iterable[Piece]) -> bytes:
        """Return the file with more pieces after its own."""
        from sentencepiece.sentencepiece_model_pb2 import ModelProto

        model = ModelProto.FromString(self.data)
        for piece in added:
            # NORMAL is the type of a piece that names none, and the published files name none.
            own_type = {} if piece.type == NORMAL else {"type": piece.type}
            model.pieces.add(piece=piece.text, score=piece.score, **own_type)
        data: bytes = model.SerializeToString()
        return data


def read_sentencepiece(file: Path) -> SentencePieceFile:
    """Read a ``tokenizer.model``.

    Raises:
        TokenizerError: it is missing, damaged, or something else.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        msg = f"{file} can't be read ({error.strerror}); name a SentencePiece model (*.model)"
        raise TokenizerError(msg) from error
    try:
        return parse_sentencepiece(data)
    except ValueError as error:
        if _TIKTOKEN.match(data):
            raise TokenizerError(
                f"{file} is tiktoken's, as LLaMA 3 has it, which is not read; get the model as "
                "Hugging Face has it"
            ) from error
        msg = f"{file} is damaged or not a SentencePiece model; check its size and get it again"
        raise TokenizerError(msg) from error


def parse_sentencepiece(data: bytes) -> SentencePieceFile:
    """Return the model that ``data`` holds.

    Raises:
        ValueError: it holds no model, or only a part of one.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise ValueError("no protocol buffer, or cut off") from error
    pieces = [Piece(piece.piece, piece.score, piece.type) for piece in model.pieces]
    if any(isinstance(piece.text, bytes) for piece in pieces):  # what is not UTF-8 stays bytes
        raise ValueError("a piece is not text")
    if not pieces or not model.HasField("trainer_spec"):
        raise ValueError("no pieces, or not how they were trained")
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    is_llama = (
        (trainer.model_type == _BPE and trainer.byte_fallback)
        and (normalizer.add_dummy_prefix and not normalizer.remove_extra_whitespaces)
        and not normalizer.precompiled_charsmap
    )
    return SentencePieceFile(data, pieces, is_llama)
