"""The arithmetic of merging, against FACTS' formula written plainly."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_prep.lora.arithmetic import LowRankUpdate, add_low_rank
from model_prep.process_state import torch_threads


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with torch_threads(1):
        yield


def plainly(weight: torch.Tensor, updates: list[LowRankUpdate]) -> torch.Tensor:
    weight = weight.clone()
    for update in updates:
        product = update.lora_b.float() @ update.lora_a.float()
        weight += product * (update.lora_alpha / update.divisor)
    return weight


def random_updates(
    shape: tuple[int, int], ranks: list[tuple[int, float]], dtype: torch.dtype
) -> list[LowRankUpdate]:
    return [
        LowRankUpdate(
            lora_a=(torch.randn(rank, shape[1]) * 0.05).to(dtype),
            lora_b=(torch.randn(shape[0], rank) * 0.05).to(dtype),
            lora_alpha=alpha,
            divisor=rank,
        )
        for rank, alpha in ranks
    ]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 700),
    columns=st.integers(1, 300),
    ranks=st.lists(
        st.tuples(st.sampled_from([1, 2, 8, 12, 64]), st.floats(0.5, 200)), min_size=1, max_size=3
    ),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
    factors=st.sampled_from([torch.float16, torch.float32]),
    seed=st.integers(0, 2**31),
)
def test_bit_for_bit_the_plain_formula(
    rows: int,
    columns: int,
    ranks: list[tuple[int, float]],
    dtype: torch.dtype,
    factors: torch.dtype,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    weight = (torch.randn(rows, columns) * 0.02).to(dtype)
    updates = random_updates((rows, columns), ranks, factors)
    expected = plainly(weight, updates)
    add_low_rank(weight, updates)
    assert torch.equal(weight, expected)


@pytest.mark.slow
def test_bit_for_bit_at_the_size_of_7b() -> None:
    torch.manual_seed(0)
    weight = (torch.randn(11008, 4096) * 0.02).half()
    updates = random_updates((11008, 4096), [(8, 32), (64, 128)], torch.float16)
    expected = plainly(weight, updates)
    add_low_rank(weight, updates)
    assert torch.equal(weight, expected)


def test_it_is_rounded_after_each() -> None:
    """Two halves of a step of float16 vanish one by one, and would not together."""
    weight = torch.ones(1, 1, dtype=torch.float16)
    half_a_step = LowRankUpdate(torch.ones(1, 1), torch.tensor([[2.0**-11]]), 1, 1)
    add_low_rank(weight, [half_a_step, half_a_step])
    assert weight.item() == 1
    add_low_rank(weight, [LowRankUpdate(torch.ones(1, 1), torch.tensor([[2.0**-10]]), 1, 1)])
    assert weight.item() == 1 + 2.0**-10


def test_no_update_changes_nothing() -> None:
    weight = torch.randn(3, 4)
    expected = weight.clone()
    add_low_rank(weight, [])
    assert torch.equal(weight, expected)
