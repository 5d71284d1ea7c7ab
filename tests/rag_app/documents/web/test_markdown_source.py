import pytest

from rag_app.documents.web.markdown_source import shown_markdown


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('---\ntitle: "叉车"\ntags: [安全]\n---\n限速。', "# 叉车\n\ntags: [安全]\n\n限速。"),
        ("+++\ntitle = '叉车'\n+++\n## 限速\n", "# 叉车\n\n## 限速\n"),
        ("---\ntitle: a\nid: 1\n---\n# 叉车\n", "title: a\nid: 1\n\n# 叉车\n"),
        ("---\n验收。\n---\n甲。", "---\n验收。\n---\n甲。"),
    ],
)
def test_front_matter_of_markdown_is_text_under_its_title(text: str, right: str) -> None:
    assert shown_markdown(text) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("甲<br/>乙 <font color='red'>丙</font>&nbsp;&lt;丁&gt;", "甲\n乙 丙\xa0<丁>"),
        ("| 甲<br>乙 | 丙 |", "| 甲 乙 | 丙 |"),
        ("10<sup>3</sup> <img src='a'>", "10³ "),
        ("<ul><li>甲</li></ul>", "\n\n- 甲\n\n"),
        ("<style>a {b}</style>甲", "甲"),
        (
            "## 结论 {#sec .x}\n甲。{: .lead}\n{{< b >}} f{#1}\n",
            "## 结论\n甲。\n{{< b >}} f{#1}\n",
        ),
        ("List<T> a<b 的 <名称>，<p> 是段落", "List<T> a<b 的 <名称>，<p> 是段落"),
        ("`a &lt; <br>` ``<b>`</b>``", "`a &lt; <br>` ``<b>`</b>``"),
    ],
)
def test_tags_of_markdown_are_not_shown_but_in_code(text: str, right: str) -> None:
    assert shown_markdown(text) == right


def test_headings_of_html_in_markdown_are_headings() -> None:
    assert shown_markdown("<h2 align='center'><img src='a'> 水泵</h2>").strip() == "## 水泵"


def test_code_of_markdown_is_told_by_its_own_fence() -> None:
    code = "````md\n```sh\n<!-- 甲 -->\n```\n<b>乙</b>\n````\n"
    code += "1. 丙\n\n   ~~~\n   <b>丁</b>\n   ~~~\n"
    assert shown_markdown(code) == code


def test_indented_code_of_markdown_is_kept_but_not_paragraphs_of_lists() -> None:
    assert shown_markdown("甲\n\n    <b>乙</b>\n\n丙") == "甲\n\n    <b>乙</b>\n\n丙"
    assert shown_markdown("1. 甲\n\n    <b>乙</b>\n") == "1. 甲\n\n    乙\n"


def test_a_comment_of_markdown_may_hold_code() -> None:
    assert shown_markdown("甲\n<!--\n```\n乙\n```\n-->\n丙") == "甲\n\n丙"


@pytest.mark.parametrize(
    "text",
    [
        "---\nNote: it rained.\n\n# Plan\n\nWe stay.\n\n---\n\nEnd.\n",  # rules
        "A <script> runs.\n\nThen </script> ends it; <!-- is\n\nfor notes, as is -->.\n",
        "Print it as {:.2f}\nor as {:>10}\n{#if paid}\nin a class {.red}\n",
    ],
)
def test_texts_that_look_like_fields_names_or_tags_are_left(text: str) -> None:
    assert shown_markdown(text) == text


def test_blocks_end_words_and_escaped_tags_are_none() -> None:
    assert shown_markdown("<summary>更多</summary>甲<b>乙</b>").strip() == "更多\n甲乙"
    assert shown_markdown("\\<b> \\`<b>甲</b>\\`") == "\\<b> \\`甲\\`"


def test_letters_that_become_two_in_lower_case_move_nothing() -> None:
    assert shown_markdown("İİİİ\n<!-- a -->bcdefgh") == "İİİİ\nbcdefgh"


