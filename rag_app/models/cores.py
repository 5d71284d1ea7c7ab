"""Cores to work on: those of this process, and those that nobody else keeps busy."""

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_LOAD = Path("/proc/loadavg")


def physical_cores() -> int:
    """Return the number of physical cores this process may use; hyper-threads don't help here."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return _count(usable) or len(usable or ()) or os.cpu_count() or 1


def free_cores() -> int:
    """Return the number of physical cores to work on, at least one.

    Threads that work on one product wait for the slowest of them, so one that has to share its core
    stops all. What is taken is what the load average of the last minute and the number of processes
    that run now agree on: the first alone still counts a command that has just ended.
    """
    everywhere = _count(None) or os.cpu_count() or 1
    return max(1, min(physical_cores(), everywhere - _taken()))


def _count(usable: set[int] | None) -> int:
    """Return the number of physical cores behind ``usable``, or of the machine; 0: unknown."""
    try:
        return len(
            {
                siblings.read_text(encoding="utf-8")
                for siblings in _CPUS.glob("cpu[0-9]*/topology/core_cpus_list")
                if usable is None or int(siblings.parent.parent.name[3:]) in usable
            }
        )
    except (OSError, ValueError):
        return 0


def _taken() -> int:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    try:
        running = int(_LOAD.read_text(encoding="utf-8").split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return round(load)
    return min(round(load), running)
