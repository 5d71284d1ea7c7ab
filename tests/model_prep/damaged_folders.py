"""Folders of tiny models, damaged at random, and what the commands say of them.

``python -m tests.model_prep.damaged_folders 500`` tries that many and prints what is unexpected.
"""

import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_prep.errors import ModelPrepError
from model_prep.gguf.exporter import export_gguf
from model_prep.lora.merge import merge
from model_prep.verify.verify import verify
from tests.model_prep.family import Family, make_family
from tests.model_prep.seeds import try_seeds

_ODD: list[Any] = [
    None, True, -1, 0, 3, 10**9, 10**30, 0.5, float("inf"), float("nan"), "", "x", "(", "\ud800",
    [], [1], [None], ["q_proj"], {}, {"a": 1}, [[[]]],
]  # fmt: skip


def damage(folder: Path, chance: random.Random) -> str:
    """Change a folder's files in one way, and say in which."""
    file = chance.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    data = file.read_bytes()
    kinds: dict[str, Callable[[], object]] = {
        "delete": file.unlink,
        "empty": lambda: file.write_bytes(b""),
        "cut": lambda: file.write_bytes(data[: chance.randrange(len(data))]),
        "flip": lambda: file.write_bytes(_flipped(data, chance)),
        "begin": lambda: file.write_bytes(_flipped(data[:64], chance) + data[64:]),
        "replace": lambda: file.write_bytes(chance.randbytes(300)),
        "folder": lambda: _make_folder(file),
        "pointer": lambda: file.write_text("version https://git-lfs.github.com/spec/v1\nsize 1\n"),
        "nested": lambda: file.write_bytes(b"[" * 100_000),
    }
    if file.suffix == ".json":
        kinds = {"json": lambda: _change_json(file, chance)} if chance.random() < 0.8 else kinds
    name = chance.choice(sorted(kinds))
    kinds[name]()
    return f"{name} {file.name}"


def _make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _change_json(file: Path, chance: random.Random) -> None:
    content = json.loads(file.read_bytes())
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = chance.choice(keys)
        if not isinstance(place[key], dict | list) or chance.random() < 0.5:
            place[key] = chance.choice(_ODD)
            break
        place = place[key]
    file.write_text(json.dumps(content), encoding="utf-8")


def outcome(family: Family, folder: Path, seed: int) -> str:
    """Damage a copy of base or adapter, and run a command on it."""
    chance = random.Random(seed)
    base = Path(shutil.copytree(family.base, folder / "base"))
    lora = Path(shutil.copytree(chance.choice([family.sft, family.chinese]), folder / "lora"))
    damaged = chance.choice([base, lora])
    what = damage(damaged, chance)
    commands: list[Callable[[], object]] = [
        lambda: merge(base, [lora], output_dir=folder / "out"),
        lambda: verify(damaged),
    ]
    if damaged == base:
        commands.append(lambda: export_gguf(base, folder / "out.gguf"))
    try:
        chance.choice(commands)()
    except ModelPrepError as error:
        left = [path.name for path in folder.iterdir() if path.name.startswith("out")]
        if "\n" in str(error) or left:
            return f"wrong: {what}: {error} {left}"
        return f"refused: {what}: {error}"
    except Exception as error:  # a traceback is what is looked for
        return f"wrong: {what}: {type(error).__name__}: {error}"
    return f"done: {what}"


if __name__ == "__main__":
    try_seeds(sys.argv[1:], make_family, outcome, ("done", "refused"))
