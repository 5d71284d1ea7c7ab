import pytest

from rag_app.documents.web.html import page_markdown
from rag_app.documents.web.markdown_source import shown_markdown
from rag_app.documents.web.torn_tags import without_torn_tags


def test_questions_in_buttons_are_headings_and_commands_are_left_out() -> None:
    page = """<h2><button type="button" data-bs-toggle="collapse">报修电话是多少？</button></h2>
    <div class="collapse">请拨打 10188。</div>
    <button aria-expanded="false">移机怎么收费？</button><div hidden class="faq-body">八十元。</div>
    <button class="faq-question">退费</button><p>不退。</p>
    <button type="submit">提交</button><button>复制</button><button>Sign in</button>"""
    assert page_markdown(page) == (
        "## 报修电话是多少？\n\n请拨打 10188。\n\n移机怎么收费？\n\n八十元。\n\n退费\n\n不退。"
    )


@pytest.mark.parametrize(
    "page",
    [
        "<p>甲</p><p hidden>乙</p><p aria-hidden='true'>丙</p>",
        "<p>甲</p><p style='display: none'>乙</p><p style='visibility:hidden'>丙</p>",
        "<p>甲</p><font color='#FFFFFF'>乙</font>",
        "<p>甲</p><p style='color:white;background:#FFF'>乙</p><p style='color:#ffffff'>丙</p>",
        "<style>.old, p#b {display: none}</style><p>甲</p><p class='x old'>乙</p><p id='b'>丙</p>",
        (
            "<style>.old {display: none} @media print {.old {display: block}}</style><p>甲</p>"
            "<p class='old'>乙</p>"
        ),
    ],
)
def test_what_a_page_hides_is_left_out(page: str) -> None:
    assert page_markdown(page) == "甲"


@pytest.mark.parametrize(
    "page",
    [
        (
            "<style>.tab {display: none} #a:checked ~ .tab {display: block}</style><p>甲</p>"
            "<p class='tab'>乙</p>"
        ),
        "<body bgcolor='navy'><p>甲</p><p style='color:white'>乙</p>",
        "<style>body {background: navy}</style><p>甲</p><p style='color:white'>乙</p>",
        "<style>@media print {p {display: none}}</style><p>甲</p><p>乙</p>",
    ],
)
def test_what_may_be_seen_all_the_same_is_kept(page: str) -> None:
    assert page_markdown(page) == "甲\n\n乙"


@pytest.mark.parametrize("code", ['\ufffd码，不是正文";};', "if (a > b) {\nc.map(d => e);\n}"])
def test_what_a_script_without_beginning_leaves_is_no_text(code: str) -> None:
    page = f"<p>甲</p>{code}</script><p>乙</p><script>a = '</style>'</script>"
    assert page_markdown(page) == "甲\n\n乙"


def test_ends_of_scripts_may_have_attributes() -> None:
    assert page_markdown("<script>x = 1</script language='js'><p>今日停水。</p>") == "今日停水。"


def test_what_is_filled_into_a_form_stands_in_it() -> None:
    page = """<p>城市<select><option>杭州<option selected>宁波</select>，姓名<input value="王五">
    <input type="hidden" value="x1"><input type="radio" checked>是<input type="radio">否</p>"""
    assert page_markdown(page) == "城市 宁波 ，姓名 王五 \n☑是☐否"


def test_items_are_numbered_as_their_list_counts() -> None:
    page = """<ol type="a"><li>甲<li>乙</ol><ol start="3"><li>丙<li value="7">丁<li>戊</ol>
    <ol style="list-style-type: cjk-ideographic"><li>己</ol>"""
    lines = ["a. 甲", "b. 乙", "3. 丙", "7. 丁", "8. 戊", "一. 己"]
    assert page_markdown(page).replace("\n\n", "\n").split("\n") == lines


