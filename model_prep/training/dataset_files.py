"""Files of training data: finding and reading them, with problems noted by file and line."""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_prep.errors import TrainingError, first_line
from model_prep.json_file import is_encodable

PARQUET = ".parquet"
_DELIMITERS = {".csv": ",;\t", ".tsv": "\t,;"}
"""What may stand between cells; Excel writes ; where numbers have a comma."""
SUFFIXES = (".json", ".jsonl", PARQUET, *_DELIMITERS)
_GZIP = ".gz"
_CARD = "README.md"  # of a dataset: it stands beside the data and is none
TEXT_KEYS = ("text", "content")
"""What plain text is called in objects; WuDao's and CLUE's corpora have the latter."""
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_PACKED = {
    b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip or a workbook", b"BZh": "bzip2", b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard", b"PAR1": "Parquet", b"ARROW1": "Arrow",
}  # fmt: skip
"""How files that data comes in begin, where they are not text."""
_SHOWN = 20
_ROWS = 256  # rows of a Parquet file that are in memory at once; a row may be a whole book
_STRAY = re.compile("[\ud800-\udfff]")  # what a byte that is not text is decoded to
_SPREAD = re.compile(r"\s*(?:\[|\{[ \t]*\n)")
"""How a file begins whose objects are not one in each line."""
_FEW = 0.05  # share of a file's bytes that may not be text
_LOOKED_AT = 100_000  # characters, or bytes, from which an encoding is detected
_KANA, _HANGUL = re.compile("[\u3041-\u30f6]"), re.compile("[\uac00-\ud7a3]")
_FOREIGN = (("euc_jp", "euc_jp", _KANA, 0.3), ("euc_kr", "cp949", _HANGUL, 0.9))
"""Encodings whose bytes seem Chinese: one that shows it, one to decode by, letters, their share."""
_CERTAIN = 20  # letters from which on chance does not explain what they are


@dataclass(frozen=True)
class Problem:
    """Something in the data that can't be used.

    Example:
        >>> print(Problem("data.jsonl", 7, "is broken JSON"))
        data.jsonl:7: is broken JSON
    """

    file: str
    line: int
    """From 1; 0 is the file as a whole."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass
class Problems:
    """The problems of all files; only the first of each kind are kept with their places.

    Example:
        >>> problems = Problems()
        >>> problems.add(Path("data.jsonl"), 7, "is broken JSON")
        >>> problems.total
        1
    """

    counts: Counter[str] = field(default_factory=Counter)
    """How many there are of each kind."""
    first: list[Problem] = field(default_factory=list)

    def add(self, file: Path, line: int, kind: str, detail: str = "") -> None:
        """Note one; lines count from 1, and 0 is the file as a whole."""
        self.counts[kind] += 1
        if self.counts[kind] <= _SHOWN:
            what = f"{kind} ({detail})" if detail else kind
            self.first.append(Problem(str(file), line, what))

    @property
    def total(self) -> int:
        """How many there are."""
        return self.counts.total()


def find_files(paths: list[Path], suffixes: tuple[str, ...], what: str) -> list[Path]:
    """Return the files named, and those of folders by name, in order.

    Raises:
        TrainingError: a path is not there, or a folder holds nothing of ``suffixes``.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = (file for file in sorted(path.rglob("*")) if file.is_file())
            inside = [file for file in below if _suffix(file) in suffixes]
            if not inside:
                raise TrainingError(
                    f"{path} holds no {what} ({', '.join(suffixes)}); name a file or another folder"
                )
            if any(_suffix(file) in SUFFIXES for file in inside):
                inside = [file for file in inside if file != path / _CARD]
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise TrainingError(f"{path} does not exist; name files or folders with {what}")
    return list(dict.fromkeys(found))


def _suffix(file: Path) -> str:
    """Return the end of a file's name: ``.jsonl``, also of ``a.jsonl.gz``."""
    packed = file.suffix.lower() == _GZIP
    return (Path(file.stem) if packed else file).suffix.lower()


