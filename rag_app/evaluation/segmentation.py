"""Mixed segmentation as the evaluation of CMRC 2018 has it: Han characters and Treebank words.

The official evaluation lowercases a text, drops a fixed list of punctuation, takes each Han
character alone and splits what is between them into Penn Treebank words. It takes those from
NLTK, which has to be given data; here the Treebank's rules stand themselves, as far as they mean
anything for text without that punctuation. Sentences end at a full stop before a space, unless it
ends a common abbreviation. On the 21,585 such segments of CMRC 2018 and DRCD the words are NLTK's,
except for three, whose full stops NLTK splits with the help of that data only.
"""

import re

_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""Dropped before texts are compared. The official list has ``……`` too, which is two characters and
so never found: ellipses stay."""

_HAN = re.compile("[\u4e00-\u9fa5]")
"""The official range, narrower than that of `rag_app.documents.text`."""
_SYMBOLS = re.compile(r"\.{2,}|''|[;@#$%&?!\[\](){}<>\"‘„«»]|[–—]|,(?!\d)|(?<=\d),$")
_FULL_STOP = re.compile(r"(?<=[^.\s])\.(?=[\])}>\"'» ]*(?:\s|$))")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[{<\"'])(?:(?:[a-z]\.)*[a-z]|dr|mrs?|ms|st|prof|col|gen|[js]r|vs|vol|var)$"
)
_CLITIC = re.compile(r"(?<=[^'\s])('(?:s|m|d|ll|re|ve)|n't)(?![\w])|(?<=[^'\s])'(?=\s|$)")
_OPENING_QUOTE = re.compile(r"(?<![\w'])'(?=\w)(?!(?:re|ve|ll|[mtsdn])(?!\w))")
_COMPOUND = re.compile(r"\b(can)(not)\b|\b(gim|lem)(me)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b")


def without_punctuation(text: str) -> str:
    """Return ``text`` lowercased, without punctuation and spaces around it.

    Example:
        >>> without_punctuation(" 李白（701年），Li-Bai。")
        '李白701年libai'
    """
    return "".join(char for char in text.lower().strip() if char not in _PUNCTUATION)


def mixed_segmentation(text: str) -> list[str]:
    """Return the Han characters and Treebank words of ``text``, without punctuation.

    Example:
        >>> mixed_segmentation("李白，Li Bai 701年。")
        ['李', '白', 'li', 'bai', '701', '年']
    """
    segments: list[str] = []
    words = ""
    for char in without_punctuation(text):
        if not _HAN.match(char):
            words += char
            continue
        segments += treebank_words(words)
        words = ""
        segments.append(char)
    return segments + treebank_words(words)


def treebank_words(text: str) -> list[str]:
    """Return the words of lowercase ``text`` as the Penn Treebank splits them.

    Example:
        >>> treebank_words("it doesn't cost $3.50, it's 1,000.")
        ['it', 'does', "n't", 'cost', '$', '3.50', ',', 'it', "'s", '1,000', '.']
    """
    spaced = _FULL_STOP.sub(lambda stop: _split_stop(text, stop), text)
    spaced = _SYMBOLS.sub(lambda symbol: f" {symbol[0]} ", spaced)
    spaced = _CLITIC.sub(lambda clitic: f" {clitic[0]} ", spaced)
    spaced = _OPENING_QUOTE.sub("' ", spaced)
    return _COMPOUND.sub(lambda word: " ".join(filter(None, word.groups())), spaced).split()


def _split_stop(text: str, stop: "re.Match[str]") -> str:
    ends_text = not text[stop.end() :].strip("])}>\"'» ")
    abbreviates = _ABBREVIATION.search(text[: stop.start()])
    return " . " if ends_text or not abbreviates else "."
