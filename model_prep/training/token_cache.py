"""Tokenized data on the disk, made once for the same content and the same settings.

A folder holds ``ids.bin`` (int32 tokens, one sample after another), ``labels.bin`` (int32, for each
token itself where it is learned, else -100), ``ends.bin`` (int64, where each sample ends) and
``data.json`` with counts and problems. It is written beside its place and renamed.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import TrainingError
from model_prep.json_file import read_json, write_json
from model_prep.output import output_folder
from model_prep.training.dataset_files import Problem, Problems
from model_prep.training.encoding import Sample

if TYPE_CHECKING:
    import numpy as np

_VERSION = 7  # version of the encoding of data: a run with another one can't be continued
_FILE = "data.json"


@dataclass(frozen=True)
class TokenData:
    """Tokenized samples, mapped from the disk.

    Example:
        >>> import numpy as np
        >>> ids, ends = np.array([5, 6, 7, 8, 9]), np.array([2, 5])
        >>> TokenData(Path("cache"), ids, ids, ends, 0, Problems()).lengths.tolist()
        [2, 3]
    """

    folder: Path
    ids: "np.ndarray[Any, np.dtype[np.int32]]"
    """The ids of all samples, one after another."""
    labels: "np.ndarray[Any, np.dtype[np.int32]]"
    """For each token itself where it is learned, else -100."""
    ends: "np.ndarray[Any, np.dtype[np.int64]]"
    """For each sample, where it ends."""
    truncated: int
    """How many samples were cut to the longest that is allowed."""
    problems: Problems

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Tokens of each sample."""
        import numpy as np

        return np.diff(self.ends, prepend=0)


def fingerprint(files: list[Path], **settings: Any) -> str:
    """Return what data is known by: a hash of the content of files and of settings.

    Raises:
        TrainingError: a file can't be read.
    """
    digest = hashlib.sha256(repr((_VERSION, sorted(settings.items()))).encode())
    for file in files:
        digest.update(f"\0{file.name}\0".encode("utf-8", "surrogateescape"))
        try:
            with file.open("rb") as content:
                hashlib.file_digest(content, lambda: digest)
        except OSError as error:
            raise TrainingError(f"{file} can't be read ({error.strerror})") from error
    return digest.hexdigest()[:32]


def open_data(folder: Path) -> TokenData | None:
    """Return the data of a folder; None where there is none, or it is not complete."""
    import numpy as np

    if not (folder / _FILE).is_file():
        return None
    meta = read_json(folder / _FILE)
    sizes = {"ids.bin": 4 * meta["tokens"], "labels.bin": 4 * meta["tokens"]}
    sizes["ends.bin"] = 8 * meta["samples"]
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    if not sizes.items() <= files.items():
        return None
    first = [Problem(**values) for values in meta["first"]]

    def mapped(name: str, dtype: Any) -> Any:
        # An empty file can't be mapped.
        return np.memmap(folder / name, dtype, "r") if sizes[name] else np.empty(0, dtype)

    return TokenData(
        folder,
        mapped("ids.bin", np.int32),
        mapped("labels.bin", np.int32),
        mapped("ends.bin", np.int64),
        meta["truncated"],
        Problems(Counter(meta["problems"]), first),
    )


def write_data(folder: Path, samples: Iterator[Sample], problems: Problems) -> TokenData:
    """Write samples into a new folder, or over what is there, and return them mapped.

    Raises:
        OutputError: the folder can't be written.
        DiskSpaceError: the disk is full.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with output_folder(folder, needed=0) as work:
        counts = _write_arrays(work, samples)
        first = [asdict(problem) for problem in problems.first]
        write_json(work / _FILE, {**counts, "problems": problems.counts, "first": first})
    data = open_data(folder)
    assert data is not None  # noqa: S101 - it has just been written
    return data


def _write_arrays(folder: Path, samples: Iterator[Sample]) -> dict[str, int]:
    import numpy as np

    tokens = truncated = 0
    ends: list[int] = []
    with (folder / "ids.bin").open("wb") as ids, (folder / "labels.bin").open("wb") as labels:
        for sample in samples:
            ids.write(np.asarray(sample.ids, np.int32).tobytes())
            labels.write(np.asarray(sample.labels, np.int32).tobytes())
            tokens += len(sample.ids)
            truncated += sample.truncated
            ends.append(tokens)
    (folder / "ends.bin").write_bytes(np.asarray(ends, np.int64).tobytes())
    return {"tokens": tokens, "samples": len(ends), "truncated": truncated}
