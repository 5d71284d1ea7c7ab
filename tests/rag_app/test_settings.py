"""Settings of flags, the environment and rag-app.toml, and what is said of wrong ones."""

import re
from pathlib import Path

import pytest

from model_prep.catalog.pull import models_folder
from rag_app.errors import SettingsError
from rag_app.settings import DEFAULTS, Settings, home, load_settings

FILE = Path("rag-app.toml")

OPTIONS = sorted(Settings.model_fields.keys() - {"api_key", "api_key_file", "llm_api_key"})


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_blank_variable_is_none(name: str, blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FILE.write_text("k = 3\n", encoding="utf-8")
    monkeypatch.setenv(f"RAG_APP_{name.upper()}", blank)
    assert load_settings() == DEFAULTS.model_copy(update={"k": 3})


@pytest.mark.parametrize("name", ["api_key", "llm_api_key"])
def test_a_blank_key_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"RAG_APP_{name.upper()}", " ")
    with pytest.raises(SettingsError, match=f"^RAG_APP_{name.upper()}: the key is empty"):
        load_settings()


@pytest.mark.parametrize("written", ["3", '"3"', "'3'", "3\r"])
def test_a_value_of_any_file_of_variables_is_read(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("K", "INDEX"):
        monkeypatch.setenv(f"RAG_APP_{name}", written)
    settings = load_settings()
    assert (settings.k, settings.index) == (3, "3")


def test_a_mistyped_variable_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("LLM_APIKEY", "SERVICE_HOST", "PORT"):  # the last two are Kubernetes's
        monkeypatch.setenv(f"RAG_APP_{name}", "s3cret")
    assert load_settings() == load_settings() == DEFAULTS
    assert caplog.messages == ["RAG_APP_LLM_APIKEY is passed over; is it RAG_APP_LLM_API_KEY?"]


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_home_is_none(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_APP_HOME")
    folders = home(), models_folder()
    monkeypatch.setenv("RAG_APP_HOME", blank)
    assert (home(), models_folder()) == folders


@pytest.mark.parametrize("name", ["llm", "embedding", "index"])
def test_a_blank_name_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: .*; give"):
        load_settings(**{name: " "})


@pytest.mark.parametrize(
    ("data", "k"),
    [
        (b"\xef\xbb\xbfk = 3\r\n", 3),
        ("# 每次几段\nk = 3".encode(), 3),
        (b"", DEFAULTS.k),
    ],
)
def test_a_file_of_any_editor_is_read(data: bytes, k: int) -> None:
    FILE.write_bytes(data)
    assert load_settings().k == k


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("# 中文\nk = 3\n".encode("gbk"), "is not UTF-8; save it"),
        (b"k: 3\n", "is not TOML"),
        (b"k = 'x'\n", "k in rag-app.toml: must be a whole number"),
        (b"threshold = 2\n", "threshold in rag-app.toml: must be at most 1 (got 2)"),
        (b"temperature = inf\n", "temperature in rag-app.toml: must be a finite number"),
        (b"ocr = 'q9_0'\n", "must be 'auto', 'always' or 'never' (got 'q9_0')"),
        (b"lora = [1]\n", "lora in rag-app.toml: must be paths (got [1])"),
        (b"top-k = 3\n", "top-k in rag-app.toml: no such option; is it top_k?"),
        (b"[rag-app]\nk = 3\n", "no such option; remove it"),
        (b"Api-Key = 's3cret'\n", "no such option; is it api_key?"),
        (b"api_key = ''\n", "api_key in rag-app.toml: the key is empty"),
        (b"chunk_size = 50\n", "chunk overlap 100 must be below chunk size 50"),
    ],
)
def test_a_wrong_file_is_said_in_a_line(data: bytes, said: str) -> None:
    FILE.write_bytes(data)
    with pytest.raises(SettingsError, match=re.escape(said)) as error:
        load_settings()
    assert "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_file_that_cannot_be_read_is_said_in_a_line() -> None:
    FILE.mkdir()
    with pytest.raises(SettingsError, match=r"^rag-app.toml can't be read \(Is a directory\)"):
        load_settings()


def test_what_is_wrong_is_named_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    FILE.write_text("k = 0\n", encoding="utf-8")
    monkeypatch.setenv("RAG_APP_K", "many")
    with pytest.raises(SettingsError, match=r"^RAG_APP_K: .*\(got 'many'\)"):
        load_settings()
    with pytest.raises(SettingsError, match=r"^k: .*\(got 0\)"):
        load_settings(k=0)


def test_options_that_are_repeated() -> None:
    """The last alone would be used, without a word."""
    assert load_settings(lora=["甲", "乙,丙"]).lora == "甲,乙,丙"
    assert load_settings(lora=[], within=["*.md"]).within == "*.md"
    with pytest.raises(SettingsError, match="within: one path is taken; name a folder"):
        load_settings(within=["a.md", "b.md"])


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_has_64_bits(seed: int) -> None:
    with pytest.raises(SettingsError, match=r"^seed: "):
        load_settings(seed=seed)


def test_the_name_of_an_index_is_text() -> None:
    with pytest.raises(SettingsError, match=r"^index: the name is not valid text"):
        load_settings(index="\udcff")


def test_paths_are_names_too(home: Path) -> None:
    settings = load_settings(index=Path("poets"), llm=Path("model.gguf"))
    assert settings.index_folder == home / "poets"
    assert settings.llm == str(home / "model.gguf")
