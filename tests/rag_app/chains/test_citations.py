"""Marks in answers: where they stand, and that numbers and names behind them are the passage's."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.documents import Document

from rag_app.chains.citations import Citation, cite
from rag_app.chains.facts import Facts
from rag_app.chains.facts.mismatch import may_be_of_another, of_another, unmatched
from rag_app.chains.marks import Marker, evidence, marked, supported
from rag_app.chains.results import Answer

PUMP = Citation(
    1,
    "/资料/AB007产品白皮书.txt",
    "额定功率1,079千瓦，整机重量２９１公斤，噪声不高于72.5分贝。住宿每晚不超过四百元，占比15%。"
    "负责人张某，厂址在巩县，见《安装手册》。软件名为AuroraSync，版本2.5。",
)


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("额定功率1,079千瓦", True),
        ("额定功率1079千瓦", True),
        ("额定功率１０７９千瓦", True),
        ("额定功率1 千瓦", False),
        ("额定功率079千瓦", False),
        ("额定功率1,078千瓦", False),
        ("AB007的额定功率为1079千瓦", True),  # it is the name of the file
        ("AB008的额定功率为1079千瓦", False),
        ("整机重量291公斤", True),
        ("整机重量291吨", False),
        ("整机重量291万公斤", False),
        ("噪声不高于72.5分贝", True),
        ("噪声不高于72分贝", False),
        ("噪声不高于5分贝", False),
        ("住宿每晚不超过四百元", True),
        ("住宿每晚不超过五百元", False),
        ("住宿每晚不超过四百五十元", False),
        ("占比15%", True),
        ("负责人张某", True),
        ("负责人李某", False),
        ("厂址在巩县", True),
        ("厂址在江油县", False),
        ("见《安装手册》", True),
        ("见《安装图册》", False),
        ("软件名为AuroraSync", True),
        ("软件名为AuroraSink", False),
        ("软件名为aurorasync，版本2.5", True),
        ("软件名为AuroraSync，版本2", False),
    ],
)
def test_numbers_and_names_must_be_as_written(sentence: str, right: bool) -> None:
    answer = f"{sentence}。"
    assert marked(answer, [PUMP]) == (f"{sentence}[1]。" if right else answer)
    assert supported(answer, [PUMP]) is right


@pytest.mark.parametrize(
    ("passage", "sentence", "right"),
    [
        ("桥西店 | 同比 | -8.7%", "桥西店同比-8.7%", True),
        ("桥西店 | 同比 | -8.7%", "桥西店同比下降8.7%", True),
        ("桥西店 | 同比 | -8.7%", "桥西店同比8.7%", False),
        ("桥西店 | 同比 | −8.7%", "桥西店同比增长8.7%", False),
        ("桥西店 | 同比 | 8.7%", "桥西店同比-8.7%", False),
        ("桥西店同比下降8.7%", "桥西店同比-8.7%", True),
        ("气温零下二十度", "气温-20度", True),
        ("气温零下二十度", "气温是20度", False),
        ("气温-20℃至45℃", "气温-20至45℃", True),
        ("1月-3月放假，电话-8110", "1月到3月放假，电话8110", True),
        ("编号LX-037，第3-5章", "编号LX-037，第3至5章", True),
        ("Profit was -3.5 million.", "Profit was 3.5 million", False),
        ("Profit was -3.5 million.", "The loss was 3.5 million", True),
        ("最后一任渡夫名叫罗水生，撑船三十四年", "最后一任渡夫名叫罗水生，撑船三十四年", True),
        ("最后一任渡夫名叫罗水生，撑船三十四年", "最后一任渡夫名叫罗水声，撑船三十四年", False),
        ("负责人是李白，电话8110", "负责人是李白云", False),
    ],
)
def test_signs_and_people_must_be_as_written(passage: str, sentence: str, right: bool) -> None:
    cited = [Citation(1, "甲.txt", passage)]
    assert marked(f"{sentence}。", cited) == (f"{sentence}[1]。" if right else f"{sentence}。")


BIRTH = Citation(1, "du_fu.txt", "杜甫，712年生于河南巩县，字子美，活了59岁。没有中进士。")


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        ("杜甫是在哪里出生的？", "杜甫是在河南巩县出生的。", True),
        ("杜甫是在哪里出生的？", "杜甫是在山东齐州出生的。", False),
        ("是谁在河南出生的？", "杜甫是在河南巩县出生的。", False),
        ("杜甫在家里住到多少岁？", "杜甫在家里住到59岁。", True),
        ("杜甫在家里住到多少岁？", "杜甫在家里住到59天。", False),
        ("杜甫去长安考中过吗？", "杜甫去长安没有考中过。", False),
    ],
)
def test_words_repeated_of_the_question_need_no_support(
    question: str, answer: str, right: bool
) -> None:
    whole = Answer(question, answer, citations=(BIRTH,))
    assert whole.supported is right
    assert (whole.evidence is not None) is right
    assert whole.marked_text == (f"{answer[:-1]}[1]。" if right else answer)


FARM = Citation(1, "farm.txt", "罗家种了32亩猕猴桃，是1995年开始的，收了第20张奖状，另有8人。")


@pytest.mark.parametrize(
    ("amount", "right"),
    [
        *(("32亩", True), ("32 亩", True), ("1995年", True), ("20张", True)),
        *(("20亩", False), ("32张", False), ("33亩", False), ("5年", False)),
    ],
)
def test_an_amount_alone_is_known_by_its_unit(amount: str, right: bool) -> None:
    assert supported(amount, [FARM]) is right


ENGLISH = Citation(1, "a.txt", "The contract with Acme Ltd was signed by Jane Roe on 5 May 2023.")


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("The contract with Acme Ltd was signed by Jane Roe", True),
        ("The contract with Acme Ltd was signed by Jane Doe", False),
        ("The contract was signed on 5 May 2023", True),
        ("The contract was signed on 6 May 2023", False),
    ],
)
def test_names_in_english(sentence: str, right: bool) -> None:
    assert supported(f"{sentence}.", [ENGLISH]) is right


BRIDGE = Citation(1, "c.txt", "Kestrel Bridge is 412 metres long; the centre has four colours.")


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        *(("412 meters", True), ("The center has four colors.", True), ("four hours", False)),
        *(("412 litres", False), ("The centre has four colors.", True)),
    ],
)
def test_an_english_word_is_the_same_in_british_and_american_spelling(
    answer: str, right: bool
) -> None:
    assert supported(answer, [BRIDGE]) is right


STEPS = Citation(
    1, "b.txt", "1. 打开电源开关\n2. 按下启动按钮\n型号 A1 的价格是 30 元，运行 make all 即可"
)


def test_no_mark_after_the_numbers_of_a_list() -> None:
    text = "1. 打开电源开关。\n2. 按下启动按钮。\n- 3. 打开电源开关"
    wanted = "1. 打开电源开关[1]。\n2. 按下启动按钮[1]。\n- 3. 打开电源开关[1]"
    assert marked(text, [STEPS]) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "| 型号 | 价格 |\n|---|---|\n| A1 | 30 元 |\n",
        "```\n打开电源开关。\n型号 A1 的价格是 30 元\n```",
        "~~~sh\nmake all; make all\n~~~\n",
    ],
)
def test_no_mark_in_tables_and_code(text: str) -> None:
    assert marked(text, [STEPS]) == text


ENERGY = Citation(1, "e.txt", "能量是 n! 与 E = mc 的积，价格是 $5 和 $6，共 30 元")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("能量是 $n! + E$。", "能量是 $n! + E$[1]。"),
        (r"能量是 \(n!; E\)。", r"能量是 \(n!; E\)[1]。"),
        (
            "$$\n能量! = mc. 能量。\n能量\n$$\n能量是 n!",
            "$$\n能量! = mc. 能量。\n能量\n$$\n能量是 n[1]!",
        ),
        ("\\[\n能量! E。\n\\]\n共 30 元。", "\\[\n能量! E。\n\\]\n共 30 元[1]。"),
        ("\\[ 能量\n\n共 30 元。", "\\[ 能量\n\n共 30 元[1]。"),
        ("价格是 $5 和 $6。共 30 元。", "价格是 $5 和 $6[1]。共 30 元[1]。"),
        ("价格是 $5。共 30 元。", "价格是 $5[1]。共 30 元[1]。"),
    ],
)
def test_no_mark_within_formulas_and_prices_are_none(text: str, wanted: str) -> None:
    assert marked(text, [ENERGY]) == wanted


def test_a_table_alone_can_be_supported() -> None:
    assert supported("| 型号 | 价格 |\n|---|---|\n| A1 | 30 元 |", [STEPS])
    assert not supported("| A1 | 31 元 |", [STEPS])


def test_no_mark_within_inline_code() -> None:
    assert marked("运行 `make all; make` 即可。", [STEPS]).startswith("运行 `make all; make` 即可")


def test_marks_of_the_model_s_own_are_no_numbers() -> None:
    assert supported("打开电源开关[1]。", [Citation(1, "b.txt", "请打开电源开关。")])


NUMBERS = st.integers(0, 10**12)


@given(NUMBERS, st.sampled_from(["元", "公斤", "%", ""]))
def test_a_number_in_any_writing_is_the_same(number: int, unit: str) -> None:
    wide = str(number).translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    passage = Facts.of(f"总数是{number:,}{unit}，以下同")
    for written in (str(number), f"{number:,}", wide):
        assert Facts.of(f"共{written}{unit}。").are_in(passage)


@given(NUMBERS, NUMBERS, st.sampled_from(["{}", "{:,}"]))
def test_another_number_is_never_in_the_passage(one: int, other: int, form: str) -> None:
    passage = Facts.of(f"总数是{form.format(one)}元。")
    assert Facts.of(f"总数是{other}元。").are_in(passage) == (one == other)


@given(st.text(alphabet="打开电源开关。1.2 3|`~#-\n！A$\\[]()", max_size=80), st.integers(1, 7))
def test_marks_only_add_and_pieces_make_no_difference(text: str, size: int) -> None:
    assume("[1]" not in text)
    whole = marked(text, [STEPS])
    assert whole.replace("[1]", "") == text
    marker = Marker([STEPS])
    pieces = [marker.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(pieces) + marker.close() == whole


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("严长寿23岁时做了什么？", "二十三岁经父母的朋友介绍，进入美国运通。"),
        ("二十三岁时做了什么？", "23岁进入美国运通。"),
        ("三百万元花在哪里？", "修缮花了300万元。"),
        ("手机万一丢了怎么办？", "手机丢失后请挂失。"),
        ("山本五十六担任什么职务？", "山本任联合舰队司令。"),
        ("哪一州有三分之一的人口？", "缅因州人口最多。"),
        ("一共发现了多少组岩画？", "考古队发现的岩画有六组。"),
        ("在临江市公园举办活动要备案吗？", "在本市城市公园举办活动应当备案。"),
        ("岑教授主要教授哪门课？", "岑老师讲授哲学课程。"),
        ("兼职小时工的工钱多久结一次？", "非全日制用工小时计酬标准不限。"),
        ("冒充专利最多罚多少？", "发明专利、设计专利、假冒专利的，罚款。"),
        ("2.3版的上限是多少？", "v2.3的上限是200个。"),
        ("电机的功率是多少kW？", "电机的功率为350kW。"),
        ("1990年代有几家书店？", "20世纪90年代有七家书店。"),
        ("Who came in the 10th round?", "In the tenth round came Wu."),
        ("临水县有几个镇？", "临水全境有三个镇，邻县有两个。"),
        ("Python 3怎么安装？", "Python3的安装。"),
        ("我15岁，可以骑电动车吗？", "驾驶人应当年满十六周岁。"),
        ("渡夫把什么送给了县文化馆？", "邻县的文化馆收下了船桨，本县没有。"),
        ("普通自行车要上牌吗？", "电动自行车应当上牌。电动自行车不收费。"),
        ("靠潮水发电有什么不好？", "用潮水发电\n造价很高。"),
    ],
)
def test_numbers_in_words_are_those_in_digits(question: str, text: str) -> None:
    assert not unmatched(question, text)


def test_another_number_in_words_is_missed() -> None:
    assert unmatched("银河科技员工有几天产假？", "星河科技员工有产假。") == {"银河"}
    assert unmatched("24岁时做了什么？", "二十三岁进入美国运通。") == {"24"}
    assert unmatched("2.4版的上限是多少？", "v2.3的上限是200个。") == {"2.4"}
    assert unmatched("2024年可以骑车吗？", "2023年可以骑车。") == {"2024"}
    assert supported("23岁", [Citation(1, "a.txt", "二十三岁进入美国运通。")])
    assert not supported("24岁", [Citation(1, "a.txt", "二十三岁进入美国运通。")])


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        ("李白出蜀时多少岁？", "开元十五年", "岁"),
        ("李白出蜀时多少岁？", "二十四岁", ""),
        ("李白出蜀时多少岁？", "24", ""),
        ("必须年满多少岁？", "年满18周岁", ""),
        ("修桥花了多少钱？", "六百米", "钱"),
        ("修桥花了多少钱？", "五千日元", ""),
        ("修桥用了多长时间？", "三年", ""),
        ("桥上有几个桥墩，哪一年建的？", "1976年", ""),
    ],
)
def test_an_amount_of_another_kind_than_is_asked_for(
    question: str, answer: str, other: str
) -> None:
    assert of_another(question, answer) == frozenset(filter(None, [other]))


def test_an_amount_without_its_unit_is_in_a_text() -> None:
    text = Facts.of("拨款8.15亿美元，年满18周岁。")
    answers = ("8.15亿", "8.15", "18岁", "8.15万", "8.15亿元")
    assert [Facts.of(one).are_in(text) for one in answers] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "held"), [("任先生签字", False), ("升任经理", True), ("一位女士来过", True)]
)
def test_a_title_alone_is_no_name(text: str, held: bool) -> None:
    assert Facts.of(text).are_in(Facts.of("王先生签字")) is held


def test_an_initial_ends_no_sentence() -> None:
    text = "It was led by Nicholas E. Golovin. St. Johns River is long."
    cited = [Citation(1, "a.txt", text)]
    assert marked(text, cited) == text.replace("Golovin.", "Golovin.[1]") + "[1]"
    found = evidence("Who led it?", "Nicholas E. Golovin", cited)
    assert found is not None
    assert found.sentence == "It was led by Nicholas E. Golovin."


@pytest.mark.parametrize("text", ["Store it at 25 °C. Keep it dry.", "Use 12 V. Keep it dry."])
def test_a_unit_of_one_letter_may_end_a_sentence(text: str) -> None:
    assert marked(text, [Citation(1, "a.txt", text)]) == text.replace(". ", ".[1] ") + "[1]"


def test_a_span_of_days_is_written_in_two_ways() -> None:
    law = Facts.of("应当自设立之日起30日内办理登记，自6月15日起施行。")
    assert Facts.of("30天").are_in(law)
    assert Facts.of("30日").are_in(Facts.of("三十天"))
    assert not Facts.of("15天").are_in(law)
    text = "应当自设立之日起30日内办理登记，自6月15日起施行。"
    citations = (Citation(1, "law.md", text),)
    assert [Answer(text=one, citations=citations).supported for one in ("30天", "15天")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("answer", "held"),
    [
        ("开元十二年", True), ("开元二年", False), ("开元元年", False), ("两年", True),
        ("天宝元年", True), ("3月5日", True), ("4月9日至16日", True), ("4月16日", True),
        ("4月16号", True), ("3月9日", False), ("4月5日", False), ("3月20日", True), ("16日", True),
    ],
)  # fmt: skip
def test_a_date_is_in_a_text_as_a_whole(answer: str, held: bool) -> None:
    text = (
        "20日前报名。3月5日开工，4月9日至16日停工。开元十二年他离开蜀地，天宝元年入京，前后两年。"
    )
    assert Facts.of(answer).are_in(Facts.of(text)) is held
    assert supported(answer, [Citation(1, "a.txt", text)]) is held


PROGRAMS = "快洗程序时长15分钟，适合轻污衣物。羊毛程序用冷水。"


@pytest.mark.parametrize(
    ("question", "sentence", "text", "other"),
    [
        ("缴存比例最高不能超过多少？", "缴存比例均不得低于工资的5%。", "", "最高"),
        ("缴存比例最低是多少？", "缴存比例均不得低于工资的5%。", "", ""),
        ("最多罚多少？", "处200元以上1000元以下罚款。", "", ""),
        ("工期至少多少天？", "工期不超过三十天。", "", "至少"),
        ("婚假一共有多少天？", "女职工享受98天产假。", "", "婚假"),
        ("婚假一共有多少天？", "婚假为10天，产假为98天。", "", ""),
        ("女职工可以休多少天产假？", "女职工享受98天产假。", "", ""),
        ("羊毛程序要洗多久？", "快洗程序时长15分钟，适合轻污衣物。", PROGRAMS, "羊毛程序"),
        ("快洗程序要洗多久？", "快洗程序时长15分钟，适合轻污衣物。", PROGRAMS, ""),
        ("羊毛程序要洗多久？", "它洗四十分钟。", PROGRAMS, ""),
        ("羊毛程序要洗多久？", "这一程序洗四十分钟。", PROGRAMS, ""),
        ("渡夫每年的工钱是多少？", "光绪二十八年，这一年渡夫工食用去二百四十千文。", "", "每年"),
        ("渡夫每年的工钱是多少？", "渡夫六名，每名每年给银七两二钱。", "", ""),
        ("园内每年降多少雨？", "年降水量为1200毫米。", "", ""),
        ("园内每年降多少雨？", "全年降水1200毫米。", "", ""),
        ("园内每年降多少雨？", "2023年降水1200毫米。", "", "每年"),
        ("1930年开了多少家书店？", "书店1918年有两家，1930年代开了八家。", "", ""),
        ("1930年开了多少家书店？", "书店1918年开了两家。", "", "1930"),
        ("每天几点开门？", "九点开门。", "", ""),
        ("每周几闭馆？", "周一闭馆。", "", ""),
    ],
)
def test_an_answer_of_another_bound_or_thing(
    question: str, sentence: str, text: str, other: str
) -> None:
    assert of_another(question, sentence, sentence, text) == frozenset(filter(None, [other]))
    assert may_be_of_another(question, text or sentence) or not other


@pytest.mark.parametrize(
    ("metadata", "place"),
    [
        ({"page": 0, "page_label": "iv", "total_pages": 9}, "a.pdf · p. iv"),
        ({"page": 0, "total_pages": 9}, "a.pdf · p. 1"),
        ({"page": 1}, "a.pdf · p. 1"),
    ],
)
def test_pages_of_langchains_readers_count_from_0(metadata: Any, place: str) -> None:
    (cited,) = cite([Document("Tea.", metadata={"source": "a.pdf", **metadata})])
    assert cited.place == place
