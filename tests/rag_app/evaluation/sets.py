"""A small question set with its passages, and applications with scripted models to ask it."""

from collections.abc import Callable
from typing import Any

from rag_app import RagApp
from rag_app.evaluation.datasets import Dataset, GoldPassage, GoldQuestion
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import ScriptedChatModel

PASSAGES = {
    "li_bai": "宝应元年（762年），李白病逝于当涂。",
    "du_fu": "杜甫生于巩县，后来住在成都草堂。",
    "washer": "本洗衣机的保修期为三年，电机保修十年。",
}
ANSWERS = {
    "李白病逝于哪里？": "当涂",
    "李白病逝于哪一年？": "宝应元年",
    "杜甫生于哪里？": "巩县",
    "洗衣机保修几年？": "三年",
}


def small_set() -> Dataset:
    """Two questions of Li Bai, one each of the others, and one without an answer."""
    passages = tuple(GoldPassage(name, text) for name, text in PASSAGES.items())
    questions = [
        GoldQuestion(
            f"q{number}",
            text,
            (answer,),
            next(one.file_name for one in passages if answer in one.text),
        )
        for number, (text, answer) in enumerate(ANSWERS.items(), 1)
    ]
    questions.append(GoldQuestion("q5", "股票代码是什么？", (), None))
    return Dataset("small", "questions", tuple(questions), passages)


def replying(prompt: str) -> str:
    """The right answer to each question, but a wrong one for the washer."""
    asked = next((text for text in ANSWERS if text in prompt), "")
    return "五年" if "洗衣机" in asked else ANSWERS.get(asked, "资料中没有提到。")


def small_app(reply: Callable[[str], str] = replying, **flags: Any) -> RagApp:
    """An application with scripted replies and embeddings of hashed bigrams."""
    return RagApp(llm=ScriptedChatModel(replies=[reply]), embeddings=HashingEmbeddings(), **flags)
