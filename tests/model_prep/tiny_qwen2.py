"""A real Qwen2 with a few thousand weights and a tokenizer of a few thousand tokens."""

from pathlib import Path
from typing import Any

from model_prep.gguf.vocabulary import QWEN2_SPLIT

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def make_qwen2(folder: Path, lines: list[str], **sizes: Any) -> Path:
    """A Qwen2 of two layers, with fewer tokens than embeddings, as the real ones have."""
    import torch
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

    bare = Tokenizer(BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bare.train_from_iterator(
        lines, BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer = Qwen2Tokenizer(
        tokenizer_object=bare, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    tokenizer.chat_template = TEMPLATE
    shape = {
        "vocab_size": len(tokenizer) + 12, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "bos_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id, "tie_word_embeddings": False,
    }  # fmt: skip
    torch.manual_seed(0)
    model: Any = Qwen2ForCausalLM(Qwen2Config(**{**shape, **sizes}))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.0 if weight.dim() > 1 else 1.0, std=0.3)
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
