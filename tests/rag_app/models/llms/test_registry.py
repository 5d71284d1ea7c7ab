"""What `--llm` takes, and what it says to what it doesn't."""

from pathlib import Path

import pytest

from model_prep.catalog.models import CATALOG
from rag_app.errors import ModelError
from rag_app.models.llms.registry import resolve

DEFAULT = "qwen2.5-coder-1.5b-instruct"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DEFAULT, f"model-prep pull {DEFAULT}"),
        ("bge-small-zh-v1.5", "embedding model"),
        ("没有这个模型", "no file, folder or URL"),
    ],
)
def test_what_is_not_there_is_one_clear_error(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        resolve(spec)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"neither a \.gguf file nor a model folder"):
        resolve(str(file))


def test_each_kind_finds_its_backend(tmp_path: Path) -> None:
    assert resolve("http://127.0.0.1:8000/v1") == ("openai", "http://127.0.0.1:8000/v1")
    assert resolve("模型.gguf") == ("llamacpp", "模型.gguf")
    assert resolve(str(tmp_path)) == ("huggingface", str(tmp_path))
    assert resolve("someone/some-model") == ("huggingface", "someone/some-model")


def test_a_pulled_catalog_model_is_its_file(home: Path) -> None:
    entry = CATALOG[DEFAULT]
    file = home / "models" / DEFAULT / str(entry.file)
    file.parent.mkdir(parents=True)
    with file.open("wb") as empty:
        empty.truncate(entry.size)
    assert resolve(DEFAULT) == ("llamacpp", str(file))
