"""`model-prep sft` against a bare loop of PEFT and transformers' Trainer, both in one run.

Both train the same LoRA on a LLaMA of random weights with the same seed, batches, optimizer, type,
threads and log, in turn, each time in a process of its own. "bare" has our packed rows (ids,
labels, positions) in a list and no callback but a clock, so its ratio is what our reading,
collating and watching cost; equal losses tell that both did the same. "padded" is bare with one
sample in a row, padded to the longest of its batch: what packing gains. On a GPU that has
liger-kernel, "liger" is bare with its kernels. A step is the mean from the
end of the fifth to the end of the last: loading and saving are not in it. Processor time, that of
all threads, tells more than the clock on a machine that does other work too.
    python -m tests.benchmarks.model_prep.training [--rounds 5] [--steps 35] [--threads 1]
    python -m tests.benchmarks.model_prep.training --gpu [--shape 1.5b|7b]   (bfloat16, then 4 bits)
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
from sentencepiece import SentencePieceTrainer
from torch.nn.utils.rnn import pad_sequence

from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer
from model_prep.tokenizer.merge import merge_tokenizer
from model_prep.training.data import load_data
from model_prep.training.encoding import IGNORED
from model_prep.training.model import model_options, tokenizer_of
from model_prep.training.packing import make_sequences
from model_prep.training.run import train
from model_prep.training.settings import SftSettings, make_settings

RATIO_LIMIT, WARM, SAMPLES = 1.03, 5, 1000
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA = {"lora_alpha": 32, "lora_dropout": 0.05, "target_modules": TARGETS}
SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")
SHAPES = {"tiny": (2, 64, 96, 4), "small": (6, 512, 1376, 8)}
SHAPES |= {"1.5b": (24, 2048, 5504, 16), "7b": (32, 4096, 11008, 32)}


@dataclass(frozen=True)
class Job:
    """What one process does."""

    work: str
    folder: str
    shape: str
    device: str
    dtype: str
    batch: int
    length: int
    steps: int
    quantize: str | None = None

    def settings(self, cache: str = "cache", *, packing: bool) -> Any:
        root = Path(self.folder)
        options: dict[str, Any] = {
            "model": root / "model", "data": root / "data.jsonl", "cache_dir": root / cache,
            "output_dir": tempfile.mkdtemp(dir=root), "max_length": self.length, "lora_rank": 8,
            "per_device_train_batch_size": self.batch, "gradient_accumulation_steps": 1,
            "max_steps": self.steps, "save_steps": 10**6, "packing": packing, "dtype": self.dtype,
            "quantize": self.quantize, "use_cpu": self.device == "cpu",
        }  # fmt: skip
        return make_settings(SftSettings, options | LORA)


class Clock(transformers.TrainerCallback):
    """Notes the time at the end of the steps between which is measured."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.marks: list[tuple[float, float]] = []

    def tick(self, step: int) -> None:
        if step in (WARM, self.job.steps):
            if self.job.device == "cuda":
                torch.cuda.synchronize()
            self.marks.append((time.perf_counter(), time.process_time()))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.tick(state.global_step)

    def found(self, loss: float | None, tokens: int = 0) -> dict[str, Any]:
        """Peak memory is PyTorch's of a GPU, and that of the process on a CPU."""
        if self.job.device == "cuda":
            peak = torch.cuda.max_memory_allocated()
        else:
            lines = Path("/proc/self/status").read_text().splitlines()
            peak = 1024 * next(int(one.split()[1]) for one in lines if one.startswith("VmHWM"))
        steps = self.job.steps - WARM
        wall, cpu = ((end - begin) / steps for begin, end in zip(*self.marks, strict=True))
        return {"wall": wall, "cpu": cpu, "loss": loss, "tokens": tokens / steps, "peak": peak}


def ours(job: Job) -> dict[str, Any]:
    clock = Clock(job)
    report = train(job.settings(packing=True), progress=lambda done: clock.tick(done.step))
    return clock.found(report.last_loss)


