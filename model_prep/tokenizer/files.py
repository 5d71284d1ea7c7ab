"""Tokenizer files of a model's or an adapter's folder: finding and copying."""

import shutil
from pathlib import Path

from model_prep.tokenizer.loading import (
    ALPACA_TEMPLATE,
    MODEL_FILE,
    load_tokenizer,
    save_tokenizer,
)
from model_prep.tokenizer.sentencepiece_file import read_sentencepiece

_PAD = "[PAD]"
_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "chat_template.jinja", MODEL_FILE),
)


def find_tokenizer(folder: Path) -> Path | None:
    """Return the tokenizer's file, SentencePiece's where there is one.

    Meta keeps it in the folder above that of the weights.
    """
    files = [folder / name for name in (MODEL_FILE, "tokenizer.json")]
    if (folder / "params.json").is_file():
        files.append(folder.parent / MODEL_FILE)
    return next((file for file in files if file.is_file()), None)


def pad_token_id(file: Path) -> int | None:
    """Return the id of ``[PAD]`` where it is the last piece of the family's tokenizer.

    It is in Chinese-Alpaca, which was trained on Alpaca's prompts, and nowhere before it.
    """
    if file.name != MODEL_FILE:
        return None
    model = read_sentencepiece(file)
    return len(model.pieces) - 1 if model.is_llama and model.pieces[-1].text == _PAD else None


def write_tokenizer(file: Path, folder: Path) -> None:
    """Put a tokenizer into a folder: the exact one where it is of the LLaMA family.

    One with ``[PAD]`` gets Alpaca's chat template, unless it has a template of its own.

    Raises:
        TokenizerError: it is damaged.
    """
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    loaded = load_tokenizer(file.parent)
    if isinstance(loaded, ExactLlamaTokenizer):
        alpaca = pad_token_id(file) is not None and not loaded.chat_template
        save_tokenizer(loaded, folder, chat_template=ALPACA_TEMPLATE if alpaca else None)
        return
    for name in _FILES:
        if (there := file.with_name(name)).is_file():
            shutil.copyfile(there, folder / name)
