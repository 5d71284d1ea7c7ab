"""Cross-encoders, which read a question and a passage together and say how well they fit."""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import Document
from langchain_core.documents.compressor import BaseDocumentCompressor
from pydantic import PrivateAttr

from model_prep.errors import CheckpointError, first_line
from model_prep.json_file import optional_json, read_json
from rag_app.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 8  # pairs that are read at once


class CrossEncoderReranker(BaseDocumentCompressor):
    """A folder of a cross-encoder with one score, as sentence-transformers loads them.

    It is loaded when it is first used, and reads as much of a text as it has room for. As a
    LangChain compressor it puts passages in order and leaves none out.

    Raises:
        ModelError: the folder holds no such model; on use, it is damaged.
    """

    folder: Path

    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _reading: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    """A tokenizer is used by one thread at a time."""

    def model_post_init(self, context: Any) -> None:
        """Look at the folder."""
        super().model_post_init(context)
        _check(self.folder)

    @property
    def name(self) -> str:
        """The model's name without the server's folders."""
        return self.folder.name

    def scores(
        self, query: str, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> list[float]:
        """Return for each text how well it answers a question, 0 to 1."""
        from torch.nn import Sigmoid

        found = [0.0] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            pairs = [(query, texts[i]) for i in rows]
            with self._reading:
                # Of a folder's own choice some would give logits.
                values = self._model.predict(
                    pairs, batch_size=_BATCH, activation_fn=Sigmoid(), show_progress_bar=False
                )
            for row, value in zip(rows, values, strict=True):
                found[row] = float(value)
            if progress is not None:
                progress(len(rows))
        return found

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens of the model ``texts`` have together."""
        with self._reading:
            return sum(
                len(self._model.tokenizer(text, verbose=False)["input_ids"]) for text in texts
            )

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - nothing of it is a run of its own
    ) -> list[Document]:
        """Return passages best first, with their ``rerank_score`` in the metadata."""
        scores = self.scores(query, [document.page_content for document in documents])
        told = [
            document.model_copy(update={"metadata": {**document.metadata, "rerank_score": score}})
            for document, score in zip(documents, scores, strict=True)
        ]
        return sorted(told, key=lambda document: -document.metadata["rerank_score"])

    @property
    def _model(self) -> "CrossEncoder":
        with self._loading:
            return self._loaded

    @cached_property
    def _loaded(self) -> "CrossEncoder":
        from model_prep.process_state import import_sentence_transformers, quiet_transformers

        import_sentence_transformers()
        from sentence_transformers import CrossEncoder

        try:
            with quiet_transformers():
                return CrossEncoder(str(self.folder), local_files_only=True)
        except Exception as error:  # whatever a damaged folder makes its readers raise
            msg = f"reranker {self.folder} can't be loaded ({first_line(error)}); copy it again"
            raise ModelError(msg) from error


def _check(folder: Path) -> None:
    """Say whether a folder holds a cross-encoder with one score; transformers would make do.

    Raises:
        ModelError: no.
    """
    try:
        config = read_json(folder / "config.json")
        saved = optional_json(folder / "config_sentence_transformers.json")
    except CheckpointError as error:
        msg = f"{folder} holds no cross-encoder: it has no config.json that can be read"
        raise ModelError(msg) from error
    architecture = (config.get("architectures") or [""])[0]
    if saved.get("model_type") != "CrossEncoder" and not architecture.endswith(
        "ForSequenceClassification"
    ):
        raise ModelError(
            f"{folder} holds no cross-encoder but {architecture or 'another model'}; a reranker "
            "reads question and passage together, such as bge-reranker-v2-m3"
        )
    labels = len(config.get("id2label") or (0, 1))  # transformers leaves out that there are two
    if architecture.endswith("ForSequenceClassification") and labels != 1:
        raise ModelError(f"{folder} distinguishes {labels} classes; a reranker gives one score")
