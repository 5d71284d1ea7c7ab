"""What stands beside the text on the pages of a site."""

import pytest

from rag_app.documents.web.html import page_markdown

NOTICES = "".join(f"<li><a href=/{n}>关于第{n}项工作的通知</a></li>" for n in range(6))
PROSE = "<p>水泵每周检查一次，发现漏水立即上报，并在记录上签名。</p>" * 10
CHANNELS = ("首页", "新闻", "体育", "娱乐", "科技", "财经")
MENU = "".join(f"<li><a href=/{name}>{name}</a></li>" for name in CHANNELS)


def of_site(page: str) -> str:
    return page_markdown(page, of_site=True)


def test_an_aside_that_is_the_text_is_read() -> None:
    beside = "<p>联系我们。</p>"
    assert "水泵" in of_site(f"<aside>{PROSE}</aside>{beside}")
    assert "水泵" in of_site(f"<article><h1>规程</h1><footer>{PROSE}</footer></article>")
    page = f"{PROSE}<aside>{beside}</aside><footer>{beside}</footer>"
    assert "联系" not in of_site(page)
    assert page_markdown(page).count("联系") == 2  # a mail or a book has none of a site's


def test_whom_a_page_quotes_is_read() -> None:
    page = "<blockquote><p>安全第一。</p><footer>—— 厂长</footer></blockquote><footer>电话</footer>"
    assert of_site(page) == "> 安全第一。\n>\n> —— 厂长"


def test_lists_of_links_above_an_article_are_left_out() -> None:
    top = f"<div><p>2026-03-01</p><div><ul>{MENU}</ul></div></div>"
    page = f"{top}<div><h1>规程</h1>{PROSE}</div>"
    assert of_site(page).startswith("2026-03-01\n\n# 规程\n\n水泵")
    assert "财经" in page_markdown(page)
    assert "财经" in of_site(f"{top}<h1>频道</h1><p>本站有六个频道。</p>")


@pytest.mark.parametrize(
    "page",
    [
        f"<div><h1>手册</h1>{PROSE}</div><div><h2>目录</h2><ul>{MENU}</ul></div>",
        f"<h1>产品</h1><div>{MENU}</div><div>{PROSE}</div>",
        f"<div>{MENU}</div><div>{PROSE}</div>",
    ],
)
def test_links_that_a_page_may_be_for_are_read(page: str) -> None:
    assert "财经" in of_site(page)


def test_contents_and_whom_to_call_above_a_title_are_read() -> None:
    contents = "".join(f"<p><a href='#_Toc{n}'>第{n}章</a></p>" for n in range(1, 7))
    call = f"<div><a href='tel:88886666'>88886666</a><ul>{MENU}</ul></div>"
    text = of_site(f"<div><p>手册</p>{contents}</div>{call}<div><h1>规程</h1>{PROSE}</div>")
    assert text.startswith("手册\n\n")
    assert "第6章" in text
    assert "88886666" in text


def test_annexes_days_and_labels_above_a_title_are_read() -> None:
    annexes = "".join(f"<li><a href=/{n}.docx>附件{n}</a></li>" for n in range(1, 7))
    heads = "<tr><th>机型</th><th>报告</th></tr>"
    rows = "".join(f"<tr><td><a href=/a>泵{n}</a><td><a href=/b>{n}.0</a></tr>" for n in range(3))
    labels = f"<dl><dt>栏目</dt><dd><ul>{MENU}</ul></dd></dl>"
    day = f"<div>2026-03-02 / <ul>{MENU}</ul></div>"
    above = f"<ul>{annexes}</ul><table>{heads}{rows}</table>{labels}{day}"
    text = of_site(f"{above}<div><h1>规程</h1>{PROSE}</div>")
    assert "附件5" in text
    assert "机型: 泵2; 报告: 2.0" in text
    assert "栏目" in text
    assert "财经" in text.partition("栏目")[2].partition("2026-03-02 /")[0]
    assert "2026-03-02 /" in text


def test_titles_of_other_pages_above_an_article_are_read() -> None:
    assert "第5项" in of_site(f"<ul>{NOTICES}</ul><div><h1>规程</h1>{PROSE}</div>")
