"""Ray itself: started on this machine for a run, or that of a cluster; quiet in either case."""

import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from model_prep.errors import first_line
from rag_app.errors import ClusterError

_STARTS = 2
"""Tries to start it: it gives itself half a minute, in which a busy machine may not manage."""
_STORE_BYTES = 512 * 2**20  # shared memory for a Ray of this machine; more goes to disk
_QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # of workers that died, on stdout
    "RAY_USAGE_STATS_ENABLED": "0",
}
_HERE = {
    # How Ray keeps to localhost on the systems where that is its habit.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",  # to be used by this process only
    "RAY_worker_niceness": "0",
}
"""Variables of a Ray that is started here; like the others they are read when Ray is imported."""


@contextmanager
def connected(address: str | None, workers: int) -> Iterator[None]:
    """Have Ray initialized, and end what was started for it; what is initialized is used as it is.

    Args:
        address: A cluster's; else that of ``RAY_ADDRESS``, else Ray is started here: it listens
            on localhost, to this process only.
        workers: Cores of a Ray that is started here.

    Raises:
        ClusterError: Ray is not installed, can't be reached, or failed.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    settings = dict(_QUIET)
    if not address and "ray" not in sys.modules:  # else it has a token of its own, by default
        settings |= _HERE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    ray = _imported()
    if ray.is_initialized():
        with _ray_errors():
            yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with ExitStack() as stack:
        local: dict[str, Any] = {}
        if address is None:
            local = {
                "num_cpus": workers,
                "object_store_memory": _STORE_BYTES,
                "include_dashboard": False,
                "_temp_dir": stack.enter_context(TemporaryDirectory(prefix="ray-")),
            }
        stack.callback(ray.shutdown)
        _start(ray, address or "local", tries=1 if address else _STARTS, **quiet, **local)
        with _ray_errors():
            yield


def _start(ray: Any, address: str, *, tries: int, **options: Any) -> None:
    before = {process.pid for process in psutil.Process().children()}
    try:
        with _silenced_stderr():
            ray.init(address=address, **options)
    except Exception as error:  # of many kinds, none of them documented
        for process in psutil.Process().children():
            if process.pid not in before:
                process.kill()
        if tries > 1:
            _start(ray, address, tries=tries - 1, **options)
            return
        msg = f"there is no Ray at {address} that can be used ({first_line(error)})"
        if address == "local":
            msg = f"Ray can't be started here ({first_line(error)}); try again when less is running"
        raise ClusterError(msg) from error


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Keep what is not Python's off stderr: it says at which level it will log."""
    stderr = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _imported() -> Any:
    try:
        import ray.data
    except ImportError as error:
        msg = f"--engine ray needs {error.name}; run: pip install 'rag-app[cluster]'"
        raise ClusterError(msg) from error
    # It logs each run and each worker that died; what matters is in the report.
    log = logging.getLogger("ray.data")
    log.handlers = [
        handler for handler in log.handlers if not isinstance(handler, logging.StreamHandler)
    ]
    return ray


@contextmanager
def _ray_errors() -> Iterator[None]:
    """Show what is wrong with Ray itself as one line."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "ray":
            raise
        msg = f"Ray failed ({first_line(error)}); what is indexed stays, run the same command again"
        raise ClusterError(msg) from error
