"""Tokenizers as llama.cpp holds them: tokens, types, scores or merges, in the order of the ids.

Of SentencePiece: llama.cpp joins pieces as its BPE does, the best score first, and the leftmost of
two that are equal. So the scores go over as they are, and the text is split alike, ties included.

Of Qwen: llama.cpp does not compose characters first (NFC), as Qwen2's own tokenizer does; text
typed in Chinese or English is composed already.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import ExportError, TokenizerError, first_line
from model_prep.json_file import optional_json, readable_folder, without_mark
from model_prep.llama.architecture import ModelConfig
from model_prep.tokenizer.files import chat_template
from model_prep.tokenizer.loading import added_to_texts, added_tokens, sentencepiece_of, unused_pads
from model_prep.tokenizer.sentencepiece_file import read_sentencepiece

if TYPE_CHECKING:
    from gguf import GGUFWriter

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What text is cut by before merging; llama.cpp knows it as ``qwen2``."""
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
"""LLaMA 3's, of which three digits stay together; llama.cpp's ``llama-bpe``."""
_SPLITS = {QWEN2_SPLIT: ("qwen2", False), LLAMA3_SPLIT: ("llama-bpe", True)}
"""llama.cpp's name of a split, and whether it takes words of the vocabulary unmerged there."""
_NOT_LEGACY = (
    "after a special token llama.cpp begins text with a space, and this tokenizer (legacy: false) "
    "does not: chats are split a little otherwise"
)
_MORE_SPECIAL = "additional_special_tokens"
_ADDED_SCORE = -1000.0  # llama.cpp's of a token that no merge makes


@dataclass(frozen=True)
class Vocabulary:
    """The values of the GGUF keys ``tokenizer.*``."""

    model: str
    """``llama`` or ``gpt2``."""
    pre: str
    """How text is cut first."""
    tokens: list[str]
    types: list[int]
    """`gguf.TokenType`."""
    special_token_ids: dict[str, int]
    """By ``bos``, ``eos``, ``unk`` and ``pad``."""
    add_special_token: dict[str, bool]
    """Whether ``bos`` and ``eos`` are put around a text."""
    chat_template: Any
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    """In what llama.cpp splits text otherwise, a line each."""

    def add_to(self, writer: "GGUFWriter") -> None:
        """Set the keys of a GGUF file."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list([token.encode() for token in self.tokens])
        writer.add_token_types(self.types)
        if self.scores:
            writer.add_token_scores(self.scores)
            writer.add_add_space_prefix(True)
        if self.merges:
            writer.add_token_merges(self.merges)
        for name, token_id in self.special_token_ids.items():
            getattr(writer, f"add_{name}_token_id")(token_id)
        for name, added in self.add_special_token.items():
            getattr(writer, f"add_add_{name}_token")(added)
        if self.chat_template:
            writer.add_chat_template(self.chat_template)


def read_vocabulary(folder: Path, config: ModelConfig) -> Vocabulary:
    """Read the tokenizer of a Hugging Face folder.

    Args:
        folder: The model's folder.
        config: The model's; rows past the last token become tokens that no text has.

    Raises:
        TokenizerError: the tokenizer is missing or damaged.
        ExportError: it has more tokens than the model rows, or is of a kind that llama.cpp would
            not split text alike with.
    """
    listed = (folder / "tokenizer.json").is_file() and sentencepiece_of(folder) is None
    if config.model_type.startswith("qwen") or listed:
        return read_bpe_vocabulary(folder, config.vocab_size)
    return read_llama_vocabulary(folder, config.vocab_size)


def read_llama_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the ``tokenizer.model`` and chat template of a Hugging Face folder.

    Args:
        folder: The model's folder.
        rows: Rows of the embeddings; those past the last piece become tokens that no text has.

    Raises:
        TokenizerError: the tokenizer is missing or damaged.
        ExportError: it has more pieces than ``rows``, or is of a kind that llama.cpp would not
            split text alike with.
    """
    from gguf import TokenType

    file = folder / "tokenizer.model"
    model = read_sentencepiece(file)
    if not model.is_llama:
        raise ExportError(
            f"{file} is not of LLaMA's kind (BPE with bytes for what is unknown, text unchanged), "
            "and llama.cpp would not split text as it does; so it was not exported"
        )
    added = added_tokens(folder)
    count = max([len(model.pieces) - 1, *added]) + 1
    _require_rows(file, count - unused_pads(file), rows)
    # SentencePiece and GGUF number types alike.
    pieces = [(piece.text, piece.type, piece.score) for piece in model.pieces]
    pieces += [
        (f"<unused {number}>", int(TokenType.UNUSED), 0.0) for number in range(len(pieces), rows)
    ]
    special = _special_ids(folder)
    for token_id, text in added.items():
        if token_id < rows and pieces[token_id][0] != text:
            kind = TokenType.CONTROL if token_id in special else TokenType.USER_DEFINED
            pieces[token_id] = (text, int(kind), _ADDED_SCORE)
    tokens = [text for text, _, _ in pieces]
    names = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "[PAD]"} | _named(folder)
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tokens,
        types=[kind for _, kind, _ in pieces],
        scores=[score for _, _, score in pieces],
        special_token_ids={
            name: tokens.index(token) for name, token in names.items() if token in tokens
        },
        # After a prompt `</s>` would be the end, whatever was put after texts in training.
        add_special_token={"bos": added_to_texts(folder)[0], "eos": False},
        chat_template=chat_template(folder),
        notes=(_NOT_LEGACY,) if _tokenizer_config(folder).get("legacy") is False else (),
    )


