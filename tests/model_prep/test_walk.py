"""The documented walk, each step by its command: from Meta's weights to answers about documents."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import model_prep.cli
import rag_app.cli
from tests.model_prep.llama.meta_llama import make_meta
from tests.model_prep.tiny_loras import make_loras
from tests.paths import README
from tests.tokenizers import Tokenizers, piece_count

pytestmark = pytest.mark.slow

DOCUMENT = "宝应元年（762年），李白病逝于当涂，享年六十二岁。"
QUESTION = "李白病逝于哪里？"
GREEDY = ["--temperature", "0", "--max-new-tokens", "12"]


def run(app: typer.Typer, *arguments: object) -> Any:
    """Run a command that prints JSON, and return that."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, f"{arguments}\n{done.output}"
    return json.loads(done.stdout)


def prep(*arguments: object) -> Any:
    return run(model_prep.cli.app, *arguments)


def rag(*arguments: object) -> Any:
    return run(rag_app.cli.app, *arguments)


def outputs(*arguments: object) -> list[str]:
    """What a model says to two instructions."""
    asked = ["介绍一下北京。", "What is a llama?"]
    return [one["output"] for one in prep("generate", *arguments, *asked, *GREEDY)]


@pytest.fixture
def inputs(tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the README's walk begins with, but with two small layers."""
    folder = tmp_path / "walk"
    make_meta(folder / "llama" / "7B", piece_count(tokenizers.llama), shards=1)
    shutil.copy(tokenizers.llama, folder / "llama")
    shutil.copy(tokenizers.chinese, folder / "chinese_sp.model")
    prep("convert", "--input-dir", folder / "llama", "--output-dir", tmp_path / "base")
    for name, more in (("chinese", ()), ("alpaca", ("--add-piece", "[PAD]"))):
        pieces = ("--chinese-sp-model", tokenizers.chinese, "--output-dir")
        prep(
            "merge-tokenizer",
            "--llama-tokenizer",
            folder / "llama",
            *pieces,
            tmp_path / name,
            *more,
        )
    models = [tmp_path / name / "tokenizer.model" for name in ("chinese", "alpaca")]
    loras, _ = make_loras(tmp_path / "base", tmp_path, models)
    for lora, kind in zip(loras, ("llama", "alpaca"), strict=True):
        lora.rename(folder / f"chinese-{kind}-plus-lora")
    monkeypatch.chdir(folder)
    return folder


def test_the_walk_of_the_readme(inputs: Path, tiny_embeddings: Path) -> None:
    (inputs / "doc.txt").write_text(DOCUMENT, encoding="utf-8")
    rag("index", "doc.txt", "--embedding", tiny_embeddings)
    blocks = README.read_text(encoding="utf-8").split("```")
    (walk,) = [block for block in blocks if "model-prep convert" in block]
    said = {}
    for line in walk.splitlines()[1:]:
        program, command, *arguments = shlex.split(line)
        said[command] = {"model-prep": prep, "rag-app": rag}[program](command, *arguments)
    assert said["verify"]["verdict"] == "consistent"
    assert said["ask"]["text"]


def test_from_original_weights_to_answers(
    tokenizers: Tokenizers, tiny_embeddings: Path, tmp_path: Path
) -> None:
    original, base = tmp_path / "原始 llama", tmp_path / "llama-hf"
    make_meta(original / "7B", piece_count(tokenizers.llama), shards=2)
    shutil.copy(tokenizers.llama, original)
    prep("convert", "--input_dir", original, "--output_dir", base)

    pieces = ("--llama-tokenizer", base, "--chinese-sp-model", tokenizers.chinese)
    chinese, alpaca = tmp_path / "chinese-tokenizer", tmp_path / "alpaca-tokenizer"
    prep("merge-tokenizer", *pieces, "--output-dir", chinese)
    prep("merge-tokenizer", *pieces, "--add-piece", "[PAD]", "--output-dir", alpaca)

    loras, _ = make_loras(
        base, tmp_path / "loras", [chinese / "tokenizer.model", alpaca / "tokenizer.model"]
    )
    both = ("--base_model", base, "--lora_model", ",".join(map(str, loras)))
    folder, pth = tmp_path / "chinese-alpaca", tmp_path / "chinese-alpaca-pth"
    prep("merge", *both, "--output_type", "huggingface", "--output_dir", folder)
    prep("merge", *both, "--output_type", "pth", "--output_dir", pth)
    assert {"config.json", "tokenizer.model", "merge.json"} <= {
        one.name for one in folder.iterdir()
    }
    assert {"consolidated.00.pth", "params.json"} <= {one.name for one in pth.iterdir()}

    for made in (base, folder, pth):
        assert prep("verify", made)["verdict"] in {"right", "consistent"}

    gguf = tmp_path / "chinese-alpaca.gguf"
    prep("export-gguf", folder, "--output", gguf)
    said = outputs("--base-model", folder, "--with-prompt", "--only-cpu")
    assert all(said)
    assert outputs("--base-model", gguf, "--with-prompt") == said
    assert outputs(*both, "--with-prompt", "--only-cpu") == said

    documents = tmp_path / "文档"
    documents.mkdir()
    (documents / "李白.txt").write_text(DOCUMENT, encoding="utf-8")
    rag("index", documents, "--embedding", tiny_embeddings)
    answers = [
        rag("ask", QUESTION, "--llm", llm, *GREEDY, "--threshold", "0") for llm in (folder, gguf)
    ]
    assert answers[0]["text"]
    assert answers[0]["text"] == answers[1]["text"]
    assert "李白.txt" in json.dumps(answers[1], ensure_ascii=False)
