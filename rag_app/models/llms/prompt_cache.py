"""Prompts that a model has read, kept on disk: their keys and values as llama.cpp's slot files.

A file is of one model and one build of llama.cpp, by the folder that it is in. It holds the
tokens that it was made of, and llama.cpp takes of them what a new prompt begins with: of another
passage, or another version of the prompts, it takes nothing. A file beside it says how its prompt
reads and what its SHA-256 is; one of another hash is never read.
"""

import hashlib
import json
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import version
from os.path import commonprefix
from pathlib import Path
from typing import Any

from rag_app.surroundings import home

GIGABYTE = 10**9

_SHARED = 200
"""Characters that two prompts must begin with alike for one to help the other: the fixed part
alone is read in a second."""
_LONGEST = 6000
"""Characters of a prompt that is kept: one that fills a window is some hundred megabytes."""
_RECENT = 16  # prompts that llama.cpp keeps in memory itself
_WRITING_SECONDS = 600.0  # a file that is older is not being written any more
_SAMPLE = 2**20  # bytes of a model's file that are hashed at its beginning and end

_log = logging.getLogger(__name__)
_NOT_KEPT = "%s can't be written (%s): what the model reads of passages is not kept"

Post = Callable[[str, dict[str, Any]], Any]
"""Sends a request to llama.cpp's server; see `post`."""


def caches_folder() -> Path:
    """Return where the prompts of all models are."""
    return home() / "cache" / "prompts"


def model_folder(model: Path) -> Path:
    """Return where the prompts that a model has read lie.

    The model is known by its file's size, time and the hash of its first and last megabyte: a file
    that is replaced has another time, and one that is trained further or quantized again has other
    weights at its ends.
    """
    status = model.stat()
    found = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
    with model.open("rb") as file:
        found.update(file.read(_SAMPLE))
        file.seek(max(status.st_size - _SAMPLE, 0))
        found.update(file.read(_SAMPLE))
    found.update(f"{version('xllamacpp')} f16".encode())
    return caches_folder() / found.hexdigest()[:16]


def slots_folder(model: Path, limit: float) -> str:
    """Return the folder for the prompts of a model, made; empty where none are kept.

    Args:
        model: Its file.
        limit: Gigabytes that may be kept; 0: none.
    """
    if not limit:
        return ""
    try:
        folder = model_folder(model)
    except OSError:  # what loads it says why
        return ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _log.warning(_NOT_KEPT, folder, error.strerror)
        return ""
    return str(folder)


@dataclass(frozen=True)
class KeptPrompt:
    """A prompt that is kept."""

    file: Path
    """llama.cpp's."""
    prompt: str
    sha256: str
    size: int
    """Bytes."""
    uses: int = 0
    """How often it was asked about since."""

    @property
    def stamp(self) -> Path:
        """What says how the prompt reads."""
        return self.file.with_suffix(".json")

    def is_whole(self) -> bool:
        """Return whether the file is the one that was written."""
        try:
            with self.file.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False

    def note_use(self) -> None:
        """Note that it was asked about: a line more at the end of what says how it reads.

        One that was deleted meanwhile stays so.
        """
        with suppress(OSError):
            file = os.open(self.stamp, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, b"\n")
            finally:
                os.close(file)

    def delete(self) -> None:
        """Delete both files."""
        for path in (self.stamp, self.file):
            with suppress(OSError):
                path.unlink()


