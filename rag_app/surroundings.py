"""Surroundings of a process: the folders of its state, its cores, and its environment.

Apart from the settings, since a question that goes to the resident engine needs no more than this.
"""

import errno
import math
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_prep.control_groups import core_limit

if TYPE_CHECKING:
    from filelock import FileLock

LONGEST_SOCKET_PATH = 100
"""Bytes of a Unix socket's path that every system allows."""

_NAMES = {"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"}
_PREFIXES = ("HF_", "OTEL_", "LANGSMITH_", "LANGCHAIN_")
"""Of hubs, and of those to whom runs are traced: an engine must not tell them of a question whose
command does not, nor keep it from them."""
_CPUS = Path("/sys/devices/system/cpu")
_LOAD = Path("/proc/loadavg")


def home() -> Path:
    """Where indexes live: ``RAG_APP_HOME``, else the platform's user data folder."""
    override = os.environ.get("RAG_APP_HOME", "")
    if override.strip():
        return Path(override).expanduser()
    from platformdirs import user_data_path

    return user_data_path("rag-app")


def indexes_folder() -> Path:
    """Return the folder that holds the indexes, each in a folder of its name."""
    return home() / "indexes"


def import_path() -> str:
    """Return the ``PYTHONPATH`` by which another process finds this package, wherever it is."""
    root = str(Path(__file__).parents[1])
    return os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))


def is_there(path: Path) -> bool:
    """Return whether there is a file; true where the folder or the disk does not let one look."""
    try:
        return path.exists()
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG


@dataclass(frozen=True)
class EnginePlace:
    """The files of the resident engine of one home.

    Attributes:
        folder: Its own, which only its user can open.
    """

    folder: Path

    @classmethod
    def of_home(cls) -> "EnginePlace":
        """Return the place of the current home; a short one where a socket's path is too long."""
        folder = home().absolute() / "resident"
        if len(os.fsencode(folder / "engine.sock")) <= LONGEST_SOCKET_PATH:
            return cls(folder)
        import hashlib
        import tempfile

        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        return cls(Path(tempfile.gettempdir()) / f"rag-app-{_user()}-{name}")

    @property
    def socket(self) -> Path:
        """Where the engine listens."""
        return self.folder / "engine.sock"

    @property
    def model_socket(self) -> Path:
        """Where the process with the language model listens."""
        return self.folder / "model.sock"

    @property
    def state(self) -> Path:
        """What the engine says of itself: its process id, and whether it serves already."""
        return self.folder / "engine.json"

    @property
    def log(self) -> Path:
        """What the engine warns of."""
        return self.folder / "engine.log"

    @property
    def is_ours(self) -> bool:
        """Whether there is a folder, and nobody else could have made it."""
        try:
            status = self.folder.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_uid == _user()

    def lock(self) -> "FileLock":
        """Return the lock that an engine holds as long as it lives."""
        from filelock import FileLock

        return FileLock(self.folder / "engine.lock")

    def make(self) -> None:
        """Make the folder, for its user alone.

        Raises:
            OSError: it can't be made, or is somebody else's.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.is_ours:
            raise PermissionError(f"{self.folder} is somebody else's")
        self.folder.chmod(0o700)


def _user() -> int:
    """Return the user's number; all are 0 where there are none."""
    return os.getuid() if hasattr(os, "getuid") else 0


def surroundings() -> list[object]:
    """Return what decides how a process works, besides its settings, as JSON's values.

    Example:
        >>> surroundings() == surroundings()
        True
    """
    names = sorted(name for name in os.environ if name in _NAMES or name.startswith(_PREFIXES))
    return [[(name, os.environ[name]) for name in names], sorted(affinity() or ())]


def traced_here() -> bool:
    """Return whether traces are written where the command itself writes."""
    return os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "console"


def affinity() -> set[int] | None:
    """Return the processors that this process may use; None where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def physical_cores() -> int:
    """Return the number of physical cores this process may use; hyper-threads don't help here.

    A container that may use one and a half of them uses two, each for three quarters of the time.
    """
    usable = affinity()
    cores = _count(usable) or len(usable or ()) or os.cpu_count() or 1
    return max(1, math.ceil(min(cores, core_limit())))


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


def is_loopback(host: str) -> bool:
    """Return whether an address or host name is this machine alone."""
    import ipaddress  # a question that is sent ahead needs it not

    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"
