"""What an application works with: settings, an index and models, each there when first needed."""

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rag_app.engine.loading import Loading
from rag_app.engine.timings import Timings
from rag_app.errors import SettingsError
from rag_app.settings import Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel

    from rag_app.index.search.faiss_cache import FaissCache
    from rag_app.index.store.store import IndexStore
    from rag_app.models.embeddings.base import DocumentEmbeddings


class Parts:
    """Settings, index and models of an application, as `RagApp` says; models are loaded once."""

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        llm: "BaseChatModel | str | None" = None,
        embeddings: "Embeddings | None" = None,
        **flags: Any,
    ) -> None:
        if isinstance(llm, str):
            flags["llm"], llm = llm, None
        if settings is not None and flags:
            msg = f"give settings, or {', '.join(flags)}, not both"
            raise SettingsError(msg)
        self.settings = settings or load_settings(**flags)
        self.timings = Timings()
        """Seconds that the parts of the last call took."""
        self._given_embeddings = embeddings
        self._llm = Loading(self._load_llm, llm)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index; models go with the object."""
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def store(self) -> "IndexStore":
        """The index the settings name, there or not."""
        from rag_app.index.store.store import IndexStore

        return IndexStore(self.settings.index_folder)

    @cached_property
    def derived(self) -> "FaissCache":
        """The vectors of the index in memory, brought up to date at each question."""
        from rag_app.index.search.faiss_cache import FaissCache

        return FaissCache(self.store)

    @cached_property
    def embeddings(self) -> "DocumentEmbeddings":
        """The embedding model: the one given, else the settings', else the index's own.

        Raises:
            ModelError: it is missing or damaged.
        """
        spec = self.settings.embedding
        if "embedding" not in self.settings.model_fields_set and self.store.exists():
            with self.store.read() as snapshot:
                spec = snapshot.meta().embedding
        return self.load_embeddings(spec)

    def load_embeddings(self, spec: str) -> "DocumentEmbeddings":
        """Return the embedding model that was given, whatever ``spec`` says, else that of it.

        Raises:
            ModelError: it is missing or damaged.
        """
        from rag_app.models.embeddings.base import adapt
        from rag_app.models.embeddings.registry import load_embeddings

        if self._given_embeddings is not None:
            return adapt(self._given_embeddings)
        key = self.settings.llm_api_key
        return load_embeddings(
            spec,
            batch_size=self.settings.embedding_batch,
            api_key=key.get_secret_value() if key else None,
        )

    @property
    def llm(self) -> "BaseChatModel":
        """The language model, waited for if it is being loaded.

        Raises:
            ModelError: it is missing, damaged or doesn't fit the memory.
        """
        return self._llm.wait()

    @property
    def llm_error(self) -> BaseException | None:
        """Why the language model could not be loaded, if so."""
        return self._llm.error

    @property
    def ready(self) -> bool:
        """Whether the language model is loaded."""
        return self._llm.ready

    def preload(self) -> None:
        """Begin to load the language model in the background."""
        self._llm.begin()

    def read_ahead(self) -> None:
        """Have the operating system read the language model's file, if it will be needed soon."""
        from rag_app.models.llms.registry import read_ahead

        if not self._llm.begun and self.store.exists():
            read_ahead(self.settings.llm)

    def _load_llm(self) -> "BaseChatModel":
        from rag_app.models.llms.registry import load_llm

        with self.timings.part("language model"):
            return load_llm(self.settings)

    def using(self, *, callbacks: "Sequence[BaseCallbackHandler]" = (), **changes: Any) -> Self:
        """Return a view of this application with other options, for one call.

        Index and models are shared, so only options of retrieval, sampling and chains have an
        effect.

        Args:
            callbacks: LangChain's, told of every call to the language model.
            **changes: Options by their names in `Settings`; None leaves one as it is.

        Raises:
            SettingsError: an option is wrong.
        """
        changes = {name: value for name, value in changes.items() if value is not None}
        _ = self.store, self.derived, self.embeddings  # made here, so that the copies share them
        view = copy(self)
        given = self.settings.model_dump(exclude_unset=True)
        view.settings = load_settings(**{**given, **changes})
        view.timings = Timings()
        if changes or callbacks:
            names = {"max_new_tokens": "max_tokens"}
            fields = {names.get(name, name): value for name, value in changes.items()}
            known = type(self.llm).model_fields
            update = {name: value for name, value in fields.items() if name in known}
            changed = self.llm.model_copy(update={**update, "callbacks": list(callbacks) or None})
            view._llm = Loading(self._load_llm, changed)
        return view

    def over(self, index: Path, embeddings: "DocumentEmbeddings | None" = None) -> Self:
        """Return an application over another index, with the same settings and language model.

        Args:
            index: Its folder.
            embeddings: The model of that index, if it is loaded already.
        """
        settings = self.settings.model_copy(update={"index": str(index.absolute())})
        other = type(self)(settings=settings, embeddings=embeddings or self._given_embeddings)
        other._llm = self._llm
        return other
