"""The data of a run: files found, tokenized once, and packed into sequences."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_prep.catalog.pull import models_folder
from model_prep.errors import TrainingError
from model_prep.tokenizer.loading import start_of
from model_prep.training.conversations import FORMATS
from model_prep.training.dataset_files import SUFFIXES, Problems, find_files
from model_prep.training.encoding import encode_conversations, encode_texts
from model_prep.training.packing import PackedSequences, make_pairs, make_sequences
from model_prep.training.preference.pairs import PAIR_FORMATS, encode_pairs
from model_prep.training.settings import TrainingSettings
from model_prep.training.token_cache import TokenData, fingerprint, open_data, write_data

_KINDS = {
    "pretrain": (
        (".txt", ".md", *SUFFIXES), "text", encode_texts, 'text files, or JSON with {"text": …}',
    ),
    "sft": (SUFFIXES, "conversations", encode_conversations, f"JSON with {FORMATS}"),
    "prefer": (SUFFIXES, "preference pairs", encode_pairs, f"JSON with {PAIR_FORMATS}"),
}  # fmt: skip
"""For each kind of training: names of files, what they hold, how it is encoded, what is taken."""


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is measured on."""

    train: PackedSequences
    validation: PackedSequences | None
    key: str
    """Changes with the content of the training data and how it is encoded."""
    samples: int
    """Texts, conversations or pairs that were read to train on, and to hold back from it."""


def load_data(settings: TrainingSettings, tokenizer: Any) -> TrainingData:
    """Return the sequences of a run; what is tokenized already is taken from the cache.

    Raises:
        TrainingError: a file is missing, or nothing is left to train on or to measure.
        OutputError, DiskSpaceError: the cache can't be written.
    """
    data = _usable(settings, settings.data, tokenizer)
    split = 0.0 if settings.validation else settings.validation_split
    train, rest = _sequences(settings, data, split)
    validation: PackedSequences | None = rest if len(rest) else None
    if settings.validation:
        validation, _ = _sequences(settings, _usable(settings, settings.validation, tokenizer), 0.0)
    samples = len(data) // 2 if settings.kind == "prefer" else len(data)
    return TrainingData(train, validation, f"{data.folder.name}-{split:g}", samples)


def _sequences(
    settings: TrainingSettings, data: TokenData, split: float
) -> tuple[PackedSequences, PackedSequences]:
    if settings.kind == "prefer":
        return make_pairs(data, validation_split=split, seed=settings.seed)
    return make_sequences(
        data,
        settings.max_length,
        packing=settings.packing,
        validation_split=split,
        seed=settings.seed,
    )


def _usable(settings: TrainingSettings, paths: list[Path], tokenizer: Any) -> TokenData:
    data = tokenized(settings, paths, tokenizer)
    if not len(data):
        problems = data.problems
        count = f"{problems.total:,} problem{'s' if problems.total > 1 else ''}"
        why = f" ({count}: {problems.first[0]})" if problems.first else ""
        takes = _KINDS[settings.kind][-1]
        msg = f"nothing can be used of {', '.join(map(str, paths))}{why}; it takes {takes}"
        raise TrainingError(msg)
    return data


def tokenized(settings: TrainingSettings, paths: list[Path], tokenizer: Any) -> TokenData:
    """Return the samples of files and folders.

    Raises:
        TrainingError: a file is missing.
        OutputError, DiskSpaceError: the cache can't be written.
    """
    suffixes, what, encode, _ = _KINDS[settings.kind]
    files = find_files(paths, suffixes, what)
    key = fingerprint(
        files,
        kind=settings.kind,
        encoding=settings.encoding,
        max_length=settings.max_length,
        tokenizer=_identity(tokenizer),
    )
    folder = (settings.cache_dir or models_folder().parent / "training-data") / key
    data = open_data(folder)
    if not data:  # none, or nothing could be used: a later version may
        problems = Problems()
        samples = encode(files, settings.encoding, tokenizer, settings.max_length, problems)
        data = write_data(folder, samples, problems)
    return data


def _identity(tokenizer: Any) -> str:
    """Return what decides how a tokenizer encodes."""
    from hashlib import sha256

    file = getattr(tokenizer, "vocab_file", None)
    if file and Path(file).is_file():
        content = Path(file).read_bytes()
    else:
        content = tokenizer.backend_tokenizer.to_str().encode()
    begin = tokenizer.bos_token_id if start_of(tokenizer) else None
    special = (begin, tokenizer.eos_token_id, tokenizer.get_added_vocab())
    template = tokenizer.chat_template
    return f"{sha256(content).hexdigest()} {special} {template}"
