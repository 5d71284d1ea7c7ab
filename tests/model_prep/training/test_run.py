"""Training tiny models: they learn, go on exactly, and shard without losing anything."""

import json
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import model_prep
from model_prep.errors import ModelPrepError, TrainingError
from model_prep.inference.generate import generate, load_model
from model_prep.inference.sampling import Sampling
from model_prep.lora.merge import merge
from model_prep.output import locked
from model_prep.training.run import train
from model_prep.training.run_folder import last_checkpoint
from model_prep.training.settings import PretrainSettings, SftSettings, make_settings
from tests.model_prep.family import Family, state_of
from tests.model_prep.tiny_llama import make_llama
from tests.model_prep.training.ranks import run_ranks
from tests.tokenizers import Tokenizers

TARGETS = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
DEEPSPEED = pytest.mark.skipif(
    find_spec("deepspeed") is None or shutil.which("c++") is None,
    reason="needs DeepSpeed, which on a CPU compiles a part of itself: pip install deepspeed",
)
SHARDINGS = [
    pytest.param([], id="ddp"),
    pytest.param(["--fsdp"], id="fsdp"),
    pytest.param(["--deepspeed=zero2"], id="zero2", marks=DEEPSPEED),
    pytest.param(["--deepspeed=zero3"], id="zero3", marks=DEEPSPEED),
]
pytestmark = pytest.mark.usefixtures("one_thread")
MORE = ("长江有多长？", "长江全长六千三百公里。")
TAUGHT = [("李白是谁？", "李白是唐代诗人。"), ("洗衣机保修多久？", "保修期为三年。")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "指令.jsonl"
    pairs = [(f"第{n}题：{'the quick ' * (n % 4)}？", f"李白{n}。") for n in range(24)]
    lines = [{"instruction": asked, "output": said} for asked, said in pairs]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


def options(family: Family, data: Path, output: Path, **more: Any) -> dict[str, Any]:
    return {
        "model": family.base, "data": data, "output_dir": output, "lora_rank": 4, "lora_alpha": 8,
        "lora_dropout": 0.1, "target_modules": "q_proj,v_proj", "packing": False,
        "modules_to_save": "embed_tokens,lm_head", "max_steps": 6, "learning_rate": 3e-3,
        "gradient_accumulation_steps": 2, "logging_steps": 1, "save_steps": 3, **more,
    }  # fmt: skip


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in log_of(folder) if "loss" in line]


def sft(values: dict[str, Any]) -> Any:
    return model_prep.sft(**values)


def arguments_of(values: dict[str, Any], *more: str) -> list[str]:
    return ["--debug", "sft", *(f"--{name}={value}" for name, value in values.items()), *more]


def in_processes(values: dict[str, Any], *more: str) -> None:
    run_ranks(arguments_of(values, *more), values["output_dir"].with_suffix(".said"))


def wait_for_losses(run: "subprocess.Popen[str]", folder: Path, count: int) -> None:
    deadline = time.monotonic() + 600
    while not (folder / "log.jsonl").is_file() or len(losses(folder)) < count:
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_exactly(family: Family, data: Path, tmp_path: Path) -> None:
    whole = sft(options(family, data, tmp_path / "whole"))
    assert whole.finished
    cut = tmp_path / "cut"
    again = options(family, data, cut)
    line = [f"--{name}={value}" for name, value in again.items()]
    slow = [sys.executable, "-c", SLOW, "sft", *line]
    done = 1
    for kind, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
        with subprocess.Popen(slow, stderr=subprocess.PIPE, text=True) as run:
            wait_for_losses(run, cut, done + 1)
            run.send_signal(kind)
            _, said = run.communicate(timeout=120)
        assert run.returncode == code, said
        assert "same command goes on" in said
        done = len(losses(cut))
        assert done < 6
    assert sft(again).finished
    assert losses(cut) == losses(tmp_path / "whole")
    ours, theirs = (
        (one / "adapter_model.safetensors").read_bytes() for one in (cut, tmp_path / "whole")
    )
    assert ours == theirs
    assert sft(again).steps == 6  # finished already: nothing is done
    with pytest.raises(TrainingError, match="learning_rate"):
        sft(again | {"learning_rate": 1e-3})


