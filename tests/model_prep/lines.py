"""Lines that tokenizers stumble over, and real ones."""

import random

from tests.texts import news_lines, questions_and_passages

ODD = [
    "", " ", "  ", "   x", "a  b", "\t", "\n", "\n\n", "\r\n", "a\tb\n c", "😀👨‍👩‍👧‍👦", "𠀀𠮷𪚥",
    "ＡＢＣ１２３", "\x00", "a\x00b", "\x01\x1f\x7f", "<s>", "</s>", "<unk>", "<s>你好</s>",
    "<0x0A>", "<0xE4><0xBD>", "[PAD]", " [PAD] x", "[PAD][PAD]", "▁", "▁▁a", "a▁ b", "##",
    "### Response: ",
    "\ufeffabc", "\u200b", "\ufffd", "\u3000全角　空格", "é", "e\u0301", "한국어", "العربية",
    "हिन्दी", "\U0010ffff", "\ud7ff", "\ue000", "哈" * 200, " " * 40 + "。",
]  # fmt: skip
_RANGES = [
    (0x20, 0x7E), (0x4E00, 0x9FFF), (0x3000, 0x303F), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF),
    (0x20000, 0x2A6DF), (0x00, 0x1F), (0x80, 0x2FF), (0x400, 0x4FF), (0xE000, 0xF8FF),
]  # fmt: skip


def some_lines(count: int) -> list[str]:
    """Return ``count`` lines: questions, news, odd ones, and half of them or more at random."""
    chance = random.Random(0)
    questions, _ = questions_and_passages()
    lines = [*ODD, *questions, *(line[:300] for line in news_lines())][: count // 2]
    return lines + [_random_line(chance) for _ in range(count - len(lines))]


def _random_line(chance: random.Random) -> str:
    parts = []
    for _ in range(chance.randint(1, 30)):
        pick = chance.random()
        if pick < 0.1:
            parts.append(" " * chance.randint(1, 5))
        elif pick < 0.15:
            parts.append(chance.choice(ODD))
        else:
            parts.append(chr(chance.randint(*chance.choice(_RANGES))))
    return "".join(parts)
