"""The options of a crawl."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from model_prep.errors import UsageError

BASE_URL = "http://127.0.0.1:19327/v1"
"""Where ``rag-app serve`` listens."""


@dataclass(frozen=True)
class CrawlOptions:
    """What to ask, whom, and how much of it.

    Raises:
        UsageError: the address or the key can't be one.

    Example:
        >>> CrawlOptions(Path("data.jsonl"), 100, base_url="https://me:secret@example.org/v1").server
        'example.org/v1'
    """

    output: Path
    count: int
    """Items that the file is to hold in the end."""
    model: str = "default"
    base_url: str = BASE_URL
    api_key: str | None = field(default=None, repr=False)
    topics: Path | None = None
    """A file with one on each line; our own if None."""
    tasks: Path | None = None
    passages: Path | None = None
    """A file of passages to make preference pairs about, in place of instruction data."""
    questions: Path | None = None
    """Questions of one's own that the pairs are made of, in place of drafts; they need passages."""
    split: str | None = None
    """Only the questions of this split."""
    items: int = 20
    """Items that one request asks for."""
    concurrency: int = 2
    """Requests at a time."""
    similarity: float = 0.7
    """ROUGE-L F1 above which an item is a duplicate."""
    temperature: float = 1.0
    max_tokens: int | None = None
    """Token limit of a reply; by default what so many items need."""
    timeout: float = 600.0
    """Seconds until a reply is complete."""
    tries: int = 6
    """Times a request is sent before the crawl ends."""
    seed: int | None = None
    """Makes the draw of prompts repeatable."""
    price_in: float | None = None
    """Price of a million tokens of prompts."""
    price_out: float | None = None

    def __post_init__(self) -> None:
        if self.questions is not None and self.passages is None:
            raise UsageError("--questions needs the passages that they are asked of: --passages")
        if self.split is not None and self.questions is None:
            raise UsageError("--split needs --questions; name their file too")
        try:
            parts = urlsplit(self.base_url)
            right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            right = False
        if not right:
            msg = f"{self.base_url!r} is not an address; --base-url takes one such as {BASE_URL}"
            raise UsageError(msg)
        if self.api_key is not None and not self.api_key.strip():
            raise UsageError("the API key is empty; give one, or leave --api-key out")
        if self.api_key and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise UsageError("the API key holds characters that no key has; copy it again")

    @property
    def server(self) -> str:
        """The address for messages: without what may be a password or a key."""
        return self.base_url.partition("?")[0].rpartition("@")[2]
