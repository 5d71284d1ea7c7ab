"""Hugging Face folders, with or without LoRAs, asked through transformers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_prep.checkpoint.reader import open_checkpoint
from model_prep.errors import GenerateError, first_line
from model_prep.inference.chat_template import ChatTemplate
from model_prep.inference.placement import require_memory
from model_prep.inference.sampling import Prompt, Sampling
from model_prep.lora.attach import attach_loras
from model_prep.lora.plan import prepare_merge
from model_prep.process_state import quiet_transformers, seeded
from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer

_CONTEXT = 2048
"""Tokens, where a model does not say."""


class HuggingFaceModel:
    """A model and its exact tokenizer.

    Args:
        base: The folder of a model.
        loras: Folders of adapters in the order in which they were trained; they are not merged.
        tokenizer: A folder or file; by default that of the last LoRA that has one, or the base's.
        options: What `model_prep.inference.placement.placement` returns.

    Raises:
        GenerateError: the folder is none, the tokenizer is of another model, or the memory is too
            small.
        MergeError: the LoRAs do not fit the base, or not in this order.
        CheckpointError: weights are missing or damaged.
        TokenizerError: there is no tokenizer.
    """

    def __init__(
        self, base: Path, loras: list[Path], tokenizer: Path | None, options: dict[str, Any]
    ) -> None:
        self._tokenizer = load_tokenizer(tokenizer or _tokenizer_folder(base, loras))
        self._template = ChatTemplate(self._tokenizer, ALPACA_TEMPLATE)
        # A merge and what is to act like one need the same: order, shapes, vocabulary.
        plan = prepare_merge(base, loras) if loras else None
        with open_checkpoint(base) as checkpoint:
            require_memory(checkpoint.tensors.values(), options)
        self._model = load_causal_lm(base, options)
        self._ends = end_tokens(self._model, self._tokenizer)
        if plan:
            with plan:
                self._model = attach_loras(self._model, plan.adapters)
        self._context = getattr(self._model.config, "max_position_embeddings", None) or _CONTEXT
        rows, pieces = len(self._model.get_input_embeddings().weight), len(self._tokenizer)
        if pieces > rows:
            msg = (
                f"the tokenizer has {pieces:,} pieces and the model {rows:,} embeddings: they are "
                "of different models; name the right one with --tokenizer-path"
            )
            raise GenerateError(msg)

    def complete(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_text: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Return what the model says to each prompt; see `TextModel`."""
        import torch

        rows = [self._encode(prompt) for prompt in prompts]
        limits = [min(sampling.max_new_tokens, self._context - len(row)) for row in rows]
        width = max(map(len, rows))
        pad = pad_token(self._tokenizer, self._ends)
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        device = self._model.get_input_embeddings().weight.device
        with seeded(sampling.seed), torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=self._config(sampling, max(limits)),
                streamer=_streamer(self._tokenizer, on_text) if on_text else None,
            )
        made = zip(output[:, width:].tolist(), limits, strict=True)
        return [self._decode(row[:limit]) for row, limit in made]

    def _encode(self, prompt: Prompt) -> list[int]:
        ids: list[int]
        if isinstance(prompt, str):
            ids = self._tokenizer(prompt)["input_ids"]
        else:
            ids = self._template.encode(prompt)
        if len(ids) >= self._context:
            msg = (
                f"a prompt has {len(ids):,} tokens and the model's context {self._context:,}; "
                "shorten it"
            )
            raise GenerateError(msg)
        return ids

    def _decode(self, ids: list[int]) -> str:
        end = next((at for at, number in enumerate(ids) if number in self._ends), len(ids))
        text: str = self._tokenizer.decode(ids[:end], skip_special_tokens=True)
        return text.strip()

    def _config(self, sampling: Sampling, limit: int) -> Any:
        from transformers import GenerationConfig

        special = {
            "eos_token_id": self._ends,
            "pad_token_id": pad_token(self._tokenizer, self._ends),
        }
        options = replace(sampling, max_new_tokens=limit).generate_options()
        return GenerationConfig(**special, **options)


def _tokenizer_folder(base: Path, loras: list[Path]) -> Path:
    names = ("tokenizer.model", "tokenizer.json")
    held = (one for one in reversed(loras) if any((one / name).is_file() for name in names))
    return next(held, base)


def load_causal_lm(source: str | Path, options: dict[str, Any]) -> Any:
    """Load a language model, with no progress bars and nothing changed in the process.

    Of its generation settings only the special tokens are kept: what a folder says of sampling and
    lengths would mix with what is asked for.

    Args:
        source: A folder, or a name in the local hub cache.
        options: What `model_prep.inference.placement.placement` returns.

    Returns:
        A ``PreTrainedModel`` in evaluation mode.

    Raises:
        GenerateError: there is no such model, or it is damaged.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    try:
        with quiet_transformers():
            model: Any = AutoModelForCausalLM.from_pretrained(
                source, local_files_only=True, **options
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        msg = f"{source} can't be loaded ({first_line(error)}); see: model-prep verify"
        raise GenerateError(msg) from error
    special = ("bos_token_id", "eos_token_id", "pad_token_id")
    model.generation_config = GenerationConfig(
        **{name: getattr(model.generation_config, name) for name in special}
    )
    return model.eval()


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer: those that the folder names, and the tokenizer's."""
    named = model.generation_config.eos_token_id
    ends = named if isinstance(named, list) else [named]
    return sorted({int(one) for one in [*ends, tokenizer.eos_token_id] if one is not None})


def pad_token(tokenizer: Any, ends: list[int]) -> int:
    """Return the padding: not an end token if there is another, as repetition is penalized."""
    for number in (tokenizer.pad_token_id, tokenizer.unk_token_id):
        if number is not None and number not in ends:
            return int(number)
    return ends[0] if ends else 0


def _streamer(tokenizer: Any, on_text: Callable[[str], None]) -> Any:
    from model_prep.inference.streaming import TextCallback

    return TextCallback(tokenizer, on_text, skip_prompt=True)
