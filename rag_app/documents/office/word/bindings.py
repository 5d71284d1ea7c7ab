"""Content controls of Word that show data of the file (ECMA-376, 17.5.2.6)."""

import re
from contextlib import suppress
from functools import cached_property

from lxml import etree

from rag_app.documents.office.package import Element, Package, tag, value

_PREFIX = re.compile(r"xmlns:(\w+)=['\"]([^'\"]*)['\"]")
_PATH = re.compile(r"(?:/@?\w[\w.-]*(?::\w[\w.-]*)?(?:\[\d{1,6}\])?){1,50}")
"""A path as Word writes it, name by name; others may take forever."""
_LONGEST = 10_000  # characters of data that a control shows: many may show the same
_PROPERTIES = {
    "{6C3C8BC8-F283-45AE-878A-BAB7291924A1}": "docProps/core.xml",
    "{6668398D-A668-4E3E-A5EB-62B293D839F1}": "docProps/app.xml",
}
"""What Word calls the properties of a document."""


class Bindings:
    """The data of a document, which Word puts into its controls of text when it opens it.

    Programs that fill a template write the data only: the text of its controls is still the old.
    """

    def __init__(self, package: Package, part: str) -> None:
        self._package = package
        self._part = part

    def filled(self, root: Element) -> Element:
        """Put the data into the controls that show it; return the part."""
        for control in root.iter(tag("w:sdt")):
            binding = control.find(f"{tag('w:sdtPr')}/{tag('w:dataBinding')}")
            if binding is None or control.find(f"{tag('w:sdtPr')}/{tag('w:text')}") is None:
                continue
            data = self._data(binding)
            texts = list(control.iterfind(f"{tag('w:sdtContent')}//{tag('w:t')}"))
            shown = "".join(text.text or "" for text in texts)
            if 0 < len(data) <= _LONGEST and texts and data.split() != shown.split():
                for text in texts:
                    text.text = ""
                texts[0].text = data
        return root

    def _data(self, binding: Element) -> str:
        """Return the text that a control is bound to, "" where there is none."""
        store = self._stores.get((value(binding, "w:storeItemID") or "").upper())
        path = value(binding, "w:xpath") or ""
        if store is None or not _PATH.fullmatch(path):
            return ""
        names = dict(_PREFIX.findall(value(binding, "w:prefixMappings") or ""))
        with suppress(etree.XPathError):
            return str(store.xpath(f"string({path})", namespaces=names)).strip()
        return ""

    @cached_property
    def _stores(self) -> dict[str, Element]:
        """The data by its ids."""
        stores = {key: self._tree(part) for key, part in _PROPERTIES.items()}
        for part in self._package.targets(self._part).values():
            if "customXml/" in part and part.endswith(".xml"):
                described = self._tree(self._package.related(part, "customXmlProps"))
                attributes = [] if described is None else described.attrib.items()
                found = (item for name, item in attributes if str(name).endswith("itemID"))
                stores[str(next(found, "")).upper()] = self._tree(part)
        return {key: store for key, store in stores.items() if store is not None}

    def _tree(self, part: str) -> Element | None:
        with suppress(etree.XMLSyntaxError):  # it costs only itself
            return self._package.tree(part) if part else None
        return None
