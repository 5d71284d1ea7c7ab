"""Which backend runs a model: what ``--llm`` says decides."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from model_prep.catalog.models import CATALOG, find
from model_prep.catalog.pull import is_pulled, model_path
from rag_app.errors import ModelError
from rag_app.settings import Settings

Loader = Callable[[str, Settings], BaseChatModel]


def _llamacpp(spec: str, settings: Settings) -> BaseChatModel:
    from rag_app.models.llms.llamacpp import load

    return load(Path(spec), settings)


def _huggingface(spec: str, settings: Settings) -> BaseChatModel:
    from rag_app.models.llms.huggingface import load

    return load(spec, settings)


def _openai(spec: str, settings: Settings) -> BaseChatModel:
    from rag_app.models.llms.openai import load

    return load(spec, settings)


BACKENDS: dict[str, Loader] = {
    "llamacpp": _llamacpp,
    "huggingface": _huggingface,
    "openai": _openai,
}


def resolve(spec: str) -> tuple[str, str]:
    """Return the backend for ``spec`` and the path, hub name or URL that it loads.

    Args:
        spec: A catalog name, a ``.gguf`` file, a Hugging Face folder or hub name, or a URL.

    Raises:
        ModelError: there is no such model here.
    """
    if spec.startswith(("http://", "https://")):
        return "openai", spec
    if entry := find(spec):
        if entry.role != "llm":
            msg = f"{spec} is an embedding model; --llm takes a language model"
            raise ModelError(msg)
        if not is_pulled(spec):
            msg = f"language model {spec} is not here yet; run: model-prep pull {spec}"
            raise ModelError(msg)
        path = model_path(spec)
        return ("llamacpp" if path.suffix == ".gguf" else "huggingface"), str(path)
    path = Path(spec).expanduser()
    if path.suffix.lower() == ".gguf":
        return "llamacpp", str(path)
    if path.is_dir():
        return "huggingface", str(path)
    if path.is_file():
        msg = f"{spec} is neither a .gguf file nor a model folder; convert it first"
        raise ModelError(msg)
    if spec.count("/") == 1 and not spec.startswith((".", "/", "~")):
        return "huggingface", spec
    known = ", ".join(name for name, entry in CATALOG.items() if entry.role == "llm")
    msg = f"no language model {spec!r}: it is no file, folder or URL, and not one of {known}"
    raise ModelError(msg)


def read_ahead(spec: str) -> None:
    """Have the operating system read a model file into memory, and don't wait for it."""
    with suppress(ModelError, OSError):  # loading the model will say what is wrong
        backend, target = resolve(spec)
        if backend == "llamacpp" and hasattr(os, "posix_fadvise"):
            with Path(target).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def load_llm(settings: Settings) -> BaseChatModel:
    """Return the language model that ``settings.llm`` names, ready to be asked.

    Its ``profile["max_input_tokens"]`` is the context window, its ``get_num_tokens`` counts with
    its own tokenizer, and a call takes LangChain's ``stop``, ``max_tokens`` and ``temperature``.

    Raises:
        ModelError: there is no such model here, it is damaged, or it doesn't fit the memory.
    """
    backend, target = resolve(settings.llm)
    return BACKENDS[backend](target, settings)
