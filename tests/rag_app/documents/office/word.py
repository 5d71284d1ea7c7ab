"""Word documents written as the XML that is in them."""

from collections.abc import Mapping

from tests.rag_app.documents.making import zipped

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_NAMES = (
    f'xmlns:w="{_W}" xmlns:r="{_R}" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"'
)


def root(name: str, content: str) -> str:
    return f"<w:{name} {_NAMES}>{content}</w:{name}>"


def text(*words: str) -> str:
    """A paragraph."""
    return f"<w:p>{''.join(f'<w:r><w:t>{word}</w:t></w:r>' for word in words)}</w:p>"


def listed(word: str, number: int, level: int = 0) -> str:
    """A paragraph of a numbered list."""
    place = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return f"<w:p><w:pPr>{place}</w:pPr><w:r><w:t>{word}</w:t></w:r></w:p>"


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cell(word: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{text(word) if word[:1] != '<' else word}</w:tc>"


def word_file(body: str, parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """A document; ``parts`` are further files of ``word/``, each referred to by its own name."""
    others = dict(parts or {})
    relations = "".join(
        f'<Relationship Id="{name}" Type="{_R}/x" Target="{name}"/>' for name in others
    )
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": (
                f'<Relationships xmlns="{package}"><Relationship Id="a" '
                f'Type="{_R}/officeDocument" Target="word/document.xml"/></Relationships>'
            ),
            "word/_rels/document.xml.rels": (
                f'<Relationships xmlns="{package}">{relations}</Relationships>'
            ),
            "word/document.xml": root("document", f"<w:body>{body}</w:body>"),
            **{f"word/{name}": content for name, content in others.items()},
        }
    )
