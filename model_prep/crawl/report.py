"""The report of a crawl."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class CrawlReport:
    """Numbers that grow while a crawl runs, so that they are right whenever it ends.

    Example:
        >>> report = CrawlReport(kept=20, prompt_tokens=2_000, completion_tokens=5_000)
        >>> report.price_in, report.price_out = 2.0, 8.0
        >>> report.cost
        0.044
    """

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
    """Price of a million tokens of prompts."""
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
        """Return everything but the prices as plain values."""
        values = asdict(self) | {"rejected": dict(self.rejected.most_common())}
        values |= {"total": self.total, "cost": self.cost}
        return {name: value for name, value in values.items() if not name.startswith("price_")}
