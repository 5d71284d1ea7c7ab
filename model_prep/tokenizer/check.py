"""Comparison of the tokenizer that others load from a model's folder with SentencePiece."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_prep.checkpoint.checksums import file_digest
from model_prep.errors import TokenizerError, first_line
from model_prep.json_file import optional_json, readable_folder
from model_prep.tokenizer.loading import MODEL_FILE, added_to_texts, is_llama_folder, load_tokenizer
from model_prep.tokenizer.sample_texts import AWKWARD, CHINESE, ENGLISH

LINES = CHINESE + ENGLISH + AWKWARD
EARLIER_CODE = (
    "99cfb434805de6342cb5209a987080961c1f7c334e571675ab67084fda8e2628",
    "2a51f63878b2a867d59d57efc2d805d0ae2ebb2f591be5695add2f35b82e2708",
    "f89976b49307223c6abd8e2142c1e8f9f2e9afdf1f04d6e5cbbc2c015bc8f830",
    "a0e525fa9243dca9b913625799160b5e87d8c9c346ff3bb29abd706c33f6f9c2",
)
"""SHA256 of earlier versions of ``exact_llama.py``, which split text as the present one does."""


@dataclass(frozen=True)
class Exactness:
    """Result of the comparison."""

    exact: bool | None
    """None: the folder has no tokenizer of the LLaMA family, so there is nothing to compare."""
    message: str
    """The finding and its remedy, for the user."""
    lines: int = 0
    """Number of lines compared."""
    differing: int = 0
    """Number of those that are split in another way."""
    example: str | None = None
    """One of those."""


def check_exactness(folder: Path) -> Exactness:
    """Compare the tokenizer that transformers loads from ``folder`` with SentencePiece.

    No code of the folder is run: its Python file counts if it is ours, byte for byte.

    Raises:
        TokenizerError: the tokenizer can't be loaded at all.
    """
    if not is_llama_folder(folder):
        return Exactness(None, "the tokenizer is not of the LLaMA family")
    from model_prep.tokenizer import exact_llama

    config = folder / "tokenizer_config.json"
    if optional_json(config).get("auto_map"):
        file, ours = folder / "exact_llama.py", Path(exact_llama.__file__)
        known = (file_digest(ours), *EARLIER_CODE)
        if not file.is_file() or file_digest(file) not in known:
            message = "its Python code is not that of this model-prep and was not run"
            return Exactness(False, f"{message}. {_remedy(folder)}")
        return _compared(load_tokenizer(folder), folder, "with trust_remote_code=True ")
    return _compared(_default_tokenizer(folder), folder, "")


def _compared(tokenizer: Any, folder: Path, how: str) -> Exactness:
    from sentencepiece import SentencePieceProcessor

    file = folder / MODEL_FILE
    try:
        model = SentencePieceProcessor(model_file=str(file))
    except (RuntimeError, OSError) as error:
        raise TokenizerError(f"{file} is damaged ({first_line(error)}); get it again") from error
    starts, ends = added_to_texts(folder)
    begin, end = [model.bos_id()] * starts, [model.eos_id()] * ends
    expected = [begin + ids + end for ids in model.encode(list(LINES))]
    found = tokenizer(list(LINES))["input_ids"]
    rows = zip(LINES, found, expected, strict=True)
    wrong = [line for line, ids, right in rows if list(ids) != right]
    if not wrong:
        message = f"AutoTokenizer {how}splits text as SentencePiece does"
        return Exactness(True, message, len(LINES))
    message = (
        f"AutoTokenizer splits {len(wrong)} of {len(LINES)} lines differently from SentencePiece; "
        f"rag-app and model-prep load the folder exactly, others do not. {_remedy(folder)}"
    )
    return Exactness(False, message, len(LINES), len(wrong), wrong[0])


def _default_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            str(readable_folder(folder)), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever a damaged folder makes transformers raise
        msg = f"AutoTokenizer can't load {folder} ({first_line(error)}); get its files again"
        raise TokenizerError(msg) from error


def _remedy(folder: Path) -> str:
    path = str(folder)
    return f"To correct it: model_prep.tokenizer.loading.save_tokenizer({path!r}, Path({path!r}))"
