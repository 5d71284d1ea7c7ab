"""What is installed holds the page, not only the code, and tells nobody of its use."""

import hashlib
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from rag_app.documents.formats import SUFFIXES
from tests.paths import ROOT

STATIC = ROOT / "rag_app" / "server" / "static"
VENDORED = {  # Temml 0.13.5, dist/temml.min.js of its npm package
    "temml.min.js": "1ab19148afe0dbc836b7a74f344071b3f3a70a7a8259ae4049e76894fcdf8d95"
}


def test_the_wheel_leaves_out_nothing_of_the_packages() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    assert {"rag_app", "model_prep"} <= set(wheel["packages"])
    assert not {"include", "exclude", "only-include"} & (build.keys() | wheel.keys())
    # Hatch leaves out what git ignores.
    prompts = [*(ROOT / "rag_app" / "chains" / "prompts").glob("*.txt")]
    typed = [ROOT / package / "py.typed" for package in wheel["packages"]]
    assert prompts
    assert all(file.is_file() for file in typed)
    files = [str(file) for file in (*STATIC.rglob("*"), *prompts, *typed)]
    asked = ["git", "check-ignore", "--no-index", *files]
    ignored = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if ignored.returncode > 1:
        pytest.skip("not a git checkout")
    assert ignored.stdout == ""


def test_what_others_wrote_for_the_page_is_unchanged() -> None:
    found = {file.name for file in STATIC.glob("*.min.*")}
    assert found == set(VENDORED)
    for name, digest in VENDORED.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest


def test_the_page_names_files_that_are_there() -> None:
    texts = [file.read_text("utf-8") for file in STATIC.iterdir()]
    named = {name for text in texts for name in re.findall(r"(?:static|\.)/([\w.]+\w)", text)}
    there = {file.name for file in STATIC.iterdir()} - {"index.html"}
    assert named == there


def test_the_page_names_the_kind_of_every_format() -> None:
    script = (STATIC / "uploads.js").read_text("utf-8")
    kinds = script[script.index("const FORMATS") :].partition("};")[0]
    assert {f".{suffix}" for suffix in re.findall(r'"(\w+)"', kinds)} == SUFFIXES


def test_the_page_may_lie_below_a_path_of_a_proxy() -> None:
    texts = [(STATIC / "index.html").read_text("utf-8")]
    texts += [file.read_text("utf-8") for file in STATIC.glob("*.js") if ".min." not in file.name]
    assert not [
        found for text in texts for found in re.findall(r"[\"`]/(?:static|v1|health)", text)
    ]


@pytest.mark.parametrize("package", ["rag_app", "model_prep"])
def test_onnx_runtime_keeps_no_record_of_its_use(package: str, tmp_path: Path) -> None:
    code = f"import {package}; import onnxruntime"
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["rag_app", "model_prep"])
def test_a_package_is_its_command(package: str) -> None:
    asked = [sys.executable, "-m", package, "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("rag-app ")


@pytest.mark.parametrize(
    ("package", "program"), [("rag_app", "rag-app"), ("model_prep", "model-prep")]
)
def test_ctrl_c_while_a_command_is_imported(package: str, program: str, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt", encoding="utf-8")
    first = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    code = f"{first}; from {package}.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, f"{program}: interrupted\n")


def test_the_commands_are_those_of_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name in project["scripts"].values():
        module, _, function = name.partition(":")
        assert callable(getattr(import_module(module), function))
