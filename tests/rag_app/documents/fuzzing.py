"""Damaged variants of small real files of every format, and what the loaders make of them.

    python -m tests.rag_app.documents.fuzzing [--variants 2000] [--seed 0] [--files FOLDER]

Prints, as JSON, how many variants were read and refused, the longest time, the peak of memory, and
the faults: errors that are not `DocumentError`, files written elsewhere, results that are no text.
"""

import argparse
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from unicodedata import category

from PIL import Image

from rag_app.documents import ocr
from rag_app.documents.loaders import FileLoader
from rag_app.documents.pdf.characters import Char, PageCharacters
from rag_app.errors import DocumentError
from tests.rag_app.documents import making
from tests.rag_app.documents.fuzz_samples import samples

SECONDS = 30
"""Of computing, that no file may take."""
_ODD = 0.1
"""Share of characters that Unicode leaves to others, or that stand for damage."""
_FOREIGN = 0.6
"""Share of characters that the undamaged file has not."""
_FEW = 30
"""As many such characters are a damaged line."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class TooSlowError(BaseException):
    """A file took more computing than any may."""


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 4, 32))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def shuffle_blocks(data: bytes, chance: random.Random) -> bytes:
    cuts = sorted({0, *(chance.randrange(len(data)) for _ in range(6)), len(data)})
    blocks = [data[start:end] for start, end in pairwise(cuts)]
    chance.shuffle(blocks)
    return b"".join(blocks)


def append_garbage(data: bytes, chance: random.Random) -> bytes:
    garbage = chance.randbytes(chance.randrange(1, 3000))
    return data + garbage if chance.random() < 0.7 else garbage + data


def blank(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.randrange(1, 500))
    return data[:start] + bytes(end - start) + data[end:]


def repeat_block(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    block = data[start : start + chance.randrange(1, 2000)]
    return data[:start] + block * chance.randrange(2, 20) + data[start + len(block) :]


DAMAGES = (flip_bits, truncate, shuffle_blocks, append_garbage, blank, repeat_block)


def shuffle_parts(parts: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    names = list(parts)
    some = chance.sample(names, min(len(names), chance.choice((2, 3, 8))))
    moved = dict(zip(some, [parts[name] for name in some[1:] + some[:1]], strict=True))
    return parts | moved


def drop_part(parts: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    lost = chance.choice(list(parts))
    return {name: content for name, content in parts.items() if name != lost}


def damage_part(parts: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    """Damage what an archive holds, so that its checksums are right."""
    name = chance.choice([name for name, content in parts.items() if len(content) > 1])
    return parts | {name: chance.choice(DAMAGES)(parts[name], chance)}


def escape_folder(parts: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    """Name a part so that whoever unpacks it writes elsewhere."""
    name = chance.choice(list(parts))
    away = chance.choice(("../../escaped", "/tmp/escaped-{}", "C:\\escaped"))
    return {away if each == name else each: content for each, content in parts.items()}


PART_DAMAGES = (damage_part, damage_part, damage_part, shuffle_parts, drop_part, escape_folder)


def damaged(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Return the name of the damage, and the file that has it."""
    if data.startswith(b"PK") and chance.random() < 0.7:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        of_parts = chance.choice(PART_DAMAGES)
        return of_parts.__name__, making.zipped(of_parts(parts, chance))
    of_bytes = chance.choice(DAMAGES)
    return of_bytes.__name__, of_bytes(data, chance)


def fault_of(text: str, known: set[str]) -> str:
    """Return why a result is no text of the file it was damaged from; "" if it is."""
    kinds = [category(char) for char in text if char not in "\n\t"]
    if {"Cc", "Cs"} & set(kinds):
        return "control characters"
    odd = sum(kind in {"Cn", "Co"} for kind in kinds) + text.count("\ufffd")
    if odd > max(_FEW, _ODD * len(text)):
        return f"{odd} of {len(text)} characters are none"
    foreign = sum(not char.isspace() and char not in known for char in text)
    if known and foreign > max(_FEW, _FOREIGN * len(text)):
        return f"{foreign} of {len(text)} characters stand nowhere in the file"
    return ""


@dataclass
class Report:
    """What became of the variants."""

    read: int = 0
    refused: int = 0
    longest: tuple[float, str] = (0.0, "")
    """Seconds of computing, and of which variant."""
    faults: list[str] = field(default_factory=list)
    megabytes: int = 0


class Fuzzer:
    """Loads damaged files in a folder of its own and notes what goes wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = Report()
        self._written: list[str] = []
        sys.addaudithook(self._watch)
        signal.signal(signal.SIGPROF, self._stop)

    def run(self, files: dict[str, bytes], variants: int, seed: int) -> Report:
        known = {name: self._characters(name, data) for name, data in files.items()}
        names = list(files)
        for number in range(variants):
            chance = random.Random(f"{seed} {number}")
            name = names[number % len(names)]
            damage, data = damaged(files[name], chance)
            self._try(f"{number}-{damage}-{name}", data, known[name])
        self.report.megabytes = _peak_megabytes()
        return self.report

    def _characters(self, name: str, data: bytes) -> set[str]:
        path = self.folder / name
        path.write_bytes(data)
        try:
            return set(FileLoader(path).load()[0].page_content)
        except DocumentError:
            return set()
        finally:
            path.unlink()

    def _try(self, name: str, data: bytes, known: set[str]) -> None:
        path = self.folder / name
        path.write_bytes(data)
        self._written.clear()
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        fault = ""
        try:
            for document in FileLoader(path).load():
                fault = fault_of(document.page_content, known)
            self.report.read += 1
        except DocumentError as error:
            self.report.refused += 1
            message = str(error)
            if "\n" in message or name not in message or len(message) > 500:
                fault = f"message {message[:200]!r}"
        except (Exception, TooSlowError) as error:
            fault = f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self.report.longest = max(self.report.longest, (time.process_time() - start, name))
        path.unlink()
        left = [*self._written, *(entry.name for entry in self.folder.iterdir())]
        for what in [fault, *(f"wrote {entry}" for entry in left)]:
            if what:
                self.report.faults.append(f"{name}: {what}")

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            written = isinstance(flags, int) and flags & _WRITES and path != os.devnull
        else:
            path = arguments[0] if arguments else ""
            written = event in {"os.mkdir", "os.rename", "os.symlink", "os.link", "socket.connect"}
        if written and not str(path).startswith((str(self.folder), "/dev/")):
            self._written.append(f"{event} {path}")

    def _stop(self, *_: object) -> None:
        raise TooSlowError(f"more than {SECONDS} s of computing")


def decoded(image: Image.Image) -> PageCharacters:
    """Decode a picture as its reader would, and take it to say one word."""
    image.convert("RGB").load()
    return PageCharacters([Char("图", 10, 10, 22, 22, 12)])


def _peak_megabytes() -> int:
    """Return the most resident memory that this program had.

    The kernel's mark of it begins anew with a program; getrusage's is that of whoever started it
    too, such as a process of tests that has loaded models.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) // 1024


def limits(memory: int, seconds: int) -> Callable[[], None]:
    """Return what limits the bytes and seconds of computing of a process before it starts."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    return limit


def further(folder: Path | None) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    found = sorted(folder.rglob("*")) if folder else []
    files = [path for path in found if path.is_file() and path.suffix]
    return {path.name: path.read_bytes() for path in files if path.stat().st_size > 1}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=Path, help="a folder of further files to damage")
    parser.add_argument("--only", default="", help="part of the names of the files to damage")
    options = parser.parse_args()
    warnings.simplefilter("error")
    os.environ["PATH"] = ""  # LibreOffice, which reads old Word files, is not in question either
    files = samples() | further(options.files)
    files = {name: data for name, data in files.items() if options.only in name}
    ocr.reader_of = lambda *_: decoded  # what is read is not in question here
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        report = Fuzzer(Path(folder)).run(files, options.variants, options.seed)
    print(json.dumps({"files": len(files), **vars(report)}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
