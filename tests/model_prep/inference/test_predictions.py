"""Prompts read from files, and answers written so that a stopped run goes on."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_prep.errors import GenerateError
from model_prep.inference.predictions import PredictionsFile, read_prompts

PROMPTS = ["一", '二 "x"\n二', "three", "四"]


def records(file: Path) -> list[tuple[int, str, str]]:
    return [(one["index"], one["input"], one["output"]) for one in json.loads(file.read_bytes())]


def test_the_file_is_valid_after_each_answer(tmp_path: Path) -> None:
    file = tmp_path / "答案.json"
    kept = PredictionsFile(file, PROMPTS, "m")
    kept.append(["a\n]", "b,"])
    assert records(file) == [(0, PROMPTS[0], "a\n]"), (1, PROMPTS[1], "b,")]
    kept.append(["c"])
    assert [one[2] for one in records(file)] == ["a\n]", "b,", "c"]
    later = PredictionsFile(file, PROMPTS, "m")
    assert [one.output for one in later.done] == ["a\n]", "b,", "c"]
    later.append(["d"])
    assert [one[2] for one in records(file)] == ["a\n]", "b,", "c", "d"]


@given(cut=st.integers(min_value=2))
def test_what_a_kill_left_is_gone_on_with(cut: int, tmp_path_factory) -> None:
    file = tmp_path_factory.mktemp("cut") / "x.json"
    PredictionsFile(file, PROMPTS, "m").append(["a", "b", "c"])
    whole = file.read_bytes()
    file.write_bytes(whole[: cut % len(whole) + 2])
    kept = PredictionsFile(file, PROMPTS, "m")
    kept.append(["a", "b", "c", "d"][len(kept.done) :])
    assert [one[2] for one in records(file)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "holds no predictions"),
        ("hello", "holds no predictions"),
        ('[\n{"index":0,"model":"m","input":"other","output":"a"}\n]', "answers to other prompts"),
        ('[\n{"index":0,"model":"n","input":"一","output":"a"}\n]', r"another model \(n\)"),
    ],
)
def test_a_file_of_something_else_is_left_alone(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(GenerateError, match=said):
        PredictionsFile(file, PROMPTS, "m")
    assert file.read_text(encoding="utf-8") == content


def test_more_answers_than_prompts(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    PredictionsFile(file, PROMPTS, "m").append(["a", "b"])
    with pytest.raises(GenerateError, match="other prompts"):
        PredictionsFile(file, PROMPTS[:1], "m")


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "no" / "such" / "x.json"
    PredictionsFile(file, PROMPTS, "m").append(["a"])
    assert len(PredictionsFile(file, PROMPTS, "m").done) == 1
    with pytest.raises(GenerateError, match="name another --predictions-file"):
        PredictionsFile(file / "x.json", PROMPTS, "m")


def test_lines_and_jsonl(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_bytes("\ufeff一\r\n\r\n{two}\n  three ".encode())
    assert read_prompts(lines) == ["一", "{two}", "  three "]
    objects = tmp_path / "x.jsonl"
    values = ["一", {"instruction": "a", "input": "b"}, {"instruction": "a", "input": ""}]
    rows = [json.dumps(value) for value in [*values, {"prompt": "c"}]]
    objects.write_text("\n\n".join(rows), encoding="utf-8")
    assert read_prompts(objects) == ["一", "a\nb", "a", "c"]
    array = tmp_path / "alpaca_data.json"
    array.write_text("[" + ",\n".join(rows) + "]", encoding="utf-8")
    assert read_prompts(objects.rename(tmp_path / "x.JSON")) == read_prompts(array)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no prompts"),
        (b"\xff\xfe", "not UTF-8"),
        (b'"a"\n{', r"line 2 of .* is not JSON"),
        (b'{"x": 1}', "line 1 of .* has no text"),
        (b"3", "has no text"),
        (b'["a", {"x": 1}]', "item 2 of .* has no text"),
        (b'["a",\n', "x.jsonl is not JSON"),
        (b"[]", "holds no prompts"),
    ],
)
def test_files_that_hold_no_prompts(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    with pytest.raises(GenerateError, match=said):
        read_prompts(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GenerateError, match="No such file"):
        read_prompts(tmp_path / "none.txt")
