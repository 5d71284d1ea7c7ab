"""Where indexes and state lie.

Apart from the settings, since a question that goes to the resident engine needs no more than this.
"""

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
