"""Files that make an encoder's folder a sentence-transformers model.

They name the layers after the encoder, here always pooling and normalization; see
sbert.net, "Structure of Sentence Transformer Models".
"""

from pathlib import Path
from typing import Any

from model_prep.json_file import read_json, write_json

_MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))


def write_sentence_files(folder: Path, *, hidden: int, max_tokens: int) -> None:
    """Add mean pooling and normalization to the folder of an encoder.

    No prompts are written: who embeds puts the catalog's prefixes before the text.

    Args:
        folder: Has weights, configuration and tokenizer already.
        hidden: Size of the encoder's vectors.
        max_tokens: Where longer texts are cut.
    """
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": path,
            "type": f"sentence_transformers.models.{module}",
        }
        for number, (path, module) in enumerate(_MODULES)
    ]
    pooling = {
        "word_embedding_dimension": hidden,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_cls_token": False,
        "pooling_mode_max_tokens": False,
    }
    limits = {"max_seq_length": max_tokens, "do_lower_case": False}
    prompts: dict[str, Any] = {
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }
    (folder / "2_Normalize").mkdir(exist_ok=True)
    write_json(folder / "1_Pooling" / "config.json", pooling)
    write_json(folder / "sentence_bert_config.json", limits)
    write_json(folder / "config_sentence_transformers.json", prompts)
    write_json(folder / "modules.json", modules)


def complete_folder(folder: Path, *, max_tokens: int) -> None:
    """Make a plain encoder's folder a sentence-transformers model, unless it is one."""
    if not (folder / "modules.json").exists():
        hidden = int(read_json(folder / "config.json")["hidden_size"])
        write_sentence_files(folder, hidden=hidden, max_tokens=max_tokens)
