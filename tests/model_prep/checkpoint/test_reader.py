"""Tensors written a piece at a time, and files that are checked by their own header."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save

from model_prep.catalog.hub import unpickle_weights
from model_prep.checkpoint import pth_file
from model_prep.checkpoint.pth_file import write_pth
from model_prep.checkpoint.reader import open_checkpoint, require_index
from model_prep.checkpoint.safetensors_file import (
    is_complete_safetensors,
    write_safetensors,
    write_safetensors_shards,
)
from model_prep.checkpoint.tensors import TensorData, dtype_name, raw_bytes
from model_prep.errors import CheckpointError, ChecksumError
from tests.memory import KNOWN, resident_bytes


def test_safetensors_reads_what_is_written(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype="<f4").reshape(3, 4)
    tensors = [
        TensorData("矩阵", "F32", (3, 4), (row.tobytes() for row in matrix)),
        TensorData("ids", "I64", (2,), [np.array([7, -1], "<i8").tobytes()]),
        TensorData("empty", "F32", (0, 4), []),
    ]
    file = tmp_path / "model.safetensors"
    write_safetensors(file, tensors)
    loaded = load_file(file)
    np.testing.assert_array_equal(loaded["矩阵"], matrix)
    assert loaded["ids"].tolist() == [7, -1]
    assert loaded["empty"].shape == (0, 4)
    with safe_open(file, framework="numpy") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert is_complete_safetensors(file)


def test_too_few_bytes_are_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tensor a has not the bytes"):
        write_safetensors(tmp_path / "x", [TensorData("a", "F32", (2,), [b"1234"])])


def test_pieces_are_taken_one_tensor_at_a_time(tmp_path: Path) -> None:
    alive: list[int] = []

    def pieces(number: int):
        alive.append(number)
        assert alive == [number]
        yield b"1234"
        alive.remove(number)

    tensors = [TensorData(str(number), "F32", (1,), pieces(number)) for number in range(3)]
    write_safetensors(tmp_path / "x", tensors)
    assert alive == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:20],
        lambda data: b"",
        lambda data: struct.pack("<Q", 2**60) + data[8:],
        lambda data: struct.pack("<Q", 2) + b"{}",
        lambda data: struct.pack("<Q", 2) + b"[]",
        lambda data: struct.pack("<Q", 9) + b'{"a": {}}',
    ],
)
def test_a_file_that_is_not_whole(tmp_path: Path, damage) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(damage(save({"a": np.zeros(100, np.float32)})))
    assert not is_complete_safetensors(file)


def test_a_file_that_the_memory_has_no_room_for_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("Cannot allocate memory (os error 12)")

    file = tmp_path / "model.safetensors"
    file.write_bytes(save({"a": np.zeros(3)}))
    monkeypatch.setattr("safetensors.safe_open", fail)
    with pytest.raises(MemoryError):
        open_checkpoint(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert not is_complete_safetensors(tmp_path / "model.safetensors")


def test_every_type_survives(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file as load_torch

    shared = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    weights = {
        "half": torch.ones(3, dtype=torch.float16),
        "brain": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "ids": torch.tensor([[1, 2]]),
        "flag": torch.tensor(True),
        "double": torch.ones(2, dtype=torch.float64),
        "shared": shared,
        "tied": shared,
        "transposed": shared.T,
        "none": torch.zeros(0, 3),
    }
    torch.save(weights, tmp_path / "pytorch_model.bin")
    file = unpickle_weights(tmp_path / "pytorch_model.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    loaded = load_torch(file)
    assert loaded.keys() == weights.keys()
    for name, tensor in weights.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", {"a": "no tensor"}, [1]])
def test_weights_that_are_none(tmp_path: Path, content: object) -> None:
    import torch

    file = tmp_path / "pytorch_model.bin"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ChecksumError, match="so it was not used"):
        unpickle_weights(file)
    assert file.exists()


def test_shards_are_filled_in_order(tmp_path: Path) -> None:
    from safetensors.numpy import load_file as load

    values = {f"t{number}": np.full(number + 1, number, "<f4") for number in range(6)}
    tensors = [TensorData(n, "F32", v.shape, [v.tobytes()]) for n, v in values.items()]
    files = write_safetensors_shards(tmp_path, tensors, max_shard_size=24)
    assert [file.name for file in files] == [
        f"model-{n:05}-of-00004.safetensors" for n in (1, 2, 3, 4)
    ]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 84}
    for name, file in index["weight_map"].items():
        np.testing.assert_array_equal(load(tmp_path / file)[name], values[name])
    with open_checkpoint(tmp_path) as opened:
        assert opened.files == files
        assert list(opened.tensors) == list(values)


def as_data(name: str, tensor) -> TensorData:
    return TensorData(name, dtype_name(tensor.dtype), tuple(tensor.shape), [raw_bytes(tensor)])


STATES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
    st.tuples(
        st.sampled_from(
            ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32"]
        ),
        st.lists(st.integers(0, 4), max_size=3),
    ),
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(STATES)
def test_pth_is_what_torch_reads(tmp_path_factory: pytest.TempPathFactory, state) -> None:
    import torch

    tensors = {
        name: torch.randint(0, 2, shape).to(getattr(torch, dtype))
        for name, (dtype, shape) in state.items()
    }
    file = tmp_path_factory.mktemp("pth") / "consolidated.00.pth"
    write_pth(file, [as_data(name, tensor) for name, tensor in tensors.items()])
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
    for mapped in (True, False):
        loaded = torch.load(file, weights_only=True, mmap=mapped)
        assert list(loaded) == list(tensors)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
        assert all(loaded[name].dtype == tensor.dtype for name, tensor in tensors.items())
        assert all(tensor.data_ptr() % 64 == 0 for tensor in loaded.values()) or not mapped


def test_records_over_four_gigabytes_have_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered: what is written for a large record is right for a small one too."""
    import torch

    monkeypatch.setattr(pth_file, "ZIP64_FROM", 100)
    values = [torch.arange(size) for size in (3, 100, 7)]
    file = tmp_path / "x.pth"
    write_pth(file, [as_data(str(number), one) for number, one in enumerate(values)])
    loaded = torch.load(file, weights_only=True, mmap=True)
    assert all(torch.equal(loaded[str(number)], one) for number, one in enumerate(values))
    assert all(one.data_ptr() % 64 == 0 for one in loaded.values())


