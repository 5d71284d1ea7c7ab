"""The identity of an engine that may work for a command: its code, models and settings."""

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import model_prep
import rag_app
from model_prep.catalog.models import find
from model_prep.catalog.pull import STATIC, is_pulled, model_path, static_path
from rag_app.documents.text import Language
from rag_app.errors import ModelError
from rag_app.models.providers import split_provider
from rag_app.models.registry import resolve
from rag_app.models.unix_http import available
from rag_app.settings import Settings, home
from rag_app.surroundings import surroundings, traced_here

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelLike

    from rag_app.chains.prompts import Prompts

REQUEST_OPTIONS = (
    "k", "retriever", "within", "threshold", "max_question_chars", "temperature", "top_p", "top_k",
    "repetition_penalty", "max_new_tokens", "seed", "prompts", "answer_chain",
    "context", "answer_step_tokens", "summary_chain", "summary_length", "summary_step_tokens",
    "ocr", "max_file_bytes", "calibrations",
)  # fmt: skip
"""Settings that each request brings; what `RagApp.using` can change."""
REQUEST_PATHS = ("within", "prompts", "calibrations")
"""Those of them that may name a file in the folder in which the command was given."""
_OTHER_OPTIONS = (
    "index", "keep_alive", "chunk_size", "chunk_overlap", "max_passages", "llm_name",
    "llm_api_key", "api_key", "api_key_file", "queue_limit", "request_seconds", "read_seconds",
    "job_seconds", "reply_limit", "requests_per_minute", "log_prompts", "max_body_bytes",
    "max_upload_bytes", "upload_passages",
)  # fmt: skip
"""Settings that mean nothing to an engine, or reach it otherwise."""
ENGINE_OPTIONS = tuple(
    name for name in Settings.model_fields if name not in {*REQUEST_OPTIONS, *_OTHER_OPTIONS}
)
"""All other settings: an engine that was started with others can't be used."""

_LOCAL = ("llamacpp", "huggingface")
_CODE = (".py", ".toml", ".txt")  # suffixes of the program's files: modules, wordings, prompts


def identity(settings: Settings) -> str:
    """Return what must be equal for an engine to be used: code, models, and settings of those.

    Raises:
        ModelError: there is no such language model here.
    """
    options = settings.model_dump(mode="json", include={*ENGINE_OPTIONS})
    backend, target = resolve(settings.llm)
    explicit = "embedding" in settings.model_fields_set
    values = [
        rag_app.__version__,
        sys.version,
        _code_stamp(),
        str(home().absolute()),
        {**options, "llm": [backend, target, files_stamp(Path(target))]},
        [explicit, embedding_stamp(settings.embedding) if explicit else ""],
        files_stamp(Path(settings.reranker)) if settings.reranker else "",
        surroundings(),
    ]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _code_stamp() -> str:
    """Return what changes when a file of the program does."""
    folders = [Path(str(package.__file__)).parent for package in (rag_app, model_prep)]
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.*")):
            if file.suffix not in _CODE:
                continue
            with suppress(OSError):
                status = file.stat()
                found.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


def files_stamp(path: Path) -> str:
    """Return what changes when a model's file, or one in its folder, is replaced."""
    found = []
    with suppress(OSError):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            status = file.stat()
            found.append(f"{file.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join([str(path.absolute()), *found])


def language_model(settings: Settings) -> tuple[str, str]:
    """Return what a language model is called, and what changes when its files do.

    Raises:
        ModelError: there is no such model here.
    """
    backend, target = resolve(settings.llm)
    options = [settings.llm_name, settings.lora, settings.quantize]
    files = [target, *(settings.lora or "").split(",")] if backend in _LOCAL else []
    if Path(target).exists():  # the same one from wherever it is named
        target = str(Path(target).absolute())
    stamps = [files_stamp(Path(file)) for file in files if file]
    name = " ".join([backend, target, *(option for option in options if option)])
    return name, hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:16]


def summarizer(settings: Settings, llm: "LanguageModelLike | None", prompts: "Prompts") -> str:
    """Return what changes when another model, or the same one otherwise asked, would summarize.

    Args:
        settings: That name the model.
        llm: The one in its place, if so; it is known by its class and the name that it goes by.
        prompts: The prompts of summaries.
    """
    if llm is not None:
        names = [str(getattr(llm, name, "")) for name in ("model_name", "model", "model_id")]
        values = [f"{type(llm).__module__}.{type(llm).__qualname__}", *names]
    else:
        values = []
        with suppress(ModelError):  # loading the model will say what is wrong
            values = [*language_model(settings)]
    texts = [
        prompts.text(task, language)
        for task in ("system", "summary")
        for language in get_args(Language)
    ]
    return "\n".join([*values, *texts])


def embedding_stamp(spec: str) -> str:
    """Return what changes when the embedding model that is named so does."""
    if find(spec):
        return files_stamp(model_path(spec)) if is_pulled(spec) else spec
    path = static_path() if spec == STATIC else Path(spec).expanduser()
    return files_stamp(path) if path.is_dir() else spec


def absolute_embedding(spec: str, folder: Path) -> str:
    """Return what an embedding model is called from anywhere, by its name in a folder."""
    path = folder / Path(spec).expanduser()
    return str(path) if spec != STATIC and not find(spec) and path.is_dir() else spec


def is_local(settings: Settings) -> bool:
    """Return whether the language model of settings runs on this machine, at nobody's cost."""
    try:
        return resolve(settings.llm)[0] in _LOCAL
    except ModelError:
        return False


def usable(settings: Settings) -> bool:
    """Return whether an engine may work for these settings: it is local, and kept at all."""
    if not settings.keep_alive or not available() or traced_here():
        return False
    if settings.store != "local":  # it would keep the file of milvus-lite open
        return False
    if settings.lora or settings.tokenizer:
        return False
    if settings.embedding.startswith(("http://", "https://")) or split_provider(settings.embedding):
        return False
    return is_local(settings)
