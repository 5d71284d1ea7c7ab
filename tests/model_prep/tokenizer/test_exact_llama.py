import copy
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_prep.tokenizer.loading import load_tokenizer
from tests.model_prep.tokenizer.lines import PIECES_OF_TEXT, awkward_lines, real_lines
from tests.tokenizers import Tokenizers, processor

TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from(PIECES_OF_TEXT), max_size=30).map("".join),
    st.text(alphabet=st.characters(min_codepoint=0x3000, max_codepoint=0x9FFF)),
)


@pytest.fixture(scope="module")
def folder(tokenizers: Tokenizers) -> Path:
    return tokenizers.alpaca.parent


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def model(tokenizers: Tokenizers) -> Any:
    return processor(tokenizers.alpaca)


def appended_pairs(model: Any) -> tuple[set[str], list[str]]:
    """All pieces, and those of two Chinese characters that were appended, whose score is 0."""
    ids = list(range(3, len(model)))
    pieces = model.id_to_piece(ids)
    zero = [piece for piece, score in zip(pieces, model.get_score(ids), strict=True) if score == 0]
    return set(pieces), [piece for piece in zero if re.fullmatch("[一-鿿]{2}", piece)]


def test_the_leftmost_of_equal_pairs_is_joined_first(tokenizer: Any, model: Any) -> None:
    known, pairs = appended_pairs(model)
    overlapping = [
        (left, right)
        for right in pairs[:500]
        for left in pairs
        if left[1] == right[0] and left[0] != right[0] and left + right[1] not in known
        # That in which the order of the vocabulary would decide otherwise.
        if model.piece_to_id(left) > model.piece_to_id(right)
    ]
    assert len(overlapping) > 10
    for left, right in overlapping[:300]:
        text, pieces = f"龘{left}{right[1]}", [*model.encode_as_pieces("龘"), left, right[1]]
        assert model.encode_as_pieces(text) == pieces
        assert tokenizer.tokenize(text) == pieces


def test_a_piece_that_overlaps_itself_is_joined_from_the_left(tokenizer: Any, model: Any) -> None:
    known, pairs = appended_pairs(model)
    double = next(one for one in pairs if one[0] == one[1] and one + one[0] not in known)
    for count in range(1, 12):
        text = f"龘{double[0] * count}"
        assert tokenizer.tokenize(text) == model.encode_as_pieces(text)
    assert tokenizer.tokenize(f"龘{double}{double[0]}")[-2:] == [double, double[0]]


@pytest.mark.slow
def test_no_line_differs_from_sentencepiece(tokenizer: Any, model: Any) -> None:
    lines = [*real_lines(), *awkward_lines(2500)]
    lines += awkward_lines(12_000)[len(lines) :]
    assert len(lines) >= 5000
    wanted = model.encode(lines)
    batch = tokenizer(lines)["input_ids"]
    assert batch == [[1, *ids] for ids in wanted]
    assert [tokenizer.encode(line) for line in lines] == batch
    bare = tokenizer(lines, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert bare == wanted
    assert tokenizer.batch_decode(batch, skip_special_tokens=True) == model.decode(wanted)
    # SentencePiece takes "▁" for a space; every other line comes back as it was.
    whole = [number for number, line in enumerate(lines) if "▁" not in line]
    assert len(whole) > 4000
    decoded = tokenizer.batch_decode([batch[number] for number in whole], skip_special_tokens=True)
    assert decoded == [lines[number] for number in whole]


@pytest.mark.slow
def test_llamas_own_tokenizer_is_exact_too(tokenizers: Tokenizers) -> None:
    tokenizer, model = load_tokenizer(tokenizers.llama), processor(tokenizers.llama)
    lines = [*real_lines(), *awkward_lines(500)]
    assert tokenizer(lines)["input_ids"] == [[1, *ids] for ids in model.encode(lines)]
    assert tokenizer.pad_token == "<unk>"
    assert len(tokenizer) == len(model) == (32000 if tokenizers.is_published else 1000)


@pytest.mark.slow
@settings(deadline=None, max_examples=500)
@given(text=TEXTS)
def test_any_text_is_encoded_and_decoded_as_sentencepiece_does(
    tokenizer: Any, model: Any, text: str
) -> None:
    ids = tokenizer(text)["input_ids"]
    assert ids == [1, *model.encode(text)]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text.replace("▁", " ")
    assert tokenizer.decode(ids) == "<s>" + text.replace("▁", " ")


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_ids_are_decoded_as_sentencepiece_does(
    tokenizer: Any, model: Any, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(3, len(model) - 2)))
    assert tokenizer.decode(ids) == model.decode(ids)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(text=TEXTS)
