"""transformers' Trainer, with a loss that is a mean over tokens, and saving that can be trusted."""

from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import Trainer

from model_prep.json_file import read_json, write_json
from model_prep.training.model import trained
from model_prep.training.packing import IGNORED
from model_prep.training.run_folder import BEST, WEIGHTS
from model_prep.training.sharded import fill, gathered, scattered, whole

OPTIMIZER = "optimizer.safetensors"
SCHEDULE = "optimizer.json"


class AdapterTrainer(Trainer):
    """Trains an adapter; after each evaluation the best so far is kept apart."""

    def create_accelerator_and_postprocess(self) -> None:
        """Let FSDP shard on CPUs too: accelerate would pass over it there, and say nothing."""
        super().create_accelerator_and_postprocess()
        if self.args.fsdp and not self.is_fsdp_enabled:
            state = self.accelerator.state
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the mean loss of the validation data over all its targets, and the perplexity."""
        loss = self._validation_loss()
        metrics = {"eval_loss": loss, "eval_perplexity": float(torch.tensor(loss).exp())}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        best = self.state.best_metric
        if best is None or loss < best:
            self.save_model(str(Path(str(self.args.output_dir)) / BEST), _internal_call=True)
        return metrics

    def _validation_loss(self) -> float:
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
            loss, count = row_losses(logits, labels)
            all_losses, all_counts = self.accelerator.gather_for_metrics((loss, count))
            losses.append(all_losses.sum())
            counts.append(all_counts.sum())
        model.train(training)
        return float(torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the adapter as PEFT reads it: called by all processes, written by the first.

        Each trained tensor is gathered from the processes that hold its parts. PEFT's own saving
        takes some from the sharded model, and what it writes then is not whole.
        """
        folder = Path(output_dir or str(self.args.output_dir))
        model = self.accelerator.unwrap_model(self.model)
        tensors = {name: self._whole(parameter) for name, parameter in trained(model)}
        if self.args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
            model.peft_config["default"].save_pretrained(folder)

    def _whole(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        """Return all of a parameter: of DeepSpeed's, what it steps in full precision."""
        full = None
        if self.is_deepspeed_enabled:
            from deepspeed.utils import safe_get_full_fp32_param

            full = safe_get_full_fp32_param(parameter)
        return whole(parameter if full is None else full)

    # A checkpoint holds whole tensors however the model is sharded, and nothing pickled but the
    # states of the random generators. Of DeepSpeed's engine only DeepSpeed knows the state.

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        tensors = load_file(Path(resume_from_checkpoint) / WEIGHTS)
        for name, parameter in trained(self.accelerator.unwrap_model(self.model)):
            fill(parameter, tensors[name])

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.is_deepspeed_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        assert self.optimizer is not None  # noqa: S101 - made before the first step
        assert self.lr_scheduler is not None  # noqa: S101
        tensors, rest = gathered(self.optimizer.state_dict())
        if self.args.should_save:
            save_file(tensors, Path(output_dir) / OPTIMIZER)
            schedule = self.lr_scheduler.state_dict()
            write_json(Path(output_dir) / SCHEDULE, {**rest, "schedule": schedule})

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self.is_deepspeed_enabled or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        assert self.optimizer is not None  # noqa: S101
        assert self.lr_scheduler is not None  # noqa: S101
        rest = read_json(Path(checkpoint) / SCHEDULE)
        self.lr_scheduler.load_state_dict(rest.pop("schedule"))
        parameters = [one for group in self.optimizer.param_groups for one in group["params"]]
        tensors = load_file(Path(checkpoint) / OPTIMIZER)
        self.optimizer.load_state_dict(scattered(tensors, rest, parameters))


def row_losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each row the sum of the losses of its targets, and how many they are.

    Args:
        logits: float, batch × length × vocabulary.
        labels: int64, batch × length; -100 is no target.
    """
    expected = labels[:, 1:]
    losses = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), expected, ignore_index=IGNORED, reduction="none"
    )
    return losses.sum(1), (expected != IGNORED).sum(1)
