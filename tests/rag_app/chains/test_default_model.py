"""The default models on two poets: the passage about the one who is asked about is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_app import RagApp
from tests.paths import CORPUS

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def poets(real_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagApp]:
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(real_models.resolve(), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_APP_HOME", str(home))
        with RagApp(index=str(home / "poets"), max_new_tokens=80) as app:
            app.index([CORPUS / "doc.txt", CORPUS / "du_fu.txt"])
            _ = app.llm
            yield app


def test_the_poet_who_is_asked_about(poets: RagApp) -> None:
    answer = poets.ask("李白是怎样去世的？")
    assert answer.answered
    assert "当涂" in answer.text or "六十二" in answer.text
    assert answer.evidence is not None
    assert "李白在当涂病逝，终年六十二岁" in answer.evidence.sentence
    assert answer.confidence is not None
    assert answer.confidence.signals.judgement is not None