def _special_ids(folder: Path) -> set[int]:
    """Return the ids of added tokens that are control tokens and no text."""
    config, older = _tokenizer_config(folder), optional_json(folder / "special_tokens_map.json")
    newer = config.get("added_tokens_decoder") or {}
    special = {int(token_id) for token_id, token in newer.items() if token.get("special")}
    # Of transformers before 4.34, whose folders have no such decoder.
    listed = [token for file in (config, older) for token in file.get(_MORE_SPECIAL) or ()]
    named = {*_named(folder).values(), *filter(None, map(_content, listed))}
    return special | {token_id for token_id, text in added_tokens(folder).items() if text in named}


def _content(token: Any) -> str | None:
    """Return the text of a token as transformers writes one, with its properties or without."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _named(folder: Path) -> dict[str, str]:
    """Return the tokens that a tokenizer's configuration calls ``bos``, ``eos`` and so on."""
    config = _tokenizer_config(folder)
    named = {}
    for name in ("bos", "eos", "pad"):
        if text := _content(config.get(f"{name}_token")):
            named[name] = text
    return named


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    return optional_json(folder / "tokenizer_config.json")


def read_bpe_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the ``tokenizer.json`` and chat template of a Qwen or LLaMA 3.

    Args:
        folder: The model's folder.
        rows: Rows of the embeddings; those that no token has become tokens that no text has.

    Raises:
        TokenizerError: it is missing or damaged.
        ExportError: it has more tokens than ``rows``, or llama.cpp would split text otherwise.
    """
    from gguf import SpecialVocab, TokenType

    file = folder / "tokenizer.json"
    try:
        content = json.loads(file.read_bytes())
        added: list[dict[str, Any]] = content["added_tokens"]
        ids = {**content["model"]["vocab"], **{token["content"]: token["id"] for token in added}}
        tokens = {token_id: token for token, token_id in ids.items()}
        splitter = content.get("pre_tokenizer") or {}
        steps = splitter.get("pretokenizers") or [splitter]
        splits = [step.get("pattern", {}).get("Regex") for step in steps]
        count = max(tokens) + 1
        known = next(filter(None, map(_SPLITS.get, splits)), None)
        unmerged = bool(content["model"].get("ignore_merges"))
        kind = content["model"]["type"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{file} is missing or damaged; put the model's own tokenizer there"
        raise TokenizerError(msg) from error
    if kind != "BPE" or known is None or known[1] != unmerged:
        raise ExportError(
            f"{file} is not Qwen2's or LLaMA 3's, and llama.cpp would split text otherwise; it was "
            "not exported"
        )
    pre, _ = known
    _require_rows(file, count, rows)
    types = dict.fromkeys(tokens, TokenType.NORMAL) | {
        token["id"]: TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
        for token in added
    }
    special = SpecialVocab(
        readable_folder(folder),
        load_merges=True,
        special_token_types=("bos", "eos", "unk", "pad"),
        n_vocab=rows,
    )
    adds_start = _first_id(file) == special.special_token_ids.get("bos")
    return Vocabulary(
        model="gpt2",
        pre=pre,
        tokens=[tokens.get(token_id, f"[PAD{token_id}]") for token_id in range(rows)],
        types=[int(types.get(token_id, TokenType.UNUSED)) for token_id in range(rows)],
        special_token_ids=special.special_token_ids,
        add_special_token={**special.add_special_token, "bos": adds_start},
        chat_template=special.chat_template,
        merges=special.merges,
    )


def _first_id(file: Path) -> int:
    """Return the id that a ``tokenizer.json`` begins a text with.

    Raises:
        TokenizerError: it can't be loaded.
    """
    from tokenizers import Tokenizer

    try:
        ids: list[int] = Tokenizer.from_str(without_mark(file).decode()).encode("a").ids
        return ids[0]
    except Exception as error:  # the library raises nothing narrower
        msg = f"{file} can't be loaded ({first_line(error)}); put the model's own tokenizer there"
        raise TokenizerError(msg) from error


def _require_rows(file: Path, count: int, rows: int) -> None:
    if count > rows:
        raise ExportError(
            f"{file} has {count:,} tokens and the model {rows:,} embeddings: they do not belong "
            "together; put the model's own tokenizer there"
        )
