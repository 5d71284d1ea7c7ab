"""GGUF files: what is in them, and that llama.cpp reads and says what the original does."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from model_prep.checkpoint.reader import open_checkpoint
from model_prep.cli import app
from model_prep.errors import (
    CheckpointError,
    DiskSpaceError,
    ExportError,
    ModelPrepError,
    TokenizerError,
)
from model_prep.gguf import quantization
from model_prep.gguf.exporter import export_gguf
from tests.model_prep.gguf.llama_server import LlamaServer
from tests.model_prep.lines import ODD, some_lines
from tests.model_prep.tiny_llama import CHAT_TEMPLATE, change_config, make_llama
from tests.tokenizers import Tokenizers, piece_count, processor

PROMPTS = [
    "今天天气怎么样？",
    "Hello world, 你好",
    "### Instruction:\n介绍\n\n### Response: ",
    " \n",
]


@pytest.fixture(scope="module")
def model(trained: Tokenizers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a merged model; tests that change it take `copied`."""
    return make_llama(tmp_path_factory.mktemp("gguf") / "模型 model", trained.alpaca)


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    return export_gguf(model).path


@pytest.fixture(scope="module")
def server(exported: Path) -> LlamaServer:
    return LlamaServer(exported)


def values(file: Path) -> dict[str, object]:
    from gguf import GGUFReader

    return {name: field.contents() for name, field in GGUFReader(file).fields.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "chinese_llama", "alpaca"])
