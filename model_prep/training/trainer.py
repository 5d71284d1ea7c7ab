"""transformers' Trainer for adapters: validation by tokens, checkpoints of sharded models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import functional
from transformers import Trainer

from model_prep.json_file import read_json, write_json
from model_prep.output import PARTIAL
from model_prep.training.callbacks import not_finite
from model_prep.training.encoding import IGNORED
from model_prep.training.model import trained
from model_prep.training.run_folder import BEST, WEIGHTS

OPTIMIZER = "optimizer.safetensors"
SCHEDULE = "optimizer.json"


class AdapterTrainer(Trainer):
    """Trains an adapter; after each evaluation the best so far is kept apart.

    Args:
        save_tokenizer: Writes the tokenizer into the folder of an adapter that is saved.
        options: The options of transformers' Trainer.
    """

    def __init__(self, save_tokenizer: Callable[[Path], None], **options: Any) -> None:
        self._save_tokenizer = save_tokenizer
        self._not_finite: torch.Tensor | None = None
        super().__init__(**options)

    def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
        """Take the gradients of a batch, and remember whether its loss was finite."""
        loss = super().training_step(*arguments, **options)
        bad = ~torch.isfinite(loss.detach())
        self._not_finite = bad if self._not_finite is None else self._not_finite | bad
        return loss

    @property
    def loss_is_finite(self) -> bool:
        """Whether the losses of all batches since the last time that it was asked were finite."""
        bad, self._not_finite = self._not_finite, None
        return bad is None or not bool(bad.any())

    def create_accelerator_and_postprocess(self) -> None:
        """Let FSDP shard on CPUs too: accelerate would silently skip it there."""
        super().create_accelerator_and_postprocess()
        if self.args.fsdp and not self.is_fsdp_enabled:
            state = self.accelerator.state
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure the validation data: its mean loss over all labels, and the perplexity."""
        metrics = self._validation_metrics()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        best = self.state.best_metric
        if best is None or metrics["eval_loss"] < best:
            self.save_model(str(Path(str(self.args.output_dir)) / BEST), _internal_call=True)
        return metrics

    def _validation_metrics(self) -> dict[str, float]:
        # transformers averages the means of batches, in which a short answer counts as a long one.
        model = self.model_wrapped
        training = model.training
        model.eval()
        losses, counts = [], []
        for batch in self.get_eval_dataloader():
            inputs = self._prepare_inputs(batch)
            labels = inputs.pop("labels")
            with torch.no_grad(), self.compute_loss_context_manager():
                logits = model(**inputs).logits
            loss, count = sequence_losses(logits, labels)
            all_losses, all_counts = self.accelerator.gather_for_metrics((loss, count))
            losses.append(all_losses.sum())
            counts.append(all_counts.sum())
        model.train(training)
        mean = torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1)
        return {"eval_loss": float(mean), "eval_perplexity": float(mean.exp())}

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save adapter and tokenizer as PEFT reads them: called by all, written by the first.

        Each trained tensor is gathered from the processes that hold its parts. PEFT's own saving
        takes some from the sharded model, and what it writes then is not complete.

        Raises:
            TrainingError: a trained weight is not finite; nothing is written.
        """
        folder = Path(output_dir or str(self.args.output_dir))
        model = self.accelerator.unwrap_model(self.model)
        tensors = {name: self._gathered(parameter) for name, parameter in trained(model)}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise not_finite("a trained weight", self.state.global_step)
        if self.args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            model.peft_config["default"].save_pretrained(folder)
            self._save_tokenizer(folder)
            # Last and at once: a kill leaves the whole adapter, the one before, or none.
            part = folder / f"{WEIGHTS}{PARTIAL}"
            save_file(tensors, part, metadata={"format": "pt"})
            part.replace(folder / WEIGHTS)

    def _gathered(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        """Return all of a parameter: of DeepSpeed's, what it steps in full precision."""
        full = None
        if self.is_deepspeed_enabled:
            from deepspeed.utils import safe_get_full_fp32_param

            full = safe_get_full_fp32_param(parameter)
        return _gathered(parameter if full is None else full)

    # A checkpoint holds whole tensors however the model is sharded, and nothing pickled but the
    # states of the random generators. Of DeepSpeed's engine only DeepSpeed knows the state.

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        tensors = load_file(Path(resume_from_checkpoint) / WEIGHTS)
        with torch.no_grad():
            for name, parameter in trained(self.accelerator.unwrap_model(self.model)):
                parameter.copy_(_laid_out(tensors[name], parameter))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.is_deepspeed_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        optimizer: Any = self.optimizer
        scheduler: Any = self.lr_scheduler
        state = optimizer.state_dict()
        tensors = {
            f"{number}.{name}": _gathered(value)
            for number, values in state["state"].items()
            for name, value in values.items()
        }
        if self.args.should_save:
            save_file(tensors, Path(output_dir) / OPTIMIZER)
            rest = {"param_groups": state["param_groups"], "schedule": scheduler.state_dict()}
            write_json(Path(output_dir) / SCHEDULE, rest)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self.is_deepspeed_enabled or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        optimizer: Any = self.optimizer
        scheduler: Any = self.lr_scheduler
        rest = read_json(Path(checkpoint) / SCHEDULE)
        scheduler.load_state_dict(rest.pop("schedule"))
        parameters = [tensor for group in optimizer.param_groups for tensor in group["params"]]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in load_file(Path(checkpoint) / OPTIMIZER).items():
            number, _, name = key.partition(".")
            parameter = parameters[int(number)]
            same = value.shape == parameter.shape
            state.setdefault(int(number), {})[name] = _laid_out(value, parameter) if same else value
        optimizer.load_state_dict({"state": state, **rest})


def _gathered(tensor: torch.Tensor) -> torch.Tensor:
    """Return all of a tensor, on the CPU; every process that holds a part must call it."""
    value = tensor.detach()
    if isinstance(value, DTensor):  # FSDP
        value = value.full_tensor()
    return value.to("cpu").contiguous()


def _laid_out(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor laid out as a parameter of its shape is: on its device, or sharded."""
    value = value.to(parameter.device, parameter.dtype)
    if isinstance(parameter, DTensor):
        mesh, placements = parameter.device_mesh, parameter.placements
        return distribute_tensor(value, mesh, placements, src_data_rank=None)
    return value


def sequence_losses(
    logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each sequence the sum of the losses of its labels, and how many they are.

    Args:
        logits: float, batch × length × vocabulary.
        labels: int64, batch × length; -100 is not learned.
    """
    expected = labels[:, 1:]
    losses = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), expected, ignore_index=IGNORED, reduction="none"
    )
    return losses.sum(1), (expected != IGNORED).sum(1)
