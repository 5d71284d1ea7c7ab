"""The arithmetic of merging: ``W += B A · alpha / r``, rounded as the reference rounds.

The reference computes ``W += (B.float() @ A.float()) * (alpha / r)`` where W is float16. PyTorch
adds a float32 tensor to a float16 one *in float32* and rounds the sum once; so these are its steps,
each rounded to float32 by itself: the product, times alpha / r, plus W; then one rounding to
float16. W is thus rounded to float16 after each LoRA, and the next one starts from that.

Here the same steps are done for some rows at a time, for all LoRAs in order, while the rows are in
the processor's cache: no float32 matrix as large as W ever exists, and W is read and written once.
The product is not fused with the addition (``addmm``): that would be a fifth faster, but it skips
the roundings between, which shows wherever alpha / r is not a power of two. With one thread
per product the rows of a block come out bit for bit as they do in a product of the whole matrices.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BLOCK_SIZE = 2**18  # weights in a block: 1 MB of float32, which a core's cache holds
_MIN_ROWS = 16  # one row would be multiplied by another kernel, whose sums may round otherwise


@dataclass(frozen=True)
class LowRankUpdate:
    """What one LoRA adds to one matrix: ``lora_b @ lora_a * (lora_alpha / divisor)``."""

    lora_a: "torch.Tensor"
    """r × in, of any floating type."""
    lora_b: "torch.Tensor"
    """out × r."""
    lora_alpha: float
    divisor: float
    """r, or its square root where the LoRA is rank-stabilized (arXiv 2312.03732)."""

    @property
    def scaling(self) -> float:
        """What the product of the factors is multiplied by."""
        return self.lora_alpha / self.divisor


def add_low_rank(weight: "torch.Tensor", updates: list[LowRankUpdate]) -> None:
    """Add LoRAs, in order, to ``weight`` in place.

    To be called with ``torch.set_num_threads(1)``, from as many threads as there are matrices to
    work at: that is what makes the result independent of the blocks.

    Args:
        weight: out × in; float16, bfloat16 or float32, and contiguous.
        updates: Their factors fit the weight; each is rounded to the weight's type.

    Example:
        >>> import torch
        >>> weight = torch.ones(2, 3)
        >>> update = LowRankUpdate(torch.ones(1, 3), torch.ones(2, 1), lora_alpha=4, divisor=2)
        >>> add_low_rank(weight, [update])
        >>> weight[0]
        tensor([3., 3., 3.])
    """
    import torch

    rows, columns = weight.shape
    height = max(_MIN_ROWS, _BLOCK_SIZE // max(1, columns))
    blocks = max(1, -(-rows // height))
    # Of nearly equal height, so that the last one is never a single row.
    bounds = [rows * number // blocks for number in range(blocks + 1)]
    factors = [
        (update.lora_b.float(), update.lora_a.float().contiguous(), update) for update in updates
    ]
    scratch = torch.empty(min(rows, height), columns, dtype=torch.float32)
    for begin, end in pairwise(bounds):
        block, delta = weight[begin:end], scratch[: end - begin]
        for lora_b, lora_a, update in factors:
            torch.mm(lora_b[begin:end], lora_a, out=delta)
            delta.mul_(update.scaling)
            block.copy_(delta.add_(block))
