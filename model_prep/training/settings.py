"""Every option of pre-training and fine-tuning, once; names are those of transformers and PEFT."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from model_prep.checkpoint.tensors import Dtype
from model_prep.errors import CheckpointError, TrainingError
from model_prep.json_file import read_json
from model_prep.validation import invalid_reason

ALL_LINEAR = "all-linear"
"""PEFT's name for all linear layers but the output weights."""
LORA = (
    "lora_rank", "lora_alpha", "target_modules", "lora_dropout", "modules_to_save",
    "layers_to_transform",
)  # fmt: skip
"""Options of a new adapter; an adapter that is continued has them already."""


class TrainingSettings(BaseModel):
    """Options of both kinds of training."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )

    kind: ClassVar[Literal["pretrain", "sft", "prefer"]]

    # What is trained, on what
    model: Path = Field(description="Folder of the base model.")
    tokenizer: Path | None = Field(
        None, description="Folder or tokenizer.model; default: the adapter's, or the model's."
    )
    data: list[Path] = Field(min_length=1, description="Files and folders with training data.")
    validation: list[Path] = Field([], description="Files and folders to measure the loss on.")
    validation_split: float = Field(
        0.0, ge=0, lt=1, description="Share of the data held back for that, if none is named."
    )
    encoding: str | None = Field(None, description="Of the data; default: UTF-8, 16, or GB18030.")
    output_dir: Path = Field(description="Where adapter, checkpoints, log and plot go.")
    adapter: Path | None = Field(None, description="Adapter to continue; no LoRA options then.")

    # The new adapter
    lora_rank: int | None = Field(None, ge=1, description="Rank of a new adapter.")
    lora_alpha: float | None = Field(None, gt=0, description="Its scale: alpha / rank.")
    target_modules: list[str] | None = Field(
        None, description=f"Modules it acts on; {ALL_LINEAR}: all but the output weights."
    )
    lora_dropout: float | None = Field(None, ge=0, lt=1, description="Its dropout.")
    modules_to_save: list[str] | None = Field(None, description="Modules trained in full.")
    layers_to_transform: list[int] | None = Field(
        None, description="Layers it acts on, from 0; the last ones only are quicker to train."
    )

    # Samples
    max_length: int = Field(512, ge=8, description="Tokens of a packed sequence.")
    packing: bool = Field(True, description="Several samples in a sequence, kept apart.")
    cache_dir: Path | None = Field(None, description="Where tokenized data is kept.")

    # Steps
    per_device_train_batch_size: int = Field(1, ge=1, description="Sequences of a device at once.")
    per_device_eval_batch_size: int = Field(1, ge=1, description="The same for the validation.")
    gradient_accumulation_steps: int = Field(8, ge=1, description="Batches of a step.")
    num_train_epochs: float = Field(1.0, gt=0, description="Times through the data.")
    max_steps: int = Field(-1, ge=-1, description="Steps, in place of epochs.")
    learning_rate: float = Field(2e-4, gt=0, description="The highest.")
    lr_scheduler_type: str = Field("cosine", description="Name of transformers' schedule.")
    lr_scheduler_kwargs: dict[str, Any] | None = Field(
        None, description='Of the schedule, as JSON: cosine_with_min_lr takes {"min_lr_rate": 0.1}.'
    )
    warmup_steps: float = Field(0.05, ge=0, description="Steps; below 1 a share of them all.")
    weight_decay: float = Field(0.0, ge=0, description="Of AdamW.")
    max_grad_norm: float = Field(1.0, ge=0, description="Longer gradients are cut.")
    neftune_noise_alpha: float | None = Field(
        None, gt=0, description="Noise on the embeddings (NEFTune); 5 is usual."
    )
    optim: str = Field("adamw_torch", description="Name of transformers' optimizer.")
    seed: int = Field(42, ge=0, lt=2**32, description="Of order, dropout and new weights.")

    # Machines
    dtype: Dtype = Field("auto", description="Of the base weights; auto: half precision on a GPU.")
    quantize: Literal["4bit", "8bit"] | None = Field(None, description="Base weights, on a GPU.")
    gradient_checkpointing: bool = Field(False, description="Less memory, a third more time.")
    attention: str | None = Field(None, description="sdpa, eager, flash_attention_2.")
    fsdp: bool = Field(False, description="Shard over the processes of torchrun.")
    deepspeed: str | None = Field(None, description="zero2, zero3, or a configuration file.")
    use_cpu: bool = Field(False, description="Leave GPUs alone.")
    dataloader_num_workers: int = Field(0, ge=0, description="Processes that make batches.")
    ddp_timeout: int = Field(1800, ge=1, description="Seconds that processes wait for others.")

    # Watching and saving
    logging_steps: int = Field(10, ge=1, description="Steps between two lines of the log.")
    eval_steps: int | None = Field(None, ge=1, description="Default: as save_steps.")
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Evaluations without a lower loss that end the run."
    )
    save_steps: int = Field(200, ge=1, description="Steps between two checkpoints.")
    save_total_limit: int = Field(3, ge=1, description="Checkpoints that are kept.")
    push_to_hub: str | None = Field(
        None, description="NAME/REPOSITORY of the hub to push the adapter to at the end."
    )
    resume: bool = Field(True, description="Go on from the last checkpoint of output_dir.")

    @field_validator(
        "data", "validation", "target_modules", "modules_to_save", "layers_to_transform",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: Any) -> Any:
        """One value is a list of one, or several with commas between them."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return [value] if isinstance(value, Path) else value

    @field_validator("lr_scheduler_kwargs", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"must be JSON ({error})") from error

    @field_validator("max_steps")
    @classmethod
    def _some_steps(cls, value: int) -> int:
        if value == 0:
            raise ValueError("0 steps train nothing; -1 leaves it to num_train_epochs")
        return value