def test_words_of_a_drawing_are_read_and_its_title_is_not_the_page_s() -> None:
    page = "<svg><title>图标</title></svg><p>见图。</p><svg><text>阀门</text><text>V3</text></svg>"
    assert page_markdown(page) == "见图。\n\n阀门 V3"


def test_folds_are_blocks() -> None:
    page = "<details><summary>要多久？</summary>三天。</details><p>完</p>"
    assert page_markdown(page) == "要多久？\n\n三天。\n\n完"


def test_tabs_are_read_under_their_names() -> None:
    page = """<nav><div role="tablist"><button role="tab" id="t1" aria-controls="a">流程</button>
    <button role="tab" id="t2" aria-controls="b">材料</button></div></nav>
    <div id="a" role="tabpanel">先取号。</div>
    <div id="b" role="tabpanel" aria-hidden="true" hidden>身份证原件。</div>"""
    assert page_markdown(page) == "流程\n\n先取号。\n\n材料\n\n身份证原件。"


def test_what_a_click_opens_is_read_and_what_nobody_can_open_is_not() -> None:
    page = """<a href="#more">更多</a><div id="more" hidden>节假日不办公。</div>
    <button onclick="show('rules')">查看办理规则说明</button><dialog id="rules">先到先办。</dialog>
    <dialog open>今日停电。</dialog><dialog>旧文</dialog><div hidden>藏</div>
    <i aria-hidden="true">图标</i><div class="cookie-banner">我们使用 Cookie</div>"""
    text = page_markdown(page)
    for seen in ("节假日不办公。", "先到先办。", "今日停电。", "查看办理规则说明"):
        assert seen in text
    for unseen in ("旧文", "藏", "图标", "Cookie"):
        assert unseen not in text


def test_raised_text_is_an_exponent() -> None:
    page = "<p>占地10<sup>3</sup>亩，H<sub>2</sub>O，见<sup>[1]</sup>"
    page += "，x<sup>n<i>+1</i></sup>，1<sup>st</sup></p>"
    assert page_markdown(page) == "占地10³亩，H2O，见[1]，xⁿ⁺¹，1st"


def test_ruby_without_its_readings() -> None:
    page = "<p><ruby>邯<rt>hán</rt>郸<rp>(</rp><rt>dān</rt><rp>)</rp></ruby>人学步</p>"
    assert page_markdown(page) == "邯郸人学步"


def test_merged_cells_are_repeated_under_their_columns() -> None:
    page = """<table><tr><th>大区<th>门店<th>增长<tr><td rowspan="2">华东<td>苏州店<td>15%
    <tr><td>无锡店<td>-4%<tr><td colspan="2">合计<td>3%</table>"""
    assert page_markdown(page).split("\n") == [
        "大区: 华东; 门店: 苏州店; 增长: 15%",
        "大区: 华东; 门店: 无锡店; 增长: -4%",
        "大区: 合计; 增长: 3%",
    ]


def test_a_form_is_pairs_and_a_layout_is_blocks() -> None:
    form = "<table><tr><th>电话<td>123<tr><th>地址<td>甲路<br>二号</table>"
    assert page_markdown(form) == "电话: 123\n地址: 甲路 二号"
    layout = f"<table><tr><td><h2>概况</h2><p>段</p></td><td>{form}</td></tr></table>"
    assert page_markdown(layout) == "## 概况\n\n段\n\n电话: 123\n地址: 甲路 二号"


def test_a_cell_that_goes_to_the_end_of_its_group() -> None:
    page = """<table><tbody><tr><th>月<th>区<th>量<tr><td rowspan="0">五月<td>东<td>3<tr><td>西<td>4
        <tbody><tr><td>六月<td>东<td>5</table>"""
    assert page_markdown(page).split("\n") == [
        "月: 五月; 区: 东; 量: 3", "月: 五月; 区: 西; 量: 4", "月: 六月; 区: 东; 量: 5",
    ]  # fmt: skip


