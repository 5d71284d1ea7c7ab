"""Content controls of Word that show data of the file (ECMA-376, 17.5.2.6)."""

import re
from contextlib import suppress
from functools import cached_property

from lxml import etree

from rag_app.documents.office.package import Element, Package, tag, value

_PREFIX = re.compile(r"xmlns:(\w+)=['\"]([^'\"]*)['\"]")
_PATH = re.compile(
    r"(?:/@?[\w:.-]+(?:\(\))?(?:\[(?:\d{1,6}|@[\w:.-]+\s?=\s?(?:'[^']*'|\"[^\"]*\"))\])?){1,50}"
)
"""A path as Word writes it, step by step; others may take forever."""
_LONGEST = 10_000
"""Characters of data that a control shows: many may show the same."""
_PROPERTIES = {
    "{6C3C8BC8-F283-45AE-878A-BAB7291924A1}": "docProps/core.xml",
    "{6668398D-A668-4E3E-A5EB-62B293D839F1}": "docProps/app.xml",
}
"""What Word calls the properties of a document."""
_PLAIN = frozenset(map(tag, ("w:text", "w:comboBox", "w:dropDownList")))
"""Controls that show text as the data holds it, or the name of a value."""


class Bindings:
    """The data of a document, which Word puts into its controls when it opens it."""

    def __init__(self, package: Package, part: str) -> None:
        self._package = package
        self._part = part

    def filled(self, root: Element) -> Element:
        """Put the data into the controls that show it; return the part."""
        for control in list(root.iter(tag("w:sdt"))):
            properties, content = (control.find(tag(name)) for name in ("w:sdtPr", "w:sdtContent"))
            if properties is None or content is None or _PLAIN.isdisjoint(_tags(properties)):
                continue
            binding = properties.find(tag("w:dataBinding"))
            shown = "" if binding is None else _named(properties, self._data(binding))
            if 0 < len(shown) <= _LONGEST and shown != "".join(content.itertext(tag("w:t"))):
                _fill(content, shown)
        return root

    def _data(self, binding: Element) -> str:
        """Return the text that a control is bound to, "" where there is none."""
        store = self._stores.get((value(binding, "w:storeItemID") or "").upper())
        names = dict(_PREFIX.findall(value(binding, "w:prefixMappings") or ""))
        with suppress(etree.XPathError):
            path = value(binding, "w:xpath") or ""
            if store is None or not _PATH.fullmatch(path):
                return ""
            found = store.xpath(path, namespaces=names)
            first = found[0] if isinstance(found, list) and found else ""
            return str("".join(first.itertext()) if isinstance(first, Element) else first).strip()
        return ""

    @cached_property
    def _stores(self) -> dict[str, Element]:
        """The data by its ids."""
        stores = {key: self._tree(part) for key, part in _PROPERTIES.items()}
        for part in self._package.targets(self._part).values():
            if "customXml/" in part and part.endswith(".xml"):
                described = self._tree(self._package.related(part, "customXmlProps"))
                key = "" if described is None else str(described.get(_item_id(described)))
                stores[key.upper()] = self._tree(part)
        return {key: store for key, store in stores.items() if store is not None}

    def _tree(self, part: str) -> Element | None:
        with suppress(etree.XMLSyntaxError):  # it costs only itself
            return self._package.tree(part) if part else None
        return None


def _item_id(described: Element) -> str:
    return next((name for name in map(str, described.attrib) if name.endswith("itemID")), "")


def _tags(element: Element) -> set[str]:
    return {str(item.tag) for item in element}


def _named(properties: Element, data: str) -> str:
    """Return data as a control shows it: by the name that its list gives a value."""
    entries = properties.iter(tag("w:listItem"))
    names = {value(entry, "w:value"): value(entry, "w:displayText") for entry in entries}
    return names.get(data) or data


def _fill(content: Element, shown: str) -> None:
    """Put a text in the place of all text of a control."""
    texts = list(content.iter(tag("w:t")))
    if not texts:
        return
    for text in texts[1:]:
        text.text = ""
    texts[0].text = shown
