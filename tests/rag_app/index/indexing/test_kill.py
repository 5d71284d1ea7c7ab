"""An index that was killed while it was made equals one that was not."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions
from rag_app.index.store.store import IndexStore
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest

KILLS = 10
OPTIONS = IndexOptions(chunk_size=60, chunk_overlap=20)

# A fork for each attempt spares the imports. The child is killed by a signal from its parent at
# any moment of the run: within a transaction, between two, or while FAISS is being written.
PROGRAM = """
import os, random, signal, sys, time
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings

texts, folder, seconds = sys.argv[1], sys.argv[2], [float(one) for one in sys.argv[3:]]
for wait in seconds:
    child = os.fork()
    if child == 0:
        options = IndexOptions(chunk_size=60, chunk_overlap=20)
        store, embedding = IndexStore(folder), HashingEmbeddings()
        index_paths([texts], store=store, embedding=embedding, options=options)
        os._exit(0)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def _texts(folder: Path) -> Path:
    folder.mkdir()
    rng = random.Random(7)
    for number in range(150):
        sentences = (
            f"第{number}篇第{part}句，{rng.random()}。" for part in range(rng.randint(1, 40))
        )
        (folder / f"{number}.txt").write_text("".join(sentences), encoding="utf-8")
    return folder


def _build(texts: Path, folder: Path) -> tuple[IndexStore, float]:
    store = IndexStore(folder)
    report = index_paths([str(texts)], store=store, embedding=HashingEmbeddings(), options=OPTIONS)
    assert not report.failed
    return store, report.seconds


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path: Path):
    texts = _texts(tmp_path / "texts")
    whole, seconds = _build(texts, tmp_path / "whole")
    rng = random.Random()
    moments = [rng.uniform(0, seconds / 4) for _ in range(KILLS)]
    command = [sys.executable, "-c", PROGRAM, str(texts), str(tmp_path / "killed")]
    command += map(str, moments)
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    statuses = run.stdout.split()
    assert len(statuses) == KILLS
    assert "9" in statuses, "every run ended before it was killed"
    killed, _ = _build(texts, tmp_path / "killed")
    assert content_digest(killed) == content_digest(whole), moments
    assert_terms_exact(killed)
    assert list(killed.folder.glob("*.new*")) == []
