"""Hashes of files and of tensors, and the published ones."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_prep.checkpoint.checksums import (
    PUBLISHED,
    content_digest,
    file_digest,
    file_digests,
    pieces_digest,
    published_name,
    tensor_digest,
)
from model_prep.checkpoint.pth_file import write_pth
from model_prep.checkpoint.reader import open_checkpoint
from model_prep.checkpoint.safetensors_file import write_safetensors, write_safetensors_shards
from model_prep.checkpoint.tensors import TensorData
from model_prep.errors import CheckpointError
from tests.tokenizers import Tokenizers


def test_files_are_hashed_as_hashlib_does(tmp_path: Path) -> None:
    contents = {"空": b"", "a": b"a" * (2**20 + 1), "b": bytes(3 * 2**20)}
    files = []
    for name, content in contents.items():
        files.append(tmp_path / name)
        files[-1].write_bytes(content)
    shown: list[tuple[int, int]] = []
    found = file_digests(files, lambda _, done, total: shown.append((done, total)))
    assert list(found) == files
    for file, content in zip(files, contents.values(), strict=True):
        assert found[file] == file_digest(file) == hashlib.sha256(content).hexdigest()
    total = 4 * 2**20 + 1
    assert shown[-1] == (total, total)
    assert shown == sorted(shown)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing can't be read \(No such file"):
        file_digests([tmp_path / "nothing"])
    with pytest.raises(CheckpointError, match="can't be read"):
        file_digests([tmp_path])


def test_the_content_hash_is_as_described() -> None:
    import torch

    tensor = torch.arange(6, dtype=torch.float16).reshape(2, 3)
    plain = hashlib.sha256(b"model.norm.weight\tF16\t2x3\n" + tensor.numpy().tobytes()).hexdigest()
    assert tensor_digest("model.norm.weight", tensor) == plain
    assert tensor_digest("model.norm.weight", tensor.T.contiguous().T) == plain
    digests = {"b": "1" * 64, "a": plain}
    joined = hashlib.sha256(f"{plain}\n{'1' * 64}\n".encode()).hexdigest()
    assert content_digest(digests) == joined


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 5), min_size=1, max_size=4),
    st.permutations(range(4)),
)
def test_containers_and_order_do_not_matter(tmp_path_factory, sizes, order) -> None:
    folder = tmp_path_factory.mktemp("content")
    sizes = {name: size for name, size in sizes.items() if name != "__metadata__"}

    def tensors(names) -> list[TensorData]:
        return [
            TensorData(name, "F32", (sizes[name],), [np.arange(sizes[name], dtype="<f4").data])
            for name in names
        ]

    shuffled = [list(sizes)[at] for at in order if at < len(sizes)]
    write_safetensors(folder / "a.safetensors", tensors(sizes))
    write_pth(folder / "a.pth", tensors(shuffled))
    write_safetensors_shards(folder, tensors(shuffled), max_shard_size=8)
    found = set()
    for path in (folder / "a.safetensors", folder / "a.pth", folder):
        with open_checkpoint(path) as opened:
            digests = {
                name: pieces_digest(name, info.dtype, info.shape, opened.pieces(name))
                for name, info in opened.tensors.items()
            }
        found.add(content_digest(digests))
    assert len(found) == 1


def test_the_table_is_well_formed() -> None:
    digests = [digest for files in PUBLISHED.values() for digest in files.values()]
    assert len(set(digests)) == len(digests) == 29
    assert all(len(digest) == 64 and int(digest, 16) for digest in digests)


@pytest.mark.slow
def test_real_tokenizers_are_known(published: Tokenizers) -> None:
    found = file_digests([published.llama, published.chinese])
    names = [published_name(digest) for digest in found.values()]
    assert names == ["LLaMA-tokenizer", "Chinese-SentencePiece"]
    assert published_name("0" * 64) is None
