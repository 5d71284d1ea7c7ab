"""The catalog: the models of ``models.toml`` by name."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_prep.catalog.entry import HubSource, ModelEntry, ModelSource, WheelPart, WheelSource
from model_prep.errors import UnknownModelError


def _entry(sources: list[dict[str, Any]], **fields: Any) -> ModelEntry:
    return ModelEntry(sources=tuple(_source(**source) for source in sources), **fields)


def _source(kind: str, **fields: Any) -> ModelSource:
    if kind == "hub":
        return HubSource(**fields)
    parts = tuple(WheelPart(**part) for part in fields.pop("parts"))
    return WheelSource(parts=parts, **fields)


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CATALOG: Mapping[str, ModelEntry] = {model["name"]: _entry(**model) for model in _DATA["models"]}
DEFAULTS: tuple[str, str] = tuple(_DATA["defaults"])
"""The embedded language and embedding model, used where nothing is named."""


def find(name: str) -> ModelEntry | None:
    """Return the entry of ``name``, None where the catalog has none.

    Example:
        >>> find("bge-small-zh-v1.5").query_prefix
        '为这个句子生成表示以用于检索相关文章：'
    """
    return CATALOG.get(name.lower())


def entry_of(name: str) -> ModelEntry:
    """Return the entry of ``name``.

    Raises:
        UnknownModelError: the catalog has none.
    """
    entry = find(name)
    if entry is None:
        msg = f"no model is named {name!r}; known are: default, {', '.join(CATALOG)}"
        raise UnknownModelError(msg)
    return entry
