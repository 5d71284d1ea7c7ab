"""kill -9 of merge, convert, export-gguf and sft, on tiny models.

Half of the kills come at a random time, half just before the run changes a file (opens one to
write, renames, makes a folder, removes): those moments are short, and seldom met by chance. After
each kill the output is missing, or it is whole: its bytes are those of a run that was left alone;
of a training run, each checkpoint that it would go on from, and the adapter. What a killed run left
stays for the next one, as it does where the same command is given again. ``--log FILE`` keeps each
kill's outcome, and goes on after those that it holds.
    python -m tests.benchmarks.model_prep.kills [--count 2000] [--seed 0] [--log FILE]
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import model_prep
from model_prep.training.run_folder import last_checkpoint
from tests.model_prep.family import Family, make_family

_WEIGHTS = "adapter_model.safetensors"
_OFTEN = (3, 3, 3, 3, 3, 1)
"""A training run takes as long as many of the others."""
_LONGER = 1.1
"""Times what a run takes: the latest moment of a kill, after some runs have ended."""
_CHANGES = frozenset(
    ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.link")
)
"""Names of audit events (https://docs.python.org/3/library/audit_events.html) of changed files."""


@dataclass(frozen=True)
class Command:
    """A command, and what to say of its output: None where it is missing, whole or goes on."""

    run: Callable[[Path], object]
    fault: Callable[[Path, Path], str | None]
    """Of an output, beside that of a run that was left alone."""


def digest(path: Path) -> dict[str, str]:
    """The hashes of a file or of a folder's files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


def fault_of_output(output: Path, whole: Path) -> str | None:
    if not output.exists() or digest(output) == digest(whole):
        return None
    return f"{output.name} is there and not whole"


def fault_of_training(output: Path, whole: Path) -> str | None:
    """What is wrong with a run's adapter, with its best one, or with where it would go on."""
    right = {_tensors(folder) for folder in [whole, *whole.glob("checkpoint-*")]}
    checkpoint = last_checkpoint(output)
    if checkpoint and _tensors(checkpoint) != _tensors(whole / checkpoint.name):
        return f"{checkpoint.name} is taken for whole and is not"
    for folder in (output, output / "best"):
        if (found := _tensors(folder)) is not None and found not in right:
            return f"{folder.name} opens, and holds other weights"
    manifest = output / "training.json"
    finished = manifest.is_file() and json.loads(manifest.read_bytes())["finished"]
    if finished and (_tensors(output) != _tensors(whole) or not _tensors(output / "best")):
        return "says that it is finished, and is not"
    return None


def _tensors(folder: Path) -> str | None:
    """A hash of an adapter's weights; None where they can't be read."""
    try:
        tensors = load_file(folder / _WEIGHTS)
    except (OSError, SafetensorError):
        return None
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode() + tensors[name].numpy().tobytes())
    return total.hexdigest()


def commands(family: Family, data: Path, meta: Path) -> dict[str, Command]:
    def sft(output: Path) -> None:
        model_prep.sft(
            model=family.base, data=data, validation=data, output_dir=output, lora_rank=4,
            lora_alpha=8, target_modules="q_proj,v_proj", modules_to_save="embed_tokens,lm_head",
            max_steps=6, save_steps=2, gradient_accumulation_steps=1, learning_rate=1e-2,
            save_total_limit=9, use_cpu=True,
        )  # fmt: skip

    both = [family.chinese, family.alpaca]
    output = fault_of_output
    return {
        "merge": Command(lambda to: model_prep.merge(family.base, both, output_dir=to), output),
        "merge to .pth": Command(
            lambda to: model_prep.merge(family.base, both, output_dir=to, output_type="pth"), output
        ),
        "convert to hf": Command(lambda to: model_prep.convert(meta, to), output),
        "convert to meta": Command(
            lambda to: model_prep.convert(family.base, to, to="meta"), output
        ),
        "export-gguf": Command(
            lambda to: model_prep.export_gguf(family.base, to, quantize="q8_0"), output
        ),
        "sft": Command(sft, fault_of_training),
    }


class FileChanges:
    """Counts this process's changes of files below a folder; dies just before a given one."""

    def __init__(self, folder: Path, last: int | None = None) -> None:
        self._folder, self._last, self.count = str(folder), last, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CHANGES or not str(arguments[0]).startswith(self._folder):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def in_child(
    run: Callable[[Path], object],
    output: Path,
    seconds: float | None = None,
    changes: int | None = None,
) -> int:
    """Run in a child of this process, which has everything loaded; return how it ended.

    It is killed after `seconds`, or just before that change of a file beside or in the output.
    """
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            sys.addaudithook(FileChanges(output.parent, changes))
            run(output)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def counted_changes(run: Callable[[Path], object], output: Path) -> int:
    """Run here, and count the changes of files."""
    changes = FileChanges(output.parent)
    sys.addaudithook(changes)  # never taken away again: this folder is used once
    run(output)
    return changes.count


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = options.log.read_text().splitlines() if options.log and options.log.exists() else []
    chance = random.Random(options.seed + len(before))
    killed = Counter(json.loads(line)["command"] for line in before)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["RAG_APP_HOME"] = str(root / "home")
        family = make_family(root)
        data = root / "data.jsonl"
        lines = [{"instruction": f"第{n}题？", "output": f"李白{n}。"} for n in range(8)]
        data.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        meta = root / "meta"
        model_prep.convert(family.base, meta, to="meta")
        known = commands(family, data, meta)
        seconds, changes = {}, {}
        for folder in ("first", "counted", "whole", "out"):  # a GGUF file carries its own name
            (root / folder).mkdir()
        for name, command in known.items():
            command.run(root / "first" / name)  # imports, which no child repeats; caches
            changes[name] = counted_changes(command.run, root / "counted" / name)
            begin = time.perf_counter()
            if in_child(command.run, root / "whole" / name):
                sys.exit(f"{name} fails")
            seconds[name] = time.perf_counter() - begin
        print({name: (round(seconds[name], 2), changes[name]) for name in known}, flush=True)
        while killed.total() < options.count:
            name = chance.choices(list(known), _OFTEN)[0]
            command, output = known[name], root / "out" / name
            moment: dict[str, Any] = (
                {"seconds": round(chance.uniform(0, seconds[name] * _LONGER), 3)}
                if chance.random() < 0.5
                else {"changes": chance.randint(1, changes[name])}
            )
            code = in_child(command.run, output, **moment)
            fault = command.fault(output, root / "whole" / name)
            if fault or code not in {0, -signal.SIGKILL}:
                sys.exit(f"{name} killed at {moment}: {fault or code}")
            if code == 0:
                remove(output)
                continue
            killed[name] += 1
            if name != "sft" and output.exists():
                remove(output)
            if options.log:
                with options.log.open("a") as log:
                    log.write(json.dumps({"command": name, **moment}) + "\n")
            if killed.total() % 50 == 0:
                print(f"{killed.total()} {dict(killed)}", flush=True)
    print(f"{killed.total()} kills, nothing that looks whole and is not: {dict(killed)}")


if __name__ == "__main__":
    main()
