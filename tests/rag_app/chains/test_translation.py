"""Questions in another language than the documents'."""

import pytest
from langchain_core.documents import Document
from langchain_core.messages import SystemMessage

from rag_app.chains.prompts import NO_ANSWER, NOT_FOUND
from rag_app.chains.rag import other_language, rag_chain
from rag_app.chains.results import Answer
from rag_app.chains.translation import UNTRANSLATED, merged, phrase_alone
from tests.rag_app.chains.test_rag import ListRetriever
from tests.scripted import JudgingChatModel, ScriptedChatModel

QUESTION = "Where did Li Bai die?"
PLACE = {"source": "李白.txt", "start": 0, "end": 18}
DEATH = Document("宝应元年（762年），李白病逝于当涂。", metadata={**PLACE, "relevance": 0.9})
FAR = Document(DEATH.page_content, metadata={**PLACE, "relevance": 0.02})
TEA = "Green tea is steamed and then dried in the sun."


class TranslatingRetriever(ListRetriever):
    """Finds the passage relevant when it is asked in Chinese alone."""

    def _get_relevant_documents(self, query: str, **_: object) -> list[Document]:
        self.asked.append(query)
        return [DEATH if "李白" in query else FAR]


def ask(retriever: ListRetriever, *replies: str) -> tuple[Answer, ScriptedChatModel]:
    llm = ScriptedChatModel(replies=list(replies))
    return rag_chain(retriever, llm).invoke(QUESTION), llm


def test_the_question_is_translated_and_the_answer_translated_back() -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    answer, llm = ask(retriever, "李白在哪里去世？", "当涂", "Dangtu")
    assert retriever.asked == [QUESTION, "李白在哪里去世？"]
    assert (answer.question, answer.text, answer.original) == (QUESTION, "Dangtu", "当涂")
    assert answer.supported  # by what the documents say
    assert "李白在哪里去世？" in llm.prompts[1]
    assert any("当涂" in note for note in answer.notes)


@pytest.mark.parametrize("answered", ["李白死在当涂。", "李白762年在哪里去世？"])
def test_a_translation_that_answers_is_asked_for_again(answered: str) -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    _, llm = ask(retriever, answered, "李白在哪里去世？", "当涂", "Dangtu")
    assert retriever.asked == [QUESTION, "李白在哪里去世？"]
    assert "哪里" in llm.prompts[1]


def test_names_are_translated_as_the_documents_write_them() -> None:
    llm = ScriptedChatModel(replies=["李白在哪里去世？", "当涂", "Dangtu"])
    rag_chain(TranslatingRetriever(documents=[], asked=[]), llm).invoke(QUESTION)
    assert "Where did 李白 die?" in llm.prompts[0]


def test_a_name_that_the_search_brings_is_translated_again() -> None:
    class LateRetriever(ListRetriever):
        """Finds the passage with the name by a word of the first translation alone."""

        def _get_relevant_documents(self, query: str, **_: object) -> list[Document]:
            self.asked.append(query)
            other = Document("杜甫生于巩县。", metadata={**PLACE, "relevance": 0.02})
            return [DEATH if "去世" in query else other]

    retriever = LateRetriever(documents=[], asked=[])
    _, llm = ask(retriever, "黎柏在哪里去世？", "李白在哪里去世？", "当涂", "Dangtu")
    assert retriever.asked == [QUESTION, "黎柏在哪里去世？", "李白在哪里去世？"]
    assert "Where did 李白 die?" in llm.prompts[1]
    assert "李白在哪里去世？" in llm.prompts[2]


@pytest.mark.parametrize(
    ("question", "said", "english"),
    [
        (QUESTION, "12个月", "12 months"),
        ("Who praised Li Bai?", "贺知章", "He Zhizhang"),
        ("When did Li Bai die?", "762年", "762"),
        ("When did Li Bai die?", "宝应元年", "762"),
    ],
)
def test_amounts_years_and_persons_are_not_left_to_the_model(
    question: str, said: str, english: str
) -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    llm = ScriptedChatModel(replies=["李白的问题？", said, "wrong"])
    answer = rag_chain(retriever, llm).invoke(question)
    assert (answer.text, answer.original) == (english, said)


