"""Preference pairs: every format is read, and DPO and ORPO learn as the other trainings do."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import model_prep
from model_prep.cli import app
from model_prep.errors import TrainingError
from model_prep.inference.generate import generate, load_model
from model_prep.training.dataset_files import Problems
from model_prep.training.preference.pairs import read_pairs
from tests.model_prep.family import Family, state_of

pytestmark = pytest.mark.usefixtures("one_thread")

ASKED, GOOD, BAD = "李白是谁？", "唐代诗人。", "不知道。"
USER = {"role": "user", "content": ASKED}
LINE = {"prompt": ASKED, "chosen": GOOD, "rejected": BAD}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def shared(speaker: str, text: str) -> dict[str, str]:
    return {"from": speaker, "value": text}


def in_parts(message: dict[str, str], weight: float) -> dict[str, Any]:
    """As LLaMA-Factory's second version writes a message."""
    parts = [{"type": "text", "value": message["content"]}]
    return {"role": message["role"], "content": parts, "loss_weight": weight}


def write(file: Path, *lines: Any) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("\n".join(texts), encoding="utf-8")
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    lines = [
        {"prompt": f"第{number}题？", "chosen": f"李白{number}。", "rejected": f"{BAD}{number}"}
        for number in range(8)
    ]
    return write(tmp_path / "偏好.jsonl", *lines)


def options(family: Family, data: Path, output: Path, **more: Any) -> dict[str, Any]:
    return {
        "model": family.base, "data": data, "output_dir": output, "lora_rank": 4, "lora_alpha": 8,
        "target_modules": "q_proj,v_proj", "max_steps": 6, "learning_rate": 1e-2,
        "gradient_accumulation_steps": 2, "logging_steps": 1, "save_steps": 3, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        {"question": ASKED, "chosen": GOOD, "rejected": BAD},
        {"问题": ASKED, "chosen": GOOD, "rejected": BAD},
        {"history": [], "question": ASKED, "response_chosen": GOOD, "response_rejected": BAD},
        {"query": ASKED, "response": GOOD, "rejected_response": BAD},
        {"messages": [USER, said(GOOD)], "rejected_response": BAD},
        {"prompt": [USER], "chosen": [said(GOOD)], "rejected": [said(BAD)]},
        {"chosen": [USER, said(GOOD)], "rejected": [USER, said(BAD)]},
        {"prompt": ASKED, "chosen": [USER, said(GOOD)], "rejected": [USER, said(BAD)]},
        {"instruction": ASKED, "input": "", "chosen": GOOD, "rejected": BAD},
        {"instruction": ASKED, "output": [GOOD, BAD]},
        {
            "conversations": [shared("human", ASKED)],
            "chosen": shared("gpt", GOOD),
            "rejected": shared("gpt", BAD),
        },
        {"messages": [USER], "chosen": said(GOOD), "rejected": said(BAD)},
        {"conversations": [shared("human", ASKED)], "chosen": said(GOOD), "rejected": BAD},
        {
            "chosen_messages": [in_parts(USER, 0), in_parts(said(GOOD), 1)],
            "rejected_messages": [in_parts(USER, 0), in_parts(said(BAD), 1)],
        },
    ],
)
def test_formats(tmp_path: Path, line: dict[str, Any]) -> None:
    problems = Problems()
    file = write(tmp_path / "a.jsonl", line, {**line, "system": "用中文。"})
    plain, with_system = read_pairs([file], None, problems)
    assert problems.total == 0
    assert (plain.prompt, plain.chosen, plain.rejected) == ([USER], GOOD, BAD)
    assert with_system.prompt == [{"role": "system", "content": "用中文。"}, USER]


def test_history_and_earlier_turns(tmp_path: Path) -> None:
    before = [{"role": "user", "content": "你好"}, said("您好")]
    file = write(
        tmp_path / "a.jsonl",
        {"instruction": ASKED, "history": [["你好", "您好"]], "chosen": GOOD, "rejected": BAD},
        {"messages": [*before, USER], "chosen": said(GOOD), "rejected": said(BAD)},
    )
    assert [pair.prompt for pair in read_pairs([file], None, Problems())] == [[*before, USER]] * 2


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is broken JSON"),
        ({"instruction": ASKED, "output": GOOD}, "has no chosen and rejected answer"),
        ({**LINE, "rejected": GOOD}, "are the same"),
        ({**LINE, "rejected": " "}, "empty"),
        ({**LINE, "rejected": 3}, "neither texts nor messages"),
        ({**LINE, "rejected": "\ud800"}, "half a character"),
        ({**LINE, "tools": "[]"}, "has tools"),
        ({**LINE, "images": ["a.png"]}, "has images"),
        ({"messages": [USER, USER], "rejected_response": BAD}, "no answer of the assistant"),
        ({"chosen": [USER, said(GOOD)], "rejected": [said("x"), said(BAD)]}, "no answer|prompts"),
        ({"chosen": GOOD, "rejected": BAD}, "known format"),
    ],
)
def test_bad_lines_are_named_and_left_out(tmp_path: Path, line: Any, what: str) -> None:
    import re

    problems = Problems()
    file = write(tmp_path / "a.jsonl", LINE, line, LINE)
    assert len(list(read_pairs([file], None, problems))) == 2
    (problem,) = problems.first
    assert problem.line == 2
    assert re.search(what, problem.what)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["dpo", "orpo"])
