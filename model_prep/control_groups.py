"""What Linux's control groups leave a process: so Docker, Kubernetes and systemd limit it."""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")
_CORES = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
"""Files of version 2, and of version 1."""
_MEMORY = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


def core_limit(groups: Path = _GROUPS, mounted: Path = _MOUNTED) -> float:
    """Return how many cores' time this process has; infinity where nothing limits it.

    Args:
        groups: The list of the process's groups.
        mounted: Where they are, of version 2 or of version 1.
    """
    return min(map(_cores, _folders("cpu", groups, mounted)), default=math.inf)


def free_memory(groups: Path = _GROUPS, mounted: Path = _MOUNTED) -> float:
    """Return the bytes that this process may take yet; infinity where nothing limits it.

    Pages of files count as free: they are given back before the limit ends a process.
    """
    return min(map(_memory, _folders("memory", groups, mounted)), default=math.inf)


def _folders(controller: str, groups: Path, mounted: Path) -> Iterator[Path]:
    """Yield the folders of a process's groups, and of all above them.

    A container sees its own group as the root, whatever the list says.
    """
    with suppress(OSError):  # not on Linux
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or controller in controllers.split(","):
                root = mounted / controller if controllers else mounted
                parts = Path(path.lstrip("/")).parts
                yield from (root.joinpath(*parts[:count]) for count in range(len(parts) + 1))


def _cores(group: Path) -> float:
    """Return the limit of one group in cores; infinity where there is none, ``max`` or -1."""
    for names in _CORES:
        with suppress(OSError, ValueError):
            text = " ".join((group / name).read_text(encoding="utf-8") for name in names)
            quota, period = map(int, text.split())
            return quota / period if quota > 0 else math.inf
    return math.inf


def _memory(group: Path) -> float:
    for limit, used, prefix in _MEMORY:
        with suppress(OSError, ValueError):
            names = (limit, used, "memory.stat")
            most, taken, stat = ((group / name).read_text(encoding="utf-8") for name in names)
            held = {name: int(value) for name, value in map(str.split, stat.splitlines())}
            files = (held.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
            return max(0, int(most) - int(taken) + sum(files))
    return math.inf
