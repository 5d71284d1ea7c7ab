"""Chinese names in English questions and answers."""

import pytest

from rag_app.chains.facts.romanization import (
    absent_names,
    person_in_english,
    spellings,
    with_han_names,
    with_names_as_asked,
    with_person_in_pinyin,
)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Linxi", "临溪图书馆，临溪市。", {"临溪": 2}),
        ("Luo Guiying", "种植户罗桂英说", {"罗桂英": 1}),
        ("Xi'an", "西安的先生", {"西安": 1}),
        ("Chongqing", "重庆的重量", {"重庆": 1}),
        ("Lu You", "吕佑与陆游", {"吕佑": 1, "陆游": 1}),
        ("He", "何静和何某", {}),  # one character may be anything
        ("Moon", "月球", {}),
    ],
)
def test_names_are_found_by_their_sound(name: str, text: str, found: dict[str, int]) -> None:
    assert spellings(name, text) == found


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("When did Li Bai meet Du Fu?", "When did 李白 meet 杜甫?"),
        ("How many mu does Luo Guiying's family grow?", "How many mu does 罗桂英's family grow?"),
        ("Does Linxi Library open on Monday?", "Does 临溪 Library open on Monday?"),
        ("What is linxi?", "What is linxi?"),
        ("Who was Wang Wei?", "Who was Wang Wei?"),
    ],
)
def test_names_that_the_texts_hold_are_written_as_they_do(question: str, written: str) -> None:
    texts = ["李白遇见杜甫", "罗桂英种猕猴桃", "临溪图书馆"]
    assert with_han_names(question, texts) == written


def test_an_answer_writes_names_as_the_question_does() -> None:
    question = "Who runs the Linxi library?"
    assert with_names_as_asked("临溪图书馆的何静", question) == "Linxi 图书馆的何静"
    assert with_names_as_asked("何静", question) == "何静"


def test_only_names_that_the_translation_writes_by_sound_are_known_to_lack() -> None:
    poet, text = "Where was Wang Wei buried?", "杜甫葬于偃师。"
    assert absent_names(poet, "王维葬在哪里？", text) == {"Wang Wei"}
    assert absent_names(poet, "王维葬在哪里？", "王维葬于辋川。") == frozenset()
    assert absent_names("Where is Canada?", "加拿大在哪里？", text) == frozenset()


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("何静", "He Jing"),
        ("文化局副局长 何静", "He Jing"),
        ("工程师周敏", "Zhou Min"),
        ("欧阳修", "Ouyang Xiu"),
        ("曾国藩", "Zeng Guofan"),
        ("李白和杜甫", None),
        ("加拿大的芬迪湾", None),
        ("Li Bai", None),
        ("", None),
    ],
)
def test_persons_are_written_in_pinyin(answer: str, name: str | None) -> None:
    assert person_in_english(answer) == name


@pytest.mark.parametrize(
    ("translation", "original", "right"),
    [
        ("Duo Fu", "杜甫", "Du Fu"),
        ("Wang Li Hua.", "馆长王丽华。", "Wang Lihua"),
        ("Li River", "漓江", "Li River"),
        ("Jinhua City", "金华市", "Jinhua City"),
        ("Wenzhou", "温州", "Wenzhou"),
    ],
)
def test_a_translated_name_has_its_pinyin(translation: str, original: str, right: str) -> None:
    assert with_person_in_pinyin(translation, original) == right