def test_a_table_in_a_cell_comes_after_its_table() -> None:
    inner = "<table><tr><th>材料<th>硬度<tr><td>45钢<td>40</table>"
    page = f"<table><tr><th>部位<th>要求<tr><td>轴<td>{inner}见下<tr><td>壳<td>铸铁</table>"
    assert page_markdown(page) == (
        "部位: 轴; 要求: 见下\n部位: 壳; 要求: 铸铁\n\n材料: 45钢; 硬度: 40"
    )


def test_marks_of_word_around_what_not_all_programs_show() -> None:
    page = "<p><![if !supportLists]>1.<![endif]>资金不低于<![IF !vml]>五百万元<![endif]></p>"
    assert page_markdown(page) == "1.资金不低于五百万元"


def test_spans_without_end_are_bounded() -> None:
    cell = '<td colspan="99999999" rowspan="99999">x</td>'
    page = f"<table>{f'<tr>{cell * 50}</tr>' * 50}</table>"
    assert len(page_markdown(page)) < 10_000_000


def test_a_long_table_of_rows_that_are_never_closed() -> None:
    rows = "".join(f"<tr><td>型号{number}<td>{number}千瓦" for number in range(600))
    lines = page_markdown(f"<table><tr><th>型号<th>功率{rows}</table>").split("\n")
    assert lines[-1] == "型号: 型号599; 功率: 599千瓦"


def test_items_that_are_never_closed() -> None:
    assert page_markdown("<ol start=3><li>三<li>四</ol>") == "3. 三\n4. 四"
    assert page_markdown("<dl><dt>甲<dd>乙<dt>丙<dd>丁</dl>") == "甲\n\n乙\n\n丙\n\n丁"


@pytest.mark.parametrize(
    "page", ['<?xml version="1.0"?>\n<p>节假日不办公。</p>', "节假日不办公。", "a/节假日不办公。"]
)
def test_pages_that_look_like_something_else_are_read_without_a_word(page: str) -> None:
    assert page_markdown(page).endswith("节假日不办公。")


@pytest.mark.parametrize(
    "style",
    [
        "display: none",
        "visibility:hidden",
        "opacity: 0",
        "font-size:0",
        "position:absolute; left:-9999px",
        "color:#fff; background-color: #fff",
    ],
)
def test_what_a_style_hides_for_good_is_left_out(style: str) -> None:
    page = f'<p>今日停水。</p><p style="{style}">照常供水。</p>'
    assert page_markdown(page) == "今日停水。"


@pytest.mark.parametrize(
    "page",
    [
        '<script src="a.js"></script><p style="opacity:0">今日停水。</p>',
        '<script src="a.js"></script><div style="display:none">今日停水。</div>',
        '<a href="#more">更多</a><div id="more" style="display:none">今日停水。</div>',
        '<ul style="font-size:0"><li style="font-size:14px">今日停水。</li></ul>',
        '<p style="color:#fff;background:#000;opacity:0.5">今日停水。</p>',
    ],
)
def test_what_a_click_or_a_script_shows_stays(page: str) -> None:
    assert "今日停水。" in page_markdown(page)


def test_comments_of_markdown_are_left_out_but_not_in_code() -> None:
    text = "甲\n<!-- 乙\n-->\n[//]: # (丙)\n[a]: https://a.example\n"
    text += "```html\n<!-- 丁 -->\n```\n戊 <!-- 己"
    found = shown_markdown(text)
    assert not set(found) & set("乙丙")
    assert set(found) >= set("甲丁戊己")
    assert "[a]: https://a.example" in found


