"""``model-prep pretrain`` and ``sft``: what they show before training, and of what goes wrong."""

import errno
import json
import os
import re
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from model_prep.cli import app
from tests.model_prep.family import Family, copy_of
from tests.model_prep.tiny_llama import change_config

GOOD = {"instruction": "李白是谁？", "output": "唐代诗人。"}
WEIGHTS = "model.safetensors"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "数据.jsonl", "\n".join([json.dumps(GOOD)] * 3))


def write(file: Path, content: str | bytes) -> Path:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def run(family: Family, data: Path, *more: str, kind: str = "sft", **changes: Any) -> Result:
    options: dict[str, Any] = {
        "model": family.base, "data": data, "output_dir": data.parent / "out", "max_steps": 2,
        "lora_rank": 4, "lora_alpha": 8, "target_modules": "q_proj", "save_steps": 1,
        "gradient_accumulation_steps": 1, **changes,
    }  # fmt: skip
    line = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return CliRunner().invoke(app, [kind, *line, *more])


def complaint(done: Result) -> str:
    """The one line on stderr."""
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("model-prep: ")
    return line


@pytest.mark.parametrize("name", ["_move_model_to_device", "training_step"])
def test_a_full_gpu_is_told_in_one_line(
    name: str, family: Family, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from model_prep.training.trainer import AdapterTrainer

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …")

    monkeypatch.setattr(AdapterTrainer, name, full)
    said = complaint(run(family, data))
    assert "the GPU's memory is full; use --gradient_checkpointing, a smaller" in said
    assert not (data.parent / "out" / "adapter_model.safetensors").exists()


def test_dry_run_shows_what_is_learned(family: Family, data: Path) -> None:
    done = run(family, data, "--dry-run", modules_to_save="embed_tokens,lm_head", packing=False)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "Below is an instruction that describes a task. Write a response" in done.stdout
    assert "### Instruction:\n李白是谁？\n\n### Response: ⟦唐代诗人。</s>⟧\n" in done.stdout
    said = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert said["samples"].split()[1:4] == ["3,", "0", "of"]
    assert "2 over 3 packed sequences" in said["steps"]
    assert "learned" in said["tokens"]
    # 310 rows of 32 numbers twice, and rank 4 on both sides of two layers.
    assert f"{2 * 310 * 32 + 2 * 4 * (32 + 32):,} are trained" in said["weights"]
    assert said["memory"].endswith("GB for each process")
    assert "min" in said["time"]
    assert not (data.parent / "out").exists()


def test_dry_run_as_json(family: Family, data: Path) -> None:
    with data.open("a", encoding="utf-8") as file:
        file.write("\n{broken")
    done = run(family, data, "--dry-run", "--json", max_steps=-1, num_train_epochs=2, packing=False)
    plan = json.loads(done.stdout)
    assert (plan["samples"], plan["rows"], plan["steps"]) == (3, 3, 6)
    assert plan["tokens"] == 3 * plan["longest"] == 3 * plan["median"]
    assert 0 < plan["targets"] < plan["tokens"]
    assert plan["problems"] == {"is broken JSON": 1}
    assert plan["first_problems"][0].startswith(f"{data}:4: is broken JSON")
    assert [learned for _, learned in plan["shown"][0]] == [False, True]
    assert plan["memory_gb"] > 0
    assert plan["seconds"] > 0
    assert not (data.parent / "out").exists()


def test_dry_run_of_plain_text(family: Family, tmp_path: Path) -> None:
    text = write(tmp_path / "文.txt", "李白是唐代诗人。\n" * 20)
    done = run(family, text, "--dry-run", kind="pretrain", max_length=16)
    assert done.stdout.startswith("sequence 1: <s>⟦李白是唐代诗人。\n")


def test_dry_run_reads_no_weights(family: Family, data: Path, tmp_path: Path) -> None:
    big = copy_of(family.base, tmp_path / "big")
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    change_config(big, **sizes, num_attention_heads=32, num_key_value_heads=32, head_dim=128)
    os.truncate(big / WEIGHTS, 0)
    plan = json.loads(run(family, data, "--dry-run", "--json", model=big).stdout)
    assert plan["parameters"] > 6_400_000_000
    assert plan["memory_gb"] > 25


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (
            '{"question": "?"}\n' * 3,
            r"3 problems: .*:1: has not .* \(its keys: question\)",
        ),
        (bytes(range(256)) * 9, "is not text"),
        ('{"instruction": "x", "output": "  "}', "instruction or output is empty"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no answer of the assistant"),
        ('{"instruction": "\\ud800", "output": "x"}', "half a character"),
        (json.dumps({"instruction": "长" * 600, "output": "x"}), "no room for an answer"),
        ("[1, 2]", "is not a JSON object"),
    ],
)
def test_data_with_nothing_to_learn(
    family: Family, data: Path, content: str | bytes, said: str
) -> None:
    bad = write(data.parent / "bad.jsonl", content)
    line = complaint(run(family, bad))
    assert re.search(f"bad.jsonl .*{said}", line)
    assert "bad.jsonl" in complaint(run(family, data, validation=bad))


