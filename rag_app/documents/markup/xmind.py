"""Mind maps of XMind → Markdown: their outline."""

import json
import zipfile
from io import BytesIO
from typing import Any

from rag_app.documents.archive import check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.markup.outlines import Topic, one_line, sheets_markdown
from rag_app.documents.text import clean, shown
from rag_app.documents.web.xml_text import read_xml
from rag_app.errors import DocumentError


def read_xmind(data: bytes, name: str) -> ExtractedText:
    """Return the maps of an XMind file, of version 8 or later.

    Raises:
        DocumentError: it is damaged or has a password.
    """
    check_archive(data, name)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        parts = {path: archive.read(path) for path in archive.namelist() if "/" not in path
                 or path.startswith("META-INF/")}  # fmt: skip
    if any(b"encryption-data" in part for path, part in parts.items() if "manifest" in path):
        raise DocumentError(f"{shown(name)} needs a password; save a copy without one")
    if "content.json" not in parts:
        return read_xml(parts["content.xml"], name)
    sheets = json.loads(parts["content.json"])
    maps = [(one_line(sheet.get("title")), _json_topic(sheet["rootTopic"])) for sheet in sheets]
    return ExtractedText(clean(sheets_markdown(maps)))


def _json_topic(topic: dict[str, Any]) -> Topic:
    note = ((topic.get("notes") or {}).get("plain") or {}).get("content") or ""
    kinds = (topic.get("children") or {}).values()
    below = [_json_topic(each) for kind in kinds for each in kind]
    groups = (each.get("title") for each in topic.get("boundaries") or [])
    beside = [note.strip(), *(topic.get("labels") or []), *groups]
    return Topic(one_line(topic.get("title")), list(filter(None, beside)), below)