@pytest.mark.parametrize(
    ("equation", "right"),
    [
        (
            (
                "<math><mi>x</mi><mo>=</mo><mfrac><mrow><mo>−</mo><mi>b</mi><mo>±</mo><msqrt><msup>"
                "<mi>b</mi><mn>2</mn></msup><mo>−</mo><mn>4</mn><mi>a</mi><mi>c</mi></msqrt></mrow>"
                "<mrow><mn>2</mn><mi>a</mi></mrow></mfrac></math>"
            ),
            r"$x=\frac{-b\pm \sqrt{b^{2}-4ac}}{2a}$",
        ),
        (
            (
                "<math><munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi>"
                "</munderover><msub><mi>a</mi><mi>i</mi></msub></math>"
            ),
            "$∑_{i=1}^{n}a_{i}$",
        ),
        (
            (
                "<math><mfenced open='[' close=']'><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0"
                "</mn></mtd></mtr><mtr><mtd><mroot><mi>x</mi><mn>3</mn></mroot></mtd><mtd><mover><mi>y</mi>"
                "<mo>¯</mo></mover></mtd></mtr></mtable></mfenced></math>"
            ),
            r"$[\begin{matrix} 1 & 0 \\ \sqrt[3]{x} & \overline{y} \end{matrix}]$",
        ),
        (
            (
                "<math><mmultiscripts><mi>C</mi><mprescripts/><mn>6</mn><mn>14</mn></mmultiscripts>"
                "<mtext>碳</mtext><mspace/><mtext>原子</mtext></math>"
            ),
            r"${}_{6}^{14}C碳 \text{原子}$",
        ),
        (
            (
                "<span class='mwe-math-element'><span style='display: none;'><math><semantics><mi>E"
                "</mi><annotation encoding='application/x-tex'>{\\displaystyle E=mc^{2}}"
                "</annotation></semantics></math></span><img alt='{\\displaystyle E=mc^{2}}' "
                "src='x.svg' class='mwe-math-fallback-image-inline'></span>"
            ),
            "$E=mc^{2}$",
        ),
        (
            (
                "<span class='katex'><span class='katex-mathml'><math><semantics><mi>k</mi>"
                "<annotation encoding='application/x-tex'>k</annotation></semantics></math></span>"
                "<span class='katex-html' aria-hidden='true'>k</span></span>"
            ),
            "$k$",
        ),
        (
            (
                "<span class='MathJax_Preview'>x</span><span class='MathJax'><nobr>x2</nobr></span>"
                "<script type='math/tex'>x^2</script>"
            ),
            "$x^2$",
        ),
        (
            "<img eeimg='1' alt='\\frac{1}{2}' src='https://x.example/equation?tex=y'>",
            r"$\frac{1}{2}$",
        ),
        ("<m:math><m:msup><m:mi>r</m:mi><m:mn>2</m:mn></m:msup></m:math>", "$r^{2}$"),
        ("<math><mfrac><mn>1</mn></mfrac></math>", "$1$"),
        ("<math></math><img src='photo.jpg' alt='照片'>", ""),
    ],
)
def test_equations(equation: str, right: str) -> None:
    assert page_markdown(f"<p>即{equation}。</p>") == f"即{right}。"


@pytest.mark.parametrize(
    ("page", "right"),
    [
        ("<h1>题</h1><p>甲乙</p><meta", "# 题\n\n甲乙"),
        ("<p>甲乙</p></hea", "甲乙"),
        ('<div class="accord甲，乙</p><p>丙</p>', "甲，乙\n\n丙"),
        ('15" style="border: none; color: red;">甲<p>乙</p>', "甲\n\n乙"),
        ('甲<br><`2 class="head">乙', "甲  \n乙"),
        ('甲<p>ion class="x" type="button">乙</p>', "甲\n\n乙"),
        ("rt>甲</rt>乙", "甲乙"),
        ("ml><p>甲</p>", "甲"),
        ("<p>甲</p><p>乙=/div>", "甲\n\n乙"),
        ('<p>zh-CN">甲</p>', "甲"),
        ('xml version="1.0" encoding="utf-8"?><p>甲</p>', "甲"),
        ('<p>甲</p><?xml version="1.0"?><p>乙</p>', "甲\n\n乙"),
        ("<p>甲.c0{height:11pt;color:#fff}.c3{color:#000}</p><p>乙</p>", "甲\n\n乙"),
        ('<p>甲XHTML 1.1//EN" "http://a.b/c.dtd" [<!ENTITY n "&#160;">]><p>乙</p>', "甲\n\n乙"),
    ],
)
def test_pieces_of_torn_tags_are_no_text(page: str, right: str) -> None:
    assert page_markdown(page) == right