def test_offsets_say_where_each_piece_is(tokenizer: Any, text: str) -> None:
    encoded = tokenizer(text, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    assert len(offsets) == len(encoded["input_ids"])
    assert offsets[0] == (0, 0)
    if text:
        assert offsets[-1][1] == len(text)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    seen = 0
    for (begin, end), token in zip(offsets[1:], tokens[1:], strict=True):
        assert seen - 1 <= begin <= seen  # the bytes of a character all have its offset
        seen = max(seen, end)
        part = text[begin:end]
        if token.startswith("<0x"):
            assert int(token[3:5], 16) in part.encode()
        else:
            assert part.replace(" ", "▁") in (token, token[1:])


def test_offsets_of_a_batch_are_cut_and_padded_with_it(tokenizer: Any) -> None:
    encoded = tokenizer(
        ["天地玄黄宇宙洪荒", "a😀"],
        return_offsets_mapping=True,
        padding=True,
        truncation=True,
        max_length=5,
    )
    first, second = encoded["offset_mapping"]
    assert len(first) == len(second) == 5
    assert second == [(0, 0), (0, 1), (1, 2), (1, 2), (1, 2)]
    short = tokenizer(["a", "a b c"], return_offsets_mapping=True, padding=True)
    assert short["offset_mapping"][0] == [(0, 0), (0, 0), (0, 0), (0, 1)]


def test_text_that_looks_like_a_special_token_is_text(tokenizer: Any, model: Any) -> None:
    text = "<s>文</s>"
    assert tokenizer(text)["input_ids"] == [1, *model.encode(text)]
    rendered = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert rendered["input_ids"] == [1, *model.encode("文"), 2]
    assert rendered["offset_mapping"][0] == (0, 3)
    assert rendered["offset_mapping"][-1] == (4, 8)
    assert tokenizer.decode(rendered["input_ids"]) == text
    assert tokenizer.tokenize(text) == ["<s>", "▁", "文", "</s>"]


def test_batches_are_padded_on_the_left(tokenizer: Any) -> None:
    encoded = tokenizer(["短", "长一点的句子"], padding=True, return_tensors="pt")
    assert encoded["input_ids"].shape == encoded["attention_mask"].shape
    assert encoded["input_ids"][0, 0] == tokenizer.pad_token_id == len(tokenizer) - 1
    assert encoded["attention_mask"][0].tolist()[0] == 0
    assert encoded["input_ids"][0].tolist()[-3:] == tokenizer.encode("短")
    right = tokenizer(["短", "长一点的句子"], padding=True, padding_side="right")
    assert right["input_ids"][0][:3] == tokenizer.encode("短")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_truncation_keeps_the_beginning_token(folder: Path, side: str, limit: int) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.truncation_side = side
    text = "天地玄黄，宇宙洪荒。"
    whole = tokenizer.encode(text, add_special_tokens=False)
    room = limit - 1
    kept = whole[:room] if side == "right" else whole[len(whole) - min(room, len(whole)) :]
    assert tokenizer(text, truncation=True, max_length=limit)["input_ids"] == [1, *kept]


def test_the_rarer_options_of_a_call(tokenizer: Any) -> None:
    one, two = tokenizer.encode("一"), tokenizer.encode("two")
    assert tokenizer("一", "two")["input_ids"] == one + two
    assert tokenizer([("一", "two")])["input_ids"] == [one + two]
    assert tokenizer(["一", "two"], is_split_into_words=True)["input_ids"] == one + two[1:]
    assert tokenizer([])["input_ids"] == []
    assert tokenizer("")["input_ids"] == [1]
    assert tokenizer("一", return_length=True)["length"] == len(one)
    masked = tokenizer("一", return_special_tokens_mask=True, return_token_type_ids=True)
    assert masked["special_tokens_mask"] == [1, *[0] * (len(one) - 1)]
    assert masked["token_type_ids"] == [0] * len(one)
    assert "attention_mask" not in tokenizer("一", return_attention_mask=False)
    overflow = tokenizer("天地玄黄", truncation=True, max_length=3, return_overflowing_tokens=True)
    assert overflow["input_ids"] + overflow["overflowing_tokens"] == tokenizer.encode("天地玄黄")
    with pytest.raises(NotImplementedError, match="offsets"):
        tokenizer("一", "two", return_offsets_mapping=True)


def test_half_a_surrogate_pair_is_no_reason_to_fail(tokenizer: Any) -> None:
    assert tokenizer("\ud83d\ude00")["input_ids"] == tokenizer("😀")["input_ids"]
    assert tokenizer("a\ud800b")["input_ids"] == tokenizer("a\ufffdb")["input_ids"]


def test_ids_beyond_the_pieces_have_no_text(tokenizer: Any) -> None:
    assert tokenizer.decode([*tokenizer.encode("文本")[1:], len(tokenizer), 55295]) == "文本"


def test_half_a_character_at_the_end_is_left_out_of_what_is_shown(tokenizer: Any) -> None:
    ids = tokenizer.encode("好😀")
    for cut in (1, 2, 3):
        assert tokenizer.decode(ids[:-cut], skip_special_tokens=True) == "好"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "好😀"
    assert tokenizer.decode(ids[:-1]).endswith("\ufffd")


def test_tokens_and_ids_are_each_others_inverse(tokenizer: Any, model: Any) -> None:
    assert len(tokenizer) == tokenizer.vocab_size == len(model)
    ids = list(range(len(tokenizer)))
    assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids)) == ids
    assert tokenizer.get_vocab()["</s>"] == 2
    assert tokenizer.convert_tokens_to_string(tokenizer.tokenize("中 国\n")) == "中 国\n"


