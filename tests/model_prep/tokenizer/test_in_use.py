"""The exact tokenizer where transformers uses tokenizers."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_prep.inference.streaming import TextStream
from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer
from tests.model_prep.tokenizer.lines import PIECES_OF_TEXT

TEXT = "好😀的👨‍👩‍👧 𠮷野家 text\n    indented  \n\t龘 end"


@pytest.fixture(scope="module")
def tokenizer(alpaca_tokenizer: Path) -> Any:
    loaded = load_tokenizer(alpaca_tokenizer)
    loaded.chat_template = ALPACA_TEMPLATE
    return loaded


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    """A LLaMA of one layer that has learned nothing."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).eval()


def streamed(streamer: Any, ids: list[int]) -> list[str]:
    import torch

    for number in ids:
        streamer.put(torch.tensor([number]))
    streamer.end()
    return list(streamer)


def test_streams_never_show_half_a_character(tokenizer: Any) -> None:
    from transformers import TextIteratorStreamer

    ids = tokenizer.encode(TEXT)
    for kind in (TextIteratorStreamer, TextStream):
        for end in range(1, len(ids) + 1):  # a length limit may stop anywhere
            parts = streamed(kind(tokenizer, skip_special_tokens=True), ids[:end])
            assert not [part for part in parts if "\ufffd" in part]
    assert "".join(streamed(TextStream(tokenizer, skip_special_tokens=True), ids)) == TEXT


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(text=st.lists(st.sampled_from(PIECES_OF_TEXT), max_size=60).map("".join))
def test_a_stream_gives_the_text(tokenizer: Any, text: str) -> None:
    stream = TextStream(tokenizer, skip_special_tokens=True)
    shown = "".join(streamed(stream, tokenizer.encode(text)))
    # A mark of a broken character at the very end can't be told from half a character.
    assert shown.rstrip("\ufffd") == text.replace("▁", " ").rstrip("\ufffd")


def test_a_stream_begins_after_the_prompt_and_can_be_used_again(tokenizer: Any) -> None:
    import torch

    stream = TextStream(tokenizer, skip_prompt=True, skip_special_tokens=True)
    for _ in range(2):
        stream.put(torch.tensor([tokenizer.encode("the prompt")]))
        assert "".join(streamed(stream, [*tokenizer.encode(" 答案")[1:], 2])) == " 答案"
    with pytest.raises(ValueError, match="one sequence"):
        TextStream(tokenizer).put(torch.zeros(2, 2, dtype=torch.int64))


def test_characters_are_shown_as_soon_as_they_are_whole(tokenizer: Any) -> None:
    ids = tokenizer.encode("一二😀三")[1:]
    parts = streamed(TextStream(tokenizer), ids)
    assert "😀" in parts
    assert [part for part in parts if part] == parts or parts[-1] == ""


@pytest.mark.slow
def test_pipelines_generate_after_the_prompt(tokenizer: Any, model: Any) -> None:
    from transformers import pipeline

    generator: Any = pipeline("text-generation", model=model, tokenizer=tokenizer)
    prompts = ["短", "Translate 长一点的句子 into English."]
    options = {"max_new_tokens": 4, "do_sample": False}
    for prompt in prompts:
        [whole] = generator(prompt, **options)
        [new] = generator(prompt, return_full_text=False, **options)
        assert whole["generated_text"] == prompt + new["generated_text"]
    batched = generator(prompts, batch_size=2, **options)
    alone = [generator(prompt, **options) for prompt in prompts]
    assert batched == alone
    [chat] = generator([{"role": "user", "content": "你好"}], **options)
    assert chat["generated_text"][-1]["role"] == "assistant"


def test_generation_streams(tokenizer: Any, model: Any) -> None:
    from threading import Thread

    from transformers import TextIteratorStreamer

    inputs = tokenizer("你好", return_tensors="pt")
    options = {"max_new_tokens": 20, "do_sample": False}
    wanted = model.generate(**inputs, **options)[0][inputs["input_ids"].shape[1] :]
    whole = tokenizer.decode(wanted, skip_special_tokens=True)
    for kind in (TextIteratorStreamer, TextStream):
        streamer = kind(tokenizer, skip_prompt=True, skip_special_tokens=True)
        worker = Thread(target=model.generate, kwargs={**inputs, **options, "streamer": streamer})
        worker.start()
        shown = "".join(streamer)
        worker.join()
        if kind is TextStream:
            assert shown == whole
        # Random weights may say half a character; no other one is cut.
        assert shown.count("\ufffd") == whole.count("\ufffd")


@pytest.mark.slow
def test_the_trainer_trains_and_saves(tokenizer: Any, model: Any, tmp_path: Path) -> None:
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    texts = ["春眠不觉晓，", "处处闻啼鸟。夜来风雨声，花落知多少。"]
    rows: Any = [tokenizer(text + "</s>", add_special_tokens=True) for text in texts]
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        processing_class=tokenizer,
    )
    assert trainer.train().training_loss > 0
    trainer.save_model(str(tmp_path / "model"))
    again = load_tokenizer(tmp_path / "model")
    assert again(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert again.chat_template == ALPACA_TEMPLATE