@pytest.mark.parametrize(
    ("page", "right"),
    [
        ("<p>若 a < b 且 c > d</p>", "若 a < b 且 c > d"),
        ("<p>首页 > 新闻 > 体育</p>", "首页 > 新闻 > 体育"),
        ('<p>他说“5" > 3"”</p>', '他说“5" > 3"”'),
        ('<pre><code>x class="a"> ul>li</code></pre>', '```\nx class="a"> ul>li\n```'),
        ('<p>写 &lt;div class="a"&gt; 和 ul&gt;li</p>', '写 <div class="a"> 和 ul>li'),
        ('<a title="a<b>c" href="x">甲</a>', "甲"),
        ("<p>x and/or>y 1/2</p>", "x and/or>y 1/2"),
    ],
)
def test_signs_that_authors_write_stay(page: str, right: str) -> None:
    assert page_markdown(page) == right


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["<pre>", "<", "<div ", ' a="b"', '<a b="', "x", "\n  /div", "<p a=b ", 'a: b;"']
)
def test_long_pages_of_one_piece_are_read_in_time(piece: str) -> None:
    without_torn_tags(piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            '<p>收费</p></body></html>\nion-collapse collapse"><div>首次一百元。</div>',
            "收费\n\n首次一百元。",
        ),
        ("<p>来的步by>邯郸</p>\ufffd", "来的步邯郸\n\n\ufffd"),
        ("<p>员工</bo未规定者</p></hvml>", "员工未规定者"),
        ('<p>居士\ufffd</p><!DOCTYPE html PUBLIC "-//W3C//D', "居士\ufffd"),
        ("<p>选设置>隐私，A>B 时退出。</p>", "选设置>隐私，A>B 时退出。"),
        ('<p>甲,rt>乙</p><p>丙0,35 10,0 10,0 45"/></p>丁&nbsp', "甲乙\n\n丙\n\n丁"),
        ("pad: 1em; left: 2; }\nth { b<p>甲</p>", "甲"),
        ('<p>员</bo未</p></hvml>\norder="0" src="a.png"\nstyle="b: 2px" 工', "员未\n\n工"),
        ("<title>R<td>\n<td>甲</td></tr><tr><td>乙</td></tr><tr><td>丙</table></body></html>", "R"),
        ("<p>甲</p>p.a, li.b\n{color:red;\n}\nspan.c {mso-style:x;}\n<p>乙</p>", "甲\n\n乙"),
    ],
)
def test_pieces_of_tags_in_damaged_pages_only(page: str, text: str) -> None:
    assert page_markdown(page) == text


def test_cells_that_a_page_calls_names_are_the_head() -> None:
    page = "<tr><th>店<th>3/1<th>3/2<tr><th>甲店<td>5<td>7</table>"
    assert page_markdown(f"<table>{page}") == "店: 甲店; 3/1: 5; 3/2: 7"
    titled = f"<table><tr><th colspan=3>销量{page}"
    assert page_markdown(titled) == "销量\n店: 甲店; 3/1: 5; 3/2: 7"


@pytest.mark.slow
def test_tags_that_hold_nothing_but_each_other() -> None:
    pile = '<div class="a">\n' * 300
    page = f"<p>甲</p>{pile}<h2>乙</h2><p>丙</p>{'</div>' * 300}<p>丁</p>"
    assert page_markdown(page) == "甲\n\n## 乙\n\n丙\n\n丁"
    assert page_markdown("<div>" * 200_000 + "甲" + "</div>" * 200_000) == "甲"