class PromptCache:
    """The prompts that one model has read, in memory and on disk; several processes may share it.

    Args:
        folder: The folder of the model; see `model_folder`.
        limit: Bytes that all models together may take; the least recently used go first.
        call: Sends a request to the server that has the model, whose slots are in ``folder``.
        parallel: Requests that it works on together.
    """

    def __init__(self, folder: Path, limit: int, call: Post, parallel: int = 1) -> None:
        self._folder = folder
        self._limit = limit
        self._call = call
        self._shared = parallel > 1
        self._recent: deque[str] = deque(maxlen=0 if self._shared else _RECENT)
        self._guard = threading.Lock()
        self._at_work = 0
        self._begun = 0  # requests, so that one is known to have come between
        self._told = False

    @contextmanager
    def turn(self, prompt: str) -> Iterator[bool]:
        """Note a request for a block, and have the server hold what is kept of its prompt.

        Gives whether the prompt is to be kept. It is read in the first slot, which must be its
        own: of several requests that are worked on together only the first is.

        Args:
            prompt: Empty for one that is never kept.
        """
        with self._guard:
            alone = not self._at_work
            self._at_work += 1
            self._begun += 1
        try:
            own = not self._shared or (alone and len(prompt) <= _LONGEST)
            if own and prompt:
                self.prepare(prompt)
            elif own:  # it may take the place of those that llama.cpp has in memory
                self._recent.clear()
            yield own and bool(prompt)
        finally:
            with self._guard:
                self._at_work -= 1

    def prepare(self, prompt: str) -> None:
        """Load into the server what is kept of a prompt, unless it holds as much already."""
        held = max((_common(prompt, recent) for recent in self._recent), default=0)
        self._recent.append(prompt)
        found = nearest(prompt, self._folder)
        if found is None or _common(prompt, found.prompt) < held + _SHARED:
            return
        if not found.is_whole():
            found.delete()
            return
        with suppress(OSError, HTTPException):
            try:
                self._call("/slots/0?action=restore", {"filename": found.file.name})
            except ValueError:  # refused: the prompt is read and kept again
                found.delete()

    def holds(self, prompt: str) -> bool:
        """Return whether a prompt is kept, except for a few words at its end."""
        return self._holding(prompt) is not None

    def _holding(self, prompt: str) -> KeptPrompt | None:
        found = nearest(prompt, self._folder)
        kept = _common(prompt, found.prompt) if found else 0
        return found if found and len(prompt) - kept < _SHARED else None

    def keep(self, prompt: str) -> None:
        """Write what the server holds after answering a prompt, unless its beginning is kept."""
        if found := self._holding(prompt):  # the question alone is new
            found.note_use()
            return
        if len(prompt) > _LONGEST:
            return
        name = hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()[:32]
        new = self._folder / f".{name}.{uuid.uuid4().hex}.bin"
        try:
            begun = self._begun
            saved = self._call("/slots/0?action=save", {"filename": new.name})
            if (size := new.stat().st_size) != saved["n_written"]:  # llama.cpp does not look
                self._tell("no space left on the disk")
            elif begun == self._begun:  # else it may be of another request
                with new.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                _write(KeptPrompt(self._folder / f"{name}.bin", prompt, digest, size), new)
        except (OSError, ValueError, HTTPException) as error:
            self._tell(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        shrink(self._limit)

    def _tell(self, reason: str) -> None:
        """Warn, once, that what is read is not kept."""
        if not self._told:
            _log.warning(_NOT_KEPT, self._folder, reason)
        self._told = True


def kept_prompts(folder: Path) -> Iterator[KeptPrompt]:
    """Yield the prompts that are kept in the folder of a model."""
    for stamp in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            text = stamp.read_text(encoding="utf-8")
            values = json.loads(text)
            uses = len(text) - len(text.rstrip("\n"))
            file = stamp.with_suffix(".bin")
            yield KeptPrompt(file, values["prompt"], values["sha256"], values["size"], uses)


def all_kept_prompts() -> list[KeptPrompt]:
    """Return the prompts of all models that are kept."""
    return [entry for folder in caches_folder().glob("*") for entry in kept_prompts(folder)]


def nearest(prompt: str, folder: Path) -> KeptPrompt | None:
    """Return what is kept that begins most as a prompt does, in the folder of a model."""
    return max(kept_prompts(folder), key=lambda entry: _common(prompt, entry.prompt), default=None)


def shrink(limit: int) -> None:
    """Delete the least recently used prompts of all models beyond ``limit`` bytes."""
    found = []
    for folder in caches_folder().glob("*"):
        kept = [*kept_prompts(folder)]
        with suppress(OSError):  # another user's, or not a folder
            _sweep(folder, kept)
        for entry in kept:
            with suppress(OSError):
                found.append((entry.stamp.stat().st_mtime_ns, entry))
    total = sum(entry.size for _, entry in found)
    for _, entry in sorted(found, key=lambda pair: pair[0]):
        if total <= limit:
            return
        entry.delete()
        total -= entry.size


def forget(texts: Iterable[str]) -> int:
    """Delete the prompts of all models in which one of these passages stands; return how many."""
    kept = all_kept_prompts()
    before = len(kept)
    for text in texts if kept else ():  # of a large index, which does not fit into memory
        for entry in [entry for entry in kept if text.strip() and text in entry.prompt]:
            entry.delete()
            kept.remove(entry)
    return before - len(kept)


def _sweep(folder: Path, kept: Iterable[KeptPrompt]) -> None:
    """Delete files that belong to no kept prompt: half written when killed, or damaged since."""
    known = {path for entry in kept for path in (entry.file, entry.stamp)}
    for file in folder.iterdir():
        with suppress(OSError):
            if file not in known and time.time() - file.stat().st_mtime > _WRITING_SECONDS:
                file.unlink()


def _write(entry: KeptPrompt, saved: Path) -> None:
    """Put a file that was saved into place, and then what its prompt is."""
    values = {"prompt": entry.prompt, "sha256": entry.sha256, "size": entry.size}
    new = saved.with_suffix("")  # no name that is looked for
    try:
        new.write_text(json.dumps(values, ensure_ascii=True), encoding="utf-8")
        saved.replace(entry.file)
        new.replace(entry.stamp)
    finally:
        new.unlink(missing_ok=True)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    return len(commonprefix([one, other]))  # noqa: RUF071 - no paths
