"""Options that several commands share; those of settings are as there where they are not given."""

import inspect
from collections.abc import Callable
from pathlib import Path
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

_RETRIEVAL, _MODEL = "Retrieval", "Model"

Index = Annotated[
    str | None, typer.Option("--index", metavar="NAME|DIR", help="Which index (default `default`).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the text when it is complete.")]
Timings = Annotated[bool, typer.Option("--timings", help="Print on stderr where the time went.")]
Encoding = Annotated[
    str | None, typer.Option(help="Text encoding, such as gb18030; detected by default.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Leave out files or folders by name, or by path where it has a /; can be repeated.",
    ),
]
FilePath = Annotated[
    str | None,
    typer.Option(
        "--file_path", metavar="FILE", help="The only file to use, as older scripts pass it."
    ),
]


def setting(
    kind: Any,
    text: str | None = None,
    metavar: str | None = None,
    *names: str,
    panel: str | None = None,
    parser: Callable[[str], str] | None = None,
) -> Any:
    """Return the option of a setting.

    Args:
        kind: The type of its value.
        text: Its help.
        metavar: What stands for the value there.
        *names: With their dashes; by default the setting's.
        panel: Where it stands in the help.
        parser: Makes the value of what was given.
    """
    option = typer.Option(*names, help=text, metavar=metavar, rich_help_panel=panel, parser=parser)
    return Annotated[kind | None, option]


def chain(metavar: str) -> Any:
    """Return the option of how documents are read, one of ``metavar``."""
    third = ", or each by itself first" if "map" in metavar else ""
    text = f"How the model reads the passages: step by step, all at once{third} (default refine)."
    return setting(str, text, metavar, "--chain", *OLD_NAMES["chain"])


def _path(path: str) -> str:
    if not path.strip():
        raise typer.BadParameter("the path is empty; name a file, a folder or a glob")
    return path


_MODELS = {
    "llm": setting(
        str,
        "Language model: a name `model-prep models` lists, a .gguf file, a Hugging Face folder, an "
        "OpenAI-compatible URL or several, or a model of a LangChain provider package (default "
        "qwen2.5-coder-1.5b-instruct).",
        "NAME|FILE|DIR|URL[,URL…]|PROVIDER:MODEL",
        "--llm",
        *OLD_NAMES["llm"],
        panel=_MODEL,
    ),
    "lora": setting(
        list[str],
        "LoRAs for a folder, in order; can be repeated.",
        "DIR[,DIR…]",
        "--lora",
        *OLD_NAMES["lora"],
        panel=_MODEL,
    ),
    "tokenizer": setting(
        str,
        "Tokenizer for a model folder, if not its own.",
        "DIR|FILE",
        "--tokenizer",
        *OLD_NAMES["tokenizer"],
        panel=_MODEL,
    ),
    "llm_name": setting(str, "Model name at the URL.", panel=_MODEL),
    "temperature": setting(float, "Of sampling (default 0: the likeliest token).", panel=_MODEL),
    "top_p": setting(
        float, "Sample from the likeliest tokens of this probability (default 0.9).", panel=_MODEL
    ),
    "top_k": setting(
        int, "Sample from this many of the likeliest tokens (default 40).", panel=_MODEL
    ),
    "repetition_penalty": setting(
        float, "Above 1, tokens come again less often (default 1).", panel=_MODEL
    ),
    "max_new_tokens": setting(int, "Longest reply, in tokens (default 400).", panel=_MODEL),
    "seed": setting(int, "With a temperature, the same seed gives the same answer.", panel=_MODEL),
    "threads": setting(int, "CPU threads; by default the cores that are not busy.", panel=_MODEL),
    "gpus": setting(str, "GPUs to use; by default the first.", "0,1", panel=_MODEL),
    "quantize": setting(str, "Quantize a model folder on a GPU.", "8bit|4bit", panel=_MODEL),
}
MODEL = tuple(_MODELS)
"""All that decides about the language model and its sampling."""

_SETTINGS = _MODELS | {
    "index": Index,
    "store": setting(str, "Where the index is (default local).", "local|milvus:URI"),
    "ocr": setting(
        str,
        "Read pictures: where there is no text (default auto), on all pages of a PDF, or never "
        "(extra `ocr`).",
        "auto|always|never",
    ),
    "prompts": setting(
        str, "Prompts in place of the built-in ones: files such as answer.zh.txt.", "DIR"
    ),
    "keep_alive": setting(
        float,
        "How long the engine stays in memory for the next command (default 10; 0: never).",
        "MINUTES",
    ),
    "cache_size": setting(
        float, "Passages that the model has read, kept on disk (default 2; 0: none).", "GB"
    ),
    "context": setting(
        str,
        "Read the sentences that bear on the question first, or whole passages (default evidence).",
        "evidence|full",
    ),
    "embedding": setting(
        str,
        "Embedding model (default multilingual-e5-small).",
        "NAME|DIR|URL",
        "--embedding",
        *OLD_NAMES["embedding"],
        panel=_RETRIEVAL,
    ),
    "within": setting(
        list[str],
        "Ask only these documents: a file, a folder or a glob.",
        "PATH|GLOB",
        "--in",
        panel=_RETRIEVAL,
        parser=_path,
    ),
    "retriever": setting(
        str,
        "Search by vectors and words, or by one of them (default hybrid).",
        "hybrid|dense|lexical",
        panel=_RETRIEVAL,
    ),
    "reranker": setting(
        str, "Cross-encoder that puts the passages found in order.", "NAME|DIR", panel=_RETRIEVAL
    ),
    "k": setting(int, "Passages to retrieve (default 4).", None, "--k", "-k", panel=_RETRIEVAL),
    "threshold": setting(
        float,
        "Probability of relevance below which nothing was found (default 0.5); 0 always asks the "
        "model.",
        panel=_RETRIEVAL,
    ),
    "api_key_file": setting(
        Path,
        "Keys, one in each line, which may have names and scopes; see rag_app/server/README.md.",
        "FILE",
    ),
}


def with_settings(*names: str, **own: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options that are settings to a command, which takes them as ``**given``.

    Args:
        *names: Settings whose options several commands have.
        **own: Other settings, with their options; see `setting`.
    """
    options = {name: _SETTINGS[name] for name in names} | own
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]

    def add(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        # Typer reads a command's options from its signature.
        command.__signature__ = signature.replace(parameters=[*added, *own])  # type: ignore[attr-defined]
        return command

    return add
