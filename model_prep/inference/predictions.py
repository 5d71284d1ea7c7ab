"""Files of prompts, and files of answers that are written as they come."""

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_prep.errors import GenerateError


@dataclass(frozen=True)
class Prediction:
    """One answer."""

    index: int
    """The place of the prompt, from 0."""
    model: str
    input: str
    output: str


def read_prompts(file: Path) -> list[str]:
    """Read prompts, a line or a JSON value each; blank lines are passed over.

    A file whose name ends in ``.jsonl`` or ``.json`` has on each line, or in one array, a string or
    an object with ``instruction`` and perhaps ``input``, which is joined to it with a newline, or
    with ``prompt``.

    Raises:
        GenerateError: the file is missing, empty or not UTF-8, or a line is not such JSON.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        msg = f"{file} can't be read ({reason}); --data-file takes a prompt on each line"
        raise GenerateError(msg) from error
    is_json = file.suffix.lower() in (".jsonl", ".json")
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if is_json and text.lstrip().startswith("["):
        items = enumerate(_parsed(text, str(file)), 1)
        prompts = [_prompt(item, f"item {number} of {file}") for number, item in items]
    elif is_json:
        places = ((line, f"line {number} of {file}") for number, line in numbered)
        prompts = [_prompt(_parsed(line, where), where) for line, where in places]
    else:
        prompts = [line.rstrip("\r") for _, line in numbered]
    if not prompts:
        raise GenerateError(f"{file} holds no prompts; write one on each line")
    return prompts


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"{where} is not JSON ({error}); correct it, or name a file of plain lines .txt"
        raise GenerateError(msg) from error


def _prompt(value: Any, where: str) -> str:
    if isinstance(value, dict):
        parts = [value.get("instruction", value.get("prompt")), value.get("input")]
        value = "\n".join(part for part in parts if isinstance(part, str) and part)
    if isinstance(value, str) and value:
        return value
    msg = f'{where} has no text; it takes a string, or {{"instruction": …, "input": …}}'
    raise GenerateError(msg)


class PredictionsFile:
    """A JSON list with a record on each line: valid after each `append`, and resumed later.

    What a killed run has left of a last line is written over.

    Raises:
        GenerateError: the file holds something else, or answers of another model or to other
            prompts, or can't be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "predictions.json")
        >>> PredictionsFile(file, ["1 + 1 =", "2 + 2 ="], "llama").append(["2"])
        >>> PredictionsFile(file, ["1 + 1 =", "2 + 2 ="], "llama").done
        [Prediction(index=0, model='llama', input='1 + 1 =', output='2')]
    """

    def __init__(self, file: Path, prompts: Sequence[str], model: str) -> None:
        self._file, self._prompts, self._model = file, prompts, model
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(file if file.exists() else file.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            data = file.read_bytes() if file.exists() else b""
        except OSError as error:
            raise _unusable(file, error) from error
        self.done: list[Prediction] = []
        """Those in the file."""
        self._end = 0  # bytes of the file that are kept; what follows is written over
        if data.strip():
            self._resume(data)

    def _resume(self, data: bytes) -> None:
        first, _, rest = data.partition(b"\n")
        if first.strip() != b"[":
            msg = f"{self._file} holds no predictions; delete it, or name another file"
            raise GenerateError(msg)
        at = self._end = len(first)
        for line in rest.split(b"\n"):
            record = _record(line)
            if record is None:
                break  # the closing bracket, or a line that was not finished
            self._check(record)
            self.done.append(record)
            # A comma is written with the record that follows it.
            self._end = at + 1 + len(line.rstrip(b",\r "))
            at += 1 + len(line)

    def _check(self, record: Prediction) -> None:
        expected = len(self.done)
        if expected >= len(self._prompts) or record.input != self._prompts[expected]:
            what = "answers to other prompts"
        elif record.model != self._model:
            what = f"answers of another model ({record.model})"
        else:
            return
        raise GenerateError(f"{self._file} holds {what}; delete it, or name another file")

    def append(self, outputs: Sequence[str]) -> None:
        """Add the answers to the next prompts, and force them onto the disk."""
        start = len(self.done)
        added = [
            Prediction(index, self._model, self._prompts[index], output)
            for index, output in enumerate(outputs, start)
        ]
        text = ("" if self._end else "[") + "".join(
            ("," if record.index else "") + "\n" + json.dumps(asdict(record), ensure_ascii=False)
            for record in added
        )
        try:
            self._write(text.encode())
        except OSError as error:
            raise _unusable(self._file, error) from error
        self._end += len(text.encode())
        self.done += added

    def _write(self, data: bytes) -> None:
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.seek(self._end)
            file.write(data + b"\n]\n")
            file.truncate()
            file.flush()
            os.fsync(file.fileno())


def _record(line: bytes) -> Prediction | None:
    try:
        value: dict[str, Any] = json.loads(line.rstrip(b",\r "))
        return Prediction(**value)
    except (ValueError, TypeError):
        return None


def _unusable(file: Path, error: OSError) -> GenerateError:
    reason = error.strerror or type(error).__name__
    return GenerateError(f"{file} can't be used ({reason}); name another --predictions-file")
