"""BERT encoders by ONNX Runtime, without PyTorch.

The graphs are model_prep's (`model_prep.catalog.onnx_encoder`): one text at a time, on one thread.
Several texts are embedded at once by as many threads as there are cores to use, which wait for
nobody, as those of one matrix product do where another process has their core.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_prep.catalog.entry import EncoderDtype
from model_prep.catalog.onnx_encoder import (
    encoder_graph,
    graph_path,
    token_limit,
    weights_folder,
    write_graph,
)
from rag_app.models.embeddings.base import FloatArray
from rag_app.models.embeddings.tokenizer import EncoderTokenizer, Ids

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_log = logging.getLogger(__name__)

_ERRORS = 3
"""What ONNX Runtime logs, by its numbers."""


class OnnxEncoder:
    """Embeds texts with a BERT folder of sentence-transformers; any number of threads may use it.

    Args:
        folder: Is what `model_prep.catalog.onnx_encoder.supports` accepts.
        dtype: Of the matrices; the graph is made where there is none yet.
        threads: Texts embedded at once.
    """

    def __init__(self, folder: Path, dtype: EncoderDtype, threads: int) -> None:
        self.threads = threads
        self._session = _session(folder, dtype)
        self._tokenizer = EncoderTokenizer(folder / "tokenizer.json")
        self._limit = token_limit(folder)

    def encode(self, text: str) -> FloatArray:
        """Return the vector of ``text``, float32 ``[hidden]``, L2-normalized."""
        [ids] = self._tokenizer.ids([text], self._limit)
        return self._vector(ids)

    def encode_all(self, texts: Sequence[str]) -> FloatArray:
        """Return the vectors of ``texts``, float32 ``[len(texts), hidden]``, L2-normalized."""
        ids = self._tokenizer.ids(texts, self._limit)
        with ThreadPoolExecutor(self.threads) as pool:
            return np.array(list(pool.map(self._vector, ids)))

    def count_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` has, however long it is."""
        return self._tokenizer.count(text)

    def _vector(self, ids: Ids) -> FloatArray:
        vector: FloatArray = self._session.run(["vector"], {"input_ids": ids})[0]
        return vector


def _session(folder: Path, dtype: EncoderDtype) -> "InferenceSession":
    try:
        return _opened(_graph(folder, dtype), folder)
    except Exception:  # a damaged graph; if the weights are, the second attempt fails too
        graph_path(folder, dtype).unlink(missing_ok=True)
        return _opened(_graph(folder, dtype), folder)


def _opened(graph: bytes, folder: Path) -> "InferenceSession":
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(weights_folder(folder))
    )
    return InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _graph(folder: Path, dtype: EncoderDtype) -> bytes:
    try:
        return write_graph(folder, dtype).read_bytes()
    except OSError as error:
        path = graph_path(folder, dtype)
        _log.warning("%s can't be kept (%s), so it is made at every start", path, error.strerror)
        return encoder_graph(folder, dtype)
