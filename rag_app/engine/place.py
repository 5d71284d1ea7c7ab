"""Where the resident engine of a home lies, and what it is told by the command that starts it.

Nothing heavy is imported: the engine begins to load its language model with no more than this.
"""

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.home import home
from rag_app.models.unix_http import LONGEST_PATH

if TYPE_CHECKING:
    from filelock import FileLock


class ResidentError(Exception):
    """The resident engine can't be used; whoever asked does the work itself."""


@dataclass(frozen=True)
class Place:
    """The files of the resident engine of one home.

    Attributes:
        folder: Its own, which only its user can open.
    """

    folder: Path

    @classmethod
    def of_home(cls) -> "Place":
        """Return the place of the home in force; a short one where a socket's path is too long."""
        folder = home().absolute() / "resident"
        if len(os.fsencode(folder / "engine.sock")) <= LONGEST_PATH:
            return cls(folder)
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
        """What the engine says of itself: its process id."""
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
            ResidentError: it can't be made, or is somebody else's.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.is_ours:
                msg = f"{self.folder} is somebody else's"
                raise ResidentError(msg)
            self.folder.chmod(0o700)
        except OSError as error:
            raise ResidentError(str(error)) from error


@dataclass(frozen=True)
class Gguf:
    """How the engine loads a GGUF file; see `ServerOptions`.

    Attributes:
        cache_size: Gigabytes of prompts that are kept on disk.
    """

    path: str
    context_length: int
    parallel: int
    threads: int | None
    cache_size: float


@dataclass(frozen=True)
class Told:
    """What a command tells the engine that it starts.

    Attributes:
        settings: Those that it is started with, where they are not the default ones.
        gguf: How a GGUF file is loaded, which begins at once; None for another language model.
        identity: See `identity`.
        keep_alive: Minutes.
        folder: Its place.
    """

    settings: dict[str, Any]
    gguf: "Gguf | None"
    identity: str
    keep_alive: float
    folder: str

    @classmethod
    def of_json(cls, text: str) -> "Told":
        """Return what was written as JSON."""
        values = json.loads(text)
        gguf = values.pop("gguf")
        return cls(**values, gguf=Gguf(**gguf) if gguf else None)

    def json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(asdict(self))


def _user() -> int:
    """Return the user's number; all are 0 where there are none."""
    return os.getuid() if hasattr(os, "getuid") else 0
