"""Tokenizers as llama.cpp holds them: tokens, types, scores or merges, in the order of the ids.

Of SentencePiece: llama.cpp joins pieces as its BPE does, the best score first, and the leftmost of
two that are equal. So the scores go over as they are, and the text is split alike, ties included.

Of Qwen2: llama.cpp does not compose characters first (NFC), as Qwen2's own tokenizer does; text
typed in Chinese or English is composed already.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import CheckpointError, ExportError, TokenizerError
from model_prep.json_file import read_json
from model_prep.tokenizer.sentencepiece_file import read_sentencepiece

if TYPE_CHECKING:
    from gguf import GGUFWriter

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What text is cut by before merging; llama.cpp knows it as ``qwen2``."""


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
        msg = (
            f"{file} is not of LLaMA's kind (BPE with bytes for what is unknown, text unchanged), "
            "and llama.cpp would not split text as it does; so it was not exported"
        )
        raise ExportError(msg)
    _require_rows(file, len(model.pieces), rows)
    unused = range(len(model.pieces), rows)
    tokens = [piece.text for piece in model.pieces] + [f"<unused {number}>" for number in unused]
    names = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "[PAD]"}
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tokens,
        # SentencePiece and GGUF number types alike.
        types=[piece.type for piece in model.pieces] + [int(TokenType.UNUSED)] * len(unused),
        scores=[piece.score for piece in model.pieces] + [0.0] * len(unused),
        special_token_ids={
            name: tokens.index(token) for name, token in names.items() if token in tokens
        },
        add_special_token={"bos": True, "eos": False},
        chat_template=_chat_template(folder),
    )


def read_qwen2_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the ``tokenizer.json`` and chat template of a Qwen2.

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
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{file} is missing or damaged; put the model's own tokenizer there"
        raise TokenizerError(msg) from error
    if content["model"]["type"] != "BPE" or QWEN2_SPLIT not in splits:
        msg = (
            f"{file} is not Qwen2's, and llama.cpp would split text otherwise; it was not exported"
        )
        raise ExportError(msg)
    _require_rows(file, count, rows)
    types = dict.fromkeys(tokens, TokenType.NORMAL) | {
        token["id"]: TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
        for token in added
    }
    special = SpecialVocab(
        folder,
        load_merges=True,
        special_token_types=("bos", "eos", "unk", "pad"),
        n_vocab=rows,
    )
    return Vocabulary(
        model="gpt2",
        pre="qwen2",
        tokens=[tokens.get(token_id, f"[PAD{token_id}]") for token_id in range(rows)],
        types=[int(types.get(token_id, TokenType.UNUSED)) for token_id in range(rows)],
        special_token_ids=special.special_token_ids,
        add_special_token={**special.add_special_token, "bos": False},
        chat_template=special.chat_template,
        merges=special.merges,
    )


def _require_rows(file: Path, count: int, rows: int) -> None:
    if count > rows:
        msg = (
            f"{file} has {count:,} tokens and the model {rows:,} embeddings: they do not belong "
            "together; put the model's own tokenizer there"
        )
        raise ExportError(msg)


def _chat_template(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    try:
        template = read_json(folder / "tokenizer_config.json").get("chat_template")
    except CheckpointError:
        return None
    return template if isinstance(template, str) else None
