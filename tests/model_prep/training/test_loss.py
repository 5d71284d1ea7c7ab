"""The loss that is trained on, against a computation from raw tokens."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import model_prep
from model_prep.tokenizer.loading import ALPACA_TEMPLATE
from tests.model_prep.family import Family
from tests.tokenizers import processor

pytestmark = pytest.mark.usefixtures("one_thread")


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.slow
@pytest.mark.parametrize("packing", [True, False])
def test_the_loss_is_that_of_the_answers_alone(
    family: Family, tmp_path: Path, packing: bool
) -> None:
    """Of several turns, by SentencePiece and the model alone, a conversation at a time."""
    turns = [[("李白是谁？", "唐代诗人。"), ("the quick", "fox jumps")], [("一", "长" * 9)]]
    file = tmp_path / "data.jsonl"
    told = [
        [message for asked, said in part for message in (user(asked), assistant(said))]
        for part in turns
    ]
    file.write_text("\n".join(json.dumps({"messages": messages}) for messages in told))
    report = model_prep.sft(
        model=family.base, data=file, validation=file, output_dir=tmp_path / "out", lora_rank=4,
        lora_alpha=8, target_modules="q_proj", packing=packing, max_steps=1, learning_rate=1e-9,
        gradient_accumulation_steps=2, logging_steps=1,
    )  # fmt: skip

    model = AutoModelForCausalLM.from_pretrained(family.base, dtype=torch.float32)
    pieces = processor(family.base / "tokenizer.model")
    losses: list[float] = []
    for conversation in turns:
        ids, learned = [1], [False]
        before = ALPACA_TEMPLATE.removeprefix("{{ bos_token }}").partition("{%")[0]
        for asked, said in conversation:
            prompt = pieces.encode(f"{before}\n\n### Instruction:\n{asked}\n\n### Response: ")
            answer, before = [*pieces.encode(said), 2], ""
            ids += [*prompt, *answer]
            learned += [False] * len(prompt) + [True] * len(answer)
        with torch.no_grad():
            scores = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-float(scores[at - 1, ids[at]]) for at in range(len(ids)) if learned[at]]
    assert report.first_loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert report.eval_loss == pytest.approx(report.first_loss, rel=1e-5)
