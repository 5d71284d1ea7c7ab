"""Asking models: folders, LoRAs in order, and GGUF files, from Python and the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_prep.cli import app
from model_prep.errors import CheckpointError, GenerateError, ModelPrepError, TokenizerError
from model_prep.gguf.exporter import export_gguf
from model_prep.inference import placement
from model_prep.inference.generate import converse, generate, load_model
from model_prep.inference.sampling import Messages, Sampling
from tests.model_prep.tiny_llama import change_config, make_llama
from tests.model_prep.tiny_loras import make_loras
from tests.tokenizers import Tokenizers

PROMPTS = ["你好", "今天天气怎么样？我想出去走走。", "Hello", "三", "a much longer prompt, " * 8]
GREEDY = Sampling(temperature=0, repetition_penalty=1.0, max_new_tokens=12)


@pytest.fixture(scope="module")
def base(trained: Tokenizers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An original LLaMA: no Chinese pieces, no chat template."""
    folder = make_llama(tmp_path_factory.mktemp("base") / "llama", trained.llama, hidden_size=32)
    (folder / "chat_template.jinja").unlink()
    return folder


@pytest.fixture(scope="module")
def loras(
    base: Path, trained: Tokenizers, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Path], Any]:
    tokenizers = [trained.chinese_llama, trained.alpaca]
    return make_loras(base, tmp_path_factory.mktemp("loras"), tokenizers)


@pytest.fixture(scope="module")
def gguf(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_gguf(base, tmp_path_factory.mktemp("gguf") / "llama.gguf").path


@pytest.fixture(scope="module")
def model(base: Path):
    return load_model(base, only_cpu=True)


def greedy(model: Any, tokenizer: Path, prompt: str, count: int) -> str:
    """What transformers says to one prompt alone, by SentencePiece itself."""
    import torch
    from sentencepiece import SentencePieceProcessor

    exact = SentencePieceProcessor(model_file=str(tokenizer))
    ids = [1, *exact.encode(prompt)]
    said = model.generate(
        torch.tensor([ids]), max_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=2
    )[0, len(ids) :].tolist()
    text: str = exact.decode([one for one in said if one != 2])
    return text.strip()


def test_a_batch_is_answered_as_each_alone(base: Path, model) -> None:
    import torch
    from transformers import LlamaForCausalLM

    torch_model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    expected = [greedy(torch_model, base / "tokenizer.model", one, 12) for one in PROMPTS]
    said = generate(model, PROMPTS, sampling=GREEDY, batch_size=5)
    assert [one.output for one in said] == expected
    assert all(expected)


@pytest.mark.slow
def test_loras_are_applied_in_order(base: Path, loras, trained: Tokenizers) -> None:
    folders, merged = loras
    model = load_model(base, lora_models=folders, only_cpu=True)
    said = generate(model, PROMPTS, sampling=GREEDY)
    assert [one.output for one in said] == [
        greedy(merged, trained.alpaca, prompt, 12) for prompt in PROMPTS
    ]
    first = generate(load_model(base, lora_models=folders[:1]), PROMPTS, sampling=GREEDY)
    assert [one.output for one in first] != [one.output for one in said]


def test_the_wrong_order_is_refused(base: Path, loras) -> None:
    with pytest.raises(ModelPrepError, match="order"):
        load_model(base, lora_models=loras[0][::-1], only_cpu=True)


def test_weights_of_the_base_are_not_changed_by_loras(base: Path, loras) -> None:
    before = (base / "model.safetensors").read_bytes()
    load_model(base, lora_models=loras[0], only_cpu=True)
    assert (base / "model.safetensors").read_bytes() == before


def test_what_is_no_lora_for_this_model(base: Path, loras, tmp_path: Path) -> None:
    with pytest.raises(ModelPrepError, match=r"adapter_config\.json"):
        load_model(base, lora_models=[base], only_cpu=True)
    other = make_llama(tmp_path / "other", base / "tokenizer.model", hidden_size=64)
    with pytest.raises(ModelPrepError, match="another shape"):
        load_model(other, lora_models=loras[0], only_cpu=True)


def test_a_tokenizer_that_is_too_large(base: Path, trained: Tokenizers) -> None:
    with pytest.raises(GenerateError, match="--tokenizer-path"):
        load_model(base, tokenizer_path=trained.chinese_llama, only_cpu=True)


def test_it_ends_at_the_end_token(base: Path, tmp_path: Path) -> None:
    """A model whose every token is ``</s>`` says nothing."""
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(base, tmp_path / "ends"))
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"].zero_()
    weights["model.embed_tokens.weight"].fill_(1)
    weights["lm_head.weight"][2] = 100 * weights["model.norm.weight"]
    for name, weight in weights.items():
        if "proj" in name:
            weight.zero_()
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    parts: list[str] = []
    asked = load_model(folder, only_cpu=True)
    assert asked.complete(["你好"], GREEDY, parts.append) == [""]
    assert "".join(parts) == ""
    exported = load_model(export_gguf(folder).path)
    assert exported.complete(["你好"], GREEDY) == [""]


