import base64
import json
import random
from pathlib import Path

import pytest

from rag_app.documents.extraction import kind_of
from rag_app.documents.loaders import FileLoader
from rag_app.documents.web import structured
from rag_app.documents.web.markdown_source import shown_markdown
from rag_app.documents.web.structured import read_json, read_notebook
from rag_app.documents.web.xml_text import read_xml
from rag_app.errors import DocumentError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"标题": "通知", "正文": "会议\n召开。"}, "标题: 通知; 正文: 会议\n召开。"),
        ([{"n": "甲", "v": 1}, {"n": "乙", "v": None, "w": True}], "n: 甲; v: 1\nn: 乙; w: true"),
        ({"a": {"b": [1, 2], "c": {"d": "x"}}, "e": 3}, "a.b: 1; 2\na.c: d: x\ne: 3"),
        (["一", "二"], "一; 二"),
        ("一", "一"),
    ],
)
def test_json_as_lines(value: object, text: str) -> None:
    assert read_json(json.dumps(value).encode(), "a.json").text == text


def test_lines_of_json() -> None:
    lines = '{"n": "\\u7532"}\n\n{"n": "\\u4e59"}\n'
    assert read_json(lines.encode(), "a.jsonl").text == "n: 甲\nn: 乙"


def test_a_long_list_of_names_has_a_line_for_each() -> None:
    value = {"menu": {f"item{number}": f"第 {number} 项的名称，" * 3 for number in range(30)}}
    lines = read_json(json.dumps(value).encode(), "a.json").text.split("\n")
    assert lines[7] == "menu.item7: 第 7 项的名称，第 7 项的名称，第 7 项的名称，"


def test_bytes_written_as_text_are_left_out_and_counted() -> None:
    value = {"a": "data:image/png;base64,AAAA", "b": "QUJD" * 100, "c": "文"}
    read = read_json(json.dumps(value).encode(), "a.json")
    assert read.text == "c: 文"
    assert read.notes == ["2 values that are encoded bytes were left out"]


@pytest.mark.parametrize("data", [b"{x", b"[" * 100_000, b'{"a": 1}\n{x}'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"not valid JSON|too deep"):
        read_json(data, "a.json")


def test_a_piece_of_json_is_not_taken_for_text() -> None:
    Path("a.json").write_text(json.dumps({"名称": "水泵房的开放时间"})[5:], encoding="utf-8")
    with pytest.raises(DocumentError, match="not valid JSON"):
        FileLoader("a.json").load()


def test_the_length_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured, "MAX_CHARACTERS", 100)
    with pytest.raises(DocumentError, match="more than 100 characters"):
        read_json(json.dumps({"k" * 30: [{"a": 1}] * 9}).encode(), "a.json")


def test_a_notebook() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# 说明\n", "正文。"]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": "AAAA"}},
                {
                    "output_type": "execute_result",
                    "data": {"text/html": "<p>表</p>", "text/plain": "x"},
                },
                {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31m"]},
            ],
        },
    ]
    read = read_notebook(json.dumps({"cells": cells, "metadata": {}}).encode(), "a.ipynb")
    assert read.text == "# 说明\n正文。\n\n```python\nprint(1)\n```\n\n1\n\n表\n\nE: v"
    assert read.notes == ["1 pictures in results were not read"]


def test_xml() -> None:
    page = (
        '<?xml version="1.0" encoding="gbk"?><a><b>甲</b><!--x--><c>文<i>字</i>尾</c><d e="f"/></a>'
    )
    assert read_xml(page.encode("gbk"), "a.xml").text == "b: 甲\n文字尾"


def test_books_have_headings_and_no_pictures_as_text() -> None:
    picture = "iVBORw0KGgoAAAANSUhEUgAAADAAAAAg\n" * 20
    book = f"""<FictionBook><body><section><title><p>安装</p></title><p>先断电。</p><section>
    <title><p>水<emphasis>泵</emphasis></p></title><p>再<strong>挂牌</strong>。</p></section></section>
    </body><binary id="a.png">{picture}</binary></FictionBook>"""
    read = read_xml(book.encode(), "a.fb2")
    assert read.text.split() == ["##", "安装", "先断电。", "###", "水泵", "再挂牌。"]
    assert read.notes == ["1 values that are encoded bytes were left out"]


def test_what_is_escaped_twice_is_decoded() -> None:
    data = json.dumps({"回复": json.dumps({"门店": "无锡"}), "路径": "C:\\u2024"})
    assert read_json(data.encode(), "a.json").text == '回复: {"门店": "无锡"}; 路径: C:\\u2024'


def test_entities_that_multiply_are_refused() -> None:
    page = '<!DOCTYPE x [<!ENTITY a "哈&b;"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    with pytest.raises(DocumentError, match="XML entities"):
        read_xml(page.encode(), "a.xml")
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>甲&a;</x>'
    with pytest.raises(Exception, match="Entity 'a' not defined"):
        read_xml(outside.encode(), "a.xml")


def test_declarations_without_end_take_no_time() -> None:
    with pytest.raises(Exception, match="DOCTYPE"):
        read_xml(b"<!DOCTYPE " * 50_000, "a.xml")


def test_a_damaged_sign_among_escaped_characters_is_restored() -> None:
    assert read_json(rb'{"a": "\u6cd5Ju89c4\u5b9a"}', "x").text == "a: 法规定"


