"""``model-prep generate`` (``infer``): ask a model."""

import json
from dataclasses import asdict
from functools import partial

import typer

from model_prep.cli import generate_options as options
from model_prep.cli.progress import count_bar
from model_prep.cli.reading import read_line
from model_prep.inference.sampling import BATCH_SIZE, CONTEXT_LENGTH, Sampling

_DEFAULT = Sampling()


def generate(
    base: options.Base,
    prompts: options.Prompts = None,
    lora: options.Lora = None,
    tokenizer: options.Tokenizer = None,
    with_prompt: options.WithPrompt = False,
    interactive: options.Interactive = False,
    history: options.History = False,
    data: options.DataFile = None,
    predictions: options.PredictionsFile = None,
    gpus: options.Gpus = None,
    only_cpu: options.OnlyCpu = False,
    in_8bit: options.In8bit = False,
    in_4bit: options.In4bit = False,
    dtype: options.Dtype = "auto",
    context: options.Context = CONTEXT_LENGTH,
    batch: options.Batch = BATCH_SIZE,
    temperature: options.Temperature = _DEFAULT.temperature,
    top_k: options.TopK = _DEFAULT.top_k,
    top_p: options.TopP = _DEFAULT.top_p,
    penalty: options.Penalty = _DEFAULT.repetition_penalty,
    new_tokens: options.NewTokens = _DEFAULT.max_new_tokens,
    seed: options.Seed = _DEFAULT.seed,
    as_json: options.Json = False,
) -> None:
    """Ask a model: prompts, a file of them, or in conversation."""
    from model_prep.inference import generate as worker
    from model_prep.inference.predictions import read_prompts
    from model_prep.lora.merge import split_folders

    if interactive + bool(prompts) + bool(data) != 1:
        raise typer.BadParameter("give one of PROMPTS, --data-file and --interactive")
    if history and not (interactive and with_prompt):
        raise typer.BadParameter("--history is for --interactive and --with-prompt")
    asked = read_prompts(data) if data else list(prompts or [])
    loras = split_folders(lora) if lora else []
    sampling = Sampling(temperature, top_k, top_p, penalty, new_tokens, seed)
    model = worker.load_model(
        base, lora_models=loras, tokenizer_path=tokenizer, gpus=gpus, only_cpu=only_cpu,
        load_in_8bit=in_8bit, load_in_4bit=in_4bit, dtype=dtype, context_length=context,
    )  # fmt: skip
    if interactive:
        write = partial(typer.echo, nl=False)
        worker.converse(model, read_line, write, with_prompt, history, sampling)
        return
    with count_bar() as progress:
        done = worker.generate(
            model, asked, name="+".join([base, *map(str, loras)]), with_prompt=with_prompt,
            sampling=sampling, batch_size=batch, predictions_file=predictions, progress=progress,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in done], ensure_ascii=False))
    elif predictions:
        typer.echo(f"{len(done):,} answers are in {predictions}", err=True)
    else:
        typer.echo("\n\n".join(one.output for one in done))
