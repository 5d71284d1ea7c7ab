"""Training data: reading, labels, and packing samples into sequences."""

import gzip
import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import Table, parquet

from model_prep.errors import TrainingError
from model_prep.inference.chat_template import ChatTemplate
from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer
from model_prep.training import data as training_data
from model_prep.training.command_line import read_options
from model_prep.training.conversations import read_conversations
from model_prep.training.dataset_files import SUFFIXES, Problems, find_files
from model_prep.training.dry_run import decoded, estimate
from model_prep.training.encoding import IGNORED, encode_conversations, encode_texts, parts_of
from model_prep.training.packing import Collator, make_sequences, pack
from model_prep.training.settings import PretrainSettings, SftSettings, make_settings
from model_prep.training.vocabulary import VocabularySizes, rows_needed
from tests.model_prep.family import TARGETS, Family

LORA = {"lora_rank": 4, "lora_alpha": 8, "target_modules": "q_proj,v_proj"}


def settings_of(family: Family, tmp_path: Path, data: Path, **more: Any) -> Any:
    options = {"model": family.base, "data": data, "output_dir": tmp_path / "out", **LORA}
    options |= {"cache_dir": tmp_path / "cache", "max_length": 256, **more}
    return make_settings(SftSettings, options)


def write_jsonl(file: Path, values: list[Any], encoding: str = "utf-8") -> Path:
    lines = (json.dumps(value, ensure_ascii=False) for value in values)
    file.write_text("\n".join(lines), encoding=encoding)
    return file


GOOD: list[dict[str, Any]] = [
    {"instruction": "李白是谁？", "input": "", "output": "唐代诗人。"},
    {"instruction": "翻译", "input": "洗衣机", "output": "washing machine"},
    {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]},
    {
        "messages": [
            {"role": "system", "content": "简短。"},
            {"role": "user", "content": "一"},
            {"role": "assistant", "content": "二"},
            {"role": "user", "content": "没有回答"},
        ]
    },
]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8", None), ("utf-8-sig", None), ("utf-8-sig", "utf-8"), ("utf-16", None),
        ("utf-16-le", "utf-16-le"), ("gb18030", None),
    ],
)  # fmt: skip
def test_the_known_formats_and_encodings(tmp_path: Path, encoding: str, named: str | None) -> None:
    file = write_jsonl(tmp_path / "数据.jsonl", GOOD, encoding)
    problems = Problems()
    found = list(read_conversations([file], named, problems))
    assert [one.line for one in found] == [1, 2, 3, 4]
    assert problems.total == 0
    assert found[1].messages[0]["content"] == "翻译\n洗衣机"
    assert [one["role"] for one in found[3].messages] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    ("item", "texts"),
    [
        ({"prompt": "问", "completion": "答"}, ["问", "答"]),
        ({"question": "问", "context": "文", "answer": "答"}, ["问\n文", "答"]),
        ({"query": "问", "response": "答", "history": [["甲", "乙"]]}, ["甲", "乙", "问", "答"]),
        ({"system_prompt": "简答", "question": "问", "response": "答"}, ["简答", "问", "答"]),
        ({"instruction": "问", "output": "答", "messages": [], "prompt": "问："}, ["问", "答"]),
        (
            {
                "instruction": "问",
                "output": "答",
                "messages": [
                    {"role": "user", "content": "甲"},
                    {"role": "assistant", "content": "乙"},
                ],
            },
            ["问", "答"],
        ),
        (
            {
                "messages": [
                    {"role": None, "content": None, "from": "human", "value": "问"},
                    {"role": "assistant", "content": "答", "from": None, "value": None},
                ]
            },
            ["问", "答"],
        ),
        (
            {
                "prompt": [{"role": "user", "content": "问"}],
                "completion": [{"role": "assistant", "content": "答"}],
            },
            ["问", "答"],
        ),
        (
            {
                "conversations": [
                    {"from": "system", "value": ""},
                    {"from": "human", "value": "问"},
                    {"from": "gpt", "value": "答"},
                ]
            },
            ["问", "答"],
        ),
        ({"kind": "NLI", "input": "问", "target": "答"}, ["问", "答"]),
        ({"content": "问", "summary": "答"}, ["问", "答"]),
        ({"content": "文", "question": "问", "answer": "答"}, ["问", "答"]),
        ({"text": "<s>Human: 问\n一\n</s><s>Assistant: 答\n</s>\n"}, ["问\n一", "答"]),
        ({"text": "### Human: 问 ### 1### Assistant: 答"}, ["问 ### 1", "答"]),
        ({"type": "text2text", "instances": [{"input": "问", "output": "答"}]}, ["问", "答"]),
        ({"instruction": "", "input": "问", "output": "答"}, ["问", "答"]),
        ({"input": "问", "context": "文", "output": "答"}, ["问\n文", "答"]),
        ({"query": "问", "input": "甲", "context": "乙", "answer": "答"}, ["问\n甲\n乙", "答"]),
        (
            {
                "input": "甲",
                "output": "乙",
                "messages": [
                    {"role": "user", "content": "问"},
                    {"role": "assistant", "content": "答"},
                ],
            },
            ["问", "答"],
        ),
        ({"问题": "问", "回答": "答"}, ["问", "答"]),
        (
            {
                "category": "Brainstorming",
                "conversation": [
                    {"human": "问一", "assistant": "答一"},
                    {"human": "问二", "assistant": "答二"},
                ],
            },
            ["问一", "答一", "问二", "答二"],
        ),
        (
            {
                "conversation": [
                    {"system": "简短。", "input": "问一", "output": "答一"},
                    {"input": "问二", "output": "答二"},
                ]
            },
            ["简短。", "问一", "答一", "问二", "答二"],
        ),
        ({"question": "问", "answer": "答", "conversation": "7"}, ["问", "答"]),
        (
            {
                "meta_instruction": "你是MOSS。",
                "chat": {
                    "turn_1": {
                        "Human": "<|Human|>: 问<eoh>\n",
                        "Inner Thoughts": "<|Inner Thoughts|>: None<eot>\n",
                        "Commands": "<|Commands|>: None<eoc>\n",
                        "MOSS": "<|MOSS|>: 答<eom>\n",
                    }
                },
            },
            ["你是MOSS。", "问", "答"],
        ),
        (
            {
                "chat": {
                    "turn_10": {"Human": "问二", "MOSS": "答二"},
                    "turn_11": None,
                    "turn_2": {"Human": "问一", "MOSS": "答一"},
                }
            },
            ["问一", "答一", "问二", "答二"],
        ),
    ],
    ids=str,
)
def test_what_others_call_the_columns(
    tmp_path: Path, item: dict[str, Any], texts: list[str]
) -> None:
    file = write_jsonl(tmp_path / "data.jsonl", [item])
    (found,) = read_conversations([file], None, Problems())
    assert [message["content"] for message in found.messages] == texts


