import os
from pathlib import Path

import pytest

from rag_app.documents.formats import SUFFIXES
from rag_app.documents.loaders import FileLoader
from rag_app.documents.sources import documents_within, search_sources
from rag_app.errors import DocumentError


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("甲", encoding="utf-8")


def found(folder: Path, *paths: str) -> list[str]:
    return [os.path.relpath(path, folder) for path in search_sources(paths).files]


@pytest.fixture
def docs(home: Path) -> Path:
    """The current folder, with documents and what is none."""
    write(home, "docs/b.txt", "docs/a.MD", "docs/子 目录/丙.html", "docs/子 目录/deep/d.pdf")
    write(home, "docs/image.gif", "docs/data.json", "docs/.hidden.txt", "docs/.git/x.txt")
    return home


def test_a_folder_is_searched_through(docs: Path) -> None:
    assert found(docs, "docs") == [
        "docs/a.MD",
        "docs/b.txt",
        "docs/子 目录/deep/d.pdf",
        "docs/子 目录/丙.html",
    ]
    assert found(docs, "docs/", str(docs / "docs")) == found(docs, "docs")


def test_files_keep_their_order_and_come_once(docs: Path) -> None:
    (docs / "link.txt").symlink_to("docs/b.txt")
    paths = [
        "docs/image.gif",
        "docs/b.txt",
        "./docs/../docs/b.txt",
        "link.txt",
        "docs/a.MD",
        "-",
        "-",
    ]
    assert found(docs, *paths) == ["docs/image.gif", "docs/b.txt", "docs/a.MD", "-"]
    assert search_sources([]).files == []


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("docs/*", ["docs/a.MD", "docs/b.txt"]),
        ("docs/*.txt", ["docs/b.txt"]),
        ("docs/*.json", ["docs/data.json"]),
        ("docs/[ab].*", ["docs/a.MD", "docs/b.txt"]),
        ("docs/?.txt", ["docs/b.txt"]),
        ("docs/**/*.html", ["docs/子 目录/丙.html"]),
        ("**/*.txt", ["docs/b.txt"]),
        ("docs/**", ["docs/a.MD", "docs/b.txt", "docs/子 目录/deep/d.pdf", "docs/子 目录/丙.html"]),
        ("d*/子*/*", ["docs/子 目录/丙.html"]),
        ("docs/.git/*", ["docs/.git/x.txt"]),
        ("./docs/../docs/*.txt", ["docs/b.txt"]),
    ],
)
def test_globs_when_the_shell_leaves_them(docs: Path, pattern: str, names: list[str]) -> None:
    assert found(docs, pattern) == names
    assert found(docs, str(docs / pattern)) == names


def test_a_name_with_wildcards_is_a_name_first(docs: Path) -> None:
    write(docs, "[1].txt", "1.txt")
    assert found(docs, "[1].txt") == ["[1].txt"]


def test_home_folder(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(docs))
    assert found(docs, "~/docs/b.txt") == ["docs/b.txt"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("docs/missing.txt", "docs/missing.txt does not exist; check the path"),
        ("docs/b.text", r"docs/b.text does not exist; did you mean docs/b.txt\?"),
        ("docs/b.txt/x", "docs/b.txt/x does not exist"),
        ("docs/*.docx", "nothing matches docs/.*; these are read: .*.csv .doc .docm .docx"),
        ("nowhere/**", "nothing matches nowhere/"),
        ("empty", r"the folder empty holds no document; these are read: .*.csv .*\.xlsx"),
        ("broken.txt", "broken.txt is a link that leads nowhere"),
        ("circle.txt", "circle.txt is a link that leads nowhere"),
        ("", "'' does not exist"),
        ("a\0b", r"a\\x00b does not exist"),
        ("两行\n名字.txt", r"两行\\n名字.txt does not exist"),
        ("字" * 100, "can't be read|does not exist"),
        ("~nobody-of-this-name/x.txt", "does not exist"),
    ],
)
def test_what_is_not_there_is_named(docs: Path, path: str, message: str) -> None:
    (docs / "empty/.cache").mkdir(parents=True)
    write(docs, "empty/picture.gif", "empty/.cache/x.txt")
    (docs / "broken.txt").symlink_to("gone.txt")
    (docs / "circle.txt").symlink_to("circle.txt")
    with pytest.raises(DocumentError, match=message) as caught:
        search_sources([path])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "-rf.txt",
        "-",
        "a b.txt",
        "换\n行.txt",
        "引'号\".txt",
        "字" * 83 + "ab.txt",
        "😀.txt",
        "$(x).txt",
    ],
    ids=ascii,
)
def test_odd_names_work(home: Path, name: str) -> None:
    folder = home / "档案"
    write(folder, name)
    named = search_sources([f"./档案/{name}"]).files
    assert [path.name for path in named] == [name]
    if name.endswith(".txt"):
        assert search_sources(["档案"]).files == named
        assert search_sources(["档案/*.txt"]).files == named
    (document,) = FileLoader(named[0]).load()
    assert (document.page_content, document.metadata["source"]) == ("甲", str(folder / name))


