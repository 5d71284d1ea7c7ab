"""ONNX graphs of BERT encoders, over the weights in the safetensors file beside them.

A graph takes the token ids of one text and gives its vector, pooled and normalized. Texts are not
put together in batches: on a CPU the matrices of one are large enough, and alone it needs neither
padding nor a mask, and gets the same vector whatever is embedded with it.

In float32 a graph only refers to the tensors in ``model.safetensors``. In int8 the word embeddings
are still there, and the matrices of the layers are in the graph: 8-bit integers with a scale for
each output, multiplied with activations that are quantized as they come ("dynamic quantization").
Seven of the eight bits are used, since processors without VNNI add two products in 16 bits and
would saturate (onnxruntime.ai, "Quantize ONNX models", reduce_range).
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_prep.catalog.entry import EncoderDtype, ModelEntry
from model_prep.checkpoint.safetensors_file import is_complete_safetensors, read_safetensors_header
from model_prep.errors import CheckpointError
from model_prep.json_file import optional_json, read_json
from model_prep.output import sync

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

_VERSION = 1  # version of the graph; to be raised when what is written of the same folder changes
_WEIGHTS = "model.safetensors"
_LARGEST_WEIGHT = 63  # the largest weight of seven bits
_SAMPLE_BYTES = 2**20
_OPSETS = {"": 20, "com.microsoft": 1}
_IR_VERSION = 10  # the lowest with these opsets, which older ONNX Runtimes read too


def supports(folder: Path) -> bool:
    """Return whether ``folder`` is a float32 BertModel with mean or CLS pooling."""
    try:
        config = read_json(folder / "config.json")
        header, _ = read_safetensors_header(folder / _WEIGHTS)
        return (
            config.get("model_type") == "bert"
            and config.get("hidden_act", "gelu") == "gelu"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and (folder / "tokenizer.json").is_file()
            and is_complete_safetensors(folder / _WEIGHTS)
            and {info["dtype"] for name, info in header.items() if "layer" in name} == {"F32"}
            and _pooling(folder) is not None
            and _modules(folder) <= {"Transformer", "Pooling", "Normalize"}
        )
    except (OSError, ValueError, CheckpointError):
        return False


def preferred_dtype(folder: Path, entry: ModelEntry | None) -> EncoderDtype:
    """Return the type to run ``folder`` in: int8 if its entry says so, or such a graph is there."""
    if (entry and entry.encoder_dtype == "int8") or graph_path(folder, "int8").is_file():
        return "int8"
    return "float32"


def token_limit(folder: Path) -> int | None:
    """Return how many tokens a sentence-transformers folder reads of a text; None: not said."""
    limits = [
        optional_json(folder / "config.json").get("max_position_embeddings"),
        optional_json(folder / "sentence_bert_config.json").get("max_seq_length"),
    ]
    return min((int(limit) for limit in limits if limit), default=None)


def graph_path(folder: Path, dtype: EncoderDtype) -> Path:
    """Return where the graph of ``folder`` is, or would be.

    Its name identifies the weights and configuration that it was made from.
    """
    digest = hashlib.sha256(f"{_VERSION}".encode())
    for name in ("config.json", "1_Pooling/config.json"):
        digest.update((folder / name).read_bytes() if (folder / name).is_file() else b"")
    update_with_samples(digest, folder / _WEIGHTS)
    return folder / f"encoder-{dtype}-{digest.hexdigest()[:12]}.onnx"


def weights_folder(folder: Path) -> Path:
    """Return where the weights really are: a hub cache holds links."""
    return (folder / _WEIGHTS).resolve().parent


def update_with_samples(digest: "hashlib._Hash", file: Path) -> None:
    """Add the first and last megabyte of ``file``, and one in the middle, to ``digest``.

    Another model or training differs in all of them.
    """
    size = file.stat().st_size
    with file.open("rb") as data:
        for place in (0, size // 2, max(size - _SAMPLE_BYTES, 0)):
            data.seek(place)
            digest.update(data.read(_SAMPLE_BYTES))


def write_graph(folder: Path, dtype: EncoderDtype) -> Path:
    """Write the graph of a folder that `supports` accepts, unless it is there, and return its path.

    Graphs of other weights, which the folder held before, are deleted.

    Raises:
        OSError: the folder can't be written.
    """
    path = graph_path(folder, dtype)
    if path.is_file():
        return path
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(encoder_graph(folder, dtype))
        sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    for other in folder.glob(f"encoder-{dtype}-*.onnx"):
        if other != path:
            other.unlink(missing_ok=True)
    return path


def encoder_graph(folder: Path, dtype: EncoderDtype) -> bytes:
    """Return the serialized graph: ``input_ids``, int64 ``[tokens]``, to ``vector``, ``[hidden]``.

    Args:
        folder: Is what `supports` accepts.
        dtype: The dtype of the matrices of the layers.
    """
    graph = _EncoderGraph(folder, dtype)
    graph.build()
    return graph.serialized()


class _EncoderGraph:
    """The nodes and tensors of a graph; methods return the name of their result.

    Source: Devlin et al. 2018, arXiv 1810.04805, and transformers' `BertModel`; the operators are
    ONNX's (onnx.ai/onnx/operators) and ONNX Runtime's own (its "Contrib Operators").
    """

    def __init__(self, folder: Path, dtype: EncoderDtype) -> None:
        self.config = read_json(folder / "config.json")
        self.pooling = _pooling(folder)
        self.dtype = dtype
        self.nodes: list[NodeProto] = []
        self.tensors: dict[str, TensorProto] = {}
        self._weights = (folder / _WEIGHTS).resolve()
        self._header, self._begin = read_safetensors_header(self._weights)
        self._bytes: NDArray[np.uint8] = np.memmap(self._weights, np.uint8, "r")
        # Checkpoints of other classes keep the encoder under a name of its own.
        self._prefix = "bert." if "bert.embeddings.LayerNorm.weight" in self._header else ""

    def build(self) -> None:
        """Add all nodes, from ``input_ids`` to ``vector``."""
        self._constant("rows", np.array([-1, self.config["hidden_size"]], np.int64))
        self._constant("one_text", np.array([1, -1, self.config["hidden_size"]], np.int64))
        self._constant("first", np.array([0], np.int64))
        if self.dtype == "int8":
            self._constant("last", np.array([-1], np.int64))
            self._constant("tiny", np.array(1e-12, np.float32))
        hidden = self._embeddings()
        for layer in range(self.config["num_hidden_layers"]):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        if self.pooling == "cls":
            cls = self._constant("cls", np.array(0, np.int64))
            pooled = self._node("Gather", [hidden, cls])
        else:
            pooled = self._node("ReduceMean", [hidden, "first"], keepdims=0)
        self._node("LpNormalization", [pooled], "vector", axis=0, p=2)

    def serialized(self) -> bytes:
        """Return the model as bytes."""
        from onnx import TensorProto, helper

        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["tokens"])
        size = self.config["hidden_size"]
        vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [size])
        graph = helper.make_graph(
            self.nodes, "encoder", [ids], [vector], list(self.tensors.values())
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())

    def _embeddings(self) -> str:
        words = self._weight("embeddings.word_embeddings.weight")
        # All tokens are of the first type.
        places = self._array("embeddings.position_embeddings.weight")
        places = places + self._array("embeddings.token_type_embeddings.weight")[:1]
        self._constant("places", places)
        count = self._node("Shape", ["input_ids"])
        used = self._node("Slice", ["places", "first", count, "first"])
        summed = self._node("Add", [self._node("Gather", [words, "input_ids"]), used])
        return self._norm(summed, "embeddings.LayerNorm")

    def _layer(self, hidden: str, name: str) -> str:
        parts = [
            self._node(
                "Reshape", [self._linear(hidden, f"{name}.attention.self.{part}"), "one_text"]
            )
            for part in ("query", "key", "value")
        ]
        heads = self.config["num_attention_heads"]
        context = self._own_node("MultiHeadAttention", parts, num_heads=heads)
        context = self._node("Reshape", [context, "rows"])
        output = self._linear(context, f"{name}.attention.output.dense")
        attended = self._node("Add", [output, hidden])
        attended = self._norm(attended, f"{name}.attention.output.LayerNorm")
        inner = self._linear_by_row(attended, f"{name}.intermediate.dense")
        output = self._linear_by_row(self._node("Gelu", [inner]), f"{name}.output.dense")
        return self._norm(self._node("Add", [output, attended]), f"{name}.output.LayerNorm")

    def _linear(self, values: str, name: str) -> str:
        weight, bias = f"{name}.weight", self._weight(f"{name}.bias")
        if self.dtype == "float32":
            return self._node("Gemm", [values, self._weight(weight), bias], transB=1)
        return self._quantized_product(values, weight, bias)

    def _linear_by_row(self, values: str, name: str) -> str:
        """Add a linear layer whose inputs in int8 are scaled token by token.

        A few tokens have values far above those of others, which one scale for all would round off:
        between the feed-forward layers that is most of the loss.
        """
        if self.dtype == "float32":
            return self._linear(values, name)
        largest = self._node("ReduceMax", [self._node("Abs", [values]), "last"], keepdims=1)
        largest = self._node("Max", [largest, "tiny"])
        scaled = self._node("Div", [values, largest])
        product = self._quantized_product(scaled, f"{name}.weight")
        product = self._node("Mul", [product, largest])
        return self._node("Add", [product, self._weight(f"{name}.bias")])

    def _quantized_product(self, values: str, weight: str, bias: str = "") -> str:
        integers, scales = _quantized(self._array(weight))
        inputs = [
            values,
            self._constant(f"{weight}.int8", integers.T),
            self._constant(f"{weight}.scale", scales),
            "",
            bias,
        ]
        return self._own_node("DynamicQuantizeMatMul", inputs)

    def _norm(self, values: str, name: str) -> str:
        weight, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        epsilon = self.config["layer_norm_eps"]
        return self._node("LayerNormalization", [values, weight, bias], epsilon=epsilon)

    def _node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        from onnx import helper

        output = output or f"{operator}_{len(self.nodes)}"
        node = helper.make_node(operator, inputs, [output], output, domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def _own_node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add an operator of ONNX Runtime's own."""
        return self._node(operator, inputs, domain="com.microsoft", **attributes)

    def _array(self, name: str) -> NDArray[np.float32]:
        info = self._header[self._prefix + name]
        begin, end = (self._begin + offset for offset in info["data_offsets"])
        data: NDArray[np.float32] = np.frombuffer(self._bytes[begin:end], "<f4")
        return data.reshape(info["shape"])

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        # `np.ascontiguousarray` makes a scalar a list of one.
        self.tensors[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def _weight(self, name: str) -> str:
        """Add a tensor whose values stay in the safetensors file."""
        from onnx import TensorProto

        info = self._header[self._prefix + name]
        begin, end = info["data_offsets"]
        offset = self._begin + begin
        place = {"location": self._weights.name, "offset": offset, "length": end - begin}
        tensor = TensorProto(
            name=name,
            data_type=TensorProto.FLOAT,
            dims=info["shape"],
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self.tensors[name] = tensor
        return name


def _quantized(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return ``weights``, ``[outputs, inputs]``, as integers, and the scale of each output."""
    scales = np.maximum(np.abs(weights).max(axis=1), 1e-12) / _LARGEST_WEIGHT
    return np.rint(weights / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def _pooling(folder: Path) -> str | None:
    """Return ``mean`` or ``cls``, None for any other kind."""
    config = optional_json(folder / "1_Pooling" / "config.json")
    if not config:
        return "mean"  # what sentence-transformers makes of a plain BERT folder
    modes = {name for name, value in config.items() if name.startswith("pooling_mode") and value}
    if "pooling_mode" in modes:  # newer folders name the mode
        return str(config["pooling_mode"]) if config["pooling_mode"] in ("mean", "cls") else None
    return {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get(
        modes.pop() if len(modes) == 1 else ""
    )


def _modules(folder: Path) -> set[str]:
    """Return the kinds of sentence-transformers' layers."""
    file = folder / "modules.json"
    modules = json.loads(file.read_bytes()) if file.is_file() else []
    return {str(module["type"]).rpartition(".")[2] for module in modules}