def read_documents(file: Path, encoding: str | None, problems: Problems) -> Iterator[str]:
    """Yield the plain text of a file: all of it, or what each object has by one of `TEXT_KEYS`."""
    if _suffix(file) not in SUFFIXES:
        if (whole := read_text(file, encoding, problems)) is not None:
            yield whole
        return
    for line, value in read_objects(file, encoding, problems):
        texts = (value.get(key) for key in TEXT_KEYS)
        text = next((text for text in texts if isinstance(text, str) and text.strip()), None)
        if text is None:
            problems.add(file, line, f"has no text under the key {' or '.join(TEXT_KEYS)}")
        elif not is_encodable(text):
            problems.add(file, line, "holds half a character, or a byte that is not text")
        else:
            yield text


def read_text(file: Path, encoding: str | None, problems: Problems) -> str | None:
    """Return a file's text without its broken lines; None where it has none. Problems are noted.

    Args:
        file: Text in UTF-8, UTF-16 with its mark, GB18030, EUC-KR or EUC-JP.
        encoding: In place of those.
        problems: Noted here.
    """
    text = _decoded(file, encoding, problems)
    if text is None or text.isascii() or not _STRAY.search(text):
        return text
    kept = []
    for number, line in enumerate(text.split("\n"), 1):
        if _STRAY.search(line):
            problems.add(file, number, "holds a byte that is not text")
        else:
            kept.append(line)
    return "\n".join(kept)


def _decoded(file: Path, encoding: str | None, problems: Problems) -> str | None:
    """Return a file's text, in which bytes that are not text become lone surrogates."""
    try:
        data = file.read_bytes()
        if file.suffix.lower() == _GZIP:
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        problems.add(file, 0, "can't be read", getattr(error, "strerror", None) or str(error))
        return None
    text = _with_strays(data, encoding)
    if text is None or "\0" in text:
        packed = next((name for begin, name in _PACKED.items() if data.startswith(begin)), None)
        remedy = "name its --encoding, or save it as text in UTF-8"
        if packed:
            remedy = f"{packed}; unpack it, or save it as JSON Lines or CSV"
        problems.add(file, 0, "is not text", f"not {encoding}" if encoding else remedy)
        return None
    if not text.strip():
        problems.add(file, 0, "is empty")
        return None
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _with_strays(data: bytes, encoding: str | None) -> str | None:
    """Decode by the encoding that leaves the fewest bytes; a few may be left.

    GB18030 has a character for most pairs of bytes: a UTF-8 file with a broken byte, or one in
    Big5, would be decoded into rare characters without an error. So it is taken only where its
    characters are common.
    """
    marked = [name for mark, name in _MARKS if data.startswith(mark)]
    if encoding or marked:
        return _decode(data, encoding or marked[0])
    if (text := _decode(data, "utf-8-sig", few=0)) is not None:
        return text
    if (text := _foreign(data)) is not None:
        return text
    chinese = _decode(data, "gb18030")
    return chinese if chinese and _is_common(chinese) else _decode(data, "utf-8-sig")


def _decode(data: bytes, encoding: str, few: float = _FEW) -> str | None:
    """Decode, and return None where more than a share of the bytes can't be."""
    try:
        text = data.decode(encoding, "surrogateescape")
    except (UnicodeDecodeError, LookupError):
        return None
    return text if len(_STRAY.findall(text)) <= few * len(data) else None


def _foreign(data: bytes) -> str | None:
    """Decode Korean or Japanese, which GB18030 has other characters for; None where it is none."""
    for narrow, codec, letters, share in _FOREIGN:
        text = _decode(data[:_LOOKED_AT], narrow) or ""
        beyond = [char for char in text if char > "\x7f" and char.isalpha()]
        own = len(letters.findall("".join(beyond)))
        if len(beyond) >= _CERTAIN and own > share * len(beyond):
            return _decode(data, codec)
    return None