def test_pieces_of_json_are_not_read_as_text() -> None:
    for data in (b'1", "note": "x"}\n{"note": "y"}', b'te": "x", "value": 1}'):
        assert kind_of(data, ".jsonl", "a.jsonl") == "json"
    assert kind_of("甲说：“好”。".encode(), ".json", "a.json") == "text"


def test_a_damaged_byte_makes_no_other_encoding_of_xml_that_names_its_own() -> None:
    page = '<?xml version="1.0" encoding="UTF-8"?><a><b>水泵</b><c>we are</c></a>'.encode()
    read = read_xml(page.replace(b"we", b"w\xe5"), "a.xml")
    assert read.encoding == "utf-8"
    assert read.text.startswith("b: 水泵")


def test_damaged_bytes_are_no_words() -> None:
    blob = base64.b64encode(random.Random(1).randbytes(150)).decode()
    damaged = f"{blob[:90]}~{blob[91:]}"
    for kept in (
        "A pump station " * 10,
        "pump stations of the valley " * 9,
        "https://x.cn/" + "a1B2" * 40,
        damaged[:80],
    ):
        assert read_json(json.dumps({"a": kept}).encode(), "a.json").notes == []
    read = read_xml(f"<a><b>{damaged}</b><c>水泵</c></a>".encode(), "a.xml")
    assert read.text == "c: 水泵"
    assert read.notes == ["1 values that are encoded bytes were left out"]


def test_settings_with_comments_in_front_are_read_as_they_are() -> None:
    assert kind_of(b'// by hand\n{"a": 1}\n', ".json", "a.json") == "text"


def test_numbers_are_kept_as_they_are_written_and_names_given_twice_keep_both_values() -> None:
    data = (
        '{"价": 0.10, "号": 6222020200112233445, "量": 1.5e10, "色": "红", "色": "蓝", "均": NaN}'
    )
    text = read_json(data.encode(), "a.json").text
    assert text == "价: 0.10\n号: 6222020200112233445\n量: 1.5e10\n色: 红; 蓝\n均: NaN"


def test_broken_lines_of_json_are_left_out_and_said() -> None:
    lines = '{"a": "甲"}\n{"a": "乙\n{"a": "丙"}{"a": "丁"}\n'
    read = read_json(lines.encode(), "a.jsonl")
    assert read.text == "a: 甲\na: 丙\na: 丁"
    assert read.notes == ["1 of 3 lines are not valid JSON and were not read (line 2)"]
    assert read_json(b'{"a": 1}\n\n{\n"a": 2\n}', "a.json").text == "a: 1\na: 2"


def test_values_that_are_pieces_of_pages_are_read_as_such() -> None:
    page = "<p>凭<b>证</b>入园</p><p>1.2米以下免票</p>"
    assert read_json(json.dumps({"正文": page}).encode(), "a.json").text == (
        "正文: 凭**证**入园 1.2米以下免票"
    )
    feed = (
        f"<rss><item><title>须知</title><description><![CDATA[{page}]]></description></item></rss>"
    )
    assert "<p>" not in read_xml(feed.encode(), "a.xml").text


def test_results_of_notebooks_without_colours_of_terminals() -> None:
    results = [
        {"output_type": "stream", "text": ["\x1b[32m轮次 2\x1b[0m\n"]},
        {"output_type": "execute_result", "data": {
            "application/json": {"状态": "已结"}, "text/plain": "<IPython.display.JSON object>"}},
        {"output_type": "display_data", "data": {
            "image/png": "AA==", "text/plain": "<Figure size 640x480 with 1 Axes>"}},
    ]  # fmt: skip
    cells = [{"cell_type": "code", "source": "", "outputs": results}]
    read = read_notebook(json.dumps({"cells": cells}).encode(), "a.ipynb")
    assert read.text == "轮次 2\n\n状态: 已结"
    assert read.notes == ["1 pictures in results were not read"]


def test_a_broken_line_of_json_is_left_out_as_a_whole() -> None:
    found = read_json(b'{"a": 1} x\n{"a": 2}\n{"a": 3}\n', "a.jsonl")
    assert "1" not in found.text
    assert found.notes == ["1 of 3 lines are not valid JSON and were not read (line 1)"]


def test_tags_in_code_are_no_table_of_markdown() -> None:
    text = "Write `<table>` first and `</table>` last."
    assert shown_markdown(text) == text


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ({"text": ["见 ", {"type": "link", "text": "手册"}, "。"]}, "text: 见 手册。"),
        (
            [{"type": "text", "text": "限", "marks": []}, {"type": "at", "attrs": {"text": "@王"}}],
            "限@王",
        ),
        ([{"type": "text", "text": "a"}] * 2, "\n".join(["type: text; text: a"] * 2)),
        ([{"type": "message", "text": "甲", "user": "1"}], "type: message; text: 甲; user: 1"),
        ([{"type": "text", "text": "名", "hint": "姓"}], "type: text; text: 名; hint: 姓"),
        (["甲", {"text": "乙", "page": 3}], "甲\ntext: 乙; page: 3"),
        (["甲", {"type": "q", "text": "乙", "answer": "丙"}], "甲\ntype: q; text: 乙; answer: 丙"),
    ],
)  # fmt: skip
def test_pieces_of_a_formatted_text_are_one(value: object, right: str) -> None:
    assert read_json(json.dumps(value).encode(), "a.json").text == right
