"""Options that several commands share; None means: as in settings."""

from typing import Annotated

import typer

SOME_FAILED = 3
"""Exit code where some files could not be read and others were."""

_MODEL = "Model"
_RETRIEVAL = "Retrieval"

Index = Annotated[
    str | None, typer.Option("--index", metavar="NAME|DIR", help="Which index; see `status`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the text when it is whole.")]
Timings = Annotated[bool, typer.Option("--timings", help="Print on stderr where the time went.")]
Encoding = Annotated[
    str | None, typer.Option(help="Text encoding, such as gb18030; detected by default.")
]
Ocr = Annotated[
    str | None,
    typer.Option(
        "--ocr",
        metavar="auto|always|never",
        help="Read pictures: where there is no text, all pages of a PDF, or none (extra `ocr`).",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Leave out files or folders by name, or by place where it has a /; can be repeated.",
    ),
]
Embedding = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR|URL", help="Embedding model.", rich_help_panel=_RETRIEVAL),
]
Retriever = Annotated[
    str | None,
    typer.Option(metavar="hybrid|dense|lexical", help="Retriever.", rich_help_panel=_RETRIEVAL),
]
K = Annotated[
    int | None, typer.Option("--k", "-k", help="Passages to retrieve.", rich_help_panel=_RETRIEVAL)
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Probability of relevance below which nothing was found; 0 always asks the model.",
        rich_help_panel=_RETRIEVAL,
    ),
]
Prompts = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Prompts in place of ours: files such as answer.zh.txt."),
]
Llm = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="NAME|FILE|DIR|URL|PROVIDER:MODEL",
        help="Language model: a name `model-prep models` lists, a .gguf file, a Hugging Face "
        "folder, an OpenAI-compatible URL, or a model of a LangChain provider package.",
        rich_help_panel=_MODEL,
    ),
]
LlmName = Annotated[
    str | None,
    typer.Option("--llm-name", help="Model name at the URL.", rich_help_panel=_MODEL),
]
Temperature = Annotated[
    float | None, typer.Option(help="0 is deterministic.", rich_help_panel=_MODEL)
]
TopP = Annotated[float | None, typer.Option("--top-p", rich_help_panel=_MODEL)]
TopK = Annotated[int | None, typer.Option("--top-k", rich_help_panel=_MODEL)]
RepetitionPenalty = Annotated[
    float | None, typer.Option("--repetition-penalty", rich_help_panel=_MODEL)
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option("--max-new-tokens", help="Longest reply, in tokens.", rich_help_panel=_MODEL),
]
Seed = Annotated[int | None, typer.Option(rich_help_panel=_MODEL)]
Threads = Annotated[int | None, typer.Option(help="CPU threads.", rich_help_panel=_MODEL)]
Gpus = Annotated[
    str | None, typer.Option(metavar="0,1", help="GPUs to use.", rich_help_panel=_MODEL)
]
Quantize = Annotated[
    str | None,
    typer.Option(metavar="8bit|4bit", help="On a GPU, for folders.", rich_help_panel=_MODEL),
]
