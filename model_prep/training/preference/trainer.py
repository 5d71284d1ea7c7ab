"""TRL's trainers for preference pairs, with checkpoints, logs and adapters like the others'."""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars, enable_progress_bars
from datasets.utils import are_progress_bars_disabled
from transformers import Trainer

from model_prep.errors import TrainingError, first_line
from model_prep.training.data import TrainingData
from model_prep.training.encoding import IGNORED
from model_prep.training.packing import PackedSequences
from model_prep.training.settings import PreferSettings
from model_prep.training.trainer import AdapterTrainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what is experimental of TRL says so
    from trl import DPOTrainer
    from trl.experimental.orpo import ORPOTrainer

_METRICS = ("rewards/margins", "rewards/accuracies")
_REFERENCE = "ref"
"""TRL's name of the adapter that a continued one is compared with: itself, as it began."""
_REFERENCE_LOG_PROBS = ("ref_chosen_logps", "ref_rejected_logps")
"""TRL's names of the columns that a row has where they were computed before."""

Batch = dict[str, torch.Tensor]


class PairTrainer(AdapterTrainer):
    """What both trainers do alike; the loss is TRL's.

    Nothing is sent to anyone, and no model card is written.
    """

    def _send_telemetry(self) -> None:
        """Send nothing."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none."""

    def pair_loss(self, inputs: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean loss of a batch, and TRL's metrics of it."""
        raise NotImplementedError

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        """Return TRL's loss, without its warnings about its own use of transformers."""
        with _no_future_warnings():
            return super().compute_loss(*arguments, **options)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log; TRL would add the metrics of the steps since the last line to an evaluation's."""
        if "eval_loss" in logs:
            Trainer.log(self, logs, start_time)
        else:
            super().log(logs, start_time)

    def _validation_metrics(self) -> dict[str, float]:
        model = self.model_wrapped
        training = model.training
        model.eval()
        totals = defaultdict[str, float](float)
        samples = 0
        for batch in self.get_eval_dataloader():
            inputs = self._prepare_inputs(batch)
            count = len(next(iter(inputs.values())))
            with torch.no_grad(), self.compute_loss_context_manager():
                loss, metrics = self.pair_loss(inputs)
            mean = self.accelerator.reduce(loss.detach(), "mean")
            totals["eval_loss"] += float(mean) * count
            for name in _METRICS:
                totals[f"eval_{name}"] += metrics[name] * count
            samples += count
        model.train(training)
        return {name: total / max(samples, 1) for name, total in totals.items()}


class DpoAdapterTrainer(PairTrainer, DPOTrainer):  # type: ignore[misc, unused-ignore]
    """Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290).

    The reference is the same model without the new adapter, or with a continued one as it began.
    """

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset  # tokenized already

    def compute_ref_log_probs(self, *arguments: Any) -> Any:
        """Return TRL's log probabilities of the reference, without its warnings either."""
        with _no_future_warnings():
            return super().compute_ref_log_probs(*arguments)

    def pair_loss(self, inputs: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean loss of a batch, and TRL's metrics of it."""
        loss = self.compute_loss(self.model_wrapped, inputs)
        found = self._metrics["eval"]
        metrics = {name: values[-1] for name, values in found.items()}
        found.clear()
        return loss, metrics


def _same(row: dict[str, Any], **_: Any) -> dict[str, Any]:
    return row


class OrpoAdapterTrainer(PairTrainer, ORPOTrainer):  # type: ignore[misc, unused-ignore]
    """Odds ratio preference optimization (Hong et al. 2024, arXiv 2403.07691); no reference."""

    tokenize_row = staticmethod(_same)  # tokenized already

    def pair_loss(self, inputs: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean loss of a batch, and TRL's metrics of it."""
        loss, metrics = self.get_batch_loss_metrics(self.model_wrapped, inputs)
        return loss, metrics


class PairCollator:
    """Makes a batch of pairs from rows that number them, as long as the longest sample.

    Args:
        parts: Pairs to train on, and to measure on: a row's ``part`` says which.
        pad_id: Token that fills the others up; nothing attends to it.
        halves: As DPO's trainer takes a batch: the chosen samples, then the rejected ones.
            Without, as ORPO's takes it.
    """

    def __init__(self, parts: list[PackedSequences], pad_id: int, *, halves: bool) -> None:
        self._parts, self._pad_id, self._halves = parts, pad_id, halves

    def __call__(self, rows: list[dict[str, Any]]) -> Batch:
        """Return tensors of int64, samples × length."""
        pairs = [_split(self._parts[row["part"]][row["pair"]]) for row in rows]
        chosen, rejected = ([pair[side] for pair in pairs] for side in (0, 1))
        if self._halves:
            batch = self._padded(chosen + rejected)
            labels = batch.pop("labels")
            reference = {
                name: torch.tensor([row[name] for row in rows])
                for name in _REFERENCE_LOG_PROBS
                if name in rows[0]
            }
            return {**batch, **reference, "completion_mask": (labels != IGNORED).long()}
        return {
            f"{side}_{name}": tensor
            for side, samples in (("chosen", chosen), ("rejected", rejected))
            for name, tensor in self._padded(samples).items()
        }

    def _padded(self, samples: list[Batch]) -> Batch:
        from torch.nn.utils.rnn import pad_sequence

        paddings = {"input_ids": self._pad_id, "attention_mask": 0, "labels": IGNORED}
        return {
            name: pad_sequence([sample[name] for sample in samples], True, padding)
            for name, padding in paddings.items()
        }


def _split(sequence: dict[str, Any]) -> tuple[Batch, Batch]:
    """Return the chosen and the rejected sample of a sequence that holds both."""
    columns = {"input_ids": torch.from_numpy(sequence["ids"])}
    columns["labels"] = torch.from_numpy(sequence["labels"])
    columns["attention_mask"] = torch.ones_like(columns["labels"])
    begin = int((sequence["positions"] == 0).nonzero()[0][1])
    chosen, rejected = (
        {name: values[part] for name, values in columns.items()}
        for part in (slice(None, begin), slice(begin, None))
    )
    return chosen, rejected


def preference_trainer(
    settings: PreferSettings, data: TrainingData, tokenizer: Any, pad_id: int, **options: Any
) -> PairTrainer:
    """Return the trainer of a run.

    Raises:
        TrainingError: TRL refuses the model.
    """
    from copy import deepcopy

    dpo = settings.loss == "dpo"
    parts = [part for part in (data.train, data.validation) if part is not None]
    # TRL takes no other kind of dataset: its rows number the pairs, whose tokens stay on the disk.
    train, *validation = (
        Dataset.from_dict({"part": [number] * len(part), "pair": range(len(part))})
        for number, part in enumerate(parts)
    )
    kind = DpoAdapterTrainer if dpo else OrpoAdapterTrainer
    try:
        with _no_progress_bars():
            trainer: PairTrainer = kind(
                **options,
                train_dataset=train,
                eval_dataset=validation[0] if validation else None,
                data_collator=PairCollator(parts, pad_id, halves=dpo),
                processing_class=deepcopy(tokenizer),
            )
    except ValueError as error:
        msg = f"{settings.model} can't learn preferences ({first_line(error)})"
        raise TrainingError(msg) from error
    if dpo and settings.adapter is None:
        # Without it TRL compares with the model whose adapters are switched off: the same, and
        # nothing is held twice.
        peft_model: Any = trainer.model
        peft_model.delete_adapter(_REFERENCE)
    return trainer


@contextmanager
def _no_future_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not disabled:
            enable_progress_bars()
