"""Tokenizers of a part of the vocabulary against the whole one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag_app.models.embeddings.tokenizer import EncoderTokenizer

TEXTS = ["李白是怎样去世的？", "", " \n", "ＡＢＣ  a b c", "𠮷野家", "李白</s>杜甫", "ﷺ 😀 é"]


def whole(file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(file))


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer made as multilingual-e5-small's is; its last special token stands at the end."""
    pieces = ["▁", "a", "b", "ab", "▁a", "ba", "李", "白", "李白", "▁李", "</s", "abab"]
    scores = [-2.0, -3.0, -3.5, -4.0, -4.5, -4.25, -5.5, -5.25, -6.0, -6.5, -7.0, -9.0]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [(piece, 0.0) for piece in special]
    vocabulary += [*zip(pieces, scores, strict=True), ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.add_special_tokens([*special, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    file = tmp_path_factory.mktemp("unigram") / "tokenizer.json"
    tokenizer.save(str(file))
    return file


@given(texts=st.lists(st.text(alphabet="ab李白 <>/s杜Ａ\u200b", max_size=30), max_size=4))
def test_a_part_gives_the_tokens_of_the_whole(unigram: Path, texts: list[str]) -> None:
    expected = [whole(unigram).encode(text).ids for text in texts]
    tokenizer = EncoderTokenizer(unigram)
    assert [ids.tolist() for ids in tokenizer.ids(texts, 1000)] == expected
    assert [tokenizer.count(text) for text in texts] == list(map(len, expected))


def test_what_is_too_long_is_cut_before_the_special_token(unigram: Path) -> None:
    [ids] = EncoderTokenizer(unigram).ids(["ab" * 50], 8)
    assert ids.tolist() == [*whole(unigram).encode("ab" * 50).ids[:7], 2]


def test_many_texts_get_the_tokens_that_one_gets(unigram: Path) -> None:
    texts = ["abab 李白 ab" * 20] * 200
    tokenizer = EncoderTokenizer(unigram)
    first, *_ = tokenizer.ids(texts[:1], 1000)
    assert all((ids == first).all() for ids in tokenizer.ids(texts, 1000))


def kept(file: Path) -> list[Path]:
    return [*file.parent.glob("tokenizer-*.sqlite3")]


@pytest.fixture
def copied(unigram: Path, tmp_path: Path) -> Path:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(unigram.read_bytes())
    return file


@pytest.mark.parametrize("damage", [b"", b"no database" * 1000])
def test_the_vocabulary_is_kept_and_written_again_when_damaged(copied: Path, damage: bytes) -> None:
    expected = whole(copied).encode("abab 李白 ab").ids
    first = EncoderTokenizer(copied)
    [path] = kept(copied)
    again = EncoderTokenizer(copied)
    assert again.unknown == first.unknown == 3
    path.write_bytes(damage)
    for tokenizer in (first, again, EncoderTokenizer(copied), EncoderTokenizer(copied)):
        assert tokenizer.ids(["abab 李白 ab"], 1000)[0].tolist() == expected
    assert kept(copied) == [path]
    assert path.read_bytes() != damage


def test_the_vocabulary_of_another_tokenizer_is_not_taken(copied: Path) -> None:
    EncoderTokenizer(copied)
    before = kept(copied)
    text = copied.read_text(encoding="utf-8")
    copied.write_text(text.replace("李白", "杜甫、"), encoding="utf-8")
    assert EncoderTokenizer(copied).count("杜甫、") == len(whole(copied).encode("杜甫、").ids)
    assert len(kept(copied)) == 1
    assert kept(copied) != before


def test_where_nothing_can_be_written_the_tokens_are_the_same(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("rag_app.models.embeddings.tokenizer.sync", refused)
    expected = whole(copied).encode("ab 李白").ids
    assert EncoderTokenizer(copied).ids(["ab 李白"], 1000)[0].tolist() == expected
    assert [path.name for path in copied.parent.iterdir()] == ["tokenizer.json"]


def test_truncation_and_padding_of_the_file_are_not_taken(unigram: Path, tmp_path: Path) -> None:
    spec = json.loads(unigram.read_text(encoding="utf-8"))
    spec["truncation"] = {
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0
    }  # fmt: skip
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(spec), encoding="utf-8")
    assert EncoderTokenizer(file).count("abab 李白 ab") == EncoderTokenizer(unigram).count(
        "abab 李白 ab"
    )


@pytest.mark.model
def test_the_default_model_is_tokenized_as_by_the_whole(real_models: Path) -> None:
    file = real_models / "multilingual-e5-small" / "tokenizer.json"
    read = whole(file)
    expected = [read.encode(text).ids for text in TEXTS]
    assert [ids.tolist() for ids in EncoderTokenizer(file).ids(TEXTS, 1000)] == expected