@pytest.mark.parametrize(
    ("item", "what"),
    [
        ({"instruction": "答题", "question": "问", "answer": "答"}, "has instruction and question"),
        ({"question": "问", "options": ["甲", "乙"], "answer": "A"}, "has question and options"),
        ({"instruction": "问", "output": None}, "known format (its keys: instruction)"),
        ({"text": "关于### Human: 与### Assistant: 的文章"}, "known format (its keys: text)"),
        ({"text": "<s>Human: 问</s>"}, "text has no answer of the assistant"),
        (
            {"type": "a", "instruction": "问", "instances": [{"input": "问", "output": "答"}]},
            "known",
        ),
        ({"type": "text2text", "instances": None}, "known format (its keys: type)"),
        ({"type": "text2text", "instances": [3]}, "is not a JSON object (int)"),
        ({"chat": {"turn_1": {"Human": "问", "MOSS": "答", "Commands": "a()"}}}, "has tools"),
        (
            {"chat": {"turn_1": {"Human": "问", "MOSS": "答", "Inner Thoughts": "想"}}},
            "has thinking",
        ),
        ({"conversation": [{"human": "问", "assistant": ""}]}, "instruction or output is empty"),
        ({"conversation": [{"human": "问", "assistant": "答", "images": ["a"]}]}, "has images"),
        ({"conversation": [{"input": "问", "output": "答", "output_with_loss": False}]}, "weighs"),
        ({"input": ["问"], "output": ["答"]}, "input is not a list of messages with role and"),
    ],
)
def test_a_question_in_parts_is_left_out(tmp_path: Path, item: dict[str, Any], what: str) -> None:
    """Rather than learned without one of them."""
    file = write_jsonl(tmp_path / "data.jsonl", [item])
    problems = Problems()
    assert list(read_conversations([file], None, problems)) == []
    assert what in str(problems.first[0])


