"""Bases, adapters and tokenizers that do not belong together, and what to swap."""

from pathlib import Path

import pytest

from model_prep.errors import MergeOrderError, TokenizerError
from model_prep.lora import plan as merge_plan
from model_prep.lora.merge import merge
from model_prep.lora.order import Stage, require_order
from tests.model_prep.family import (
    ALPACA,
    CHINESE,
    LLAMA,
    Family,
    copy_of,
    make_lora,
    write_tokenizer,
)

BASE = Stage(Path("llama"), 32_000, 32_000)
CHINESE_LORA = Stage(Path("chinese"), 49_953, 49_953)
ALPACA_LORA = Stage(Path("alpaca"), 49_954, 49_954)


@pytest.mark.parametrize(
    ("base", "adapters"),
    [
        (BASE, [CHINESE_LORA, ALPACA_LORA]),
        (BASE, [CHINESE_LORA]),
        (BASE, [ALPACA_LORA]),  # the first Chinese-Alpaca was one LoRA over LLaMA
        (BASE, [Stage(Path("sft"), None, None)]),
        (BASE, [CHINESE_LORA, ALPACA_LORA, Stage(Path("sft"), None, None)]),
        (Stage(Path("merged"), 49_954, 49_954), [Stage(Path("sft"), 49_954, None)]),
        (Stage(Path("qwen"), 151_936, 151_665 + 260), [Stage(Path("sft"), None, None)]),
    ],
)
def test_right_orders(base: Stage, adapters: list[Stage]) -> None:
    require_order(base, adapters)


@pytest.mark.parametrize(
    ("base", "adapters", "said"),
    [
        (BASE, [ALPACA_LORA, CHINESE_LORA], r"swap them: --lora-model chinese,alpaca$"),
        (
            Stage(Path("merged"), 49_954, 49_954),
            [CHINESE_LORA, ALPACA_LORA],
            r"merged already has a vocabulary of 49,954, .* this base is already merged; use the",
        ),
        (
            BASE,
            [Stage(Path("a"), None, None, "Chinese-Alpaca-Plus-LoRA-7B"), CHINESE_LORA],
            r"trained on top of Chinese-LLaMA-Plus-LoRA-7B, .* PATH_OF_Chinese-LLaMA-Plus-LoRA-7B",
        ),
        (
            Stage(Path("b"), 50_000, 50_000),
            [
                Stage(Path("a"), None, None, "Chinese-Alpaca-Plus-LoRA-7B"),
                Stage(Path("c"), None, None, "Chinese-LLaMA-Plus-LoRA-7B"),
            ],
            r"a \(Chinese-Alpaca-Plus-LoRA-7B\) .* swap them: --lora-model c,a$",
        ),
        (
            BASE,
            [CHINESE_LORA, Stage(Path("alpaca"), 49_954, 49_953)],
            r"tokenizer in alpaca has 49,953 pieces, and alpaca needs 49,954",
        ),
        (
            BASE,
            [CHINESE_LORA, Stage(Path("alpaca"), 49_954, None)],
            r"tokenizer in chinese has 49,953 pieces, and alpaca needs 49,954",
        ),
        (BASE, [Stage(Path("sft"), None, 49_953)], r"in sft has 49,953 pieces, and sft needs 32"),
        (
            Stage(Path("llama"), 32_000, None),
            [Stage(Path("sft"), None, None)],
            r"neither llama nor any adapter has a tokenizer; copy tokenizer.model into llama",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_wrong_orders(base: Stage, adapters: list[Stage], said: str) -> None:
    with pytest.raises(MergeOrderError, match=said) as error:
        require_order(base, adapters)
    assert "\n" not in str(error.value)


def refused(base: Path, adapters: list[Path], folder: Path, said: str) -> None:
    with pytest.raises(MergeOrderError, match=said):
        merge(base, adapters, output_dir=folder / "out")
    assert not (folder / "out").exists()


def test_alpaca_before_llama(family: Family, tmp_path: Path) -> None:
    said = rf"vocabulary {ALPACA}.* swap them: --lora-model {family.chinese},{family.alpaca}$"
    refused(family.base, [family.alpaca, family.chinese], tmp_path, said)


def test_the_tokenizer_of_another_model(family: Family, tmp_path: Path) -> None:
    lora = copy_of(family.alpaca, tmp_path / "lora")
    write_tokenizer(lora, CHINESE)
    said = f"has {CHINESE} pieces, and {lora} needs {ALPACA}: they belong to different models"
    refused(family.base, [family.chinese, lora], tmp_path, said)
    (lora / "tokenizer.model").write_bytes(b"<html>")
    with pytest.raises(TokenizerError, match="damaged or not a SentencePiece model"):
        merge(family.base, [lora], output_dir=tmp_path / "out")


@pytest.mark.slow
def test_a_base_that_is_already_merged(family: Family, tmp_path: Path) -> None:
    merge(family.base, [family.chinese], output_dir=tmp_path / "merged")
    said = f"is already merged with {family.chinese}; leave that LoRA out"
    refused(tmp_path / "merged", [family.chinese, family.alpaca], tmp_path, said)
    (tmp_path / "merged" / "merge.json").unlink()  # made by something else: the weights tell
    refused(tmp_path / "merged", [family.chinese, family.alpaca], tmp_path, said)
    merge(tmp_path / "merged", [family.alpaca], output_dir=tmp_path / "whole")
    (tmp_path / "whole" / "merge.json").unlink()
    said = f"already has a vocabulary of {ALPACA}, and {family.chinese} brings only {CHINESE}"
    refused(tmp_path / "whole", [family.chinese], tmp_path, said)


@pytest.mark.slow
def test_merging_on_is_merging_at_once(family: Family, tmp_path: Path) -> None:
    merge(family.base, [family.chinese], output_dir=tmp_path / "first")
    on = merge(tmp_path / "first", [family.alpaca], output_dir=tmp_path / "second")
    once = merge(family.base, [family.chinese, family.alpaca], output_dir=tmp_path / "once")
    assert on.content_sha256 == once.content_sha256


@pytest.mark.slow
def test_embeddings_trained_further_are_no_merge(family: Family, tmp_path: Path) -> None:
    """One's own LoRA over a merged model may bring embeddings of the same size."""
    merge(family.base, [family.chinese], output_dir=tmp_path / "merged")
    mine = make_lora(tmp_path / "my-own-lora", tmp_path / "merged", CHINESE, r=4)
    report = merge(tmp_path / "merged", [mine], output_dir=tmp_path / "out")
    assert report.vocabulary == CHINESE


def test_known_files_are_named(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real files can't be had here: one of ours is taken for one of them."""
    (digest,) = merge_plan.prepare_merge(family.base, [family.alpaca]).digests[0].values()
    name = "Chinese-Alpaca-Plus-LoRA-7B"
    monkeypatch.setattr(merge_plan, "published_name", {digest: name}.get)
    with merge_plan.prepare_merge(family.base, [family.chinese, family.alpaca]) as plan:
        assert plan.known == [None, name]
    said = rf"{family.alpaca} \({name}\).*comes before"
    refused(family.base, [family.alpaca, family.chinese], tmp_path, said)


def test_a_vocabulary_without_a_tokenizer(family: Family, tmp_path: Path) -> None:
    lora = copy_of(family.chinese, tmp_path / "lora")
    (lora / "tokenizer.model").unlink()
    said = f"tokenizer in {family.base} has {LLAMA} pieces, and {lora} needs {CHINESE}"
    refused(family.base, [lora], tmp_path, said)
