"""What `--llm` takes, and what it says to what it doesn't."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from model_prep.catalog.models import CATALOG
from rag_app.errors import ModelError, SettingsError
from rag_app.models.llms.huggingface import HuggingFaceChat
from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.registry import load_embeddings, load_llm, resolve
from rag_app.settings import load_settings
from tests.http_server import running, url_of
from tests.rag_app.models.llms.test_openai import KEY, Handler

DEFAULT = "qwen2.5-coder-1.5b-instruct"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DEFAULT, f"model-prep pull {DEFAULT}"),
        ("bge-small-zh-v1.5", "embedding model"),
        ("没有这个模型", "not a file, folder, URL or"),
        ("127.0.0.1:8000/v1", "such as http://127.0.0.1:8000/v1"),
        ("localhost:8000", "such as http://localhost:8000"),
        ("ftp://host/model", "not a file, folder, URL or"),
        (r"C:\models\qwen", "not a file, folder, URL or"),
        ("C:/models/qwen", "not a file, folder, URL or"),
        (r"\\server\models\qwen", "not a file, folder, URL or"),
        ("Qwen/Qwen2.5-7B-GGUF:Q4_K_M", "not a file, folder, URL or"),
        ("openai:", "not a file, folder, URL or"),
        ("./missing/model", "not a file, folder, URL or"),
    ],
)
def test_what_is_not_there_is_one_clear_error(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        resolve(spec)
    assert "\n" not in str(raised.value)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"neither a \.gguf file nor a model folder"):
        resolve(str(file))


def test_what_may_not_be_read_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path, **_: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    for load in (load_llm, load_embeddings):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", refuse)
            with pytest.raises(ModelError, match=r"m\.gguf can't be read"):
                load(str(tmp_path / "m.gguf"))


@pytest.mark.parametrize("spec", ["模型.gguf", "http://127.0.0.1:8000/v1", "openai:gpt-4o"])
def test_a_lora_is_not_passed_over(spec: str) -> None:
    with pytest.raises(ModelError, match="LoRA can't be added to"):
        load_llm(spec, lora="some-lora")


def test_a_lora_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="is a LoRA, not a model; give its base with --llm"):
        load_llm(str(tmp_path))


def test_options_of_folders_are_not_passed_over_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = {"tokenizer": "folder", "quantize": "4bit", "gpus": "x"}
    load_llm("openai:any-model", llm_api_key="secret", **options)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "goes without" in line] == [
        f"--{name} is for Hugging Face folders; openai:any-model goes without"
        for name in ("tokenizer", "quantize", "gpus")
    ]


@pytest.mark.parametrize(
    ("spec", "backend", "target"),
    [
        ("http://127.0.0.1:8000/v1", "openai", "http://127.0.0.1:8000/v1"),
        ("HTTPS://host/v1", "openai", "HTTPS://host/v1"),
        ("模型.gguf", "llamacpp", "模型.gguf"),
        (r"C:\models\qwen.GGUF", "llamacpp", r"C:\models\qwen.GGUF"),
        ("v1:q4.gguf", "llamacpp", "v1:q4.gguf"),
        ("someone/some-model", "huggingface", "someone/some-model"),
        ("huggingface:someone/some-model", "huggingface", "someone/some-model"),
        ("openai:gpt-4o", "provider", "openai:gpt-4o"),
        ("google-genai:gemini", "provider", "google-genai:gemini"),
        ("ollama:qwen2.5:7b", "provider", "ollama:qwen2.5:7b"),
        ("ollama:hf.co/a/b-GGUF:Q4_K_M", "provider", "ollama:hf.co/a/b-GGUF:Q4_K_M"),
        ("fireworks:accounts/fireworks/models/x", "provider", None),
    ],
)
def test_each_kind_finds_its_backend(spec: str, backend: str, target: str | None) -> None:
    assert resolve(spec) == (backend, target or spec)


def test_a_folder_is_one_whatever_its_name(home: Path) -> None:
    (home / "openai:gpt-4o").mkdir()
    assert resolve("openai:gpt-4o") == ("huggingface", "openai:gpt-4o")


def test_a_pulled_catalog_model_is_its_file(home: Path) -> None:
    entry = CATALOG[DEFAULT]
    file = home / "models" / DEFAULT / str(entry.file)
    file.parent.mkdir(parents=True)
    with file.open("wb") as empty:
        empty.truncate(entry.size)
    assert resolve(DEFAULT) == ("llamacpp", str(file))


def test_a_string_takes_options_and_settings_have_the_rest(
    tiny_gguf: Path, tiny_llm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_APP_TOP_K", "7")
    gguf = load_llm(str(tiny_gguf), context_length=512, threads=1, temperature=0.5)
    assert isinstance(gguf, LlamaCppChat)
    assert (gguf.context_length, gguf.threads, gguf.temperature, gguf.top_k) == (512, 1, 0.5, 7)
    folder = load_llm(str(tiny_llm), max_new_tokens=9)
    assert isinstance(folder, HuggingFaceChat)
    assert (folder.max_tokens, folder.top_k) == (9, 7)
    with pytest.raises(SettingsError, match="context"):
        load_llm(str(tiny_gguf), context=512)


@pytest.fixture
def openai_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account of OpenAI's on a server of this process; yields the server."""
    with running(Handler) as server:
        server.requests = []  # type: ignore[attr-defined]
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url_of(server)}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield server