def test_tables_that_only_roles_make() -> None:
    rows = [("columnheader", "车次", "票价"), ("cell", "K101", "45"), ("cell", "K103", "52")]
    page = "".join(
        "<div role=row>" + "".join(f"<span role={kind}>{text}</span>" for text in texts) + "</div>"
        for kind, *texts in rows
    )
    assert (
        page_markdown(f"<div role=table>{page}</div>")
        == "车次: K101; 票价: 45\n车次: K103; 票价: 52"
    )


def test_tabs_without_ids_name_their_panels_in_order() -> None:
    page = "<div><div role=tablist><a role=tab>月付</a><a role=tab>年付</a></div>"
    page += "<div role=tabpanel>30元</div><div role=tabpanel hidden>300元</div></div>"
    assert page_markdown(page) == "月付\n\n30元\n\n年付\n\n300元"


def test_code_keeps_its_lines_without_their_numbers() -> None:
    page = "<table><tr><td class=linenos><pre>1\n2</pre></td><td class=code><pre>a = 1\nb = 2</pre>"
    assert page_markdown(f"{page}</td></tr></table>") == "```\na = 1\nb = 2\n```"
    rows = "<tr><td>命令</td><td><pre>ls</pre></td></tr><tr><td>说明</td><td>列出</td></tr>"
    assert "ls: 列出" in page_markdown(f"<table>{rows}</table>")
    assert page_markdown("<pre>a<br>  b</pre>") == "```\na\n  b\n```"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<ol reversed><li>铜<li>银<li>金</ol>", "3. 铜\n2. 银\n1. 金"),
        ("<ol reversed start=9><li>甲<li>乙</ol>", "9. 甲\n8. 乙"),
        ('<h2>安装<a href="#a">¶</a></h2>', "## 安装"),
        (
            '<b>电话</b><div class="expand-content" style="display:none">5550177</div>',
            "**电话**\n\n5550177",
        ),
    ],
)
def test_what_a_page_shows(page: str, text: str) -> None:
    assert page_markdown(page) == text


def test_tables_of_html_in_markdown() -> None:
    table = "<table><tr><th>键</th><th>值</th></tr><tr><td>重试</td><td>3</td></tr></table>"
    text = shown_markdown(f"# 参数\n\n{table}\n\n```\n{table}\n```\n<table>")
    assert "键: 重试; 值: 3" in text
    assert text.count(table) == 1


def test_words_beside_a_table_are_no_numbers_of_lines() -> None:
    rows = '<tr><td class="gutter">要点</td><td>先断电</td></tr>'
    assert "要点" in page_markdown(f"<h1>手册</h1><table>{rows}</table>")


def test_text_of_declarative_shadow_roots_is_shown() -> None:
    page = "<x-a><template shadowrootmode=open><p>额定 10 吨。</p></template></x-a>"
    page += "<template>乙</template>"
    assert page_markdown(page) == "额定 10 吨。"


def test_links_to_headings_are_no_text_but_sections_of_laws_are() -> None:
    page = "<h2>退货<a href='g.html#q'>§</a></h2><p>依据 <a href='l.html'>§</a> 12。</p>"
    page += "<h2><a href='l.html'>§</a> 13 换货</h2>"
    assert page_markdown(page) == "## 退货\n\n依据 § 12。\n\n## § 13 换货"


def test_lists_in_code_are_its_lines_and_their_numbers_are_none() -> None:
    page = "<pre><code><ol><li>if a:</li><li>  b()</li></ol></code><ul><li>1</li></ul></pre>"
    assert page_markdown(page) == "```\nif a:\n  b()\n```"


