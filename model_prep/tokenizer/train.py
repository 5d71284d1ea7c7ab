"""Training of a Chinese SentencePiece model."""

import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from model_prep.errors import TokenizerError, UsageError
from model_prep.progress import Progress

DEFAULT_VOCAB_SIZE = 20_000
_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?\n]?")
_MAX_CHARACTERS = 1000  # of a sentence; SentencePiece leaves out those of more than 4,192 bytes
_MAX_SENTENCES = 10_000_000  # drawn at random, so that the memory does not depend on the corpus


def check_corpus(corpus: Path, vocab_size: int) -> None:
    """Check that there is text to train on.

    Raises:
        TokenizerError: the file is missing, empty, or not UTF-8 at its beginning.
        UsageError: ``vocab_size`` makes no sense.
    """
    if vocab_size < 1:
        raise UsageError(f"--vocab-size takes a number of pieces, such as 20000, not {vocab_size}")
    try:
        with corpus.open(encoding="utf-8-sig") as file:
            if not file.read(1000).strip():
                raise TokenizerError(f"{corpus} has no text; name a UTF-8 text file")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(corpus, error) from error


def train_sentencepiece(
    corpus: Path, target: Path, vocab_size: int, progress: Progress | None = None
) -> None:
    """Train a unigram model, as the family's Chinese one was, and write it to ``target``.

    Args:
        corpus: UTF-8 text; it is split at the ends of sentences.
        target: The model's file.
        vocab_size: Pieces; more than the corpus supports is an error, which names the limit.
        progress: Told how much of the corpus is read.

    Raises:
        TokenizerError: the corpus can't be read, or is too small or too large for ``vocab_size``.
    """
    from sentencepiece import SentencePieceTrainer

    model, failures = io.BytesIO(), list[Exception]()

    def train() -> None:
        try:
            SentencePieceTrainer.train(
                sentence_iterator=_sentences(corpus, progress or (lambda *_: None), failures),
                model_writer=model,
                model_type="unigram",
                vocab_size=vocab_size,
                character_coverage=0.9995,
                input_sentence_size=_MAX_SENTENCES,
                shuffle_input_sentence=True,
                num_threads=os.cpu_count() or 1,
                minloglevel=2,
            )
        except Exception as error:
            failures.append(error)

    # In another thread, so that Ctrl-C does not have to wait for the end.
    worker = threading.Thread(target=train, name="train", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(0.2)
    if failures:
        raise _failure(corpus, failures[0])
    target.write_bytes(model.getvalue())


def _sentences(corpus: Path, progress: Progress, failures: list[Exception]) -> Iterator[str]:
    size, done = corpus.stat().st_size, 0
    try:
        with corpus.open(encoding="utf-8-sig", newline="\n") as file:
            while line := file.readline(2**20):
                yield from _parts(line)
                done += len(line.encode())
                progress(f"reading {corpus.name}", done, size)
    except (OSError, UnicodeDecodeError) as error:
        failures.append(error)  # SentencePiece would swallow it
    progress("training a SentencePiece model", 0, 0)


def _parts(line: str) -> Iterator[str]:
    for match in _SENTENCE.finditer(line):
        sentence = match[0].strip()
        for at in range(0, len(sentence), _MAX_CHARACTERS):
            yield sentence[at : at + _MAX_CHARACTERS]


def _failure(corpus: Path, error: Exception) -> TokenizerError:
    if isinstance(error, OSError | UnicodeDecodeError):
        return _unreadable(corpus, error)
    reason = str(error).strip().splitlines()[0].split("] ")[-1].split(" or decrease")[0].strip(".")
    return TokenizerError(
        f"no SentencePiece model can be trained on {corpus} ({reason}); change --vocab-size, or "
        "give more text"
    )


def _unreadable(corpus: Path, error: OSError | UnicodeDecodeError) -> TokenizerError:
    if isinstance(error, UnicodeDecodeError):
        return TokenizerError(f"{corpus} is not UTF-8 text; convert it first")
    return TokenizerError(f"{corpus} can't be read ({error.strerror}); name a UTF-8 text file")
