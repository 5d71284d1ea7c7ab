"""What stands beside the text on the pages of a site."""

from rag_app.documents.web.html import page_markdown

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


def test_lists_of_links_beside_an_article_are_left_out() -> None:
    headed = f"<div><h3>热门文章</h3><ul>{MENU}</ul></div>"
    page = f"<div>{MENU}</div><div><h1>规程</h1><p>2026-03-01</p>{PROSE}</div>{headed}<p>甲厂</p>"
    text = of_site(page)
    assert text.startswith("# 规程\n\n2026-03-01\n\n水泵")
    assert text.endswith("签名。\n\n甲厂")
    assert "财经" in page_markdown(page)


def test_links_of_an_article_and_its_annexes_are_read() -> None:
    annexes = "".join(f"<li><a href=/{n}.docx>附件{n}</a></li>" for n in range(1, 6))
    heads = "<tr><th>机型</th><th>报告</th></tr>"
    rows = "".join(f"<tr><td><a href=/a>泵{n}</a><td><a href=/b>{n}.0</a></tr>" for n in range(3))
    article = f"<div>{PROSE}<ul>{MENU}</ul></div>"
    text = of_site(f"{article}<ul>{annexes}</ul><table>{heads}{rows}</table>")
    assert "财经" in text
    assert "附件5" in text
    assert "机型: 泵2; 报告: 2.0" in text


def test_days_and_labels_beside_an_article_are_read() -> None:
    day = f"<div>2026-03-01 / <ul>{MENU}</ul></div>"
    labels = f"<dl><dt>栏目</dt><dd><ul>{MENU}</ul></dd></dl>"
    text = of_site(f"{day}{labels}<div>{PROSE}</div>")
    assert text.startswith("2026-03-01 /")
    assert "栏目" in text


def test_a_page_of_links_is_read() -> None:
    assert of_site(f"<p>产品目录。</p><ul>{MENU}</ul>").endswith("- 财经")
