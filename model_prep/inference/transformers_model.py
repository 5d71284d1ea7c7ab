"""Language models in Hugging Face folders, with or without LoRAs, run by transformers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_prep.checkpoint.reader import open_checkpoint, require_index
from model_prep.errors import GenerateError, first_line, is_of_gpu_memory
from model_prep.inference.chat_template import ChatTemplate
from model_prep.inference.placement import require_memory
from model_prep.inference.sampling import Prompt, Sampling
from model_prep.json_file import read_json, readable_folder
from model_prep.llama.expected_tensors import require_fitting
from model_prep.lora.attach import attach_loras
from model_prep.lora.plan import prepare_merge
from model_prep.process_state import quiet_transformers, seeded
from model_prep.tokenizer.files import find_tokenizer
from model_prep.tokenizer.loading import ALPACA_TEMPLATE, load_tokenizer, unused_pads

_CONTEXT = 2048  # tokens, where a model does not say


class HuggingFaceModel:
    """A model and its exact tokenizer.

    Args:
        base_model: The folder of a model.
        lora_models: Folders of adapters in the order in which they were trained; they are not
            merged.
        tokenizer_path: A folder or file; by default that of the last LoRA that has one, or the base
            model's.
        options: What `model_prep.inference.placement.placement` returns.
        alpha: Stretches the context, as the family's scripts do (NTK).

    Raises:
        GenerateError: the folder holds no model, the tokenizer is of another model, or the memory
            is too small.
        MergeError: the LoRAs do not fit the base, or not in this order.
        CheckpointError: weights are missing or damaged.
        TokenizerError: there is no tokenizer.
    """

    def __init__(
        self,
        base_model: Path,
        lora_models: list[Path],
        tokenizer_path: Path | None,
        options: dict[str, Any],
        *,
        alpha: float = 1.0,
    ) -> None:
        folders = [*reversed(lora_models), base_model]
        found = next((folder for folder in folders if find_tokenizer(folder)), base_model)
        self._tokenizer = load_tokenizer(tokenizer_path or found)
        self._template = ChatTemplate(self._tokenizer, ALPACA_TEMPLATE)
        # A merge and what is to act like one need the same: order, shapes, vocabulary.
        plan = prepare_merge(base_model, lora_models) if lora_models else None
        require_index(base_model)
        with open_checkpoint(base_model) as checkpoint:
            config = read_json(base_model / "config.json")
            require_fitting(base_model, config, checkpoint.tensors, vocabulary=True)
            remedy = "--dtype bfloat16, " if options["dtype"].itemsize > 2 else ""
            require_memory(checkpoint.tensors.values(), options, remedy=remedy)
        if alpha != 1:
            options = {**options, "config": _stretched(base_model, alpha)}
        self._model = load_causal_lm(base_model, options)
        self._ends = end_tokens(self._model, self._tokenizer)
        if plan:
            with plan:
                self._model = attach_loras(self._model, plan.adapters)
        self._context = getattr(self._model.config, "max_position_embeddings", None) or _CONTEXT
        self._rows = len(self._model.get_input_embeddings().weight)
        pieces, file = len(self._tokenizer), find_tokenizer(Path(tokenizer_path or found))
        if pieces - (unused_pads(file) if file and pieces > self._rows else 0) > self._rows:
            raise GenerateError(
                f"the tokenizer has {pieces:,} pieces and the model {self._rows:,} embeddings: "
                "they belong to different models; name the right one with --tokenizer-path"
            )

    def complete(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_text: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Return what the model says to each prompt; see `TextModel`."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        from model_prep.inference.streaming import TextCallback

        rows = [self._encode(prompt) for prompt in prompts]
        limits = [min(sampling.max_new_tokens, self._context - len(row)) for row in rows]
        width = max(map(len, rows))
        pad = pad_token(self._tokenizer, self._ends)
        pad = pad if pad < self._rows else 0  # masked, so that any row does
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        device = self._model.get_input_embeddings().weight.device
        options = replace(sampling, max_new_tokens=max(limits)).generate_options()
        config = GenerationConfig(eos_token_id=self._ends, pad_token_id=pad, **options)
        streamer = TextCallback(self._tokenizer, on_text, skip_prompt=True) if on_text else None
        with seeded(sampling.seed), torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=config,
                logits_processor=LogitsProcessorList([_require_numbers]),
                streamer=streamer,
            )
        answers = zip(output[:, width:].tolist(), limits, strict=True)
        return [self._decode(ids[:limit]) for ids, limit in answers]

    def _encode(self, prompt: Prompt) -> list[int]:
        ids: list[int]
        if isinstance(prompt, str):
            ids = self._tokenizer(prompt)["input_ids"]
        else:
            ids = self._template.encode(prompt)
        if beyond := next((token for token in ids if token >= self._rows), None):
            raise GenerateError(
                f"the prompt holds {self._tokenizer.convert_ids_to_tokens(beyond)}, for which the "
                "model has no embedding; leave it out"
            )
        if len(ids) >= self._context:
            raise GenerateError(
                f"a prompt has {len(ids):,} tokens and the model's context {self._context:,}; "
                "shorten it"
            )
        return ids

    def _decode(self, ids: list[int]) -> str:
        end = next((place for place, token in enumerate(ids) if token in self._ends), len(ids))
        text: str = self._tokenizer.decode(ids[:end], skip_special_tokens=True)
        return text.strip()


def _stretched(folder: Path, alpha: float) -> Any:
    """Return a model's configuration with a longer context, by another base of its angles.

    Source of the formula: the "NTK-aware" scaling that the family's scripts call ``alpha``.

    Raises:
        GenerateError: the model has no such angles.
    """
    from transformers import AutoConfig

    try:
        config: Any = AutoConfig.from_pretrained(
            readable_folder(folder), local_files_only=True, trust_remote_code=False
        )
        rope = dict(config.rope_parameters)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        rope["rope_theta"] *= alpha ** (size / (size - 2))
        config.rope_parameters = rope
        config.max_position_embeddings = int(config.max_position_embeddings * alpha)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        msg = f"--alpha can't stretch the context of {folder} ({first_line(error)}); leave it out"
        raise GenerateError(msg) from error
    return config


def _require_numbers(_ids: Any, scores: Any) -> Any:
    """Return what a model makes of the next token, as transformers' ``LogitsProcessor`` does.

    Raises:
        GenerateError: it is not a number.
    """
    if bool(scores.isnan().any()):
        msg = "the model answers with NaN: its weights are damaged; see: model-prep verify"
        raise GenerateError(msg)
    return scores


def load_causal_lm(source: str | Path, options: dict[str, Any]) -> Any:
    """Load a language model, with no progress bars and nothing changed in the process.

    Of its settings only the special tokens are kept: what a folder says about sampling and
    lengths would mix with what is asked for.

    Returns:
        A ``PreTrainedModel`` in evaluation mode.

    Raises:
        GenerateError: there is no such model, or it is damaged.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    try:
        with quiet_transformers():
            model: Any = AutoModelForCausalLM.from_pretrained(
                readable_folder(source), local_files_only=True, trust_remote_code=False, **options
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, TypeError) as error:
        full = is_of_gpu_memory(error)
        remedy = "load it in 4 bits, or use a CPU" if full else "see: model-prep verify"
        raise GenerateError(f"{source} can't be loaded ({first_line(error)}); {remedy}") from error
    special = ("bos_token_id", "eos_token_id", "pad_token_id")
    model.generation_config = GenerationConfig(
        **{name: getattr(model.generation_config, name) for name in special}
    )
    return model.eval()


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer: those that the folder names, and the tokenizer's."""
    named = model.generation_config.eos_token_id
    ends = named if isinstance(named, list) else [named]
    return sorted({token for token in [*ends, tokenizer.eos_token_id] if isinstance(token, int)})


def pad_token(tokenizer: Any, ends: list[int]) -> int:
    """Return the padding: not an end token if there is another, as repetition is penalized."""
    for token in (tokenizer.pad_token_id, tokenizer.unk_token_id):
        if token is not None and token not in ends:
            return int(token)
    return ends[0] if ends else 0
