"""Conversations about an index, and what people thought of its answers, kept beside it."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_app.index.store.database import BUSY_SECONDS, translated

CONVERSATIONS_NAME = "conversations.sqlite3"
MOST_CONVERSATIONS = 1000
"""Per owner and index; the one that was not continued for longest is dropped first."""
MOST_TURNS = 500
"""Per conversation; the oldest is dropped first."""
MOST_RATINGS = 10_000
"""Per index; the oldest is dropped first."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, changed REAL NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (
    place INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, conversation TEXT NOT NULL,
    id TEXT NOT NULL, content TEXT NOT NULL, searched TEXT NOT NULL,
    UNIQUE (owner, conversation, id)
);
CREATE TABLE IF NOT EXISTS ratings (
    place INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, id TEXT NOT NULL,
    content TEXT NOT NULL, UNIQUE (owner, id)
);
"""
_OLDEST = """
SELECT id FROM conversations WHERE owner = ? ORDER BY changed DESC, id LIMIT -1 OFFSET ?
"""


@dataclass(frozen=True)
class Turn:
    """A question and its answer."""

    id: str
    question: str
    text: str = ""
    """The answer, as far as it came."""
    details: dict[str, Any] | None = None
    """What is shown with it, as JSON has it."""


@dataclass(frozen=True)
class ConversationRecord:
    """One conversation, without its turns."""

    id: str
    name: str
    changed: float
    """Seconds since the epoch."""
    turns: int


@dataclass(frozen=True)
class Rating:
    """What somebody thought of an answer."""

    id: str
    question: str
    answer: str
    helpful: bool
    right_answer: str = ""
    """What it should have been, where that was said; each line is an accepted wording."""
    answerable: bool = True
    """Whether the documents hold an answer."""
    document: str | None = None
    """File name of the document that the answer was taken from."""
    follow_up: bool = False
    """Whether the question can be understood only after those before it."""

    def as_question(self) -> dict[str, Any] | None:
        """Return it as a line of a question set; None where nobody said what is right.

        Example:
            >>> Rating("1", "李白是怎样去世的？", "病逝。", helpful=True).as_question()["answers"]
            ['病逝。']
            >>> Rating("2", "他几岁？", "三岁。", helpful=False).as_question() is None
            True
        """
        said = [line.strip() for line in self.right_answer.splitlines() if line.strip()]
        right = said or ([self.answer] if self.helpful and self.answer else [])
        if self.follow_up or (self.answerable and not right):
            return None
        line: dict[str, Any] = {"id": f"rated-{self.id}", "question": self.question}
        if not self.answerable:
            return {**line, "answers": [], "answerable": False}
        found = {"document": self.document} if self.document and self.helpful else {}
        return {**line, "answers": right, **found}


class Conversations:
    """The conversations of one owner about an index, and the ratings of everybody.

    They are in an SQLite file, made at the first; several processes may use it. What a method
    wrote is on the disk when it returns.

    Args:
        folder: The index, or its part on this machine.
        owner: Whose conversations they are; everybody's have the name "".

    Raises:
        IndexStoreError: from every method, the file can't be read or written.
    """

    def __init__(self, folder: Path, owner: str = "") -> None:
        self.path = folder / CONVERSATIONS_NAME
        self._owner = owner

    def search(self, text: str = "") -> list[ConversationRecord]:
        """Return those with a text in their name, a question or an answer, the latest first."""
        query = """
            SELECT id, name, changed, (SELECT count(*) FROM turns
                WHERE turns.owner = c.owner AND conversation = c.id)
            FROM conversations c WHERE owner = :owner AND (instr(folded(name), :text) OR EXISTS (
                SELECT 1 FROM turns WHERE turns.owner = c.owner AND conversation = c.id
                AND instr(searched, :text)))
            ORDER BY changed DESC, id
        """
        with self._connected(reading=True) as connection:
            connection.create_function("folded", 1, str.casefold, deterministic=True)
            values = {"owner": self._owner, "text": text.casefold()}
            rows = connection.execute(query, values)
            return [ConversationRecord(*row) for row in rows]

    def turns(self, conversation: str) -> list[Turn]:
        """Return the turns of a conversation, oldest first."""
        with self._connected(reading=True) as connection:
            rows = connection.execute(
                "SELECT content FROM turns WHERE owner = ? AND conversation = ? ORDER BY place",
                (self._owner, conversation),
            ).fetchall()
        return [Turn(**json.loads(row[0])) for row in rows]

    def keep_turn(self, conversation: str, turn: Turn) -> None:
        """Keep a turn in place of an earlier state of it, or as the last of a conversation."""
        content = json.dumps(vars(turn))
        searched = f"{turn.question}\n{turn.text}".casefold()
        key = (self._owner, conversation)
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET changed = excluded.changed",
                (conversation, self._owner, turn.question[:200], time.time()),
            )
            connection.execute(
                "INSERT INTO turns (owner, conversation, id, content, searched)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET content = excluded.content, searched = excluded.searched",
                (*key, turn.id, content, searched),
            )
            connection.execute(
                "DELETE FROM turns WHERE place IN (SELECT place FROM turns"
                " WHERE owner = ? AND conversation = ? ORDER BY place DESC LIMIT -1 OFFSET ?)",
                (*key, MOST_TURNS),
            )
            oldest = connection.execute(_OLDEST, (self._owner, MOST_CONVERSATIONS))
            for (gone,) in oldest.fetchall():
                self._delete(connection, gone)

    def remove_turn(self, conversation: str, turn: str) -> None:
        """Take a turn out of a conversation; one without turns goes."""
        key = (self._owner, conversation)
        with self._connected() as connection:
            connection.execute(
                "DELETE FROM turns WHERE owner = ? AND conversation = ? AND id = ?", (*key, turn)
            )
            left = "SELECT 1 FROM turns WHERE owner = ? AND conversation = ? LIMIT 1"
            if connection.execute(left, key).fetchone() is None:
                self._delete(connection, conversation)

    def rename(self, conversation: str, name: str) -> bool:
        """Give a conversation a name; False where there is none."""
        with self._connected() as connection:
            changed = connection.execute(
                "UPDATE conversations SET name = ? WHERE owner = ? AND id = ?",
                (name, self._owner, conversation),
            )
            return changed.rowcount > 0

    def delete(self, conversation: str) -> None:
        """Delete a conversation with its turns."""
        with self._connected() as connection:
            self._delete(connection, conversation)

    def rate(self, rating: Rating) -> None:
        """Keep what its owner thinks of an answer, in place of what they thought before."""
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO ratings (owner, id, content) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET content = excluded.content",
                (self._owner, rating.id, json.dumps(vars(rating))),
            )
            connection.execute(
                "DELETE FROM ratings WHERE place IN"
                " (SELECT place FROM ratings ORDER BY place DESC LIMIT -1 OFFSET ?)",
                (MOST_RATINGS,),
            )

    def take_back(self, rating: str) -> None:
        """Forget what its owner thought of an answer."""
        with self._connected() as connection:
            connection.execute(
                "DELETE FROM ratings WHERE owner = ? AND id = ?", (self._owner, rating)
            )

    def ratings(self) -> list[Rating]:
        """Return everybody's ratings, oldest first."""
        with self._connected(reading=True) as connection:
            rows = connection.execute("SELECT content FROM ratings ORDER BY place").fetchall()
        return [Rating(**json.loads(row[0])) for row in rows]

    def questions(self) -> list[dict[str, Any]]:
        """Return the ratings that say what is right as lines of a question set.

        Of several ratings of one question the last counts.
        """
        lines = [line for rating in self.ratings() if (line := rating.as_question())]
        return [*{line["question"].strip(): line for line in lines}.values()]

    def copy_to(self, target: Path) -> bool:
        """Copy the file as it is at one moment; False where there is none."""
        if not self.path.exists():
            return False
        with self._connected() as connection, closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
        return True

    def _delete(self, connection: sqlite3.Connection, conversation: str) -> None:
        key = (self._owner, conversation)
        connection.execute("DELETE FROM turns WHERE owner = ? AND conversation = ?", key)
        connection.execute("DELETE FROM conversations WHERE owner = ? AND id = ?", key)

    @contextmanager
    def _connected(self, *, reading: bool = False) -> Iterator[sqlite3.Connection]:
        """Yield a transaction; to read, no file is made."""
        with translated(self.path):
            place = ":memory:" if reading and not self.path.exists() else self.path
            with closing(sqlite3.connect(place, timeout=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA secure_delete=ON")  # what is deleted is gone
                connection.executescript(_SCHEMA)
                with connection:
                    yield connection
