"""Whole tensors out of sharded ones, and back; without sharding these are plain copies."""

from typing import Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return all of a tensor, on the CPU; every process that holds a part must call it."""
    value = tensor.detach()
    if isinstance(value, DTensor):  # FSDP
        value = value.full_tensor()
    return value.to("cpu").contiguous()


def like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor laid out as a parameter of its shape is: on its device, or sharded."""
    value = value.to(parameter.device, parameter.dtype)
    if isinstance(parameter, DTensor):
        mesh, placements = parameter.device_mesh, parameter.placements
        return distribute_tensor(value, mesh, placements, src_data_rank=None)
    return value


def fill(parameter: torch.Tensor, value: torch.Tensor) -> None:
    """Put a whole tensor into a parameter that may be sharded."""
    with torch.no_grad():
        parameter.copy_(like(value, parameter))


def gathered(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return an optimizer's state as whole tensors by ``NUMBER.NAME``, and the rest as JSON values.

    Args:
        state: What ``Optimizer.state_dict()`` returns; numbers are those of the parameters in it.
    """
    tensors = {
        f"{number}.{name}": whole(value)
        for number, values in state["state"].items()
        for name, value in values.items()
    }
    return tensors, {"param_groups": state["param_groups"]}


def scattered(
    tensors: dict[str, torch.Tensor], rest: dict[str, Any], parameters: list[torch.Tensor]
) -> dict[str, Any]:
    """Return what ``Optimizer.load_state_dict()`` takes, the reverse of `gathered`.

    Args:
        tensors: Whole.
        rest: The JSON values.
        parameters: Those of the optimizer, by number.
    """
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        kept = like(value, parameter) if value.shape == parameter.shape else value
        state.setdefault(int(number), {})[name] = kept
    return {"state": state, **rest}
