"""A question sent to the resident engine before its command line is read.

To read one, options and settings are imported, which takes as long as a quarter of an answer about
a passage that is kept. An engine that has answered a command line knows what it came to, and begins
when the same line comes with another question. The line is known by all that decides about what it
means; the engine looks itself whether code and models are still those it was asked with. So nothing
is imported here but what sends a request and shows what comes back.
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import rag_app
from rag_app.engine.resident import Events, ResidentError, received
from rag_app.models.unix_http import UnixConnection, available
from rag_app.surroundings import EnginePlace, surroundings

_WHOLE = frozenset({"--json", "--no-stream"})
"""With one of these nothing is shown before all is there."""
_VARIABLES = frozenset({"HOME", "XDG_DATA_HOME"})
"""Variables, besides our own, that paths depend on."""
_SECONDS = 5.0
"""For the engine to say whether it knows the line; else the command goes the usual way."""


class Ahead:
    """What was sent ahead, and as much of its answer as is shown already.

    Example:
        >>> def events():
        ...     yield {"shown": {"text": "Because."}}
        >>> sent = Ahead("Why?", events())
        >>> sent.show()
        Because.
        >>> list(sent.events())
        [{'shown': {'text': 'Because.'}}]
    """

    def __init__(self, question: str, events: Events) -> None:
        self.question = question
        self.text = ""
        """Written on stdout."""
        self.hinted = False
        """Whether the sentence that may carry the answer is written on stderr."""
        self._events = events
        self._received: list[dict[str, object]] = []
        self._failure: BaseException | None = None

    def show(self) -> None:
        """Write the text on the terminal as it comes, as long as it needs nothing but writing."""
        try:
            for event in self._events:
                self._received.append({**event})
                shown = event.get("shown", {})
                if event.get("warnings") or shown.get("replaces"):
                    return
                if shown.get("likely") and sys.stderr and sys.stderr.isatty():
                    self._hint(shown["likely"])
                sys.stdout.write(shown.get("text", ""))
                sys.stdout.flush()
                self.text += shown.get("text", "")
        except (KeyboardInterrupt, ResidentError, OSError) as error:
            self._failure = error

    def events(self) -> Events:
        """Yield all that the engine answers, from the beginning; closing it ends the generation.

        Raises:
            ResidentError: it went away.
            KeyboardInterrupt: came while the text was shown.
            OSError: the terminal went away.
        """
        try:
            yield from self._received
            if self._failure is not None:
                raise self._failure
            yield from self._events
        finally:
            self._events.close()

    def _hint(self, line: str) -> None:
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line, style="dim"))
        self.hinted = True


sent: list[Ahead] = []
"""What this process has sent, one at most."""


def begin(arguments: Sequence[str]) -> None:
    """Send the question of `rag-app ask` ahead, where the engine knows such a line."""
    # What is wrong with the home, say, is said where the line is read.
    with suppress(OSError, RuntimeError, ValueError, ResidentError):
        if (begun := _send(arguments)) is None:
            return
        sent.append(begun)
        out = sys.stdout
        plain = not _WHOLE.intersection(arguments) and out is not None and out.isatty()
        if plain and out.encoding.lower() == "utf-8":
            begun.show()


def _send(arguments: Sequence[str]) -> Ahead | None:
    place = EnginePlace.of_home()
    at = [n for n, word in enumerate(arguments) if n and word and not word.startswith("-")]
    if not at or not available() or not place.is_ours:
        return None
    lines = [(_line(arguments, n), arguments[n]) for n in at]
    connection = UnixConnection(place.socket, _SECONDS)
    try:
        connection.send_json("POST", "/resident/ahead", {"lines": lines})
    except OSError:
        connection.close()
        return None
    events = received(connection)
    if (question := next(events, {}).get("question")) is None:
        events.close()
        return None
    return Ahead(question, events)


def take(question: str) -> Ahead | None:
    """Return what was sent ahead, once, if it is this question."""
    found = sent.pop() if sent else None
    return found if found and found.question == question else None


def line_key(question: str) -> str:
    """Return what this process's command line is known by without its question; empty for none."""
    arguments = sys.argv[1:]
    if arguments[:1] != ["ask"] or arguments.count(question) != 1:
        return ""
    return _line(arguments, arguments.index(question))


def _line(arguments: Sequence[str], at: int) -> str:
    """Return what decides the meaning of a command line, except the argument at a place."""
    names = sorted(n for n in os.environ if n in _VARIABLES or n.upper().startswith("RAG_APP_"))
    file = Path("rag-app.toml")
    status = file.stat() if file.exists() else None
    values = [
        [*arguments[:at], *arguments[at + 1 :]],
        at,
        str(Path.cwd()),
        [(name, os.environ[name]) for name in names],
        [status.st_size, status.st_mtime_ns] if status else None,
        [rag_app.__version__, str(rag_app.__file__), sys.version, surroundings()],
    ]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
