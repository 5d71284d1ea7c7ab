"""Stop strings in a stream of text."""

from collections.abc import Sequence


class StopStrings:
    """Passes text on up to the first stop string; what may be the beginning of one is held back.

    Example:
        >>> stops = StopStrings(["END"])
        >>> [stops.feed(text) for text in ("one E", "lse, two E", "ND three")]
        ['one ', 'Else, two ', '']
        >>> stops.found
        True
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        self._held += text
        # The one that was complete first, as if the text came a character at a time.
        found = [(at + len(stop), at) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            self.found = True
            return self._held[: min(found)[1]]
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        shown = self._held[: len(self._held) - keep]
        self._held = self._held[len(shown) :]
        return shown

    def close(self) -> str:
        """Return what was held back."""
        return "" if self.found else self._held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` begins with."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
