"""The arguments of transformers' Trainer, made from the settings."""

import json
import math
import os
import time
import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import TrainingError, first_line
from model_prep.inference.placement import placement
from model_prep.training.settings import PreferSettings, TrainingSettings, computing_dtype

if TYPE_CHECKING:
    from transformers import TrainingArguments

_SAME = {
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps",
    "num_train_epochs", "max_steps", "learning_rate", "lr_scheduler_type", "warmup_steps",
    "lr_scheduler_kwargs", "neftune_noise_alpha",
    "weight_decay", "max_grad_norm", "optim", "seed", "dataloader_num_workers",
    "ddp_timeout", "logging_steps", "save_steps", "save_total_limit",
}  # fmt: skip
_SHIPPED = ("zero2", "zero3")
_BUILD_SECONDS = 30 * 60
"""DeepSpeed compiles parts of itself at first use; that takes a few minutes at most."""


def training_arguments(settings: TrainingSettings, *, evaluates: bool) -> "TrainingArguments":
    """Return the arguments of transformers' Trainer.

    Raises:
        TrainingError: transformers refuses a value, or DeepSpeed or its configuration is missing.
    """
    import torch

    kind, more = _arguments_of(settings)
    cpu = settings.use_cpu or not torch.cuda.is_available()
    dtype = placement(only_cpu=cpu, dtype=computing_dtype(settings))["dtype"]
    options: dict[str, Any] = settings.model_dump(include=_SAME)
    options |= _memory_options(settings)
    if evaluates:
        steps = settings.eval_steps or settings.save_steps
        options |= {"eval_strategy": "steps", "eval_steps": steps}
        options |= {"metric_for_best_model": "eval_loss", "greater_is_better": False}
    try:
        arguments = kind(
            output_dir=str(settings.output_dir),
            logging_first_step=True,
            logging_nan_inf_filter=False,  # it would show 0 for a loss that is not finite
            disable_tqdm=True,
            report_to="none",
            remove_unused_columns=False,
            label_names=["labels"],
            dataloader_pin_memory=not cpu,
            ddp_find_unused_parameters=False,
            use_cpu=cpu,
            bf16=dtype == torch.bfloat16,
            fp16=dtype == torch.float16,
            **options,
            **more,
        )
    except (ValueError, ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"transformers refuses the settings ({reason})") from error
    if settings.deepspeed:
        import deepspeed

        # Without a GPU transformers makes the processes' group alone, and ZeRO-3, which shards the
        # model while it is loaded, would take each process for the only one.
        deepspeed.init_distributed()
    return arguments


def _memory_options(settings: TrainingSettings) -> dict[str, Any]:
    """Return what a run saves memory by: activations computed again, and shards."""
    checkpointing = settings.gradient_checkpointing
    if settings.fsdp:  # which computes activations again itself
        config = {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "state_dict_type": "FULL_STATE_DICT",
            "activation_checkpointing": checkpointing,
        }
        return {"activation_checkpointing": False, "fsdp": True, "fsdp_config": config}
    options: dict[str, Any] = {"activation_checkpointing": checkpointing}  # on by default in TRL
    if checkpointing:
        options["activation_checkpointing_kwargs"] = {"use_reentrant": False}
    if settings.deepspeed:
        options["deepspeed"] = deepspeed_config(settings.deepspeed)
    return options


def _arguments_of(settings: TrainingSettings) -> "tuple[type[TrainingArguments], dict[str, Any]]":
    """Return the class of the arguments, and those that only this kind of training has."""
    from transformers import TrainingArguments

    if not isinstance(settings, PreferSettings):
        return TrainingArguments, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is experimental of TRL says so
        from trl import DPOConfig
        from trl.experimental.orpo import ORPOConfig
    options = {"beta": settings.beta, "max_length": settings.max_length}
    if settings.loss == "orpo":
        return ORPOConfig, options
    return DPOConfig, {**options, "precompute_ref_log_probs": settings.precompute_ref_log_probs}


def require_processes(settings: TrainingSettings) -> None:
    """Check what several processes need, before any work.

    Raises:
        TrainingError: there are more of them than GPUs, or the model is to be sharded and torchrun
            did not begin this process, DeepSpeed or its configuration is missing, or a build of
            its parts was stopped.
    """
    _require_gpu_each(settings)
    if settings.deepspeed:
        deepspeed_config(settings.deepspeed)
        _require_no_stopped_build()
    name = "fsdp" if settings.fsdp else "deepspeed" if settings.deepspeed else None
    if name and "RANK" not in os.environ:
        raise TrainingError(
            f"--{name} shards over processes; begin them with torchrun: "
            f"torchrun --nproc_per_node GPUS -m model_prep {settings.kind} …"
        )


def _require_gpu_each(settings: TrainingSettings) -> None:
    """Check that no two processes share a GPU: NCCL refuses that in the first step."""
    import torch

    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = 0 if settings.use_cpu or not torch.cuda.is_available() else torch.cuda.device_count()
    if 0 < gpus < processes:
        raise TrainingError(
            f"torchrun began {processes} processes, but PyTorch can use {gpus} GPUs here: "
            f"--nproc_per_node {gpus}, or --use_cpu"
        )


def _require_no_stopped_build() -> None:
    """Check that no build of DeepSpeed's parts was stopped: PyTorch would wait for it for ever.

    Raises:
        TrainingError: one was.
    """
    from torch.utils.cpp_extension import get_default_build_root

    place = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    latest = time.time() - _BUILD_SECONDS
    for lock in place.glob("**/lock"):
        if lock.stat().st_mtime < latest:
            msg = f"{lock} was left by a build of DeepSpeed that was stopped; delete that file"
            raise TrainingError(msg)


def require_trl() -> None:
    """Check that TRL is installed, before any work.

    Raises:
        TrainingError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("trl") is None:
        raise TrainingError("preference pairs need TRL; run: pip install 'rag-app[preference]'")


def deepspeed_config(name: str) -> dict[str, Any]:
    """Return DeepSpeed's configuration: one that comes with the project, or a file's.

    Raises:
        TrainingError: there is none such, or DeepSpeed is not installed.
    """
    from importlib.util import find_spec

    if find_spec("deepspeed") is None:
        raise TrainingError("--deepspeed needs DeepSpeed; run: pip install deepspeed")
    try:
        shipped = files(__package__) / "configs" / f"{name}.json"
        config = json.loads((shipped if name in _SHIPPED else Path(name)).read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"it is not JSON: {first_line(error)}"
        msg = f"--deepspeed {name} can't be read ({reason}); name zero2, zero3 or a JSON file"
        raise TrainingError(msg) from error
    if not isinstance(config, dict):
        msg = f"--deepspeed {name} holds no names and values; name zero2, zero3 or a JSON file"
        raise TrainingError(msg)
    half = config.get("fp16")
    if isinstance(half, dict) and isinstance(half.get("min_loss_scale"), float):
        # The family's file says 1e-10; DeepSpeed takes whole numbers since.
        half["min_loss_scale"] = max(1, math.ceil(half["min_loss_scale"]))
    return config
