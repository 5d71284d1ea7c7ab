"""Documents that point elsewhere: nothing is fetched, from the network or from the disk."""

import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rag_app.documents.loaders import FileLoader
from tests.http_server import running, url_of

TEXT = "正文有足够多的字。"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PICTURE = "http://schemas.openxmlformats.org/drawingml/2006/picture"
_INLINE = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server, and the paths that it was asked for."""
    asked: list[str] = []

    class Notes(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with running(Notes) as server:
        yield url_of(server), asked


def packed(**parts: str) -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return data.getvalue()


def docx(image: str) -> bytes:
    """A Word file with a picture that is linked, not held."""
    drawing = (
        f'<w:drawing><wp:inline xmlns:wp="{_INLINE}"><a:graphic xmlns:a="{_A}"><a:graphicData>'
        f'<pic:pic xmlns:pic="{_PICTURE}"><pic:blipFill><a:blip xmlns:r="{_R}" r:link="rId1"/>'
        "</pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing>"
    )
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    return packed(
        **{
            "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body><w:p><w:r><w:t>{TEXT}</w:t>'
            f"</w:r></w:p><w:p><w:r>{drawing}</w:r></w:p></w:body></w:document>",
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{relations}"><Relationship '
            f'Id="rId1" Type="{_R}/image" Target="{image}" TargetMode="External"/></Relationships>',
            "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="rId1" '
            f'Type="{_R}/officeDocument" Target="word/document.xml"/></Relationships>',
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
            'content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        }
    )


def epub(url: str) -> bytes:
    return packed(
        **{
            "META-INF/container.xml": f'<!DOCTYPE container SYSTEM "{url}/dtd"><container version='
            '"1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
            'full-path="book.opf"/></rootfiles></container>',
            "book.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest>'
            '<item id="a" href="a.xhtml"/><item id="b" href="../../../../etc/passwd"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
            "a.xhtml": f'<html><body><p>{TEXT}</p><img src="{url}/image"/></body></html>',
        }
    )


def test_nothing_is_fetched(elsewhere: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = elsewhere
    secret = tmp_path / "secret.png"
    secret.write_text("geheim")
    page = f'<html><link rel="stylesheet" href="{url}/css"><iframe src="{url}/frame"></iframe>'
    files = {
        "网络.docx": docx(f"{url}/docx.png"),
        "文件.docx": docx(secret.as_uri()),
        "路径.docx": docx(str(secret)),
        "书.epub": epub(url),
        "页.html": f'{page}<img src="{url}/image"><p>{TEXT}</p></html>'.encode(),
        "实体.xhtml": f'<!DOCTYPE html SYSTEM "{url}/dtd"><html><p>{TEXT}</p></html>'.encode(),
    }
    for name, data in files.items():
        file = tmp_path / name
        file.write_bytes(data)
        (document,) = FileLoader(file).load()
        assert TEXT in document.page_content, name
        assert "geheim" not in document.page_content
        assert "root:" not in document.page_content
    assert asked == []
