import hashlib
from pathlib import Path

import pytest

from model_prep.errors import TokenizerError
from model_prep.tokenizer.sentencepiece_file import Piece, parse_sentencepiece, read_sentencepiece
from tests.tokenizers import Tokenizers, processor


@pytest.fixture(scope="module")
def llama(tokenizers: Tokenizers) -> Path:
    return tokenizers.llama


def test_pieces_are_what_sentencepiece_says(tokenizers: Tokenizers) -> None:
    for file in (tokenizers.llama, tokenizers.chinese, tokenizers.alpaca):
        model = processor(file)
        pieces = read_sentencepiece(file).pieces
        assert [piece.text for piece in pieces] == model.id_to_piece(list(range(len(model))))
        assert [piece.score for piece in pieces] == model.get_score(list(range(len(model))))


def test_only_llamas_model_is_of_its_family(tokenizers: Tokenizers) -> None:
    assert read_sentencepiece(tokenizers.llama).is_llama
    assert read_sentencepiece(tokenizers.alpaca).is_llama
    assert not read_sentencepiece(tokenizers.chinese).is_llama


def test_a_piece_that_is_added_is_known_to_sentencepiece(llama: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    pieces = [Piece("天地"), Piece("玄黄" * 100), Piece("<|x|>", -1.5, 4)]
    data = read_sentencepiece(llama).with_pieces(pieces)
    model = SentencePieceProcessor(model_proto=data)
    before = processor(llama)
    new = range(len(before), len(before) + 3)
    assert model.id_to_piece(list(new)) == [piece.text for piece in pieces]
    assert parse_sentencepiece(data).pieces[len(before) :] == pieces
    assert model.encode("The same as before.") == before.encode("The same as before.")


def test_adding_nothing_changes_nothing(llama: Path) -> None:
    model = read_sentencepiece(llama)
    assert hashlib.sha256(model.with_pieces([])).digest() == hashlib.sha256(model.data).digest()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x0a\xff", b"PK\x03\x04" * 99, b"\x80" * 99])
def test_another_file_is_no_model(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.model is damaged or no"):
        read_sentencepiece(file)


def test_the_vocabulary_of_llama_3_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(b"IQ== 0\nIg== 1\n")
    with pytest.raises(TokenizerError, match=r"tokenizer\.model is tiktoken's"):
        read_sentencepiece(file)


def test_a_piece_that_is_no_text(tmp_path: Path, llama: Path) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(llama.read_bytes().replace("▁".encode(), b"\xff\xff\xff", 1))
    with pytest.raises(TokenizerError, match="damaged"):
        read_sentencepiece(file)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_model_cut_short_is_refused(tmp_path: Path, llama: Path, kept: float) -> None:
    data = llama.read_bytes()
    file = tmp_path / "tokenizer.model"
    file.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(TokenizerError, match="damaged"):
        read_sentencepiece(file)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"none\.model can't be read"):
        read_sentencepiece(tmp_path / "none.model")
