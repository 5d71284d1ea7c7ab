"""The visible part of a page: with the content that a click opens, without ways to other pages.

Left out is what the page's own styles hide where no click and no script shows it: ``hidden``,
``aria-hidden``, ``display: none``, no size, and text in the colour of what is behind it.
"""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

_NOISE = {
    *("script", "style", "noscript", "template", "svg", "iframe", "object"),
    *("nav", "select", "rt", "rp", "rtc", "datalist"),
}
_NOISE_ROLES = {"navigation", "contentinfo"}
_FILLED_IN = {"text", "number", "date", "month", "time", "datetime-local", "tel", "email", "url"}
"""Fields of a form whose value a reader sees."""
_WITH_TICKS = ["form", "fieldset", "table", "p", "label"]
_CONSENT = re.compile(
    r"(?:cookie|consent|gdpr)s?[-_]?(?:banner|bar|notice|popup|modal|dialog|overlay|box|message|law)",
    re.IGNORECASE,
)
_OPENABLE = re.compile(
    r"(?:^|[-_ ])(?:tab(?:s|panel|pane|content|item)?|panel|pane|collaps(?:e|ed|ible)|accordion|faq"
    r"|question|answer|expand(?:er|able)?|spoiler)\d*(?:$|[-_ ])",
    re.IGNORECASE,
)
"""In the id or class of what is hidden until a click shows it."""
_TARGETS = (
    *("aria-controls", "commandfor", "popovertarget"),
    *("data-bs-target", "data-target", "data-tab", "data-panel"),
)
_IN_SCRIPT = re.compile(r"['\"]#?([\w.:-]+)['\"]")
_PERMALINK = re.compile(r"\s*[¶§#🔗]\s*")
"""The text of a link that stands beside a heading to be copied."""
_HEADS = re.compile(r"h[1-6]|dt")
_LINE_NUMBERS = re.compile(r"\b(?:line(?:no|nos|numbers)|gutter|blob-num|hljs-ln-numbers)\b")
"""In the class of a cell that counts the lines of the code beside it."""
_MOST_TABLISTS = 100  # rows of tabs that are looked at where nothing names their panels
_COMMAND = re.compile(r"[^\W\d_a-zA-Z]{0,4}|[A-Za-z]+(?: [A-Za-z]+)?|\W*")
"""The text of a button that does something rather than say something: 提交, Sign in."""


_NEVER = re.compile(
    r"(?:left|top|right|text-indent|margin-left|margin-top):-\d{4,}|font-size:0(?:px|pt|em|%)?(?:;|$)"
)
"""In a style without spaces: far off the page, or of no size."""
_UNTIL_SHOWN = re.compile(r"display:none|visibility:hidden|opacity:0(?:\.0*)?(?:;|$|!)")
"""What scripts of a page may show later, as its menus or while it appears."""
_COLOUR = re.compile(r"(?:^|;)color:([^;!]+)")
_BACKGROUND = re.compile(r"(?:^|;)background(?:-color)?:([^;!]+)")
_WHITE = re.compile(r"white|#(?:f{3}|f{6})|rgba?\(255,255,255(?:,1)?\)")
_STYLED = ["style", "link"]
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_AT_RULE = re.compile(
    r"@[^{};]{0,300}(?:;|\{(?:[^{}]{0,5000}\{[^{}]{0,5000}\}){0,500}[^{}]{0,5000}\})"
)
"""Rules that hold only on some screens, and what is not a rule."""
_RULE = re.compile(r"([^{}]{1,2000})\{([^{}]{0,5000})\}")
_SIMPLE = re.compile(r"(?:[a-z][a-z0-9]*)?[.#][\w-]+")
_NAME = re.compile(r"[.#][\w-]+")
_DISPLAY = re.compile(r"(?:^|;)(?:display|visibility):([a-z-]+)")
_NOT_SHOWN = {"none", "hidden", "collapse"}
_MOST_CSS = 500_000  # characters


def remove_unseen(soup: BeautifulSoup) -> None:
    """Take out of a page what a reader never sees, or only uses: menus, buttons, banners."""
    _write_fields(soup)
    for drawing in soup.find_all("svg"):
        words = [text.get_text(" ", strip=True) for text in drawing.find_all("text")]
        if any(words):
            drawing.name, drawing.string = "p", " ".join(words)
    for shadow in soup.find_all("template", shadowrootmode=True):  # it is shown where it stands
        shadow.name = "div"
    reachable = set(_reachable(soup))
    scripted = soup.find("script") is not None
    by_rule = set() if scripted else _hidden_selectors(soup)
    _label_panels(soup)
    for tag in soup.find_all(
        lambda tag: (
            _is_noise(tag, reachable)
            or _is_unseen(tag, reachable, scripted=scripted)
            or (_matches(tag, by_rule) and not _opens(tag, reachable))
        )
    ):
        if not tag.decomposed:  # with what it stood in
            tag.decompose()


