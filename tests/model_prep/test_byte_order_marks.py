"""Files that an editor on Windows saved: JSON and templates that begin with a byte order mark."""

import codecs
from pathlib import Path

import pytest
import torch

from model_prep.gguf.vocabulary import read_bpe_vocabulary
from model_prep.inference.transformers_model import load_causal_lm
from model_prep.json_file import readable_folder
from model_prep.tokenizer.check import check_exactness
from model_prep.tokenizer.files import write_tokenizer
from model_prep.tokenizer.loading import load_tokenizer
from tests.model_prep.family import Family, copy_of
from tests.model_prep.tiny_qwen2 import make_qwen2

MESSAGES = [{"role": "user", "content": "你好"}]


def mark(folder: Path) -> Path:
    for file in [*folder.glob("*.json"), *folder.glob("*.jinja")]:
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_qwen2(
        tmp_path_factory.mktemp("plain") / "qwen", ["唐代诗人 the quick brown fox"] * 9
    )


@pytest.fixture
def marked(plain: Path, tmp_path: Path) -> Path:
    return mark(copy_of(plain, tmp_path / "标记 marked"))


def test_a_folder_without_marks_is_read_itself(plain: Path) -> None:
    assert readable_folder(plain) == plain
    assert readable_folder("some/name") == "some/name"


def test_where_links_need_a_right_files_are_copied(
    marked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(22, "A required privilege is not held by the client")  # of Windows

    monkeypatch.setattr(Path, "symlink_to", refused)
    copied = Path(readable_folder(marked))
    assert sorted(file.name for file in copied.iterdir()) == sorted(
        file.name for file in marked.iterdir()
    )


def test_tokenizer_and_template(plain: Path, marked: Path) -> None:
    ours, theirs = load_tokenizer(marked), load_tokenizer(plain)
    assert ours.get_vocab() == theirs.get_vocab()
    prompts = [one.apply_chat_template(MESSAGES, tokenize=False) for one in (ours, theirs)]
    assert prompts[0] == prompts[1]


def test_model_and_its_end_tokens(plain: Path, marked: Path) -> None:
    ours, theirs = load_causal_lm(marked, {}), load_causal_lm(plain, {})
    assert ours.generation_config.eos_token_id == theirs.generation_config.eos_token_id
    assert torch.equal(ours.lm_head.weight, theirs.lm_head.weight)


def test_vocabulary_of_gguf(plain: Path, marked: Path) -> None:
    rows = len(load_tokenizer(plain)) + 12
    assert read_bpe_vocabulary(marked, rows) == read_bpe_vocabulary(plain, rows)


def test_a_copied_tokenizer_has_no_marks(plain: Path, marked: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_tokenizer(marked / "tokenizer.json", tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        assert file.read_bytes() == (plain / file.name).read_bytes()


def test_llama_is_checked_as_without(family: Family, tmp_path: Path) -> None:
    folder = mark(copy_of(family.base, tmp_path / "llama"))
    assert check_exactness(folder).lines == check_exactness(family.base).lines
