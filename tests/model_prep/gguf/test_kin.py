"""Models of LLaMA's kin as GGUF: llama.cpp says what transformers says, or the model is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from model_prep.errors import CheckpointError, OutputError
from model_prep.gguf.exporter import export_gguf
from model_prep.gguf.header import read_gguf_header
from model_prep.gguf.vocabulary import LLAMA3_SPLIT, QWEN2_SPLIT
from model_prep.lora.merge import merge
from model_prep.output import locked
from model_prep.tokenizer.loading import load_tokenizer
from model_prep.training.model import ids_in_use
from model_prep.verify.verify import verify
from tests.model_prep.gguf.llama_server import LlamaServer
from tests.model_prep.lines import some_lines
from tests.model_prep.lora.random_adapters import make_adapter
from tests.model_prep.tiny_llama import change_config, make_llama
from tests.tokenizers import Tokenizers, piece_count, processor

TEXT = "今天天气怎么样？ Hello world, 你好 12345 and more, so that positions differ. " * 3
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64, "rope_theta": 10000.0,
}  # fmt: skip
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]


def make(folder: Path, kind: str, split: str, **sizes: Any) -> Path:
    """A tiny model with a byte-level BPE of a few hundred tokens."""
    import transformers
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    llama3 = split == LLAMA3_SPLIT
    bare = Tokenizer(BPE(ignore_merges=llama3))
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bare.train_from_iterator(
        some_lines(400), BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    bare.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    if llama3:
        start = (SPECIAL[0], bare.token_to_id(SPECIAL[0]))
        bare.post_processor = processors.TemplateProcessing(
            single=f"{SPECIAL[0]} $A", special_tokens=[start]
        )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token=SPECIAL[0], eos_token=SPECIAL[2]
    )
    shape = {
        "vocab_size": len(tokenizer) + 5, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
    }  # fmt: skip
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**shape, **sizes})
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.0 if weight.dim() > 1 else 1.0, std=0.3)
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


KIN = [
    pytest.param("Llama", LLAMA3_SPLIT, {"rope_parameters": LLAMA3}, id="llama3"),
    pytest.param("Llama", LLAMA3_SPLIT, {"attention_bias": True, "mlp_bias": True}, id="biases"),
    pytest.param("Qwen3", QWEN2_SPLIT, {"head_dim": 32}, id="qwen3"),
]


@pytest.mark.parametrize(("kind", "split", "sizes"), KIN)
def test_llama_cpp_says_what_transformers_says(
    kind: str, split: str, sizes: dict[str, Any], tmp_path: Path
) -> None:
    import transformers

    folder = make(tmp_path / "model", kind, split, **sizes)
    server = LlamaServer(export_gguf(folder).path)
    tokenizer = load_tokenizer(folder)
    lines = [line for line in some_lines(300) if "\0" not in line and line.isascii()] + [TEXT]
    split_otherwise = [
        line
        for line in lines
        if server.tokenize(line, start=True, special=True) != tokenizer.encode(line)
    ]
    assert split_otherwise == []
    ids = tokenizer.encode(TEXT)
    model: Any = getattr(transformers, f"{kind}ForCausalLM").from_pretrained(
        folder, dtype=torch.float32
    )
    said = model.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)
    expected = tokenizer.decode(said[0, len(ids) :], skip_special_tokens=True)
    assert server.complete(TEXT, 8) == expected


@pytest.mark.slow
def test_llama_3s_list_of_tokens_is_no_sentencepiece(tmp_path: Path) -> None:
    """Its repository has one under the name of SentencePiece's file."""
    folder = make(tmp_path / "model", "Llama", LLAMA3_SPLIT, rope_parameters=LLAMA3)
    alone = read_gguf_header(export_gguf(folder, tmp_path / "alone.gguf").path).values
    (folder / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    beside = read_gguf_header(export_gguf(folder, tmp_path / "beside.gguf").path).values
    assert beside | {"general.name": ""} == alone | {"general.name": ""}
    assert verify(folder).passed
    assert ids_in_use(load_tokenizer(folder)) == len(load_tokenizer(folder))
    adapter = {"r": 2, "target_modules": ["q_proj"]}
    assert make_adapter(folder, tmp_path / "lora", adapter, 0)
    merge(folder, [tmp_path / "lora"], output_dir=tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_a_start_token_is_added_where_the_tokenizer_adds_one(tmp_path: Path) -> None:
    """As in DeepSeek's distilled Qwen2, though Qwen2 itself has none."""
    from tokenizers import Tokenizer, processors

    folder = make(tmp_path / "model", "Qwen2", QWEN2_SPLIT)
    file = folder / "tokenizer.json"
    plain = read_gguf_header(export_gguf(folder, tmp_path / "plain.gguf").path).values
    tokenizer = Tokenizer.from_file(str(file))
    start = (SPECIAL[0], tokenizer.token_to_id(SPECIAL[0]))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[0]} $A", special_tokens=[start]
    )
    tokenizer.save(str(file))
    begun = read_gguf_header(export_gguf(folder, tmp_path / "begun.gguf").path).values
    key = "tokenizer.ggml.add_bos_token"
    assert (plain[key], begun[key]) == (False, True)


