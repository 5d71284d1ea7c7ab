"""The model that is trained: a frozen base with a LoRA adapter."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.checkpoint.reader import open_checkpoint, require_index
from model_prep.errors import GenerateError, TrainingError, first_line
from model_prep.inference.placement import placement
from model_prep.json_file import readable_folder, require_whole_links
from model_prep.lora.adapter import open_adapter
from model_prep.tokenizer.loading import (
    MODEL_FILE,
    load_tokenizer,
    save_tokenizer,
    sentencepiece_of,
    unused_pads,
)
from model_prep.training.settings import ALL_LINEAR, TrainingSettings, computing_dtype
from model_prep.training.vocabulary import VocabularySizes, rows_needed

if TYPE_CHECKING:
    import torch

_TOKENIZER_FILES = (MODEL_FILE, "tokenizer.json", "tokenizer_config.json")


def tokenizer_of(settings: TrainingSettings) -> Any:
    """Return the exact tokenizer: the one named, else the adapter's, else the model's.

    Raises:
        TrainingError: the folder is not a model.
        TokenizerError: there is none.
    """
    _require_model(settings.model)
    adapter = settings.adapter
    if settings.tokenizer:
        return load_tokenizer(settings.tokenizer)
    if adapter and any((adapter / name).is_file() for name in _TOKENIZER_FILES):
        return load_tokenizer(adapter)
    return load_tokenizer(settings.model)


def load_trainable(settings: TrainingSettings, tokenizer: Any, *, weights: bool = True) -> Any:
    """Return the base with its adapter, a `PeftModel` of which only the adapter is trained.

    Args:
        settings: Name them.
        tokenizer: Decides how many rows the embeddings need.
        weights: Read them; without, the model has shapes only (PyTorch's device ``meta``).

    Raises:
        TrainingError: the folder is not a model, or adapter and tokenizer do not fit it.
        AdapterError: the adapter is not a LoRA, or is damaged.
        CheckpointError: the base's weights are missing, damaged or quantized.
    """
    from transformers import AutoConfig

    with _load_errors(settings.model):
        config = AutoConfig.from_pretrained(
            readable_folder(settings.model), local_files_only=True, trust_remote_code=False
        )
        if weights:
            _require_plain(settings.model, config)
        rows = _rows(settings, tokenizer, config.vocab_size)
        model = _base(settings.model, model_options(settings), None if weights else config)
    if rows != config.vocab_size:
        model.resize_token_embeddings(rows, mean_resizing=False)
    model.config.use_cache = False
    if settings.quantize:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=settings.gradient_checkpointing
        )
    elif settings.gradient_checkpointing:
        model.enable_input_require_grads()
    return _with_adapter(model, settings, weights=weights)


def _require_model(folder: Path) -> None:
    if folder.is_dir() and (folder / "config.json").is_file():
        return
    require_whole_links(folder)
    found = "is not a folder" if folder.exists() else "does not exist"
    what = "has no config.json" if folder.is_dir() else found
    raise TrainingError(f"{folder} {what}; --model takes the folder of a Hugging Face model")


def _require_plain(folder: Path, config: Any) -> None:
    """Check that weights are numbers as they are, or rounded in the one way that can be trained.

    Raises:
        CheckpointError: weights are of eight bits or fewer, and nothing says how they are to be
            read: they would be trained on as they are.
        TrainingError: they are quantized in another way than by bitsandbytes.
    """
    require_index(folder)
    quantization = getattr(config, "quantization_config", None)
    if not quantization:
        with open_checkpoint(folder):
            return
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    if method != "bitsandbytes":
        raise TrainingError(
            f"{folder} is quantized ({method or 'quantization_config'} in its config.json), and "
            "can't be trained on; name the model that it was made from, and --quantize 4bit"
        )


def _base(folder: Path, options: dict[str, Any], without_weights: Any) -> Any:
    """Return the base: its weights, or the shapes of a configuration."""
    import torch
    from transformers import AutoModelForCausalLM

    if without_weights is not None:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(without_weights, dtype=options["dtype"])
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        readable_folder(folder),
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **options,
    )
    model, found = loaded
    if missing := sorted(found["missing_keys"]):
        # transformers would continue with random numbers.
        msg = f"{folder} lacks weights that its config.json names: {missing[0]}; get it again"
        raise TrainingError(msg)
    model.name_or_path = str(folder)  # PEFT writes it into the adapter's configuration
    return model


@contextmanager
def _load_errors(folder: Path) -> Iterator[None]:
    """Explain in one line why a model can't be loaded."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        msg = f"the weights in {folder} are damaged ({first_line(error)}); get them again"
        raise TrainingError(msg) from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError) as error:
        reason = first_line(error)
        if "ignore_mismatched_sizes" in reason:
            reason = "its weights have other shapes than its config.json names"
        raise TrainingError(f"{folder} can't be loaded to be trained ({reason})") from error


