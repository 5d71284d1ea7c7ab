"""Fixtures for every test: no test can reach the user's own folders."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.paths import TEST_DATA
from tests.tokenizers import PUBLISHED, Tokenizers, published_tokenizers, trained_tokenizers

# Before any test changes it: where the real models lie.
REAL_HOME = os.environ.get("RAG_APP_HOME")

# No test meets a certificate, and to read those of all authorities costs each HTTP client 30 ms.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)

# They say what a machine without a GPU does; CUDA_VISIBLE_DEVICES=0 runs them on one that has it.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# Where the tests run in the background, the shell has them ignore what Ctrl-C sends, nohup what a
# closed terminal does, and what they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hangup := getattr(signal, "SIGHUP", None):
    signal.signal(hangup, signal.SIG_DFL)

# No test asserts on a clock: a busy machine may stop for as long as it likes.
settings.register_profile("unclocked", parent=settings.default, deadline=None)
settings.load_profile("unclocked")


@pytest.fixture(autouse=True)
def home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Point every state folder at a temporary one; no engine stays resident in it."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("RAG_APP_")]:
        if name != "RAG_APP_TEST_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAG_APP_HOME", str(folder))
    monkeypatch.chdir(folder)
    yield folder
    if (folder / "resident").is_dir():
        from rag_app.engine.resident import stop
        from rag_app.surroundings import EnginePlace

        stop(EnginePlace(folder / "resident"))


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test data that is not part of the project."""
    if not TEST_DATA.is_dir():
        pytest.skip(f"no test data at {TEST_DATA}; set RAG_APP_TEST_DATA")
    return TEST_DATA


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    """Small tokenizers of the LLaMA family, trained here."""
    return trained_tokenizers(tmp_path_factory.mktemp("tokenizers") / "trained")


@pytest.fixture(scope="session")
def published(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    """The real ones."""
    return published_tokenizers(tmp_path_factory.mktemp("tokenizers") / "published")


_PUBLISHED = [pytest.param("published", marks=pytest.mark.slow)] * PUBLISHED.is_dir()


@pytest.fixture(scope="session", params=["trained", *_PUBLISHED])
def tokenizers(request: pytest.FixtureRequest) -> Tokenizers:
    """The trained tokenizers, and where they are there, the real ones."""
    found: Tokenizers = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def alpaca_tokenizer(trained: Tokenizers) -> Path:
    """A folder with a tokenizer like Chinese-Alpaca's."""
    return trained.alpaca.parent


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real language model of two layers; it always gives the same answer."""
    from tests.tiny_models import make_llm

    return make_llm(tmp_path_factory.mktemp("tiny") / "llm")


@pytest.fixture(scope="session")
def tiny_gguf(alpaca_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file of two layers; what it says has no sense, is always the same and never ends."""
    from model_prep.gguf.exporter import export_gguf
    from tests.model_prep.tiny_llama import make_llama

    folder = tmp_path_factory.mktemp("tiny") / "gguf"
    tokenizer = alpaca_tokenizer / "tokenizer.model"
    return export_gguf(make_llama(folder, tokenizer, max_position_embeddings=4096)).path


@pytest.fixture(scope="session")
def tiny_embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real sentence-transformers model of two layers."""
    from tests.tiny_models import make_embeddings

    return make_embeddings(tmp_path_factory.mktemp("tiny") / "嵌入 embeddings")


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The folder of the real default models; tests that use them are marked `model`."""
    from model_prep.catalog.models import DEFAULTS
    from model_prep.catalog.pull import is_pulled, models_folder

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAG_APP_HOME", raising=False)
        if REAL_HOME is not None:
            patch.setenv("RAG_APP_HOME", REAL_HOME)
        folder = models_folder()
        missing = [name for name in DEFAULTS if not is_pulled(name)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not in {folder}; run: model-prep pull default")
    return folder


@pytest.fixture
def real_home(home: Path, real_models: Path) -> Path:
    """A temporary home that holds the real models and no index."""
    (home / "models").symlink_to(real_models.resolve(), target_is_directory=True)
    return home
