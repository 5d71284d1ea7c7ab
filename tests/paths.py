"""Places that tests read."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CORPUS = ROOT / "docs_corpus"
TEST_DATA = Path(os.environ.get("RAG_APP_TEST_DATA", ROOT.parent / "shared" / "data"))
"""Real data that is not part of the project, and may be missing."""
