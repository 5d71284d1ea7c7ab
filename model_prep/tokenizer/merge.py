"""Extension of LLaMA's tokenizer by Chinese pieces.

The pieces of the Chinese model that LLaMA's hasn't are appended in their order, each with score 0
(Cui, Yang and Yao 2023, arXiv 2304.08177): the ids of the other pieces stay.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_prep.checkpoint.checksums import published_name
from model_prep.errors import TokenizerError, UsageError
from model_prep.output import check_output, output_folder
from model_prep.progress import Progress
from model_prep.tokenizer.loading import MODEL_FILE, save_tokenizer
from model_prep.tokenizer.sample_texts import CHINESE, ENGLISH
from model_prep.tokenizer.sentencepiece_file import (
    NORMAL,
    USER_DEFINED,
    Piece,
    SentencePieceFile,
    parse_sentencepiece,
    read_sentencepiece,
)
from model_prep.tokenizer.train import DEFAULT_VOCAB_SIZE, check_corpus, train_sentencepiece

CHINESE_FILE = "chinese_sp.model"
"""Name of a trained Chinese model in the output folder."""
_SPACE = "▁"  # what pieces have for a space
_OUTPUT_BYTES = 20 * 2**20


@dataclass(frozen=True)
class SampleTokens:
    """Number of tokens that sample texts of one language take."""

    name: str
    characters: int
    before: int
    """Tokens of the tokenizer that was added to."""
    after: int


@dataclass(frozen=True)
class TokenizerMerge:
    """A merged tokenizer and what it was made of."""

    output_dir: Path
    pieces_before: int
    chinese_pieces: int
    appended: int
    """How many Chinese pieces were not there before."""
    added_pieces: tuple[str, ...]
    """The ones that were asked for by name."""
    pieces: int
    first_appended: tuple[str, ...]
    """A few, as an example."""
    sha256: str
    known_as: str | None
    """The published tokenizer of that SHA256."""
    samples: tuple[SampleTokens, ...]


def merge_tokenizer(
    llama_tokenizer: str | Path,
    output_dir: str | Path,
    *,
    chinese_sp_model: str | Path | None = None,
    add_pieces: Sequence[str] = (),
    train_corpus: str | Path | None = None,
    vocab_size: int = DEFAULT_VOCAB_SIZE,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> TokenizerMerge | None:
    """Append Chinese pieces to LLaMA's tokenizer and write the exact tokenizer of the result.

    Args:
        llama_tokenizer: A ``tokenizer.model`` or a folder that holds one.
        output_dir: Must be empty or not exist.
        chinese_sp_model: A SentencePiece model of any algorithm.
        add_pieces: Pieces to append after the Chinese ones, such as ``[PAD]``.
        train_corpus: In place of ``chinese_sp_model``: UTF-8 text to train one on.
        vocab_size: Pieces of the model that is trained.
        dry_run: Check everything, write nothing.
        progress: Told what is being done.

    Returns:
        The merge and a comparison; None of a dry run that would have trained the Chinese model.

    Raises:
        TokenizerError: a model is missing, damaged or of another family, or can't be trained.
        UsageError: no Chinese model or two are named, or a piece to add is there already.
        OutputError, DiskSpaceError: the output can't be written.

    Example:
        >>> chinese = "chinese-llama-lora/tokenizer.model"
        >>> merged = merge_tokenizer("llama-hf", "merged-tokenizer", chinese_sp_model=chinese)
        >>> merged.pieces_before, merged.appended, merged.pieces
        (310, 3, 313)
    """
    if (chinese_sp_model is None) == (train_corpus is None):
        raise UsageError("name either a --chinese-sp-model or a --train-corpus")
    base = _base(Path(llama_tokenizer))
    output_dir = Path(output_dir)
    check_output(output_dir, _OUTPUT_BYTES)
    if train_corpus:
        train_corpus = Path(train_corpus)
        check_corpus(train_corpus, vocab_size)
        if dry_run:
            return None
        with tempfile.TemporaryDirectory() as temporary:
            trained = Path(temporary) / CHINESE_FILE
            train_sentencepiece(train_corpus, trained, vocab_size, progress)
            return _merge(base, trained, output_dir, add_pieces, keep=True)
    assert chinese_sp_model is not None  # noqa: S101 - checked above, for the type checker
    return _merge(base, Path(chinese_sp_model), output_dir, add_pieces, dry_run=dry_run)


def append_pieces(base: SentencePieceFile, chinese: SentencePieceFile) -> bytes:
    """Return the model ``base`` with the pieces of ``chinese`` that it hasn't, each of score 0."""
    have = {piece.text for piece in base.pieces}
    return base.with_pieces(
        Piece(piece.text)
        for piece in chinese.pieces
        if piece.type in (NORMAL, USER_DEFINED) and piece.text not in have
    )


def _base(path: Path) -> SentencePieceFile:
    file = path / MODEL_FILE if path.is_dir() else path
    model = read_sentencepiece(file)
    if not model.is_llama:
        msg = f"{file} is a SentencePiece model, but not LLaMA's; name LLaMA's tokenizer.model"
        raise TokenizerError(msg)
    return model


def _merge(
    base: SentencePieceFile,
    chinese_file: Path,
    output_dir: Path,
    add_pieces: Sequence[str],
    *,
    keep: bool = False,
    dry_run: bool = False,
) -> TokenizerMerge:
    chinese = read_sentencepiece(chinese_file)
    merged = parse_sentencepiece(append_pieces(base, chinese))
    appended = merged.pieces[len(base.pieces) :]
    data = _with_named(merged, add_pieces)
    if not dry_run:
        with output_folder(output_dir, _OUTPUT_BYTES) as folder:
            model = folder / MODEL_FILE
            model.write_bytes(data)
            save_tokenizer(model, folder)
            if keep:
                (folder / CHINESE_FILE).write_bytes(chinese.data)
    digest = hashlib.sha256(data).hexdigest()
    return TokenizerMerge(
        output_dir=output_dir,
        pieces_before=len(base.pieces),
        chinese_pieces=len(chinese.pieces),
        appended=len(appended),
        added_pieces=tuple(add_pieces),
        pieces=len(merged.pieces) + len(add_pieces),
        first_appended=tuple(piece.text for piece in appended[:8]),
        sha256=digest,
        known_as=published_name(digest),
        samples=_compare(base.data, data),
    )


def _with_named(model: SentencePieceFile, names: Sequence[str]) -> bytes:
    have = {piece.text for piece in model.pieces}
    for name in names:
        if not name:
            raise UsageError("--add-piece needs a text")
        if " " in name:
            msg = f"--add-piece {name!r} has a space, which no piece has; write {_SPACE} for it"
            raise UsageError(msg)
        if name in have:
            raise UsageError(f"--add-piece {name!r} is a piece already; leave it out")
        have.add(name)
    return model.with_pieces(Piece(name) for name in names)


def _compare(before: bytes, after: bytes) -> tuple[SampleTokens, ...]:
    from sentencepiece import SentencePieceProcessor

    models = [SentencePieceProcessor(model_proto=data) for data in (before, after)]

    def sample(name: str, lines: Sequence[str]) -> SampleTokens:
        counts = (sum(map(len, model.encode(list(lines)))) for model in models)
        return SampleTokens(name, sum(map(len, lines)), *counts)

    return sample("Chinese", CHINESE), sample("English", ENGLISH)
