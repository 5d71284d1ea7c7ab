"""A tiny family: LLaMA, a Chinese-LLaMA LoRA and a Chinese-Alpaca LoRA, as PEFT makes them."""

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj"]
LLAMA, CHINESE, ALPACA = 310, 313, 314
ADDED = ["唐代诗人", "洗衣机", "保修期", "[PAD]"]
TEXT = ["李白是唐代诗人。 the quick brown fox jumps over the lazy dog"] * 10


@dataclass(frozen=True)
class Family:
    base: Path
    chinese: Path
    """LoRA of r=8 with embeddings of 313 rows."""
    alpaca: Path
    """LoRA of r=64 with embeddings of 314 rows, the last of them ``[PAD]``."""
    sft: Path
    """LoRA of q and v alone: no embeddings, no tokenizer."""


def make_family(root: Path) -> Family:
    base = make_base(root / "base")
    return Family(
        base,
        make_lora(root / "chinese-llama-lora", base, CHINESE, r=8, lora_alpha=32),
        make_lora(root / "chinese-alpaca-lora", base, ALPACA, r=64, lora_alpha=128),
        make_lora(
            root / "sft", base, None, r=12, lora_alpha=7, target_modules=["q_proj", "v_proj"]
        ),
    )


def make_base(folder: Path, **changes: Any) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 88, "num_hidden_layers": 2}
    config = LlamaConfig(**{"vocab_size": LLAMA, "num_attention_heads": 4, **sizes, **changes})
    LlamaForCausalLM(config).half().save_pretrained(folder)
    write_tokenizer(folder, config.vocab_size)
    return folder


def write_tokenizer(folder: Path, pieces: int) -> Path:
    """A SentencePiece model: 310 trained pieces, and as many of `ADDED` as are wanted."""
    import io

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    data = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=data,
        vocab_size=LLAMA,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(data.getvalue())
    for piece in ADDED[: pieces - LLAMA]:
        model.pieces.add(piece=piece, score=0.0)
    file = folder / "tokenizer.model"
    file.write_bytes(model.SerializeToString())
    return file


def make_lora(folder: Path, base: Path, vocabulary: int | None, **options: Any) -> Path:
    """A LoRA with random weights; with embeddings and a tokenizer if ``vocabulary`` is given."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)
    saved = ["embed_tokens", "lm_head"] if vocabulary else None
    if vocabulary:
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
    options = {"target_modules": TARGETS, "modules_to_save": saved, **options}
    torch.manual_seed(len(folder.name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's advice on embeddings
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
        for name, weights in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weights.data = (torch.randn(weights.shape) * 0.05).half()
        adapted.save_pretrained(folder)
    if vocabulary:
        write_tokenizer(folder, vocabulary)
    return folder


def change_config(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, **changes}), encoding="utf-8")


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def state_of(folder: Path) -> dict[str, Any]:
    """All tensors of a folder, in memory."""
    from safetensors.torch import load_file

    files = sorted(folder.glob("*.safetensors"))
    return {name: one for file in files for name, one in load_file(file).items()}