def test_a_name_that_the_passages_lack_speaks_against_an_answer() -> None:
    llm = JudgingChatModel(replies=["王维在李白的哪里去世？", "当涂", "Dangtu"], judgements=[3.0])
    answer = rag_chain(TranslatingRetriever(documents=[], asked=[]), llm).invoke(
        "Where did Wang Wei die?"
    )
    assert answer.confidence
    assert answer.confidence.signals.unmatched == ("Wang Wei",)
    assert not answer.answered


def test_what_is_shown_as_it_comes_is_in_the_questions_language() -> None:
    llm = ScriptedChatModel(replies=["李白在哪里去世？", "当涂", "Dangtu"])
    chain = rag_chain(TranslatingRetriever(documents=[], asked=[]), llm)
    assert "".join(piece.text for piece in chain.stream(QUESTION)) == "Dangtu"


def test_an_answer_that_is_not_translated_is_shown_in_the_documents_words() -> None:
    answer, _ = ask(
        TranslatingRetriever(documents=[], asked=[]), "李白在哪里去世？", "当涂", "当涂"
    )
    assert answer.text == "当涂"
    assert answer.notes == ()


@pytest.mark.parametrize("reply", ["I do not know.", " ", "李白" * 400])
def test_a_reply_that_is_no_translation_is_not_searched_for(reply: str) -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    answer, _ = ask(retriever, reply)
    assert retriever.asked == [QUESTION]
    assert (answer.answered, answer.text) == (False, NOT_FOUND["en"])


def test_words_that_a_translation_leaves_as_they_are_make_no_passage_unlikely() -> None:
    llm = JudgingChatModel(replies=["李白 died在哪里？", "当涂", "Dangtu"], judgements=[3.0])
    answer = rag_chain(TranslatingRetriever(documents=[], asked=[]), llm).invoke(QUESTION)
    assert answer.text == "Dangtu"
    assert answer.confidence
    assert answer.confidence.signals.unmatched == ()


def test_passages_are_judged_by_the_question_as_it_was_asked() -> None:
    llm = JudgingChatModel(replies=["她在哪里去世？李白", "当涂", "Dangtu"], judgements=[3.0])
    answer = rag_chain(TranslatingRetriever(documents=[], asked=[]), llm).invoke(QUESTION)
    assert QUESTION in llm.judged[0]
    assert answer.confidence
    assert answer.confidence.signals.translated


def test_the_judgement_is_the_mean_over_both_wordings() -> None:
    judgements: list[float | None] = [3.0, 1.0]
    llm = JudgingChatModel(replies=["李白在哪里去世？", "当涂", "Dangtu"], judgements=judgements)
    answer = rag_chain(TranslatingRetriever(documents=[], asked=[]), llm).invoke(QUESTION)
    assert "李白在哪里去世？" in llm.judged[1]
    assert answer.confidence
    assert answer.confidence.signals.judgement == pytest.approx(2.0, abs=0.01)


def test_a_number_that_only_the_question_as_it_was_asked_has_is_missed() -> None:
    llm = JudgingChatModel(replies=["李白在哪里去世？"], judgements=[3.0])
    chain = rag_chain(TranslatingRetriever(documents=[], asked=[]), llm)
    assert not chain.invoke("Where did Li Bai die in 1815?").answered


def test_a_refusal_is_in_the_questions_language() -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    answer, _ = ask(retriever, "李白在哪里去世？", NO_ANSWER["zh"])
    assert (answer.answered, answer.text) == (False, NO_ANSWER["en"])


@pytest.mark.parametrize(
    ("question", "relevant", "nearest", "language"),
    [
        ("李白在哪里去世？", [], ["李白病逝于当涂。"], None),
        ("李白在哪里去世？", [], ["1,200 | 3,400 | XK-2"], None),
        ("绿茶怎么做？", [], [TEA], "en"),
        ("绿茶怎么做？", ["绿茶蒸青。"], [TEA], None),
        ("How is green tea made?", [TEA], ["绿茶蒸青。", TEA], None),
        ("How is green tea made?", ["绿茶蒸青。", TEA], [TEA], "zh"),
        (
            "What does SDK 2.4 need?",
            [],
            ["SDK 2.4 需要 Android 8.0 以上的系统，最低 2 GB 内存。"],
            "zh",
        ),
        ("Anything?", [], [], None),
    ],
)
def test_the_language_of_what_was_found_decides(
    question: str, relevant: list[str], nearest: list[str], language: str | None
) -> None:
    found = [[Document(text) for text in texts] for texts in (relevant, nearest)]
    assert other_language(question, *found) == language


