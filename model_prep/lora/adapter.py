"""LoRA adapters on disk as PEFT saves them: configuration, and the weight of each tensor.

Names and meanings are those of PEFT (github.com/huggingface/peft), old and new: the factors of a
linear layer are ``….lora_A[.NAME].weight`` (r × in) and ``….lora_B[.NAME].weight`` (out × r), those
of an embedding ``….lora_embedding_A`` (r × rows) and ``….lora_embedding_B`` (columns × r); a module
to save is ``….weight``, ``….modules_to_save[.NAME].weight`` or ``….base_layer.weight``.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.checkpoint.reader import Checkpoint, open_checkpoint
from model_prep.errors import AdapterError
from model_prep.llama.expected_tensors import EMBEDDINGS, INPUT, OUTPUT
from model_prep.lora.adapter_config import CONFIG, by_pattern, read_adapter_config

if TYPE_CHECKING:
    import torch

    from model_prep.lora.arithmetic import LowRankUpdate

_FACTOR = re.compile(
    r"(.+)\.lora_(embedding_)?(A|B)(?:\.(?!weight$|bias$)(?P<adapter>[^.]+))?(?:\.weight)?"
)
_PREFIX = re.compile(r"^(?:(?:.*\.)?base_model\.model|module|_forward_module)\.")
"""PEFT's own, whatever a trainer put before it, or that of DDP or DeepSpeed alone."""
_WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What ``torch.compile``, FSDP and checkpointing put into names, where a trainer left it there."""
_MODULE_TO_SAVE = re.compile(
    r"(?P<module>.+?)(?:\.modules_to_save(?:\.(?!weight$|bias$)(?P<adapter>[^.]+))?|\.base_layer)?"
    r"\.(?P<parameter>weight|bias)"
)
_SAVE_ONE = "save the one that is to be merged alone, with PEFT's save_pretrained"


@dataclass(frozen=True)
class LoraFactors:
    """The two factors that act on one weight, by the names that they have in the file."""

    lora_a: str
    lora_b: str
    lora_alpha: float
    divisor: float
    """r, or its square root where the LoRA is rank-stabilized."""
    transposed: bool
    """The file's ``lora_B @ lora_A`` is the transpose of what is added."""


@dataclass(frozen=True)
class Adapter:
    """One LoRA: open, with every tensor assigned to a weight of the base model."""

    folder: Path
    config: dict[str, Any]
    checkpoint: Checkpoint
    factors: dict[str, LoraFactors] = field(default_factory=dict)
    """By the name of the weight that their product is added to."""
    modules_to_save: dict[str, str] = field(default_factory=dict)
    """Names in the file of whole tensors, by the name of the weight that they replace."""

    @property
    def vocab_size(self) -> int | None:
        """Rows of the embeddings that it brings, None where it brings none."""
        for weight in EMBEDDINGS:
            if weight in self.modules_to_save:
                return self.checkpoint.tensors[self.modules_to_save[weight]].shape[0]
        return None

    def tie(self) -> None:
        """Apply the update of the input embeddings to the output weights too, if asked for.

        For a base whose two are one: PEFT's ``ensure_weight_tying`` keeps them so.
        """
        if not self.config.get("ensure_weight_tying"):
            return
        if INPUT in self.modules_to_save:
            self.modules_to_save.setdefault(OUTPUT, self.modules_to_save[INPUT])
        if INPUT in self.factors:
            self.factors.setdefault(OUTPUT, self.factors[INPUT])

    def update_shape(self, weight: str) -> tuple[int, int]:
        """Return the shape of what is added to ``weight``."""
        factors, tensors = self.factors[weight], self.checkpoint.tensors
        out, inside = tensors[factors.lora_b].shape[0], tensors[factors.lora_a].shape[1]
        return (inside, out) if factors.transposed else (out, inside)

    def read_update(self, weight: str) -> "LowRankUpdate":
        """Read what is added to ``weight``, turned as the weight is laid out."""
        from model_prep.lora.arithmetic import LowRankUpdate

        factors = self.factors[weight]
        lora_a, lora_b = (self.checkpoint.read(name) for name in (factors.lora_a, factors.lora_b))
        if factors.transposed:
            lora_a, lora_b = lora_b.T, lora_a.T
        return LowRankUpdate(lora_a, lora_b, factors.lora_alpha, factors.divisor)

    def is_zero(self) -> bool:
        """Return whether it has LoRAs, and each adds nothing: a factor of it is zero."""
        return bool(self.factors) and all(
            any(not self.checkpoint.read(name).any() for name in (factors.lora_b, factors.lora_a))
            for factors in self.factors.values()
        )

    def read_all(self, weight: str) -> "list[torch.Tensor]":
        """Read everything that it has for ``weight``."""
        names = [self.modules_to_save.get(weight)]
        if factors := self.factors.get(weight):
            names += [factors.lora_a, factors.lora_b]
        return [self.checkpoint.read(name) for name in names if name]

    def release(self, weight: str) -> None:
        """Release the memory that `read_update` touched."""
        self.checkpoint.release(self.factors[weight].lora_a)
        self.checkpoint.release(self.factors[weight].lora_b)


