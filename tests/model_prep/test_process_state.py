"""Process-wide state: what works with models leaves it as it was. And what limits a process."""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model_prep.control_groups import core_limit, free_memory
from model_prep.gguf.exporter import export_gguf
from model_prep.gguf.importer import import_gguf
from model_prep.inference.generate import generate, load_model
from model_prep.lora.merge import merge
from model_prep.process_state import quiet_transformers, seeded, torch_threads
from tests.model_prep.family import Family
from tests.model_prep.tiny_qwen2 import make_qwen2


def state() -> dict[str, Any]:
    import torch
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled
    from transformers.utils import logging as transformers

    return {
        "random": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "level": logging.getLogger("transformers").level,
        "bars": transformers.is_progress_bar_enabled(),
        "hub's bars": not are_progress_bars_disabled(),
    }


def answer(family: Family, folder: Path) -> Callable[[], Any]:
    def work() -> None:
        model = load_model(family.base, lora_models=[family.chinese], only_cpu=True)
        assert generate(model, ["李白"], with_prompt=True)

    return work


def merging(family: Family, folder: Path) -> Callable[[], Any]:
    return lambda: merge(family.base, [family.chinese], output_dir=folder / "merged")


def importing(_family: Family, folder: Path) -> Callable[[], Any]:
    exported = export_gguf(make_qwen2(folder / "qwen2", ["唐代诗人 the quick brown fox"] * 9))
    return lambda: import_gguf(exported.path, folder / "imported")


@pytest.fixture(params=[True, False])
def bars(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Progress bars of transformers, on and off."""
    from transformers.utils import logging as transformers

    before: Any = transformers.is_progress_bar_enabled()
    switches: Any = (transformers.disable_progress_bar, transformers.enable_progress_bar)
    switches[request.param]()
    yield request.param
    switches[before]()


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [answer, merging, importing])
def test_work_with_models_leaves_the_process_as_it_was(
    prepare: Callable[[Family, Path], Callable[[], Any]], family: Family, tmp_path: Path
) -> None:
    work = prepare(family, tmp_path)
    before = state()
    work()
    assert state() == before


def test_state_is_put_back_after_an_error(bars: bool) -> None:
    before = state()

    def fail() -> None:
        with seeded(1), torch_threads(before["threads"] + 1), quiet_transformers(warnings=False):
            changed = state()
            assert not changed["bars"]
            assert not changed["hub's bars"]
            assert all(changed[name] != before[name] for name in ("random", "threads", "level"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before
    assert before["bars"] is bars


def test_no_seed_draws_on() -> None:
    import torch

    torch.manual_seed(3)
    both = torch.rand(2)
    torch.manual_seed(3)
    with seeded(None):
        first = torch.rand(1)
    assert torch.equal(torch.cat([first, torch.rand(1)]), both)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, math.inf),
        ("0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ("0::/a", {"cpu.max": "400000 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/docker/its-own-root", {"cpu.max": "100000 100000"}, 1),
        (
            "3:cpu,cpuacct:/a\n2:cpuset:/\n0::/",
            {"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        (
            "1:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
        ("0::/", {}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_cores(groups: str, files: dict[str, str], cores: float, tmp_path: Path) -> None:
    write(tmp_path, {"groups": groups, **files})
    assert core_limit(tmp_path / "groups", tmp_path) == cores
    assert core_limit(tmp_path / "none", tmp_path) == math.inf


STAT = "anon 900\ninactive_file 200\nactive_file 100\n"
FIRST_STAT = "inactive_file 7\ntotal_inactive_file 30\ntotal_active_file 20\n"


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("0::/", {"memory.max": "2000", "memory.current": "1200", "memory.stat": STAT}, 1100),
        ("0::/", {"memory.max": "max", "memory.current": "1200", "memory.stat": STAT}, math.inf),
        ("0::/a", {"memory.max": "900", "memory.current": "950", "memory.stat": "anon 950"}, 0),
        (
            "4:memory:/a\n0::/\n",
            {
                "memory/a/memory.limit_in_bytes": "500\n",
                "memory/a/memory.usage_in_bytes": "400\n",
                "memory/a/memory.stat": FIRST_STAT,
            },
            150,
        ),
        ("0::/", {}, math.inf),
    ],
)
def test_memory(groups: str, files: dict[str, str], free: float, tmp_path: Path) -> None:
    write(tmp_path, {"groups": groups, **files})
    assert free_memory(tmp_path / "groups", tmp_path) == free