def _write_fields(soup: BeautifulSoup) -> None:
    """Put what is filled into a form where its fields stand: text, choices and ticks."""
    for choice in soup.find_all("select"):
        chosen = [option.get_text(" ", strip=True) for option in choice.find_all(selected=True)]
        choice.replace_with(f" {'、'.join(chosen)} ")
    for field in soup.find_all("input"):
        kind = str(field.get("type") or "text").lower()
        if kind in {"checkbox", "radio"}:
            # Those of tabs that styles alone open stand anywhere, but can be clicked.
            if field.find_parent(_WITH_TICKS) is None and not field.has_attr("disabled"):
                continue
            field.replace_with("☑" if field.has_attr("checked") else "☐")
        elif kind in _FILLED_IN and field.get("value"):
            field.replace_with(f" {field['value']} ")
    for box in soup.select("[role=checkbox]:not(input)"):
        box.insert(0, "☑" if box.get("aria-checked") == "true" else "☐")
    for box in soup.select(".checkbox-on, .checkbox-off"):  # of Notion
        box.insert(0, "☑" if "checkbox-on" in box.get_attribute_list("class") else "☐")


def _reachable(soup: BeautifulSoup) -> Iterator[str]:
    """Yield the ids of what a click opens."""
    for tag in soup.find_all(True):
        for name in _TARGETS:
            yield from (value.lstrip("#.") for value in str(tag.get(name) or "").split())
        if tag.has_attr("onclick"):
            yield from _IN_SCRIPT.findall(str(tag["onclick"])[:2000])
        href = str(tag.get("href") or "")
        if tag.name == "a" and href.startswith("#") and len(href) > 1:
            yield href[1:]


def _label_panels(soup: BeautifulSoup) -> None:
    """Put the name of each tab above its panel: the row of tabs says it far from there."""
    tabs = soup.find_all(role="tab")
    if not tabs:
        return
    ids = {str(tag["id"]): tag for tag in soup.find_all(id=True)}
    panels = soup.find_all(role="tabpanel")
    named = {str(panel.get("aria-labelledby") or ""): panel for panel in panels}
    in_order = _panels_in_order(soup)
    for tab in tabs:
        if tab.decomposed:  # it was in another tab
            continue
        targets = [str(tab.get(name) or "").lstrip("#") for name in (*_TARGETS, "href")]
        panel = next((ids[target] for target in targets if target in ids), None)
        panel = panel or named.get(str(tab.get("id"))) or in_order.get(id(tab))
        text = tab.get_text(" ", strip=True)
        if panel is None or not text or any(parent is panel for parent in tab.parents):
            continue
        label = soup.new_tag("p")
        label.string = text
        panel.insert(0, label)
        tab.decompose()


def _panels_in_order(soup: BeautifulSoup) -> dict[int, Tag]:
    """Return the panels of tabs, by `id` of these, where each row of tabs has as many beside it."""
    found: dict[int, Tag] = {}
    for row in soup.find_all(role="tablist", limit=_MOST_TABLISTS):
        tabs = row.find_all(role="tab")
        panels = row.parent.find_all(role="tabpanel") if row.parent else []
        ids = set(map(id, panels))
        panels = [panel for panel in panels if id(panel.find_parent(role="tabpanel")) not in ids]
        if len(tabs) == len(panels):
            found |= {id(tab): panel for tab, panel in zip(tabs, panels, strict=True)}
    return found


def _is_noise(tag: Tag, reachable: set[str]) -> bool:
    if tag.name in _NOISE or tag.get("role") in _NOISE_ROLES:
        return True
    if _CONSENT.search(_names(tag)) or (tag.name == "dialog" and "cookie" in _names(tag).lower()):
        return True
    if tag.name == "button":
        return _is_command(tag)
    if _is_aid(tag):
        return True
    hidden = "hidden" in tag.attrs or tag.get("aria-hidden") == "true"
    closed = tag.name == "dialog" and "open" not in tag.attrs
    return (hidden or closed) and not _opens(tag, reachable)


