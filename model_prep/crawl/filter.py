"""Near-duplicates, by ROUGE-L F1 on characters (Lin 2004)."""

from collections.abc import Iterable

from model_prep.errors import CrawlError


class Texts:
    """Texts that others are compared with.

    A text's similarity to another is 2·LCS / (m + n): the length of their longest common
    subsequence against their own lengths. That is ROUGE-L's F1, and one minus the normalized Indel
    distance, which rapidfuzz computes bit-parallel.

    Args:
        similarity: From which on two texts count as the same.
        texts: To begin with; they are not compared with each other.

    Raises:
        CrawlError: rapidfuzz is not installed.
    """

    def __init__(self, similarity: float, texts: Iterable[str] = ()) -> None:
        try:
            from rapidfuzz import process
            from rapidfuzz.distance import Indel
        except ImportError as error:
            msg = "crawl needs rapidfuzz; run: pip install 'rag-app[train]'"
            raise CrawlError(msg) from error
        self._find, self._scorer = process.extractOne, Indel.normalized_similarity
        self._similarity = similarity
        self._texts = list(texts)

    def hold(self, text: str) -> bool:
        """Return whether a text much like this one is among them."""
        alike = self._find(text, self._texts, scorer=self._scorer, score_cutoff=self._similarity)
        return alike is not None

    def add(self, text: str) -> None:
        """Put one more text among them."""
        self._texts.append(text)
