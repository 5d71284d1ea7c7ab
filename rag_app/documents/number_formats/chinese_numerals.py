"""Numbers in Chinese numerals, as Word and Excel write them."""

_DIGITS = "零一二三四五六七八九"
_UNITS = "十百千"


def chinese_digits(text: str, digits: str = _DIGITS) -> str:
    """Return a number with each of its digits replaced.

    Example:
        >>> chinese_digits("2025", "〇一二三四五六七八九")
        '二〇二五'
    """
    return "".join(digits[int(sign)] if sign.isdecimal() else sign for sign in text)


def chinese_number(
    number: int, digits: str = _DIGITS, units: str = _UNITS, *, full: bool = False
) -> str:
    """Return a whole number, not below 0, in words.

    Args:
        number: The number.
        digits: The words for 0 to 9.
        units: The words for 10, 100 and 1000.
        full: Whether ten is 一十, as in Excel, not 十.

    Example:
        >>> chinese_number(12), chinese_number(10050, "零壹贰叁肆伍陆柒捌玖", "拾佰仟")
        ('十二', '壹万零伍拾')
    """
    if not number:
        return digits[0]
    text = _words(number, digits, units)
    one_ten = digits[1] + units[0]
    return text[1:] if text.startswith(one_ten) and units[0] == "十" and not full else text


def _words(number: int, digits: str, units: str) -> str:
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if number >= size:
            high, low = divmod(number, size)
            zero = digits[0] if 0 < low < size // 10 else ""
            return f"{_words(high, digits, units)}{name}{zero}{_words(low, digits, units)}"
    text = ""
    gap = False
    for power in (3, 2, 1, 0):
        digit = number // 10**power % 10
        if not digit:
            gap = bool(text)
            continue
        text += (digits[0] if gap else "") + digits[digit] + (units[power - 1] if power else "")
        gap = False
    return text
