"""Resources of an application: an index and models, made when first needed and then shared."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import LanguageModelLike
    from langchain_core.vectorstores import VectorStore
    from langchain_text_splitters import TextSplitter

    from rag_app.chains.confidence import Calibration
    from rag_app.chains.rag import Retriever
    from rag_app.index.store.interface import DenseIndex, DocumentStore
    from rag_app.index.store.records import IndexMeta, Staging
    from rag_app.models.embeddings.base import DocumentEmbeddings
    from rag_app.models.reranker import CrossEncoderReranker
    from rag_app.settings import RetrieverKind, Settings

from rag_app.errors import SettingsError

_log = logging.getLogger(__name__)

Made = TypeVar("Made")


class Loading:
    """A model that is loaded once, however many ask for it; after a failure it is tried again.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> loading = Loading(lambda: FakeListChatModel(responses=["Yes."]))
        >>> loading.ready
        False
        >>> loading.wait().invoke("Loaded?").content
        'Yes.'
        >>> loading.ready
        True
    """

    def __init__(
        self, load: "Callable[[], LanguageModelLike]", loaded: "LanguageModelLike | None" = None
    ) -> None:
        self._load = load
        self._model: Future[LanguageModelLike] | None = None
        self._guard = threading.Lock()
        if loaded is not None:
            self._model = Future()
            self._model.set_result(loaded)

    @property
    def begun(self) -> bool:
        """Whether the model is loaded or being loaded, or could not be."""
        return self._model is not None

    @property
    def error(self) -> BaseException | None:
        """Why the model could not be loaded, if so."""
        model = self._model
        return model.exception() if model is not None and model.done() else None

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        model = self._model
        return model is not None and model.done() and model.exception() is None

    def begin(self) -> "Future[LanguageModelLike]":
        """Begin to load the model, unless that is done or under way; return what it will be."""
        with self._guard:
            if self._model is None or self.error:
                self._model = Future()
                thread = threading.Thread(target=self._run, args=[self._model], name="load-llm")
                thread.start()
            return self._model

    def wait(self) -> "LanguageModelLike":
        """Return the model once it is loaded; raise why it can't be."""
        return self.begin().result()

    def _run(self, model: "Future[LanguageModelLike]") -> None:
        try:
            model.set_result(self._load())
        except BaseException as error:
            model.set_exception(error)


def open_store(settings: "Settings") -> "DocumentStore":
    """Return the index that settings name, there or not.

    Raises:
        SettingsError: the store's URI is not one.
    """
    if settings.store == "local":
        from rag_app.index.store.store import IndexStore

        return IndexStore(settings.index_folder)
    from rag_app.index.milvus.store import MilvusStore

    token = settings.store_token.get_secret_value() if settings.store_token else ""
    uri = settings.store.removeprefix("milvus:")
    return MilvusStore(uri, settings.index_name, settings.index_folder, token=token)


_INTERFACES = {
    "llm": ("invoke", "a LangChain chat model"),
    "embeddings": ("embed_query", "a LangChain Embeddings"),
    "retriever": ("invoke", "a LangChain retriever, such as `store.as_retriever()`"),
    "vector_store": ("as_retriever", "a LangChain VectorStore"),
    "splitter": ("split_documents", "a LangChain TextSplitter"),
}
"""What each part is known by."""


@dataclass(frozen=True)
class Given:
    """LangChain parts of the caller's own, each in place of ours where there is one."""

    llm: "LanguageModelLike | None" = None
    embeddings: "Embeddings | None" = None
    retriever: "Retriever | None" = None
    vector_store: "VectorStore | None" = None
    splitter: "TextSplitter | None" = None
    loader: "str | Callable[[str], BaseLoader] | None" = None

    def __post_init__(self) -> None:
        for name, (method, kind) in _INTERFACES.items():
            part = getattr(self, name)
            if part is not None and not hasattr(part, method):
                msg = f"{name} must be {kind}; {type(part).__name__} has no `{method}`"
                raise SettingsError(msg)


