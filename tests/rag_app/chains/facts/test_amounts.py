"""Answers to questions for an amount, without the words of the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.chains.facts.amounts import AmountAlone, in_digits, other_unit, units_of


def alone(question: str, *pieces: str) -> str:
    answer = AmountAlone(question)
    shown = "".join(answer.feed(piece) for piece in pieces) + answer.close()
    assert shown == answer.text
    return shown


@pytest.mark.parametrize(
    ("question", "said", "left"),
    [
        ("月球每年远离地球多少？", "每年远离地球约3.8厘米。", "约3.8厘米"),
        ("感冒颗粒两次用药至少要间隔多久？", "两次用药应间隔至少六小时。", "六小时"),
        ("2023年WM-800卖了多少台？", "2023年卖了85台。", "85台"),
        ("白鹭河第一次治理花了几年？", "白鹭河第一次治理花了五年。", "五年"),
        ("公共自行车多少分钟以内免费？", "前40分钟免费", "前40分钟"),
        ("造一張桃花箋要經過多少道工序？", "要经过七十二道工序", "七十二道"),
        ("每天放映多少小时的节目？", "每天放映18小时的节目。", "18小时"),
        ("这是第几届庙会？", "这是第 26 届庙会。", "第 26 届"),
        ("多少周岁可以入园？", "6周岁可以入园", "6周岁"),
        ("几个工作日到账？", "5个工作日到账。", "5个工作日"),
        ("水面占全园百分之几？", "水面占全园百分之六。", "百分之六"),
        ("水面占全园百分之几？", "水面占全园超过百分之六。", "超过百分之六"),
    ],
)
def test_the_question_is_left_out(question: str, said: str, left: str) -> None:
    assert alone(question, said) == alone(question, *said) == left


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("白鹭河有多长？", "三十二公里。他们很好。"),
        ("全园面积有多少平方公里？", "170万平方公里"),
        ("1934年以多少比数取胜？", "1比3"),
        ("6月2日有多少人游园？", "2,000万人"),
        ("滤芯多久换一次？", "每36个月更换一次"),  # no unit would be left at the end
        ("12人用了多少天？", "123天"),
        ("费用是多少？", "住宿300元；餐补120元。"),
        ("几乎没有人的村子叫什么？", "几乎没有人的3号村"),
        ("请详细介绍月球每年远离地球多少。", "每年远离地球约3.8厘米。"),
        ("张三的父亲是谁？", "张三的父亲是张三丰。"),
        ("How many cups are there?", "There are 3 cups."),
    ],
)
def test_other_answers_stay_as_they_are(question: str, said: str) -> None:
    assert alone(question, *said).removesuffix("。") == said.removesuffix("。")


@given(
    st.sampled_from(["月球每年远离地球多少？", "过滤器多久清洗一次？", "他是谁？"]),
    st.text("月球每年远离地约3十。\n厘米清洗一次，"),
    st.integers(0, 20),
)
def test_what_is_left_is_a_part_of_the_answer(question: str, said: str, place: int) -> None:
    left = alone(question, said[:place], said[place:])
    assert left in said
    assert left == alone(question, said)


@pytest.mark.parametrize("char", ["一", "亿", "万", "十", "点", "9"])
def test_a_row_of_one_character_is_read_too(char: str) -> None:
    assert in_digits(char * 20_000) == char * 20_000
    assert len(units_of(in_digits(char * 20_000))) <= 1


@pytest.mark.parametrize(
    ("question", "answer", "another"),
    [
        ("修这座桥用了几年？", "2013年", True),
        ("等了多久才开工？", "二〇一三年五月二日", True),
        ("走了多少天？", "5月30日到家", True),
        ("修这座桥用了几年？", "2010年至2013年", False),
        ("修这座桥用了几年？", "2013年建成，历时三年", False),
        ("这座城持续了多少年？", "1500年", False),
        ("走了多少天？", "30天", False),
        ("这座桥是几年建成的？", "2013年", False),
    ],
)
def test_a_date_does_not_say_how_long_something_took(
    question: str, answer: str, another: bool
) -> None:
    assert bool(other_unit(question, answer)) == another