def test_tokens_can_be_added(folder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(folder)
    size = len(tokenizer)
    assert tokenizer.add_tokens(["〖新词〗"]) == 1
    assert tokenizer.add_special_tokens({"extra_special_tokens": ["<|end|>"]}) == 1
    assert tokenizer.encode("有〖新词〗<|end|>")[3] == size
    assert size + 1 not in tokenizer.encode("有〖新词〗<|end|>")
    assert tokenizer.encode("有<|end|>", add_special_tokens=False)[-1] == size + 1
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert len(again) == size + 2
    assert again.encode("有〖新词〗<|end|>") == tokenizer.encode("有〖新词〗<|end|>")


def test_copies_encode_alike(tokenizer: Any) -> None:
    wanted = tokenizer.encode("复制 a copy")
    assert pickle.loads(pickle.dumps(tokenizer)).encode("复制 a copy") == wanted
    assert copy.deepcopy(tokenizer).encode("复制 a copy") == wanted


def test_no_space_after_special_tokens_where_the_model_has_none(folder: Path, model: Any) -> None:
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    tokenizer = ExactLlamaTokenizer.from_pretrained(folder, legacy=False)
    text = "[INST]你 好</s> 文<s>😀"
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = [*model.encode("[INST]你 好"), 2, *model.encode("文"), 1, *model.encode("😀")[1:]]
    assert encoded["input_ids"] == ids
    assert tokenizer.decode(ids) == text
    assert [text[begin:end] for begin, end in encoded["offset_mapping"]][-5:] == ["<s>"] + [
        "😀"
    ] * 4
