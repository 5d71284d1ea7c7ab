"""Embedding models by what the user calls them."""

from pathlib import Path
from typing import Any

from model_prep.catalog.entry import EncoderDtype
from model_prep.catalog.models import CATALOG, find
from model_prep.catalog.pull import STATIC, is_pulled, is_static, model_path, static_path
from model_prep.errors import permitted
from rag_app.errors import ModelError
from rag_app.models.embeddings.base import AdaptedEmbeddings, DocumentEmbeddings
from rag_app.models.embeddings.openai import CompatibleEmbeddings
from rag_app.models.embeddings.sentence_transformers import SentenceTransformerEmbeddings
from rag_app.models.embeddings.static import StaticEmbeddings
from rag_app.models.providers import LOCAL, provider_errors, split_provider
from rag_app.settings import DEFAULTS


@permitted(ModelError)
def load_embeddings(
    spec: str,
    *,
    dtype: EncoderDtype | None = None,
    batch_size: int = DEFAULTS.embedding_batch,
    threads: int | None = None,
    api_key: str | None = None,
) -> DocumentEmbeddings:
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
    """
    if spec.startswith(("http://", "https://")):
        return CompatibleEmbeddings(spec, batch_size=batch_size, api_key=api_key)
    options: Any = {"dtype": dtype, "batch_size": batch_size, "threads": threads}
    if find(spec):
        if not is_pulled(spec):
            msg = f"embedding model {spec} is not here yet; run: model-prep pull {spec}"
            raise ModelError(msg)
        return SentenceTransformerEmbeddings(model_path(spec), name=spec, **options)
    if spec == STATIC and not is_static(static_path()):
        msg = "the static embedding model is not here yet; make it: model-prep distill"
        raise ModelError(msg)
    folder = static_path() if spec == STATIC else Path(spec).expanduser()
    if not folder.is_dir():
        provider = split_provider(spec)
        if provider and provider[0] != LOCAL:
            return _load_provider(spec)
        folder = _hub_cache(provider[1] if provider else spec)
    if is_static(folder):
        return StaticEmbeddings(folder, name=spec)
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        msg = f"{folder} holds no sentence-transformers model: it has no config.json"
        raise ModelError(msg)
    return SentenceTransformerEmbeddings(folder, name=spec, **options)


def _load_provider(spec: str) -> DocumentEmbeddings:
    from langchain.embeddings import init_embeddings

    provider, _, model = spec.partition(":")
    # Passages are short, and to count their tokens OpenAI's package would fetch a tokenizer.
    options: Any = {"check_embedding_ctx_length": False} if provider.endswith("openai") else {}
    with provider_errors(spec):
        return AdaptedEmbeddings(init_embeddings(model, provider=provider, **options), name=spec)


def _hub_cache(spec: str) -> Path:
    """Return the folder of a hub repository in the local cache; nothing is downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(spec, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        known = ", ".join(name for name, entry in CATALOG.items() if entry.role == "embedding")
        msg = (
            f"no embedding model {spec!r}: it is not a folder, not in the local hub cache, and not "
            f"one of {known}"
        )
        raise ModelError(msg) from error
