"""``model-prep generate`` (``infer``): ask a model."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from model_prep.cli import options
from model_prep.cli.terminal import count_bar, read_line, say
from model_prep.inference.sampling import BATCH_SIZE, CONTEXT_LENGTH, Sampling

_DEFAULT = Sampling()
_SAMPLES = ("为什么要减少污染，保护环境？", "你有什么建议？")


def generate(
    context: typer.Context,
    base_model: Annotated[
        str, Option(help="A folder, a GGUF file, a pulled model, or a name in the hub.")
    ],
    prompts: Annotated[list[str] | None, typer.Argument(help="What to ask.")] = None,
    lora_model: Annotated[
        list[str] | None,
        Option(metavar="A[,B…]", help="LoRAs, applied in this order; can be repeated."),
    ] = None,
    tokenizer_path: Annotated[
        Path | None, Option(help="By default the last LoRA's, or the base's.")
    ] = None,
    with_prompt: Annotated[
        bool, Option("--with-prompt", help="Put each into the model's chat template.")
    ] = False,
    interactive: Annotated[bool, Option("--interactive", help="Answer what is typed.")] = False,
    history: Annotated[
        bool, Option("--history", help="Show the model what was said before.")
    ] = False,
    data_file: Annotated[Path | None, Option(help="A prompt on each line, or JSON.")] = None,
    predictions_file: Annotated[Path | None, Option(help="JSON; goes on where it ended.")] = None,
    gpus: Annotated[str | None, Option(help="Such as 0,1.")] = None,
    only_cpu: Annotated[bool, Option("--only-cpu", help="Use no GPU.")] = False,
    load_in_8bit: Annotated[
        bool, Option("--load-in-8bit", help="Quantize to 8 bits, on a GPU.")
    ] = False,
    load_in_4bit: Annotated[
        bool, Option("--load-in-4bit", help="Quantize to 4 bits, on a GPU.")
    ] = False,
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"], Option(help="Type of the weights.")
    ] = "auto",
    context_length: Annotated[int, Option(min=1, help="Tokens, for a GGUF file.")] = (
        CONTEXT_LENGTH
    ),
    alpha: Annotated[
        float,
        Option(min=1, max=1000, help="Stretch the context of a folder's model by this (NTK)."),
    ] = 1.0,
    batch_size: Annotated[int, Option(min=1, help="Prompts run together.")] = BATCH_SIZE,
    temperature: Annotated[
        float, Option(min=0, max=100, help="Of sampling; 0: the likeliest token.")
    ] = (_DEFAULT.temperature),
    top_k: Annotated[int, Option(min=1, help="Sample from this many tokens.")] = _DEFAULT.top_k,
    top_p: Annotated[
        float, Option(min=0.01, max=1, help="Sample from tokens of this probability.")
    ] = _DEFAULT.top_p,
    repetition_penalty: Annotated[
        float, Option(min=0.01, max=100, help="Above 1, tokens come again less often.")
    ] = _DEFAULT.repetition_penalty,
    max_new_tokens: Annotated[int, Option(min=1, help="Longest reply, in tokens.")] = (
        _DEFAULT.max_new_tokens
    ),
    seed: Annotated[int, Option(min=0, help="The same one gives the same answer.")] = _DEFAULT.seed,
    as_json: options.Json = False,
) -> None:
    """Ask a model: prompts, a file of them, or a conversation."""
    from model_prep.inference import generate as inference
    from model_prep.inference.predictions import PredictionsFile, read_prompts
    from model_prep.lora.merge import split_folders

    if context.info_name == "infer" and not (interactive or prompts or data_file):
        prompts = list(_SAMPLES)  # as the family's script did
    if interactive + bool(prompts) + bool(data_file) != 1:
        raise typer.BadParameter("give one of PROMPTS, --data-file and --interactive")
    if history and not (interactive and with_prompt):
        raise typer.BadParameter("--history is for --interactive and --with-prompt")
    questions = read_prompts(data_file) if data_file else list(prompts or [])
    loras = split_folders(*lora_model or [])
    name = "+".join([base_model, *map(str, loras)])
    if predictions_file:
        PredictionsFile(predictions_file, questions, name)  # what is wrong is seen at once
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty, max_new_tokens, seed)
    model = inference.load_model(
        base_model, lora_models=loras, tokenizer_path=tokenizer_path, gpus=gpus,
        only_cpu=only_cpu, load_in_8bit=load_in_8bit, load_in_4bit=load_in_4bit, dtype=dtype,
        context_length=context_length, alpha=alpha,
    )  # fmt: skip
    if interactive:
        write = partial(typer.echo, nl=False)
        inference.converse(model, read_line, write, with_prompt, history, sampling)
        return
    with count_bar() as progress:
        done = inference.generate(
            model, questions, name=name,
            with_prompt=with_prompt, sampling=sampling, batch_size=batch_size,
            predictions_file=predictions_file, progress=progress,
        )  # fmt: skip
    if as_json:
        options.print_json([asdict(prediction) for prediction in done])
    elif predictions_file:
        say(f"{len(done):,} answers are in {predictions_file}")
    else:
        typer.echo("\n\n".join(prediction.output for prediction in done))
