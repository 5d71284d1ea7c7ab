"""reStructuredText, Org and AsciiDoc: what their readers see, under its headings."""

from pathlib import Path

import pytest

from rag_app.documents.loaders import FileLoader
from rag_app.documents.markup.asciidoc import asciidoc_markdown
from rag_app.documents.markup.org import org_markdown
from rag_app.documents.markup.properties import properties_text
from rag_app.documents.markup.restructured import restructured_markdown
from rag_app.errors import DocumentError

RST = """\
====
手册
====

.. _target:
.. 草稿：底价
   三百万

安装
----

.. |泵| replace:: 离心泵

|泵|见 :ref:`附录 <a>`、`官网 <https://a.cn>`_ 和 :math:`x^2`。 示例::

    rm = 1

.. warning::
   先断电。

.. list-table:: 参数
   :header-rows: 1

   * - 型号
     - 功率
   * - 30
     - 1.5

+------+------+
| 门店 | 销量 |
+======+======+
| 无锡 | 131  |
| 分店 |      |
+------+------+

=====  =====
甲     乙
=====  =====
1      2
=====  =====
"""
ORG = """\
#+TITLE: 手册
#+OPTIONS: toc:nil
# 草稿
* TODO [#A] 安装 :泵:
SCHEDULED: <2026-03-09 Mon>
:PROPERTIES:
:ID: 7
:END:
见[[https://a.cn][官网]]。
#+begin_quote
引文
#+end_quote
#+begin_src sh
# 不是标题
#+end_src
| 型号 | 功率 |
|------+------|
| 30   | 1.5  |
"""
ADOC = """\
= 手册
:toc:
:vendor: 临江

// 草稿
////
底价
////
[[a]]
== 安装
{vendor}的泵，见 https://a.cn[官网^] 和 <<a,附录>>。footnote:[旧版]

[source,sh]
----
= 不是标题
----

.参数
[options="header"]
|===
|型号 |功率

|30
|1.5
|===
"""


def test_restructured_text() -> None:
    assert restructured_markdown(RST) == (
        "# 手册\n\n## 安装\n\n离心泵见 附录、官网 和 $x^2$。 示例:\n\n```\nrm = 1\n```\n\n"
        "warning:\n\n先断电。\n\n"
        "参数\n\n型号: 30; 功率: 1.5\n\n门店: 无锡 分店; 销量: 131\n\n甲: 1; 乙: 2"
    )


def test_org() -> None:
    assert org_markdown(ORG) == (
        "# 手册\n\n# TODO 安装\n\nSCHEDULED: 2026-03-09 Mon\n见官网。\n引文\n"
        "```sh\n# 不是标题\n```\n\n型号: 30; 功率: 1.5"
    )


def test_asciidoc() -> None:
    assert asciidoc_markdown(ADOC) == (
        "# 手册\n\n## 安装\n\n临江的泵，见 官网 和 附录。 [旧版]\n\n```sh\n= 不是标题\n```\n\n"
        "参数\n\n型号: 30; 功率: 1.5"
    )


@pytest.mark.parametrize(("name", "text"), [("a.rst", RST), ("a.org", ORG), ("a.adoc", ADOC)])
def test_files_are_read_in_their_encoding(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("gb18030"))
    (document,) = FileLoader(path).load()
    assert document.page_content.startswith("# 手册\n\n")
    assert "底价" not in document.page_content


@pytest.mark.parametrize(
    ("name", "advice"),
    [("a.heic", "PNG or JPEG"), ("a.odg", "PDF"), ("a.prc", "EPUB"), ("a.emmx", "OPML")],
)
def test_what_is_not_read_is_refused_with_advice(tmp_path: Path, name: str, advice: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(DocumentError, match=advice) as caught:
        FileLoader(path).load()
    assert "\n" not in str(caught.value)


def test_a_drawn_table_with_merged_cells() -> None:
    lines = [
        "+------+-------------+", "| 项目 | 限值        |", "|      +------+------+",
        "|      | 冬季 | 夏季 |", "+======+======+======+", "| 油温 | 60   | 85   |",
        "+------+------+------+", "| 水温 | 40          |", "+------+------+------+",
    ]  # fmt: skip
    assert restructured_markdown("\n".join(lines)).split("\n") == [
        "项目: 油温; 限值/冬季: 60; 限值/夏季: 85", "项目: 水温; 限值/冬季: 40; 限值/夏季: 40",
    ]  # fmt: skip
    drawing = "+----+    +----+\n| A  +--->+ B  |\n+----+    +----+"
    assert restructured_markdown(drawing) == drawing


def test_heads_of_csv_tables_and_text_for_some_formats() -> None:
    text = '.. csv-table:: 费率\n   :header: "档", "费率"\n\n   "一档", 0.52\n\n'
    text += ".. only:: html\n\n   每日备份。\n"
    assert restructured_markdown(text) == "费率\n\n档: 一档; 费率: 0.52\n\n每日备份。"


def test_properties_are_read_as_they_are_meant() -> None:
    text = "# 登录 C:\\new\na=\\u9501\\u5b9a\nb=C\\:\\\\in, \\\n   d\ne=\\ud83d\\ude00\n"
    assert properties_text(text) == "# 登录 C:\\new\na=锁定\nb=C:\\in, d\ne=😀\n"


def test_marks_of_footnotes_in_restructured_text() -> None:
    assert restructured_markdown("甲 [#a]_，乙 [1]_。") == "甲 [#a]，乙 [1]。"
    assert restructured_markdown("``a[1]_`` and ``[1]_``") == "``a[1]_`` and ``[1]_``"
