"""SentencePiece models of the LLaMA family: small ones trained in a second, and the published ones.

The trained ones have what makes exactness hard: byte fallback, appended Chinese pieces that all
have the score 0, as LLaMA's best piece does, and pieces that overlap others and themselves.
"""

import io
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_prep.tokenizer.merge import merge_tokenizer
from model_prep.tokenizer.sample_texts import CHINESE, ENGLISH
from tests.paths import TEST_DATA
from tests.texts import corpus_lines, english_lines

PUBLISHED = TEST_DATA / "tokenizers"


@dataclass(frozen=True)
class Tokenizers:
    """Files of SentencePiece models, each as ``tokenizer.model`` in a folder of its own."""

    llama: Path
    """BPE with byte fallback: LLaMA's own, or like it."""
    chinese: Path
    """Unigram pieces of Chinese text."""
    chinese_llama: Path
    """LLaMA's with the Chinese pieces appended."""
    alpaca: Path
    """That, with ``[PAD]`` appended."""

    @property
    def is_published(self) -> bool:
        return self.llama.parent.name == "published-llama"


def trained_tokenizers(folder: Path) -> Tokenizers:
    """Models of about 1,000 and 4,500 pieces."""
    (folder / "llama").mkdir(parents=True)
    (folder / "chinese").mkdir()
    llama, chinese = folder / "llama/tokenizer.model", folder / "chinese/tokenizer.model"
    english = [*english_lines(), *ENGLISH * 5, *CHINESE[:4]]
    _train(llama, english, "bpe", 1000, byte_fallback=True, split_digits=True)
    laughter = ["哈哈哈哈"] * 20  # a piece that overlaps itself
    _train(chinese, [*corpus_lines(), *CHINESE, *laughter], "unigram", 4000)
    return _merged(folder, llama, chinese)


def published_tokenizers(folder: Path) -> Tokenizers:
    """LLaMA's 32,000 pieces, and Chinese-LLaMA-Alpaca's."""
    (folder / "published-llama").mkdir(parents=True)
    (folder / "chinese").mkdir()
    names = {"llama_tokenizer.model": "published-llama", "chinese_sp.model": "chinese"}
    llama, chinese = (
        Path(shutil.copy(PUBLISHED / name, folder / target / "tokenizer.model"))
        for name, target in names.items()
    )
    return _merged(folder, llama, chinese)


def piece_count(model: Path) -> int:
    """The pieces of a model, by SentencePiece itself."""
    return len(processor(model))


def processor(model: Path) -> Any:
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(model))


def _merged(folder: Path, llama: Path, chinese: Path) -> Tokenizers:
    targets = {folder / "chinese-llama": [], folder / "chinese-alpaca": ["[PAD]"]}
    for target, added in targets.items():
        merge_tokenizer(llama, target, chinese_sp_model=chinese, add_pieces=added)
    return Tokenizers(llama, chinese, *(target / "tokenizer.model" for target in targets))


def _train(file: Path, texts: Iterable[str], kind: str, pieces: int, **options: Any) -> None:
    from sentencepiece import SentencePieceTrainer

    data = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=data,
        model_type=kind,
        vocab_size=pieces,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **options,
    )
    file.write_bytes(data.getvalue())
