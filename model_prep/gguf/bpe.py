"""Qwen2's tokenizer as llama.cpp holds one: tokens, types and merges, in the order of the ids.

Token types are numbered as in ggml's GGUF specification. llama.cpp does not compose characters
first (NFC), as Qwen2's own tokenizer does; text typed in Chinese or English is composed already.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import ExportError, TokenizerError

if TYPE_CHECKING:
    from gguf import GGUFWriter

FILE = "tokenizer.json"
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What text is cut by before merging; llama.cpp knows it as ``qwen2``."""


@dataclass(frozen=True)
class BpeVocabulary:
    """What the GGUF keys ``tokenizer.*`` say."""

    folder: Path
    """Names the special tokens, and has the merges and the chat template."""
    tokens: list[str]
    types: list[int]

    def add_to(self, writer: "GGUFWriter") -> None:
        """Set the keys ``tokenizer.*`` of a GGUF file."""
        from gguf import SpecialVocab

        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        special = SpecialVocab(self.folder, load_merges=True, n_vocab=len(self.tokens))
        special.add_special_token["bos"] = False
        special.add_to_gguf(writer, quiet=True)


def read_bpe(folder: Path, rows: int) -> BpeVocabulary:
    """Read the ``tokenizer.json`` of a Qwen2.

    Args:
        folder: The model's folder.
        rows: Rows of the embeddings; those that no token has become tokens that no text has.

    Raises:
        TokenizerError: it is missing or damaged.
        ExportError: it has more tokens than ``rows``, or llama.cpp would split text otherwise.
    """
    file = folder / FILE
    try:
        content = json.loads(file.read_bytes())
        ids: dict[str, int] = dict(content["model"]["vocab"])
        added: list[dict[str, Any]] = content["added_tokens"]
        ids |= {one["content"]: one["id"] for one in added}
        names = {number: text for text, number in ids.items()}
        splits = [one.get("pattern", {}).get("Regex") for one in _steps(content)]
        count = max(names) + 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{file} is missing or damaged; put the model's own tokenizer there"
        raise TokenizerError(msg) from error
    if content["model"]["type"] != "BPE" or QWEN2_SPLIT not in splits:
        msg = (
            f"{file} is not Qwen2's, and llama.cpp would split text otherwise; it was not exported"
        )
        raise ExportError(msg)
    if count > rows:
        msg = (
            f"{file} has {count:,} tokens and the model {rows:,} embeddings: they do not belong "
            "together; put the model's own tokenizer there"
        )
        raise ExportError(msg)
    kinds = {one["id"]: _CONTROL if one["special"] else _USER_DEFINED for one in added}
    filler = {number: f"[PAD{number}]" for number in range(rows)}
    return BpeVocabulary(
        folder,
        [names.get(number, filler[number]) for number in range(rows)],
        [
            kinds.get(number, _UNUSED if names.get(number, text) == text else _NORMAL)
            for number, text in filler.items()
        ],
    )


def _steps(content: dict[str, Any]) -> list[dict[str, Any]]:
    splitter = content.get("pre_tokenizer") or {}
    steps: list[dict[str, Any]] = splitter.get("pretokenizers") or [splitter]
    return steps
