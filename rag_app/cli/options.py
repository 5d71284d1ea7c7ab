"""Options that several commands share; None means: as in settings."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

OLD_NAMES = {
    "embedding": ("--embedding_path",),
    "llm": ("--model_path", "--base_model"),
    "lora": ("--lora_model",),
    "tokenizer": ("--tokenizer_path",),
    "chain": ("--chain_type",),
}
"""What the scripts of Chinese-LLaMA-Alpaca call options (``langchain_qa.py`` and ``_sum.py``,
``openai_api_server.py``); ``--file_path`` and ``--gpus`` are called so here too."""
SOME_FAILED = 3
"""Exit code where some files could not be read and others were."""

_RETRIEVAL = "Retrieval"


def _path(path: str) -> str:
    if not path.strip():
        raise typer.BadParameter("the path is empty; name a file, a folder or a glob")
    return path


Index = Annotated[
    str | None, typer.Option("--index", metavar="NAME|DIR", help="Which index (default `default`).")
]
Store = Annotated[
    str | None,
    typer.Option("--store", metavar="local|milvus:URI", help="Where the index is (default local)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the text when it is complete.")]
Timings = Annotated[bool, typer.Option("--timings", help="Print on stderr where the time went.")]
Encoding = Annotated[
    str | None, typer.Option(help="Text encoding, such as gb18030; detected by default.")
]
Ocr = Annotated[
    str | None,
    typer.Option(
        "--ocr",
        metavar="auto|always|never",
        help="Read pictures: where there is no text (default auto), on all pages of a PDF, or "
        "never (extra `ocr`).",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Leave out files or folders by name, or by path where it has a /; can be repeated.",
    ),
]
Embedding = Annotated[
    str | None,
    typer.Option(
        "--embedding",
        *OLD_NAMES["embedding"],
        metavar="NAME|DIR|URL",
        help="Embedding model (default multilingual-e5-small).",
        rich_help_panel=_RETRIEVAL,
    ),
]
FilePath = Annotated[
    str | None,
    typer.Option(
        "--file_path", metavar="FILE", help="The only file to use, as older scripts pass it."
    ),
]
Within = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="PATH|GLOB",
        help="Ask only these documents: a file, a folder or a glob.",
        parser=_path,
        rich_help_panel=_RETRIEVAL,
    ),
]
Retriever = Annotated[
    str | None,
    typer.Option(
        metavar="hybrid|dense|lexical",
        help="Search by vectors and words, or by one of them (default hybrid).",
        rich_help_panel=_RETRIEVAL,
    ),
]
Reranker = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|DIR",
        help="Cross-encoder that puts the passages found in order.",
        rich_help_panel=_RETRIEVAL,
    ),
]
K = Annotated[
    int | None,
    typer.Option("--k", "-k", help="Passages to retrieve (default 4).", rich_help_panel=_RETRIEVAL),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Probability of relevance below which nothing was found (default 0.5); 0 always asks "
        "the model.",
        rich_help_panel=_RETRIEVAL,
    ),
]
Prompts = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Prompts in place of the built-in ones: files such as answer.zh.txt."
    ),
]
KeepAlive = Annotated[
    float | None,
    typer.Option(
        metavar="MINUTES",
        help="How long the engine stays in memory for the next command (default 10; 0: never).",
    ),
]
CacheSize = Annotated[
    float | None,
    typer.Option(
        metavar="GB", help="Passages that the model has read, kept on disk (default 2; 0: none)."
    ),
]


Context = Annotated[
    str | None,
    typer.Option(
        metavar="evidence|full",
        help="Read the sentences that bear on the question first, or whole passages (default "
        "evidence).",
    ),
]


def chain_option(metavar: str) -> Any:
    """Return the option of how documents are read, one of ``metavar``."""
    return typer.Option(
        "--chain",
        *OLD_NAMES["chain"],
        metavar=metavar,
        help="How the model reads the passages: step by step, all at once"
        + (", or each by itself first" if "map" in metavar else "")
        + " (default refine).",
    )


def _model_option(
    kind: Any, text: str | None = None, metavar: str | None = None, *names: str
) -> Any:
    option = typer.Option(*names, help=text, metavar=metavar, rich_help_panel="Model")
    return Annotated[kind | None, option]


_MODEL_OPTIONS = {
    "llm": _model_option(
        str,
        "Language model: a name `model-prep models` lists, a .gguf file, a Hugging Face folder, an "
        "OpenAI-compatible URL or several, or a model of a LangChain provider package (default "
        "qwen2.5-coder-1.5b-instruct).",
        "NAME|FILE|DIR|URL[,URL…]|PROVIDER:MODEL",
        "--llm",
        *OLD_NAMES["llm"],
    ),
    "lora": _model_option(
        list[str],
        "LoRAs for a folder, in order; can be repeated.",
        "DIR[,DIR…]",
        "--lora",
        *OLD_NAMES["lora"],
    ),
    "tokenizer": _model_option(
        str,
        "Tokenizer for a model folder, if not its own.",
        "DIR|FILE",
        "--tokenizer",
        *OLD_NAMES["tokenizer"],
    ),
    "llm_name": _model_option(str, "Model name at the URL."),
    "temperature": _model_option(float, "Of sampling (default 0: the likeliest token)."),
    "top_p": _model_option(
        float, "Sample from the likeliest tokens of this probability (default 0.9)."
    ),
    "top_k": _model_option(int, "Sample from this many of the likeliest tokens (default 40)."),
    "repetition_penalty": _model_option(
        float, "Above 1, tokens come again less often (default 1)."
    ),
    "max_new_tokens": _model_option(int, "Longest reply, in tokens (default 400)."),
    "seed": _model_option(int, "With a temperature, the same seed gives the same answer."),
    "threads": _model_option(int, "CPU threads; by default the cores that are not busy."),
    "gpus": _model_option(str, "GPUs to use; by default the first.", "0,1"),
    "quantize": _model_option(str, "Quantize a model folder on a GPU.", "8bit|4bit"),
}
"""By their names in settings."""


def with_model(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options of the language model to a command, which takes them as ``**model``.

    Args:
        *names: Of settings; by default all that decide about the model and its sampling.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_MODEL_OPTIONS[name]
            )
            for name in names or _MODEL_OPTIONS
        ]
        # Typer reads a command's options from its signature.
        command.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        return command

    return add
