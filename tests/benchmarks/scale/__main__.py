"""How an index grows: time, disk, memory and recall at ten thousand to a million passages.

What was built stays in the folder and is used again. Memory is the peak resident set of a process
that does nothing else, the program's own included.
    python -m tests.benchmarks.scale --passages 1e4 1e5 1e6 [--folder DIR] [--phase NAME] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.scale.corpus import Corpus
from tests.benchmarks.scale.phases import PHASES, measured

_MARK = "FIGURES "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=float, nargs="+", default=[1e4])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "rag-app-scale"))
    parser.add_argument("--phase", choices=PHASES, nargs="+", default=list(PHASES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.here:
        corpus = Corpus(options.data, options.folder)
        passages = int(options.passages[0])
        figures = measured(options.phase[0], corpus, _index(options.folder, passages), passages)
        print(_MARK + json.dumps(figures), flush=True)
        return
    assert len(Corpus(options.data, options.folder).vectors)  # embedded before any clock runs
    table = {int(passages): _figures(int(passages), options) for passages in options.passages}
    if options.json:
        print(json.dumps(table))
    else:
        _print(table)


def _index(folder: Path, passages: int) -> Path:
    return folder / f"index-{passages}"


def _figures(passages: int, options: argparse.Namespace) -> dict[str, float]:
    """Run the phases in turn; figures of earlier runs stand beside the index."""
    kept = options.folder / f"figures-{passages}.json"
    figures: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
    for phase in options.phase:
        command = [sys.executable, "-m", "tests.benchmarks.scale", "--here", "--phase", phase]
        command += ["--passages", str(passages), "--data", str(options.data)]
        command += ["--folder", str(options.folder)]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        line = next(line for line in run.stdout.splitlines() if line.startswith(_MARK))
        found = json.loads(line.removeprefix(_MARK))
        if phase == "build" and found["documents_seconds"] < 0.1:  # it was there
            continue
        figures |= found
        print(f"{passages:,} {phase}: {found}", file=sys.stderr, flush=True)
    folder = _index(options.folder, passages)
    for name in ("index.sqlite3", "vectors.faiss"):
        file = folder / name
        figures[f"{name}_mb"] = file.stat().st_size / 2**20 if file.exists() else 0.0
    kept.write_text(json.dumps(figures))
    return figures


def _print(table: dict[int, dict[str, float]]) -> None:
    names = dict.fromkeys(name for figures in table.values() for name in figures)
    print(f"{'':<24}" + "".join(f"{passages:>12,}" for passages in table) + f"{'growth':>9}")
    for name in names:
        values = [figures.get(name, float("nan")) for figures in table.values()]
        growth = f"{values[-1] / values[0]:>9.2f}" if values[0] else ""
        print(f"{name:<24}" + "".join(f"{value:>12.4g}" for value in values) + growth)


if __name__ == "__main__":
    main()
