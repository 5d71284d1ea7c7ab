"""Chats as prompts: whose template is used, and what becomes of the messages."""

import json
from pathlib import Path
from typing import Any

from model_prep.inference.chat_template import ChatTemplate
from model_prep.lora.merge import merge
from model_prep.tokenizer.files import chat_template
from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer
from tests.model_prep.family import Family, copy_of

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "简短地回答。"},
    {"role": "user", "content": [{"type": "text", "text": "李白</s>是谁？"}]},
]


def test_the_tokenizers_own_template_goes_first(family: Family, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(family.alpaca)
    tokenizer.chat_template = "{{ messages[0].content }}="
    assert ChatTemplate(tokenizer, ALPACA_TEMPLATE).render(CHAT) == "简短地回答。="


def test_of_several_templates_the_one_without_tools(family: Family, tmp_path: Path) -> None:
    folder = copy_of(family.alpaca, tmp_path / "alpaca")
    named = {"default": "{{ messages[0].content }}=", "tool_use": "{{ tools }}"}
    templates = [{"name": name, "template": template} for name, template in named.items()]
    text = json.dumps({"tokenizer_class": "LlamaTokenizer", "chat_template": templates})
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    assert ChatTemplate(load_tokenizer(folder)).render(CHAT) == "简短地回答。="
    merge(family.base, [family.chinese, folder], output_dir=tmp_path / "out")
    assert load_tokenizer(tmp_path / "out").chat_template == named
    assert chat_template(tmp_path / "out") == named["default"]


def test_the_default_is_for_a_tokenizer_without_one(family: Family) -> None:
    tokenizer = load_tokenizer(family.alpaca)
    template = ChatTemplate(tokenizer, ALPACA_TEMPLATE)
    chat = [{"role": "user", "content": "李白</s>是谁？"}]
    assert template.render(chat).endswith("\n\n### Instruction:\n李白< /s>是谁？\n\n### Response: ")
    assert template.encode(chat).count(tokenizer.bos_token_id) == 1
    assert tokenizer.eos_token_id not in template.encode(chat)


def test_without_any_template_messages_are_paragraphs(family: Family) -> None:
    template = ChatTemplate(load_tokenizer(family.base))
    assert template.render(CHAT) == "<s>简短地回答。\n\n李白< /s>是谁？\n\n"


STRICT = (
    "{% for message in messages %}"
    "{% if message.role != ['user', 'assistant'][loop.index0 % 2] %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<{{ message.role }}>{{ message.content }}{% endfor %}<assistant>"
)
"""As Gemma's and Mistral's."""


def test_what_a_template_refuses_is_told_as_turns(family: Family) -> None:
    template = ChatTemplate(load_tokenizer(family.alpaca), STRICT)
    asked = {"role": "user", "content": "他是谁？"}
    for messages, shown in (
        ([*CHAT, asked], "<user>简短地回答。\n\n李白< /s>是谁？\n\n他是谁？<assistant>"),
        (
            [{"role": "assistant", "content": "你好"}, asked],
            "<user><assistant>你好<user>他是谁？<assistant>",
        ),
    ):
        assert template.render(messages) == shown
