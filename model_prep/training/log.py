"""The log of a run: a JSON object on each line."""

import json
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


def read_log(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; half a line, left by a kill, is passed over."""
    if not file.is_file():
        return []
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines
