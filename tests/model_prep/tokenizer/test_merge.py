import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_prep.checkpoint.checksums import file_digest
from model_prep.cli import app
from model_prep.errors import OutputError, TokenizerError, UsageError
from model_prep.tokenizer.loading import load_tokenizer, vocabulary_size
from model_prep.tokenizer.merge import merge_tokenizer
from model_prep.tokenizer.sentencepiece_file import USER_DEFINED, Piece, read_sentencepiece
from tests.tokenizers import Tokenizers, piece_count, processor

CHINESE_LLAMA = "e2676d4ca29ca1750f6ff203328d73b189321dc5776ceede037cbd36541d70c0"
CHINESE_ALPACA = "2d967e855b1213a439df6c8ce2791f869c84b4f3b6cfacf22b86440b8192a2f8"


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["merge-tokenizer", *map(str, arguments)])


@pytest.mark.slow
def test_the_published_tokenizers_come_out(published: Tokenizers, tmp_path: Path) -> None:
    folder = tmp_path / "词表 tokenizer"
    done = run(
        *("--llama_tokenizer_dir", published.llama),
        *("--chinese_sp_model_file", published.chinese),
        *("--output_dir", folder, "--json"),
    )
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["sha256"] == CHINESE_LLAMA
    assert result["known_as"] == "Chinese-LLaMA-tokenizer"
    assert (result["pieces_before"], result["appended"], result["pieces"]) == (32000, 17953, 49953)
    written = (folder / "tokenizer.model").read_bytes()
    assert hashlib.sha256(written).hexdigest() == CHINESE_LLAMA
    chinese, english = result["samples"]
    assert chinese["after"] < chinese["before"] / 2
    assert english["after"] < english["before"] * 1.1
    assert "tokens per character, Chinese" in done.stderr

    alpaca = merge_tokenizer(
        published.llama,
        tmp_path / "alpaca",
        chinese_sp_model=published.chinese,
        add_pieces=["[PAD]"],
    )
    assert alpaca is not None
    assert (alpaca.sha256, alpaca.pieces) == (CHINESE_ALPACA, 49954)
    assert vocabulary_size(tmp_path / "alpaca") == 49954
    assert load_tokenizer(tmp_path / "alpaca").pad_token_id == 49953


def test_new_pieces_are_appended_with_score_0(tokenizers: Tokenizers, tmp_path: Path) -> None:
    llama, chinese = processor(tokenizers.llama), processor(tokenizers.chinese)
    done = merge_tokenizer(
        tokenizers.llama,
        tmp_path / "out",
        chinese_sp_model=tokenizers.chinese,
        add_pieces=["甲乙丙"],
    )
    assert done is not None
    merged = processor(tmp_path / "out" / "tokenizer.model")
    before = llama.id_to_piece(list(range(len(llama))))
    known = set(before)
    wanted = chinese.id_to_piece(list(range(len(chinese))))
    new = [piece for piece in dict.fromkeys(wanted) if piece not in known] + ["甲乙丙"]
    assert merged.id_to_piece(list(range(len(merged)))) == before + new
    ids = list(range(len(merged)))
    assert merged.get_score(ids) == llama.get_score(ids[: len(llama)]) + [0.0] * len(new)
    assert (done.pieces_before, done.pieces) == (len(llama), len(llama) + len(new))
    written = (tmp_path / "out" / "tokenizer.model").read_bytes()
    assert done.sha256 == hashlib.sha256(written).hexdigest()


