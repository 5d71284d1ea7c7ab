"""Models by what the user calls them: ``--llm``, ``--embedding`` and ``--reranker``.

The name decides which backend runs one; each is imported where one of its models is loaded.
"""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from model_prep.catalog.models import CATALOG, find
from model_prep.catalog.pull import STATIC, is_pulled, is_static, model_path, static_path
from model_prep.errors import permitted
from model_prep.json_file import is_lora
from rag_app.errors import ModelError
from rag_app.models.providers import LOCAL, provider_errors, split_provider
from rag_app.settings import DEFAULTS, Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from model_prep.catalog.entry import EncoderDtype
    from rag_app.models.embeddings.base import DocumentEmbeddings
    from rag_app.models.reranker import CrossEncoderReranker

_log = logging.getLogger(__name__)
_SCHEMES = ("http://", "https://")
_ADDRESS = re.compile(r"[\w.-]+:\d+(/.*)?")


def resolve(spec: str) -> tuple[str, str]:
    """Return the backend for ``spec`` and what it loads: a path, hub name, URL or the spec itself.

    What exists as a file or folder, and what ends in ``.gguf``, is one, whatever it looks like.

    Args:
        spec: A catalog name, a ``.gguf`` file, a Hugging Face folder or hub name, a URL or
            several with commas between them, or ``provider:model`` as LangChain's
            ``init_chat_model`` takes it.

    Raises:
        ModelError: there is no such model here.

    Example:
        >>> resolve("http://127.0.0.1:8000/v1")
        ('openai', 'http://127.0.0.1:8000/v1')
        >>> resolve("ollama:qwen2.5:7b")
        ('provider', 'ollama:qwen2.5:7b')
    """
    if urls := server_urls(spec):
        return "openai", ",".join(urls)
    path = _catalog_path(spec) or Path(spec).expanduser()
    if path.is_dir():
        return "huggingface", str(path)
    if path.suffix.lower() == ".gguf":
        return "llamacpp", str(path)
    if path.is_file():
        raise ModelError(f"{spec} is neither a .gguf file nor a model folder; convert it first")
    if provider := split_provider(spec):
        return ("huggingface", provider[1]) if provider[0] == LOCAL else ("provider", spec)
    if _ADDRESS.fullmatch(spec):
        raise ModelError(f"{spec} is not a URL; give all of it, such as http://{spec}")
    if re.fullmatch(r"[^/\\:.~][^/\\:]*/[^/\\:]+", spec):
        return "huggingface", spec
    raise ModelError(
        f"no language model {spec!r}: it is not a file, folder, URL or provider:model, and not one "
        f"of {_known('llm')}"
    )


def _known(role: str) -> str:
    """Return the names of the catalog's models of a role, for people."""
    return ", ".join(name for name, entry in CATALOG.items() if entry.role == role)


def server_urls(spec: str) -> list[str]:
    """Return the URLs of the servers that ``spec`` names; none where it is another model.

    Raises:
        ModelError: some are URLs, others are not.

    Example:
        >>> server_urls("http://one:8000/v1, http://two:8000/v1")
        ['http://one:8000/v1', 'http://two:8000/v1']
        >>> server_urls("ollama:qwen3")
        []
    """
    if not spec.lower().startswith(_SCHEMES):
        return []
    urls = [url.strip() for url in spec.split(",")]
    for url in urls:
        if not url.lower().startswith(_SCHEMES):
            msg = f"{url or 'nothing'} is not a URL in {spec}; begin each with http:// or https://"
            raise ModelError(msg)
    return urls


def _catalog_path(spec: str) -> Path | None:
    """Return where the model of a catalog name is; None where the catalog lacks the name."""
    entry = find(spec)
    if entry is None:
        return None
    if entry.role != "llm":
        raise ModelError(f"{spec} is an embedding model; --llm takes a language model")
    if not is_pulled(spec):
        raise ModelError(f"language model {spec} is not here yet; run: model-prep pull {spec}")
    return model_path(spec)