@pytest.mark.parametrize(("suffix", "between"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_tables_are_read_by_the_names_of_their_columns(
    tmp_path: Path, suffix: str, between: str
) -> None:
    rows = [",", "问题,Answer", '一,"甲\n""乙"""', "二", "三,丙,丁", f"四,{'长' * 140_000},"]
    file = tmp_path / f"data.{suffix}"
    text = "\n".join([*rows, '五,"戊']).replace(",", between)
    file.write_text(text, encoding="utf-8-sig")
    problems = Problems()
    found = list(read_conversations([file], None, problems))
    texts = [[message["content"] for message in item.messages] for item in found]
    assert texts[0] == ["一", '甲\n"乙"']
    assert list(map(len, texts[1])) == [1, 140_000]
    assert [item.line for item in found] == [3, 7]
    assert [(problem.line, problem.what) for problem in problems.first] == [
        (5, "has not the keys of a known format (its keys: 问题)"),
        (6, "has more cells than its table has columns"),
        (8, "can't be read as a table from here on (unexpected end of data)"),
    ]


def test_cells_of_tables_that_are_no_texts(tmp_path: Path) -> None:
    """What pandas and Excel write: numbers of rows, empty cells and rows, false as text."""
    file = tmp_path / "data.csv"
    rows = ["0,,问,答,", ",,,,", "2,问,,答,True", "3,,问,答,False"]
    file.write_text("\n".join([",query,question,answer,label", *rows]), encoding="utf-8")
    asked, answer = {"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}
    found, problems = read(file)
    assert found == [[asked, answer]] * 2
    assert len(problems) == 1
    assert "data.csv:5: has an answer that is labelled as bad" in problems[0]
    file.write_text("question,answer,Answer\n问,答,\n", encoding="utf-8")
    found, (problem,) = read(file)
    assert not found
    assert "data.csv:1: has two columns of one name (answer)" in problem


def test_parquet_is_read_by_rows(tmp_path: Path) -> None:
    """Of a table of several formats, an object's other columns are empty."""
    file = tmp_path / "data.parquet"
    columns = dict.fromkeys(("instruction", "input", "output", "conversations", "messages"))
    items = [{**columns, **item} for item in [*GOOD, {"instruction": "问"}]]
    parquet.write_table(Table.from_pylist(items), file)
    problems = Problems()
    rows = list(read_conversations(find_files([tmp_path], SUFFIXES, "data"), None, problems))
    lines = list(read_conversations([write_jsonl(tmp_path / "a.jsonl", GOOD)], None, Problems()))
    assert [(row.messages, row.line) for row in rows] == [(at.messages, at.line) for at in lines]
    assert [problem.line for problem in problems.first] == [5]
    file.write_bytes(file.read_bytes()[:100])
    assert list(read_conversations([file], None, problems)) == []
    assert problems.first[-1].what.startswith("can't be read as Parquet from here on")


def test_a_date_that_python_lacks_ends_a_parquet_file(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    dates = pyarrow.array([2**60], pyarrow.timestamp("us"))
    parquet.write_table(
        Table.from_pydict({"prompt": ["问"], "completion": ["答"], "at": dates}), file
    )
    problems = Problems()
    assert list(read_conversations([file], None, problems)) == []
    assert problems.total == 1


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("gzip", gzip.compress(b"{}", mtime=0)), ("Parquet", b"PAR1\x15\0\x15"),
        ("zip", b"PK\x03\x04\x14\0"), ("name its --encoding", "這是甚麼問題？".encode("big5")),
    ],
)  # fmt: skip
def test_what_is_not_text_is_named(tmp_path: Path, name: str, packed: bytes) -> None:
    """Big5 is no GB18030, though its bytes can be read as that."""
    (tmp_path / "data.jsonl").write_bytes(packed)
    problems = Problems()
    assert list(read_conversations([tmp_path / "data.jsonl"], None, problems)) == []
    assert [problem for problem in problems.first if name in str(problem)]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("euc_kr", "다음 문장을 요약해 주세요. 기계 학습은 규칙을 배우는 방법입니다."),
        ("cp949", "다음 문장을 요약해 주세요. 찦차를 타고 온 펲시맨은 규칙을 배웁니다."),
        ("euc_jp", "次の文章を要約してください。機械学習は、規則を学ぶ方法です。"),
        (
            "gb18030",
            "请说明「ありがとう」与「こんにちは」的意思，以及它们在什么场合使用，怎样回答。",
        ),
    ],
)
def test_what_seems_chinese_is_read_in_its_own_language(
    tmp_path: Path, encoding: str, text: str
) -> None:
    item = {"instruction": text, "output": text}
    file = write_jsonl(tmp_path / "data.jsonl", [item], encoding)
    problems = Problems()
    (found,) = read_conversations([file], None, problems)
    assert found.messages[0]["content"] == text
    assert problems.total == 0


@pytest.mark.parametrize("begin", ["{\n", "{ \n"])
def test_objects_over_several_lines(begin: str, tmp_path: Path) -> None:
    """As jq writes them, one after another."""
    file = tmp_path / "data.jsonl"
    text = "\n".join(json.dumps(one, indent=2) for one in GOOD[:3])
    file.write_text(text.replace("{\n", begin), encoding="utf-8")
    problems = Problems()
    found = list(read_conversations([file], None, problems))
    assert [one.line for one in found] == [1, 6, 11]
    assert problems.total == 0
    os.truncate(file, file.stat().st_size - 3)
    assert len(list(read_conversations([file], None, problems))) == 2
    assert "is broken JSON from here on" in str(problems.first[0])


@pytest.mark.slow
def test_what_is_broken_is_told_by_file_and_line(tmp_path: Path) -> None:
    lines = [json.dumps(GOOD[0])] * 70_000
    lines[69_999] = '{"instruction": "x", "output'
    lines[10] = '{"question": "?"}'
    lines[11] = "[1]"
    lines[12] = '{"instruction": "x", "output": "  "}'
    lines[13] = '{"instruction": "x", "output": 3}'
    lines[14] = '{"instruction": "x", "output": "\\udfff"}'
    lines[15] = f'{{"instruction": "x", "output": "y", "n": {"1" * 5000}}}'
    big = tmp_path / "big.jsonl"
    big.write_text("\n".join(lines), encoding="utf-8")
    empty, binary, array = (tmp_path / name for name in ("empty.json", "binary.json", "a.json"))
    empty.touch()
    binary.write_bytes(b"\xff\xfe\x00\x01\x89PNG\x00\xd8" * 9)
    array.write_text(f"[\n{lines[0]},\n{lines[0]},\n{{broken\n]", encoding="utf-8")
    problems = Problems()
    found = list(read_conversations([big, empty, binary, array], None, problems))
    assert len(found) == 70_000 - 7 + 2
    told = {(Path(one.file).name, one.line) for one in problems.first}
    assert told >= {("big.jsonl", number) for number in (11, 12, 13, 14, 15, 16, 70_000)}
    assert told >= {("empty.json", 0), ("binary.json", 0), ("a.json", 4)}
    assert problems.total == 10
    assert any("4300 digits" in str(one) for one in problems.first)


