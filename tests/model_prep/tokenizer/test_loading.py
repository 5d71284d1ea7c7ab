import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_prep.checkpoint.checksums import file_digest
from model_prep.errors import GenerateError, TokenizerError
from model_prep.inference.chat_template import ChatTemplate
from model_prep.inference.transformers_model import load_causal_lm
from model_prep.tokenizer import check
from model_prep.tokenizer.check import LINES, check_exactness
from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer
from model_prep.tokenizer.loading import (
    ALPACA_TEMPLATE,
    load_tokenizer,
    save_tokenizer,
    start_of,
    vocabulary_size,
)
from tests.paths import ROOT
from tests.tokenizers import Tokenizers, piece_count

OTHERS = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)
assert "model_prep" not in sys.modules, "the folder's own file was not enough"
tokenizer.save_pretrained(sys.argv[2])
print(json.dumps(tokenizer(json.load(sys.stdin))["input_ids"]))
"""


def config(folder: Path, **values: Any) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    return folder


@pytest.fixture
def alpaca_tokenizer(tokenizers: Tokenizers) -> Path:
    return tokenizers.alpaca.parent


@pytest.fixture
def plain(alpaca_tokenizer: Path, tmp_path: Path) -> Path:
    """A folder as the family's models have it: the model, and no word of exactness."""
    folder = tmp_path / "plain"
    folder.mkdir()
    shutil.copy(alpaca_tokenizer / "tokenizer.model", folder)
    return config(folder, tokenizer_class="LlamaTokenizer", add_bos_token=True)


def others_encode(folder: Path, again: Path) -> list[list[int]]:
    """Encode `LINES` in a process that has transformers but neither this program nor a network."""
    environment = {**os.environ, "HF_HOME": str(again.parent / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-I", "-c", OTHERS, str(folder), str(again)],
        input=json.dumps(LINES),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ids: list[list[int]] = json.loads(done.stdout)
    return ids


@pytest.mark.slow
def test_a_folder_is_exact_for_others(alpaca_tokenizer: Path, tmp_path: Path) -> None:
    wanted = load_tokenizer(alpaca_tokenizer)(list(LINES))["input_ids"]
    assert others_encode(alpaca_tokenizer, tmp_path / "again") == wanted
    # What they save is as good as what they got.
    names = {path.name for path in alpaca_tokenizer.iterdir()}
    assert {path.name for path in (tmp_path / "again").iterdir()} == names
    assert others_encode(tmp_path / "again", tmp_path / "more") == wanted


def test_others_who_do_not_trust_the_code_are_told(alpaca_tokenizer: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(alpaca_tokenizer, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        AutoTokenizer.from_pretrained(tmp_path / "model", trust_remote_code=False)


def test_a_folder_holds_just_the_tokenizers_files(alpaca_tokenizer: Path, tmp_path: Path) -> None:
    save_tokenizer(alpaca_tokenizer, tmp_path / "out", chat_template=ALPACA_TEMPLATE)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("tokenizer.model", "tokenizer_config.json", "exact_llama.py", "chat_template.jinja")
    }
    saved = (tmp_path / "out" / "tokenizer.model").read_bytes()
    assert saved == (alpaca_tokenizer / "tokenizer.model").read_bytes()
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["auto_map"] == {"AutoTokenizer": ["exact_llama.ExactLlamaTokenizer", None]}
    assert not [value for value in settings.values() if str(tmp_path.parent) in str(value)]


@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True},
        {"tokenizer_class": "LlamaTokenizerFast", "legacy": False, "bos_token": "<s>"},
        # As the first conversions of LLaMA had it.
        {"tokenizer_class": "LLaMATokenizer", "bos_token": "", "eos_token": "", "unk_token": ""},
        {},
    ],
)
def test_old_folders_are_loaded_exactly(plain: Path, settings: dict[str, Any]) -> None:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_file=str(plain / "tokenizer.model"))
    tokenizer = load_tokenizer(config(plain, **settings))
    assert isinstance(tokenizer, ExactLlamaTokenizer)
    assert tokenizer(list(LINES))["input_ids"] == [[1, *ids] for ids in model.encode(list(LINES))]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (1, 2, 0)


