"""Real and awkward lines that tokenizers are compared on."""

import random

from model_prep.tokenizer.sample_texts import AWKWARD, CHINESE, ENGLISH
from tests.texts import news_lines, questions_and_passages

_PARTS = [
    *("  ", "\t", "\n", "\r\n", " ", "   ", "\u3000", "\u00a0", "\x00", "\x01", "\x1b", "\u200b"),
    *("😀", "👨‍👩‍👧", "🇨🇳", "𠮷", "𪚥", "\U0010ffff", "\ufffd", "\ufeff", "\u0301", "ﬁ", "½"),
    *("<s>", "</s>", "<unk>", "[PAD]", "<0x0A>", "<|im_end|>", "▁", "▁▁", "<s", "s>", "[INST]"),
    *("的", "中国", "人工智能", "啊啊啊", "龘", "，", "。", "１２３", "ＡＢ", "！", "——", "……"),
    *("the", "ing", "Hello", "1234567890", "3.14", "e\u0301", "…", "-", "a", "I", "'s", "http://"),
]  # fmt: skip
PIECES_OF_TEXT = tuple(_PARTS)
"""Stretches of text that are awkward beside each other."""


def real_lines() -> list[str]:
    questions, passages = questions_and_passages()
    return [*news_lines(), *passages, *questions, *CHINESE, *ENGLISH]


def awkward_lines(count: int) -> list[str]:
    chance = random.Random(0)
    lines = list(AWKWARD)
    while len(lines) < count:
        lines.append("".join(chance.choices(_PARTS, k=chance.randint(1, 30))))
    return lines