def test_a_merged_tokenizer_can_be_added_to(alpaca_tokenizer: Path, tmp_path: Path) -> None:
    done = run(
        *("--llama-tokenizer", alpaca_tokenizer, "--output-dir", tmp_path / "out"),
        *("--chinese-sp-model", alpaca_tokenizer / "tokenizer.model"),
        *("--add-piece", "〖甲〗", "--add-piece", "〖乙〗", "--json"),
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["appended"] == 0
    pieces = read_sentencepiece(tmp_path / "out" / "tokenizer.model").pieces
    assert [piece.text for piece in pieces[-3:]] == ["[PAD]", "〖甲〗", "〖乙〗"]


def test_a_chinese_model_is_trained_first(trained: Tokenizers, tmp_path: Path) -> None:
    corpus = tmp_path / "语料.txt"
    corpus.write_text("昼夜交替，四季轮回。山高水长！" * 300, encoding="utf-8-sig")
    folder = tmp_path / "out"
    done = run(
        *("--llama-tokenizer", trained.llama, "--output-dir", folder),
        *("--train-corpus", corpus, "--vocab-size", "19", "--json"),
    )
    assert done.exit_code == 0, done.stderr
    assert piece_count(folder / "chinese_sp.model") == 19
    trained_pieces = read_sentencepiece(folder / "chinese_sp.model").pieces
    assert not any("\ufeff" in piece.text for piece in trained_pieces)
    result = json.loads(done.stdout)
    assert 0 < result["appended"] < 19
    assert result["pieces"] == piece_count(trained.llama) + result["appended"]
    assert result["pieces"] == vocabulary_size(folder)
    tokenizer = load_tokenizer(folder)
    plain = load_tokenizer(trained.llama)
    assert len(tokenizer.encode("四季轮回。")) < len(plain.encode("四季轮回。"))


def test_words_that_the_chinese_model_never_splits_are_pieces(
    trained: Tokenizers, tmp_path: Path
) -> None:
    """Control pieces, which no text has, are left out."""
    chinese = read_sentencepiece(trained.chinese)
    words = [Piece("电动自行车", type=USER_DEFINED), Piece("<ctl>", type=3), Piece("动自")]
    (tmp_path / "chinese.model").write_bytes(chinese.with_pieces(words))
    done = merge_tokenizer(
        trained.llama, tmp_path / "out", chinese_sp_model=tmp_path / "chinese.model"
    )
    assert done
    pieces = read_sentencepiece(tmp_path / "out" / "tokenizer.model").pieces
    assert pieces[-2:] == [Piece("电动自行车"), Piece("动自")]


def test_a_dry_run_writes_nothing(trained: Tokenizers, tmp_path: Path) -> None:
    base = ("--llama-tokenizer", trained.llama, "--output-dir", tmp_path / "out")
    done = run(*base, "--chinese-sp-model", trained.chinese, "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["sha256"] == file_digest(trained.chinese_llama)
    corpus = tmp_path / "text"
    corpus.write_text("文", encoding="utf-8")
    assert run(*base, "--train-corpus", corpus, "--dry-run").exit_code == 0
    assert list(tmp_path.iterdir()) == [corpus]


@pytest.mark.parametrize(
    ("content", "vocab_size", "message"),
    [
        (b"", 100, "has no text"),
        ("春夏秋冬".encode("gbk") * 9, 100, "is not UTF-8"),
        ("春夏秋冬。".encode() * 99, 5, "smaller than required_chars"),
        ("春夏秋冬。".encode() * 99, 5000, "Please set it to a value <="),
        (b"x" * 5000 + b"\xff", 100, "is not UTF-8"),
    ],
)
def test_a_corpus_that_is_no_good(
    trained: Tokenizers, tmp_path: Path, content: bytes, vocab_size: int, message: str
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(content)
    with pytest.raises(TokenizerError, match=message):
        merge_tokenizer(
            trained.llama,
            tmp_path / "out",
            train_corpus=corpus,
            vocab_size=vocab_size,
        )
    assert list(tmp_path.iterdir()) == [corpus]


def test_what_can_not_be_merged(trained: Tokenizers, tmp_path: Path) -> None:
    llama, chinese, out = trained.llama, trained.chinese, tmp_path / "out"
    with pytest.raises(TokenizerError, match="not LLaMA's"):
        merge_tokenizer(chinese, out, chinese_sp_model=llama)
    with pytest.raises(TokenizerError, match="can't be read"):
        merge_tokenizer(tmp_path, out, chinese_sp_model=chinese)
    with pytest.raises(UsageError, match="either"):
        merge_tokenizer(llama, out)
    with pytest.raises(UsageError, match="is a piece already"):
        merge_tokenizer(llama, out, chinese_sp_model=chinese, add_pieces=["可以"])
    with pytest.raises(UsageError, match="has a space, which no piece has"):
        merge_tokenizer(trained.llama, out, chinese_sp_model=trained.chinese, add_pieces=["a b"])
    with pytest.raises(UsageError, match="needs a text"):
        merge_tokenizer(llama, out, chinese_sp_model=chinese, add_pieces=[""])
    with pytest.raises(TokenizerError, match="can't be read"):
        merge_tokenizer(llama, out, train_corpus=tmp_path / "none")
    with pytest.raises(UsageError, match="--vocab-size"):
        merge_tokenizer(llama, out, train_corpus=chinese, vocab_size=0)
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(OutputError, match="not empty"):
        merge_tokenizer(llama, out, chinese_sp_model=chinese)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]
