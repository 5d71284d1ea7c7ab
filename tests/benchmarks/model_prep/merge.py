"""`model-prep merge` at the full shape of 7B, against `cp` and sync of the base, in one run.

Weights are random float16; the LoRAs are of r=8 and r=64 with whole embeddings, as Chinese-Alpaca-
Plus is merged. Peak resident memory is the kernel's own mark of the merging process (VmHWM).
About 30 GB of disk are needed, and all is deleted at the end.
    python -m tests.benchmarks.model_prep.merge [--folder DIR] [--layers 32]
        [--output-type huggingface|pth]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_prep.checkpoint.safetensors_file import write_safetensors, write_safetensors_shards
from model_prep.checkpoint.tensors import TensorData
from model_prep.json_file import write_json
from model_prep.llama.architecture import ModelConfig, to_config
from model_prep.llama.meta_layout import tensor_names
from model_prep.tokenizer.sentencepiece_file import Piece, read_sentencepiece

MEMORY_LIMIT_GB = 1.2
RATIO_LIMIT = 1.7
LLAMA, CHINESE, ALPACA = 32_000, 49_953, 49_954
_RANDOM_BYTES = 8 * 2**20
_CHILD = """
import json, sys, time
from pathlib import Path
from model_prep.lora.merge import merge
base, first, second, out, kind = sys.argv[1:]
merge(Path(base), [Path(first), Path(second)], output_dir=Path(out), output_type=kind)
status = Path("/proc/self/status").read_text()
peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps({"peak": peak * 1024, "cpu": time.process_time()}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--output-type", default="huggingface")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="merge-7b-") as folder:
        root = Path(folder)
        config = ModelConfig(4096, options.layers, 32, 32, 11008, LLAMA, 1e-6)
        make_base(root / "base", config, options.data)
        make_lora(root / "llama-lora", config, CHINESE, 8, 32, options.data)
        make_lora(root / "alpaca-lora", config, ALPACA, 64, 128, options.data)
        measure(root, options.output_type)


def measure(root: Path, output_type: str) -> None:
    size = sum(file.stat().st_size for file in (root / "base").iterdir())
    forget(root)
    start = time.perf_counter()
    subprocess.run(["cp", "-r", str(root / "base"), str(root / "copy")], check=True)
    os.sync()
    copying = time.perf_counter() - start
    shutil.rmtree(root / "copy")
    forget(root)
    start = time.perf_counter()
    inputs = [str(root / name) for name in ("base", "llama-lora", "alpaca-lora", "merged")]
    command = [sys.executable, "-c", _CHILD, *inputs, output_type]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    os.sync()
    merging = time.perf_counter() - start
    found = json.loads(done.stdout)
    peak = found["peak"] / 1e9
    print(f"cp and sync of {size / 1e9:.1f} GB: {copying:.1f} s, {size / 1e9 / copying:.2f} GB/s")
    print(f"merge to {output_type}, hashes included: {merging:.1f} s, {merging / copying:.2f} x cp")
    print(f"processor time of the merge: {found['cpu']:.1f} s on {os.cpu_count()} cores")
    print(f"peak resident memory: {peak:.2f} GB")
    print(f"limits: {RATIO_LIMIT} x cp, {MEMORY_LIMIT_GB} GB")
    if merging / copying > RATIO_LIMIT or peak > MEMORY_LIMIT_GB:
        sys.exit(1)


def forget(root: Path) -> None:
    """Have both sides read the weights from the disk: none of them stay in the system's memory."""
    os.sync()
    for file in root.rglob("*.safetensors"):
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def random_pieces(size: int, seed: int) -> Iterator[bytes]:
    """Yield float16 numbers of about ±0.02; a few megabytes of them, over and over."""
    import numpy as np

    numbers = np.random.default_rng(seed).normal(0, 0.02, _RANDOM_BYTES // 2).astype("<f2")
    data = numbers.tobytes()
    while size > 0:
        yield data[: min(size, len(data))]
        size -= len(data)


def random_tensor(name: str, *shape: int) -> TensorData:
    size = 2
    for one in shape:
        size *= one
    return TensorData(name, "F16", shape, random_pieces(size, len(name) + shape[0]))


def make_base(folder: Path, config: ModelConfig, data: Path) -> None:
    folder.mkdir()
    tensors = [
        random_tensor(name, *config.tensor_shape(name))
        for _, name in tensor_names(config.num_hidden_layers)
    ]
    write_safetensors_shards(folder, tensors, 5 * 10**9)
    write_json(folder / "config.json", to_config(config, "float16"))
    shutil.copyfile(data / "tokenizers" / "llama_tokenizer.model", folder / "tokenizer.model")


def make_lora(
    folder: Path, config: ModelConfig, vocabulary: int, rank: int, alpha: int, data: Path
) -> None:
    folder.mkdir()
    tensors = []
    for _, name in tensor_names(config.num_hidden_layers):
        module = f"base_model.model.{name.removesuffix('.weight')}"
        sizes = config.tensor_shape(name)
        if "embed_tokens" in name or "lm_head" in name:
            tensors.append(random_tensor(f"{module}.weight", vocabulary, config.hidden_size))
        elif len(sizes) == 2:
            tensors.append(random_tensor(f"{module}.lora_A.weight", rank, sizes[1]))
            tensors.append(random_tensor(f"{module}.lora_B.weight", sizes[0], rank))
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj")
    adapter: dict[str, Any] = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha}
    adapter |= {"target_modules": projections, "modules_to_save": ["embed_tokens", "lm_head"]}
    write_json(folder / "adapter_config.json", adapter)
    write_extended_tokenizer(data / "tokenizers", folder / "tokenizer.model", vocabulary)


def write_extended_tokenizer(data: Path, target: Path, pieces: int) -> None:
    """Write LLaMA's tokenizer with the Chinese pieces and, as the last, ``[PAD]``."""
    llama = read_sentencepiece(data / "llama_tokenizer.model")
    held = {piece.text for piece in llama.pieces}
    chinese = read_sentencepiece(data / "chinese_sp.model").pieces
    added = [*(piece.text for piece in chinese if piece.text not in held), "[PAD]"]
    target.write_bytes(llama.with_pieces(Piece(one) for one in added[: pieces - LLAMA]))


if __name__ == "__main__":
    main()
