"""Figures of the structure: folders, files and lines, and the files that one question passes.

``python -m tests.house`` prints this tree's figures, ``--against REVISION`` those of another commit
beside them, ``--names`` the passed files too. A file is passed when one of its functions runs; what
runs at import does not count. The default models must be there (``model-prep pull default``).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_prep import models_folder
from tests.paths import ROOT

PACKAGES = ("rag_app", "model_prep")
SMALL_FILE = 40
"""Lines; a shorter file needs a reason of its own."""

# Threads take the trace function with them from their start, so it is set first and waits.
_TRACE = """
import inspect, json, sys, threading

passed, watching = set(), False

def note(frame, event, argument):
    name = frame.f_code.co_filename
    if watching and "/rag_app/" in name and name not in passed and not at_import(frame):
        passed.add(name)

def at_import(frame):
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename != "<string>":
            return True
        frame = frame.f_back
    return False

def report(start=""):
    names = {name.rpartition("/rag_app/")[2] for name in passed}
    print(json.dumps(sorted(name for name in names if name.startswith(start))), file=sys.stderr)

threading.settrace(note)
sys.settrace(note)
"""

_ASK = f"""{_TRACE}
from rag_app.cli import main

sys.argv = ["rag-app", "ask", "李白是怎样去世的？", "--index", "poet", "--json"]
watching = True
try:
    main()
except SystemExit as stop:
    assert not stop.code
watching = False
report()
"""

_CHAT = f"""{_TRACE}
import time
from fastapi.testclient import TestClient
from rag_app import RagApp
from rag_app.server import indexing_jobs
from rag_app.server.app import create_app

# What it does unasked, again and again, is no part of a chat.
app = RagApp(index="poet", idle_seconds=0)
indexing_jobs._ADOPTING_SECONDS = 3600.0
body = {{"model": "rag:poet", "messages": [{{"role": "user", "content": "李白是怎样去世的？"}}]}}
with TestClient(create_app(app), base_url="http://127.0.0.1") as client:
    while not client.get("/health").json()["ready"]:
        time.sleep(0.1)
    watching = True
    answer = client.post("/v1/chat/completions", json=body)
    watching = False
assert answer.status_code == 200, answer.text
report("server/")
"""


def sizes(tree: Path) -> dict[str, int]:
    """Return the numbers of folders, files and lines of the checkout ``tree``."""
    files = [file for name in PACKAGES for file in sorted((tree / name).rglob("*.py"))]
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    modules = [file for file in files if file.name != "__init__.py"]
    return {
        "files in the largest flat folder": max(Counter(file.parent for file in modules).values()),
        f"files under {SMALL_FILE} lines": sum(lines[file] < SMALL_FILE for file in modules),
        "production files": len(modules),
        "production lines": sum(lines.values()),
    }


def passed_files(tree: Path) -> dict[str, list[str]]:
    """Return the files of ``tree``'s ``rag_app`` that one question passes, by how it is asked."""
    with tempfile.TemporaryDirectory() as home:
        Path(home, "models").symlink_to(models_folder(), target_is_directory=True)
        environment = {**os.environ, "PYTHONPATH": str(tree), "RAG_APP_HOME": home}

        def run(code: str, *arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                env=environment,
                cwd=home,  # `-c` puts the current folder before PYTHONPATH
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(done.stderr)
            return done.stderr.splitlines()[-1]

        document = Path(home, "poet.txt")
        document.write_text("李白（701年－762年），唐代诗人。宝应元年，他在当涂病逝。\n", "utf-8")
        run("from rag_app.cli import main; main()", "index", str(document), "--index", "poet")
        return {
            "one ask": json.loads(run(_ASK)),
            "one chat in server/": json.loads(run(_CHAT)),
        }


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The tree of a commit, in a temporary folder for the block."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        add = ["git", "worktree", "add", "--detach", str(tree), revision]
        subprocess.run(add, cwd=ROOT, capture_output=True, check=True)
        try:
            yield tree
        finally:
            remove = ["git", "worktree", "remove", "--force", str(tree)]
            subprocess.run(remove, cwd=ROOT, capture_output=True, check=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="REVISION", help="another commit, shown beside")
    parser.add_argument("--names", action="store_true", help="list the passed files too")
    arguments = parser.parse_args()
    trees = {}
    if arguments.against:
        with checkout(arguments.against) as tree:
            trees[arguments.against] = sizes(tree), passed_files(tree)
    trees["this tree"] = sizes(ROOT), passed_files(ROOT)
    columns = [
        {**numbers, **{f"files passed by {way}": len(files) for way, files in passed.items()}}
        for numbers, passed in trees.values()
    ]
    print(f"{'':34}" + "".join(f"{name[:12]:>14}" for name in trees))
    for row in columns[0]:
        print(f"{row:34}" + "".join(f"{column[row]:>14,}" for column in columns))
    if arguments.names:
        for name, (_, passed) in trees.items():
            for way, files in passed.items():
                print(f"\n{name}, {way}:", *files, sep="\n  ")


if __name__ == "__main__":
    main()
