"""What quantizing costs: perplexity of one model on one text, as it is and in each quantization.

The weights are quantized as the export does and made numbers again, so that transformers computes
all sides alike. A folder that was made from a quantized file, as `import-gguf` writes it, flatters
the quantization that it had.
    python -m tests.benchmarks.model_prep.quantizing MODEL [--tokens 1024] [--only q4_k_m …]
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch
from gguf import GGML_QUANT_SIZES
from gguf.quants import dequantize

from model_prep.gguf.layout import sources
from model_prep.gguf.quantization import Quantization, quantize_rows, tensor_type
from model_prep.llama.architecture import MODEL_TYPES, read_config
from model_prep.tokenizer.loading import load_tokenizer
from tests.paths import TEST_DATA

_ROWS = 4096


def perplexity(model: Any, ids: torch.Tensor) -> float:
    with torch.inference_mode():
        return math.exp(model(input_ids=ids, labels=ids).loss.item())


def as_held(weight: torch.Tensor, kind: Any) -> Iterator[torch.Tensor]:
    """Yield rows of a weight as they come back from a file."""
    for begin in range(0, len(weight), _ROWS):
        rows = weight[begin : begin + _ROWS].float().contiguous().numpy()
        if kind.name == "F16":
            rows = rows.astype("float16")
        held = bytearray(quantize_rows(rows, kind))
        data = torch.frombuffer(held, dtype=torch.uint8).numpy().reshape(len(rows), -1)
        yield torch.from_numpy(dequantize(data, kind))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--only", nargs="*", choices=get_args(Quantization))
    parser.add_argument("--text", type=Path, default=TEST_DATA / "news" / "news_2023.txt")
    options = parser.parse_args()
    from transformers import AutoModelForCausalLM

    text = options.text.read_text(encoding="utf-8")[: 8 * options.tokens]
    ids = torch.tensor([load_tokenizer(options.model)(text)["input_ids"][: options.tokens]])
    config = read_config(options.model, MODEL_TYPES)
    model: Any = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    tied = bool(model.config.tie_word_embeddings)
    whole = perplexity(model, ids)
    print(
        f"{ids.numel()} tokens of {options.text.name}; as it is: perplexity {whole:.3f}", flush=True
    )
    weights = dict(model.named_parameters())
    for quantize in options.only or get_args(Quantization):
        begin, kept, bits, count = time.process_time(), {}, 0, 0
        for name, source in sources(config, tied=tied).items():
            kind = tensor_type(
                name, source.shape, quantize, layers=config.num_hidden_layers, tied=tied
            )
            if kind.name == "F32" or source.name not in weights:
                continue
            weight = weights[source.name].data
            kept[source.name] = weight.to(torch.float16)  # what the folder holds
            at = 0
            for rows in as_held(kept[source.name], kind):
                weight[at : at + len(rows)] = rows
                at += len(rows)
            block, size = GGML_QUANT_SIZES[kind]
            bits, count = bits + weight.numel() // block * size * 8, count + weight.numel()
        found = perplexity(model, ids)
        print(
            f"{quantize:8} {bits / count:5.2f} bits a weight, perplexity {found:.3f}, "
            f"{found / whole:.4f} x ({time.process_time() - begin:.0f} s of processor time)",
            flush=True,
        )
        for name, weight in kept.items():
            weights[name].data.copy_(weight)


if __name__ == "__main__":
    main()
