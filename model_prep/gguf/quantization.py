"""Quantization of the weights of a GGUF file: the type of each tensor, and the numbers.

The package ``gguf`` quantizes in blocks of 32 weights. The K-quants, in blocks of 256, are written
by ggml's own C function, which llama.cpp's binding ``xllamacpp`` carries.

Source of the rules for K-quants: ``llama_tensor_get_type`` of llama.cpp.
"""

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from model_prep.errors import ExportError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType
    from numpy.typing import NDArray

Quantization = Literal["f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"]

_OUTPUT, _EMBEDDINGS = "output.weight", "token_embd.weight"
_COARSE_BLOCKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""What stands for a K-quant where its blocks of 256 do not divide the rows."""
_SENSITIVE = ("attn_v.weight", "ffn_down.weight")
"""Tensors of which the mixes ``_m`` hold half the layers finer."""


def tensor_type(
    name: str, shape: tuple[int, ...], quantize: Quantization, *, layers: int, tied: bool
) -> "GGMLQuantizationType":
    """Return how a tensor is held.

    Args:
        name: In the GGUF file.
        shape: The last number is the length of the rows that are cut into blocks.
        quantize: What the file as a whole is.
        layers: The number of layers of the model.
        tied: Whether the embeddings are the output weights too, which bear quantizing least.

    Example:
        >>> tensor_type("blk.8.ffn_down.weight", (8, 256), "q4_k_m", layers=12, tied=True).name
        'Q4_K'
        >>> tensor_type("token_embd.weight", (8, 256), "q4_k_m", layers=12, tied=True).name
        'Q6_K'
        >>> tensor_type("token_embd.weight", (8, 896), "q4_k_m", layers=12, tied=True).name
        'Q8_0'
    """
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if len(shape) == 1:
        return GGMLQuantizationType.F32
    kind = quantize.upper().removesuffix("_M")
    if name == _OUTPUT or (tied and name == _EMBEDDINGS):
        if kind.endswith("_K"):
            kind = "Q6_K"
        elif kind == "Q4_0" and name == _OUTPUT:
            kind = "Q8_0"
    elif quantize.endswith("_m") and _is_finer(name, layers):
        kind = "Q6_K"
    for candidate in (kind, _COARSE_BLOCKS.get(kind, kind)):
        if shape[-1] % GGML_QUANT_SIZES[GGMLQuantizationType[candidate]][0] == 0:
            return GGMLQuantizationType[candidate]
    return GGMLQuantizationType.F16


def _is_finer(name: str, layers: int) -> bool:
    """Return whether a mix holds a tensor in 6 bits: of the first and last eighth, and each third.

    The layer is counted as the tensors of the file are.
    """
    _, _, rest = name.partition("blk.")
    layer, _, kind = rest.partition(".")
    if kind not in _SENSITIVE:
        return False
    number, eighth = int(layer), layers // 8
    return number < eighth or number >= 7 * layers // 8 or (number - eighth) % 3 == 2


def quantize_rows(rows: "NDArray[np.generic]", kind: "GGMLQuantizationType") -> bytes:
    """Return rows as a GGUF file holds them.

    Args:
        rows: float32, or float16 where they are held so, contiguous; the last axis is cut into
            blocks.
        kind: How they are held.

    Raises:
        ExportError: a K-quant, and this build of xllamacpp does not show ggml's function.
    """
    import gguf

    if kind.name not in _COARSE_BLOCKS:
        data: bytes = gguf.quants.quantize(rows, kind).tobytes()
        return data
    width = rows.shape[-1]
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    held = ctypes.create_string_buffer(rows.size // weights * size)
    source = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    _quantize_chunk()(kind.value, source, held, 0, rows.size // width, width, None)
    return held.raw


def require_quantizer(quantize: Quantization) -> None:
    """Check before any work that a quantization can be written here.

    Raises:
        ExportError: see `quantize_rows`.
    """
    if "_k" in quantize:
        _quantize_chunk()


@cache
def _quantize_chunk() -> Any:
    """Return ggml's function: type, source, target, first row, rows, row length, importance."""
    try:
        import xllamacpp.xllamacpp

        function = ctypes.CDLL(xllamacpp.xllamacpp.__file__).ggml_quantize_chunk
    except (ImportError, OSError, AttributeError) as error:
        raise ExportError(
            "K-quants are written by llama.cpp, and the xllamacpp that is installed here does not "
            "offer that; choose --quantize q8_0 or q4_0"
        ) from error
    function.argtypes = [
        ctypes.c_int, ctypes.POINTER(ctypes.c_float), ctypes.c_void_p,
        *[ctypes.c_int64] * 3, ctypes.c_void_p,
    ]  # fmt: skip
    function.restype = ctypes.c_size_t
    return function
