"""Items in what models write, and which of them are worth keeping."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_prep.crawl.items import Item, find_objects, read_item
from tests.model_prep.crawl.chat_server import item

ONE, TWO = item(1), item(2)
A, B = json.dumps(ONE, ensure_ascii=False), json.dumps(TWO)


@pytest.mark.parametrize(
    "text",
    [
        f"[{A}, {B}]",
        f'{{"items": [{A}, {B}]}}',
        f"```json\n[{A},\n{B}]\n```",
        f"好的，下面是数据：\n{A}\n\n{B}\n希望有帮助！",
        f"1. {A}；2. {B}。",
        f'{{"data": {{"列表": [[{A}], {B}]}}, "n": 2}}',
        f'{{"instruction": {A}, "output": {B}}}',
        f"{{{{}} {{]}} [{A}, {B},, ]",
    ],
)
def test_items_are_found_wherever_they_lie(text: str) -> None:
    found = find_objects(text)
    assert found.objects == [ONE, TWO]
    assert found.broken == 0


@pytest.mark.parametrize("end", [*range(2, 80, 7), -1])
def test_a_last_item_that_is_cut_off_is_dropped(end: int) -> None:
    found = find_objects(f'{{"items": [{A}, {B[:end]}')
    assert found.objects == [ONE]
    assert found.broken == (end < 0 or end > 13)


def test_a_broken_item_between_others_is_dropped() -> None:
    broken = '{"instruction": "说 "你好"", "output": "x"}'
    found = find_objects(f"[{A}, {broken}, {B}]")
    assert (found.objects, found.broken) == ([ONE, TWO], 1)


def test_line_breaks_that_were_not_escaped() -> None:
    text = '{"instruction": "写两行", "output": "一\n二\t三"}'
    assert find_objects(text).objects == [{"instruction": "写两行", "output": "一\n二\t三"}]


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["{", '{"a":', '{"instruction": [', "[", '{"', "{}", "\\"])
def test_hostile_replies_take_no_time(piece: str) -> None:
    start = time.process_time()
    find_objects(piece * (1_000_000 // len(piece)))
    find_objects('{"n": ' + "9" * 10_000 + "}")
    assert time.process_time() - start < 5


# No quotes and brackets: with them, noise and item together can be another object.
NOISE = st.text(st.characters(exclude_characters='{}"'))
ITEMS = st.builds(
    lambda *texts: dict(zip(("instruction", "input", "output"), texts, strict=True)),
    *[st.text()] * 3,
)


@given(st.text() | st.text('{}[]",:\\ instruction1'))
def test_no_text_breaks_it(text: str) -> None:
    for one in find_objects(text).objects:
        found = read_item(one)
        assert found is None or found.fault is None or found.fault


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["instruction", "output", "items"]) | st.text(), inner
            )
        ),
    )
)
def test_no_json_breaks_it(value: Any) -> None:
    for one in find_objects(json.dumps(value)).objects:
        read_item(one)


@given(st.lists(st.tuples(NOISE, ITEMS)), NOISE, st.booleans())
def test_whole_items_are_found_in_noise(
    parts: list[tuple[str, dict[str, str]]], end: str, ascii_only: bool
) -> None:
    said = "".join(noise + json.dumps(one, ensure_ascii=ascii_only) for noise, one in parts)
    assert find_objects(said + end).objects == [one for _, one in parts]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"instruction": "写诗"},
        {"instruction": "写诗", "output": None},
        {"instruction": "写诗", "output": ["床前", "明月光"]},
        {"instruction": 7, "output": "好"},
        {"instruction": "写诗", "input": {"a": 1}, "output": "好"},
    ],
)
def test_what_is_no_item(value: dict[str, Any]) -> None:
    assert read_item(value) is None


@pytest.mark.parametrize("nothing", ["", " ", None, "无", "（无）", "None", "N/A", "<noinput>"])
def test_an_input_that_there_is_none_of(nothing: str | None) -> None:
    value = {"instruction": " 写一首诗\n", "input": nothing, "output": "好", "id": 7}
    assert read_item(value) == Item("写一首诗", "", "好")


@pytest.mark.parametrize(
    ("instruction", "given", "output", "fault"),
    [
        ("", "", "好", "instruction empty or too short"),
        ("写诗", "", "好", "instruction empty or too short"),
        ("写一首诗", "", "", "output empty or too short"),
        ("长" * 1001, "", "好", "instruction too long"),
        ("写一首诗", "长" * 4001, "好", "input too long"),
        ("写一首诗", "", "长" * 8001, "output too long"),
        ("写一首诗", "", "写一首诗", "output says nothing"),
        ("改写这句话", "你好吗", "你好吗", "output says nothing"),
        (
            "她说：我准备好了，我们去吃饭吧。",
            "",
            "我准备好了，我们去吃饭吧。",
            "output says nothing",
        ),
        ("写一首诗", "", "……", "output says nothing"),
        ("写一首诗", "", "（此处省略）", "output says nothing"),
        ("写一首诗", "", "作为一个AI语言模型，我", "refusal, or talk about being an AI"),
        ("写一首诗", "", "很抱歉，我无法写诗。", "refusal, or talk about being an AI"),
        ("你好，你是谁？", "", "我是一个人工智能助手。", "refusal, or talk about being an AI"),
        ("你好，你是谁？", "", "我是人工智能专业的学生。", None),
        ("写一首诗", "", "作为人工智能工程师，我写道：", None),
        ("这句话对吗？", "", "×", None),
        ("Write a poem", "", "As an AI language model, I", "refusal, or talk about being an AI"),
        ("写一首诗", "", "\ud800", "output unreadable"),
        ("写一首诗", "a\x00", "好", "input unreadable"),
        ("写一首诗", "\ufffd", "好", "input unreadable"),
        (
            "出几道题",
            "",
            "".join(f"{n}. 什么是羊毛？\n" for n in range(30)),
            "output repeats itself",
        ),
        ("写一首诗", "", "床前明月光，疑是地上霜。", None),
        ("这条评论是好评还是差评？", "很好吃", "好评", None),
        ("介绍一下人工智能", "", "人工智能让机器会学习。", None),
        ("写一封道歉信", "", "对不起，我昨天迟到了。", None),
        ("列出乘法表", "", "".join(f"{n} × 7 = {n * 7}\n" for n in range(30)), None),
    ],
)
def test_what_is_worth_keeping(
    instruction: str, given: str, output: str, fault: str | None
) -> None:
    assert Item(instruction, given, output).fault == fault


def test_a_line_is_json_in_utf8() -> None:
    one = Item("写一首诗", "", '他说："好"\n')
    assert one.line() == '{"instruction": "写一首诗", "input": "", "output": "他说：\\"好\\"\\n"}\n'
    assert json.loads(one.line()) == vars(one)
