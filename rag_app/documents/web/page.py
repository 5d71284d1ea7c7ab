"""Web pages as files: what they show, or the data of which their scripts would make it."""

import re
from collections.abc import Iterator

from rag_app.documents.text import clean, shown
from rag_app.documents.web.html import page_markdown
from rag_app.documents.web.json_values import parsed_json
from rag_app.documents.web.structured import json_lines
from rag_app.errors import DocumentError

_DATA = re.compile(
    r"<script\b[^<>]*\btype\s*=\s*[\"']?(?:application|text)/(?:[\w.+-]*\+)?json\b[^<>]*>(.*?)</script",
    re.IGNORECASE | re.DOTALL,
)
_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)


def read_page(page: str, name: str) -> tuple[str, list[str]]:
    """Return what a page says, and notes.

    One that shows a line at most is read by its data (JSON in scripts), as pages are saved that
    scripts make.

    Raises:
        DocumentError: it shows nothing, and has scripts but no data.
    """
    text = page_markdown(page, of_site=True)
    if "\n" in text or not _SCRIPT.search(page):
        return text, []
    if data := clean("\n".join(_data_lines(page, name))):
        return f"{text}\n\n{data}".strip(), []
    advice = "open it in a browser and save what it shows as PDF"
    if not text:
        raise DocumentError(f"{shown(name)} shows nothing until its scripts run; {advice}")
    return text, [f"scripts that write text were not run; if more is missing, {advice}"]


def _data_lines(page: str, name: str) -> Iterator[str]:
    end = page.lower().rfind("</script") + len("</script")  # beyond it none is closed
    for script in _DATA.finditer(page, 0, end):
        try:
            values, _ = parsed_json(script[1], name)
        except DocumentError:
            continue
        yield from filter(None, json_lines(values))
