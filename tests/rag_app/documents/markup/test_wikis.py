"""MediaWiki, Textile and Typst: what their readers see, under its headings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rag_app.documents.loaders import FileLoader
from rag_app.documents.markup.mediawiki import mediawiki_markdown
from rag_app.documents.markup.textile import textile_markdown
from rag_app.documents.markup.typst import typst_markdown

WIKI = """\
<!-- 草稿 -->{{Infobox
| 库容 = 3亿方
}}
'''水库'''位于[[浙江省|浙江]]，<ref>《通志》。</ref>建于{{lang|zh|1958年}}。
[[File:a.jpg|thumb|200px|大坝]][[Category:水库]]
== 特性 ==
* 坝高
** 防浪墙
{| class="wikitable"
! rowspan="2" | 机组 !! colspan="2" | 出力
|-
! 额定 !! 最大
|-
| 1号 || 12 || 13
|}
<pre>
a == b
</pre>
"""
TEXTILE = """\
h2(#a). 安全

p{color:red}. *必须*佩戴_安全帽_，见"规程(新)":http://a.cn/b.html 。 @a*b@

* 检查
** 油位

|_. 型号|_. 功率|
|/2. A1|2kW|
|3kW|

bc. x = 1

###. 草稿
"""
TYPST = """\
#set text(lang: "zh") // 草稿
#let 公司 = [云岭公司]
= 合同 <a>
甲方 #公司，*违约金*见 @a，a\\#b。/* 草稿
*/
#figure(table(columns: (1fr, 1fr), table.header([品名], [单价]), [泵, 阀], [38]), caption: [价格])
+ 付款#footnote[含税]
#align(center)[#text(fill: red)[盖章]] #link("https://a.cn")[官网] $x^2$
#v(1em)
"""


@pytest.mark.parametrize(
    ("read", "source", "shown"),
    [
        (
            mediawiki_markdown,
            WIKI,
            [
                "库容: 3亿方", "", "水库位于浙江， [《通志》。]建于1958年。", "大坝", "",
                "## 特性", "", "- 坝高", "  - 防浪墙", "",
                "机组: 1号; 出力/额定: 12; 出力/最大: 13", "", "```", "a == b", "```",
            ],
        ),
        (
            textile_markdown,
            TEXTILE,
            [
                "## 安全", "", "必须佩戴安全帽，见规程 。 `a*b`", "", "- 检查", "  - 油位", "",
                "型号: A1; 功率: 2kW", "型号: A1; 功率: 3kW", "", "```", "x = 1", "```",
            ],
        ),
        (
            typst_markdown,
            TYPST,
            [
                "# 合同", "", "甲方 云岭公司，违约金见 ，a#b。", "", "品名: 泵, 阀; 单价: 38", "",
                "价格", "1. 付款 [含税]", "盖章 官网 $x^2$",
            ],
        ),
    ],
    ids=["MediaWiki", "Textile", "Typst"],
)  # fmt: skip
def test_what_is_printed_is_read(read: Callable[[str], str], source: str, shown: list[str]) -> None:
    assert [line.rstrip() for line in read(source).split("\n")] == shown


def test_a_cell_of_textile_covers_all_columns_below_it() -> None:
    table = "|_. A|_. B|_. C|\n|\\2/2. x|y|\n|z|\n|p|q|/2. r|\n|s|t|"
    shown = textile_markdown(table).splitlines()
    assert shown[1::2] == ["A: x; B: x; C: z", "A: s; B: t; C: r"]


@pytest.mark.parametrize("name", ["a.wiki", "a.textile", "a.typ"])
def test_files_are_known_by_their_names(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("水库 [[浙江]]", encoding="utf-8")
    (document,) = FileLoader(tmp_path / name).load()
    assert "水库" in document.page_content


@pytest.mark.parametrize("piece", ["{{", "[[", "{|\n| a=b ", "#a(", "#a[", "$", "|=", "|-- ", "*a"])
def test_what_is_never_closed_costs_little(piece: str) -> None:
    for read in (mediawiki_markdown, textile_markdown, typst_markdown):
        read(piece * 3000)


def test_numbers_that_typst_files_name() -> None:
    text = typst_markdown(
        "#let limit = 250\n#let gap = 2cm\n#let f(x) = x\n高 *#limit* 厘米，隔#gap。"
    )
    assert text == "高 250 厘米，隔2cm。"
