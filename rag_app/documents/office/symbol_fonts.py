"""Characters of symbol fonts by their codes: Symbol, Wingdings and Wingdings 2."""

from rag_app.documents.text import SYMBOLS

_LATIN = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾"
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
)
"""Symbol from 0x20 on."""
_UPPER = (
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪"
    "\0⟩∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭"
)
"""Symbol from 0xA0 on."""
_FONTS = {
    "symbol": dict(enumerate(_LATIN, 0x20)) | dict(enumerate(_UPPER, 0xA0)),
    "wingdings": SYMBOLS
    | dict(zip((0x20, 0x28, 0x29, 0x2A, 0x46, 0xA1, 0xAB, 0xE1, 0xE2), " ☎✆✉☞○★↑↓", strict=True))
    | dict(enumerate("⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿", 0x80)),
    "wingdings 2": {
        0x20: " ", 0x30: "☐", 0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒",
        0x97: "•", 0xA3: "☐",
    },
    "webdings": {0x20: " ", 0x61: "✓", 0x63: "☐", 0x72: "✗"},
}  # fmt: skip
_PRIVATE = 0xF000


def symbol(code: int, font: str = "") -> str:
    """Return what a code looks like, "" where that is no sign that text has."""
    table = _FONTS.get(font.casefold())
    if table is None:
        return SYMBOLS.get(code & 0xFF, "") if code >= _PRIVATE else chr(code or 32)
    return table.get(code & 0xFF, "")


def symbols(text: str, font: str) -> str:
    """Return text in a font as it looks.

    Example:
        >>> symbols("R同意", "Wingdings 2"), symbols("同意", "SimSun")
        ('☑同意', '同意')
    """
    if font.casefold() not in _FONTS:
        return text
    return "".join(
        symbol(ord(char), font) if ord(char) < 0x100 or 0 <= ord(char) - _PRIVATE < 0x100 else char
        for char in text
    )