def read_ahead(spec: str) -> None:
    """Let the operating system read a model file into memory, without waiting for it."""
    with suppress(ModelError, OSError):  # loading the model will say what is wrong
        backend, target = resolve(spec)
        if backend == "llamacpp" and hasattr(os, "posix_fadvise"):
            with Path(target).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


@overload
def load_llm(spec: Settings) -> "BaseChatModel": ...
@overload
def load_llm(spec: str | Path, **options: Any) -> "BaseChatModel": ...
@permitted(ModelError)
def load_llm(spec: str | Path | Settings, **options: Any) -> "BaseChatModel":
    """Return a language model, ready to be asked.

    Its ``profile["max_input_tokens"]`` is the context window, its ``get_num_tokens`` counts with
    its own tokenizer where that is here, and a call takes LangChain's ``stop``, ``max_tokens`` and
    ``temperature``.

    Args:
        spec: See `resolve`; or settings, whose ``llm`` it is.
        **options: By their names in `Settings`, such as ``context_length``, ``threads`` and
            ``temperature``; what is not given is as for the application.

    Raises:
        ModelError: there is no such model here, it is damaged, or it doesn't fit the memory.
        SettingsError: an option is unknown or wrong.

    Example:
        >>> llm = load_llm("openai:any-model", llm_api_key="secret", temperature=0.5)
        >>> type(llm).__name__, llm.temperature
        ('ChatOpenAI', 0.5)
    """
    settings = spec if isinstance(spec, Settings) else load_settings(llm=spec, **options)
    backend, target = resolve(settings.llm)
    _check_folder(backend, target, settings)
    if backend == "llamacpp":
        from rag_app.models.llms import llamacpp

        return llamacpp.load(Path(target), settings)
    if backend == "huggingface":
        from rag_app.models.llms import huggingface

        return huggingface.load(target, settings)
    if backend == "openai":
        from rag_app.models.llms import openai

        return openai.load(target, settings)
    return _load_provider(target, settings)


def _check_folder(backend: str, target: str, settings: Settings) -> None:
    """Refuse a folder without a model before torch is loaded, and a LoRA for another model."""
    if backend != "huggingface" and settings.lora:
        msg = f"a LoRA can't be added to {settings.llm}; give the Hugging Face folder it is for"
        raise ModelError(msg)
    for name in ("tokenizer", "quantize", "gpus"):
        if backend != "huggingface" and getattr(settings, name):
            _log.warning("--%s is for Hugging Face folders; %s goes without", name, settings.llm)
    if is_lora(Path(target)):
        msg = f"{target} is a LoRA, not a model; give its base with --llm, and this one with --lora"
        raise ModelError(msg)
    if Path(target).is_dir() and not (Path(target) / "config.json").is_file():
        reason = "it has no config.json; give a folder with one, or a .gguf file"
        raise ModelError(f"{target} is not a model that can be loaded: {reason}")


def _load_provider(spec: str, settings: Settings) -> "BaseChatModel":
    """Return a model of a provider's package.

    Top p and the seed are sent where the user gave them: not every provider knows them.
    """
    from langchain.chat_models import init_chat_model

    from rag_app.models.llms.openai import estimated_tokens

    given = [name for name in ("top_p", "seed") if name in settings.model_fields_set]
    options = {name: getattr(settings, name) for name in ("temperature", *given)}
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    if key:
        options["api_key"] = key
    provider, _, model = spec.partition(":")
    with provider_errors(spec, key=key):
        llm: BaseChatModel = init_chat_model(
            model,
            model_provider=provider,
            max_tokens=settings.max_new_tokens,
            # A provider's own counter would ask the network.
            custom_get_token_ids=lambda text: [0] * estimated_tokens(text),
            **options,
        )
    profile = llm.profile or {}
    if "context_length" in settings.model_fields_set or not profile.get("max_input_tokens"):
        llm.profile = {**profile, "max_input_tokens": settings.context_length}
    return llm


