"""The estimate of a run without training: its samples and labels, steps, memory and time."""

import math
import os
import time
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from model_prep.training.data import load_data
from model_prep.training.encoding import IGNORED
from model_prep.training.model import load_trainable, model_options, tokenizer_of
from model_prep.training.packing import PackedSequences
from model_prep.training.settings import TrainingSettings

_SHARE = 0.5  # share of the speed of one large matrix product that a whole training step reaches
_ACTIVATIONS = 17
"""Numbers of the hidden size that a layer keeps for each token until the backward pass
(Korthikanti et al. 2022, arXiv 2205.05198: 34 bytes at half precision), attention not counted."""


@dataclass(frozen=True)
class Estimate:
    """What a run would take; memory and time are rough."""

    samples: int
    tokens: int
    targets: int
    """Tokens that are learned: those with a label."""
    longest: int
    median: int
    truncated: int
    rows: int
    """Packed sequences."""
    steps: int
    parameters: int
    trained: int
    memory_gb: float
    """For each process."""
    seconds: float
    problems: dict[str, int]
    first_problems: list[str] = field(default_factory=list)
    shown: list[list[tuple[str, bool]]] = field(default_factory=list)
    """Some samples, in stretches of text, each with whether it is learned."""


def estimate(settings: TrainingSettings, *, shown: int = 2) -> Estimate:
    """Return what `train` would do; no weights are read.

    Raises:
        TrainingError, TokenizerError, AdapterError: as `train` raises them.
    """
    import numpy as np

    tokenizer = tokenizer_of(settings)
    data = load_data(settings, tokenizer)
    model = load_trainable(settings, tokenizer, weights=False)
    samples = data.train.data
    parameters = list(model.parameters())
    trained = sum(tensor.numel() for tensor in parameters if tensor.requires_grad)
    frozen = sum(tensor.numel() for tensor in parameters) - trained
    steps = _steps(settings, len(data.train))
    batch = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    tokens = steps * (batch * _processes()) * data.train.tokens / len(data.train)
    # Forward and, for the activations, backward; 2 operations for each weight and token.
    operations = (6 if settings.gradient_checkpointing else 4) * frozen + 6 * trained
    return Estimate(
        samples=data.samples,
        tokens=data.train.tokens,
        targets=int((samples.labels != IGNORED).sum()),
        longest=int(samples.lengths.max()),
        median=int(np.median(samples.lengths)),
        truncated=samples.truncated,
        rows=len(data.train),
        steps=steps,
        parameters=frozen + trained,
        trained=trained,
        memory_gb=_memory(settings, model.config, frozen, trained) / 1e9,
        seconds=tokens * operations / (_speed(settings) * _SHARE * _processes()),
        problems=dict(samples.problems.counts),
        first_problems=list(map(str, samples.problems.first)),
        shown=[
            decoded(data.train, index, tokenizer) for index in range(min(shown, len(data.train)))
        ],
    )


def decoded(sequences: PackedSequences, index: int, tokenizer: Any) -> list[tuple[str, bool]]:
    """Return a sequence as text, in stretches that are learned or not."""
    sequence = sequences[index]
    tokens = zip(sequence["ids"].tolist(), sequence["labels"] != IGNORED, strict=True)
    return [
        (tokenizer.decode([token for token, _ in stretch]), bool(learned))
        for learned, stretch in groupby(tokens, key=itemgetter(1))
    ]


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _steps(settings: TrainingSettings, sequences: int) -> int:
    if settings.max_steps > 0:
        return settings.max_steps
    batches = math.ceil(sequences / (settings.per_device_train_batch_size * _processes()))
    each = math.ceil(batches / settings.gradient_accumulation_steps)
    return math.ceil(settings.num_train_epochs * each)


def _memory(settings: TrainingSettings, config: Any, frozen: int, trained: int) -> float:
    size = model_options(settings)["dtype"].itemsize
    base = {"4bit": 0.55, "8bit": 1.05}.get(settings.quantize or "", float(size))
    shared = _processes() if settings.fsdp or settings.deepspeed else 1
    # Of what is trained: weight, gradient, AdamW's two moments.
    weights: float = (frozen * base + trained * 16) / shared
    tokens = settings.per_device_train_batch_size * settings.max_length
    layers, hidden = config.num_hidden_layers, config.hidden_size
    kept = layers + _ACTIVATIONS if settings.gradient_checkpointing else layers * _ACTIVATIONS
    logits: float = tokens * config.vocab_size * (size + 8)
    activations: float = tokens * hidden * size * kept
    return weights + activations + logits


def _speed(settings: TrainingSettings) -> float:
    """Return this machine's operations a second in a large matrix product."""
    import torch

    on_gpu = torch.cuda.is_available() and not settings.use_cpu
    device = "cuda" if on_gpu else "cpu"
    matrix = torch.ones(1024, 1024, dtype=model_options(settings)["dtype"], device=device)
    matrix @ matrix
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.2:
        matrix @ matrix
        count += 1
        if on_gpu:
            torch.cuda.synchronize()
    return count * 2 * 1024**3 / (time.perf_counter() - start)