def test_types_are_no_tags() -> None:
    assert shown_markdown("List<B> is <B>long</B>.") == "List<B> is long."


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("---\n# of Ann\n标题: 租约\n---\n甲", "标题: 租约\n\n甲"),
        ('---\ntitle: " Lease"\n---\nbody', "# Lease\n\nbody"),
        ("---\ntitle: Lease\n...\nbody", "# Lease\n\nbody"),
        ("---\ntitle: 甲\n---\n```\n# 乙\n```", "# 甲\n\n```\n# 乙\n```"),
        ("---\ntitle: ''\n---\nbody", "title: ''\n\nbody"),
        ("---\ntitle: >\n  Lease\n---\nbody", "title: >\n  Lease\n\nbody"),
    ],
)
def test_front_matter(text: str, right: str) -> None:
    assert shown_markdown(text) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("用 <label> 元素，如<label>姓名</label>。", "用 <label> 元素，如姓名。"),
        ("<b>先</b>断电 <b>。", "先断电 <b>。"),
        ('见<a name="a">附录 <sup class="new" />', "见附录 "),
        ("参数 <code>--all</code>", "参数 --all"),
        ("<p>甲\n<p>乙\n", "\n甲\n\n乙\n"),
    ],
)
def test_names_between_the_signs_of_tags_are_left(text: str, right: str) -> None:
    assert "".join(shown_markdown(text)) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("lass=\"a\" id='b'>先断电", "先断电"),
        ('断电ont-bold">先', "断电先"),
        ('关阀.cn/1.png" alt="图" width="8" />\n再走', "关阀\n再走"),
        ('先<img src="http://a.cn/1.p', "先"),
        ('<div class="a" id="断电\n\n先', "断电\n\n先"),
        ('甲<img src="http://a.cn/1.p\n\n# 先', "甲\n\n# 先"),
        ('<img class="a" alt="b < c">甲', "甲"),
        ('&lt;p class="a b">甲', '<p class="a b">甲'),
    ],
)
def test_torn_tags_of_markdown_are_not_shown(text: str, right: str) -> None:
    assert shown_markdown(text) == right


@pytest.mark.parametrize(
    "text",
    [
        '<el-button type="a" size="b">甲',
        '<Card\n  onClick={() => 1}\n  title="甲"\n/>',
        '点击 "Save file">，选 a="b" 或 24"。',
        '`class="a">`\n\n```\nid="a">\n```\n',
        'HOME="/usr"\n\n> 先断电',
        '> 标签 name="甲"\n> 先断电',
        'x="1" > y，24" > 21"',
        '(`a">`) 和 `b">`',
        '\\<a href="b">甲',
        '<el-button v-if="a > b" class="c">甲',
    ],
)
def test_ends_of_what_is_no_tag_of_html_are_left(text: str) -> None:
    assert shown_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (":::tip\n先断电。\n:::\n", "先断电。\n"),
        ("::: details 步骤 {open}\n先断电。\n:::", "步骤\n先断电。\n"),
        (":::info[提示]\n先断电。\n:::", "提示\n先断电。\n"),
        ("> [!NOTE]\n> 先断电。", "> 先断电。"),
        ("> [!tip]- 停机\n> 先断电。", "> 停机\n> 先断电。"),
        ('???+ note "例 [甲](a.md)"\n    先断电。', "例 [甲](a.md)\n    先断电。"),
        ("!!! warning\n\n    先断电。", "\n    先断电。"),
        ('=== "Linux"\n    先断电。', "Linux\n    先断电。"),
        ("[TOC]\n甲\n\n@[toc](目录)\n[[toc]]", "\n甲\n\n\n"),
        ("## 选型？{#which}", "## 选型？"),
        ('{% hint style="info" %}\n先断电。\n{% endhint %}', "\n先断电。\n"),
        ('{{< figure src="a.png" caption="<b>图 1</b>" >}}', "<b>图 1</b>"),
        (
            'import Tab from \'@a/b\';\n<Tab value="x" label="Linux">\n甲\n</Tab>',
            "\nLinux\n甲\n",
        ),
        ('<Card title="甲" description="乙" src="/图/a.png"/>', "甲 乙"),
        ('<Tab value="甲">\n乙\n</Tab>', "甲\n乙\n"),
        ("::: 甲\n乙", "甲\n乙"),
        ("<TopAd></TopAd>\n\n甲<Badge text='推荐'/>", "\n\n甲推荐"),
    ],
)
def test_what_makes_boxes_and_tabs_of_a_site_is_not_shown(text: str, right: str) -> None:
    assert shown_markdown(text) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("见[安装](#%E5%AE%89%E8%A3%85)。", "见安装。"),
        ("![图 1](img/%e5%9b%be%201.png)", "图 1"),
        (f"[AB007](Wiki%20{'0f' * 16}/AB007%20{'1e' * 16}.md)", "AB007"),
    ],
)
def test_addresses_that_nobody_can_read_are_not_shown(text: str, right: str) -> None:
    assert shown_markdown(text) == right


@pytest.mark.parametrize(
    "text",
    [
        "[安装](#安装) [甲](a/b.md) [训练](05%20Lora.ipynb)",
        "[官网](https://example.com/%E5%AE%89)",
        "`[安装](#%E5%AE%89%E8%A3%85)`",
    ],
)
def test_other_links_are_left(text: str) -> None:
    assert shown_markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "!!! 重要通知\n先断电",
        "> [!什么是水泵]\n> 先断电",
        "{% note info 停机 %}\n先断电",
        "!!! a" + " " * 300_000 + "甲",
        "!!! attention please\n先断电",
        "import { ref } from 'vue'\n先断电",
        "甲 :::\n\n`:::tip`\n\n```\n:::tip\n{% if a %}\n```",
        "用 {% if a %} 和 List<String>、<YourName>\n<YourName>",
        "合计\n===\n甲",
        "<Target>System.out</Target>",
    ],
)
def test_what_only_looks_like_a_box_is_left(text: str) -> None:
    assert shown_markdown(text) == text