@pytest.mark.slow
def test_a_name_in_the_hub_cache_is_exact_too(plain: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "hub" / "models--someone--chinese-alpaca"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    plain.rename(repository / "plain")
    (repository / "snapshots").mkdir()
    (repository / "plain").rename(repository / "snapshots" / ("0" * 40))
    code = (
        "from model_prep.tokenizer.loading import load_tokenizer\n"
        "print(type(load_tokenizer('someone/chinese-alpaca')).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "ExactLlamaTokenizer"


@pytest.mark.slow
def test_other_families_are_left_alone(tiny_llm: Path, trained: Tokenizers, tmp_path: Path) -> None:
    assert type(load_tokenizer(tiny_llm)).__name__ != "ExactLlamaTokenizer"
    with pytest.raises(TokenizerError, match="not a tokenizer of the LLaMA family"):
        save_tokenizer(tiny_llm, tmp_path / "out")
    with pytest.raises(TokenizerError, match="not of the LLaMA family"):
        load_tokenizer(trained.chinese)
    assert check_exactness(tiny_llm).exact is None
    assert not (tmp_path / "out").exists()


def test_no_tokenizer_is_one_clear_error(tmp_path: Path, plain: Path) -> None:
    for place in (tmp_path / "none", tmp_path, "no/such-model"):
        with pytest.raises(TokenizerError, match="has no tokenizer that can be loaded"):
            load_tokenizer(place)
    with pytest.raises(TokenizerError, match="can't be read"):
        vocabulary_size(tmp_path)
    (plain / "tokenizer.model").write_bytes(b"version https://git-lfs")
    with pytest.raises(TokenizerError, match="damaged or not a SentencePiece model"):
        vocabulary_size(plain)
    with pytest.raises(TokenizerError, match="has no tokenizer that can be loaded"):
        load_tokenizer(plain)


def test_added_tokens_count_as_vocabulary(plain: Path) -> None:
    size = piece_count(plain / "tokenizer.model")
    assert vocabulary_size(plain) == size
    added = json.dumps({"<a>": size, "<s>": 1})
    (plain / "added_tokens.json").write_text(added, encoding="utf-8")
    assert vocabulary_size(plain) == len(load_tokenizer(plain)) == size + 1


def test_an_inexact_folder_is_noticed_and_mended(plain: Path) -> None:
    report = check_exactness(plain)
    assert report.exact is False
    assert 0 < report.differing < report.lines == len(LINES)
    assert report.example in LINES
    assert "differently from SentencePiece" in report.message
    save_tokenizer(plain, plain)
    mended = check_exactness(plain)
    assert (mended.exact, mended.differing, mended.lines) == (True, 0, len(LINES))


def test_code_of_others_is_not_run(plain: Path) -> None:
    save_tokenizer(plain, plain)
    (plain / "exact_llama.py").write_text("raise SystemExit('run')", encoding="utf-8")
    report = check_exactness(plain)
    assert report.exact is False
    assert "was not run" in report.message


def test_the_template_is_the_alpaca_format(alpaca_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(alpaca_tokenizer)
    tokenizer.chat_template = ALPACA_TEMPLATE
    messages = [{"role": "user", "content": "说\n你好"}]
    prompt = (
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n说\n你好\n\n### Response: "
    )
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ids == tokenizer.encode(prompt)
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == "<s>" + prompt
    assert tokenizer.encode(text, add_special_tokens=False) == ids

    talk = [
        {"role": "system", "content": "简短"},
        *messages,
        {"role": "assistant", "content": "好"},
        {"role": "user", "content": "再来"},
    ]
    text = tokenizer.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
    assert text.startswith("<s>Below is")
    assert text.endswith(
        "### Instruction:\n简短\n说\n你好\n\n### Response: 好</s>\n\n"
        "### Instruction:\n再来\n\n### Response: "
    )
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert (ids.count(1), ids.count(2)) == (1, 1)
    trained = tokenizer.apply_chat_template(talk[:3], tokenize=False)
    assert trained.endswith("### Response: 好</s>")


def test_chats_can_keep_special_tokens_of_users_out(alpaca_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(alpaca_tokenizer)
    tokenizer.chat_template = ALPACA_TEMPLATE
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "</s>的意思"}],
        add_generation_prompt=True,
        sanitize_control_tokens=True,
        return_dict=False,
    )
    assert ids[0] == 1
    assert 2 not in ids


@pytest.mark.slow
def test_a_folder_may_say_that_no_start_token_is_added(plain: Path, tmp_path: Path) -> None:
    usual = load_tokenizer(plain)
    bare = load_tokenizer(config(plain, tokenizer_class="LlamaTokenizer", add_bos_token=False))
    assert (start_of(usual), start_of(bare)) == ("<s>", "")
    cut = {"truncation": True, "max_length": 4}
    for options in ({}, {"return_special_tokens_mask": True}, cut):
        ids = bare("天地玄黄", **options)["input_ids"]
        assert ids == usual("天地玄黄", add_special_tokens=False, **options)["input_ids"]
    assert bare("天地", "玄黄")["input_ids"] == [*bare.encode("天地"), *bare.encode("玄黄")]
    assert bare.get_special_tokens_mask([5, 6]) == [0, 0]
    save_tokenizer(bare, tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").encode("天地") == bare.encode("天地")
    assert others_encode(tmp_path / "saved", tmp_path / "again") == bare(LINES)["input_ids"]
    assert check_exactness(tmp_path / "saved").exact is True
    assert copy.deepcopy(bare).encode("天地") == bare.encode("天地")


@pytest.mark.slow
def test_a_folder_may_say_that_an_end_token_is_added(plain: Path, tmp_path: Path) -> None:
    usual = load_tokenizer(plain)
    ended = load_tokenizer(config(plain, tokenizer_class="LlamaTokenizer", add_eos_token=True))
    assert ended(list(LINES))["input_ids"] == [[*ids, 2] for ids in usual(list(LINES))["input_ids"]]
    cut = ended("天地玄黄宇宙洪荒", truncation=True, max_length=5)["input_ids"]
    assert cut == [*usual("天地玄黄宇宙洪荒").input_ids[:4], 2]
    assert ended("天地", "玄黄")["input_ids"] == [*ended.encode("天地"), *ended.encode("玄黄")]
    assert ended.encode("天地", add_special_tokens=False) == usual.encode("天地")[1:]
    assert ended.get_special_tokens_mask([5], [6]) == [1, 0, 1, 1, 0, 1]
    found = ended("天地", return_offsets_mapping=True, return_special_tokens_mask=True)
    assert len(found["offset_mapping"]) == len(found["input_ids"])
    assert (found["offset_mapping"][-1], found["special_tokens_mask"][-1]) == ((0, 0), 1)
    assert ChatTemplate(ended).encode([{"role": "user", "content": "天"}])[-1] != 2
    save_tokenizer(ended, tmp_path / "saved")
    assert others_encode(tmp_path / "saved", tmp_path / "again") == ended(list(LINES))["input_ids"]
    assert check_exactness(tmp_path / "saved").exact is True


def test_code_of_a_folder_is_never_run_nor_asked_for(
    tiny_llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_llm, tmp_path / "chatglm")
    for name, kind in (("config.json", "AutoConfig"), ("tokenizer_config.json", "AutoTokenizer")):
        values = json.loads((folder / name).read_bytes())
        named = {"model_type": "chatglm", "tokenizer_class": "ChatGLMTokenizer"}
        auto_map = {kind: "code.Own", "AutoModelForCausalLM": "code.Own"}
        text = json.dumps({**values, **named, "auto_map": auto_map})
        (folder / name).write_text(text, encoding="utf-8")
    ran = tmp_path / "ran"
    (folder / "code.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: ...\n")
    asked: list[str] = []

    def yes(question: str) -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr("builtins.input", yes)
    with pytest.raises(TokenizerError, match="Python code of its own"):
        load_tokenizer(folder)
    with pytest.raises(GenerateError, match="Python code of its own"):
        load_causal_lm(folder, {})
    assert (asked, ran.exists()) == ([], False)


def test_a_folder_without_a_vocabulary(tiny_llm: Path, tmp_path: Path) -> None:
    config(tmp_path, tokenizer_class="LlamaTokenizer")
    with pytest.raises(TokenizerError, match=r"neither tokenizer\.json nor tokenizer\.model"):
        load_tokenizer(tmp_path)
    shutil.copy(tiny_llm / "tokenizer.json", tmp_path)
    assert load_tokenizer(tmp_path).encode("李白")


def test_code_of_an_earlier_version_is_known(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tokenizer(plain, plain)
    code = plain / "exact_llama.py"
    code.write_bytes(code.read_bytes() + b"# of an earlier version\n")
    assert check_exactness(plain).exact is False
    monkeypatch.setattr(check, "EARLIER_CODE", (file_digest(code),))
    assert check_exactness(plain).exact is True


def test_the_size_of_a_fast_tokenizer(tiny_llm: Path, tmp_path: Path) -> None:
    assert vocabulary_size(tiny_llm / "tokenizer.json") == len(load_tokenizer(tiny_llm))
    damaged = tmp_path / "tokenizer.json"
    damaged.write_text('{"model": {}}', encoding="utf-8")
    with pytest.raises(TokenizerError, match="is not a tokenizer, or is damaged"):
        vocabulary_size(damaged)