def test_only_answers_are_learned(family: Family, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "data.jsonl", GOOD)
    settings = settings_of(family, tmp_path, file)
    tokenizer = load_tokenizer(family.base)
    data = training_data.load_data(settings, tokenizer)
    shown = [part for row in range(len(data.train)) for part in decoded(data.train, row, tokenizer)]
    learned = [text.removesuffix("</s>").strip() for text, is_label in shown if is_label]
    assert sorted(learned) == sorted(["唐代诗人。", "washing machine", "答", "二"])
    assert all("### Response:" not in text for text, is_label in shown if is_label)
    # The prompt is encoded as it is when the model is asked.
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "李白是谁？"}],
        chat_template=ALPACA_TEMPLATE,
        add_generation_prompt=True,
        return_dict=False,
    )
    first = data.train.data
    assert first.ids[: len(ids)].tolist() == list(ids)
    assert (first.labels[: len(ids)] == IGNORED).all()


def test_a_sample_without_room_for_an_answer_is_left_out(family: Family, tmp_path: Path) -> None:
    values = [*GOOD, {"instruction": "长" * 500, "output": "x"}]
    values.append({"instruction": "短", "output": "长" * 500})
    file = write_jsonl(tmp_path / "data.jsonl", values)
    data = training_data.load_data(settings_of(family, tmp_path, file), load_tokenizer(family.base))
    samples = data.train.data
    assert (len(samples), samples.truncated) == (5, 1)
    assert samples.problems.counts == {"leaves no room for an answer": 1}
    assert samples.problems.first[0].line == 5
    begins = [0, *samples.ends[:-1]]
    assert all(
        (samples.labels[a:b] != IGNORED).any() for a, b in zip(begins, samples.ends, strict=True)
    )
    assert samples.lengths.max() == 256


def test_what_the_template_refuses_is_left_out(family: Family, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "data.jsonl", GOOD)
    tokenizer = load_tokenizer(family.base)
    tokenizer.chat_template = (
        "{% if '洗衣机' in messages[0].content %}{{ raise_exception('no washing') }}{% endif %}"
        + ALPACA_TEMPLATE
    )
    samples = training_data.load_data(settings_of(family, tmp_path, file), tokenizer).train.data
    assert len(samples) == 3
    assert [str(one) for one in samples.problems.first] == [
        f"{file}:2: is refused by the model's chat template (no washing)"
    ]


def test_a_template_without_a_system_is_told_the_user_says_it(family: Family) -> None:
    """As Gemma's: trained as the model is asked."""
    tokenizer = load_tokenizer(family.base)
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TURNS
    )
    *asked, answer = GOOD[3]["messages"][:-1]
    ((prompt, *_),) = parts_of([*asked, answer], tokenizer)
    assert prompt == (ChatTemplate(tokenizer).render(asked), False)


TURNS = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
FORGETFUL = TURNS.replace(
    "{{ message.content }}",
    "{% if message.role == 'assistant' %}{% if loop.last %}<think></think>{% endif %}"
    "{{ message.content.split('</think>')[-1] }}{% else %}{{ message.content }}{% endif %}",
)
"""Only the last answer shows that something was, or might have been, thought: Qwen3's does so."""


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        (TURNS, [["<think>hm</think>一</s>", "二</s>"]]),
        (FORGETFUL, [["<think></think>一</s>"], ["<think></think>二</s>"]]),
    ],
)
def test_each_answer_is_learned_as_the_model_is_asked_for_it(
    family: Family, template: str, answers: list[list[str]]
) -> None:
    tokenizer = load_tokenizer(family.base)
    tokenizer.chat_template = template
    messages = [
        {"role": "user", "content": "问"},
        {"role": "assistant", "content": "<think>hm</think>一"},
        {"role": "user", "content": "再问"},
        {"role": "assistant", "content": "二"},
    ]
    samples = parts_of(messages, tokenizer)
    assert [[text for text, learned in parts if learned] for parts in samples] == answers
    asked = tokenizer.apply_chat_template(messages[:3], tokenize=False, add_generation_prompt=True)
    assert "".join(text for text, _ in samples[-1][:-1]) == asked


