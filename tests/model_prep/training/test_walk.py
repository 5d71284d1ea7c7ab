"""The commands of training's README for a LLaMA, each as it stands, on a tiny one."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.model_prep.tiny_llama import make_llama
from tests.paths import ROOT
from tests.tokenizers import Tokenizers, piece_count

PAGE = ROOT / "model_prep" / "training" / "README.md"
OPTIONS = """
model: chinese-llama
tokenizer: alpaca-tokenizer
data: [data.jsonl]
output_dir: alpaca-lora
lora_rank: 8
lora_alpha: 16
target_modules: [q_proj, v_proj]
modules_to_save: [embed_tokens, lm_head]
max_length: 128
max_steps: 2
"""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    block: str = next(one for one in blocks if "model-prep pretrain" in one)
    return block.splitlines()


def run(command: str, folder: Path) -> str:
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_pretrain_merge_and_tune(tokenizers: Tokenizers, tmp_path: Path) -> None:
    make_llama(tmp_path / "llama-hf", tokenizers.llama, dtype="float32")
    for kind, file in (("chinese-llama", tokenizers.chinese_llama), ("alpaca", tokenizers.alpaca)):
        (tmp_path / f"{kind}-tokenizer").symlink_to(file.parent, target_is_directory=True)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "诗人.txt").write_text("李白是唐代诗人。" * 100, encoding="utf-8")
    lines = [{"instruction": f"第{n}题？", "output": f"李白{n}。"} for n in range(8)]
    text = "\n".join(map(json.dumps, lines))
    (tmp_path / "data.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "sft.yaml").write_text(OPTIONS, encoding="utf-8")
    pretrain, merge, shown, tune = commands()
    run(f"{pretrain} --max_steps 2 --max_length 64", tmp_path)
    run(merge, tmp_path)
    assert "⟦李白0。" in run(shown, tmp_path)
    assert not (tmp_path / "alpaca-lora").exists()
    run(tune, tmp_path)
    embeddings = 2 * 64 * piece_count(tokenizers.alpaca) * 4
    assert (tmp_path / "alpaca-lora" / "adapter_model.safetensors").stat().st_size > embeddings
