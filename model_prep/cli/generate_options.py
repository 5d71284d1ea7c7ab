"""The options of ``model-prep generate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Opt = typer.Option

Base = Annotated[
    str, Opt("--base-model", "--base_model", help="A folder, a GGUF file, or a pulled model.")
]
Prompts = Annotated[list[str] | None, typer.Argument(help="What to ask.")]
Lora = Annotated[
    str | None,
    Opt("--lora-model", "--lora_model", metavar="A[,B…]", help="Applied in this order."),
]
Tokenizer = Annotated[
    Path | None, Opt("--tokenizer-path", "--tokenizer_path", help="Of the last LoRA, or the base.")
]
WithPrompt = Annotated[
    bool, Opt("--with-prompt", "--with_prompt", help="Put each into the model's chat template.")
]
Interactive = Annotated[bool, Opt("--interactive", help="Answer what is typed.")]
History = Annotated[bool, Opt("--history", help="Show the model what was said before.")]
DataFile = Annotated[
    Path | None, Opt("--data-file", "--data_file", help="A prompt on each line, or JSONL.")
]
PredictionsFile = Annotated[
    Path | None,
    Opt("--predictions-file", "--predictions_file", help="JSON; goes on where it ended."),
]
Gpus = Annotated[str | None, Opt("--gpus", help="Such as 0,1.")]
OnlyCpu = Annotated[bool, Opt("--only-cpu", "--only_cpu", help="Use no GPU.")]
In8bit = Annotated[bool, Opt("--load-in-8bit", "--load_in_8bit", help="On a GPU.")]
In4bit = Annotated[bool, Opt("--load-in-4bit", "--load_in_4bit", help="On a GPU.")]
Dtype = Annotated[
    Literal["auto", "float32", "float16", "bfloat16"], Opt("--dtype", help="Of the weights.")
]
Context = Annotated[
    int, Opt("--context-length", "--context_length", min=1, help="Tokens, for a GGUF file.")
]
Batch = Annotated[int, Opt("--batch-size", "--batch_size", min=1, help="Asked together.")]
Temperature = Annotated[float, Opt("--temperature", min=0, help="0: the likeliest token.")]
TopK = Annotated[int, Opt("--top-k", "--top_k", min=1)]
TopP = Annotated[float, Opt("--top-p", "--top_p", min=0.01, max=1)]
Penalty = Annotated[float, Opt("--repetition-penalty", "--repetition_penalty", min=0.01)]
NewTokens = Annotated[
    int, Opt("--max-new-tokens", "--max_new_tokens", min=1, help="The prompt not counted.")
]
Seed = Annotated[int, Opt("--seed", min=0)]
Json = Annotated[bool, Opt("--json", help="Print JSON on stdout.")]
