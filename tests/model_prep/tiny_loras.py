"""LoRAs made by PEFT, one upon the other, and what PEFT itself merges them into."""

import shutil
import warnings
from pathlib import Path
from typing import Any


def make_loras(base: Path, folder: Path, tokenizers: list[Path]) -> tuple[list[Path], Any]:
    """Train nothing, but give each LoRA random weights and embeddings of its own.

    Returns:
        The adapters' folders, one for each tokenizer, and the merged model in float32.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from sentencepiece import SentencePieceProcessor
    from transformers import LlamaForCausalLM

    torch.manual_seed(1)
    model: Any = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    folders = []
    for number, tokenizer in enumerate(tokenizers):
        pieces = SentencePieceProcessor(model_file=str(tokenizer)).get_piece_size()
        model.resize_token_embeddings(pieces, mean_resizing=False)
        config = LoraConfig(
            r=4 * (number + 1),
            lora_alpha=16,
            lora_dropout=0.05,
            target_modules=["q_proj", "v_proj", "up_proj", "down_proj"],
            modules_to_save=["embed_tokens", "lm_head"],
            task_type="CAUSAL_LM",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT asks transformers for what is on its way out
            model = get_peft_model(model, config)
        for name, weight in model.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                torch.nn.init.normal_(weight, std=0.3)
        target = folder / f"lora-{number}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save_pretrained(target)
        shutil.copy(tokenizer, target / "tokenizer.model")
        folders.append(target)
        model = model.merge_and_unload()
    return folders, model.eval()
