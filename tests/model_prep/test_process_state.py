"""Process-wide state: what works with models leaves it as it was."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