def test_the_stream_is_the_answer(model) -> None:
    parts: list[str] = []
    (answer,) = model.complete([PROMPTS[0]], GREEDY, parts.append)
    assert "".join(parts).strip() == answer
    assert len(parts) > 1


def test_gguf_says_what_the_folder_says(model, gguf: Path) -> None:
    parts: list[str] = []
    exported = load_model(gguf, context_length=512)
    assert exported.complete(PROMPTS, GREEDY) == model.complete(PROMPTS, GREEDY)
    asked: Messages = [{"role": "user", "content": "介绍一下北京。"}]
    assert exported.complete([asked], GREEDY, parts.append) == model.complete([asked], GREEDY)
    assert len(parts) > 1


def test_sampling_is_repeatable_and_obeys_the_seed(model) -> None:
    wild = Sampling(temperature=5.0, top_k=1000, top_p=1.0, max_new_tokens=10)
    other = Sampling(temperature=5.0, top_k=1000, top_p=1.0, max_new_tokens=10, seed=1)
    first = model.complete(["你好"], wild)
    assert first == model.complete(["你好"], wild)
    assert first != model.complete(["你好"], other)


def test_alpaca_format_where_the_model_has_no_template(model) -> None:
    alpaca = (
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n介绍北京\n\n### Response: "
    )
    wrapped = generate(model, ["介绍北京"], with_prompt=True, sampling=GREEDY)[0].output
    assert wrapped == generate(model, [alpaca], sampling=GREEDY)[0].output
    assert wrapped != generate(model, ["介绍北京"], sampling=GREEDY)[0].output


def test_the_context_is_not_overrun(base: Path, gguf: Path) -> None:
    with pytest.raises(GenerateError, match="shorten"):
        load_model(base).complete(["好" * 600], GREEDY)
    with pytest.raises(GenerateError, match="--context-length"):
        load_model(gguf, context_length=256).complete(["好" * 600], GREEDY)
    long = Sampling(temperature=0, repetition_penalty=1.0, max_new_tokens=10_000)
    assert load_model(base).complete(["好" * 140], long)


def test_a_folder_whose_settings_interfere(base: Path, tmp_path: Path) -> None:
    """Lengths and sampling that a folder's generation_config.json asks for are passed over."""
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    settings = {"max_length": 5, "do_sample": True, "temperature": 9.0, "eos_token_id": [2, 7]}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    said = load_model(folder).complete(["你好" * 10], GREEDY)
    assert said == load_model(base).complete(["你好" * 10], GREEDY)


def test_settings_that_can_not_be_read_are_said(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    (folder / "generation_config.json").write_text("[]")
    with pytest.raises(GenerateError, match="model can't be loaded"):
        load_model(folder)


def test_a_conversation(model) -> None:
    typed = iter(["你好", "再见", ""])
    asked: list[Any] = []
    written: list[str] = []

    class Spy:
        def complete(self, prompts, sampling, on_text=None):
            asked.append(prompts[0])
            return model.complete(prompts, sampling, on_text)

    converse(
        Spy(), lambda: next(typed), written.append, with_prompt=True, history=True, sampling=GREEDY
    )
    assert [one["role"] for one in asked[1]] == ["user", "assistant", "user"]
    assert asked[1][1]["content"] in "".join(written)
    asked.clear()
    typed = iter(["你好", "再见", ""])
    converse(Spy(), lambda: next(typed), written.append, sampling=GREEDY)
    assert asked == ["你好", "再见"]
    with pytest.raises(GenerateError, match="--with-prompt"):
        converse(Spy(), lambda: "", written.append, history=True)


def test_an_answer_cut_short_is_forgotten(model) -> None:
    typed = iter(["一", "二", ""])
    asked: list[Any] = []

    class Interrupted:
        def complete(self, prompts, sampling, on_text=None):
            asked.append(prompts[0])
            if len(asked) == 1:
                raise KeyboardInterrupt
            return ["x"]

    converse(Interrupted(), lambda: next(typed), lambda _: None, with_prompt=True, history=True)
    assert asked[1] == [{"role": "user", "content": "二"}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": "0", "only_cpu": True}, "contradict"),
        ({"load_in_8bit": True, "load_in_4bit": True}, "contradict"),
        ({"load_in_8bit": True, "only_cpu": True}, "needs a GPU"),
        ({"gpus": "99"}, "no GPU 99"),
        ({"gpus": "a"}, "takes numbers"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str, base: Path) -> None:
    with pytest.raises(GenerateError, match=said):
        load_model(base, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"lora_models": [Path("x")]}, {"tokenizer_path": Path("x")}, {"load_in_8bit": True},
        {"load_in_4bit": True}, {"gpus": "0"}, {"dtype": "float16"},
    ],
)  # fmt: skip
def test_options_that_a_gguf_file_has_not(options: dict[str, Any], gguf: Path) -> None:
    with pytest.raises(GenerateError, match="for a Hugging Face folder"):
        load_model(gguf, **options)