def test_spaces_after_a_suffix_are_overlooked(home: Path) -> None:
    write(home, "docs/甲.TXT ", "docs/乙.html ")
    (home / "docs/乙.html ").write_text("<p>乙</p>", encoding="utf-8")
    assert found(home, "docs") == ["docs/乙.html ", "docs/甲.TXT "]
    (page,) = FileLoader(home / "docs/乙.html ").load()
    assert (page.page_content, page.metadata["loader"]) == ("乙", "html")


def test_a_file_named_like_standard_input(home: Path) -> None:
    write(home, "-", "b.txt")
    assert search_sources(["./-"]).files == [home / "-"]
    assert search_sources(["-"]).files == [Path("-")]


def test_a_name_that_is_no_text_is_refused_with_its_bytes(home: Path) -> None:
    name = os.fsdecode(b"\xc0\xee\xb0\xd7.txt")
    write(home, name)
    (path,) = search_sources([str(home)]).files
    with pytest.raises(
        DocumentError, match=r"\\udcc0\\udcee.* is not valid text; rename"
    ) as caught:
        FileLoader(path).load()
    str(caught.value).encode()


def test_links_in_a_circle_end(docs: Path) -> None:
    for name in ("loop", "again"):
        (docs / "docs" / name).symlink_to(docs, target_is_directory=True)
    (docs / "docs/self").symlink_to("self")
    os.mkfifo(docs / "docs/pipe.txt")
    assert len(found(docs, "docs")) == 4
    assert len(found(docs, "**/*.*")) == len(found(docs, "docs/**"))
    assert found(docs, "docs/loop/docs/b.txt", "docs/b.txt") == ["docs/loop/docs/b.txt"]


def test_a_folder_that_cannot_be_listed_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(25):  # in the end longer than the longest path
        Path("d" * 200).mkdir()
        monkeypatch.chdir("d" * 200)
    monkeypatch.chdir(home)
    with pytest.raises(DocumentError, match=r"dddd can't be listed \(File name too long\)"):
        search_sources([str(home)])


def test_questions_beside_the_documents_are_left_alone() -> None:
    assert not {".json", ".jsonl", ".log", ".py", ""} & SUFFIXES
    assert {".txt", ".md", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".epub"} <= SUFFIXES


PAPERS = ("/资料/2023/合同.pdf", "/资料/2024/合同.pdf", "/资料/2024/附件/图.pdf", "-")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/资料/2024/合同.pdf", PAPERS[1:2]),
        ("合同.pdf", PAPERS[:2]),
        ("2024/合同.pdf", PAPERS[1:2]),
        ("2024", PAPERS[1:3]),
        ("/资料", PAPERS[:3]),
        ("*.pdf", PAPERS[:3]),
        ("/资料/*/合同.*", PAPERS[:2]),
        ("2024/**/*.pdf", PAPERS[1:3]),
        ("024", ()),
        ("-", PAPERS[3:]),
        ("合同.PDF", PAPERS[:2]),
        ("", ()),
        (" ", ()),
        ("\0", ()),
        (f"{PAPERS[0]}\0-\0none", (PAPERS[0], *PAPERS[3:])),
    ],
)
def test_documents_that_a_pattern_means(pattern: str, found: tuple[str, ...]) -> None:
    assert documents_within(PAPERS, pattern) == set(found)


def test_an_accent_may_be_written_apart() -> None:
    apart, together = "/资料/A\u030a.pdf", "/资料/\u00c5.pdf"
    assert documents_within([apart], "\u00c5.pdf") == {apart}
    assert documents_within([apart, together], "\u00c5.pdf") == {together}


def test_nothing_means_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert documents_within([str(tmp_path.resolve() / "合同.pdf")], "") == frozenset()


def test_a_path_that_is_indexed_means_itself(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = str((tmp_path / "合同.pdf").resolve())
    assert documents_within([*PAPERS, here], "合同.pdf") == {here}
    assert documents_within([*PAPERS, here], ".") == {here}