def test_an_end_that_the_template_does_not_show_is_learned(family: Family, tmp_path: Path) -> None:
    """As of Gemma, or of a base whose end token is none of the template's."""
    tokenizer = load_tokenizer(family.base)
    tokenizer.chat_template = TURNS.replace("</s>", "\n")
    turns = [("user", "问"), ("assistant", "一"), ("user", "再问"), ("assistant", "二")]
    messages = [{"role": role, "content": text} for role, text in turns]
    file = write_jsonl(tmp_path / "data.jsonl", [{"messages": messages}])
    (sample,) = encode_conversations([file], None, tokenizer, 512, Problems())
    end = tokenizer.eos_token_id
    assert [at for at, token in enumerate(sample.ids) if token == end] == [len(sample.ids) - 1]
    first, last = (at for at, label in enumerate(sample.labels) if label == end)
    assert (sample.labels[first + 1], last) == (IGNORED, len(sample.ids) - 1)
    shown = [label for label in sample.labels[:first] if label != IGNORED]
    assert tokenizer.decode(shown).strip() == "一"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (
            TURNS.replace("<assistant>", "<assistant><think>"),
            "differently from how it asks for one",
        ),
        (TURNS.replace("message.content", "message.content[0].text"), "leaves out what the"),
        (
            TURNS.replace("in messages", "in messages if message.role != 'system'"),
            "the system says",
        ),
    ],
)
def test_what_the_template_would_not_teach_is_named(
    family: Family, tmp_path: Path, template: str, reason: str
) -> None:
    file = write_jsonl(tmp_path / "data.jsonl", [GOOD[3]])
    tokenizer = load_tokenizer(family.base)
    tokenizer.chat_template = template
    with pytest.raises(TrainingError, match=f"is refused by the model's chat template .*{reason}"):
        training_data.load_data(settings_of(family, tmp_path, file), tokenizer)