def test_data_that_is_not_there(family: Family, tmp_path: Path) -> None:
    assert "nowhere.jsonl does not exist" in complaint(run(family, tmp_path / "nowhere.jsonl"))
    assert "holds no conversations (.json, .jsonl, .parquet, .csv, .tsv)" in complaint(
        run(family, tmp_path)
    )


@pytest.mark.slow
def test_a_broken_line_far_down_is_told_and_counted(family: Family, data: Path) -> None:
    good = json.dumps(GOOD)
    data.write_text(f"{good}\n{good}" + "\n" * 69_998 + '{"instruction": "x', encoding="utf-8")
    done = run(family, data)
    assert done.exit_code == 0, done.output
    assert f"{data}:70000: is broken JSON" in done.stderr
    assert done.stderr.endswith("left out of the data: 1 is broken JSON\n")


@pytest.mark.parametrize("encoding", ["utf-16", "gbk"])
def test_other_encodings_are_read(family: Family, data: Path, encoding: str) -> None:
    data.write_text(json.dumps(GOOD, ensure_ascii=False), encoding=encoding)
    assert "⟦唐代诗人。</s>⟧" in run(family, data, "--dry-run").stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "run.yaml can't be read"),
        ("a: [1\nb: 2", "run.yaml can't be read .*line 2"),
        ("lora_rnk: 3", "did you mean --lora_rank"),
        ("- a\n- b", "run.yaml holds no options"),
        ("", "run.yaml holds no options"),
        (b"\xff\xfe\x00\x01", "run.yaml can't be read"),
        ("learning_rate: fast", "--learning_rate 'fast' is wrong"),
    ],
)
def test_a_file_of_options_that_is_wrong(
    family: Family, data: Path, content: str | bytes | None, said: str
) -> None:
    file = data.parent / "run.yaml"
    if content is not None:
        write(file, content)
    needed = [f"--{name}=x" for name in ("model", "data", "output_dir", "adapter")]
    assert re.search(said, complaint(CliRunner().invoke(app, ["sft", str(file), *needed])))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"validation": "nowhere.jsonl"}, "nowhere.jsonl does not exist"),
        ({"model": "nowhere"}, "nowhere does not exist; --model takes the folder"),
        ({"tokenizer": "nowhere"}, "nowhere has no tokenizer"),
        ({"adapter": "x"}, "--lora_rank is for a new adapter.*leave it out"),
        ({"max_steps": 0}, "--max_steps '0' is wrong"),
        ({"max_length": -1}, "--max_length '-1' is wrong"),
        ({"learning_rate": "nan"}, "--learning_rate 'nan' is wrong"),
        ({"learning_rate": "inf"}, "--learning_rate 'inf' is wrong"),
        ({"learning_rate": -1}, "--learning_rate '-1' is wrong"),
        ({"seed": 2**32}, "--seed '4294967296' is wrong"),
        ({"lr_scheduler_type": "x"}, r"refuses the settings \(x is not"),
        ({"fsdp": True}, "--fsdp shards over processes.*torchrun"),
        ({"deepspeed": "zero2"}, "--deepspeed (needs DeepSpeed|shards).*(pip|torchrun)"),
        ({"output_dir": "{file}"}, "name a new or empty folder"),
        ({"output_dir": "{file}/out"}, "out can't be written"),
        ({"cache_dir": "{file}/cache"}, "cache/[0-9a-f]+ can't be made"),
    ],
)
def test_options_that_are_wrong(
    family: Family, data: Path, change: dict[str, Any], said: str
) -> None:
    change = {
        name: value.replace("{file}", str(data)) if isinstance(value, str) else value
        for name, value in change.items()
    }
    assert re.search(said, complaint(run(family, data, **change)))


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def cut_short(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 5000)


