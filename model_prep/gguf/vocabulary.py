"""A SentencePiece model as llama.cpp holds one: pieces, scores and types, in the order of the ids.

llama.cpp joins pieces as SentencePiece's BPE does: the best score first, and the leftmost of two
that are equal. So the scores go over as they are, and the text is split alike, ties included.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_prep.errors import ExportError
from model_prep.tokenizer.sentencepiece_file import read_sentencepiece

if TYPE_CHECKING:
    from gguf import GGUFWriter

_UNUSED = 5


@dataclass(frozen=True)
class Vocabulary:
    """What the GGUF keys ``tokenizer.*`` say."""

    tokens: list[str]
    scores: list[float]
    types: list[int]
    """Numbered alike by SentencePiece and GGUF: 1 normal, 2 unknown, 3 control, 4 user-defined,
    5 unused, 6 byte."""
    unknown: int
    begin: int
    end: int
    padding: int | None
    chat_template: str | None

    def add_to(self, writer: "GGUFWriter") -> None:
        """Set the keys ``tokenizer.*`` of a GGUF file."""
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([token.encode() for token in self.tokens])
        writer.add_token_scores(self.scores)
        writer.add_token_types(self.types)
        writer.add_unk_token_id(self.unknown)
        writer.add_bos_token_id(self.begin)
        writer.add_eos_token_id(self.end)
        if self.padding is not None:
            writer.add_pad_token_id(self.padding)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(True)
        if self.chat_template:
            writer.add_chat_template(self.chat_template)


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the ``tokenizer.model`` and chat template of a Hugging Face folder.

    Args:
        folder: The model's folder.
        rows: Rows of the embeddings; those past the last piece become tokens that no text has.

    Raises:
        TokenizerError: the tokenizer is missing or damaged.
        ExportError: it has more pieces than ``rows``, or is of a kind that llama.cpp would not
            split text alike with.
    """
    file = folder / "tokenizer.model"
    model = read_sentencepiece(file)
    if not model.is_llama:
        msg = (
            f"{file} is not of LLaMA's kind (BPE with bytes for what is unknown, text unchanged), "
            "and llama.cpp would not split text as it does; so it was not exported"
        )
        raise ExportError(msg)
    count = len(model.pieces)
    if count > rows:
        msg = (
            f"{file} has {count:,} pieces and the model {rows:,} embeddings: they do not belong "
            "together; put the model's own tokenizer.model there"
        )
        raise ExportError(msg)
    extra = range(count, rows)
    tokens = [*(one.text for one in model.pieces), *(f"<unused {number}>" for number in extra)]
    return Vocabulary(
        tokens=tokens,
        scores=[*(one.score for one in model.pieces), *(0.0 for _ in extra)],
        types=[*(piece.type for piece in model.pieces), *(_UNUSED for _ in extra)],
        unknown=tokens.index("<unk>"),
        begin=tokens.index("<s>"),
        end=tokens.index("</s>"),
        padding=_padding(tokens),
        chat_template=_chat_template(folder),
    )


def _padding(tokens: list[str]) -> int | None:
    return tokens.index("[PAD]") if "[PAD]" in tokens else None


def _chat_template(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        return None
    template = settings.get("chat_template") if isinstance(settings, dict) else None
    return template if isinstance(template, str) else None