@pytest.mark.parametrize(
    ("page", "right"),
    [
        ("<li><input type=checkbox checked disabled> 甲</li>", "☑ 甲"),
        ("<li><input type=checkbox disabled>乙</li>", "☐乙"),
        ("<div role=checkbox aria-checked=false></div><span>丙</span>", "☐\n\n丙"),
        ("<ul><li><div class='checkbox checkbox-on'></div><span>丁</span></li></ul>", "☑"),
        ("<li><input type=checkbox id=a><label for=b>戊</label></li>", "戊"),
    ],
)
def test_ticks_that_are_shown_are_read(page: str, right: str) -> None:
    assert right in page_markdown(page)
    assert ("☐" in right or "☑" in right) or "☐" not in page_markdown(page)


def test_blocks_in_cells_do_not_touch_what_follows() -> None:
    cell = "<div>灯红闪</div>卡坏了<p>换卡</p><b>重下</b>"
    page = f"<table><tr><th>人</th><th>话</th></tr><tr><td>王</td><td>{cell}</td></tr></table>"
    assert page_markdown(page) == "人: 王; 话: 灯红闪 卡坏了 换卡 重下"


def test_cells_without_a_row_and_text_between_cells() -> None:
    page = "<table>单位：元<tr><th>项</th><th>价</th></tr><td>阀</td><td>30</td></tr>"
    page += "<tr><td>泵</td><td>90</td></tr><td>管</td><td>7</td></table>"
    assert page_markdown(page) == "单位：元\n\n项: 阀; 价: 30\n项: 泵; 价: 90\n项: 管; 价: 7"


def test_pages_in_frames_that_hold_them_are_read() -> None:
    inner = "&lt;title&gt;广告&lt;/title&gt;&lt;body&gt;&lt;p&gt;量程 6 bar。"
    page = f"<h1>泵</h1><iframe srcdoc=''></iframe><iframe srcdoc='{inner}'></iframe>"
    assert page_markdown(page).startswith("# 泵")
    assert page_markdown(page).endswith("量程 6 bar。")


def test_a_name_over_a_part_of_the_rows_is_no_head() -> None:
    page = "<table><tr><th>项</th><th>工</th></tr><tr><th colspan=2>检测</th></tr>"
    page += "<tr><td>拉伸</td><td>甲</td></tr><tr><td>弯曲</td><td>乙</td></tr></table>"
    assert page_markdown(page) == "检测\n项: 拉伸; 工: 甲\n项: 弯曲; 工: 乙"


def test_lists_in_code_are_left_out_only_as_numbers_of_its_lines() -> None:
    assert page_markdown("<pre><ul><li>10</li><li>25</li></ul></pre>") == "```\n10\n25\n```"
    assert page_markdown("<pre><ol><li>1</li><li>2</li></ol>a\nb</pre>") == "```\na\nb\n```"


def test_a_sign_that_is_all_of_a_heading_is_no_link_to_it() -> None:
    assert page_markdown("<h2><a href='/hash'>#</a></h2><p>甲</p>") == "## #\n\n甲"


def test_fields_with_the_role_of_a_tick_are_not_written_twice() -> None:
    assert page_markdown("<div><input type=checkbox role=checkbox><p>甲</p></div>") == "甲"


def test_a_sign_before_the_number_of_a_part_is_text() -> None:
    assert page_markdown("<p>见<a href='#p12'>§</a> 12。</p>") == "见§ 12。"
    assert page_markdown("<h2><a href='/a#1'>#</a>1 总则</h2>") == "## 1 总则"


def test_lists_in_code_begin_and_end_lines() -> None:
    page = "<pre>甲<ol><li>乙</li><li>丙</li></ol>丁</pre>"
    assert page_markdown(page) == "```\n甲\n乙\n丙\n丁\n```"


def test_tabs_in_tabs() -> None:
    page = "<div role=tab aria-controls=a>甲<i role=tab aria-controls=a>乙</i></div><p id=a>丙</p>"
    assert page_markdown(page).split() == ["甲", "乙", "丙"]
