import pytest

from rag_app.documents.pdf.characters import HYPHEN, Char, PageCharacters
from rag_app.documents.pdf.lines import join


@pytest.mark.parametrize(
    ("before", "line", "text"),
    [
        ("李白是唐代的著名诗", "人。", "李白是唐代的著名诗人。"),
        ("总共使用的金额是人民币", "2024年的三倍", "总共使用的金额是人民币2024年的三倍"),
        ("电话分机811", "0，不得自行删除", "电话分机8110，不得自行删除"),
        ("the moon in 2019", "20 people saw", "the moon in 2019 20 people saw"),
        ("the moon and the", "river in autumn", "the moon and the river in autumn"),
        (f"the moon and riv{HYPHEN}", "ers", "the moon and rivers"),
        (f"the years of 1999{HYPHEN}", "2004", "the years of 1999-2004"),
        ("the years of 1999-", "2004", "the years of 1999-2004"),
        ("我们使用 LangChain", "和 FAISS 检索", "我们使用 LangChain和 FAISS 检索"),
    ],
)
def test_lines_are_joined(before: str, line: str, text: str) -> None:
    assert join(before, line) == text


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("Vereinbarung über die Überlassung von Räumen", True),
        ("このプログラムを削除する場合はコントロールパネルを開きます", True),
        ("员工每年享有十五天带薪年假", True),
        ("9HUHLQEDUXQJ&EHU&GLH&EHUODVVXQJ", False),
        ("ɍɝɥɨɜɚɹ ɲɥɢɮɨɜɚɥɶɧɚɹ ɦɚɲɢɧɚ", False),
        ("\x04\x05\x06\x07 Vereinbarung", False),
    ],
)
def test_text_that_its_font_does_not_explain_may_be_right_all_the_same(
    text: str, readable: bool
) -> None:
    chars = [Char(char, 0, 0, 1, 1, 1) for char in text if char != " "]
    assert PageCharacters(chars, unmapped=text).readable is readable


def test_a_page_of_which_the_font_explains_but_some_characters_is_codes() -> None:
    lost = dict(zip("同不者须知务者", "fghijklm", strict=False))
    text = "本规定适用于全体员工，不得转让；违者须承担责任，务必知悉。" * 4
    read = "".join(lost.get(char, char) for char in text)
    chars = [Char(char, 0, 0, 1, 1, 1) for char in read]
    unmapped = "".join(char for char in read if char.isascii())
    assert not PageCharacters(chars, unmapped=unmapped).readable
    assert PageCharacters(chars[:40], unmapped="A").readable
