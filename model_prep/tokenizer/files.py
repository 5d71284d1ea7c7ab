"""Tokenizer files of a model's or an adapter's folder: finding and copying."""

import json
from collections.abc import Sequence
from pathlib import Path

from model_prep.errors import CheckpointError
from model_prep.json_file import read_json, without_mark
from model_prep.tokenizer.loading import (
    ALPACA_TEMPLATE,
    MODEL_FILE,
    default_template,
    load_tokenizer,
    save_tokenizer,
    sentencepiece_of,
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
    if file := sentencepiece_of(folder):
        return file
    files = [folder / "tokenizer.json"]
    if (folder / "params.json").is_file():
        files.append(folder.parent / MODEL_FILE)
    return next((file for file in files if file.is_file()), None)


def choose_tokenizer(folders: Sequence[Path]) -> Path | None:
    """Return the tokenizer's file of the first folder that has one.

    Where that is a ``tokenizer.json`` and a later folder has a ``tokenizer.model`` of the very same
    pieces, it is the latter: transformers saves the former alone, which splits text otherwise.
    """
    files = [file for file in map(find_tokenizer, folders) if file]
    if not files or files[0].name == MODEL_FILE:
        return files[0] if files else None
    same = (file for file in files[1:] if file.name == MODEL_FILE and _same_ids(files[0], file))
    return next(same, files[0])


def _same_ids(fast: Path, slow: Path) -> bool:
    """Return whether a ``tokenizer.json`` has a ``tokenizer.model``'s pieces, and no others."""
    try:
        content = json.loads(fast.read_bytes())
        added = {token["content"]: token["id"] for token in content["added_tokens"]}
        ids = {**content["model"]["vocab"], **added}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    pieces = read_sentencepiece(slow).pieces
    return bool(ids == {piece.text: place for place, piece in enumerate(pieces)})


def chat_template(folder: Path) -> str | None:
    """Return the chat template that is in a tokenizer's folder, Jinja, if there is one.

    Of several it is the one that transformers takes where no tools are offered.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8-sig")
    try:
        template = read_json(folder / "tokenizer_config.json").get("chat_template")
    except CheckpointError:
        return None
    if isinstance(template, list):
        named = [
            entry
            for entry in template
            if isinstance(entry, dict) and entry.get("name") == "default"
        ]
        template = named[0].get("template") if named else None
    return template if isinstance(template, str) else None


def pad_token_id(file: Path) -> int | None:
    """Return the id of ``[PAD]`` where it is the last piece of the family's tokenizer.

    It is in Chinese-Alpaca, which was trained on Alpaca's prompts, and nowhere before it.
    """
    if file.name != MODEL_FILE:
        return None
    model = read_sentencepiece(file)
    return len(model.pieces) - 1 if model.is_llama and model.pieces[-1].text == _PAD else None


def write_tokenizer(file: Path, folder: Path, *, template: str | None = None) -> None:
    """Put a tokenizer into a folder: the exact one where it belongs to the LLaMA family.

    One with ``[PAD]`` gets Alpaca's chat template, unless it has a template of its own.

    Raises:
        TokenizerError: it is damaged.
    """
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    loaded = load_tokenizer(file.parent)
    if isinstance(loaded, ExactLlamaTokenizer):
        own = default_template(loaded)
        alpaca = ALPACA_TEMPLATE if pad_token_id(file) is not None and not own else None
        # Where its own is given, those that are beside it are kept.
        save_tokenizer(loaded, folder, chat_template=alpaca if template == own else template)
        return
    for name in _FILES:
        if (there := file.with_name(name)).is_file():
            # transformers can't read a configuration with a mark; the other files have none.
            content = without_mark(there) if there.suffix != ".model" else there.read_bytes()
            (folder / name).write_bytes(content)
