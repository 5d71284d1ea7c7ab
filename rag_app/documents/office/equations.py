"""Equations of Office files (OMML) → LaTeX."""

from rag_app.documents.office.package import Element, tag, value

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Stand for braces, which the converter would take for text."""
_COMPOUND = {tag("m:f"), tag("m:sSup"), tag("m:sSub"), tag("m:nary")}
_BOXES = ("borderBox", "box", "phant", "sPre")
_PARTS = ("f", "d", "acc", "bar", "func", "groupChr", "m", "nary", "rad", "eqArr")


def equation_text(item: Element) -> str:
    """Return an equation, or several in a paragraph of their own, as LaTeX between ``$``."""
    from xml.etree import ElementTree as ET

    from lxml import etree
    from markitdown.converter_utils.docx.math.omml import oMath2Latex

    equations = [item] if item.tag == tag("m:oMath") else item.iter(tag("m:oMath"))
    try:
        parts = [
            oMath2Latex(ET.fromstring(etree.tostring(_complete(_set_free(each))))).latex  # noqa: S314
            for each in equations
        ]
    except Exception:  # of a converter that knows most of the format; the characters are there
        parts = ["".join(str(text) for text in item.itertext())]
    return " ".join(f"${_grouped(part)}$" for part in parts)


def _grouped(equation: str) -> str:
    return equation.translate({ord(_OPEN): "{", ord(_CLOSE): "}"}).strip()


def _complete(equation: Element) -> Element:
    """Return an equation with the properties that may be left out; the converter needs them."""
    from lxml import etree

    for name in _PARTS:
        for part in equation.iter(tag(f"m:{name}")):
            if part.find(tag(f"m:{name}Pr")) is None:
                part.insert(0, etree.Element(tag(f"m:{name}Pr")))
    for properties in equation.iter(tag("m:naryPr")):
        if properties.find(tag("m:chr")) is None:
            etree.SubElement(properties, tag("m:chr")).set(tag("m:val"), "∫")
    for name in ("sSup", "sSub", "sSubSup"):
        for base in equation.iterfind(f".//{tag(f'm:{name}')}/{tag('m:e')}"):
            if any(item.tag in _COMPOUND for item in base):  # else the index is of its last part
                base.insert(0, _run(_OPEN))
                base.append(_run(_CLOSE))
    return equation


def _set_free(equation: Element) -> Element:
    """Return an equation whose frames and indices before a part are what the converter reads."""
    for box in list(equation.iter(*(tag(f"m:{name}") for name in _BOXES))):
        _set_free_box(box)
    return equation


def _run(text: str) -> Element:
    from lxml import etree

    run = etree.Element(tag("m:r"))
    etree.SubElement(run, tag("m:t")).text = text
    return run


def _set_free_box(box: Element) -> None:
    if box.tag == tag("m:sPre"):  # indices of nothing, not of what is before them
        box.insert(0, _run(_OPEN + _CLOSE))
    hidden = box.find(f"{tag('m:phantPr')}/{tag('m:show')}")
    box.tag = tag("m:box")
    for item in list(box):
        if str(item.tag).endswith("Pr") or (hidden is not None and value(hidden, "m:val") == "0"):
            box.remove(item)