def test_llama_cpp_splits_text_as_sentencepiece_does(
    name: str, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    file = getattr(tokenizers, name)
    exact = processor(file)
    folder = make_llama(tmp_path / "model", file, hidden_size=32)
    served = LlamaServer(export_gguf(folder).path)
    lines = some_lines(5000)
    assert len(lines) == 5000
    wrong = [line for line in lines if served.tokenize(line) != exact.encode(line)]
    assert wrong == []


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(text=st.text() | st.lists(st.sampled_from(ODD)).map("".join))
def test_any_text_is_split_alike(text: str, server: LlamaServer, trained: Tokenizers) -> None:
    exact = processor(trained.alpaca)
    assert server.tokenize(text) == exact.encode(text)
    assert server.tokenize(text, start=True) == [1, *exact.encode(text)]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_llama_cpp_says_what_transformers_says(
    prompt: str, model: Path, server: LlamaServer, trained: Tokenizers
) -> None:
    import torch
    from transformers import LlamaForCausalLM

    exact = processor(trained.alpaca)
    ids = [1, *exact.encode(prompt)]
    torch_model: Any = LlamaForCausalLM.from_pretrained(model, dtype=torch.float32)
    said = torch_model.generate(
        torch.tensor([ids]), max_new_tokens=24, do_sample=False, pad_token_id=0
    )[0, len(ids) :].tolist()
    assert len(said) == 24
    # The first token's space is the decoder's to drop where it begins a text.
    assert server.complete(prompt, 24).lstrip(" ") == exact.decode(said).lstrip(" ")


def test_special_tokens_and_template_are_carried(exported: Path, trained: Tokenizers) -> None:
    held = values(exported)
    special = {name: held[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos", "unknown")}
    assert special == {"bos": 1, "eos": 2, "unknown": 0}
    assert held["tokenizer.ggml.padding_token_id"] == piece_count(trained.alpaca) - 1
    assert held["tokenizer.ggml.add_bos_token"] is True
    assert held["tokenizer.ggml.add_eos_token"] is False
    assert held["tokenizer.chat_template"] == CHAT_TEMPLATE
    types = held["tokenizer.ggml.token_type"]
    assert isinstance(types, list)
    assert types[:4] == [2, 3, 3, 6]
    assert types.count(6) == 256


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["f16", "q8_0", "q4_0"])
def test_weights_are_those_of_the_folder(quantize: str, model: Path, tmp_path: Path) -> None:
    """Against the whole tensor, permuted as Meta has it and quantized in one go."""
    from gguf import GGMLQuantizationType, GGUFReader
    from gguf.quants import quantize as quantized

    done = export_gguf(model, tmp_path / "x.gguf", quantize=quantize)  # type: ignore[arg-type]
    tensors = {tensor.name: tensor for tensor in GGUFReader(done.path).tensors}
    with open_checkpoint(model) as checkpoint:
        query = checkpoint.read("model.layers.1.self_attn.q_proj.weight").float().numpy()
        output = checkpoint.read("lm_head.weight").float().numpy()
        norm = checkpoint.read("model.norm.weight").float().numpy()
        narrow = checkpoint.read("model.layers.0.mlp.down_proj.weight").float().numpy()
    rows = query.reshape(4, 2, 8, 64).swapaxes(1, 2).reshape(64, 64)
    kind = GGMLQuantizationType[quantize.upper()]
    assert tensors["blk.1.attn_q.weight"].tensor_type == kind
    assert np.array_equal(tensors["blk.1.attn_q.weight"].data, quantized(rows, kind))
    assert np.array_equal(tensors["blk.0.ffn_down.weight"].data, quantized(narrow, kind))
    assert tensors["output_norm.weight"].tensor_type == GGMLQuantizationType.F32
    assert np.array_equal(tensors["output_norm.weight"].data, norm)
    finer = GGMLQuantizationType.Q8_0 if quantize == "q4_0" else kind
    assert np.array_equal(tensors["output.weight"].data, quantized(output, finer))
    assert sum(tensor.n_bytes for tensor in tensors.values()) == done.size
    assert LlamaServer(done.path).complete("你好", 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantize", "bulk", "rounding"),
    [("q4_k_m", "Q4_K", 0.09), ("q5_k_m", "Q5_K", 0.045), ("q6_k", "Q6_K", 0.025)],
)
def test_k_quants(
    quantize: str, bulk: str, rounding: float, trained: Tokenizers, tmp_path: Path
) -> None:
    """Types as in llama.cpp's own files, read by the package gguf and by llama.cpp."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    sizes: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 9}
    folder = make_llama(tmp_path / "model", trained.llama, **sizes)
    done = export_gguf(folder, tmp_path / "x.gguf", quantize=quantize)  # type: ignore[arg-type]
    tensors = {tensor.name: tensor for tensor in GGUFReader(done.path).tensors}
    kinds = {name: tensor.tensor_type.name for name, tensor in tensors.items()}
    down = [kinds[f"blk.{layer}.ffn_down.weight"] for layer in range(9)]
    finer = [layer in (0, 3, 6, 7, 8) for layer in range(9)]
    assert down == ["Q6_K" if one and quantize != "q6_k" else bulk for one in finer]
    assert down == [kinds[f"blk.{layer}.attn_v.weight"] for layer in range(9)]
    assert {kinds[f"blk.{layer}.ffn_up.weight"] for layer in range(9)} == {bulk}
    assert (kinds["output.weight"], kinds["token_embd.weight"]) == ("Q6_K", bulk)
    assert sum(tensor.n_bytes for tensor in tensors.values()) == done.size
    with open_checkpoint(folder) as checkpoint:
        weights = checkpoint.read("model.layers.4.mlp.up_proj.weight").float().numpy()
    held = tensors["blk.4.ffn_up.weight"]
    error = dequantize(held.data, held.tensor_type) - weights
    assert 0 < np.sqrt((error**2).mean() / (weights**2).mean()) < rounding
    assert LlamaServer(done.path).complete("你好", 4)


@pytest.mark.slow
def test_k_quants_of_rows_that_their_blocks_do_not_divide(model: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    done = export_gguf(model, tmp_path / "x.gguf", quantize="q4_k_m")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(done.path).tensors}
    assert (kinds["blk.0.attn_q.weight"], kinds["output.weight"]) == ("Q5_0", "Q8_0")
    assert LlamaServer(done.path).complete("你好", 4)


def test_k_quants_without_their_function(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp.xllamacpp", None)
    quantization._quantize_chunk.cache_clear()
    with pytest.raises(ModelPrepError, match="choose --quantize q8_0 or q4_0"):
        export_gguf(model, tmp_path / "x.gguf", quantize="q4_k_m")
    assert not list(tmp_path.iterdir())


def test_rows_that_no_block_divides_stay_float16(trained: Tokenizers, tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType, GGUFReader

    folder = make_llama(tmp_path / "model", trained.llama, intermediate_size=100)
    done = export_gguf(folder, quantize="q8_0")
    kinds = {tensor.name: tensor.tensor_type for tensor in GGUFReader(done.path).tensors}
    assert kinds["blk.0.ffn_down.weight"] == GGMLQuantizationType.F16
    assert kinds["blk.0.ffn_up.weight"] == GGMLQuantizationType.Q8_0


def test_tied_embeddings_and_padded_vocabulary(trained: Tokenizers, tmp_path: Path) -> None:
    padded = piece_count(trained.llama) + 64
    folder = make_llama(
        tmp_path / "model", trained.llama, vocab_size=padded, tie_word_embeddings=True
    )
    done = export_gguf(folder)
    assert done.vocabulary == padded
    assert LlamaServer(done.path).tokenize("你好") == processor(trained.llama).encode("你好")


def rewrite(folder: Path, **changed) -> None:
    """Change tensors of a folder; None drops one."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = {**load_file(file), **{name.replace("__", "."): one for name, one in changed.items()}}
    file.unlink()
    save_file({name: one for name, one in weights.items() if one is not None}, file)


def with_value(folder: Path, value: float) -> None:
    import torch

    rewrite(folder, model__norm__weight=torch.full((64,), value, dtype=torch.float32))


def as_meta(folder: Path) -> None:
    (folder / "config.json").rename(folder / "params.json")


def in_whole_numbers(folder: Path) -> None:
    import torch

    rewrite(folder, model__norm__weight=torch.ones(64, dtype=torch.int8))


def with_tensor(folder: Path, name: str, *shape: int) -> None:
    import torch

    rewrite(folder, **{name: torch.zeros(shape)})


def unigram(folder: Path) -> None:
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString((folder / "tokenizer.model").read_bytes())
    model.trainer_spec.model_type = 1
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (
            lambda folder: (folder / "config.json").rename(folder / "adapter_config.json"),
            "is a LoRA, not a model; merge it",
        ),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds no names and values"),
        (lambda folder: change_config(folder, model_type="gemma"), "of the first kind"),
        (lambda folder: change_config(folder, hidden_size="x"), "of the first kind"),
        (lambda folder: change_config(folder, num_attention_heads=0), "of the first kind"),
        (
            lambda folder: change_config(folder, rope_parameters={"rope_type": "yarn"}),
            "scaled by yarn",
        ),
        (
            lambda folder: change_config(folder, rope_parameters={"rope_type": "linear"}),
            r"of the first kind .*'factor'",
        ),
        (
            lambda folder: change_config(folder, rope_parameters={"full_attention": {}}),
            "each kind of layer",
        ),
        (lambda folder: change_config(folder, num_hidden_layers=3), r"lack model\.layers\.2"),
        (lambda folder: change_config(folder, intermediate_size=97), "calls for"),
        (lambda folder: change_config(folder, vocab_size=999), "do not belong together"),
        (lambda folder: (folder / "tokenizer.model").unlink(), "tokenizer.model can't be read"),
        (
            lambda folder: (folder / "tokenizer.model").write_bytes(b"\x0a\xff"),
            "not a SentencePiece model",
        ),
        (as_meta, "is in Meta's format; make a Hugging Face folder of it with: model-prep convert"),
        (unigram, "not of LLaMA's kind"),
        (lambda folder: with_value(folder, float("nan")), "not a number"),
        (lambda folder: with_value(folder, 1e6), "beyond float16"),
        (lambda folder: with_tensor(folder, "model__layers__0__lora_A", 2, 2), "merge adapters"),
        (lambda folder: rewrite(folder, lm_head__weight=None), "lack lm_head.weight"),
        (in_whole_numbers, r"model\.norm\.weight as I8: its weights are quantized"),
    ],
)
def test_what_is_no_such_model_is_refused(break_it, said: str, copied: Path) -> None:
    break_it(copied)
    before = sorted(copied.parent.rglob("*"))
    with pytest.raises((CheckpointError, ExportError, TokenizerError), match=said) as caught:
        export_gguf(copied)
    assert "\n" not in str(caught.value)
    assert sorted(copied.parent.rglob("*")) == before


