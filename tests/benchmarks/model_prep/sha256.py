"""SHA256 of `model_prep.checkpoint.checksums` against ``openssl dgst -sha256``, in one run.

Both hash the same files from memory and take turns: one file, then several, which openssl hashes
one after the other when it is given all of them.
    python -m tests.benchmarks.model_prep.sha256 [--megabytes N] [--rounds N]
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from model_prep.checkpoint.checksums import file_digests


def ours(files: list[Path]) -> list[str]:
    return list(file_digests(files, lambda *_: None).values())


def openssl(files: list[Path]) -> list[str]:
    command = ["openssl", "dgst", "-sha256", "-r", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines()]


def seconds(hash_files: Callable[[list[Path]], list[str]], files: list[Path]) -> float:
    start = time.perf_counter()
    hash_files(files)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.bin" for number in range(4)]
        for file in files:
            with file.open("wb") as data:
                for _ in range(options.megabytes):
                    data.write(os.urandom(10**6))
        assert ours(files) == openssl(files)  # which also brings all of them into memory
        print(f"{'files':>6}{'ours GB/s':>11}{'openssl GB/s':>14}{'ratio':>7}  (median of rounds)")
        for some in (files[:1], files):
            size = sum(file.stat().st_size for file in some) / 1e9
            pairs = [(seconds(ours, some), seconds(openssl, some)) for _ in range(options.rounds)]
            mine, theirs = (median(one) for one in zip(*pairs, strict=True))
            ratio = median(other / own for own, other in pairs)
            print(f"{len(some):>6}{size / mine:>11.2f}{size / theirs:>14.2f}{ratio:>7.2f}")


if __name__ == "__main__":
    main()