@pytest.fixture(params=["model.safetensors", "pytorch_model.bin", "consolidated.00.pth", "old.bin"])
def saved(request: pytest.FixtureRequest, tmp_path: Path):
    """A file of each kind with the same tensors."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tensors = {
        "matrix": torch.randn(700, 9).half(),
        "norm": torch.randn(5, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 3),
    }
    file = tmp_path / request.param
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file, _use_new_zipfile_serialization=file.name != "old.bin")
    return file, tensors


def test_every_container_reads_alike(saved) -> None:
    import torch

    file, tensors = saved
    with open_checkpoint(file) as opened:
        assert opened.files == [file]
        assert opened.tensors.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert torch.equal(opened.read(name), tensor)
            opened.release(name)
            assert torch.equal(opened.read(name), tensor)
            assert b"".join(opened.pieces(name)) == raw_bytes(tensor)
            assert opened.tensors[name].size == tensor.nbytes
            assert opened.tensors[name].shape == tuple(tensor.shape)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_file_that_was_cut_short(saved, kept: int) -> None:
    file, _ = saved
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=f"{file.name} is damaged"):
        open_checkpoint(file)


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    import torch

    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    torch.save({"a": Hostile()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="holds more than named tensors"):
        open_checkpoint(tmp_path)
    assert not (tmp_path / "run").exists()


def test_folders_without_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no .*nowhere"):
        open_checkpoint(tmp_path / "nowhere")
    (tmp_path / "README.md").touch()
    with pytest.raises(CheckpointError, match=r"holds no weights .* but README\.md"):
        open_checkpoint(tmp_path)
    (tmp_path / "latest_checkpointed_iteration.txt").touch()
    with pytest.raises(CheckpointError, match="a checkpoint of Megatron; convert it"):
        open_checkpoint(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    for damaged in ("", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'):
        index.write_text(damaged)
        with pytest.raises(CheckpointError, match=r"index\.json is damaged"):
            open_checkpoint(tmp_path)
    for name in ("model-1.safetensors", "../model-1.safetensors", "/tmp/model-1.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(CheckpointError, match=rf"not beside it \({name}\)"):
            open_checkpoint(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not KNOWN, reason="needs Linux's /proc")
@pytest.mark.parametrize("name", ["model.safetensors", "consolidated.00.pth"])
def test_reading_keeps_little_in_memory(tmp_path: Path, name: str) -> None:
    tensors = 40
    block = bytes(2**20)
    data = [TensorData(f"t{n}", "F16", (4, 2**19), [block] * 4) for n in range(tensors)]
    write = write_safetensors if name.endswith(".safetensors") else write_pth
    write(tmp_path / name, data)
    with open_checkpoint(tmp_path / name) as opened:
        before = resident_bytes()
        peak = before
        for one in opened.tensors:
            assert sum(piece.nbytes for piece in opened.pieces(one)) == 4 * 2**20
            assert not opened.read(one).any()
            peak = max(peak, resident_bytes())
            opened.release(one)
    assert peak - before < 20 * 2**20  # of 160


def shard(file: Path, *names: str) -> None:
    file.write_bytes(save({name: np.ones(2, "<f4") for name in names}))


def test_shards_without_their_index_are_read_by_their_numbers(tmp_path: Path) -> None:
    shard(tmp_path / "model-00001-of-00003.safetensors", "a")
    shard(tmp_path / "model-00003-of-00003.safetensors", "c")
    with pytest.raises(CheckpointError, match="has 2 of 3 shards and no index; number 00002 is"):
        open_checkpoint(tmp_path)
    shard(tmp_path / "model-00002-of-00003.safetensors", "b")
    assert list(open_checkpoint(tmp_path).tensors) == ["a", "b", "c"]
    with pytest.raises(CheckpointError, match=r"without model.safetensors.index.json"):
        require_index(tmp_path)
    shard(tmp_path / "model.safetensors", "a")
    require_index(tmp_path)


def test_a_count_of_shards_is_not_believed(tmp_path: Path) -> None:
    shard(tmp_path / "model-00001-of-99999.safetensors", "a")
    with pytest.raises(CheckpointError, match="has 1 of 99,999 shards"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "places",
    [
        {"a": "x.safetensors"},
        {"a": "y.safetensors", "b": "x.safetensors"},
        {"a": "x.safetensors", "b": "x.safetensors", "c": "x.safetensors"},
    ],
)
def test_an_index_and_files_that_disagree(tmp_path: Path, places: dict[str, str]) -> None:
    shard(tmp_path / "x.safetensors", "a", "b")
    shard(tmp_path / "y.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="and its files disagree: "):
        open_checkpoint(tmp_path)


def test_a_pointer_of_git_lfs(tmp_path: Path) -> None:
    file = tmp_path / "adapter_model.bin"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="is only a pointer of Git LFS"):
        open_checkpoint(tmp_path)


def test_quantized_types_are_named(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(CheckpointError, match="holds a as F8_E4M3: its weights are quantized"):
        open_checkpoint(tmp_path)
