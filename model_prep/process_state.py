"""Process-wide state of PyTorch and transformers, changed for a while and then put back."""

import warnings as python_warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw random numbers from ``seed`` on all devices; other code's numbers go on afterwards.

    Args:
        seed: None: nothing is changed, and numbers are drawn from PyTorch's present state.

    Example:
        >>> import torch
        >>> with seeded(7):
        ...     first = torch.rand(3)
        >>> with seeded(7):
        ...     second = torch.rand(3)
        >>> torch.equal(first, second)
        True
    """
    import torch

    if seed is None:
        yield
        return
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of threads of each operation of PyTorch."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def import_sentence_transformers() -> None:
    """Import it without the warnings of libraries that it imports, of their own deprecations."""
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        import sentence_transformers  # noqa: F401


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Switch off the progress bars of the hub's client."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    put_back = disable_progress_bars if are_progress_bars_disabled() else enable_progress_bars
    disable_progress_bars()
    try:
        yield
    finally:
        put_back()


@contextmanager
def quiet_transformers(*, warnings: bool = True) -> Iterator[None]:
    """Switch off the progress bars of transformers and of the hub's client.

    Args:
        warnings: False switches off transformers' warnings too, and leaves its errors.
    """
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with quiet_hub():
        logging.disable_progress_bar()
        if not warnings:
            logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