def bare(job: Job) -> dict[str, Any]:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    clock, padded, lengths = Clock(job), job.work == "padded", list[int]()
    settings = job.settings(packing=not padded)
    data = load_data(settings, tokenizer_of(settings)).train
    rows = [{name: torch.tensor(one) for name, one in data[at].items()} for at in range(len(data))]

    def collate(batch: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        lengths.append(sum(len(row["ids"]) for row in batch))
        ids, labels, positions = ([row[name] for row in batch] for name in data[0])
        more = {"attention_mask": [torch.ones_like(one) for one in ids]}
        made = {"input_ids": ids, "labels": labels}
        made |= more if padded else {"position_ids": positions}
        fill = {"labels": IGNORED}
        return {name: pad_sequence(one, True, fill.get(name, 0)) for name, one in made.items()}

    transformers.set_seed(settings.seed)
    options = model_options(settings)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(settings.model, **options)
    model.config.use_cache = False
    if job.quantize:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, **LORA))
    same = ("max_steps", "learning_rate", "lr_scheduler_type", "warmup_steps", "optim", "seed")
    arguments = transformers.TrainingArguments(
        output_dir=str(settings.output_dir), per_device_train_batch_size=job.batch,
        logging_steps=settings.logging_steps, logging_first_step=True, save_strategy="no",
        report_to="none", disable_tqdm=True, remove_unused_columns=False,
        bf16=job.dtype == "bfloat16", use_cpu=job.device == "cpu",
        dataloader_pin_memory=job.device == "cuda", use_liger_kernel=job.work == "liger",
        **{name: getattr(settings, name) for name in same},
    )  # fmt: skip
    trainer: Any = transformers.Trainer(model, arguments, collate, rows, callbacks=[clock])
    trainer.train()
    losses = [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]
    return clock.found(losses[-1], sum(lengths[WARM : job.steps]))


def make(job: Job) -> dict[str, Any]:
    """Write the model; return what preparing the data takes, as the median of three times."""
    settings = [job.settings(f"cache-{number}", packing=False) for number in range(3)]
    tokenizer, took = load_tokenizer(settings[0].model), []
    sizes: dict[str, Any] = dict(zip(SIZES, SHAPES[job.shape], strict=True))
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, job.dtype))
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), **sizes)
    with torch.device(job.device):  # a CPU draws for minutes at 7B
        model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(settings[0].model)
    del model
    for one in settings:
        begin = time.perf_counter()
        rows = load_data(one, tokenizer).train
        middle = time.perf_counter()
        packed, _ = make_sequences(rows.data, job.length, packing=True)
        took.append((middle - begin, time.perf_counter() - middle))
    seconds = [median(part) for part in zip(*took, strict=True)]
    return {"seconds": seconds, "tokens": rows.tokens, "rows": len(packed)}


def write_data(job: Job, data: Path) -> None:
    """Write instructions, and a tokenizer: of few pieces for a CPU, of Chinese-LLaMA for a GPU."""
    chance, lines = random.Random(0), []
    articles = (data / "news" / "news_2023.txt").read_text(encoding="utf-8").splitlines()
    for text in (chance.choice(articles) for _ in range(SAMPLES)):
        at, size = chance.randrange(200), 10 * (job.length / 20) ** chance.random()
        answer = text[at + 20 :][: int(size)] or "无"  # short ones are more than long ones
        lines.append({"instruction": f"续写下文：{text[at : at + 20]}", "output": answer})
    folder = Path(job.folder) / "model"
    (folder.parent / "data.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    if job.dtype == "bfloat16":
        files = data / "tokenizers"
        chinese = files / "chinese_sp.model"
        merge_tokenizer(files / "llama_tokenizer.model", folder, chinese_sp_model=chinese)
        return
    folder.mkdir()
    texts = [ALPACA_TEMPLATE] * 300 + [text[:800] for text in articles[:300]]
    with (folder / "tokenizer.model").open("wb") as model:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, model_type="bpe", vocab_size=6000,
            byte_fallback=True, normalization_rule_name="identity", minloglevel=2,
            remove_extra_whitespaces=False,
        )  # fmt: skip


