"""Where indexes and state lie."""

import os
from pathlib import Path


def home() -> Path:
    """Where indexes live: ``RAG_APP_HOME``, else the platform's user data folder."""
    override = os.environ.get("RAG_APP_HOME", "")
    if override.strip():
        return Path(override).expanduser()
    from platformdirs import user_data_path

    return user_data_path("rag-app")


def indexes_folder() -> Path:
    """Return the folder in which indexes lie by their names."""
    return home() / "indexes"


def is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8, as a file name of other bytes can't."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
