"""Amounts, years and dates in English."""

import pytest

from rag_app.chains.facts.english_amounts import amount_in_english, with_english_amounts


@pytest.mark.parametrize(
    ("amount", "english"),
    [
        ("12个月", "12 months"),
        ("六小时", "6 hours"),
        ("24小时内", "within 24 hours"),
        ("1天", "1 day"),
        ("八年", "8 years"),
        ("五十九岁", "59 years old"),
        ("每两个月", "every 2 months"),
        ("前40分钟", "the first 40 minutes"),
        ("约3.8厘米", "about 3.8 centimetres"),
        ("1,079千瓦", "1,079 kilowatts"),
        ("８ＧＢ", "8 GB"),
        ("-8.7%", "-8.7%"),
        ("百分之三十六", "36%"),
        ("550元。", "550 yuan"),
        ("12万元", "120,000 yuan"),
        ("三十一亿元", "3.1 billion yuan"),
        ("1.25亿", "125 million"),
        ("12,345,678元", "12,345,678 yuan"),
        ("160万册", "1.6 million"),
        ("一千零五十人", "1,050"),
        ("二点三米", "2.3 metres"),
        ("2比1", "2:1"),
    ],
)
def test_amounts(amount: str, english: str) -> None:
    assert amount_in_english(amount, "How much is it?") == english


@pytest.mark.parametrize(
    ("date", "english"),
    [
        ("762年", "762"),
        ("公元前221年", "221 BC"),
        ("二〇二四年", "2024"),
        ("2024年3月", "March 2024"),
        ("2024年3月1日", "1 March 2024"),
        ("12月15日", "15 December"),
    ],
)
def test_years_and_dates(date: str, english: str) -> None:
    assert amount_in_english(date, "When was it?") == english


def test_asked_for_a_year_the_year_is_the_answer() -> None:
    question = "In which year was Du Fu born?"
    assert amount_in_english("杜甫出生于公元712年。", question) == "712"
    assert amount_in_english("712年或713年", question) is None
    assert amount_in_english("杜甫出生于公元712年。", "Where was Du Fu born?") is None


def test_a_decade_is_no_year() -> None:
    assert with_english_amounts("1950年代建成") == "1950s 建成"


def test_a_span_of_years_is_no_year() -> None:
    assert amount_in_english("300年", "How long did the dynasty last?") == "300 years"


@pytest.mark.parametrize("text", ["何静", "在当涂病逝", "13月1日", "550元和400元", "", "点"])
def test_anything_else_is_no_amount(text: str) -> None:
    assert amount_in_english(text, "How much is it?") is None


@pytest.mark.parametrize("text", ["9" * 5_000, "9" * 40 + "元", "一" * 5_000])
def test_an_endless_number_is_left_as_it_is(text: str) -> None:
    assert amount_in_english(text, "How much?") is None
    assert with_english_amounts(text) == text
