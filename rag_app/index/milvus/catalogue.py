"""Rows of ``rag_app_documents``: what is known of each document, and the state of an index."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from rag_app.index.milvus.collections import Entity
from rag_app.index.store.records import DocumentRecord, IndexMeta

_COLUMNS = {"source", "content_hash"}


def key(index: str, source: str = "") -> str:
    """Return the primary key of a document; without a source, of the state of an index."""
    return hashlib.blake2b(f"{index}\0{source}".encode(), digest_size=20).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A document, and which passages are its."""

    record: DocumentRecord
    versions: tuple[int, ...] = ()
    """Versions of its passages: one, and another for each time that some were added."""
    length: int = 0
    """The next passage's position."""
    terms: int = 0
    """How many all its passages have together."""
    live: bool = True

    def row(self, index: str) -> Entity:
        """Return it as Milvus has it."""
        record = asdict(self.record)
        values = {name: value for name, value in record.items() if name not in _COLUMNS}
        own = {"versions": list(self.versions), "length": self.length, "terms": self.terms}
        return {
            "id": key(index, self.record.source),
            "index": index,
            "live": self.live,
            "source": self.record.source,
            "content_hash": self.record.content_hash,
            "record": {**values, "notes": list(self.record.notes), **own},
            "unused": [1.0, 0.0],
        }

    @classmethod
    def of(cls, row: Entity) -> Self:
        """Return the document of a row."""
        values: dict[str, Any] = dict(row["record"])
        own = tuple(values.pop("versions")), values.pop("length"), values.pop("terms")
        notes = tuple(values.pop("notes"))
        record = DocumentRecord(
            source=row["source"], content_hash=row["content_hash"], notes=notes, **values
        )
        return cls(record, *own, live=bool(row["live"]))


@dataclass(frozen=True)
class State:
    """A committed state of an index: what is visible in it, and how much that is.

    A reader sees the passages whose version is at most ``last``, less what is garbage. So one
    upsert, of this row with those of the documents that changed, makes a state visible at once.
    """

    meta: IndexMeta
    lexical_version: str
    """By which rules the terms are made; see `rag_app.documents.text`."""
    writer: str = ""
    """Token of the writer that may write the next state."""
    last: int = 0
    """The highest chunk id."""
    documents: int = 0
    chunks: int = 0
    terms: int = 0
    """How many all passages have together."""
    garbage: tuple[int, ...] = ()
    """Versions of passages that this state no longer sees, and readers of earlier ones may."""
    garbage_ids: tuple[int, ...] = ()
    """Single passages likewise."""
    due: tuple[int, ...] = ()
    """Versions of earlier garbage, which no reader sees any more."""
    due_ids: tuple[int, ...] = ()
    """Single passages likewise."""
    turned: float = 0.0
    """When what is due became so, in seconds since 1970."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """Versions that are not seen."""
        return self.garbage + self.due

    @property
    def hidden_ids(self) -> tuple[int, ...]:
        """Single passages that are not seen."""
        return self.garbage_ids + self.due_ids

    def turn(self, now: float) -> Self:
        """Return the same state when what was due is deleted, and what was garbage is due."""
        return replace(
            self, garbage=(), garbage_ids=(), due=self.garbage, due_ids=self.garbage_ids, turned=now
        )

    def row(self, index: str) -> Entity:
        """Return it as Milvus has it."""
        return {
            "id": key(index),
            "index": index,
            "live": False,
            "source": "",
            "content_hash": "",
            "record": json.loads(json.dumps(asdict(self))),
            "unused": [1.0, 0.0],
        }

    @classmethod
    def of(cls, row: Entity) -> Self:
        """Return the state of a row."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in row["record"].items()
            if name in cls.__dataclass_fields__  # earlier versions had more
        }
        meta = IndexMeta(**{field.name: values["meta"][field.name] for field in fields(IndexMeta)})
        return cls(**{**values, "meta": meta})