def no_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def a_weight_less(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def other_sizes(folder: Path) -> None:
    change_config(folder, intermediate_size=96)


def refusing_template(folder: Path) -> None:
    template = "{{ raise_exception('no, never') }}"
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_config, "model has no config.json"),
        (cut_short, r"model\.safetensors is damaged or cut short, .*get it again"),
        (no_weights, r"model holds no weights \(model\.safetensors, .* but config\.json"),
        (a_weight_less, r"model lacks weights .*layers\.1\.mlp\.up_proj"),
        (other_sizes, "its weights have other shapes than its config.json names"),
        (refusing_template, r"1: is refused by the model's chat template \(no, never\)"),
    ],
)
def test_models_that_are_damaged(family: Family, data: Path, damage: Any, said: str) -> None:
    model = copy_of(family.base, data.parent / "model")
    damage(model)
    assert re.search(said, complaint(run(family, data, model=model)))


@pytest.mark.slow
def test_a_damaged_manifest(family: Family, data: Path) -> None:
    (data.parent / "out").mkdir()
    write(data.parent / "out" / "training.json", "{")
    assert "start again with --resume false" in complaint(run(family, data))
    assert run(family, data, resume=False).exit_code == 0


@pytest.mark.slow
def test_a_full_disk_under_the_cache(
    family: Family, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_prep.training import token_cache

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = data.parent / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(token_cache, "_write_arrays", full)
        assert "is full; free some space" in complaint(run(family, data, cache_dir=cache))
    assert list(cache.iterdir()) == []
    assert run(family, data, cache_dir=cache).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        OSError(errno.ENOSPC, "No space left on device"),
        Exception("No space left on device (os error 28)"),  # as tokenizers raises it
    ],
)
def test_a_disk_that_fills_up(
    family: Family, data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from model_prep.training import trainer

    def full(tensors: Any, file: Path, **more: Any) -> None:
        if file.parent.name == "checkpoint-2":
            raise error
        save_file(tensors, file, **more)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "save_file", full)
        done = run(family, data)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("same command goes on from the last checkpoint")
    again = run(family, data)
    assert "goes on from" in again.stderr
    assert again.exit_code == 0


def test_a_disk_too_small_is_told_before(
    family: Family, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage

    def little(folder: Path) -> Any:
        usage = real(folder)
        return usage._replace(free=10**6) if Path(folder).name == "out" else usage

    monkeypatch.setattr(shutil, "disk_usage", little)
    assert "lower --save_total_limit" in complaint(run(family, data))
    assert not (data.parent / "out" / "log.jsonl").exists()


def test_tensorboard_gets_the_losses(family: Family, data: Path) -> None:
    pytest.importorskip("tensorboard")
    folder = data.parent / "out" / "tensorboard"
    for _ in range(2):  # what an earlier run wrote is gone
        done = run(family, data, resume=False, logging_steps=1, validation=data, eval_steps=2)
        assert done.exit_code == 0, done.output
        (file,) = folder.iterdir()
        events = _events(file)
        assert sorted(events["train/loss"]) == [1, 2]
        assert list(events["eval/loss"]) == [2]
    last = json.loads((data.parent / "out" / "training.json").read_bytes())["report"]["last_loss"]
    assert events["train/loss"][2] == pytest.approx(last)


def _events(file: Path) -> dict[str, dict[int, float]]:
    """Values by tag and step."""
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    read = module.EventAccumulator(str(file))
    read.Reload()
    return {
        tag: {one.step: one.value for one in read.Scalars(tag)} for tag in read.Tags()["scalars"]
    }


@pytest.mark.parametrize("kind", ["pretrain", "sft", "prefer"])
def test_the_options_as_json(kind: str) -> None:
    done = CliRunner().invoke(app, [kind, "--options", "--json"])
    options = {option["name"]: option for option in json.loads(done.stdout)}
    assert options["model"]["required"]
    assert options["seed"]["default"] == 42
