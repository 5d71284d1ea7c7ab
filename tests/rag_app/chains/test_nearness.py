"""Passages in other words than the question's, ordered by their nearest sentences."""

from collections.abc import Sequence

import numpy as np
import pytest
from langchain_core.documents import Document

from rag_app.chains.nearness import (
    USUAL_COSINES,
    nearest_first,
    nearest_sentences,
    nearness,
)
from rag_app.chains.rag import rag_chain
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray
from tests.rag_app.chains.test_rag import retriever
from tests.scripted import JudgingChatModel

ASKED = "电瓶车多久之内得去上牌？"
REGISTERED = "电动自行车应当自购车之日起十五日内登记。"
RULES = f"第一条 为了规范管理，制定本办法。{REGISTERED}"


class Nearest(DocumentEmbeddings):
    """Puts sentences with a word at a question's place, others at a right angle to it."""

    fingerprint, dimension = "1", 2

    def __init__(self, word: str, name: str = "multilingual-e5-small") -> None:
        self.word, self.name = word, name

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        near = [self.word in text or text == ASKED for text in texts]
        return np.array([[1, 0] if one else [0, 1] for one in near], np.float32)


def far(text: str, **metadata: object) -> Document:
    known = {"source": f"/文档/{text[:3]}.txt", "start": 0, "relevance": 0.3}
    return Document(text, metadata={**known, **metadata})


def test_the_passage_with_the_nearest_sentence_comes_first() -> None:
    passages = [far("停车收费五元。"), far(RULES)]
    found, cosines = nearest_first(ASKED, passages, Nearest("登记"))
    assert [passage.page_content for passage in found] == [RULES, "停车收费五元。"]
    assert nearness(found, cosines) == pytest.approx(1 - USUAL_COSINES["multilingual-e5-small"])


def test_without_a_known_cosine_the_order_stays() -> None:
    passages = [far("停车收费五元。"), far("a"), far(RULES)]
    for embeddings in (None, Nearest("登记", name="another")):
        assert nearest_first(ASKED, passages, embeddings) == (passages, {})
    ordered, _ = nearest_first(ASKED, passages, Nearest("登记"))
    assert len(ordered) == len(passages)


def test_the_nearest_sentences_of_all_passages_come_in_their_order() -> None:
    passages = [far(f"登记要带身份证。{RULES}"), far("停车收费五元。"), far(RULES)]
    found = nearest_first(ASKED, passages, Nearest("登记"))
    assert nearest_sentences(*found, 2) == [(0, "登记要带身份证。"), (0, REGISTERED)]


def test_sentences_are_read_before_passages_where_none_of_these_is_relevant() -> None:
    llm = JudgingChatModel(replies=["十五日内"], judgements=[1.1])
    found = retriever(far("停车收费五元。" * 9), far(RULES))
    answer = rag_chain(found, llm, embeddings=lambda: Nearest("登记")).invoke(ASKED)
    assert answer.answered
    assert [REGISTERED in judged for judged in llm.judged] == [True, True]
    assert answer.evidence is not None
    assert answer.evidence.sentence == REGISTERED


def test_the_order_of_a_reranker_stays() -> None:
    llm = JudgingChatModel(replies=["十五日内"], judgements=[-4.0])
    found = retriever(far("停车收费五元。", rerank_score=2.0), far(RULES, rerank_score=1.0))
    assert not rag_chain(found, llm, embeddings=lambda: Nearest("登记")).invoke(ASKED).answered
    assert "停车" in llm.judged[0]
