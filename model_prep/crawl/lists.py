"""Topics, kinds of task and constraints: text files with one on each line."""

from pathlib import Path

from model_prep.errors import UsageError

TOPICS = Path(__file__).with_name("topics.txt")
TASKS = Path(__file__).with_name("tasks.txt")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
_MOST_BYTES = 4_000_000
_LONGEST = 200
"""Characters of a line: each goes into a prompt as it is."""


def read_list(file: Path) -> list[str]:
    """Return the lines of a UTF-8 file, each once; blank lines are passed over.

    Raises:
        UsageError: the file is missing, empty, or no such text.
    """
    try:
        if not file.is_file():
            raise _unusable(file, "it is a folder or a device" if file.exists() else "no such file")
        if file.stat().st_size > _MOST_BYTES:
            raise _unusable(file, f"it is larger than {_MOST_BYTES / 1e6:.0f} MB")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unusable(file, error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise _unusable(file, "it is not UTF-8; save it as UTF-8") from error
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise _unusable(file, "it is empty")
    for line in lines:
        if len(line) > _LONGEST or not line.isprintable():
            what = f"longer than {_LONGEST} characters" if line.isprintable() else "no plain text"
            raise _unusable(file, f"a line is {what}: {line[:20]!r}")
    return lines


def _unusable(file: Path, reason: str) -> UsageError:
    return UsageError(f"{file} can't be used ({reason}); write one topic or task on each line")
