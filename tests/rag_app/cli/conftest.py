"""What the tests of the commands start from."""

from pathlib import Path

import pytest

from tests.rag_app.cli.program import DEATH, WASHER, Program


@pytest.fixture
def rag_app(tiny_llm: Path, tiny_embeddings: Path) -> Program:
    return Program(tiny_llm, tiny_embeddings)


@pytest.fixture
def corpus(home: Path) -> Path:
    folder = home / "文档 docs"
    folder.mkdir()
    (folder / "李白.txt").write_text(DEATH, encoding="gb18030")
    (folder / "washer.md").write_text(f"# 保修\n\n{WASHER}", encoding="utf-8")
    return folder
