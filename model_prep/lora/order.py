"""The order check of a merge: base and adapters belong together, as their vocabularies grow.

Every LoRA of the family brings embeddings with a row for each piece of its tokenizer, and
the later wins; so the number of rows shows how far along a model is: LLaMA 32,000,
Chinese-LLaMA 49,953, Chinese-Alpaca 49,954. It never shrinks in a right order.
"""

from dataclasses import dataclass
from pathlib import Path

from model_prep.errors import MergeOrderError

_PADDED_TO = 8  # embeddings may be padded to a multiple of this, for speed; 32, 64 and 128 are such
_PADDING = 1024  # more rows without an id than this are not for speed
_FAMILY = (32_000, 49_953, 49_954)
"""Pieces of LLaMA's, Chinese-LLaMA's and Chinese-Alpaca's tokenizers."""


@dataclass(frozen=True)
class Stage:
    """The base or one adapter, as far as its vocabulary goes.

    Example:
        >>> base = Stage(Path("llama"), 32_000, 32_000)
        >>> require_order(base, [Stage(Path("chinese-alpaca"), 49_954, 49_953)])
        Traceback (most recent call last):
        ...
        model_prep.errors.MergeOrderError: the tokenizer in chinese-alpaca has 49,953 pieces, ...
    """

    folder: Path
    rows: int | None
    """Rows of its embeddings; None: it has none."""
    pieces: int | None
    """Pieces of the tokenizer in its folder; None: there is none."""
    known: str | None = None
    """The name it was published under, by its hash."""
    pads: int = 0
    """How many of the last ids are padding tokens, which no text has."""

    @property
    def title(self) -> str:
        """What to call it."""
        return f"{self.folder} ({self.known})" if self.known else str(self.folder)


def require_order(base: Stage, adapters: list[Stage]) -> None:
    """Check that the vocabulary grows from stage to stage and that each tokenizer fits it.

    Raises:
        MergeOrderError: something is to be swapped, added or left out.
    """
    _require_known_order(base, adapters)
    before, rows = base, base.rows
    stages = [base, *adapters]
    sizes = {
        *_FAMILY,
        *filter(None, (size for stage in stages for size in (stage.rows, stage.pieces))),
    }
    for adapter in adapters:
        if rows is not None and adapter.rows is not None and adapter.rows < rows:
            raise _shrinking(base, before, adapter, adapters)
        if adapter.rows is not None:
            before, rows = adapter, adapter.rows
        if adapter.pieces is not None and rows is not None:
            _require_tokenizer(base, adapter, adapter.pieces, rows, sizes)
    last = next((stage for stage in reversed(stages) if stage.pieces is not None), None)
    if last is None or last.pieces is None:
        raise MergeOrderError(
            f"neither {base.folder} nor any adapter has a tokenizer; copy tokenizer.model into "
            f"{before.folder}"
        )
    if rows is not None:
        _require_tokenizer(base, last, last.pieces, rows, sizes, needed_by=before)


def fits(rows: int, pieces: int) -> bool:
    """Return whether embeddings have a row for each piece, and no more than are for speed."""
    return rows == pieces or (rows % _PADDED_TO == 0 and rows - pieces < _PADDING)


def _is_as_published(base: Stage, pieces: int, rows: int) -> bool:
    """Return whether a tokenizer and rows are those of a base with more rows than ids.

    How many more is the base's own matter: DeepSeek has 102,400 for 100,015. A tokenizer of
    LLaMA's family next to other rows is that of another stage.
    """
    own = (base.pieces, base.rows) == (pieces, rows)
    return own and pieces <= rows and pieces not in _FAMILY


def _require_known_order(base: Stage, adapters: list[Stage]) -> None:
    alpaca: int | None = None
    for place, adapter in enumerate(adapters):
        name = (adapter.known or "").lower()
        if "alpaca" in name and alpaca is None:
            alpaca = place
        if "llama" in name and alpaca is not None:
            raise _swap(adapters, alpaca, place)
    first = adapters[0]
    # An Alpaca-Plus was trained on a LLaMA-Plus that must be merged first.
    if first.known and "Alpaca-Plus" in first.known and base.rows == 32_000:
        needed = first.known.replace("Alpaca", "LLaMA")
        raise MergeOrderError(
            f"{first.title} was trained on top of {needed}, and {base.folder} is the original "
            f"LLaMA; put that LoRA before it: --lora-model PATH_OF_{needed},{first.folder}"
        )


def _shrinking(
    base: Stage, before: Stage, adapter: Stage, adapters: list[Stage]
) -> MergeOrderError:
    if before is not base:
        return _swap(adapters, adapters.index(before), adapters.index(adapter))
    return MergeOrderError(
        f"{base.folder} already has a vocabulary of {base.rows:,}, and {adapter.title} brings only "
        f"{adapter.rows:,}: this base is already merged; use the original LLaMA as --base-model"
    )


def _swap(adapters: list[Stage], first: int, second: int) -> MergeOrderError:
    order = list(adapters)
    order[first], order[second] = order[second], order[first]
    earlier, later = adapters[first], adapters[second]
    return MergeOrderError(
        f"the LoRAs are in the wrong order: {earlier.title} (vocabulary {_count(earlier.rows)}) "
        f"comes before {later.title} ({_count(later.rows)}), whose embeddings would replace its "
        f"own; swap them: --lora-model {','.join(str(stage.folder) for stage in order)}"
    )


def _count(rows: int | None) -> str:
    return "unchanged" if rows is None else f"{rows:,}"


def _require_tokenizer(
    base: Stage,
    stage: Stage,
    pieces: int,
    rows: int,
    sizes: set[int],
    needed_by: Stage | None = None,
) -> None:
    """Check that every id in use has a row, and that it is not the tokenizer of another stage."""
    if _is_as_published(base, pieces, rows):
        return
    another = pieces in sizes - {rows}
    if pieces - stage.pads <= rows and (pieces >= rows or fits(rows, pieces) or not another):
        return
    where = (needed_by or stage).folder
    raise MergeOrderError(
        f"the tokenizer in {stage.folder} has {pieces:,} pieces, and {where} needs "
        f"{rows:,}: they belong to different models; put the tokenizer.model of {rows:,} pieces, "
        f"which was published with the model, into {where}"
    )
