"""Process-wide state: proxies, and what PyTorch and transformers have, changed for a while."""

import os
import warnings as python_warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def spare_loopback(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let HTTP clients reach this machine directly, whatever proxies the environment names.

    Without a proxy nothing is set: where ``NO_PROXY`` is, that of the system is no longer looked
    for.

    Example:
        >>> environment = {"HTTP_PROXY": "http://10.0.0.1:7890", "NO_PROXY": "intranet"}
        >>> spare_loopback(environment)
        >>> environment["NO_PROXY"]
        'intranet,localhost,127.0.0.1,::1'
    """
    if not any(environment.get(form) for name in _PROXIES for form in (name, name.upper())):
        return
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host for host in (part.strip() for part in named.split(",")) if host]
    if "*" not in hosts:
        hosts += [host for host in _LOOPBACK if host not in hosts]
    # Some clients read the one, some the other.
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)


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