def in_a_process(job: Job, threads: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.model_prep.training",
        "--job",
        json.dumps(asdict(job)),
    ]
    more = {"OMP_NUM_THREADS": str(threads), "RAG_APP_HOME": job.folder}
    # glibc would give memory back and take it again at each step, as chance has it: 3 % of a step.
    more |= {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more})
    if done.returncode:
        sys.exit(f"{job} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(job: Job, rounds: int, threads: int) -> None:
    print(
        f"{job.shape}, {job.quantize or job.dtype}, {job.device}: {job.batch} rows of {job.length}"
        f" tokens, {job.steps} steps, {threads} threads, {rounds} rounds"
    )
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "bare": [], "padded": []}
    if job.device == "cuda" and find_spec("liger_kernel"):
        found["liger"] = []
    for number in range(rounds):
        for side in list(found)[:: -1 if number % 2 else 1]:
            found[side].append(in_a_process(replace(job, work=side), threads))
        each = (f"{side} {1000 * runs[-1]['wall']:.1f} ms" for side, runs in found.items())
        print(f"round {number + 1}: {', '.join(each)}", flush=True)
    for name, what in (("wall", "a step"), ("cpu", "processor time of a step")):
        one, two = ([1000 * run[name] for run in found[side]] for side in ("ours", "bare"))
        print(
            f"{what}: ours {median(one):.1f} ms ({min(one):.1f} to {max(one):.1f}),"
            f" bare {median(two):.1f} ms ({min(two):.1f} to {max(two):.1f}),"
            f" median ratio {median(a / b for a, b in zip(one, two, strict=True)):.3f}"
        )
    print(f"limit of the ratio: {RATIO_LIMIT}")
    rates = {}
    for side in found:
        tokens = found["padded" if side == "padded" else "bare"][0]["tokens"]
        rates[side] = tokens / median(run["wall"] for run in found[side])
        peak = median(run["peak"] for run in found[side]) / 1e9
        loss = found[side][-1]["loss"]
        print(f"{side:6} {rates[side]:9,.0f} tokens/s, peak {peak:6.2f} GB, last loss {loss:.4f}")
    print(f"packed against padded: {rates['bare'] / rates['padded']:.2f} x tokens/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--shape", choices=SHAPES)
    for name, default in {"rounds": 5, "steps": 35, "batch": 0, "length": 0, "threads": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--device", choices=("cpu", "cuda"), help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = Job(**json.loads(options.job))
        print(json.dumps({"make": make, "ours": ours}.get(job.work, bare)(job)))
        return
    device = options.device or ("cuda" if options.gpu else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("--gpu needs CUDA, and PyTorch finds none here")
    defaults = ("1.5b", "bfloat16", 4, 1024) if options.gpu else ("small", "float32", 2, 192)
    shape, dtype = options.shape or defaults[0], defaults[1]
    batch, length = options.batch or defaults[2], options.length or defaults[3]
    threads = options.threads or (1 if device == "cpu" else os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="training-") as folder:
        job = Job("make", folder, shape, device, dtype, batch, length, options.steps)
        write_data(job, options.data)
        made = in_a_process(job, threads)
        tokenizing, packing = (1000 * seconds for seconds in made["seconds"])
        print(
            f"{SAMPLES:,} samples of {made['tokens']:,} tokens: tokenized and written in"
            f" {tokenizing:.0f} ms, packed in {packing:.1f} ms into {made['rows']} rows"
        )
        compare(job, options.rounds, threads)
        if options.gpu and (device == "cpu" or find_spec("bitsandbytes") is None):
            print("4 bits are left out: they need CUDA and bitsandbytes")
        elif options.gpu:
            compare(replace(job, quantize="4bit"), options.rounds, threads)


if __name__ == "__main__":
    main()