def test_two_searches_are_merged_by_relevance() -> None:
    other = Document("杜甫生于巩县。", metadata={"source": "杜甫.txt", "relevance": 0.5})
    assert merged([FAR, other], [DEATH]) == [DEATH, other]


@pytest.mark.parametrize(
    ("translation", "alone"),
    [
        ("Li Bai died in Dangtu.", "Li Bai died in Dangtu."),  # without a verb that joins
        ("Li Bai was in Dangtu.", "Dangtu"),
        ("He is the Banished Immortal", "He is the Banished Immortal"),
        ("Dangtu", "Dangtu"),
        ("where Li Bai did die", "where Li Bai did die"),  # nothing else is left
    ],
)
def test_a_phrase_is_not_made_a_sentence(translation: str, alone: str) -> None:
    assert phrase_alone(translation, QUESTION) == alone
    answer, _ = ask(
        TranslatingRetriever(documents=[], asked=[]), "李白在哪里去世？", "当涂", translation
    )
    assert answer.text == alone


def test_an_answer_of_yes_or_no_stays_whole() -> None:
    said = "Guide dogs can enter the park freely."
    assert phrase_alone(said, "Can guide dogs enter the park?") == said


@pytest.mark.parametrize(
    ("said", "first", "second", "english"),
    [
        ("花了三百万元修缮", "cost 30 million yuan", "cost 3 million yuan", "cost 3 million yuan"),
        ("由程仁山创办", "founded by Chen Renshan", "founded by Chen Renshan", "由程仁山创办"),
        ("每两个月换洗", "every three months", "every 3 months", "每两个月换洗"),
        ("三分之一的人", "one third of them", "", "one third of them"),
    ],
)
def test_a_translation_with_numbers_or_names_of_its_own_is_not_shown(
    said: str, first: str, second: str, english: str
) -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    answer, _ = ask(retriever, "李白在哪里去世？", said, first, second)
    assert (answer.text, answer.original) == (english, said)
    assert (UNTRANSLATED in answer.notes) == (english == said)


def test_amounts_are_held_where_a_translation_got_them_wrong() -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    _, llm = ask(retriever, "李白在哪里去世？", "花了三百万元修缮", "30 million", "3 million")
    assert "花了 3 million yuan 修缮" in llm.prompts[-1]


@pytest.mark.parametrize(
    ("question", "system"),
    [
        ("请用英文回答：李白是怎样去世的？", ""),
        ("李白是怎样去世的？", "请简短回答。\n请用英文回答。Answer in English."),
    ],
)
def test_a_wish_for_another_language_is_met_by_translation(question: str, system: str) -> None:
    llm = ScriptedChatModel(replies=["病逝于当涂", "Li Bai died in Dangtu."])
    chain = rag_chain(ListRetriever(documents=[DEATH], asked=[]), llm)
    history = [SystemMessage(system)] if system else []
    answer = chain.invoke({"question": question, "history": history})
    assert (answer.text, answer.original) == ("Li Bai died in Dangtu.", "病逝于当涂")
    assert answer.supported
    assert "英文" not in llm.prompts[0]
    assert ("请简短回答" in llm.prompts[0]) == bool(system)


def test_a_wish_for_the_language_of_the_question_changes_nothing() -> None:
    question = "请用中文回答：李白是怎样去世的？"
    llm = ScriptedChatModel(replies=["病逝于当涂"])
    chain = rag_chain(ListRetriever(documents=[DEATH], asked=[]), llm)
    assert chain.invoke(question).text == "病逝于当涂"
    assert question in llm.prompts[0]


def test_an_english_question_may_be_answered_in_the_documents_chinese() -> None:
    retriever = TranslatingRetriever(documents=[], asked=[])
    llm = ScriptedChatModel(replies=["李白在哪里去世？", "当涂"])
    answer = rag_chain(retriever, llm).invoke(f"{QUESTION} Please answer in Chinese.")
    assert answer.text == "当涂"
    assert len(llm.prompts) == 2
