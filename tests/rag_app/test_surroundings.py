"""How many cores a process has to work on."""

import os

import pytest

from rag_app.surroundings import affinity, free_cores, physical_cores


def test_there_is_a_core() -> None:
    assert 1 <= free_cores() <= physical_cores()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_process_that_is_bound_uses_its_cores() -> None:
    before = affinity()
    assert before
    os.sched_setaffinity(0, [min(before)])
    try:
        assert physical_cores() == free_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