def test_the_cache_is_kept_by_content_and_settings(family: Family, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(family.base)
    file = write_jsonl(tmp_path / "data.jsonl", GOOD)
    settings = settings_of(family, tmp_path, file)
    first = training_data.tokenized(settings, [file], tokenizer)
    before = (first.folder / "ids.bin").stat().st_mtime_ns
    again = training_data.tokenized(settings, [file], tokenizer)
    assert (again.folder / "ids.bin").stat().st_mtime_ns == before
    (first.folder / "ids.bin").write_bytes(b"cut")
    assert len(training_data.tokenized(settings, [file], tokenizer)) == 4  # made again
    write_jsonl(file, GOOD[:2])
    assert len(training_data.tokenized(settings, [file], tokenizer)) == 2
    other = settings_of(family, tmp_path, file, max_length=64)
    assert training_data.tokenized(other, [file], tokenizer).folder != first.folder


@given(st.lists(st.integers(1, 64), max_size=200))
def test_packing_loses_nothing_and_keeps_the_length(lengths: list[int]) -> None:
    rows = pack(np.asarray(lengths, np.int64), 64)
    assert sorted(sample for row in rows for sample in row) == list(range(len(lengths)))
    assert all(sum(lengths[sample] for sample in row) <= 64 for row in rows)
    assert len(rows) <= 2 * -(-sum(lengths) // 64)


@pytest.mark.slow
def test_samples_in_a_sequence_do_not_see_each_other(family: Family, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    file = write_jsonl(tmp_path / "data.jsonl", GOOD)
    settings = settings_of(family, tmp_path, file, max_length=2048)
    samples = training_data.load_data(settings, load_tokenizer(family.base)).train.data
    packed, _ = make_sequences(samples, 2048, packing=True)
    alone, _ = make_sequences(samples, 2048, packing=False)
    assert (len(packed), len(alone)) == (1, 4)
    model = AutoModelForCausalLM.from_pretrained(family.base, dtype=torch.float32)
    model.config.use_cache = False
    collate = Collator(0)

    def logits(batch: dict[str, torch.Tensor]) -> Any:
        with torch.no_grad():
            return model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits

    together = logits(collate([packed[0]]))[0]
    batch = collate([alone[number] for number in range(4)])
    each = logits(batch)  # padded to the longest
    bounds = [0, *samples.ends.tolist()]
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        torch.testing.assert_close(together[begin:end], each[number, : end - begin])
        assert packed[0]["labels"][begin] == IGNORED
    assert (batch["labels"] != IGNORED).sum() == (packed[0]["labels"] != IGNORED).sum()


def test_plain_text_comes_in_blocks(family: Family, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(family.base)
    text = "李白是唐代诗人。\nthe quick brown fox\n" * 40
    file = tmp_path / "文.txt"
    file.write_text(text, encoding="utf-8")
    samples = list(encode_texts([file], None, tokenizer, 64, Problems()))
    ids = [token for sample in samples for token in sample.ids]
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[1:-1]) == text
    assert all(len(sample.ids) == 64 for sample in samples[:-1])
    assert all(sample.labels == [IGNORED, *sample.ids[1:]] for sample in samples)


def test_texts_of_json_are_documents(family: Family, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(family.base)
    values = [{"text": "李白是唐代诗人。"}, {"output": "x"}, {"text": " ", "content": "the quick"}]
    problems = Problems()
    file = write_jsonl(tmp_path / "c4.jsonl", values)
    samples = list(encode_texts([file], None, tokenizer, 64, problems))
    ends = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert [(sample.ids[0], sample.ids[-1]) for sample in samples] == [ends] * 2
    texts = [tokenizer.decode(sample.ids[1:-1]) for sample in samples]
    assert texts == ["李白是唐代诗人。", "the quick"]
    assert list(map(str, problems.first)) == [
        f"{file}:2: has no text under the key text or content"
    ]


def test_all_texts_of_a_folder_are_read(family: Family, tmp_path: Path) -> None:
    """But for the card beside a dataset's data, which is often packed."""
    folder = tmp_path / "SkyPile"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("card", encoding="utf-8")
    write_jsonl(folder / "data" / "0.jsonl", [{"text": "李白是唐代诗人。"}, {"content": "fox"}])
    (folder / "data" / "1.JSON.gz").write_bytes(gzip.compress(b'{"text": "dog"}'))
    (folder / "data" / "2.txt.gz").write_bytes(gzip.compress("洗衣机".encode()))
    (folder / "data" / "3.json.gz").write_bytes(gzip.compress(b'{"text": "cat"}')[:-9])
    options = {"model": family.base, "data": folder, "output_dir": tmp_path / "out", **LORA}
    settings = make_settings(PretrainSettings, options | {"cache_dir": tmp_path / "cache"})
    tokenizer = load_tokenizer(family.base)
    data = training_data.load_data(settings, tokenizer).train.data
    texts = tokenizer.batch_decode(np.split(data.ids, data.ends[:-1]), skip_special_tokens=True)
    assert texts == ["李白是唐代诗人。", "fox", "dog", "洗衣机"]
    assert data.problems.counts == {"can't be read": 1}


def test_several_values_after_a_name() -> None:
    line = ["--data", "a.jsonl", "b, c.jsonl", "--fp16", "--lora_rank=8", "--save_safetensors", "x"]
    options, notes = read_options(PretrainSettings, None, line)
    assert options == {"data": ["a.jsonl", "b, c.jsonl"], "lora_rank": "8"}
    assert len(notes) == 2


def test_the_scripts_options_by_their_old_names(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("learning_rate: 0.5\nmax_steps: 3\nlora_rank: 2\n", encoding="utf-8")
    line = (
        "--model_name_or_path base --tokenizer_name_or_path tok --dataset_dir texts "
        "--validation_file val.txt --per_device_train_batch_size 2 --lora_alpha 32 "
        "--gradient_accumulation_steps 4 --learning_rate 2e-4 --lr_scheduler_type cosine "
        "--warmup_ratio 0.05 --lora_rank 8 --trainable q_proj,v_proj --lora_dropout 0.05 "
        "--modules_to_save embed_tokens,lm_head --torch_dtype float16 --max_seq_length 1024 "
        "--gradient_checkpointing --output_dir out --do_train --fp16 --load_in_kbits 8"
    )
    options, notes = read_options(PretrainSettings, config, line.split())
    settings = make_settings(PretrainSettings, options)
    assert (settings.model, settings.tokenizer) == (Path("base"), Path("tok"))
    assert (settings.learning_rate, settings.max_steps, settings.lora_rank) == (2e-4, 3, 8)
    assert (settings.max_length, settings.warmup_steps) == (1024, 0.05)
    assert settings.target_modules == ["q_proj", "v_proj"]
    assert settings.gradient_checkpointing
    assert (settings.quantize, settings.dtype) == ("8bit", "float16")
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--lora_rnk 8", "did you mean --lora_rank"),
        ("--adapter a --lora_rank 8", "leave it out"),
        ("--lora_rank 8", "--lora-alpha --target-modules"),
        ("--lora_rank 0 --lora_alpha 1 --target_modules q", "--lora_rank '0' is wrong"),
        ("--data x --dataset_dir y", "given twice"),
        ("--validation x --eval_dataset y", "given twice"),
        ("words", "not an option"),
        ("--max_steps 1 2", r"--max_steps \['1', '2'\] is wrong"),
        ("--lora_rank=8 9", "'9' is not an option"),
        ("--adapter a --learning_rate inf", "finite"),
        ("--fsdp --deepspeed zero2 --adapter a", "choose one"),
        (
            "--adapter a --attention flash_attention_2 --per_device_train_batch_size 2",
            "batch of one sequence only",
        ),
    ],
)
def test_options_that_are_wrong(line: str, said: str) -> None:
    basis = {"model": "m", "data": "d", "output_dir": "o"}
    with pytest.raises(TrainingError, match=said):
        make_settings(SftSettings, basis | read_options(SftSettings, None, line.split())[0])


@pytest.mark.parametrize(
    ("tokenizer", "model", "adapter", "saved", "said"),
    [
        (49_954, 49_953, None, None, "--modules_to_save"),
        (49_953, 49_954, None, None, "earlier stage"),
        (49_953, 49_953, 49_954, None, "use the tokenizer"),
        (49_954, 32_000, 49_953, None, "use the tokenizer"),
        (49_954, 49_954, None, None, ""),
        (49_954, 49_984, None, None, ""),
        (49_954, 49_953, None, ["embed_tokens", "lm_head"], ""),
        (49_954, 32_000, 49_954, None, ""),
    ],
)
def test_the_three_vocabularies(
    tokenizer: int, model: int, adapter: int | None, saved: list[str] | None, said: str
) -> None:
    sizes = VocabularySizes(tokenizer, model, adapter)
    options: Any = {
        "exact": True,
        "modules_to_save": saved,
        "model": Path("m"),
        "adapter": Path("a"),
    }
    if adapter is None:
        options["adapter"] = None
    if said:
        with pytest.raises(TrainingError, match=said):
            rows_needed(sizes, **options)
    else:
        assert rows_needed(sizes, **options) >= tokenizer


def read(file: Path) -> tuple[list[list[dict[str, str]]], list[str]]:
    problems = Problems()
    found = [one.messages for one in read_conversations([file], None, problems)]
    return found, [str(problem) for problem in problems.first]


def test_what_would_be_learned_wrongly_is_named(tmp_path: Path) -> None:
    """Formats of LLaMA-Factory, OpenAI and Axolotl that say more than texts."""
    asked, said = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}
    parts = [{"type": "text", "text": "h"}, {"type": "text", "value": "i"}]
    picture = {"type": "image_url", "image_url": {"url": "a.png"}}
    values: list[dict[str, Any]] = [
        {"messages": [{**asked, "content": parts, "loss_weight": 0.0}, {**said, "weight": 1}]},
        {"messages": [asked, said], "label": True, "images": []},
        {"messages": [asked, said], "chosen": [asked, said], "rejected": [asked, asked]},
        {"messages": [asked, said], "images": ["a.png"]},
        {"messages": [asked, said], "label": False},
        {"instruction": "hi", "output": "yo", "audios": ["a.wav"]},
        {"messages": [{**asked, "content": [*parts, picture]}, said]},
        {"messages": [asked, {**said, "tool_calls": [{"type": "function"}]}]},
        {"messages": [asked, {**said, "reasoning_content": "hm"}]},
        {"messages": [asked, {**said, "weight": 0}]},
        {"messages": [asked, {**said, "train": False}]},
        {"messages": [asked, {**said, "loss_weight": 0.5}]},
        {"messages": [asked, {**said, "loss": False}]},
        {"messages": [asked, said, asked], "chosen": said, "rejected": {**said, "content": "no"}},
    ]
    found, problems = read(write_jsonl(tmp_path / "data.jsonl", values))
    assert found == [[asked, said]] * 3
    said_of = ["images", "labelled", "audios", "no text", "tool_calls", "reasoning_content"]
    assert len(problems) == len(values) - 3
    for part, problem in zip([*said_of, *["weighs"] * 4, "prefer"], problems, strict=True):
        assert part in problem


def test_system_and_history_are_used_and_tools_are_named(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]
    record = {"instruction": "third", "output": "3", "system": "PIRATE"}
    values = [
        {**record, "history": [["first", "1"], ["second", "2"]]},
        {"system": "PIRATE", "conversations": turns},
        {"system": "", "tools": "", "conversations": turns},
        {"conversations": [{"role": "user", "content": "hi"}, {"role": "gpt", "content": "yo"}]},
        {"tools": "[{}]", "conversations": turns},
        {**record, "history": [["first"]]},
        {**record, "system": 3},
        {"conversations": [*turns, {"from": "function_call", "value": "{}"}]},
    ]
    found, problems = read(write_jsonl(tmp_path / "data.jsonl", values))
    assert [message["content"] for message in found[0]] == [
        "PIRATE", "first", "1", "second", "2", "third", "3",
    ]  # fmt: skip
    assert [message["role"] for message in found[1]] == ["system", "user", "assistant"]
    assert found[2] == found[3] == found[1][1:]
    assert len(found) == 4
    assert [said.split(": ", 1)[1] for said in problems] == [
        "has tools, which are not trained here",
        "history is not a list of questions and answers",
        "system is not text",
        "a message of conversations has no known from or no text in value",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("layout", ["lines", "array", "one line"])
def test_a_bad_byte_costs_its_record_alone(tmp_path: Path, encoding: str, layout: str) -> None:
    records = [
        json.dumps({"instruction": f"第{n}题：床前明月光，疑是地上霜", "output": f"举头望明月{n}"},
                   ensure_ascii=False).encode(encoding)
        for n in range(30)
    ]  # fmt: skip
    records[7] = records[7].replace(b'"output": "', b'"output": "\xff')
    begin, between, end = {
        "lines": (b"", b"\n", b""),
        "array": (b"[\n", b",\n", b"\n]"),
        "one line": (b"[", b",", b"]"),
    }[layout]  # fmt: skip
    file = tmp_path / "data.json"
    file.write_bytes(begin + between.join(records) + end)
    found, problems = read(file)
    assert [turn[1]["content"] for turn in found] == [f"举头望明月{n}" for n in range(30) if n != 7]
    assert len(problems) == 1
    assert "a byte that is not text" in problems[0]


def test_english_with_a_stray_letter_is_no_chinese(tmp_path: Path) -> None:
    lines = [
        json.dumps({"instruction": f"say {n} of them", "output": f"yes {n}"}) for n in range(9)
    ]
    lines[4] = lines[4].replace("yes", "café")
    file = tmp_path / "data.jsonl"
    file.write_bytes("\n".join(lines).encode("latin-1"))
    found, problems = read(file)
    assert len(found) == 8
    assert problems == [f"{file}:5: holds half a character, or a byte that is not text"]


def test_a_bad_byte_costs_plain_text_its_line(family: Family, tmp_path: Path) -> None:
    lines = [f"第{n}行：白日依山尽，黄河入海流。".encode() for n in range(30)]
    lines[3] += b"\xe6\x98"
    file = tmp_path / "text.txt"
    file.write_bytes(b"\n".join(lines))
    problems = Problems()
    tokenizer = load_tokenizer(family.base)
    samples = list(encode_texts([file], None, tokenizer, 10_000, problems))
    text = tokenizer.decode(samples[0].ids, skip_special_tokens=True)
    assert text.split("\n") == [line.decode() for n, line in enumerate(lines) if n != 3]
    assert [str(problem) for problem in problems.first] == [
        f"{file}:4: holds a byte that is not text"
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--overwrite_output_dir"], {"resume": False}),
        (["--overwrite_output_dir", "False"], {"resume": None}),
        (["--torch_dtype", "float16", "--fp16"], {"dtype": "float16"}),
        (
            ["--lora_target", "all", "--val_size", "0.1"],
            {"target_modules": "all-linear", "validation_split": "0.1"},
        ),
        (
            ["--stage", "sft", "--finetuning_type", "lora", "--cutoff_len", "512", "--plot_loss"],
            {
                "max_length": "512",
                "lora_rank": 8,
                "lora_alpha": 16,
                "target_modules": "all-linear",
            },
        ),
        (["--dataset_dir", "texts"], {"data": "texts"}),
        (
            ["--quantization_bit", "4", "--resume_from_checkpoint", "true"],
            {"quantize": "4bit", "resume": True},
        ),
    ],
)
def test_old_options_mean_what_they_meant(arguments: list[str], expected: dict[str, Any]) -> None:
    options, _ = read_options(SftSettings, None, arguments)
    assert options == expected


def test_all_linear_layers_can_be_asked_for_at_once(family: Family, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "data.jsonl", GOOD)
    at_once, one_by_one = (
        estimate(settings_of(family, tmp_path, file, target_modules=names)).trained
        for names in ("all-linear", ",".join(TARGETS))
    )
    assert at_once == one_by_one


def test_all_unknown_options_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "dpo.yaml"
    file.write_text("stage: sft\nmodel: m\nuse_badam: true\nuse_galore: true\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="no option --use_badam, nor --use_galore"):
        read_options(SftSettings, file, [])


def registry(tmp_path: Path) -> Path:
    """Return a file of options as LLaMA-Factory has them, and write the data that it names."""
    messages = {"formatting": "sharegpt", "columns": {"messages": "messages"}}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}
    entries = {
        "identity": {"file_name": "identity.json", "num_samples": 9},
        "chats": {"file_name": "chats.jsonl", **messages, "tags": tags},
        "renamed": {"file_name": "r.csv", "columns": {"prompt": "正文", "response": "摘要"}},
        "speakers": {"file_name": "s.json", **messages, "tags": {"user_tag": "客户"}},
        "lima": {"hf_hub_url": "llamafactory/lima"},
        "listed": {"file_name": "l.json", "columns": ["instruction"]},
    }
    (tmp_path / "dataset_info.json").write_text(json.dumps(entries), encoding="utf-8")
    file = tmp_path / "sft.yaml"
    lines = ("stage: sft", "finetuning_type: lora", "lora_rank: 16", f"dataset_dir: {tmp_path}")
    data = ("dataset: identity, chats", "eval_dataset: chats", "max_samples: 1000")
    file.write_text("\n".join([*lines, *data]), encoding="utf-8")
    return file


def test_a_file_of_llama_factory_names_its_data(tmp_path: Path) -> None:
    options, notes = read_options(SftSettings, registry(tmp_path), [])
    files = [tmp_path / "identity.json", tmp_path / "chats.jsonl"]
    assert options == {
        "data": files, "validation": files[1:], "lora_rank": 16, "lora_alpha": 32,
        "target_modules": "all-linear",
    }  # fmt: skip
    assert [note.split()[0] for note in notes] == [
        "--max_samples", "num_samples", "--lora_alpha", "--target_modules",
    ]  # fmt: skip
    options, _ = read_options(SftSettings, registry(tmp_path), ["--data", "mine.jsonl"])
    assert options["data"] == "mine.jsonl"
    mine = tmp_path / "mine.yaml"
    mine.write_text("data: a.json\nvalidation: b.json\neval_dataset:\n", encoding="utf-8")
    line = f"--dataset_dir {tmp_path} --dataset identity --eval_dataset chats"
    options, _ = read_options(SftSettings, mine, line.split())
    assert options == {"data": files[:1], "validation": files[1:]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--dataset lima", "lima in .* is no file"),
        ("--dataset mine", "has no mine"),
        ("--dataset renamed", "calls its prompt 正文, .* rename that in r.csv to instruction"),
        ("--dataset speakers", "calls its user_tag 客户"),
        ("--dataset listed", "columns of listed in .* are not names and values"),
        ("--dataset_dir nowhere", "there is no nowhere"),
        ("--stage pt", "run: model-prep pretrain"),
        ("--stage kto", "use LLaMA-Factory"),
        ("--finetuning_type full", "only lora"),
    ],
)
def test_what_is_only_in_llama_factory_is_said(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        read_options(SftSettings, registry(tmp_path), line.split())


def test_plain_text_is_called_text(tmp_path: Path) -> None:
    registry(tmp_path)
    line = f"--dataset_dir {tmp_path} --dataset renamed"
    with pytest.raises(TrainingError, match=r"rename that in r\.csv to text"):
        read_options(PretrainSettings, None, line.split())