def _is_common(text: str) -> bool:
    """Return whether most characters beyond ASCII are common Chinese: level 1 of GB 2312."""
    beyond = [character for character in text[:_LOOKED_AT] if character > "\x7f"]
    common = 0
    for character in beyond:
        pair = character.encode("gb2312", "ignore")
        common += len(pair) == 2 and (0xA1 <= pair[0] <= 0xA3 or 0xB0 <= pair[0] <= 0xD7)
    return common > len(beyond) / 2


def read_objects(
    file: Path, encoding: str | None, problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a file with the lines that they begin on.

    A file is JSON Lines, one JSON array, or objects over several lines each. What is broken is
    noted, and the rest is read on: after a broken line the next one; after a broken item of an
    array nothing. A byte that is not text stands as a lone surrogate in the object that has it.
    Each row of a table is an object too: of CSV and TSV by the names in its first row, in small
    letters, without its empty cells; of Parquet, on the line of its number.

    Raises:
        TrainingError: it is a Parquet file, and what reads those is not installed.
    """
    if _suffix(file) == PARQUET:
        yield from _rows(file, problems)
        return
    text = _decoded(file, encoding, problems)
    if text is None:
        return
    if delimiters := _DELIMITERS.get(_suffix(file)):
        first_row = text.lstrip("\n").partition("\n")[0]
        yield from _cells(text, max(delimiters, key=first_row.count), file, problems)
        return
    for line, value in (_items if _SPREAD.match(text) else _lines)(text, file, problems):
        is_lmflow = isinstance(value, dict) and value.keys() == {"type", "instances"}
        items = value["instances"] if is_lmflow else None
        for item in items if isinstance(items, list) else [value]:
            if isinstance(item, dict):
                yield line, item
            else:
                problems.add(file, line, "is not a JSON object", type(item).__name__)


def _rows(file: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        msg = f"{file} needs {error.name} to be read; run: pip install 'rag-app[train]'"
        raise TrainingError(msg) from error
    row = 0
    try:
        for batch in parquet.ParquetFile(file).iter_batches(_ROWS):
            for value in batch.to_pylist():
                row += 1
                yield row, value
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        problems.add(file, row, "can't be read as Parquet from here on", first_line(error))


def _cells(
    text: str, delimiter: str, file: Path, problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)  # a conversation is longer than 128 KB at times
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    line = 1
    try:
        for row in reader:
            if not any(names):
                names = [name.strip().lower() for name in row]
                if twice := [name for name, count in Counter(names).items() if name and count > 1]:
                    problems.add(file, line, "has two columns of one name", ", ".join(twice))
                    return
            elif any(row[len(names) :]):
                problems.add(file, line, "has more cells than its table has columns")
            else:
                cells = zip(names, row, strict=False)  # pandas' numbers of rows have no name
                if held := {name: cell for name, cell in cells if name and cell.strip()}:
                    yield line, held
            line = reader.line_num + 1
    except csv.Error as error:
        # A quotation mark too few would make one cell of all that follows.
        problems.add(file, line, "can't be read as a table from here on", str(error))


def _lines(text: str, file: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    for line, part in enumerate(text.split("\n"), 1):
        if part.strip():
            try:
                yield line, json.loads(part)
            except (ValueError, RecursionError) as error:
                _add_broken(problems, file, line, "is broken JSON", error)


def _items(text: str, file: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    """Yield the items of an array, or objects one after another, up to a broken one."""
    decoder = json.JSONDecoder()
    array = text.lstrip()[0] == "["
    at, line, counted = text.index("[") + 1 if array else 0, 1, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if text.startswith("]", at) if array else at == len(text):
            return
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            _add_broken(problems, file, line, "is broken JSON from here on", error)
            return
        yield line, value


def _add_broken(problems: Problems, file: Path, line: int, kind: str, error: Exception) -> None:
    detail = first_line(error)
    if isinstance(error, RecursionError):
        detail = "nested too deeply"
    elif isinstance(error, json.JSONDecodeError):
        line, detail = max(error.lineno, line), error.msg
    problems.add(file, line, kind, detail)
