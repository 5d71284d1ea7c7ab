"""Qwen2 as GGUF and back: the same weights, the same tokens, the same answers."""

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_prep.checkpoint.reader import open_checkpoint
from model_prep.cli import app
from model_prep.errors import CheckpointError, ExportError, PullError, TokenizerError, UsageError
from model_prep.gguf.exporter import export_gguf
from model_prep.gguf.importer import import_gguf
from model_prep.tokenizer.loading import load_tokenizer
from tests.model_prep.gguf.llama_server import LlamaServer
from tests.model_prep.lines import some_lines
from tests.model_prep.tiny_llama import change_config
from tests.model_prep.tiny_qwen2 import SPECIAL, TEMPLATE, make_qwen2
from tests.tokenizers import Tokenizers


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return some_lines(2000)


@pytest.fixture(scope="module")
def model(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_qwen2(tmp_path_factory.mktemp("qwen2") / "模型 model", lines)


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    return export_gguf(model).path


@pytest.fixture(scope="module")
def imported(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return import_gguf(exported, tmp_path_factory.mktemp("back") / "wieder 回").output_dir


@pytest.mark.slow
def test_llama_cpp_splits_text_as_the_tokenizer_does(
    model: Path, exported: Path, lines: list[str]
) -> None:
    tokenizer, served = load_tokenizer(model), LlamaServer(exported)
    chat = f"{SPECIAL[1]}user\n你好{SPECIAL[2]}\n<tool_call>"
    composed = [unicodedata.normalize("NFC", line) for line in lines]
    asked = [chat, *(line for line in composed if "\0" not in line)]  # which ends it in llama.cpp
    wrong = [
        line
        for line in asked
        if served.tokenize(line, start=True, special=True) != tokenizer.encode(line)
    ]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["今天天气怎么样？", "Hello world, 你好", " \n"])
def test_llama_cpp_says_what_transformers_says(prompt: str, model: Path, exported: Path) -> None:
    import torch
    from transformers import Qwen2ForCausalLM

    tokenizer = load_tokenizer(model)
    ids = tokenizer.encode(prompt)
    torch_model: Any = Qwen2ForCausalLM.from_pretrained(model, dtype=torch.float32)
    said = torch_model.generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False)
    assert LlamaServer(exported).complete(prompt, 16) == tokenizer.decode(said[0, len(ids) :])


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_there_and_back_nothing_changes(tied: bool, lines: list[str], tmp_path: Path) -> None:
    folder = make_qwen2(tmp_path / "model", lines, tie_word_embeddings=tied)
    back = import_gguf(export_gguf(folder).path, tmp_path / "back")
    with open_checkpoint(folder) as ours, open_checkpoint(back.output_dir) as theirs:
        assert ours.tensors.keys() == theirs.tensors.keys()
        assert all(bool((ours.read(name) == theirs.read(name)).all()) for name in ours.tensors)
    before, after = load_tokenizer(folder), load_tokenizer(back.output_dir)
    assert [after.encode(line) for line in lines] == [before.encode(line) for line in lines]
    assert (after.chat_template, after.eos_token) == (TEMPLATE, "<|im_end|>")
    config = json.loads((back.output_dir / "config.json").read_bytes())
    assert (config["rms_norm_eps"], config["rope_theta"]) == (1e-6, 1e6)
    assert config["tie_word_embeddings"] is tied


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["q8_0", "q4_0"])
def test_quantized_files_come_back_as_near_as_they_are(
    quantize: str, model: Path, tmp_path: Path
) -> None:
    file = export_gguf(model, tmp_path / "x.gguf", quantize=quantize).path  # type: ignore[arg-type]
    back = import_gguf(file, tmp_path / "back").output_dir
    name = "model.layers.1.mlp.up_proj.weight"
    with open_checkpoint(model) as ours, open_checkpoint(back) as theirs:
        difference = (ours.read(name).float() - theirs.read(name).float()).abs().max().item()
        largest = ours.read(name).abs().max().item()
    assert 0 < difference < largest * (0.01 if quantize == "q8_0" else 0.1)


def without_split(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_bytes())
    content["pre_tokenizer"] = content["pre_tokenizer"]["pretokenizers"][1]
    file.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (without_split, "is not Qwen2's"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "missing or damaged"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "missing or damaged"),
        (lambda folder: change_config(folder, vocab_size=999), "do not belong together"),
        (lambda folder: change_config(folder, use_sliding_window=True), "sliding window"),
        (lambda folder: change_config(folder, model_type="gemma"), "model type gemma"),
    ],
)
def test_what_llama_cpp_would_read_otherwise_is_refused(
    break_it: Any, said: str, model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    break_it(folder)
    with pytest.raises((CheckpointError, ExportError, TokenizerError), match=said):
        export_gguf(folder)
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a GGUF file, or is damaged"),
        (b"GGUF", "not a GGUF file, or is damaged"),
        (b"\x89PNG" * 100, "not a GGUF file, or is damaged"),
        (None, "not a GGUF file, or is damaged"),
    ],
)
def test_a_damaged_file_is_refused(
    content: bytes | None, said: str, exported: Path, tmp_path: Path
) -> None:
    file = tmp_path / "坏.gguf"
    file.write_bytes(exported.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(CheckpointError, match=said) as caught:
        import_gguf(file, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_what_is_not_there_or_of_another_kind(
    home: Path, tmp_path: Path, trained: Tokenizers
) -> None:
    from tests.model_prep.tiny_llama import make_llama

    llama = make_llama(tmp_path / "llama", trained.llama)
    other = export_gguf(llama).path
    cases: list[tuple[str | Path, type[Exception], str]] = [
        (tmp_path / "none.gguf", UsageError, "does not exist"),
        (tmp_path, UsageError, "is not a file"),
        ("qwen2.5-coder-1.5b-instruct", PullError, "model-prep pull"),
        ("multilingual-e5-small", UsageError, "a folder already"),
        (other, CheckpointError, "of kind llama"),
    ]
    for model, error, said in cases:
        with pytest.raises(error, match=said):
            import_gguf(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_import_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_gguf(exported, tmp_path / "out", progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_the_command(exported: Path, tmp_path: Path) -> None:
    arguments = ["import-gguf", str(exported), "--output-dir", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(done.stdout)["output_dir"] == str(tmp_path / "out")
    again = CliRunner().invoke(app, arguments)
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "is not empty" in again.stderr
