import pytest
from langchain_core.documents import Document

from rag_app.documents.text import content_terms
from rag_app.index.search.relevance import (
    CALIBRATIONS,
    LEXICAL,
    Coverage,
    above_threshold,
    calibration_of,
)

PASSAGE = "李白，字太白，号青莲居士，唐代诗人，祖籍陇西成纪。"


def _coverage(question: str, total: int, held: int = 1) -> float:
    frequencies = {term: held if term in PASSAGE else 0 for term in content_terms(question)}
    return Coverage(frequencies, total).of(PASSAGE)


@pytest.mark.parametrize("total", [1, 10, 1000, 100_000])
def test_coverage_does_not_hang_on_the_size_of_the_index(total):
    assert _coverage("李白的祖籍是哪里？", total) > 0.6
    assert _coverage("李白喜欢吃什么水果？", total) < 0.4
    assert _coverage("量子计算", total) == 0


def test_rare_terms_count_for_more():
    coverage = Coverage({"青莲": 1, "唐代": 900}, 1000)
    assert coverage.of("号青莲") > 0.9
    assert coverage.of("唐代人") < 0.1


def test_words_that_only_ask_count_for_nothing():
    assert content_terms("请问李白是谁？") == ["李白"]
    assert content_terms("什么是什么") == ["什么", "么是", "是什"]
    assert _coverage("请问李白是谁？", 10) == 1


def test_no_terms_no_coverage():
    assert Coverage({}, 10).of(PASSAGE) == 0


def test_one_character_is_held_by_what_begins_with_it():
    assert Coverage({"居": 1}, 10).of(PASSAGE) == 1


def test_probability_grows_with_both_features_and_stays_within_bounds():
    model = CALIBRATIONS["multilingual-e5-small"]
    assert model.probability(0.8, 0.90) > 0.9 > 0.5 > model.probability(0.1, 0.80)
    assert model.probability(0.5, 0.88) > model.probability(0.5, 0.84)
    assert model.probability(0.5, 0.86) > model.probability(0.3, 0.86)
    assert 0 <= model.probability(-1e9, 0) <= model.probability(1e9, 1) <= 1


def test_models_without_a_calibration_go_by_the_terms_alone():
    assert calibration_of("some-model") is calibration_of(None) is LEXICAL
    assert LEXICAL.probability(0.5, 0.0) == LEXICAL.probability(0.5, 0.9)


def test_documents_below_the_threshold_are_left_out_and_those_that_do_not_tell_are_kept():
    near, far = (Document("", metadata={"relevance": number}) for number in (0.5, 0.49))
    foreign = Document("", metadata={"source": "a"})
    assert above_threshold([near, far, foreign], 0.5) == [near, foreign]
    assert above_threshold([near, far], 0) == [near, far]
