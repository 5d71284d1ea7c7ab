"""How long the parts of a call took, measured from its trace."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

PARTS: Mapping[str, str] = {
    "load_retriever": "embedding model",
    "load_llm": "language model",
    "condense_question": "standalone question",
    "read_document": "reading the document",
}
"""What the runs of a chain are called for people."""


class Timings(BaseCallbackHandler):
    """Seconds that the parts of one call took, in ``seconds``.

    One belongs to one call, and is handed to it: ``app.ask(question, config={"callbacks":
    [timings]})``.

    Example:
        >>> from langchain_core.runnables import RunnableLambda
        >>> timings = Timings()
        >>> RunnableLambda(str.upper).invoke("tea", {"callbacks": [timings]})
        'TEA'
        >>> list(timings.seconds)
        ['total']
    """

    run_inline = True  # in the order of the events, though the chain runs in an event loop

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._runs: dict[UUID, tuple[str, float]] = {}
        self._asked: float | None = None
        self._answering: float | None = None

    def on_chain_start(self, *_: Any, run_id: UUID, **kwargs: Any) -> None:
        """Note the beginning of the whole, or of a part with a name of its own."""
        name = PARTS.get(kwargs.get("name") or "")
        if kwargs.get("parent_run_id") is None:
            name = "total"
        if name:
            self._runs[run_id] = name, time.perf_counter()

    def on_chain_end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note how long it took."""
        if run_id not in self._runs:
            return
        name, start = self._runs.pop(run_id)
        if name == "total" and self._answering is not None:
            self.seconds["further text"] = time.perf_counter() - self._answering
        self.seconds[name] = time.perf_counter() - start

    def on_chain_error(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """As an end: Ctrl-C is one."""
        self.on_chain_end(run_id=run_id)

    def on_retriever_start(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note the beginning of the retrieval."""
        self._runs[run_id] = "retrieval", time.perf_counter()

    def on_retriever_end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note how long it took."""
        self.on_chain_end(run_id=run_id)

    def on_chat_model_start(self, *_: Any, parent_run_id: UUID | None = None, **__: Any) -> None:
        """Note when the model was first asked for the answer itself."""
        within = self._runs[parent_run_id][0] if parent_run_id in self._runs else "total"
        if self._asked is None and within == "total":
            self._asked = time.perf_counter()

    def on_llm_new_token(self, token: str, **_: Any) -> None:  # type: ignore[override]
        """Note when the first token of the answer came."""
        if token and self._asked is not None and self._answering is None:
            self._answering = time.perf_counter()
            self.seconds["first token"] = self._answering - self._asked