@pytest.mark.parametrize("with_prompt", [False, True])
def test_a_prompt_that_is_no_text(model, with_prompt: bool) -> None:
    with pytest.raises(GenerateError, match=r"prompt '\\udce4' is not valid text"):
        generate(model, ["\udce4"], with_prompt=with_prompt)


def test_models_that_are_none(base: Path, gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(GenerateError, match="does not exist"):
        load_model(tmp_path / "none")
    with pytest.raises(GenerateError, match="neither a folder nor"):
        load_model(base / "config.json")
    with pytest.raises(TokenizerError):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_model(tmp_path / "none.gguf")
    text = tmp_path / "text.gguf"
    text.write_text("hello")
    with pytest.raises(CheckpointError, match="not a GGUF file"):
        load_model(text)
    text.write_bytes(gguf.read_bytes()[:-10_000])
    with pytest.raises(CheckpointError, match="truncated"):
        load_model(text)
    damaged = Path(shutil.copytree(base, tmp_path / "damaged"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_model(damaged)
    shutil.copy(base / "model.safetensors", weights)
    change_config(damaged, model_type="unheard-of")
    with pytest.raises(GenerateError, match="can't be loaded"):
        load_model(damaged)


def test_too_little_memory_is_seen_before_loading(base: Path, monkeypatch) -> None:
    import psutil

    free = psutil.virtual_memory()._replace(available=50_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(GenerateError, match=r"use --dtype bfloat16, .* export-gguf"):
        load_model(base, only_cpu=True)


def test_the_memory_of_a_container_is_smaller(base: Path, monkeypatch) -> None:
    monkeypatch.setattr(placement, "free_memory", lambda: 50_000)
    with pytest.raises(GenerateError, match=r"0\.0 GB of memory are free"):
        load_model(base, only_cpu=True)


def test_a_full_gpu_is_no_damage(base: Path, monkeypatch) -> None:
    import torch
    import transformers

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(GenerateError, match=r"\(the GPU's memory is full\); load it in 4 bits"):
        load_model(base)


def run(*arguments: str, stdin: str = ""):
    return CliRunner().invoke(app, ["generate", *arguments], input=stdin)


FLAGS = ["--temperature", "0", "--max_new_tokens", "5", "--only_cpu"]


def test_the_command_answers_a_file_and_goes_on(base: Path, tmp_path: Path, model) -> None:
    data, said = tmp_path / "data.txt", tmp_path / "said.json"
    data.write_text("\n".join(PROMPTS), encoding="utf-8")
    arguments = ["--base_model", str(base), "--data_file", str(data)]
    arguments += ["--predictions-file", str(said), "--batch-size", "2", *FLAGS]
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    whole = json.loads(said.read_bytes())
    assert [one["input"] for one in whole] == PROMPTS
    lines = said.read_text(encoding="utf-8").splitlines()
    said.write_text("\n".join(lines[:3]), encoding="utf-8")
    assert run(*arguments).exit_code == 0
    assert json.loads(said.read_bytes()) == whole
    assert run(*arguments, "--json").stdout == json.dumps(whole, ensure_ascii=False) + "\n"


def test_the_command_infer_prints_no_prompt(base: Path) -> None:
    done = CliRunner().invoke(app, ["infer", "--base-model", str(base), "你好", *FLAGS])
    assert done.exit_code == 0
    assert done.stdout.strip()
    assert "你好" not in done.stdout


def test_the_command_in_conversation(gguf: Path) -> None:
    done = run("--base-model", str(gguf), "--interactive", "--with-prompt", *FLAGS, stdin="你好\n")
    assert done.exit_code == 0
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "arguments",
    [[], ["a", "--interactive"], ["a", "--data-file", "x"], ["--interactive", "--history"]],
)
def test_flags_that_do_not_go_together(arguments: list[str], base: Path) -> None:
    assert run("--base-model", str(base), *arguments).exit_code == 2


def test_a_vocabulary_size_that_lies_is_named(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    change_config(folder, vocab_size=7, pad_token_id=9)
    with pytest.raises(CheckpointError, match=r"config\.json says vocab_size 7, and .* rows"):
        load_model(folder)


def test_a_model_of_nan_does_not_answer(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(base, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(GenerateError, match="answers with NaN"):
        generate(load_model(folder), ["hello"], sampling=Sampling(max_new_tokens=2))