def _is_aid(tag: Tag) -> bool:
    """Return whether a tag is beside what is read: the link of a heading, the numbers of lines."""
    if tag.name == "td":
        numbers = _LINE_NUMBERS.search(_names(tag)) is not None
        return numbers and not any(map(str.isalpha, tag.get_text()))
    if tag.name != "a" or not _PERMALINK.fullmatch(tag.get_text()):
        return False
    sign = tag.get_text(strip=True)
    if sign == "§" and str(tag.next_sibling or "").lstrip()[:1].isdecimal():  # § 12
        return False
    head = tag.find_parent(_HEADS)
    beside = head is not None and head.get_text(strip=True) != sign
    return beside or str(tag.get("href") or "").startswith("#")


def _is_unseen(tag: Tag, reachable: set[str], *, scripted: bool) -> bool:
    """Return whether a tag's own style hides it; of a page with scripts only where for good."""
    style = "".join(str(tag.get("style") or "").lower().split())
    if tag.name == "font" and tag.get("color"):
        style += f";color:{str(tag['color']).lower()}"
    if not style:
        return False
    if _NEVER.search(style):
        return tag.find(style=re.compile(r"font-size|left|top|text-indent")) is None
    colour, background = _COLOUR.search(style), _BACKGROUND.search(style)
    if colour:
        front = _colour(colour[1])
        if front == ("white" if background is None else _colour(background[1])):
            return background is not None or _is_on_white(tag)
    return not scripted and bool(_UNTIL_SHOWN.search(style)) and not _opens(tag, reachable)


def _colour(written: str) -> str:
    return "white" if _WHITE.fullmatch(written) else written


def _is_on_white(tag: Tag) -> bool:
    """Return whether nothing says that there is a colour behind a tag."""
    around = (tag, *tag.parents)
    own = any(
        "background" in str(each.get("style") or "")
        or each.get("bgcolor")
        or each.get("background")
        for each in around
    )
    return not own and around[-1].find(_STYLED) is None


def _opens(tag: Tag, reachable: set[str]) -> bool:
    """Return whether a reader can make what is hidden appear."""
    return (
        tag.get("role") == "tabpanel"
        or tag.get("hidden") == "until-found"
        or str(tag.get("id") or "") in reachable
        or (tag.name not in {"i", "span"} and bool(_OPENABLE.search(_names(tag))))
    )


def _is_command(button: Tag) -> bool:
    toggles = any(button.get(name) for name in ("aria-expanded", *_TARGETS))
    toggles = toggles or bool(_OPENABLE.search(_names(button)))
    if (
        toggles
        or button.get("role") == "tab"
        or button.find_parent(re.compile(r"h[1-6]|summary|dt"))
    ):
        return False
    text = button.get_text(" ", strip=True)
    return button.get("type") in {"submit", "reset"} or bool(_COMMAND.fullmatch(text))


def _names(tag: Tag) -> str:
    """Return the id and the classes of a tag."""
    return " ".join([str(tag.get("id") or ""), *map(str, tag.get_attribute_list("class"))])


def _hidden_selectors(soup: BeautifulSoup) -> set[str]:
    """Return the selectors of one class or id that a page hides, and nothing in it shows.

    Example:
        >>> rules = ".old, .tab {display: none} #a:checked ~ .tab {display: block}"
        >>> _hidden_selectors(BeautifulSoup(f"<style>{rules}</style>", "html.parser"))
        {'.old'}
    """
    sheets = (sheet for sheet in soup.find_all("style") if "print" not in str(sheet.get("media")))
    css = "\n".join(sheet.get_text() for sheet in sheets)[:_MOST_CSS]
    hidden: set[str] = set()
    opened: set[str] = set()
    for selectors, body in _RULE.findall(_AT_RULE.sub("", _COMMENT.sub("", css))):
        said = _DISPLAY.findall("".join(body.lower().split()))
        if not said:
            continue
        for selector in map(str.strip, selectors.split(",")):
            if said[-1] not in _NOT_SHOWN:
                opened |= {*_NAME.findall(selector), selector}
            elif _SIMPLE.fullmatch(selector):
                hidden.add(selector)
                opened.discard(selector)
    return {each for each in hidden if each not in opened and _NAME.findall(each)[0] not in opened}


def _matches(tag: Tag, selectors: set[str]) -> bool:
    """Return whether one of the selectors means a tag."""
    if not selectors:
        return False
    names = [f".{name}" for name in map(str, tag.get_attribute_list("class"))]
    names += [f"#{tag['id']}"] if tag.get("id") else []
    return any(name in selectors or f"{tag.name}{name}" in selectors for name in names)
