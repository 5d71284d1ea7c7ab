"""Ray's workers make the index that one process makes, whatever happens to them."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rag_app import RagApp
from rag_app.errors import ClusterError, ModelError, SettingsError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.ray_cluster import connected
from rag_app.index.indexing.ray_engine import RayEngine
from rag_app.index.indexing.report import IndexOptions, IndexProgress, IndexReport
from rag_app.index.indexing.worker import Broken, EmbeddedDocument, IndexWorker
from rag_app.index.store.store import IndexStore
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.indexing.deadly import DeadlyLoader
from tests.rag_app.index.stored import assert_terms_exact, content_digest

OPTIONS = IndexOptions(chunk_size=40, chunk_overlap=10)
WORKERS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of two workers, whose processes can import the tests."""
    if not find_spec("ray"):  # it is imported once its environment is set
        pytest.skip("the extra `cluster` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        with connected(None, WORKERS):
            yield
        gc.collect()  # what Ray leaves of its processes is here to be passed over


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "文档"
    folder.mkdir()
    for number in range(12):
        text = f"第{number}篇。" + "李白是唐代诗人，字太白。" * (number + 1)
        (folder / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return folder


# Ray warns of its own settings and processes.
pytestmark = pytest.mark.filterwarnings("ignore")
Ran = tuple[IndexStore, IndexReport]


def _local(folder: Path, index: Path) -> Ran:
    store = IndexStore(index)
    embedding = HashingEmbeddings()
    return store, index_paths([str(folder)], store=store, embedding=embedding, options=OPTIONS)


def _with_ray(
    folder: Path,
    index: Path,
    options: IndexOptions = OPTIONS,
    progress: Callable[[IndexProgress], None] | None = None,
    load: Callable[..., Any] = HashingEmbeddings,
) -> Ran:
    store, embedding = IndexStore(index), HashingEmbeddings()
    report = index_paths(
        [str(folder)],
        store=store,
        embedding=embedding,
        options=options,
        progress=progress,
        engine=RayEngine(load),
    )
    assert embedding.batches == [], "the driver embedded something itself"
    return store, report


@pytest.mark.slow
def test_index_and_report_are_those_of_one_process(
    cluster: None, folder: Path, tmp_path: Path, tiny_embeddings: Path
) -> None:
    (folder / "坏.pdf").write_bytes(b"%PDF-1.4 no more")
    (folder / "空.txt").write_bytes(b" ")
    (folder / "图.md").write_text("![](data:image/png;base64," + "QUJD" * 30 + ") 图在上面。")
    reports, rows = [], []
    for engine in ("local", "ray"):
        with RagApp(index=str(tmp_path / engine), embedding=str(tiny_embeddings)) as app:
            report = app.index([os.path.relpath(folder)], engine=engine)
            again = app.index([folder], engine=engine)
            assert (again.unchanged, again.chunks, len(again.failed)) == (13, 0, 2)
            documents = [(one.source, one.content_hash, one.chunks) for one in app.documents()]
            with app.store.read() as snapshot:
                chunks = [chunk for one in documents for chunk in snapshot.chunks_of(one[0])]
                vectors = snapshot.vectors_of([chunk.id for chunk in chunks])
        counts = (report.added, report.chunks, report.failed, report.notes)
        reports.append((counts, documents, [(chunk.source, chunk.text) for chunk in chunks]))
        rows.append(np.array([vectors[chunk.id] for chunk in chunks]))
    assert reports[0] == reports[1]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    assert len(reports[1][0][2]) == 2
    assert len(reports[1][0][3]) == 1


@pytest.mark.slow
def test_a_killed_worker_and_a_deadly_file_stop_nothing_else(
    cluster: None, folder: Path, tmp_path: Path
) -> None:
    whole, _ = _local(folder, tmp_path / "whole")
    (folder / "毒.txt").write_text("这个文件会使进程崩溃。", encoding="utf-8")
    pids = tmp_path / "pids"
    pids.mkdir()
    killed: list[int] = []

    def kill_one(now: IndexProgress) -> None:
        if now.documents >= 3 and not killed:
            killed.append(next(int(file.name) for file in pids.iterdir()))
            psutil.Process(killed[0]).kill()

    options = IndexOptions(**{**vars(OPTIONS), "loader": partial(DeadlyLoader, pids=pids)})
    store, report = _with_ray(folder, tmp_path / "ray", options, kill_one)
    assert killed
    assert [Path(failure.source).name for failure in report.failed] == ["毒.txt"]
    assert "processes" in report.failed[0].reason
    assert report.added == 12
    assert len({*pids.iterdir()}) > 3
    assert _texts(store) == _texts(whole)
    assert_terms_exact(store)


def _texts(store: IndexStore) -> list[tuple[str, str]]:
    with store.read() as snapshot:
        return sorted((chunk.source, chunk.text) for chunk in snapshot.all_chunks())


@pytest.mark.slow
def test_an_interrupted_run_is_gone_on_with(cluster: None, folder: Path, tmp_path: Path) -> None:
    whole, _ = _local(folder, tmp_path / "whole")

    def interrupt(now: IndexProgress) -> None:
        if now.documents == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        _with_ray(folder, tmp_path / "ray", progress=interrupt)
    store, report = _with_ray(folder, tmp_path / "ray")
    assert report.added + report.unchanged == 12
    assert report.unchanged >= 3
    (folder / "00.txt").rename(folder / "新名.txt")
    store, report = _with_ray(folder, tmp_path / "ray")
    assert (report.renamed, report.unchanged, report.chunks) == (1, 11, 0)
    (folder / "新名.txt").rename(folder / "00.txt")
    store, report = _with_ray(folder, tmp_path / "ray")
    assert content_digest(store) == content_digest(whole)


def _broken() -> HashingEmbeddings:
    raise ModelError("there is no model on this node")


@pytest.mark.slow
def test_a_worker_without_the_model_ends_the_run(
    cluster: None, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no model on this node"):
        _with_ray(folder, tmp_path / "index", load=_broken)
    with pytest.raises(SettingsError, match="can't be sent"):
        _with_ray(folder, tmp_path / "index", load=partial(id, threading.Lock()))


def test_a_worker_embeds_the_names_of_folders(folder: Path) -> None:
    embedding = HashingEmbeddings()
    worker = IndexWorker(HashingEmbeddings, embedding.fingerprint, OPTIONS, folder)
    result = worker.work("00.txt", str(folder / "00.txt"), None, ("唐诗",))
    assert isinstance(result, EmbeddedDocument)
    assert result.document.folders == ("唐诗",)
    texts = [chunk.embedded_text for chunk in result.chunks]
    assert texts[0].startswith("唐诗")
    assert np.allclose(result.vectors, embedding.embed_documents(texts))


def test_a_worker_with_other_weights_embeds_nothing(folder: Path) -> None:
    load = partial(HashingEmbeddings, salt="other")
    worker = IndexWorker(load, HashingEmbeddings().fingerprint, OPTIONS, folder)
    result = worker.work("00.txt", str(folder / "00.txt"), None, ())
    assert isinstance(result, Broken)
    assert "other weights" in result.reason


def test_without_the_extra_it_says_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"rag-app\[cluster\]"):
        _with_ray(folder, tmp_path / "index")
    assert not (tmp_path / "index").exists()
