"""What a model of llama.cpp says on whether passages answer, and what it reads for that."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableLambda

from rag_app.chains.answer import answer_chain
from rag_app.chains.confidence import asked_to_judge, can_judge, judge_chain
from rag_app.chains.questions.conversation import Question
from rag_app.chains.settling import settles_chain
from rag_app.models.llms.llamacpp import LlamaCppChat
from tests.scripted import JudgingChatModel, ScriptedChatModel

PROMPT: list[BaseMessage] = [HumanMessage("资料：李白病逝于当涂。\n问题：李白是怎样去世的？")]
PASSAGE = Document("宝应元年（762年），李白病逝于当涂。" * 20, metadata={"source": "李白.txt"})


class PromptTokens(BaseCallbackHandler):
    """How many tokens of its prompt llama.cpp read in each call, without those that it kept."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        message: Any = response.generations[0][0]
        self.read.append(message.message.response_metadata["timings"]["prompt_n"])


def test_log_odds_of_yes_and_no() -> None:
    llm = JudgingChatModel(replies=[], judgements=[2.5, None])
    assert judge_chain(llm).invoke(PROMPT) == pytest.approx(2.5)
    assert judge_chain(llm).invoke(PROMPT) is None


def told(**logprobs: float) -> Any:
    """Return a model that tells what its reply may begin with."""
    top = [{"token": token, "logprob": logprob} for token, logprob in logprobs.items()]
    said = {"logprobs": {"content": [{"top_logprobs": top}]}}
    return RunnableLambda(lambda _, **__: AIMessage("", response_metadata=said))


def test_a_question_is_settled_by_yes_or_by_no() -> None:
    yes = settles_chain(told(是=-0.1, 不是=-2.1, 没说=-3.1)).invoke(PROMPT)
    no = settles_chain(told(是=-2.1, 不是=-0.1, 没说=-3.1)).invoke(PROMPT)
    unsaid = settles_chain(told(是=-3.1, 不是=-2.1, 没说=-0.1)).invoke(PROMPT)
    assert yes is not None
    assert no is not None
    assert unsaid is not None
    assert no - yes == pytest.approx(1.2), "a yes counts for less than a no that is as likely"
    assert yes > 0 > unsaid


def test_another_question_comes_after_the_prompt() -> None:
    (message,) = asked_to_judge(PROMPT, "有没有答案？")
    assert message.text == f"{PROMPT[0].text}\n\n有没有答案？"


def test_who_can_judge(tiny_gguf: Path) -> None:
    llm = LlamaCppChat(path=tiny_gguf, context_length=2048, threads=1)
    assert can_judge(llm)
    assert isinstance(judge_chain(llm).invoke(PROMPT), float)
    assert not can_judge(ScriptedChatModel(replies=[]))


def test_a_judgement_keeps_the_prefix_of_the_answer(tiny_gguf: Path) -> None:
    llm = LlamaCppChat(path=tiny_gguf, context_length=4096, threads=1, max_tokens=8)
    tokens = PromptTokens()
    question = Question("李白是怎样去世的？", [PASSAGE])
    answer_chain(llm, threshold=0.0, context="full").invoke(question, {"callbacks": [tokens]})
    judged, answered = tokens.read
    assert judged > llm.get_num_tokens(PASSAGE.page_content)
    assert answered < 16
    other = Question("李白葬在哪里？", [PASSAGE])
    answer_chain(llm, threshold=0.0, context="full").invoke(other, {"callbacks": [tokens]})
    assert max(tokens.read[2:]) < 100
