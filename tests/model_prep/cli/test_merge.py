"""`model-prep merge` on the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import model_prep.lora.merge
from model_prep.cli import app
from tests.model_prep.family import ALPACA, Family


def run(*arguments: str | Path):
    return CliRunner().invoke(app, ["merge", *map(str, arguments)])


def inputs(family: Family) -> list[str]:
    return ["--base_model", f"{family.base}", "--lora_model", f"{family.chinese},{family.alpaca}"]


@pytest.mark.slow
def test_an_old_command_line(family: Family, tmp_path: Path) -> None:
    """The reference's, after changing its first word."""
    out = tmp_path / "out"
    old = ["--output_type", "pth", "--offload_dir", str(tmp_path), "--verbose"]
    done = run(*inputs(family), *old, "--output_dir", out)
    assert done.exit_code == 0, done.stderr
    assert (out / "consolidated.00.pth").is_file()
    assert done.stdout == ""
    assert f"{out} holds 0.00 GB in 21 tensors, a vocabulary of {ALPACA}" in done.stderr
    assert "merging of" in done.stderr


@pytest.mark.slow
def test_json_is_all_of_stdout(family: Family, tmp_path: Path) -> None:
    out = tmp_path / "模型"
    size = ["--max-shard-size", "20KB", "--dtype", "float16"]
    done = run(*inputs(family), "--output-dir", out, "--json", *size)
    said = json.loads(done.stdout)
    noted = json.loads((out / "merge.json").read_text(encoding="utf-8"))
    assert said["content_sha256"] == noted["content_sha256"]
    assert said["output"] == str(out)
    assert len(list(out.glob("*.safetensors"))) > 2


def test_an_option_for_each_lora(family: Family, tmp_path: Path) -> None:
    """Of an option that is given twice the last would win: the first LoRA was left out."""
    loras = ("--lora-model", family.chinese, "--lora-model", family.alpaca)
    done = run("--base-model", family.base, *loras, "--output-dir", tmp_path / "out", "--dry-run")
    assert f"in this order: {family.chinese}, {family.alpaca}" in done.stderr


def test_a_dry_run(family: Family, tmp_path: Path) -> None:
    done = run(*inputs(family), "--output-dir", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0
    assert "would hold" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--base-model", "nowhere", "--lora-model", "x"], 1, "there is no nowhere"),
        (["--base-model", "BASE", "--lora-model", "nowhere"], 1, "there is no nowhere"),
        (["--base-model", "BASE", "--lora-model", ","], 1, "no LoRA is given"),
        (["--base-model", "BASE", "--lora-model", "A,C"], 1, "swap them: --lora-model"),
        (["--base-model", "BASE"], 2, "--lora-model"),
        (
            ["--base-model", "BASE", "--lora-model", "C", "--output-type", "x"],
            2,
            "'huggingface', 'pth'",
        ),
        (
            ["--base-model", "BASE", "--lora-model", "C", "--max-shard-size", "x"],
            1,
            "is not a size",
        ),
    ],
)
def test_what_goes_wrong(
    family: Family, home: Path, arguments: list[str], code: int, said: str
) -> None:
    names = {"BASE": family.base, "C": family.chinese, "A,C": f"{family.alpaca},{family.chinese}"}
    done = run(*(str(names.get(one, one)) for one in arguments))
    assert done.exit_code == code
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert not (home / "merged").exists()


@pytest.mark.slow
def test_ctrl_c(family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model_prep.lora.merge, "merge_manifest", interrupted)
    done = run(*inputs(family), "--output-dir", tmp_path / "out")
    assert done.exit_code == 130
    assert done.stderr.endswith("model-prep: interrupted\n")
    assert list(tmp_path.iterdir()) == []