def test_a_model_of_a_provider_answers(openai_account: Any) -> None:
    llm = load_llm("openai:first", max_new_tokens=33, seed=5)
    assert isinstance(llm, ChatOpenAI)
    assert llm.invoke("问").text == "病逝于当涂。"
    sent = openai_account.requests[-1]
    assert (sent["model"], sent["temperature"], sent["max_completion_tokens"]) == ("first", 0.0, 33)
    assert sent["seed"] == 5
    assert "top_p" not in sent
    assert llm.get_num_tokens("李白病逝于当涂") == 7
    assert (llm.profile or {})["max_input_tokens"] == load_settings().context_length


def test_the_window_of_a_provider_is_its_own_or_what_is_asked_for(openai_account: Any) -> None:
    def window(llm: BaseChatModel) -> int | None:
        return (llm.profile or {}).get("max_input_tokens")

    assert window(load_llm("openai:gpt-4o")) == window(ChatOpenAI(model="gpt-4o")) != 2048
    assert window(load_llm("openai:gpt-4o", context_length=2048)) == 2048


def test_embeddings_of_a_provider(openai_account: Any) -> None:
    assert load_embeddings("openai:any").embed_query("问") == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("anthropic:claude", "pip install langchain-anthropic"),
        ("ollama:qwen2.5:7b", "pip install langchain-ollama"),
        ("nobody:model", "Supported model providers are: .*ollama"),
        ("openai:gpt-4o", "OPENAI_API_KEY"),
    ],
)
def test_a_provider_that_can_not_be_used_is_one_clear_error(
    spec: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match=message) as raised:
        load_llm(spec)
    assert spec in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("model", ["tiny_llm", "tiny_gguf"])
def test_loading_and_answering_leave_the_process_as_it_was(
    model: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(model)
    load_llm(str(path), context_length=512)  # what a first import sets is not ours to put back
    before = state()
    llm = load_llm(str(path), context_length=512, threads=1, seed=7, max_new_tokens=3)
    llm.invoke("问", temperature=1.0)
    del llm
    assert state() == before


def state() -> dict[str, Any]:
    import locale
    import logging
    import os
    import signal

    import torch
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled
    from transformers.utils import logging as transformers_logging

    return {
        "random": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "bars": (transformers_logging.is_progress_bar_enabled(), are_progress_bars_disabled()),
        "verbosity": transformers_logging.get_verbosity(),
        "levels": {name: logging.getLogger(name).level for name in ("", "transformers")},
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "locale": locale.setlocale(locale.LC_ALL),
    }