@permitted(ModelError)
def load_embeddings(
    spec: str | Path,
    *,
    dtype: "EncoderDtype | None" = None,
    batch_size: int = DEFAULTS.embedding_batch,
    threads: int | None = None,
    api_key: str | None = None,
) -> "DocumentEmbeddings":
    """Return the embedding model that ``spec`` names.

    Args:
        spec: A catalog name, ``static``, a folder of sentence-transformers or Model2Vec, the name
            of a hub repository that is in the local hub cache, the URL of an OpenAI-compatible
            server, or ``provider:model`` as LangChain's ``init_embeddings`` takes it.
        dtype: Of the matrices of a model of this machine: ``int8`` or ``float32``; by default as
            `SentenceTransformerEmbeddings` chooses.
        batch_size: Passages sent, or encoded by sentence-transformers, at once.
        threads: Of a model of this machine; by default one for each physical core.
        api_key: For a URL.

    Raises:
        ModelError: there is no such model here, or it can't be read.

    Example:
        >>> embeddings = load_embeddings("my-encoder")
        >>> len(embeddings.embed_query("李白是怎样去世的？")) == embeddings.dimension
        True
    """
    spec = str(spec)
    if spec.startswith(_SCHEMES):
        from rag_app.models.embeddings.openai import CompatibleEmbeddings

        return CompatibleEmbeddings(spec, batch_size=batch_size, api_key=api_key)
    from rag_app.models.embeddings.sentence_transformers import SentenceTransformerEmbeddings

    options: Any = {"dtype": dtype, "batch_size": batch_size, "threads": threads}
    if find(spec):
        if not is_pulled(spec):
            raise ModelError(f"embedding model {spec} is not here yet; run: model-prep pull {spec}")
        return SentenceTransformerEmbeddings(model_path(spec), name=spec, **options)
    if spec == STATIC and not is_static(static_path()):
        raise ModelError("the static embedding model is not here yet; make it: model-prep distill")
    folder = static_path() if spec == STATIC else Path(spec).expanduser()
    if not folder.is_dir():
        provider = split_provider(spec)
        if provider and provider[0] != LOCAL:
            return _provider_embeddings(spec)
        found = _hub_cache(provider[1] if provider else spec)
        if found is None:
            raise ModelError(
                f"no embedding model {spec!r}: it is not a folder, not in the local hub cache, and "
                f"not one of {_known('embedding')}"
            )
        folder = found
    if is_static(folder):
        from rag_app.models.embeddings.static import StaticEmbeddings

        return StaticEmbeddings(folder, name=spec)
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ModelError(f"{folder} holds no sentence-transformers model: it has no config.json")
    return SentenceTransformerEmbeddings(folder, name=spec, **options)


def _provider_embeddings(spec: str) -> "DocumentEmbeddings":
    from langchain.embeddings import init_embeddings

    from rag_app.models.embeddings.base import AdaptedEmbeddings

    provider, _, model = spec.partition(":")
    # Passages are short, and to count their tokens OpenAI's package would fetch a tokenizer.
    options: Any = {"check_embedding_ctx_length": False} if provider.endswith("openai") else {}
    with provider_errors(spec):
        return AdaptedEmbeddings(init_embeddings(model, provider=provider, **options), name=spec)


def load_reranker(spec: str) -> "CrossEncoderReranker":
    """Return the cross-encoder that ``spec`` names.

    Args:
        spec: A folder, or the name of a hub repository that is in the local hub cache.

    Raises:
        ModelError: there is none, or it is not a cross-encoder.
    """
    from rag_app.models.reranker import CrossEncoderReranker

    folder = Path(spec).expanduser()
    found = folder if folder.is_dir() else _hub_cache(spec)
    if found is None:
        raise ModelError(
            f"no reranker {spec!r}: it is not a folder and not in the local hub cache; nothing is "
            "downloaded, so copy the model here and name its folder"
        )
    return CrossEncoderReranker(folder=found)


def _hub_cache(spec: str) -> Path | None:
    """Return the folder of a hub repository in the local cache, None where it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError, HFValidationError):
        return Path(snapshot_download(spec, local_files_only=True))
    return None
