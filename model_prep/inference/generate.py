"""Generation of text by any prepared model: folders with or without LoRAs, and GGUF files."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from model_prep.catalog.pull import find_pulled
from model_prep.checkpoint.tensors import Dtype
from model_prep.errors import GenerateError, first_line, permitted
from model_prep.inference.placement import placement
from model_prep.inference.predictions import Prediction, PredictionsFile
from model_prep.inference.sampling import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    Messages,
    Prompt,
    Sampling,
    TextModel,
)

_NOT_USED = ["*.gguf", "*.onnx", "*.msgpack", "*.h5", "original/*", "consolidated.*"]
"""Files of a repository in the hub that are not needed."""


@permitted(GenerateError)
def load_model(
    base_model: str | Path,
    *,
    lora_models: Sequence[str | Path] | None = None,
    tokenizer_path: str | Path | None = None,
    gpus: str | None = None,
    only_cpu: bool = False,
    load_in_8bit: bool = False,
    load_in_4bit: bool = False,
    dtype: Dtype = "auto",
    context_length: int = CONTEXT_LENGTH,
    alpha: float = 1.0,
) -> TextModel:
    """Load a language model.

    Args:
        base_model: A folder, a GGUF file, the catalog's name of a pulled model, or a name in the
            hub, which is fetched where it is not in its cache.
        lora_models: Adapters for a folder, in order; they are applied, not merged. A path that
            does not exist may be a name in the hub.
        tokenizer_path: By default that of the last adapter that has one, or the base's.
        gpus: See `placement`, as for what follows.
        only_cpu: Use no GPU.
        load_in_8bit: Quantize while loading, on a GPU.
        load_in_4bit: The same, to four bits.
        dtype: The dtype of the weights of a folder.
        context_length: Tokens, for a GGUF file.
        alpha: Stretches the context of a folder's model, by changing the base of its angles (NTK).

    Raises:
        GenerateError: the options contradict each other or the model, or it can't be loaded.
        PullError: the catalog has the model, and it has not been pulled.
        MergeError: the adapters do not fit the base, or not in this order.
        CheckpointError: weights are missing or damaged.
        TokenizerError: there is no tokenizer.
    """
    path = _model_path(base_model)
    if path.suffix.lower() == ".gguf":
        folders_only = {
            "--lora-model": lora_models, "--tokenizer-path": tokenizer_path,
            "--load-in-8bit": load_in_8bit, "--load-in-4bit": load_in_4bit, "--gpus": gpus,
            "--dtype": dtype != "auto", "--alpha": alpha != 1,
        }  # fmt: skip
        if given := [name for name, value in folders_only.items() if value]:
            raise GenerateError(
                f"{given[0]} is for a Hugging Face folder, and {path} is a GGUF file; leave it out"
            )
        from model_prep.inference.llamacpp_model import GgufModel

        return GgufModel(path, context_length, only_cpu=only_cpu)
    options = placement(
        gpus=gpus,
        only_cpu=only_cpu,
        load_in_8bit=load_in_8bit,
        load_in_4bit=load_in_4bit,
        dtype=dtype,
    )
    from model_prep.inference.transformers_model import HuggingFaceModel

    loras = [hub_folder(Path(folder)) for folder in lora_models or []]
    tokenizer = Path(tokenizer_path) if tokenizer_path else None
    return HuggingFaceModel(path, loras, tokenizer, options, alpha=alpha)


def _model_path(base_model: str | Path) -> Path:
    path = find_pulled(str(base_model)) or hub_folder(Path(base_model).expanduser())
    if path.is_dir() or path.suffix.lower() == ".gguf":
        return path
    what = "is neither a folder nor a .gguf file" if path.exists() else "does not exist"
    raise GenerateError(f"{path} {what}; --base-model takes a Hugging Face folder or a GGUF file")


def hub_folder(path: Path) -> Path:
    """Return a path that exists, or the folder in the hub's cache of what is named ``OWNER/NAME``.

    Raises:
        GenerateError: the hub does not answer, or has no such name.
    """
    name = path.as_posix()
    if path.exists() or path.parent.exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        return path
    from huggingface_hub import snapshot_download

    for cached in (True, False):
        try:
            return Path(snapshot_download(name, local_files_only=cached, ignore_patterns=_NOT_USED))
        except Exception as error:  # whatever a network makes the client raise
            reason = first_line(error)
    msg = f"{name} is not a folder here, and can't be had from the hub ({reason}); check the name"
    raise GenerateError(msg)


def generate(
    model: TextModel,
    prompts: list[str],
    *,
    name: str = "",
    with_prompt: bool = False,
    sampling: Sampling | None = None,
    batch_size: int = BATCH_SIZE,
    predictions_file: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction]:
    """Ask a model each prompt, some at a time.

    Args:
        model: What `load_model` returns.
        prompts: Texts to be continued, or instructions.
        name: The name of the model, for the records.
        with_prompt: Put each into the model's chat template, or into Alpaca's where it has none.
        sampling: How tokens are chosen.
        batch_size: Prompts answered together.
        predictions_file: Written as answers come; what it holds already is not asked again.
        progress: Called with prompts answered and in all.

    Returns:
        A record for each prompt, in order.

    Raises:
        GenerateError: a prompt is too long, or the predictions file belongs to another run.

    Example:
        >>> model = load_model("llama-hf", only_cpu=True)
        >>> greedy = Sampling(temperature=0, max_new_tokens=4)
        >>> [prediction] = generate(model, ["介绍一下北京。"], sampling=greedy)
        >>> prediction.input, type(prediction.output).__name__
        ('介绍一下北京。', 'str')
    """
    sampling = sampling or Sampling()
    file = PredictionsFile(Path(predictions_file), prompts, name) if predictions_file else None
    done = list(file.done) if file else []
    while len(done) < len(prompts):
        first = len(done)
        batch = prompts[first : first + batch_size]
        # Seeded by its place, so that a resumed file holds what one run would have written.
        seeded = replace(sampling, seed=sampling.seed + first)
        outputs = model.complete(
            [as_prompt(text, with_prompt=with_prompt) for text in batch], seeded
        )
        if file:
            file.append(outputs)
        done += [
            Prediction(index, name, text, output)
            for index, (text, output) in enumerate(zip(batch, outputs, strict=True), first)
        ]
        if progress:
            progress(len(done), len(prompts))
    return done


def as_prompt(text: str, *, with_prompt: bool) -> Prompt:
    """Return a text to be continued, or with ``with_prompt`` an instruction to be answered.

    Raises:
        GenerateError: it holds half of a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = f"the prompt {text[:40]!a} is not valid text; write it in UTF-8"
        raise GenerateError(msg) from None
    return [{"role": "user", "content": text}] if with_prompt else text


def converse(
    model: TextModel,
    read: Callable[[], str],
    write: Callable[[str], None],
    with_prompt: bool = False,
    history: bool = False,
    sampling: Sampling | None = None,
) -> None:
    """Answer what is typed until nothing is.

    Args:
        model: What `load_model` returns.
        read: Returns the next input; empty at the end.
        write: Called with the answer as it comes, and with a line break after it.
        with_prompt: As for `generate`.
        history: Show the model what was said before; needs ``with_prompt``.
        sampling: How tokens are chosen.

    Raises:
        GenerateError: ``history`` without ``with_prompt``, or an input is too long.
    """
    if history and not with_prompt:
        raise GenerateError("--history needs --with-prompt, which separates the turns of a chat")
    messages: Messages = []
    while text := read():
        prompt = as_prompt(text, with_prompt=with_prompt)
        if not isinstance(prompt, str):
            prompt = messages = [*(messages if history else []), *prompt]
        try:
            (answer,) = model.complete([prompt], sampling or Sampling(), write)
        except KeyboardInterrupt:
            write("\n")  # the answer is cut short, the conversation goes on
            messages = messages[:-1]
            continue
        write("\n")
        messages = [*messages, {"role": "assistant", "content": answer}]
