"""Right-to-left writing is read in logical order, whatever the order in which a PDF draws it."""

import pytest

from rag_app.documents.pdf.bidi import logical_order
from rag_app.documents.pdf.characters import Char, Space
from rag_app.documents.pdf.lines import fragments, rows


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("abc 12", "abc 12"),
        ("הד גבא", "אבג דה"),
        ("לקש 1,234.5 ריחמ", "מחיר 1,234.5 שקל"),
        ("价格是דגבא元。", "价格是אבגד元。"),
        ("中文 דג 12 בא 中", "中文 אב 12 גד 中"),
        ("םלוע hello world םולש", "שלום hello world עולם"),
        (".בא 12", "12 אב."),
    ],
)
def test_what_is_shown_is_read_in_logical_order(shown: str, read: str) -> None:
    order = logical_order(shown)
    assert "".join(shown[at] for at in order) == read
    assert sorted(order) == list(range(len(shown)))


def placed(shown: str) -> list[Char]:
    """The letters of a line as they stand on a page, six points each."""
    return [
        Char(char, 6.0 * at, 0, 6.0 * at + 6, 10, 10)
        for at, char in enumerate(shown)
        if char != " "
    ]


def text_of(chars: list[Char]) -> str:
    return " ".join(part.text for row in rows(fragments(chars)) for part in row)


@pytest.mark.parametrize("drawn_from", ["left", "right"])
def test_a_line_reads_the_same_from_whichever_side_it_is_drawn(drawn_from: str) -> None:
    chars = placed("תירבע ןושל")
    assert text_of(chars if drawn_from == "left" else chars[::-1]) == "לשון עברית"


def test_spaces_between_words_are_before_what_is_read_next() -> None:
    tight = [
        char._replace(left=char.left * 0.75, right=char.right * 0.75) for char in placed("גבא")
    ]
    word = [char._replace(left=char.left + 14.5, right=char.right + 14.5) for char in tight]
    chars = [*word[::-1], *(tight[::-1])]
    chars[3] = chars[3]._replace(spaced=Space.WRITTEN)
    assert text_of(chars) == "אבג אבג"


def test_marks_follow_their_letters_and_ligatures_keep_their_order() -> None:
    word = [Char("\u0627", 12, 0, 18, 10, 10), Char("\u0644", 0, 0, 12, 10, 10),
            Char("\u0627", 0, 0, 12, 10, 10), Char("\u064e", 14, 0, 15, 10, 10)]  # fmt: skip
    assert text_of(word) == "\u0627\u064e\u0644\u0627"
