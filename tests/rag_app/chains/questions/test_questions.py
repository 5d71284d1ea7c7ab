"""What questions ask: bare, in parts, and of documents as a whole or only as it sounds."""

import pytest

from rag_app.chains.questions import bare_question
from rag_app.chains.questions.conversation import parts_of
from rag_app.chains.questions.overview import Overview, overview_of

SOURCES = ["/资料/员工手册.pdf", "/资料/du_fu.txt", "/资料/doc.txt", "/资料/合同.pdf"]
REPORT, PAPER = "/资料/2024年度审计报告（终稿）.docx", "/p/attention-is-all-you-need-v7.pdf"


def asked(question: str) -> Overview | None:
    return overview_of(question, lambda: SOURCES)


ABOUT = """
这些文档主要讲了什么？
这些文档都讲了哪些内容
请总结一下这些文档的主要内容。
本文的主旨是什么
用一句话概括这份文档
这篇文章是关于什么的？
知识库里有什么？
你好，请问这些资料讲了什么？
这批资料大概是干嘛的
帮我看看这些文件都说了些啥
用三句话总结全部文档
我想快速了解一下这个知识库
这些材料都包含哪些方面的内容
把所有文件概括成一段话
这本书的作者想表达什么
这篇论文的主要贡献是什么
整理一下这些文档的要点，用列表
Can you give me an overview of everything here?
Tell me what these files are about
What's in here?
What is this document about in one sentence?
Could you please briefly summarize the uploaded PDFs?
What kind of documents are these?
這些文檔主要講了什麼？
What are these documents about?
Please summarize this document.
What are the main topics of the documents?
Give me a brief overview of the files
"""
LIST = """
有哪些文档？
文件列表
帮我列一下都上传了哪些东西
一共有多少个文档
列出所有文件
知识库里有哪些文件？
How many documents are there?
list all documents
Which files are indexed?
"""
DATES = """
文档里提到了哪些重要日期？
这份合同有哪些关键的时间节点
列出这些文档中的日期
这些文件中最早的日期是哪天
What dates are mentioned in these documents?
Which dates do the documents mention?
"""
CONCLUSION = """
这份文档的结论是什么？
这篇论文得出了什么结论
What is the conclusion of this report?
What does the document conclude?
"""


@pytest.mark.parametrize(
    ("kind", "questions"),
    [("about", ABOUT), ("list", LIST), ("dates", DATES), ("conclusion", CONCLUSION)],
)
def test_questions_about_all(kind: str, questions: str) -> None:
    for question in questions.strip().splitlines():
        found = asked(question)
        assert found, question
        assert found.kind == kind, question


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("《员工手册》主要讲了什么？", "/资料/员工手册.pdf"),
        ("员工手册.pdf 的主要内容是什么", "/资料/员工手册.pdf"),
        ("介绍一下员工手册", "/资料/员工手册.pdf"),
        ("What is du_fu.txt about?", "/资料/du_fu.txt"),
        ("Summarize DU_FU.TXT", "/资料/du_fu.txt"),
        ("doc.txt 讲了什么？", "/资料/doc.txt"),
    ],
)
def test_questions_about_one(question: str, source: str) -> None:
    assert asked(question) == Overview("about", (source,))


@pytest.mark.parametrize(
    "question",
    ["总结一下", "写一个摘要", "tl;dr", "What are the key takeaways?", "Summary, please"],
)
def test_a_command_alone_means_all_where_nothing_was_said_before(question: str) -> None:
    assert asked(question) == Overview("about")
    assert overview_of(question, lambda: SOURCES, alone=False) is None


@pytest.mark.parametrize(
    ("question", "kind", "source"),
    [
        ("审计报告里有哪些重要的时间节点？", "dates", REPORT),
        ("2024年度审计报告的结论是什么？", "conclusion", REPORT),
        ("What is Attention is all you need about?", "about", PAPER),
        ("What does attention-is-all-you-need conclude?", "conclusion", PAPER),
    ],
)
def test_years_versions_and_dashes_of_names_need_not_be_said(
    question: str, kind: str, source: str
) -> None:
    found = overview_of(question, lambda: [*SOURCES, REPORT, PAPER, "/p/2024.pdf", "/p/报告2.pdf"])
    assert found
    assert (found.kind, found.sources) == (kind, (source,))


@pytest.mark.parametrize(
    "question",
    [
        "文档里有几份合同？",
        "知识库里有哪几份合同",
        "这些资料中一共有多少份合同",
        "库里有多少份合同",
        "有几份合同？",
        "我们这里一共有多少份合同？",
        "库里的合同有几份？",
    ],
)
def test_documents_are_counted_by_their_names(question: str) -> None:
    names = ["/p/租赁合同.pdf", "/p/手册.md", "/p/合同/附件.pdf", "/p/采购合同2.docx"]
    found = overview_of(question, lambda: names)
    assert found == Overview("list", (names[0], names[3]), word="合同")


@pytest.mark.parametrize(
    ("question", "suffix", "count"),
    [
        ("有几个pdf文件？", ".pdf", 2),
        ("库里一共有多少份Word文档", ".doc", 1),
        ("PDF有哪些？", ".pdf", 2),
        ("how many PDFs are there?", ".pdf", 2),
        ("Which Word documents do you have?", ".doc", 1),
        ("How many Excel files are in the library?", ".xls", 0),
    ],
)
def test_documents_of_a_format_are_counted(question: str, suffix: str, count: int) -> None:
    names = ["/p/租赁合同.pdf", "/p/手册.md", "/p/附件.PDF", "/p/采购合同2.docx"]
    found = overview_of(question, lambda: names)
    assert found
    assert (found.kind, len(found.sources), found.word) == ("list", count, suffix)
    assert overview_of(question, lambda: ()) is None  # where there are too many to name


@pytest.mark.parametrize(
    "question",
    [
        "合同有几份？",
        "公司有几份合同？",
        "有几份合同需要续签？",
        "文档里有几份需要盖章的合同？",
        "文档里有几份合同需要盖章？",
        "文档里有几份发票？",
    ],
)
def test_what_names_do_not_tell_is_searched_for(question: str) -> None:
    assert overview_of(question, lambda: ["/p/租赁合同.pdf"]) is None


def test_a_topic() -> None:
    assert asked("关于租赁的文档主要讲了什么？") == Overview("about", (), "租赁")


@pytest.mark.parametrize(
    "question",
    [
        "合同什么时候到期？",
        "李白的诗主要讲了什么？",
        "报告应当什么时候提交？",
        "有哪些文件需要提交？",
        "办理入职需要哪些材料？",
        "员工手册里年假有几天？",
        "员工手册的生效日期是什么",
        "会议的结论是什么？",
        "这个错误说明了什么？",
        "What is the warranty about?",
        "Which documents are required for the visa?",
        "How many documents must be signed?",
        "What is the index of refraction?",
        "What dates is the park open?",
    ],
)
def test_other_questions(question: str) -> None:
    assert asked(question) is None


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
        ("不好意思，打扰一下，李白葬在哪里？非常感谢各位", "李白葬在哪里？"),
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
