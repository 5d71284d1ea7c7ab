"""Markup of which parts are lost: what is left of its marks is no text."""

from collections.abc import Callable

import pytest

from rag_app.documents.markup.asciidoc import asciidoc_markdown
from rag_app.documents.markup.calendars import calendar_markdown
from rag_app.documents.markup.latex import latex_markdown
from rag_app.documents.markup.mediawiki import mediawiki_markdown
from rag_app.documents.markup.org import org_markdown
from rag_app.documents.markup.restructured import restructured_markdown
from rag_app.documents.markup.subtitles import subtitles_markdown

CUE = "00:00:01.000 --> 00:00:03.000\n"


@pytest.mark.parametrize(
    "piece",
    ["</v", "<v", "</i>", "{\\fad(120", "0,0,0,,", "00:07.000", "align:start"],
)
def test_pieces_of_tags_times_and_fields_are_not_said(piece: str) -> None:
    said = subtitles_markdown(f"WEBVTT\n\n{CUE}先断电 {piece} 再挂牌\n")
    assert said == "## 00:00:01\n\n先断电 再挂牌"


@pytest.mark.parametrize(
    "said", ["他以 1:58.12 夺冠", "写 text-align:center 和 size:12", "若 x<y 则停", "9:30 开始"]
)
def test_what_is_said_in_whole_subtitles_is_no_piece(said: str) -> None:
    assert subtitles_markdown(f"WEBVTT\n\n{CUE}{said}\n") == f"## 00:00:01\n\n{said}"


def test_an_entry_of_a_calendar_that_begins_within_a_line() -> None:
    text = calendar_markdown("BEGIN:VEVENT\nSUMMARY:检修BEGIN:VEVENT\nSUMMARY:通水\nEND:VEVENT\n")
    assert text == "## 检修\n\n## 通水"


def test_a_name_that_is_encoded_though_its_parameter_is_lost() -> None:
    card = "BEGIN:VCARD\nN;CHA:=E6=9D=8E=E5=9B=9B\nTEL:8110\nEND:VCARD\n"
    assert calendar_markdown(card) == "## 李四\n\ntel: 8110"


def test_codes_of_a_name_that_are_cut_make_no_other_characters() -> None:
    card = "BEGIN:VCARD\nN;ENCODING=QUOTED-PRINTABLE:=E6=9D=8E=E5=9B\nTEL:=8E;8110\nEND:VCARD\n"
    assert calendar_markdown(card) == "## 李\ufffd\n\ntel: \ufffd;8110"


def test_values_of_addresses_are_no_codes() -> None:
    event = "BEGIN:VEVENT\nURL:https://x.cn/?id=E5&n=B0\nEND:VEVENT\n"
    assert calendar_markdown(event) == "url: https://x.cn/?id=E5&n=B0"


def test_codes_of_no_character_are_left_out() -> None:
    card = "BEGIN:VCARD\nFN;ENCODING=QUOTED-PRINTABLE:=E6=9D=8E=0C\nEND:VCARD\n"
    assert calendar_markdown(card) == "## 李"


def test_a_drawer_of_org_behind_text_is_none() -> None:
    assert org_markdown("检修 :PROPERTIES:\n先断电。\n") == "检修\n先断电。"


def test_a_drawer_of_org_without_an_end_hides_nothing() -> None:
    text = ":PROPERTIES:\n:CUSTOM_ID: a\n先断电。\n* 检修\n:END:\n再挂牌。#+TITLE: 规程\n"
    assert org_markdown(text) == "先断电。\n\n# 检修\n\n再挂牌。\n# 规程"


@pytest.mark.parametrize(
    "text",
    [
        "先断电。\n:PROPERTIES::CUSTOM_ID: a\n:END:\n再挂牌。",
        "先断电。\nCUSTOM_ID: a\n:ID: 7\n:END:\n再挂牌。",
        "先断电。:CUSTOM_ID: a\n:END:\n再挂牌。",
        "先断电。\n:PROPERTIESN_\n再挂牌。",
    ],
)
def test_properties_of_org_whose_drawer_is_damaged(text: str) -> None:
    assert org_markdown(text).split() == ["先断电。", "再挂牌。"]


def test_a_block_of_org_ends_before_a_heading() -> None:
    text = "#+BEGIN_SRC python\nprint(\n:ID: 7\n#+TITLE: 规程\n* 检修\n先断电。\n#+END_SRC\n"
    assert org_markdown(text) == "```python\nprint(\n```\n# 规程\n\n# 检修\n\n先断电。"


def test_a_block_of_org_without_an_end_ends_with_its_paragraph() -> None:
    text = "见下。#+BEGIN_SRC python\nprint(42)\n#+END_[RC\n先断电。\n"
    assert org_markdown(text) == "见下。\n```python\nprint(42)\n```\n先断电。"


