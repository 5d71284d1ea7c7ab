"""What of a process, beside its settings, decides how it works and who is told of it."""

import os

from rag_app.cores import affinity

_NAMES = {"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"}
_PREFIXES = ("HF_", "OTEL_", "LANGSMITH_", "LANGCHAIN_")
"""Of hubs, and of those to whom runs are traced: an engine must not tell them of a question whose
command does not, nor keep it from them."""


def surroundings() -> list[object]:
    """Return it as JSON's values.

    Example:
        >>> surroundings() == surroundings()
        True
    """
    names = sorted(name for name in os.environ if name in _NAMES or name.startswith(_PREFIXES))
    return [[(name, os.environ[name]) for name in names], sorted(affinity() or ())]


def traced_here() -> bool:
    """Return whether traces are written where the command itself writes."""
    return os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "console"
