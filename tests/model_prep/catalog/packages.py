"""A package index of tiny wheels, and the catalog entry whose parts lie in them."""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from model_prep.catalog.entry import ModelEntry, WheelPart, WheelSource

NAME = "tiny-model"
PARTS = tuple(bytes([65 + number]) * size for number, size in enumerate((3000, 3000, 777)))
WHOLE = b"".join(PARTS)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    """A real wheel that pip takes, for any Python and platform."""
    module = package.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        # What would run if the wheel were ever installed and imported.
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('a data wheel was imported')")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def member(number: int) -> str:
    return f"tiny_part{number}/data/part.bin"


def make_index(folder: Path, parts: Sequence[bytes] = PARTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(parts):
        make_wheel(folder, f"tiny-part{number}", {member(number): data})
    return folder


def tiny_source() -> WheelSource:
    parts = tuple(
        WheelPart(f"tiny-part{number}", "1.0", member(number), len(data), sha256(data))
        for number, data in enumerate(PARTS)
    )
    return WheelSource(parts, sha256(WHOLE))


def tiny_entry() -> ModelEntry:
    return ModelEntry(
        name=NAME,
        role="llm",
        licence="Apache-2.0",
        description="three parts",
        context_length=128,
        size=len(WHOLE),
        sources=(tiny_source(),),
        file="tiny.gguf",
    )
