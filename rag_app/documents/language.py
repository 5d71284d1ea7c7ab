"""Which language a text is in, for prompts and fixed replies."""

import re
from typing import Literal

Language = Literal["zh", "en"]

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[A-Za-z]+")


def language_of(text: str) -> Language:
    """Return ``zh`` where there is one Han character to four Latin words or more, else ``en``.

    A Chinese question full of English product names is still a Chinese question.
    """
    sample = text[:4000]
    han = len(_HAN.findall(sample))
    return "zh" if han and han * 4 >= len(_WORD.findall(sample)) else "en"
