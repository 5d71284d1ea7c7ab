import base64
import zlib
from urllib.parse import quote

import pytest

from rag_app.documents.web.xml_text import read_xml


def text_of(xml: str) -> str:
    return read_xml(xml.encode(), "a.xml").text.strip()


@pytest.mark.parametrize(
    ("xml", "right"),
    [
        ("<resources><string name='app'>水泵</string></resources>", "string app: 水泵"),
        ("<a><data name='E07'><value>过载</value></data></a>", "name: E07\nvalue: 过载"),
        ("<e name='id'><a><doc>订单号</doc></a></e>", "name: id\ndoc: 订单号"),
        ("<公文><附件 序号='1' 名称='清单'/></公文>", "名称: 清单"),
        (
            "<a><b name='甲' value='5'/><b name='乙' value='5'/></a>",
            "name: 甲; value: 5\nname: 乙; value: 5",
        ),
        ("<tt><p>See<br/>you</p></tt>", "See you"),
        ("<a xmlns:b='urn:b'><c b:Ref='清单'/></a>", "ref: 清单"),
        ("<p><task name='提交报销单'/><font name='SimSun'/></p>", "name: 提交报销单"),
    ],
)
def test_attributes_that_name_texts_or_are_words(xml: str, right: str) -> None:
    assert text_of(xml) == right


def test_tables_and_code_of_books_in_xml() -> None:
    book = """<book><title>手册</title><table><title>力矩</title><tgroup><thead><row>
    <entry>规格</entry>
    <entry>力矩</entry></row></thead><tbody><row><entry>M20</entry><entry>230</entry></row></tbody>
    </tgroup></table><programlisting>a
  b</programlisting></book>"""
    assert text_of(book) == "# 手册\n\n力矩\n规格: M20; 力矩: 230\n\n```\na\n  b\n```"


def test_cells_of_books_that_cover_several() -> None:
    book = """<article><table><tr><th>段</th><th>甲</th></tr>
    <tr><td rowspan="2">东</td><td>1</td></tr>
    <tr><td>2</td></tr></table></article>"""
    assert text_of(book) == "段: 东; 甲: 1\n段: 东; 甲: 2"


def test_the_reading_of_editors_stands_alone() -> None:
    tei = "<TEI><p>嘉靖<choice><orig>卅</orig><reg>三十</reg></choice>年</p></TEI>"
    assert text_of(tei) == "嘉靖三十年"


def test_pages_of_wikis_and_notes_are_read_in_their_markup() -> None:
    wiki = """<mediawiki><siteinfo><sitename>w</sitename></siteinfo><page><title>空压站</title>
    <id>3</id>
    <revision><text>旧</text></revision><revision>
    <text>== 参数 ==\n见[[罐|储罐]]。</text></revision></page>
    </mediawiki>"""
    assert text_of(wiki) == "# 空压站\n\n## 参数\n\n见储罐。"
    note = """<en-export><note><title>报销</title><content><![CDATA[<?xml version="1.0"?>
    <!DOCTYPE en-note>
    <en-note><div>住宿 550 元</div></en-note>]]></content>
    <resource><data>AAAA</data></resource></note>
    </en-export>"""
    assert text_of(note) == "# 报销\n\n住宿 550 元"


def test_drawings_that_are_packed() -> None:
    drawn = "<mxGraphModel><mxCell value='受理&lt;br&gt;&lt;b&gt;两天&lt;/b&gt;'/></mxGraphModel>"
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = base64.b64encode(pack.compress(quote(drawn).encode()) + pack.flush()).decode()
    assert text_of(f"<mxfile><diagram>{packed}</diagram></mxfile>").endswith("**两天**")


def test_words_of_a_drawing_that_are_in_two_attributes_are_there_once() -> None:
    drawn = "<mxGraphModel><object label='水泵' tooltip='水泵'/></mxGraphModel>"
    assert text_of(drawn) == "水泵"


def test_choices_and_tables_of_data_are_left() -> None:
    assert text_of("<q><p>甲<choice><abbr>乙</abbr><b>丙</b></choice></p></q>") == "甲乙丙"
    assert text_of("<TEI><p>甲<choice><abbr>乙</abbr></choice></p></TEI>") == "甲乙"
    assert text_of("<book><table><row><price>3</price></row></table></book>") == "price: 3"


def test_all_of_a_table_is_read_once() -> None:
    inner = "<informaltable><row><entry>丁</entry></row></informaltable>"
    table = f"<info><title>甲</title></info><row>乙</row>戊<row><entry>丙{inner}</entry></row>"
    assert text_of(f"<book><table>{table}</table></book>").split() == ["甲", "戊", "乙", "丙丁"]


def test_cells_that_cover_many_are_bounded() -> None:
    row = "<tr><td rowspan='1000' colspan='1000'>甲</td></tr>"
    assert len(text_of(f"<book><table>{row * 300}</table></book>")) < 1_000_000