def test_a_sentencepiece_model_that_begins_without_a_start_token(
    trained: Tokenizers, tmp_path: Path
) -> None:
    folder = make_llama(tmp_path / "model", trained.alpaca, hidden_size=32)
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps({**config, "add_bos_token": False}), encoding="utf-8")
    held = export_gguf(folder, tmp_path / "x.gguf").path
    assert read_gguf_header(held).values["tokenizer.ggml.add_bos_token"] is False
    exact = processor(trained.alpaca)
    assert LlamaServer(held).tokenize("你好", start=True) == exact.encode("你好")


def test_a_model_in_the_hubs_cache_is_exported_into_the_working_folder(
    trained: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models--hfl--tiny-llama" / "snapshots" / "0a1b2c"
    make_llama(folder, trained.alpaca, hidden_size=32)
    monkeypatch.chdir(tmp_path)
    assert export_gguf(folder).path == tmp_path / "tiny-llama-f16.gguf"
    assert [file.name for file in folder.parent.iterdir()] == ["0a1b2c"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}, 512),
        ({"model_type": "mistral", "architectures": ["MistralForCausalLM"]}, 512),
        ({"model_type": "mistral", "sliding_window": 128}, 128),
    ],
    ids=str,
)
def test_llamas_that_are_stated_otherwise(
    trained: Tokenizers, tmp_path: Path, changes: dict[str, Any], context: int
) -> None:
    from transformers import AutoModelForCausalLM

    folder = make_llama(tmp_path / "model", trained.alpaca)
    change_config(folder, **changes)
    file = export_gguf(folder).path
    assert read_gguf_header(file).values["llama.context_length"] == context
    tokenizer = load_tokenizer(folder)
    ids = tokenizer("今天天气怎么样？")["input_ids"]
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    said = model.generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False, pad_token_id=0)
    answer = LlamaServer(file).complete("今天天气怎么样？", 16)
    assert answer.lstrip() == tokenizer.decode(said[0, len(ids) :]).lstrip()


@pytest.mark.parametrize("legacy", [True, False])
def test_text_after_special_tokens_is_noted(
    legacy: bool, trained: Tokenizers, tmp_path: Path
) -> None:
    folder = make_llama(tmp_path / "model", trained.llama)
    config = json.dumps({"legacy": legacy})
    (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")
    done = export_gguf(folder)
    server, exact = LlamaServer(done.path), load_tokenizer(folder)
    ids = server.tokenize("<s>a", special=True)
    assert (ids == exact.encode("<s>a", add_special_tokens=False)) is legacy
    assert bool(done.notes) is not legacy


@pytest.mark.parametrize("saved_by", ["4.31", "4.57"])
def test_added_tokens_have_their_type_and_their_end(
    saved_by: str, trained: Tokenizers, tmp_path: Path
) -> None:
    """As of a LLaMA that was tuned on ChatML, saved by one version of transformers or another."""
    count = piece_count(trained.llama)
    folder = make_llama(tmp_path / "model", trained.llama, vocab_size=count + 4)
    added = {"<|im_end|>": count, "<|im_start|>": count + 1, "<note>": count + 2}
    decoder = {
        str(token_id): {"content": text, "special": text != "<note>"}
        for text, token_id in added.items()
    }
    config: dict[str, Any] = {"eos_token": "<|im_end|>", "added_tokens_decoder": decoder}
    if saved_by == "4.31":
        del config["added_tokens_decoder"]
        special = json.dumps({"additional_special_tokens": ["<|im_start|>"]})
        (folder / "special_tokens_map.json").write_text(special, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "added_tokens.json").write_text(json.dumps(added), encoding="utf-8")
    file = export_gguf(folder).path
    held = read_gguf_header(file).values
    assert held["tokenizer.ggml.tokens"][count : count + 3] == list(added)
    assert held["tokenizer.ggml.token_type"][count:] == [3, 3, 4, 5]
    assert held["tokenizer.ggml.eos_token_id"] == count
    server, exact = LlamaServer(file), load_tokenizer(folder)
    text = "<|im_start|>a<note><|im_end|>"
    assert server.tokenize(text, special=True) == exact.encode(text, add_special_tokens=False)
    assert server.tokenize(text) == exact.encode(text)[1:]
    assert not {count, count + 1} & {*exact.encode(text)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act gelu"),
        ({"num_hidden_layers": 10**9}, "1,000,000,000 layers"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "scaled by longrope"),
    ],
    ids=str,
)
def test_what_can_not_be_stated_is_refused(
    trained: Tokenizers, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folder = make_llama(tmp_path / "model", trained.llama)
    change_config(folder, **changes)
    with pytest.raises(CheckpointError, match=said):
        export_gguf(folder)


def test_verify_finds_a_good_file_consistent(trained: Tokenizers, tmp_path: Path) -> None:
    file = export_gguf(make_llama(tmp_path / "model", trained.llama)).path
    assert verify(file).verdict == "consistent"
    file.write_bytes(file.read_bytes()[:-100])
    assert verify(file).verdict == "broken"


def test_two_exports_to_one_file(trained: Tokenizers, tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "model", trained.llama)
    target = tmp_path / "x.gguf"
    part = tmp_path / "x.gguf.partial"
    part.touch()
    with locked(part), pytest.raises(OutputError, match="another run is writing"):
        export_gguf(folder, target)
    assert part.exists()
    export_gguf(folder, target)
    assert not part.exists()
    shutil.rmtree(folder)