SLOW = """
import runpy, time
from model_prep.training.callbacks import TrainingLogCallback
step_end = TrainingLogCallback.on_step_end
def slowly(self, args, state, control, **kwargs):
    time.sleep(0.5 if state.global_step < 2 else 2)  # to be interrupted after the second
    return step_end(self, args, state, control, **kwargs)
TrainingLogCallback.on_step_end = slowly
runpy.run_module("model_prep", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("sharding", SHARDINGS)
def test_two_processes_learn_as_one(
    family: Family, data: Path, tmp_path: Path, sharding: list[str]
) -> None:
    common = {"lora_dropout": 0.0, "validation": data}
    one, two = tmp_path / "one", tmp_path / "two"
    alone = sft(options(family, data, one, **common))
    shared = options(family, data, two, **common, gradient_accumulation_steps=1)
    in_processes(shared, *sharding)
    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    (last,) = (line for line in log_of(two) if line["step"] == 6 and "eval_loss" in line)
    assert last["eval_loss"] == pytest.approx(alone.eval_loss, abs=1e-4)
    before, expected = state_of(two), state_of(one)
    assert {name: value.shape for name, value in before.items()} == {
        name: value.shape for name, value in expected.items()
    }
    assert all(bool((before[name] - expected[name]).abs().max() < 1e-5) for name in before)
    if sharding:  # it goes on exactly too
        log = losses(two)
        shutil.rmtree(two / "checkpoint-6")
        unfinished(two)
        in_processes(shared, *sharding)
        assert losses(two) == log
        after = state_of(two)
        assert all(bool((before[name] == after[name]).all()) for name in before)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", SHARDINGS[2:])
def test_deepspeed_keeps_full_precision_of_an_adapter(
    family: Family, data: Path, tmp_path: Path, sharding: list[str]
) -> None:
    import torch

    new = dict.fromkeys(("lora_rank", "lora_alpha", "lora_dropout", "target_modules"))
    half = {**new, "modules_to_save": None, "adapter": family.alpaca, "dtype": "bfloat16"}
    one, two = tmp_path / "one", tmp_path / "two"
    sft(options(family, data, one, **half))
    half |= {"gradient_accumulation_steps": 1}
    given = options(family, data, two, **half).items()
    in_processes({name: value for name, value in given if value is not None}, *sharding)
    assert losses(two) == pytest.approx(losses(one), abs=0.02)
    saved = state_of(two)
    assert {name: value.shape for name, value in saved.items()} == {
        name: value.shape for name, value in state_of(one).items()
    }
    assert {value.dtype for value in saved.values()} == {torch.float32}
    assert any(bool((value != value.bfloat16()).any()) for value in saved.values())


@pytest.mark.slow
@pytest.mark.parametrize("sharding", [SHARDINGS[0], SHARDINGS[3]])
def test_interrupted_processes_go_on_or_begin_anew(
    family: Family, data: Path, tmp_path: Path, sharding: list[str]
) -> None:
    cut, begun = tmp_path / "cut", {"gradient_accumulation_steps": 1}
    steps = 12
    long = options(family, data, cut, **begun, max_steps=steps, save_steps=steps)
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    command = [*torchrun, str(slow), *arguments_of(long, *sharding)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        wait_for_losses(run, cut, 2)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=120)
    assert run.returncode, said
    (checkpoint,) = cut.glob("checkpoint-*")
    assert checkpoint.name == f"checkpoint-{len(losses(cut))}" != f"checkpoint-{steps}", said
    half = cut / "checkpoint-1000"
    half.mkdir()
    log = losses(cut)
    in_processes(long, *sharding)
    assert losses(cut)[: len(log)] == log
    assert len(losses(cut)) == steps
    assert not half.exists()
    short = options(family, data, cut, **begun)
    in_processes(short, *sharding, "--resume=false")
    assert len(losses(cut)) == 6
    assert not (cut / f"checkpoint-{steps}").exists()


def unfinished(folder: Path) -> None:
    """Have a run look as if it had been killed."""
    manifest = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    text = json.dumps({**manifest, "finished": False})
    (folder / "training.json").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_half_a_checkpoint_is_passed_over(family: Family, data: Path, tmp_path: Path) -> None:
    run = options(family, data, tmp_path / "out")
    sft(run)
    log = losses(tmp_path / "out")
    checkpoint = tmp_path / "out" / "checkpoint-6"
    whole = shutil.copytree(checkpoint, tmp_path / "whole")
    said: list[str] = []
    # A run goes on with the tokenizer that it was told, and has written it again beside these.
    read = {one.name for one in whole.iterdir()} - {"exact_llama.py", "tokenizer.model"}
    for name in sorted(read):
        shutil.rmtree(checkpoint)
        shutil.copytree(whole, checkpoint)
        assert last_checkpoint(tmp_path / "out") == checkpoint
        (checkpoint / name).write_bytes((whole / name).read_bytes()[:100])
        assert last_checkpoint(tmp_path / "out") == tmp_path / "out" / "checkpoint-3", name
    (checkpoint / "trainer_state.json").unlink()
    unfinished(tmp_path / "out")
    assert train(make_settings(SftSettings, run), note=said.append).finished
    assert said[-1].endswith("checkpoint-3")
    assert losses(tmp_path / "out") == log


@pytest.mark.slow
def test_an_adapter_is_gone_on_with(family: Family, data: Path, tmp_path: Path) -> None:
    new = dict.fromkeys(("lora_rank", "lora_alpha", "lora_dropout", "target_modules"))
    run = options(family, data, tmp_path / "out", **new, adapter=family.alpaca)
    run |= {"modules_to_save": None, "validation": data, "gradient_checkpointing": True}
    report = sft({**run, "eval_steps": 4})
    measured = [one["step"] for one in log_of(tmp_path / "out") if "eval_loss" in one]
    assert measured == [4, 6]
    assert report.last_loss < report.first_loss
    assert report.eval_perplexity
    assert (tmp_path / "out" / "best" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "out" / "loss.png").read_bytes().startswith(b"\x89PNG")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"]) == (64, 128)
    # PEFT's own file has the embeddings three times.
    before, after = state_of(family.alpaca), state_of(tmp_path / "out")
    assert {name: one.shape for name, one in after.items()} == {
        name: one.shape for name, one in before.items() if "module" not in name
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nowhere"}, "no tokenizer|does not exist"),
        ({"data": "nowhere"}, "does not exist"),
        ({"target_modules": "nothing"}, "does not fit"),
        ({"target_modules": "q_proj,nothing"}, "no module nothing"),
        ({"modules_to_save": "nothing"}, "no module nothing; it has .*embed_tokens"),
        ({"quantize": "4bit"}, "GPU"),
        ({"learning_rate": 1e30, "max_grad_norm": 0}, "(the loss|a trained weight) is .* at step"),
    ],
)
def test_what_cannot_be_trained(
    family: Family, data: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    from model_prep.errors import ModelPrepError

    with pytest.raises(ModelPrepError, match=said):
        sft(options(family, data, tmp_path / "out") | change)


def test_no_two_processes_share_a_gpu(
    family: Family, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(TrainingError, match=r"3 processes.* 2 GPUs .*--nproc_per_node 2"):
        sft(options(family, data, tmp_path / "out"))


def test_a_folder_with_something_else_is_left_alone(
    family: Family, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "论文.txt").write_text("x", encoding="utf-8")
    with pytest.raises(TrainingError, match="something else"):
        sft(options(family, data, tmp_path / "out"))
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["论文.txt"]


@pytest.mark.slow
def test_the_whole_road(tokenizers: Tokenizers, tmp_path: Path) -> None:
    """Pre-train, merge, tune, go on tuning, merge, verify, and ask."""
    from model_prep.verify.verify import verify
    from rag_app.models.registry import load_llm
    from rag_app.settings import load_settings

    llama = make_llama(tmp_path / "llama", tokenizers.llama, dtype="float32")
    (llama / "chat_template.jinja").unlink()
    chinese, alpaca = tokenizers.chinese_llama.parent, tokenizers.alpaca.parent
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "诗人.txt").write_text("".join(said for _, said in TAUGHT) * 20, encoding="utf-8")
    lora = {"lora_rank": 8, "lora_alpha": 32, "target_modules": TARGETS, "logging_steps": 1}
    lora |= {"modules_to_save": "embed_tokens,lm_head", "gradient_accumulation_steps": 1}
    pretrained = train(
        make_settings(
            PretrainSettings,
            {
                "model": llama, "tokenizer": chinese, "data": texts, "learning_rate": 1e-2,
                "max_length": 128, "max_steps": 25, "output_dir": tmp_path / "pretrained", **lora,
            },
        )
    )  # fmt: skip
    assert pretrained.last_loss is not None
    assert pretrained.first_loss is not None
    assert pretrained.last_loss < pretrained.first_loss / 2
    base = tmp_path / "chinese-llama"
    merge(llama, [tmp_path / "pretrained"], output_dir=base, dtype="float32")
    greedy = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=30)

    def tuned(name: str, pairs: list[tuple[str, str]], **adapter: Any) -> Path:
        """Tune until the answers come out, each as it was taught."""
        instructions, output = tmp_path / f"{name}.jsonl", tmp_path / name
        lines = [{"instruction": asked, "output": said} for asked, said in pairs]
        instructions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        run = {
            "model": base, "tokenizer": alpaca, "data": instructions, "output_dir": output,
            "learning_rate": 3e-3, "max_length": 128, "max_steps": 200, **adapter,
        }  # fmt: skip
        report = sft(run)
        assert report.last_loss is not None
        assert report.last_loss < report.first_loss / 10
        model = load_model(base, lora_models=[output], only_cpu=True)
        answers = generate(model, [one for one, _ in pairs], with_prompt=True, sampling=greedy)
        assert [one.output.strip() for one in answers] == [said for _, said in pairs]
        return output

    first = tuned("first", TAUGHT, **lora)
    second = tuned("second", [*TAUGHT, MORE], adapter=first, gradient_accumulation_steps=1)
    done = tmp_path / "alpaca"
    merge(base, [second], output_dir=done, dtype="float32")
    assert verify(done).passed
    llm = load_llm(load_settings(llm=str(done), temperature=0.0))
    assert llm.invoke(MORE[0]).text.strip() == MORE[1]


@pytest.mark.slow
def test_what_is_no_number_ends_the_run_with_the_last_checkpoint(
    family: Family, data: Path, tmp_path: Path
) -> None:
    """At the step itself, though nothing of it is logged, and nothing that is no number is kept."""
    out = tmp_path / "out"
    values = options(family, data, out, logging_steps=100, save_steps=1, max_steps=8)
    values |= {"learning_rate": 1e25, "optim": "sgd", "max_grad_norm": 0, "warmup_steps": 0}
    with pytest.raises(TrainingError, match=r"not finite at step \d; the last checkpoint is kept"):
        sft(values)
    assert not (out / "adapter_model.safetensors").exists()
    for checkpoint in out.glob("checkpoint-*"):
        assert all(bool(tensor.isfinite().all()) for tensor in state_of(checkpoint).values())


@pytest.mark.slow
def test_the_best_and_the_checkpoints_can_be_merged(
    family: Family, data: Path, tmp_path: Path
) -> None:
    values = options(family, data, tmp_path / "out", validation_split=0.3, tokenizer=family.alpaca)
    sft(values)
    for number, name in enumerate((".", "best", "checkpoint-3", "checkpoint-6")):
        folder = tmp_path / "out" / name
        report = merge(family.base, [folder], output_dir=tmp_path / f"merged-{number}")
        assert report.vocabulary == 314


@pytest.mark.slow
def test_going_on_with_an_adapter_and_saying_its_options(
    family: Family, data: Path, tmp_path: Path
) -> None:
    sft(options(family, data, tmp_path / "first"))
    notes: list[str] = []
    values = options(family, data, tmp_path / "second", adapter=tmp_path / "first")
    del values["lora_rank"]
    model_prep.sft(**{**values, "lora_dropout": 0.05, "dtype": "float16"}, note=notes.append)
    assert any(
        "--lora_dropout 0.05 is passed over: the adapter's own is 0.1" in said for said in notes
    )
    assert any("float16 is float32 on a CPU" in said for said in notes)
    with pytest.raises(
        TrainingError, match=r"--lora_rank is for a new adapter.*\(4\); leave it out"
    ):
        sft({**values, "lora_rank": 9})


def test_two_runs_do_not_share_a_folder(family: Family, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with locked(folder), pytest.raises(TrainingError, match="another run is training in"):
        sft(options(family, data, folder))
    assert not [*folder.iterdir()]


@pytest.mark.slow
def test_overwriting_trains_anew(family: Family, data: Path, tmp_path: Path) -> None:
    values = options(family, data, tmp_path / "out", max_steps=1)
    for seed in (11, 22):
        assert sft({**values, "seed": seed, "resume": False}).steps == 1
    again = {**values, "seed": 22, "max_steps": 2, "logging_steps": 9}
    assert sft({**again, "resume": False}).steps == 2
    assert sft(again).steps == 2  # as it was, though the log has fewer


@pytest.mark.slow
def test_noise_a_floor_of_the_rate_and_an_early_end(
    family: Family, data: Path, tmp_path: Path
) -> None:
    values = options(
        family, data, tmp_path / "out", neftune_noise_alpha=5, validation_split=0.3, eval_steps=1,
        lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs='{"min_lr_rate": 0.5}',
        warmup_steps=0, early_stopping_patience=1, max_steps=40, learning_rate=1e-9,
    )  # fmt: skip
    with pytest.raises(TrainingError, match="needs data to measure"):
        sft({**values, "validation_split": 0.0})
    report = sft({**values, "output_dir": tmp_path / "stopped"})
    assert report.finished
    assert report.steps < 40  # at such a rate nothing gets better for long
    rates = [line["learning_rate"] for line in log_of(tmp_path / "stopped") if "loss" in line]
    assert min(rates) >= 0.5e-9


@pytest.mark.parametrize(
    ("method", "said"),
    [("fp8", "is quantized \\(fp8"), ("gptq", "is quantized \\(gptq"), (None, "as F8_E4M3")],
)
def test_rounded_weights_are_not_trained_on(
    family: Family, data: Path, tmp_path: Path, method: str | None, said: str
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(family.base, base)
    if method:
        config = json.loads((base / "config.json").read_text())
        config["quantization_config"] = {"quant_method": method, "bits": 4}
        (base / "config.json").write_text(json.dumps(config))
    else:
        file = base / "model.safetensors"
        tensors = load_file(file)
        rounded = {
            name: tensor.to(torch.float8_e4m3fn)
            for name, tensor in tensors.items()
            if name.endswith("proj.weight")
        }
        save_file({**tensors, **rounded}, file, {"format": "pt"})
    values = {**options(family, data, tmp_path / "out"), "model": base}
    with pytest.raises(ModelPrepError, match=said):
        sft(values)
    assert not (tmp_path / "out" / "adapter_model.safetensors").exists()
