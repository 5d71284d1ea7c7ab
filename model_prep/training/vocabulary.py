"""The vocabulary of tokenizer, model and adapter, compared before any weight is read."""

from dataclasses import dataclass
from pathlib import Path

from model_prep.errors import TrainingError
from model_prep.lora.order import fits

EMBEDDING_MODULES = {"embed_tokens", "lm_head"}
"""Modules with a row for each piece of the vocabulary."""


@dataclass(frozen=True)
class VocabularySizes:
    """Sizes of the vocabulary of all three.

    Example:
        >>> sizes = VocabularySizes(tokenizer=49_954, model=49_953, adapter=49_954)
        >>> names = {"model": Path("llama"), "adapter": Path("alpaca-lora")}
        >>> rows_needed(sizes, exact=True, modules_to_save=None, **names)
        49954
    """

    tokenizer: int
    model: int
    """Rows of its embeddings."""
    adapter: int | None
    """Rows of an adapter that is continued; None: it brings none, or there is no adapter."""


def rows_needed(
    sizes: VocabularySizes,
    *,
    exact: bool,
    modules_to_save: list[str] | None,
    model: Path,
    adapter: Path | None,
) -> int:
    """Return how many rows the model's embeddings must have.

    Args:
        sizes: The sizes of tokenizer, model and adapter.
        exact: The tokenizer is of the LLaMA family, whose models have a row for each piece.
        modules_to_save: Modules that a new adapter trains whole.
        model: For the message.
        adapter: The adapter that is continued, for the message.

    Raises:
        TrainingError: they do not fit; the message says what to change.
    """
    if sizes.adapter is not None:
        beyond = exact and not fits(sizes.adapter, sizes.tokenizer)
        if sizes.adapter < sizes.tokenizer or beyond:
            raise TrainingError(
                f"the tokenizer has {sizes.tokenizer:,} pieces, and {adapter} has embeddings for "
                f"{sizes.adapter:,}; use the tokenizer that the adapter was trained with"
            )
        return sizes.adapter
    if sizes.tokenizer > sizes.model:
        if set(modules_to_save or ()) >= EMBEDDING_MODULES:
            return sizes.tokenizer
        msg = f"the tokenizer has {sizes.tokenizer:,} pieces and {model} {sizes.model:,} rows, "
        msg += (
            f"and {adapter} brings no embeddings; merge the adapters before it first"
            if adapter
            else "so the new rows must be trained: --modules_to_save embed_tokens,lm_head"
        )
        raise TrainingError(msg)
    if exact and not fits(sizes.model, sizes.tokenizer):
        raise TrainingError(
            f"{model} has {sizes.model:,} rows and the tokenizer only {sizes.tokenizer:,} pieces: "
            "it is the tokenizer of an earlier stage; use the model's own (LLaMA 32,000, "
            "Chinese-LLaMA 49,953, Chinese-Alpaca 49,954)"
        )
    return sizes.model
