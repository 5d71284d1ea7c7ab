"""Every prompt, as data: one template for each task and language.

The context always comes before the question, so that a model that keeps its prefix cache answers
the next question about the same passage without reading the passage again. Only the question
comes after it: each token there delays the answer.
"""

from collections.abc import Mapping
from typing import Literal

from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate

from rag_app.documents.language import Language

Task = Literal[
    "answer", "refine_answer", "standalone", "summary", "refine_summary", "combine_summaries"
]

NO_ANSWER: Mapping[Language, str] = {"zh": "资料中没有提到。", "en": "The passages do not say."}
"""The reply where the model itself says that the passages hold no answer."""

NOT_FOUND: Mapping[Language, str] = {
    "zh": "文档中没有找到这个问题的答案。",
    "en": "The documents do not hold an answer to this question.",
}
"""What the user is told when retrieval found nothing relevant; no model is called for it."""

UNCHANGED: Mapping[Language, str] = {"zh": "不变", "en": "UNCHANGED"}
"""What the model is told to reply when a further passage adds nothing."""

_SYSTEM: Mapping[Language, str] = {
    "zh": "你是严谨的文档助手，只根据给出的资料作答，不编造。",
    "en": "You are a careful document assistant. Use only the passages given; invent nothing.",
}

_HUMAN: Mapping[tuple[Task, Language], str] = {
    # Small models that are offered a way out take it too often: told to say so where a passage
    # holds no answer, the default model refused 8 to 33 % of gold passages in small trials (CMRC)
    # and answered the others no better. Whether to ask at all is for the retriever's threshold.
    # Told to answer the question it copied whole passages; told to find the answer and write only
    # that, its F1 on our 30 dev questions rose from 0.33 to 0.76.
    ("answer", "zh"): (
        "从下面的资料中找出问题的答案。只写答案本身，简短、完整，用资料的原话，数字带上单位。\n\n"
        "资料：\n{context}\n\n"
        "问题：{question}"
    ),
    ("answer", "en"): (
        "Find the answer to the question in the passages below. Write only the answer itself, in "
        "English, briefly and completely, numbers with their units.\n\n"
        "Passages:\n{context}\n\n"
        "Question: {question}"
    ),
    ("refine_answer", "zh"): (
        "补充资料：\n{context}\n\n"
        "问题：{question}\n"
        "已有答案：{answer}\n\n"
        f"如果补充资料没有回答这个问题，或者没有新的内容，只回答：{UNCHANGED['zh']}\n"
        "如果补充资料有与问题直接相关的新内容，写出改进后的完整答案，简短，不解释。"
    ),
    ("refine_answer", "en"): (
        "Further passages:\n{context}\n\n"
        "Question: {question}\n"
        "Answer so far: {answer}\n\n"
        "If these passages do not answer the question or add nothing new, "
        f"reply only: {UNCHANGED['en']}\n"
        "If they add something that answers the question, write the improved, complete answer, "
        "briefly and without explanation."
    ),
    ("standalone", "zh"): (
        "对话：\n{context}\n\n"
        "接下来的问题：{question}\n\n"
        "把这个问题改写成不看对话也能明白的完整问题：用对话里的名称代替“他”“它”“这个”等词，"
        "不改变意思，不回答。只写改写后的问题。"
    ),
    ("standalone", "en"): (
        "Conversation:\n{context}\n\n"
        "Next question: {question}\n\n"
        "Rewrite this question so that it can be understood without the conversation: put names in "
        "place of words such as it, he or this. Keep its meaning and do not answer it. "
        "Write only the rewritten question."
    ),
    ("summary", "zh"): (
        "文本：\n{context}\n\n"
        "请用中文概括上面文本的主要内容，不超过{length}字，写成连贯的一段话，"
        "保留关键的人物、时间、数字和结论，不加评论。"
    ),
    ("summary", "en"): (
        "Text:\n{context}\n\n"
        "Summarize the text above in English in at most {length} words, as one coherent paragraph. "
        "Keep the key people, dates, figures and conclusions; add no comment."
    ),
    ("refine_summary", "zh"): (
        "后续文本：\n{context}\n\n"
        "前文的概括：{summary}\n\n"
        "请把后续文本的要点并入前文的概括，写出覆盖全部内容的新概括，"
        "不超过{length}字，写成连贯的一段话，不加评论。"
    ),
    ("refine_summary", "en"): (
        "Text that follows:\n{context}\n\n"
        "Summary of what came before: {summary}\n\n"
        "Merge the main points of the new text into the summary. Write one coherent paragraph in "
        "English that covers everything, in at most {length} words; add no comment."
    ),
    ("combine_summaries", "zh"): (
        "下面是同一文本各部分的概括，按原文顺序排列：\n{context}\n\n"
        "请合并成一段连贯的总概括，不超过{length}字，不重复，不加评论。"
    ),
    ("combine_summaries", "en"): (
        "These are summaries of consecutive parts of one text:\n{context}\n\n"
        "Merge them into one coherent summary in English of at most {length} words, "
        "without repetition or comment."
    ),
}


def messages(task: Task, language: Language, **values: str) -> list[BaseMessage]:
    """Return the chat messages of ``task``; ``values`` may hold any text, braces included."""
    template = ChatPromptTemplate.from_messages(
        [("system", _SYSTEM[language]), ("human", _HUMAN[task, language])]
    )
    return template.format_messages(**values)