class PretrainSettings(TrainingSettings):
    """Options of ``model-prep pretrain``."""

    kind = "pretrain"


class SftSettings(TrainingSettings):
    """Options of ``model-prep sft``.

    Example:
        >>> names = {"model": "qwen", "data": "a.jsonl", "output_dir": "my-lora"}
        >>> SftSettings(**names, target_modules="q_proj,v_proj").target_modules
        ['q_proj', 'v_proj']
    """

    kind = "sft"

    learning_rate: float = Field(1e-4, gt=0, description="The highest.")
    num_train_epochs: float = Field(2.0, gt=0, description="Times through the data.")


class PreferSettings(TrainingSettings):
    """Options of ``model-prep prefer``.

    Example:
        >>> names = {"model": "qwen", "data": "pairs.jsonl", "output_dir": "my-lora"}
        >>> PreferSettings(**names, loss="orpo").beta
        0.1
    """

    kind = "prefer"

    loss: Literal["dpo", "orpo"] = Field(
        "dpo", description="dpo: against the model as it was; orpo: without it, from a base."
    )
    beta: float = Field(
        0.1, gt=0, description="dpo: how near to the model as it was; orpo: weight of the odds."
    )
    precompute_ref_log_probs: bool = Field(
        False, description="dpo: ask the model as it was once, not in each epoch."
    )
    learning_rate: float = Field(1e-5, gt=0, description="The highest.")
    max_length: int = Field(1024, ge=8, description="Tokens of a prompt with an answer.")
    packing: Literal[False] = Field(False, description="Pairs are never packed.")
    neftune_noise_alpha: None = Field(None, description="Not for pairs.")
    fsdp: Literal[False] = Field(False, description="Not for pairs.")
    deepspeed: None = Field(None, description="Not for pairs.")


def make_settings(kind: type[TrainingSettings], options: dict[str, Any]) -> TrainingSettings:
    """Return checked settings; an option without a value has its default.

    Raises:
        TrainingError: an option is unknown, missing or impossible; the message names it.
    """
    try:
        given = {name: value for name, value in options.items() if value is not None}
        settings = kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "missing":
            msg = f"--{name} is missing: {kind.model_fields[name].description}"
        else:
            msg = f"--{name} {first.get('input')!r} is wrong: {invalid_reason(first)}"
        raise TrainingError(msg) from error
    _require_one_scenario(settings)
    return settings


def _require_same_adapter(settings: TrainingSettings) -> None:
    """Check that options of a new adapter say no other than the one that is continued.

    Another dropout may be said: see `passed_over`.
    """
    given = [name for name in LORA if getattr(settings, name) is not None]
    if not settings.adapter or not given:
        return
    own = _adapter_options(settings.adapter)
    for name in given:
        if name != "lora_dropout" and _plain(getattr(settings, name)) != _plain(own.get(name)):
            raise TrainingError(
                f"--{name} is for a new adapter, and --adapter continues one, whose own "
                f"configuration rules ({own.get(name)}); leave it out"
            )


def passed_over(settings: TrainingSettings) -> list[str]:
    """Return a line for each option that has no effect in this run, or another than it says."""
    lines = []
    if settings.adapter and settings.lora_dropout is not None:
        own = _adapter_options(settings.adapter).get("lora_dropout")
        if own != settings.lora_dropout:
            lines.append(
                f"--lora_dropout {settings.lora_dropout} is passed over: the adapter's own is {own}"
            )
    elif settings.kind == "prefer" and settings.lora_dropout:
        lines.append("--lora_dropout is passed over: pairs are compared without dropout")
    if computing_dtype(settings) != settings.dtype:
        lines.append("--dtype float16 is float32 on a CPU, which can't train in float16")
    return lines


def computing_dtype(settings: TrainingSettings) -> Dtype:
    """Return the type of the base weights: float32 for float16 where a CPU is to train."""
    import torch

    on_cpu = settings.use_cpu or not torch.cuda.is_available()
    return "float32" if settings.dtype == "float16" and on_cpu else settings.dtype


def _adapter_options(folder: Path) -> dict[str, Any]:
    """Return what an adapter's configuration says, by our names; nothing where it has none."""
    try:
        config = read_json(folder / "adapter_config.json")
    except CheckpointError:
        return {}
    return {name: config.get("r" if name == "lora_rank" else name) for name in LORA}


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, list) else value


def _require_one_scenario(settings: TrainingSettings) -> None:
    _require_same_adapter(settings)
    needed = [name.replace("_", "-") for name in LORA[:3] if getattr(settings, name) is None]
    if not settings.adapter and needed:
        raise TrainingError(
            f"a new adapter needs --{' --'.join(needed)} (Chinese-LLaMA: 8, 32; Chinese-Alpaca: "
            "64, 128; q_proj,k_proj,v_proj,o_proj,gate_proj,down_proj,up_proj), "
            "or name one to continue: --adapter"
        )
    batch = max(settings.per_device_train_batch_size, settings.per_device_eval_batch_size)
    if settings.packing and (settings.attention or "").startswith("flash") and batch > 1:
        # transformers finds where samples begin only where a batch is one sequence.
        raise TrainingError(
            f"--attention {settings.attention} keeps samples apart in a batch of one sequence "
            "only; use --per_device_train_batch_size 1 with more --gradient_accumulation_steps "
            "(and --per_device_eval_batch_size 1), or --packing false"
        )
    if settings.fsdp and settings.deepspeed:
        raise TrainingError("--fsdp and --deepspeed shard in different ways; choose one")
    if settings.fsdp and settings.quantize:
        raise TrainingError("--quantize can't be sharded by --fsdp; use one process for each GPU")
