"""Q4_0, the 4-bit format of ggml, unpacked.

A block of 32 weights is a float16 scale and 16 bytes; byte j holds weight j in its low half and
weight j + 16 in its high half; a weight is (half - 8) times the scale (``ggml-quants.c``).
"""

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights in a block."""
BLOCK_BYTES = 2 + BLOCK // 2


def dequantize(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the float32 weights of whole blocks, ``[32 * blocks]``; a damaged scale shows in them.

    Args:
        data: uint8, ``[18 * blocks]``.
    """
    blocks = data.reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    weights = np.empty((len(blocks), BLOCK), np.float32)
    weights[:, : BLOCK // 2] = blocks[:, 2:] & 15
    weights[:, BLOCK // 2 :] = blocks[:, 2:] >> 4
    weights -= 8
    with np.errstate(invalid="ignore"):  # 0 times an infinite scale; the caller judges it
        weights *= scales
    return weights.reshape(-1)
