"""The names of folders, by which the documents in them are found."""

import shutil
from pathlib import Path

import pytest

from rag_app.chains.citations import cite
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.placement import Roots
from rag_app.index.indexing.report import IndexOptions, IndexReport
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact

BRANCHES = "甲乙丙丁戊己庚辛壬癸"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, branch in enumerate(BRANCHES):
        place = tmp_path / "公司" / f"分公司{branch}"
        place.mkdir(parents=True)
        (place / "联系方式.txt").write_text(f"电话：8110{number}", encoding="utf-8")
    return tmp_path / "公司"


@pytest.fixture
def store(tmp_path: Path) -> IndexStore:
    return IndexStore(tmp_path / "index", timeout=0.2)


def _index(store: IndexStore, *paths: object, **options) -> tuple[IndexReport, int]:
    """Return the report of a run, and how many passages it embedded."""
    embedding = HashingEmbeddings()
    report = index_paths(
        [str(path) for path in paths],
        store=store,
        embedding=embedding,
        options=IndexOptions(**options),
    )
    assert_terms_exact(store)
    return report, sum(map(len, embedding.batches))


def _asked(store: IndexStore, branch: str) -> tuple[str, str]:
    found = HybridRetriever(store=store, kind="lexical", k=1).invoke(f"{branch}的电话是多少？")
    [citation] = cite(found)
    return citation.text, citation.place


def test_a_form_is_found_by_the_name_of_its_folder(store: IndexStore, folder: Path) -> None:
    _index(store, folder)
    for number, branch in enumerate(BRANCHES):
        place = f"分公司{branch}/联系方式.txt"
        assert _asked(store, f"分公司{branch}") == (f"电话：8110{number}", place)


def test_a_folder_that_is_renamed_is_found_by_its_new_name(store: IndexStore, folder: Path) -> None:
    _index(store, folder)
    (folder / "分公司丙").rename(folder / "西南大区")
    report, embedded = _index(store, folder)
    assert (report.renamed, report.unchanged, embedded) == (1, 9, 0)
    assert _asked(store, "西南大区") == ("电话：81102", "西南大区/联系方式.txt")
    assert _asked(store, "分公司丙")[0] != "电话：81102"
    (folder / "华南").mkdir()
    shutil.move(folder / "西南大区", folder / "华南")
    assert _index(store, folder)[1] == 0
    assert _asked(store, "华南西南大区")[1] == "华南/西南大区/联系方式.txt"


def test_documents_that_were_indexed_without_folders_get_them(
    store: IndexStore, folder: Path
) -> None:
    for file in folder.glob("*/*.txt"):
        _index(store, file)
    report, embedded = _index(store, folder)
    assert (report.placed, report.unchanged, embedded) == (10, 10, 0)
    assert _asked(store, "分公司丙")[0] == "电话：81102"
    again, _ = _index(store, folder)
    assert (again.placed, again.unchanged) == (0, 10)
    one, _ = _index(store, folder / "分公司丙" / "联系方式.txt")
    assert (one.placed, one.unchanged) == (0, 1), "its own name says less"
    assert _asked(store, "分公司丙")[1] == "分公司丙/联系方式.txt"


def test_a_document_that_changes_in_its_place_keeps_its_folders(
    store: IndexStore, folder: Path
) -> None:
    _index(store, folder)
    file = folder / "分公司丙" / "联系方式.txt"
    file.write_text("电话：9000", encoding="utf-8")
    one, _ = _index(store, file)
    assert (one.updated, _asked(store, "分公司丙")) == (1, ("电话：9000", "分公司丙/联系方式.txt"))
    assert _index(store, folder)[0].placed == 0
    other = file.rename(file.with_name("通讯录.txt"))
    assert _index(store, other)[0].renamed == 1
    assert _asked(store, "分公司丙")[1] == "分公司丙/通讯录.txt"


@pytest.mark.parametrize(
    ("named", "source", "folders"),
    [
        (["/docs"], "/docs/合同.pdf", ()),
        (["/docs"], "/docs/a/b/c/d/e/合同.pdf", ("b", "c", "d", "e")),
        (["/docs/甲", "/docs/乙/2023"], "/docs/甲/x/合同.pdf", ("甲", "x")),
        (["/docs", "/srv/甲"], "/docs/乙/合同.pdf", ("乙",)),
        (["/docs", "/srv/甲"], "/srv/甲/乙/合同.pdf", ("乙",)),
        (["/docs"], "/other/甲/合同.pdf", ()),
        (["/docs"], "-", ()),
        (["s3://a/甲", "s3://a/乙"], "s3://a/乙/丙/合同.pdf", ("乙", "丙")),
        ([], "/docs/合同.pdf", ()),
    ],
)
def test_folders_count_below_their_roots(named, source, folders):
    assert Roots(named).folders_of(source) == folders


def test_what_is_named_is_a_root(folder: Path) -> None:
    source = str(folder / "分公司甲" / "联系方式.txt")
    assert Roots.of(["-", str(folder)]).folders_of(source) == ("分公司甲",)
    assert Roots.of([str(folder / "*" / "*.txt")]).folders_of(source) == ("分公司甲",)
    assert Roots.of([source]).folders_of(source) == ()
    other = str(folder / "分公司乙" / "联系方式.txt")
    assert Roots.of([source, other]).folders_of(source) == ("分公司甲",)
    url = "memory://docs/甲/合同.pdf"
    assert Roots.of(["memory://docs"]).folders_of("memory:///docs/甲/合同.pdf") == ("甲",)
    assert Roots.of([url]).folders_of("memory:///docs/甲/合同.pdf") == ()


def test_roots_may_be_relative_or_links(folder: Path, monkeypatch) -> None:
    source = str(folder / "分公司甲" / "联系方式.txt")
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    for root in ("公司", "link", "./公司/"):
        assert Roots([root]).folders_of(source) == ("分公司甲",)


def test_home_folders_of_users_are_no_common_place(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    roots = Roots(["/home/alice/docs", "/home/bob/docs"])
    assert roots.folders_of("/home/bob/docs/甲/合同.pdf") == ("甲",)
