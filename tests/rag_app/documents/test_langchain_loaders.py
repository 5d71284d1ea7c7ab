import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from rag_app.documents.langchain_loaders import load_with
from rag_app.errors import DocumentError

MODULE = """
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

class Lines(BaseLoader):
    def __init__(self, path, start=1):
        self.path, self.start = path, start
    def lazy_load(self):
        with open(self.path, encoding="utf-8") as file:
            for number, line in enumerate(file, self.start):
                yield Document(page_content=line, metadata={"line": number})

NotALoader = dict
"""


@pytest.fixture
def module(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (home / "own_loaders.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(home)
    yield "own_loaders"
    sys.modules.pop("own_loaders", None)


def test_a_loader_of_any_package(module: str, home: Path) -> None:
    (home / "诗.txt").write_bytes("床前\x00明月光\r\n疑是地上霜".encode())
    documents = load_with(f"{module}:Lines", "诗.txt", start=5)
    assert [document.page_content for document in documents] == ["床前明月光\n", "疑是地上霜"]
    assert [document.metadata["line"] for document in documents] == [5, 6]
    assert documents[0].metadata["source"] == str(home / "诗.txt")


def test_what_goes_wrong_is_one_line(module: str) -> None:
    for name, message in (
        (f"{module}:Lines", r"own_loaders:Lines can't load gone.txt \(FileNotFoundError"),
        (f"{module}:Missing", "there is no loader own_loaders:Missing"),
        (f"{module}:NotALoader", "is not a LangChain document loader"),
        ("no_such_package.x:Loader", "needs the package no_such_package, not installed"),
        ("..:Loader", "there is no loader"),
    ):
        with pytest.raises(DocumentError, match=message) as caught:
            load_with(name, "gone.txt")
        assert "\n" not in str(caught.value)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks the import whether or not the package is installed.
    for name in [name for name in sys.modules if name.startswith("langchain_community")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(), *sys.meta_path])
    with pytest.raises(DocumentError, match=r"pip install 'rag-app\[community\]'"):
        load_with("TextLoader", "x.txt")


class _Missing:
    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "langchain_community":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_loaders_are_langchain_loaders() -> None:
    from rag_app.documents.loaders import FileLoader

    assert issubclass(FileLoader, BaseLoader)
    Path("a.txt").write_bytes(b"x")
    assert isinstance(next(FileLoader("a.txt").lazy_load()), Document)
