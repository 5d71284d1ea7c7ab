"""What a crawl did."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """Numbers that grow while a crawl runs, so that they are right whenever it ends."""

    output: str = ""
    wanted: int = 0
    at_start: int = 0
    """Items that were in the file."""
    cut_off: int = 0
    """Bytes of a half line that a kill had left."""
    kept: int = 0
    requests: int = 0
    """Sent, those sent again included."""
    retries: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """How many items, or replies without any, by reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    price_in: float | None = None
    price_out: float | None = None

    @property
    def total(self) -> int:
        """Items in the file."""
        return self.at_start + self.kept

    @property
    def cost(self) -> float | None:
        """What the tokens cost, where their prices are known."""
        if self.price_in is None and self.price_out is None:
            return None
        prices = (self.price_in or 0.0, self.price_out or 0.0)
        return (self.prompt_tokens * prices[0] + self.completion_tokens * prices[1]) / 1e6

    def values(self) -> dict[str, Any]:
        """Return everything as plain values."""
        names = ("output", "wanted", "at_start", "cut_off", "kept", "total", "requests", "retries")
        return {
            **{name: getattr(self, name) for name in names},
            "rejected": dict(self.rejected.most_common()),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": self.cost,
        }
