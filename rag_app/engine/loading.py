"""A language model that is loaded in the background and waited for where it is needed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class Loading:
    """A model that is loaded once, however many ask for it; after a failure it is tried again.

    Args:
        load: Returns the model, or raises why not.
        loaded: The model, where it is there already.
    """

    def __init__(
        self, load: "Callable[[], BaseChatModel]", loaded: "BaseChatModel | None" = None
    ) -> None:
        self._load = load
        self._model: Future[BaseChatModel] | None = None
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

    def begin(self) -> "Future[BaseChatModel]":
        """Begin to load the model, unless that is done or under way; return what it will be."""
        with self._guard:
            if self._model is None or self.error:
                self._model = Future()
                thread = threading.Thread(target=self._run, args=[self._model], name="load-llm")
                thread.start()
            return self._model

    def wait(self) -> "BaseChatModel":
        """Return the model once it is loaded; raise why it can't be."""
        return self.begin().result()

    def _run(self, model: "Future[BaseChatModel]") -> None:
        try:
            model.set_result(self._load())
        except BaseException as error:
            model.set_exception(error)
