"""Adapters and bases of other kinds: merged as PEFT merges them, or refused in one line."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from model_prep.errors import AdapterError
from model_prep.lora.merge import merge
from tests.model_prep.tiny_qwen2 import make_qwen2

SIZES = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16,
}  # fmt: skip
Kind = tuple[str, str, dict[str, Any]]
QWEN2: Kind = ("Qwen2Config", "Qwen2ForCausalLM", {})
GEMMA: Kind = ("GemmaConfig", "GemmaForCausalLM", {})
GPT2: Kind = ("GPT2Config", "GPT2LMHeadModel", {"n_embd": 64, "n_layer": 1, "n_head": 4})
OPT: Kind = ("OPTConfig", "OPTForCausalLM", {"ffn_dim": 96, "word_embed_proj_dim": 64})
ARCHITECTURES: list[Kind] = [
    QWEN2, GEMMA, GPT2, OPT,
    # Its dense_h_to_4h has as many rows as its vocabulary.
    ("BloomConfig", "BloomForCausalLM", {"n_layer": 1, "n_head": 4, "hidden_size": 80}),
    ("Phi3Config", "Phi3ForCausalLM", {"pad_token_id": 0}),
    ("Glm4Config", "Glm4ForCausalLM", {"pad_token_id": 0}),
]  # fmt: skip
OTHER_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("LoHaConfig", {}),
    ("LoKrConfig", {}),
    ("OFTConfig", {}),
    ("IA3Config", {"feedforward_modules": ["down_proj"]}),
    ("VeraConfig", {}),
    ("AdaLoraConfig", {"total_step": 10}),
]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its tokenizer has fewer ids than the model has rows, whose number is no round one."""
    return make_qwen2(tmp_path_factory.mktemp("qwen"), ["李白是唐代诗人。 the quick brown fox"] * 5)


VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip


def test_a_vision_language_model_that_is_named_otherwise_on_disk(
    qwen: Path, tmp_path: Path
) -> None:
    parts = {"text_config": SIZES, "vision_config": VISION, "mm_tokens_per_image": 4}
    kind = ("Gemma3Config", "Gemma3ForConditionalGeneration", parts)
    base = make_base(kind, tmp_path / "base", qwen, sizes={})
    model = transformers.Gemma3ForConditionalGeneration.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lora = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
        lora.save_pretrained(tmp_path / "lora")
    with pytest.raises(AdapterError, match=r"vision-language model.*PEFT itself merges it"):
        merge(base, [tmp_path / "lora"], output_dir=tmp_path / "merged")


def make_base(kind: Kind, folder: Path, qwen: Path, sizes: dict[str, Any] = SIZES) -> Path:
    config, model, more = kind
    torch.manual_seed(0)
    made = getattr(transformers, model)(getattr(transformers, config)(**{**sizes, **more}))
    made.to(torch.bfloat16).save_pretrained(folder)
    for file in qwen.glob("*token*"):
        shutil.copy(file, folder)
    return folder


def make_adapter(base: Path, folder: Path, config: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's advice on embeddings
        model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = (torch.randn(parameter.shape) * 0.1).to(parameter.dtype)
        model.save_pretrained(folder)
    return folder


def lora(**options: Any) -> LoraConfig:
    values = {"target_modules": "all-linear", "r": 4, "lora_alpha": 8, **options}
    return LoraConfig(task_type="CAUSAL_LM", **values)


def require_equal(base: Path, adapter: Path, merged: Path) -> None:
    """The merged folder, loaded, is what PEFT merges in memory; its output weights too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT asks transformers for what is on its way out
        loaded: Any = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base), str(adapter)
        )
        expected = loaded.merge_and_unload().state_dict()
    found: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(merged).state_dict()
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ARCHITECTURES, ids=lambda kind: kind[1])
def test_architectures(kind: Kind, qwen: Path, tmp_path: Path) -> None:
    base = make_base(kind, tmp_path / "base", qwen)
    adapter = make_adapter(base, tmp_path / "adapter", lora())
    merge(base, [adapter], output_dir=tmp_path / "merged")
    require_equal(base, adapter, tmp_path / "merged")


@pytest.mark.parametrize(("kind", "module"), [(GPT2, "wte"), (OPT, "embed_tokens")])
def test_tied_embeddings_of_other_names_are_not_changed(
    kind: Kind, module: str, qwen: Path, tmp_path: Path
) -> None:
    base = make_base(kind, tmp_path / "base", qwen)
    adapter = make_adapter(base, tmp_path / "adapter", lora(modules_to_save=[module]))
    with pytest.raises(AdapterError, match=f"{module}.weight, which the base has as output"):
        merge(base, [adapter], output_dir=tmp_path / "merged")


@pytest.mark.parametrize("modules", [["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head"]])
def test_embeddings_that_are_tied_where_nothing_says_so(
    modules: list[str], qwen: Path, tmp_path: Path
) -> None:
    base = make_base(GEMMA, tmp_path / "base", qwen)
    config = json.loads((base / "config.json").read_bytes())
    del config["tie_word_embeddings"]  # as in Google's own folders
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    adapter = make_adapter(base, tmp_path / "adapter", lora(modules_to_save=modules))
    merge(base, [adapter], output_dir=tmp_path / "merged")
    require_equal(base, adapter, tmp_path / "merged")


def test_more_rows_than_ids_whatever_their_number(qwen: Path, tmp_path: Path) -> None:
    adapter = make_adapter(qwen, tmp_path / "adapter", lora(target_modules=["q_proj", "lm_head"]))
    report = merge(qwen, [adapter], output_dir=tmp_path / "merged")
    assert report.vocabulary
    assert report.vocabulary % 8
    require_equal(qwen, adapter, tmp_path / "merged")


@pytest.mark.parametrize(("kind", "more"), OTHER_KINDS)
def test_other_kinds_of_adapters_are_refused_by_their_name(
    kind: str, more: dict[str, Any], qwen: Path, tmp_path: Path
) -> None:
    targets = ["q_proj", "down_proj"]
    config = getattr(peft, kind)(task_type="CAUSAL_LM", target_modules=targets, **more)
    adapter = make_adapter(qwen, tmp_path / "adapter", config)
    name = kind.removesuffix("Config").upper()
    with pytest.raises(AdapterError, match=rf"^[^\n]* of the kind {name}; only LoRA[^\n]*$"):
        merge(qwen, [adapter], output_dir=tmp_path / "merged")
