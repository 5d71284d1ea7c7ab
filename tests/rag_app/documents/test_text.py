import pytest

from rag_app.documents.text import clean, document_terms, language_of, query_terms


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("".join(f"{char}\u200b" for char in "价格表"), "价格表"),
        ("甲\u2060乙\u200d丙\u200c丁", "甲乙丙丁"),
        ("\u202a8110\u202c \u2066A\u2069\u200e", "8110 A"),
        ("葛\U000e0100城 漢\ufe00字", "葛城 漢字"),
    ],
)
def test_what_nobody_sees_is_no_text(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_marks_of_symbol_fonts_are_what_they_look_like() -> None:
    assert clean("\uf0b7 同意\n\uf0fc 反对\uf0e0弃权") == "• 同意\n✓ 反对→弃权"
    assert clean("\ue001\uf072") == "\ue001\uf072"


def test_radicals_are_the_characters_that_they_look_like() -> None:
    assert clean("⾏⼈⻋⻓李 ⺮⺀") == "行人车长李 ⺮⺀"


@pytest.mark.parametrize(
    "text",
    ["👩\u200d🔬", "👨🏽\u200d⚕\ufe0f", "❤\ufe0f", "1\ufe0f\u20e3", "می\u200cروم", "क्\u200dष"],
)
def test_joiners_that_make_another_picture_or_word_stay(text: str) -> None:
    assert clean(text) == text


def test_search_sees_no_format_characters_and_no_width() -> None:
    assert document_terms("型号\u200bＡＢ\u2060１２３") == document_terms("型号AB123")
    assert query_terms("价\u200b格") == query_terms("价格")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is 当涂?", "en"),
        ("Who composed 《我的祖国》?", "en"),
        ("Who compiled the Caotang Ji (草堂集) after Li Bai's death?", "en"),
        ("How many days of 年假 do I get?", "en"),
        ("Kubernetes 的 Pod 怎么重启？", "zh"),
        ("The Lord of the Rings 是谁写的？", "zh"),
        ("What does RAG 是什么意思", "zh"),
        ("Redis（缓存）", "zh"),
        ("Explain 年假", "zh"),
    ],
)
def test_names_in_chinese_make_no_english_sentence_chinese(text: str, language: str) -> None:
    assert language_of(text) == language