def test_a_block_of_asciidoc_without_an_end_ends_with_its_paragraph() -> None:
    code = "----\nprint(42)\n\n[NOTE]\n====\n先断电。\n====\n"
    assert asciidoc_markdown(code) == "```\nprint(42)\n\n```\n先断电。"
    assert asciidoc_markdown('门店[cols="1,1",opt\n见 <<附录') == "门店\n见"
    two = "----\n先断电。\n\n[source,python]\n----\nprint(42)\n----\n"
    assert asciidoc_markdown(two) == "```\n先断电。\n\n```\n```python\nprint(42)\n```"
    whole = "更多>> more>> 见 `Map<A, List<B, C>> x`，1<<3 是 8，`cout <<endl` 换行"
    assert asciidoc_markdown(whole) == whole
    assert asciidoc_markdown('门店[cols="1,1先断电。') == "门店先断电。"
    assert asciidoc_markdown("门店 |===\n断电。[NOTE]") == "门店\n断电。"
    cell = "|===\n|门店 |一月\n\n[NOTE]\n====\n先断电\n====\n|===\n"
    assert asciidoc_markdown(cell) == "门店 | 一月 先断电"
    table = "|===\n|门店 |一月\n\n|无锡店 |131\n\n见附录。\n"
    assert asciidoc_markdown(table) == "门店: 无锡店; 一月: 131\n\n见附录。"


def test_a_table_of_restructured_text_whose_rule_is_damaged() -> None:
    table = "====== ====\n门店   一月\n====== ===?\n无锡店 131\n====== ====\n\n"
    assert "=" not in restructured_markdown(table)


def test_a_table_of_restructured_text_ends_with_its_third_rule() -> None:
    rule = "====== ====\n"
    table = f"{rule}门店   一月\n{rule}无锡店 131\n{rule}泵站规程在此，见附录。\n\n{rule}"
    assert "\n泵站规程在此，见附录。" in restructured_markdown(table)


def test_a_directive_is_in_no_table_of_restructured_text() -> None:
    table = "====== ====\n门店   一月\n无锡店 131\n.. note::\n\n   先断电。\n\n====== ====\n"
    assert "\nnote:\n\n先断电。" in restructured_markdown(table)
    cell = (
        "==== ====\n项目 说明\n==== ====\n水泵 两台\n\n     .. note:: 断电\n阀门 一个\n==== ====\n"
    )
    assert restructured_markdown(cell).endswith("项目: 阀门; 说明: 一个")


def test_what_is_in_braces_is_not_shown_by_players_of_ass() -> None:
    line = "Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{]fad(120,0)}先断电{备注}y\\fad(9,0)}"
    assert subtitles_markdown(f"[Script Info]\n{line}\n") == "## 00:00:01\n\n先断电"


def test_pieces_of_comments_and_references_of_a_wiki() -> None:
    text = "<!-%草稿 -->水库</ref》。=#-- 甲 -->位于浙江，<ref6建于1958年</r\n"
    assert mediawiki_markdown(text) == "水库》。=#-- 甲 -->位于浙江，建于1958年"
    assert mediawiki_markdown("=#-- 甲 -->位于 A --> B") == "位于 A --> B"
    assert mediawiki_markdown("水 A-- 加热 --> B") == "水 A-- 加热 --> B"


def test_pieces_of_parameters_of_a_calendar() -> None:
    event = "BEGIN:VCA\nDESCRIPTION:先断电RT;TZID=Asia/Shanghai\nATTENDEE;CN=李四:m<l\n"
    assert (
        calendar_markdown(f"{event}TEL;PRINTABLE:8110")
        == "description: 先断电\nattendee: 李四\ntel: 8110"
    )
    attendee = "BEGIN:VEVENT\nATTENDEE;CN=李四:mailto:l@x.cn\nEND:VEVENT"
    assert calendar_markdown(attendee) == "attendee: 李四 <l@x.cn>"


def test_a_lost_dollar_sign_makes_no_equation_of_the_next_item() -> None:
    text = "转速 1450$\n\\begin{itemize}\n\\item 先断电，$n$ 为零\n\\end{itemize}\n"
    read = latex_markdown(text)
    assert "\\" not in read
    assert "- 先断电，$n$ 为零" in read


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (asciidoc_markdown, "```x\n"),
        (asciidoc_markdown, "|===\n\n"),
        (org_markdown, "#+BEGIN_SRC x\n"),
        (org_markdown, ":A:\n"),
        (org_markdown, ":a: b :C: d\n"),
        (org_markdown, "#+BEGIN_SRC x\n* a\n"),
        (mediawiki_markdown, "x-- <!- "),
        (restructured_markdown, "=== ===\n"),
        (subtitles_markdown, "<v <v </v {\\ "),
        (subtitles_markdown, f"{CUE}1a"),
        (asciidoc_markdown, "[cols="),
        (calendar_markdown, "BEGIN:VEVENT"),
    ],
)
def test_marks_without_end_take_time_in_proportion(read: Callable[[str], str], line: str) -> None:
    assert len(read(line * 20_000)) <= 20_000 * (len(line) + 4)
