"""Real models of the LLaMA family with a few thousand weights."""

import json
import shutil
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}### {{ message['role'] }}:\n{{ message['content'] }}\n\n"
    "{% endfor %}### Response: "
)


def make_llama(folder: Path, tokenizer: Path, *, dtype: str = "float16", **sizes: Any) -> Path:
    """A LLaMA of two layers with random weights; any prompt is continued at random, but surely.

    The weights are large, so that the likeliest token is far ahead of the next: rounding does not
    decide what greedy generation says.
    """
    import torch
    from sentencepiece import SentencePieceProcessor
    from transformers import LlamaConfig, LlamaForCausalLM

    pieces = SentencePieceProcessor(model_file=str(tokenizer)).get_piece_size()
    shape = {
        "vocab_size": pieces, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
    }  # fmt: skip
    torch.manual_seed(4)
    model = LlamaForCausalLM(LlamaConfig(**{**shape, **sizes}))
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
        else:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    shutil.copy(tokenizer, folder / "tokenizer.model")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    return folder


def change_config(folder: Path, **values: Any) -> None:
    """Change values in a folder's config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **values}), encoding="utf-8")
