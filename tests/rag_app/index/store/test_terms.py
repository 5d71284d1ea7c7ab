import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.documents.text import document_terms, fold, match_expression, query_terms
from rag_app.index.store.store import IndexStore


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("李白诗", "李白 白诗 诗"),
        ("GPT-4 ｉＰhone15", "gpt 4 iphone15"),
        ("《臺灣》", "台湾 湾"),
        ("乾隆", "干隆 隆"),
        ("用API查", "用 api 查"),
        ("STRASSE Straße", "strasse strasse"),
        ("𠮷野家", "𠮷野 野家 家"),
        ("a_b\x00c", "a b c"),
        ("，。！", ""),
        ("", ""),
    ],
)
def test_document_terms(text, terms):
    assert document_terms(text) == terms


def test_query_terms_are_distinct_and_leave_out_last_characters():
    assert query_terms("李白和李白") == ["李白", "白和", "和李"]
    assert query_terms("龙 dragon Dragon") == ["龙", "dragon"]


def test_one_character_is_a_prefix():
    assert match_expression(["龙", "a", "3", "李白"]) == '"龙"* OR "a" OR "3" OR "李白"'


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("李白", {1, 2}),
        ("查“龙”", {5}),
        ("龍", {5}),
        ("條", {5}),
        ("杜甫字", {3, 4}),
        ("DRAGON", {6}),
        ("没见过", set()),
    ],
)
def test_search(store: IndexStore, question, found):
    with store.read() as snapshot:
        hits = snapshot.search_terms(match_expression(query_terms(question)), 10)
    assert {number for number, _ in hits} == found
    assert all(score > 0 for _, score in hits)


def test_traditional_passages_answer_simplified_questions(empty: IndexStore, put):
    put(empty, "臺.txt", ["臺灣的龍舟節在農曆五月。"])
    with empty.read() as snapshot:
        assert snapshot.search_terms(match_expression(query_terms("台湾龙舟节")), 10)


@pytest.mark.parametrize(
    "question",
    [
        '"',
        'a" OR terms:x*',
        "NEAR(李白 杜甫)",
        "body : 李白",
        "^李白",
        "李白 AND (",
        "-李白",
        "'; --",
        "\x00",
    ],
)
def test_a_question_is_never_query_syntax(store: IndexStore, question):
    expression = match_expression(query_terms(question))
    with store.read() as snapshot:
        if expression:
            snapshot.search_terms(expression, 10)


@given(st.text("aAÅéß ，。：（！Ａｂ１　①ﬁ﨎가ㄱかが\u0301\u3099\u1161李白病逝", max_size=12))
def test_folding_is_nfkc_and_case(text):
    assert fold(text) == unicodedata.normalize("NFKC", text).casefold()