class Resources:
    """The index and models that settings name, and what the caller gave in place of them."""

    def __init__(self, settings: "Settings", given: Given) -> None:
        self.settings = settings
        self.given = given
        self.llm = Loading(self._load_llm, given.llm)
        self._shared: dict[str, Any] = {}
        self._made: dict[str, Any] = {}
        self._guard = threading.RLock()

    def over(
        self,
        index: Path,
        embeddings: "DocumentEmbeddings | None" = None,
        store: str | None = None,
    ) -> "Resources":
        """Return those of another index; language model and reranker are shared."""
        store = store or self.settings.store
        settings = self.settings.model_copy(update={"index": str(index.absolute()), "store": store})
        other = Resources(settings, self.given)
        other.llm, other._shared = self.llm, self._shared
        if embeddings is not None:
            other._made["embeddings"] = embeddings
        return other

    def close(self) -> None:
        """Release the index; models go with the object."""
        if "store" in self._made:
            self.store.close()

    @property
    def store(self) -> "DocumentStore":
        """The index the settings name, there or not."""
        return self._once("store", lambda: open_store(self.settings))

    @property
    def cache(self) -> "DenseIndex":
        """The vectors of the index, brought up to date at each question."""
        from rag_app.index.search.faiss_cache import dense_index

        return self._once("cache", lambda: dense_index(self.store))

    @property
    def embeddings(self) -> "DocumentEmbeddings":
        """The embedding model: the one given, else the settings', else the index's own.

        Raises:
            ModelError: it is missing or damaged.
        """
        return self._embeddings_of(self._meta())

    def next_embeddings(self, staging: "Staging | None") -> "DocumentEmbeddings":
        """Return the model with which an index is embedded again.

        Args:
            staging: What an interrupted run left.

        Raises:
            ModelError: it is missing or damaged.
        """
        if staging is None or not self._of_index:
            return self.embeddings
        return self.load_embeddings(staging.embedding)

    def load_embeddings(self, spec: str) -> "DocumentEmbeddings":
        """Return the embedding model that was given, whatever ``spec`` says, else that of it.

        Raises:
            ModelError: it is missing or damaged.
        """
        return self.embeddings_loader(spec, self.settings.threads)()

    def embeddings_loader(
        self, spec: str, threads: int | None
    ) -> "Callable[[], DocumentEmbeddings]":
        """Return what loads the model of `load_embeddings`, here or, pickled, somewhere else."""
        from rag_app.models.embeddings.base import adapt
        from rag_app.models.registry import load_embeddings

        if self.given.embeddings is not None:
            return partial(adapt, self.given.embeddings)
        key = self.settings.llm_api_key
        return partial(
            load_embeddings,
            spec,
            dtype=self.settings.embedding_dtype,
            batch_size=self.settings.embedding_batch,
            threads=threads,
            api_key=key.get_secret_value() if key else None,
        )

    @property
    def reranker(self) -> "CrossEncoderReranker | None":
        """The cross-encoder that the settings name, if any.

        Raises:
            ModelError: it is missing or none.
        """
        from rag_app.models.registry import load_reranker

        spec = self.settings.reranker
        if spec is None:
            return None
        return self._once("reranker", lambda: load_reranker(spec), self._shared)

    def retriever(self, k: int, kind: "RetrieverKind", within: str | None = None) -> "Retriever":
        """Return what finds passages: the retriever or vector store given, else that of the index.

        Args:
            k: Passages to return, where the retriever is not the caller's own.
            kind: How the index is searched.
            within: Path, folder or glob of the documents that are searched.

        Raises:
            SettingsError: a retriever or vector store that was given can't be told ``within``.
            IndexStoreError: there is no index, or it was made with another embedding model.
            ModelError: the embedding model or the reranker is missing or damaged.
        """
        if within and (self.given.retriever or self.given.vector_store):
            msg = "`within` works only with rag-app's own index; configure your retriever itself"
            raise SettingsError(msg)
        if self.given.retriever is not None:
            return self.given.retriever
        if self.given.vector_store is not None:
            return self.given.vector_store.as_retriever(search_kwargs={"k": k})
        from rag_app.index.search.retriever import HybridRetriever

        with self.store.read() as snapshot:  # once: it may go to another machine
            embeddings = self._embeddings_of(snapshot.meta())
            self.store.check_embedding(embeddings, snapshot)
        return HybridRetriever(
            store=self.store,
            embedding=embeddings,
            kind=kind,
            k=k,
            within=within,
            cache=self.cache,
            reranker=self.reranker,
        )

    def calibration(self, settings: "Settings") -> "Calibration | None":
        """Return what was fitted for the language model that settings name, if so.

        Raises:
            SettingsError: the file of calibrations is damaged.
        """
        if self.given.llm is not None or not settings.calibrations_file.exists():
            return None
        from rag_app.engine.calibrations import kept_calibration

        return kept_calibration(settings)

    def read_ahead(self) -> None:
        """Read the language model's file ahead into memory, if it will be needed soon."""
        from rag_app.models.registry import read_ahead

        if not self.llm.begun:
            read_ahead(self.settings.llm)

    def _load_llm(self) -> "LanguageModelLike":
        from rag_app.models.registry import load_llm

        return load_llm(self.settings)

    @property
    def embedding_spec(self) -> str:
        """What the embedding model is called: by the settings, else by the index there is."""
        return self._spec(self._meta())

    @property
    def _of_index(self) -> bool:
        """Whether the embedding model is the index's own: no other is given or named."""
        named = "embedding" in self.settings.model_fields_set
        return self.given.embeddings is None and not named

    def _meta(self) -> "IndexMeta | None":
        """Return what the index was made with, where that says which model to use."""
        if not self._of_index or not self.store.exists():
            return None
        with self.store.read() as snapshot:
            return snapshot.meta()

    def _spec(self, meta: "IndexMeta | None") -> str:
        return meta.embedding if meta and self._of_index else self.settings.embedding

    def _embeddings_of(self, meta: "IndexMeta | None") -> "DocumentEmbeddings":
        """Return the model, loaded again where passages were embedded again with another."""
        with self._guard:
            loaded: DocumentEmbeddings | None = self._made.get("embeddings")
            if loaded is not None and meta and self._of_index:
                same = loaded.name == meta.embedding or loaded.fingerprint == meta.fingerprint
                loaded = loaded if same else None
            if loaded is None:
                loaded = self._made["embeddings"] = self.load_embeddings(self._spec(meta))
            return loaded

    def _once(
        self, name: str, make: Callable[[], Made], among: dict[str, Any] | None = None
    ) -> Made:
        """Return what ``make`` made when it was first needed, by whichever thread.

        Args:
            name: What it is called.
            make: Makes it.
            among: Where it is kept; by default with what is of this index alone.
        """
        kept = self._made if among is None else among
        with self._guard:
            if name not in kept:
                kept[name] = make()
            found: Made = kept[name]
            return found
