"""What an application works with: its settings, its index, its models and its prompts."""

import os
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rag_app.engine.resources import Given, Loading, Resources
from rag_app.errors import SettingsError
from rag_app.settings import Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel, LanguageModelLike
    from langchain_core.vectorstores import VectorStore
    from langchain_text_splitters import TextSplitter

    from rag_app.chains.confidence import Calibration
    from rag_app.chains.prompts import GivenPrompts, Prompts
    from rag_app.chains.rag import Retriever
    from rag_app.index.store.interface import DocumentStore
    from rag_app.models.embeddings.base import DocumentEmbeddings

_TRACE_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)
"""What asks for traces where it is set; without it nothing of OpenTelemetry is imported."""


class Parts:
    """The parts of a `RagApp`, which says how they are given, and views of it with others.

    Attributes:
        settings: The options in effect.
        resources: The index and models, and what the caller gave in place of them.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        llm: "LanguageModelLike | str | Path | None" = None,
        embeddings: "Embeddings | None" = None,
        retriever: "Retriever | None" = None,
        vector_store: "VectorStore | None" = None,
        splitter: "TextSplitter | None" = None,
        loader: "str | Callable[[str], BaseLoader] | None" = None,
        prompts: "GivenPrompts" = None,
        **flags: Any,
    ) -> None:
        if isinstance(llm, str | Path):
            flags["llm"], llm = llm, None
        if settings is not None and flags:
            raise SettingsError(f"give settings, or {', '.join(flags)}, not both")
        self.settings = settings or load_settings(**flags)
        given = Given(llm, embeddings, retriever, vector_store, splitter, loader)
        self.resources = Resources(self.settings, given)
        self._prompts = prompts or self.settings.prompts
        if self._prompts is not None:
            self._prompts = self.prompts
        self._sampling: dict[str, Any] = {}
        self._calibration: Calibration | None = None
        if any(map(os.environ.get, _TRACE_VARIABLES)):
            from rag_app.engine import telemetry

            telemetry.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the index; models go with the object."""
        self.resources.close()

    def using(self, **changes: Any) -> Self:
        """Return a view of this application with other options, for one call.

        Index and models are shared, so only options of retrieval, sampling and chains have an
        effect.

        Args:
            **changes: Options by their names in `Settings`; None leaves one as it is.

        Raises:
            SettingsError: an option is wrong.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        view = copy(self)
        if not given:
            return view
        view.settings = load_settings(**{**self.settings.model_dump(exclude_unset=True), **given})
        if "prompts" in given:
            view._prompts = given["prompts"]
            view._prompts = view.prompts
        view._sampling = {**self._sampling, **given}
        return view

    def over(
        self,
        index: Path,
        embeddings: "DocumentEmbeddings | None" = None,
        store: str | None = None,
    ) -> Self:
        """Return an application over another index, with the same settings and language model.

        Its embedding model may be given where it is loaded already, and a store other than theirs.
        """
        other = copy(self)
        other.resources = self.resources.over(index, embeddings, store)
        other.settings = other.resources.settings
        return other

    @property
    def store(self) -> "DocumentStore":
        """The index the settings name, there or not."""
        return self.resources.store

    @property
    def prompts(self) -> "Prompts":
        """The prompts that were given, or that the settings name, and ours for the others.

        Raises:
            SettingsError: one is wrong.
        """
        from rag_app.chains.prompts import Prompts

        return Prompts.of(self._prompts)

    @property
    def embeddings(self) -> "DocumentEmbeddings":
        """The embedding model: the one given, else the settings', else the index's own.

        Raises:
            ModelError: it is missing or damaged.
        """
        return self.resources.embeddings

    @property
    def retriever(self) -> "Retriever":
        """What finds the passages for a question: LangChain's interface to the index.

        Raises:
            IndexStoreError: there is no index, or it was made with another embedding model.
        """
        settings = self.settings
        return self.resources.retriever(settings.k, settings.retriever, settings.within)

    @property
    def llm(self) -> "BaseChatModel":
        """The language model, waited for if it is being loaded, or what was given for one.

        Raises:
            ModelError: it is missing, damaged or doesn't fit the memory.
        """
        llm: Any = self.resources.llm.wait()
        names = {"max_new_tokens": "max_tokens"}
        fields = {names.get(name, name): value for name, value in self._sampling.items()}
        known = {
            name: fields[name]
            for name in fields.keys() & getattr(type(llm), "model_fields", {}).keys()
        }
        model: BaseChatModel = llm.model_copy(update=known) if known else llm
        return model

    @property
    def llm_error(self) -> BaseException | None:
        """Why the language model could not be loaded, if so."""
        return self.resources.llm.error

    @property
    def ready(self) -> bool:
        """Whether the language model is loaded."""
        return self.resources.llm.ready

    @property
    def keeps_prompts(self) -> bool:
        """Whether the language model keeps the passages that it reads on disk."""
        return bool(getattr(self.llm, "cache_size", 0))

    @property
    def calibration(self) -> "Calibration":
        """How sure the language model is taken to be: as `eval --calibrate` found, or as ours.

        Raises:
            SettingsError: the file of calibrations is damaged.
        """
        from rag_app.chains.confidence import CALIBRATION

        return self._calibration or self.resources.calibration(self.settings) or CALIBRATION

    def calibrated(self, calibration: "Calibration") -> Self:
        """Return a view of this application with another calibration; models are shared."""
        view = copy(self)
        view._calibration = calibration
        return view

    def preload(self, load: "Callable[[], LanguageModelLike] | None" = None) -> None:
        """Begin to load the language model in the background, by ``load`` where that is given."""
        if load is not None:
            self.resources.llm = Loading(load)
        self.resources.llm.begin()

    @property
    def _asks_the_index(self) -> bool:
        """Whether it is an index of our own that is asked."""
        given = self.resources.given
        return given.retriever is None and given.vector_store is None