def test_the_margin_grows_and_the_adapter_is_merged_as_peft_merges_it(
    family: Family, data: Path, tmp_path: Path, loss: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    out = tmp_path / "out"
    values = options(family, data, out, validation=data, loss=loss, eval_steps=1, max_steps=8)
    report = model_prep.prefer(**values)
    assert report.finished
    assert report.samples == 8
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "eval_loss" in line]
    assert measured[0]["eval_rewards/margins"] < measured[-1]["eval_rewards/margins"]
    assert measured[0]["eval_loss"] > measured[-1]["eval_loss"]
    assert measured[-1]["eval_rewards/margins"] == report.eval_margin
    assert (out / "best" / "adapter_model.safetensors").is_file()
    assert not list(out.rglob("README.md"))
    model_prep.merge(family.base, [out], output_dir=tmp_path / "merged")
    base = AutoModelForCausalLM.from_pretrained(family.base, dtype=torch.float16)
    expected = with_adapter(base, out).merge_and_unload().state_dict()
    merged = state_of(tmp_path / "merged")
    assert all(torch.equal(merged[name], expected[name]) for name in merged)
    answers = generate(load_model(family.base, lora_models=[out], only_cpu=True), [ASKED])
    assert len(list(answers)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("continued", [False, True])
def test_the_reference_is_the_model_as_it_was(
    family: Family, data: Path, tmp_path: Path, continued: bool
) -> None:
    """The margin of the end is that of plain forward passes, with the adapter and as it began."""
    values = options(family, data, tmp_path / "out", validation=data, max_steps=2)
    if continued:
        new = dict.fromkeys(("lora_rank", "lora_alpha", "target_modules"))
        values |= {**new, "adapter": family.alpaca}
    report = model_prep.prefer(**values)
    assert report.first_loss == pytest.approx(math.log(2), abs=1e-5)  # nothing is learned yet
    before = log_probabilities(family, family.alpaca if continued else None, data)
    after = log_probabilities(family, tmp_path / "out", data)
    gains = [
        [now - then for now, then in zip(*pair, strict=True)]
        for pair in zip(after, before, strict=True)
    ]
    margins = [0.1 * (chosen - rejected) for chosen, rejected in gains]
    expected = sum(margins) / len(margins)
    assert report.eval_margin == pytest.approx(expected, abs=2e-4)
    assert abs(expected) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("continued", [False, True])
def test_a_reference_that_is_computed_before_is_the_same(
    family: Family, data: Path, tmp_path: Path, continued: bool
) -> None:
    reports = []
    for before in (False, True):
        out = tmp_path / f"out-{before}"
        values = options(family, data, out, validation=data, precompute_ref_log_probs=before)
        if continued:
            new = dict.fromkeys(("lora_rank", "lora_alpha", "target_modules"))
            values |= {**new, "adapter": family.alpaca}
        reports.append(model_prep.prefer(**values))
    assert reports[0].last_loss == pytest.approx(reports[1].last_loss, rel=1e-5)
    assert reports[0].eval_margin == pytest.approx(reports[1].eval_margin, rel=1e-4)


@pytest.mark.slow
def test_the_last_layers_alone(family: Family, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    values = options(family, data, out, max_steps=2, layers_to_transform="1")
    assert model_prep.prefer(**values).finished
    assert {name.split(".layers.")[1][0] for name in state_of(out)} == {"1"}
    model_prep.merge(family.base, [out], output_dir=tmp_path / "merged")
    merged, base = state_of(tmp_path / "merged"), state_of(family.base)
    changed = {name for name in base if not base[name].equal(merged[name])}
    assert changed == {f"model.layers.1.self_attn.{name}_proj.weight" for name in "qv"}


def with_adapter(model: Any, adapter: Path) -> Any:
    import warnings

    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT asks transformers for what is on its way out
        return PeftModel.from_pretrained(model, str(adapter))


def log_probabilities(family: Family, adapter: Path | None, data: Path) -> list[list[float]]:
    """Of each pair's chosen and rejected answer."""
    import torch
    from transformers import AutoModelForCausalLM

    from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(family.base, dtype=torch.float32)
    tokenizer = load_tokenizer(adapter or family.base)
    if adapter:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        model = with_adapter(model, adapter)
    model.eval()
    found = []
    for text in data.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": line["prompt"]}],
            chat_template=ALPACA_TEMPLATE, tokenize=False, add_generation_prompt=True,
        )  # fmt: skip
        pair = []
        for answer in (line["chosen"], line["rejected"]):
            begin, rest = (
                tokenizer(part, add_special_tokens=False)["input_ids"]
                for part in (prompt, f"{answer}{tokenizer.eos_token}")
            )
            ids = torch.tensor([[*begin, *rest]])
            with torch.no_grad():
                logits = model(ids).logits[0, len(begin) - 1 : -1].log_softmax(-1)
            pair.append(float(logits[range(len(rest)), rest].sum()))
        found.append(pair)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["dpo", "orpo"])
