"""Device placement: the devices and the type of a model's weights."""

import math
from collections.abc import Iterable
from typing import Any

from model_prep.checkpoint.tensors import Dtype, TensorInfo
from model_prep.control_groups import free_memory
from model_prep.errors import GenerateError


def placement(
    *,
    gpus: str | None = None,
    only_cpu: bool = False,
    load_in_8bit: bool = False,
    load_in_4bit: bool = False,
    dtype: Dtype = "auto",
) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` for this machine.

    By default the first GPU is used where there is one, with bfloat16 where it has that, else
    float16; and float32 on a CPU, which is slow at half precision or lacks it.

    Args:
        gpus: Numbers with commas between them; a model is spread over several.
        only_cpu: Use no GPU.
        load_in_8bit: Quantize while loading, by bitsandbytes.
        load_in_4bit: The same, to four bits.
        dtype: The dtype of the weights.

    Raises:
        GenerateError: the options contradict each other or ask for what this machine hasn't.
    """
    import torch

    if only_cpu and gpus:
        raise GenerateError("--only-cpu and --gpus contradict each other; leave one out")
    if load_in_8bit and load_in_4bit:
        msg = "--load-in-8bit and --load-in-4bit contradict each other; leave one out"
        raise GenerateError(msg)
    numbers = [] if only_cpu else _gpu_numbers(gpus)
    if not numbers:
        if load_in_8bit or load_in_4bit:
            raise GenerateError(
                "8-bit and 4-bit loading needs a GPU; on a CPU use a quantized GGUF file, as "
                "`model-prep export-gguf --quantize q8_0` writes it"
            )
        return {"dtype": torch.float32 if dtype == "auto" else getattr(torch, dtype)}
    half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    kind = half if dtype == "auto" else getattr(torch, dtype)
    options: dict[str, Any] = {"dtype": kind, "device_map": {"": numbers[0]}}
    if len(numbers) > 1:
        free = {number: torch.cuda.mem_get_info(number)[0] for number in numbers}
        options |= {"device_map": "auto", "max_memory": free}
    if load_in_8bit or load_in_4bit:
        options["quantization_config"] = _quantization(load_in_8bit, kind)
    return options


def _quantization(eight: bool, compute_dtype: Any) -> Any:
    from transformers import BitsAndBytesConfig

    if eight:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute_dtype
    )


def _gpu_numbers(wanted: str | None) -> list[int]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted is None:
        return [0] if count else []
    try:
        numbers = [int(part) for part in wanted.split(",") if part.strip()]
    except ValueError as error:
        raise GenerateError(f"--gpus takes numbers such as 0,1, not {wanted!r}") from error
    missing = [number for number in numbers if not 0 <= number < count]
    if missing:
        raise GenerateError(f"there is no GPU {missing[0]}: PyTorch can use {count} here")
    return numbers


def require_memory(
    tensors: Iterable[TensorInfo], options: dict[str, Any], *, remedy: str = ""
) -> None:
    """Check that a model fits the memory, where it is a CPU that runs it.

    Args:
        tensors: Those of its weights.
        options: What `placement` returns.
        remedy: What else than a quantized file or a smaller model may help.

    Raises:
        GenerateError: the system would run out of memory.
    """
    import psutil

    if "device_map" in options:
        return
    size = options["dtype"].itemsize
    needed = sum(
        math.prod(tensor.shape) * size if tensor.is_floating else tensor.size for tensor in tensors
    )
    available = min(psutil.virtual_memory().available, free_memory())
    if needed > available:
        raise GenerateError(
            f"the weights need {needed / 1e9:.1f} GB as {str(options['dtype'])[6:]} and "
            f"{available / 1e9:.1f} GB of memory are free; use {remedy}a quantized GGUF file, "
            "as `model-prep export-gguf --quantize q8_0` writes it, or a smaller model"
        )
