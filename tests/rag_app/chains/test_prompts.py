"""Prompts: the files of the default ones, and others in their place."""

from pathlib import Path

import pytest

from rag_app import RagApp
from rag_app.chains.prompts import LANGUAGES, UNCHANGED, VARIABLES, Prompts, default_text
from rag_app.errors import SettingsError

NAMES = [f"{task}.{language}" for task in VARIABLES for language in LANGUAGES]


def test_the_default_prompts_pass_the_check_of_a_users_own() -> None:
    Prompts({name: default_text(name) for name in NAMES})


def test_a_file_takes_the_place_of_a_default(tmp_path: Path) -> None:
    (tmp_path / "refine_answer.zh.txt").write_text(
        "{context}|{question}|{answer}|{unchanged}\n", encoding="utf-8"
    )
    (tmp_path / "README.md").write_text("notes")
    prompts = Prompts.of(str(tmp_path))
    values = {"context": "{a}", "question": "b", "answer": "c"}
    _, human = prompts.messages("refine_answer", "zh", **values)
    assert human.content == f"{{a}}|b|c|{UNCHANGED['zh']}"
    default = Prompts().messages("refine_answer", "en", **values)
    assert prompts.messages("refine_answer", "en", **values) == default


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("answer.zh", "{context}", "answer.zh: it lacks {question}"),
        ("answer.zh", "{context}{question}{extra}", "{extra} means nothing"),
        ("answer.fr", "{context}{question}", "no prompt is called 'answer.fr'"),
        ("anwser.zh", "{context}{question}", "no prompt is called 'anwser.zh'"),
        ("answer.zh", "{context}{question", "braces"),
    ],
)
def test_a_wrong_prompt_is_one_clear_error_at_the_start(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    for prompts in (tmp_path, {name: text}):
        with pytest.raises(SettingsError) as caught:
            RagApp(prompts=prompts)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_without_prompts(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SettingsError, match=r"answer\.zh\.txt|TASK"):
            RagApp(prompts=folder)
