"""The Q4_0 file of e5: unpacked, converted, and refused when it is damaged."""

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_prep.catalog.e5 import convert_e5
from model_prep.errors import ChecksumError
from tests.model_prep.catalog import e5_writer
from tests.model_prep.catalog.e5_writer import (
    PIECES,
    SCORES,
    e5_bytes,
    make_model,
    tensors_of,
    write_e5,
)


@pytest.fixture(scope="module")
def content() -> bytes:
    return e5_bytes(tensors_of(make_model()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("e5")
    convert_e5(write_e5(place / "e5.bin"), place / "模型")
    return place / "模型"


def test_exactly_these_files(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    }
    assert (folder / "2_Normalize").is_dir()
    assert json.loads((folder / "config_sentence_transformers.json").read_text())["prompts"] == {}


@pytest.mark.slow
def test_sentence_transformers_gives_the_vectors_of_the_model(folder: Path) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    ids = torch.tensor([[0, 4, 8, 9, 2]])  # <s> ▁ 李白 a </s>
    with torch.no_grad():
        states = make_model()(input_ids=ids).last_hidden_state
    expected = torch.nn.functional.normalize(states.mean(dim=1), dim=-1)[0].numpy()

    model = SentenceTransformer(str(folder), local_files_only=True, device="cpu")
    vectors = model.encode(
        ["李白a", "李白 A a 李白 白 a a A A 李 李 白 a"], show_progress_bar=False
    )
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert model.max_seq_length == e5_writer.POSITIONS
    assert model.prompts == {} or not any(model.prompts.values())


def test_the_tokenizer_needs_only_tokenizers(folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("李白").tokens == ["<s>", "▁", "李白", "</s>"]
    assert tokenizer.encode("李").ids == [0, 7, 2]
    assert tokenizer.encode("Ａ").tokens == ["<s>", "▁A", "</s>"]  # NFKC
    assert tokenizer.encode("李\u200b  A \n").tokens == ["<s>", "▁李", "▁A", "</s>"]  # nmt
    assert tokenizer.encode("水").ids == [0, 4, 3, 2]
    assert tokenizer.decode(tokenizer.encode("李白 A").ids) == "李白 A"
    assert tokenizer.token_to_id("<mask>") == PIECES.index("<mask>")
    tokenizer.enable_truncation(4)
    assert tokenizer.encode("李 李 李 李").ids == [0, 7, 7, 2]


def test_scores_are_the_same_float32(folder: Path) -> None:
    vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    assert [piece for piece, _ in vocabulary] == PIECES
    found = np.array([score for _, score in vocabulary], np.float32)
    assert found.tolist() == np.array(SCORES, np.float32).tolist()
    assert "-7.123456]" in (folder / "tokenizer.json").read_text("utf-8")  # not -7.12345600128…


def convert(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("damaged")
    (place / "e5.bin").write_bytes(content)
    convert_e5(place / "e5.bin", place / "model")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_truncated_file_is_one_clear_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ChecksumError, match=r"truncated or damaged|is not a Q4_0 file"):
        convert(content[:length], tmp_path_factory)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_byte_never_ends_in_another_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Lengths, offsets and counts of a hostile file lead nowhere outside of it."""
    end_of_directory = content.index(b"l1.oln.b") + 30
    place = data.draw(st.integers(0, end_of_directory))
    changed = bytearray(content)
    changed[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ChecksumError):
        convert(bytes(changed), tmp_path_factory)


def test_another_format_is_named(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ChecksumError, match="is not a Q4_0 file of multilingual-e5-small"):
        convert(b"GGUF" + content[4:], tmp_path_factory)


def test_a_missing_tensor_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    tensors = tensors_of(make_model())
    del tensors["l1.fo.w"]
    with pytest.raises(ChecksumError, match=r"tensor l1\.fo\.w of 128 weights, it holds none"):
        convert(e5_bytes(tensors), tmp_path_factory)


def test_a_tensor_of_another_shape_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    tensors = tensors_of(make_model())
    tensors["l0.q.b"] = np.zeros(5, np.float32)
    with pytest.raises(ChecksumError, match=r"l0\.q\.b of 8 weights, it holds one of 5 weights"):
        convert(e5_bytes(tensors), tmp_path_factory)


@pytest.mark.parametrize("stored", ["l0.fi.w", "l0.fi.b"])
def test_weights_that_are_no_numbers_are_refused(
    stored: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An infinite scale of a Q4_0 block, a float32 that is not a number."""
    tensors = tensors_of(make_model())
    content = bytearray(e5_bytes(tensors))
    name = content.index(stored.encode()) + len(stored)
    kind, _, begin, _ = struct.unpack_from("<BIQQ", content, name)
    content[begin : begin + 4] = (
        struct.pack("<e", np.inf) * 2 if kind else struct.pack("<f", np.nan)
    )
    with pytest.raises(ChecksumError, match="truncated or damaged"):
        convert(bytes(content), tmp_path_factory)