def model_options(settings: TrainingSettings) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` for this process.

    Raises:
        TrainingError: the settings ask for what this machine hasn't.
    """
    import torch

    try:
        options = placement(
            only_cpu=settings.use_cpu,
            load_in_8bit=settings.quantize == "8bit",
            load_in_4bit=settings.quantize == "4bit",
            dtype=computing_dtype(settings),
        )
    except GenerateError as error:
        raise TrainingError(str(error)) from error
    if settings.quantize:
        # Each process has the whole model on the GPU of its own.
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    else:
        options.pop("device_map", None)  # the trainer puts it where it belongs
    if settings.fsdp:
        # What is sharded must be of one type, and an adapter of half precision does not learn well;
        # the computation is in half precision all the same.
        options["dtype"] = torch.float32
    if settings.attention:
        options["attn_implementation"] = settings.attention
    return options


def _rows(settings: TrainingSettings, tokenizer: Any, model_rows: int) -> int:
    adapter = open_adapter(settings.adapter).vocab_size if settings.adapter else None
    return rows_needed(
        VocabularySizes(ids_in_use(tokenizer), model_rows, adapter),
        exact=_is_exact(tokenizer),
        modules_to_save=settings.modules_to_save,
        model=settings.model,
        adapter=settings.adapter,
    )


def ids_in_use(tokenizer: Any) -> int:
    """Return how many ids a tokenizer has, without a padding token that came after the others."""
    file = getattr(tokenizer, "vocab_file", None)
    pads = unused_pads(Path(file)) if file and sentencepiece_of(Path(file).parent) else 0
    return len(tokenizer) - pads


def _is_exact(tokenizer: Any) -> bool:
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    return isinstance(tokenizer, ExactLlamaTokenizer)


def _with_adapter(model: Any, settings: TrainingSettings, *, weights: bool) -> Any:
    from peft import PeftModel, get_peft_model

    _require_modules(model, settings)
    # DeepSpeed shards what is all of one type, and steps copies of its own in full precision.
    cast = not settings.deepspeed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's advice on embeddings
        try:
            if settings.adapter and weights:
                made: Any = PeftModel.from_pretrained(
                    model,
                    str(readable_folder(settings.adapter)),
                    is_trainable=True,
                    autocast_adapter_dtype=cast,
                )
            else:
                config = _lora_config(settings)
                made = get_peft_model(model, config, autocast_adapter_dtype=cast)
        except (ValueError, RuntimeError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            what = f"{settings.adapter} does not fit" if settings.adapter else "LoRA does not fit"
            raise TrainingError(f"{what} {settings.model} ({reason})") from error
    if cast and not settings.fsdp:
        for _, parameter in trained(made):
            # Steps of a small learning rate vanish in half precision.
            parameter.data = parameter.data.float()
    return made


def _require_modules(model: Any, settings: TrainingSettings) -> None:
    """Check that a base has what a new adapter acts on; PEFT passes over other names."""
    modules = {f".{name}": module for name, module in model.named_modules()}
    for wanted in [*(settings.target_modules or []), *(settings.modules_to_save or [])]:
        if wanted != ALL_LINEAR and not any(name.endswith(f".{wanted}") for name in modules):
            known = {
                name.rpartition(".")[2]
                for name, module in modules.items()
                if list(module.parameters(recurse=False))
            }
            raise TrainingError(
                f"LoRA does not fit {settings.model}: it has no module {wanted}; it has "
                f"{', '.join(sorted(known))}"
            )
    layers = model.config.num_hidden_layers
    for layer in settings.layers_to_transform or []:
        if not 0 <= layer < layers:
            msg = f"{settings.model} has no layer {layer}; its layers are 0 to {layers - 1}"
            raise TrainingError(msg)


def _lora_config(settings: TrainingSettings) -> Any:
    from peft import LoraConfig

    if settings.adapter:
        return LoraConfig.from_pretrained(
            str(readable_folder(settings.adapter)), inference_mode=False
        )
    targets = list(settings.target_modules or [])
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_rank or 0,
        lora_alpha=settings.lora_alpha or 0,  # type: ignore[arg-type, unused-ignore]
        lora_dropout=settings.lora_dropout or 0.0,
        target_modules=ALL_LINEAR if ALL_LINEAR in targets else targets,
        modules_to_save=settings.modules_to_save,
        layers_to_transform=settings.layers_to_transform,
    )


def trained(model: Any) -> "Iterator[tuple[str, torch.nn.Parameter]]":
    """Yield what is trained of a `PeftModel`, each by the name that PEFT saves it under."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            for part in ("_checkpoint_wrapped_module.", ".modules_to_save.default", ".default"):
                name = name.replace(part, "")  # noqa: PLW2901
            yield name, parameter


def require_complete(folder: Path, shapes: "dict[str, torch.Size]") -> None:
    """Check that a saved adapter has every tensor that was trained, complete.

    Raises:
        TrainingError: one is missing or only a part: sharded training that saves badly writes
            adapters of a few hundred bytes.
    """
    tensors = open_adapter(folder).checkpoint.tensors
    for name, shape in shapes.items():
        found = tensors[name].shape if name in tensors else None
        if found != tuple(shape):
            raise TrainingError(
                f"the adapter in {folder} is incomplete: {name} is {found}, and {tuple(shape)} was "
                "trained; the last checkpoint has the state of the run"
            )


def save_tokenizer_beside(tokenizer: Any, folder: Path) -> None:
    """Write the tokenizer into an adapter's folder, as a merge expects it."""
    if _is_exact(tokenizer):
        save_tokenizer(tokenizer, folder)
    else:
        tokenizer.save_pretrained(folder)