def test_output_weights_that_differ_are_kept(copied: Path) -> None:
    """transformers ties the two only where they are the same, whatever the configuration says."""
    from gguf import GGUFReader

    change_config(copied, tie_word_embeddings=True)
    done = export_gguf(copied)
    assert "output.weight" in {tensor.name for tensor in GGUFReader(done.path).tensors}


def test_truncated_weights_are_refused(copied: Path) -> None:
    file = copied / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        export_gguf(copied)
    assert not list(copied.parent.glob("*.gguf*"))


def test_a_full_disk_is_seen_before_the_work(model: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DiskSpaceError, match="--output"):
        export_gguf(model, tmp_path / "x.gguf")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_nothing(model: Path, tmp_path: Path) -> None:
    def interrupt(_label: str, done: int, total: int) -> None:
        assert 0 < done <= total
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_gguf(model, tmp_path / "x.gguf", progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_an_unknown_quantization_from_python(model: Path) -> None:
    with pytest.raises(ModelPrepError, match="choose one of f16, q8_0, q6_k, q5_k_m, q4_k_m, q4_0"):
        export_gguf(model, quantize="q2_k")  # type: ignore[arg-type]


def test_the_command(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    arguments = ["export-gguf", str(model), "--output", str(target), "--quantize", "q4_0"]
    planned = CliRunner().invoke(app, [*arguments, "--dry-run", "--json"])
    assert not target.exists()
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(done.stdout) == json.loads(planned.stdout)
    assert json.loads(done.stdout)["path"] == str(target)
    again = CliRunner().invoke(app, arguments)
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "x.gguf exists" in again.stderr
    unknown = CliRunner().invoke(app, [*arguments[:-1], "q2_k"])
    assert unknown.exit_code == 2
