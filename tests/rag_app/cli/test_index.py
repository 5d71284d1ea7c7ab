"""`rag-app index`, `docs` and `indexes` over folders as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rag_app.cli.program import Program


@pytest.fixture
def docs(home: Path) -> Path:
    folder = home / "docs"
    folder.mkdir()
    for name in ("李白.txt", "杜甫.md", "run.sh", "a.py", "b.py"):
        (folder / name).write_text(f"{name}的内容。", encoding="utf-8")
    return folder


def names(rag_app: Program) -> list[str]:
    documents = json.loads(rag_app.ok("docs", "--json").stdout)
    return sorted(Path(document["source"]).name for document in documents)


def test_files_of_other_kinds_are_one_line(rag_app: Program, docs: Path) -> None:
    lines = rag_app.ok("index", str(docs)).stderr.splitlines()
    assert "3 files of other kinds were skipped: .py 2, .sh 1" in lines
    report = json.loads(rag_app.ok("index", str(docs), "--json").stdout)
    assert report["skipped"] == {"of other kinds": {".py": 2, ".sh": 1}}


def test_it_says_when_documents_are_found(rag_app: Program, docs: Path) -> None:
    said = rag_app.ok("index", str(docs)).stderr
    assert "2 documents can be found by their words" in said
    assert "can be found" not in rag_app.ok("index", str(docs)).stderr
    report = json.loads(rag_app.ok("index", str(docs), "--json").stdout)
    assert report["searchable_seconds"] is None


def test_exit_code_3_where_some_files_failed(rag_app: Program, docs: Path) -> None:
    (docs / "坏.pdf").write_bytes(b"%PDF-1.7 garbage")
    result = rag_app("index", str(docs))
    assert result.exit_code == 3
    assert "坏.pdf" in result.stderr
    assert names(rag_app) == ["李白.txt", "杜甫.md"]
    assert rag_app("index", str(docs / "坏.pdf")).exit_code == 1


def test_a_pipe_is_refused_at_once(rag_app: Program, docs: Path) -> None:
    os.mkfifo(docs / "p.txt")
    assert "not a regular file" in rag_app.fails("index", str(docs / "p.txt"))


def test_what_was_not_read_is_a_warning(
    rag_app: Program, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    from tests.rag_app.documents.pdf.drawing import lines, pdf

    scan = ImageReader(Image.new("L", (400, 600), 255))
    file = docs / "合同.pdf"
    file.write_bytes(
        pdf(
            lambda canvas: lines(canvas, ["本合同自签订之日起生效，有效期三年。"]),
            lambda canvas: canvas.drawImage(scan, 0, 0, 595, 842),
        )
    )
    (warning,) = [
        line
        for line in rag_app.ok("index", str(docs), "--ocr", "never").stderr.splitlines()
        if "合同.pdf" in line
    ]
    assert "1 of 2 pages" in warning
    (document,) = [
        document
        for document in json.loads(rag_app.ok("docs", "--json").stdout)
        if document["source"] == str(file)
    ]
    assert document["notes"][0] in warning
    assert "ocr" in rag_app.fails("index", str(docs), "--ocr", "sometimes")


def test_dry_run_lists_and_changes_nothing(rag_app: Program, docs: Path) -> None:
    listed = rag_app.ok("index", str(docs), "--dry-run", "--exclude", "杜*").stdout
    assert listed.split() == ["new", str(docs / "李白.txt")]
    assert "no index" in rag_app.fails("docs")
    rag_app.ok("index", str(docs))
    (docs / "李白.txt").write_text("改了。", encoding="utf-8")
    preview = json.loads(rag_app.ok("index", str(docs), "--dry-run", "--json").stdout)
    assert preview["changed"] == [str(docs / "李白.txt")]
    assert preview["unchanged"] == [str(docs / "杜甫.md")]


def test_a_dry_run_has_a_line_for_each_file(rag_app: Program, docs: Path) -> None:
    (docs / "换\n行\u202e.txt").write_text("甲。", encoding="utf-8")
    lines = rag_app.ok("index", str(docs), "--dry-run").stdout.splitlines()
    assert len(lines) == 3
    assert str(docs / "换\\n行\\u202e.txt") in "".join(lines)


def test_a_dry_run_says_what_has_no_name(rag_app: Program, docs: Path) -> None:
    (docs / os.fsdecode(b"\xc0\xee.txt")).write_text("甲。", encoding="utf-8")
    preview = rag_app.ok("index", str(docs), "--dry-run")
    assert len(preview.stdout.splitlines()) == 2
    assert "not valid text" in preview.stderr


def test_names_are_shown_as_they_are(rag_app: Program, docs: Path) -> None:
    for name in ("[red]甲[bold].txt", "[2]乙[-red].txt", "丙\n\x1b[1m丁.txt"):
        (docs / name).write_text(name, encoding="utf-8")
    rag_app.ok("index", str(docs))
    lines = rag_app.ok("docs").stdout
    for name in ("[red]甲[bold].txt", "[2]乙[-red].txt", "丙\\n\\x1b[1m丁.txt"):
        assert str(docs / name) in lines
    rag_app.ok("index", str(docs), "--index", "[red]戊")
    assert "[red]戊" in rag_app.ok("indexes").stdout


def test_no_path_is_not_the_working_folder(
    rag_app: Program, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs)
    rag_app.ok("index", ".")
    assert "'' is not in the index" in rag_app.fails("docs", "remove", "")
    assert len(names(rag_app)) == 2
    assert rag_app("ask", "李白？", "--in", "").exit_code == 2


def test_excluded_files_and_folders(rag_app: Program, docs: Path) -> None:
    (docs / "旧" / "更旧").mkdir(parents=True)
    (docs / "旧" / "更旧" / "王维.txt").write_text("王维。", encoding="utf-8")
    (docs / "旧" / "孟浩然.txt").write_text("孟浩然。", encoding="utf-8")
    rag_app.ok("index", str(docs), "--exclude", "旧/更旧", "--exclude", "*.md")
    assert names(rag_app) == ["孟浩然.txt", "李白.txt"]


def test_an_index_without_a_name_is_refused(rag_app: Program, docs: Path, home: Path) -> None:
    assert "index: " in rag_app.fails("index", str(docs), "--index", "")
    assert not (home / "indexes").exists()


def test_standard_input_is_named(rag_app: Program, docs: Path) -> None:
    rag_app.ok("index", "-", "--name", "备忘.txt", stdin="甲")
    rag_app.ok("index", "-", stdin="乙")
    assert "--name" in rag_app.ok("index", "-", stdin="丙").stderr
    assert names(rag_app) == ["-", "备忘.txt"]
    assert rag_app("index", str(docs), "--name", "x").exit_code == 2
    assert rag_app("index", "-", "--name", "/x", stdin="x").exit_code == 2


def test_ray_is_asked_for_by_name(
    rag_app: Program, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rag_app("index", str(docs), "--address", "auto").exit_code == 2
    assert rag_app("index", str(docs), "--engine", "dask").exit_code == 2
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'rag-app[cluster]'" in rag_app.fails("index", str(docs), "--engine", "ray")


def test_urls_are_indexed_listed_and_removed(rag_app: Program, docs: Path) -> None:
    rag_app.ok("index", f"file://{docs}")
    listed = json.loads(rag_app.ok("docs", "--json").stdout)
    assert all(document["source"].startswith(f"file://{docs}/") for document in listed)
    assert len(listed) == 2
    assert "2 unchanged" in rag_app.ok("index", f"file://{docs}", "--dry-run").stderr
    rag_app.ok("docs", "remove", f"file://{docs}/*.md")
    assert names(rag_app) == ["李白.txt"]
    rag_app.ok("docs", "remove", f"file://{docs}")
    assert names(rag_app) == []


def test_documents_are_removed_by_glob_and_folder(rag_app: Program, docs: Path) -> None:
    rag_app.ok("index", str(docs))
    removed = json.loads(rag_app.ok("docs", "remove", "docs/*.md", "--json").stdout)
    assert removed == {"removed": [str(docs / "杜甫.md")]}
    assert "not in the index" in rag_app.fails("docs", "remove", "docs/*.md")
    assert f"mean {docs / '李白.txt'}?" in rag_app.fails("docs", "remove", "李白.txt")
    rag_app.ok("docs", "remove", "docs")
    assert names(rag_app) == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["gbk", "ascii", "utf-8"])
def test_any_terminal_shows_any_name(rag_app: Program, docs: Path, encoding: str) -> None:
    (docs / "笑😀.txt").write_text("笑。", encoding="utf-8")
    rag_app.ok("index", str(docs))
    code = "from rag_app.cli import main; main()"

    def shown(*arguments: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=True,
        ).stdout

    text = shown("docs").decode(encoding)
    assert "笑😀.txt".encode(encoding, "backslashreplace").decode(encoding) in text
    documents = json.loads(shown("docs", "--json").decode(encoding))
    assert str(docs / "笑😀.txt") in [document["source"] for document in documents]


def test_indexes_are_listed_renamed_and_deleted(rag_app: Program, docs: Path) -> None:
    rag_app.ok("index", str(docs), "--index", "甲")
    rag_app.ok("indexes", "rename", "甲", "乙")
    (index,) = json.loads(rag_app.ok("indexes", "--json").stdout)
    assert (index["name"], index["documents"]) == ("乙", 2)
    assert "乙" in rag_app.ok("indexes").stdout
    for answer in ("n\n", ""):  # the end of input, too
        refused = rag_app("indexes", "delete", "乙", stdin=answer)
        assert (refused.exit_code, "--yes" in refused.stderr) == (1, True)
    rag_app.ok("indexes", "delete", "乙", "--yes")
    assert rag_app.ok("indexes", "--json").stdout == "[]\n"
    assert "no index" in rag_app.fails("indexes", "delete", "乙")
