"""Mind maps and outlines (XMind, FreeMind, OPML) → Markdown: headings and nested lists."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from rag_app.documents.text import HAN_CHARACTER
from rag_app.documents.web.html import page_markdown
from rag_app.documents.web.markdown_source import shown_markdown
from rag_app.settings import CHUNK_SIZE

if TYPE_CHECKING:
    from lxml.etree import _Element

_LOWEST = 6  # the lowest level of a heading of Markdown
_TOPICS = {"opml": "outline", "map": "node"}  # root → topic, in OPML and in FreeMind
_NOTES = frozenset({"_note", "note", "description"})
"""Attributes of OPML that hold words beside the title; others do where they are Chinese."""


class Topic(NamedTuple):
    """A topic of a mind map or outline."""

    title: str
    notes: list[str]
    topics: list["Topic"]  # those below it


def outline_markdown(topic: Topic, level: int = 1) -> str:
    """Return a topic under a heading; of what is longer than a passage, the topics have them too.

    Example:
        >>> print(outline_markdown(Topic("水厂", [], [Topic("水泵", ["两台"], [])])))
        # 水厂
        <BLANKLINE>
        - 水泵
          两台
    """
    parts = [f"{'#' * level} {topic.title}" if topic.title else "", *topic.notes]
    deep = any(below.topics for below in topic.topics)
    if deep and level < _LOWEST and _length(topic) > CHUNK_SIZE:
        parts += [outline_markdown(below, level + 1) for below in topic.topics]
    else:
        parts.append("\n".join(line for below in topic.topics for line in _items(below, "")))
    return "\n\n".join(filter(None, parts))


def _items(topic: Topic, indent: str) -> Iterator[str]:
    notes = [line for note in topic.notes for line in note.split("\n") if line.strip()]
    first, *more = [topic.title, *notes] if topic.title else [*notes, ""]
    if first:
        yield f"{indent}- {first}"
        indent += "  "
        yield from (indent + line.strip() for line in more if line)
    for below in topic.topics:
        yield from _items(below, indent)


def _length(topic: Topic) -> int:
    return len(topic.title) + sum(map(len, topic.notes)) + sum(map(_length, topic.topics))


def sheets_markdown(maps: list[tuple[str, Topic]]) -> str:
    """Return maps, each under the name of its sheet where there are several."""
    named = [Topic(title, [], [topic]) if len(maps) > 1 else topic for title, topic in maps]
    return "\n\n".join(map(outline_markdown, named))


def xml_outline(root: "_Element") -> str | None:
    """Return the outline of an XML file, None if it is none."""
    kind = str(root.tag).rpartition("}")[2]
    if kind == "xmap-content":
        tops = [
            (sheet, top) for sheet in root.iter("{*}sheet") for top in sheet.iterfind("{*}topic")
        ]
        return sheets_markdown(
            [(one_line(sheet.findtext("{*}title")), _xml_topic(top)) for sheet, top in tops]
        )
    if (name := _TOPICS.get(kind)) is None:
        return None
    inside = set(root.iterfind(f".//{name}/{name}"))
    topics = [_xml_topic(each) for each in root.iterfind(f".//{name}") if each not in inside]
    if kind == "opml" and topics:
        topics = [Topic(one_line(root.findtext("head/title")), [], topics)]
    return "\n\n".join(map(outline_markdown, topics)) or None


def _xml_topic(element: "_Element") -> Topic:
    said = {key.lower(): shown_markdown(str(text)) for key, text in element.attrib.items()}
    title = element.findtext("{*}title") or said.pop("text", "") or said.pop("title", "")
    notes = [text for key, text in said.items() if key in _NOTES or HAN_CHARACTER.search(text)]
    notes += [element.findtext("{*}notes/{*}plain") or "", element.findtext("hook/text") or ""]
    notes += [f"{each.get('NAME')}: {each.get('VALUE')}" for each in element.iterfind("attribute")]
    for path in ("{*}labels/{*}label", "{*}boundaries/{*}boundary/{*}title"):
        notes += [each.text or "" for each in element.iterfind(path)]
    for rich in element.iterfind("richcontent"):
        text = page_markdown(_markup(rich))
        if rich.get("TYPE") == "NODE":
            title = title or text
        else:
            notes.append(text)
    inner = element.iterfind("{*}children/{*}topics/{*}topic")
    below = [*element.iterfind("node"), *element.iterfind("outline"), *inner]
    different = dict.fromkeys(note.strip() for note in notes)
    return Topic(
        one_line(title),
        [note for note in different if note and note != title],
        [_xml_topic(each) for each in below],
    )


def _markup(element: "_Element") -> str:
    from lxml import etree

    return "".join(etree.tostring(child, encoding="unicode", with_tail=False) for child in element)


def one_line(text: str | None) -> str:
    """Return a title without the ends of its lines."""
    return " ".join((text or "").split())
