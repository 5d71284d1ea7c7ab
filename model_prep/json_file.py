"""Small JSON files."""

import atexit
import codecs
import json
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from model_prep.errors import CheckpointError
from model_prep.output import PARTIAL, sync

IS_LORA = "is a LoRA, not a model; merge it into its base with model-prep merge, and use the result"
"""The message about such a folder."""


def without_mark(file: Path) -> bytes:
    """Return a file's bytes without the byte order mark that Windows' editors begin with."""
    return file.read_bytes().removeprefix(codecs.BOM_UTF8)


def readable_folder(source: str | Path) -> str | Path:
    """Return a model's folder as transformers, tokenizers and PEFT can read it.

    They refuse JSON that begins with a byte order mark, and take a template's mark for text. Where
    there is one, the result is a folder of links, with copies of such files without it; it is
    among the temporary ones until the process ends.

    Args:
        source: The folder; anything else, as a name in the hub's cache, is returned as it is.
    """
    folder = Path(source)
    marked = [
        file for file in [*folder.glob("*.json"), *folder.glob("*.jinja")] if _is_marked(file)
    ]
    if not marked:
        return source
    readable = Path(mkdtemp(prefix="model-prep-"))
    atexit.register(shutil.rmtree, readable, ignore_errors=True)
    for file in folder.iterdir():
        if file in marked:
            (readable / file.name).write_bytes(without_mark(file))
        else:
            _link(readable / file.name, file.absolute())
    return readable


def _link(place: Path, target: Path) -> None:
    """Give a file or folder another place; as a copy where links need a right, as on Windows."""
    try:
        place.symlink_to(target)
    except OSError:
        if target.is_file():
            shutil.copyfile(target, place)


def _is_marked(file: Path) -> bool:
    try:
        with file.open("rb") as data:
            return data.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    except OSError:
        return False  # whoever reads it says why not


def is_encodable(text: str) -> bool:
    r"""Return whether a text is UTF-8's.

    JSON may have ``\ud800`` alone, which no tokenizer takes, and a file's name other bytes.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_json(text: str | bytes) -> bool:
    """Return whether a text is one value in JSON, and no part of one."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_lora(folder: Path) -> bool:
    """Return whether a folder holds a LoRA as PEFT saves it, and no model."""
    held = [(folder / name).is_file() for name in ("adapter_config.json", "config.json")]
    return held == [True, False]


def require_whole_links(folder: Path) -> None:
    """Check that the files of a folder are there, and not just links to them.

    Raises:
        CheckpointError: one is a link to nothing, as in a copy of a folder of the hub's cache.
    """
    for file in sorted(folder.glob("[!.]*.*")):
        if file.is_symlink() and not file.exists():
            raise CheckpointError(
                f"{file} is a link to {file.readlink()}, which is not there; copy the folder "
                "again with what its links lead to (cp -rL)"
            )


def read_json(file: Path) -> dict[str, Any]:
    """Read a file that holds names and values.

    Raises:
        CheckpointError: it is missing or damaged, or holds something else.
    """
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(_why_unread(file, error)) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged; get it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no names and values; get it again")
    return content


def _why_unread(file: Path, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return f"{file} can't be read ({error.strerror}); check the path and its permissions"
    if not file.parent.exists():
        return f"there is no {file.parent}; check the path"
    require_whole_links(file.parent)
    if file.name == "config.json" and is_lora(file.parent):
        return f"{file.parent} {IS_LORA}"
    return f"{file} is missing; check the path, or get it again"


def optional_json(file: Path) -> dict[str, Any]:
    """Read a file that holds names and values; where it isn't there, it holds none.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    return read_json(file) if file.is_file() else {}


def write_json(file: Path, content: Any) -> None:
    """Write a small JSON file, making its folder where needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def replace_json(file: Path, content: Any, *, durable: bool = True) -> None:
    """Write a small JSON file: a kill leaves all of it, or what was there before.

    Args:
        file: The file.
        content: What it is to hold.
        durable: Whether that is so after a loss of power too, which takes the disk's time.
    """
    part = file.with_name(f"{file.name}{PARTIAL}")
    try:
        write_json(part, content)
        if durable:
            sync(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
