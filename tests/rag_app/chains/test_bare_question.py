"""What is searched for of a question as people put it."""

import pytest

from rag_app.chains.bare_question import bare_question, parts_of


@pytest.mark.parametrize(
    ("question", "bare"),
    [
        ("请用英文回答：李白被流放到什么地方？", "李白被流放到什么地方？"),
        ("李白是怎样去世的？请详细说明，并用表格列出。", "李白是怎样去世的？"),
        ("你好，我是新员工，想问一下年假有几天？", "年假有几天？"),
        ("麻烦帮我查一下：河有多长？谢谢！", "河有多长？"),
        ("您好，我是一名记者，正在写报道，请问河有多长？", "河有多长？"),
        ("请用表格列出洗衣机的净重。", "洗衣机的净重。"),
        ("請問李白去世的時候多少歲？", "李白去世的時候多少歲？"),
        ("请用不超过二十个字回答，隧道有多深？", "隧道有多深？"),
        ("不要解释，直接告诉我几点重建？", "几点重建？"),
        ("请像给小学生讲故事一样，详细介绍一下：纸怎样造？", "纸怎样造？"),
        ("代号是什么？请用 Markdown 表格回答。", "代号是什么？"),
        ("Please answer in English: 李白葬在哪里？", "李白葬在哪里？"),
        ("Hello! Could you tell me who Li Bai was, in English please?", "who Li Bai was"),
        ("What is the code name? Answer briefly, please.", "What is the code name?"),
        ("3、李白葬在哪里？", "李白葬在哪里？"),
        ("（12）李白葬在哪里？", "李白葬在哪里？"),
    ],
)
def test_words_on_form_are_left_out(question: str, bare: str) -> None:
    assert bare_question(question) == bare


@pytest.mark.parametrize(
    "question",
    [
        "李白的诗集是哪一年编成的，作者是谁？",
        "我是孕妇，可以吃这种药吗？",
        "如何用英文介绍李白",
        "E1: 进水压力不足怎么办",
        "说明书里写的有效期是多久？",
        "写出《将进酒》的是谁？",
        "请假要提前几天？",
        "3.5万元怎么报销？",
        "2023年的收入是多少？",
        "要点是什么？",
        "Recognizer.start() 改成了什么名字？",
        "What is the answer of Recognizer.open()?",
        "你好",
        "在吗？",
        "3.5元够吗",
        "",
    ],
)
def test_what_is_asked_stays(question: str) -> None:
    assert bare_question(question) == question


def test_once_is_enough() -> None:
    bare = bare_question("你好！请问，能不能用通俗的话告诉我，什么是潮汐？谢谢")
    assert bare == bare_question(bare) == "什么是潮汐？"


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("注册资本是多少，法定代表人是谁？", ["注册资本是多少", "法定代表人是谁"]),
        ("李白是谁以及他是怎么死的？", ["李白是谁", "他是怎么死的"]),
        ("A是什么，B又是多少，另外C在哪里？", ["A是什么", "B又是多少", "C在哪里"]),
        ("1. 李白是谁？2. 杜甫是谁？", ["1. 李白是谁", "2. 杜甫是谁"]),
        ("电压是多少，功率是多少？请用表格列出。", ["电压是多少", "功率是多少？请用表格列出"]),
        ("电压是多少？谢谢！", 1),
        ("发明专利保护多少年，外观设计呢？", ["发明专利保护多少年", "外观设计呢"]),
        ("我要买手机，有没有便宜的呢？", 1),
        ("Who wrote it for us and when was it published?", 2),
        ("不管是谁，都要交多少钱？", 1),
        ("连续用工满几个月，未签合同要付几倍工资？", 1),
        ("谁能告诉我，年假有几天？", 1),
        ("《爸爸去哪儿？》的导演是谁？", 1),
        ("这是什么？为什么？", 1),
        ("A是什么，B是什么，C是什么，D是什么，E是什么？", 1),
    ],
)
def test_the_parts_of_a_question(question: str, parts: list[str] | int) -> None:
    found = parts_of(question)
    assert (len(found) if isinstance(parts, int) else found) == parts
    assert len(found) > 1 or found == [question]