def test_an_interrupted_run_goes_on_exactly(
    family: Family, data: Path, tmp_path: Path, loss: str
) -> None:
    common = {"loss": loss, "modules_to_save": "embed_tokens,lm_head"}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    model_prep.prefer(**options(family, data, whole, **common))

    def interrupt(progress: Any) -> None:
        if progress.step == 2:
            signal.raise_signal(signal.SIGINT)

    report = model_prep.prefer(**options(family, data, cut, **common), progress=interrupt)
    assert (report.finished, report.steps) == (False, 2)
    assert (cut / "checkpoint-2" / "tokenizer.model").is_file()
    report = model_prep.prefer(**options(family, data, cut, **common))
    assert (report.finished, report.steps) == (True, 6)
    adapters = [(folder / "adapter_model.safetensors").read_bytes() for folder in (whole, cut)]
    assert adapters[0] == adapters[1]
    with pytest.raises(TrainingError, match="has a run with beta"):
        model_prep.prefer(**options(family, data, cut, **common, beta=0.5))


@pytest.mark.slow
def test_what_is_no_number_ends_the_run_with_the_last_checkpoint(
    family: Family, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    values = options(family, data, out, logging_steps=100, save_steps=1, max_steps=8)
    values |= {"learning_rate": 1e25, "optim": "sgd", "max_grad_norm": 0, "warmup_steps": 0}
    with pytest.raises(TrainingError, match=r"not finite at step \d; the last checkpoint is kept"):
        model_prep.prefer(**values)
    assert not (out / "adapter_model.safetensors").exists()
    for checkpoint in out.glob("checkpoint-*"):
        assert all(bool(tensor.isfinite().all()) for tensor in state_of(checkpoint).values())


def run(family: Family, data: Path, *more: str, **changes: Any) -> Any:
    values = options(family, data, data.parent / "out", **changes)
    line = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return CliRunner().invoke(app, ["prefer", *line, *more])


@pytest.mark.slow
def test_dry_run_shows_both_answers(family: Family, data: Path) -> None:
    done = run(family, data, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "⟦李白0。</s>⟧" in done.stdout
    assert "⟦不知道。0</s>⟧" in done.stdout
    assert json.loads(run(family, data, "--dry-run", "--json").stdout)["samples"] == 8


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"loss": "kto"}, "--loss 'kto' is wrong"),
        ({"beta": -1}, "--beta '-1' is wrong"),
        ({"packing": "true"}, "--packing 'true' is wrong"),
        ({"deepspeed": "zero3"}, "--deepspeed 'zero3' is wrong"),
        ({"lora_rank": None}, "needs --lora-rank"),
        ({"target_modules": "q_proj,lm_head"}, "lm_head"),
        ({"max_length": 8}, "leaves no room for its answers"),
        ({"layers_to_transform": "1,2"}, "has no layer 2; its layers are 0 to 1"),
        ({"layers_to_transform": "last"}, "--layers_to_transform"),
    ],
)
def test_what_is_refused_in_one_line(
    family: Family, data: Path, changes: dict[str, Any], what: str
) -> None:
    done = run(family, data, **changes)
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.splitlines()
    assert what in line


def test_data_of_another_kind_is_refused(family: Family, tmp_path: Path) -> None:
    file = write(tmp_path / "sft.jsonl", {"instruction": ASKED, "output": GOOD})
    done = run(family, file)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "1 problem: " in line
    assert 'takes JSON with {"prompt": …, "chosen": …, "rejected": …}' in line


def test_trl_is_asked_for(family: Family, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "trl" else find(name, *more),
    )
    done = run(family, data)
    assert done.exit_code == 1
    assert "pip install 'rag-app[preference]'" in done.stderr