def open_adapter(folder: Path, *, conv1d: bool = False) -> Adapter:
    """Open the folder of a LoRA; of the weights, only names and shapes are read.

    Args:
        folder: Holds ``adapter_config.json`` and ``adapter_model.safetensors`` or ``.bin``.
        conv1d: The base model keeps its matrices as in × out, as GPT-2 does. PEFT goes by that too,
            and corrects a ``fan_in_fan_out`` that says otherwise.

    Raises:
        AdapterError: it is not a LoRA, is one that can't be merged, or contradicts itself.
        CheckpointError: its weights are missing or damaged.
    """
    config = read_adapter_config(folder)
    adapter = Adapter(folder, config, open_checkpoint(folder, adapter=True))
    for module, sides in _assign(adapter).items():
        adapter.factors[f"{module}.weight"] = _factors(adapter, module, sides, conv1d)
    if not (adapter.factors or adapter.modules_to_save):
        raise AdapterError(f"{folder} holds nothing for any module; fetch it again")
    return adapter


def _assign(adapter: Adapter) -> dict[str, dict[str, str]]:
    """Fill in the modules to save, and return the names of both factors of each other module."""
    sides_of: dict[str, dict[str, str]] = {}
    adapter_names: set[str] = set()
    for name in adapter.checkpoint.tensors:
        plain = _PREFIX.sub("", _WRAPPERS.sub("", name))
        if found := _FACTOR.fullmatch(plain):
            module, embedding, side = found.group(1, 2, 3)
            sides = sides_of.setdefault(module, {"embedding": embedding or ""})
            if sides.setdefault(side, name) != name:
                raise AdapterError(f"{adapter.folder} holds two LoRAs of {module}; {_SAVE_ONE}")
        elif ".original_module." in plain:
            continue  # the base model's own, which PEFT once saved too
        elif ".lora_" not in plain and (found := _MODULE_TO_SAVE.fullmatch(plain)):
            weight = f"{found['module']}.{found['parameter']}"
            # PEFT may save a trained module under two names; both are the same.
            if weight not in adapter.modules_to_save or plain == weight:
                adapter.modules_to_save[weight] = name
        else:
            msg = f"{adapter.folder} holds {name}, which is not part of a LoRA that can be merged"
            raise AdapterError(msg)
        adapter_names |= {found["adapter"]} - {None}
    if len(adapter_names) > 1:
        msg = f"{adapter.folder} holds the adapters {', '.join(sorted(adapter_names))}; {_SAVE_ONE}"
        raise AdapterError(msg)
    return sides_of


def _factors(adapter: Adapter, module: str, sides: dict[str, str], conv1d: bool) -> LoraFactors:
    if missing := {"A", "B"} - sides.keys():
        raise AdapterError(
            f"{adapter.folder} lacks lora_{missing.pop()} of {module}: it is incomplete; fetch it "
            "again"
        )
    config, tensors = adapter.config, adapter.checkpoint.tensors
    r = int(by_pattern(config.get("rank_pattern"), module, config["r"]))
    for tensor in (tensors[sides["A"]], tensors[sides["B"]]):
        if not math.prod(tensor.shape):
            raise AdapterError(
                f"{adapter.folder}: {tensor.name} is empty, as where ZeRO-3 kept the weights in "
                "parts; gather them (zero_to_fp32.py of DeepSpeed does), and save the adapter again"
            )
        if not tensor.is_floating:
            raise AdapterError(
                f"{adapter.folder}: {tensor.name} is {tensor.dtype}: it is quantized; use the "
                "adapter in float16, bfloat16 or float32 that it was made from"
            )
    lora_a, lora_b = tensors[sides["A"]].shape, tensors[sides["B"]].shape
    if len(lora_a) != 2 or len(lora_b) != 2 or lora_a[0] != r or lora_b[1] != r:
        raise AdapterError(
            f"{adapter.folder}: the factors of {module} are {lora_b} and {lora_a}, but {CONFIG} "
            f"says r={r}; they are not of the same LoRA, or not of a matrix"
        )
    return LoraFactors(
        lora_a=sides["A"],
        lora_b=sides["B"],
        lora_alpha=float(by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"])),
        divisor=math.sqrt(r) if config.get("use_rslora") else r,
        # PEFT keeps an embedding's factors the other way round.
        transposed=bool(sides["embedding"]) or conv1d,
    )
