"""Embeddings of a sentence-transformers folder, by ONNX Runtime where that can run it.

The graphs are model_prep's (`model_prep.catalog.onnx_encoder`): one text at a time, on one thread.
Several texts are embedded at once by as many threads as there are cores to use, which wait for
nobody, as those of one matrix product do where another process has their core.
"""

import copy
import errno
import hashlib
import logging
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_prep.catalog.entry import EncoderDtype
from model_prep.catalog.models import find
from model_prep.catalog.onnx_encoder import (
    encoder_graph,
    graph_path,
    preferred_dtype,
    supports,
    token_limit,
    update_with_samples,
    weights_folder,
    write_graph,
)
from model_prep.errors import first_line, is_of_gpu_memory
from model_prep.json_file import optional_json
from rag_app.errors import ModelError
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray
from rag_app.models.embeddings.tokenizer import EncoderTokenizer, Ids
from rag_app.settings import DEFAULTS
from rag_app.surroundings import physical_cores

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from sentence_transformers import SentenceTransformer

_log = logging.getLogger(__name__)

_ERRORS = 3  # what ONNX Runtime logs, by its numbers
_HASHED_WHOLE = 2**25  # bytes of the largest text that a fingerprint reads to its end


class SentenceTransformerEmbeddings(DocumentEmbeddings):
    """A sentence-transformers folder, with the prefixes of its catalog entry if it has one.

    BERT folders go through ONNX Runtime, others through sentence-transformers, which takes seconds
    to import. Either way a question does not wait for passages that are being embedded.

    Args:
        folder: Holds the model.
        name: As the user gave it; says what the prefixes are.
        dtype: Of the matrices where ONNX Runtime multiplies them; by default the catalog's, or
            int8 where the folder holds such a graph. Vectors of both can be compared.
        batch_size: Passages that sentence-transformers takes at once.
        threads: Passages that ONNX Runtime takes at once; by default one for each core.

    Raises:
        ModelError: the folder holds no such model.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        dtype: EncoderDtype | None = None,
        batch_size: int = DEFAULTS.embedding_batch,
        threads: int | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.dtype = dtype
        self.batch_size = batch_size
        self.threads = threads
        self._entry = entry = find(name) or find(folder.name)
        self.query_prefix = entry.query_prefix if entry else ""
        self.passage_prefix = entry.passage_prefix if entry else ""
        self.fingerprint = fingerprint_of(folder, self.query_prefix, self.passage_prefix)
        self._loading = threading.Lock()
        # A tokenizer of transformers can't be used by two threads at once.
        self._passages = threading.Lock()
        self._questions = threading.Lock()

    @cached_property
    def dimension(self) -> int:  # type: ignore[override] # read from the model when it is needed
        """Numbers in one vector."""
        return len(self.embed_query("dimension"))

    @cached_property
    def model(self) -> "SentenceTransformer":
        """The model of sentence-transformers, for folders that ONNX Runtime can't run."""
        from model_prep.process_state import import_sentence_transformers, quiet_transformers

        import_sentence_transformers()
        from sentence_transformers import SentenceTransformer

        try:
            with quiet_transformers():
                return SentenceTransformer(str(self.folder), local_files_only=True)
        except Exception as error:  # whatever a damaged folder makes its readers raise
            raise _unreadable(self.folder, error) from error

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See `DocumentEmbeddings.embed_array`."""
        prefixed = [self.passage_prefix + text for text in texts]
        if self._onnx:
            return self._onnx.encode_all(prefixed)
        with self._passages:
            return _encode(self.model, prefixed, self.batch_size)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""
        prefixed = self.query_prefix + text
        if self._onnx:
            found: list[float] = self._onnx.encode(prefixed).tolist()
            return found
        with self._questions:
            vector: list[float] = self._twin.encode(prefixed).tolist()
        return vector

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens of the model ``texts`` have together."""
        if self._onnx:
            return sum(map(self._onnx.count_tokens, texts))
        count = 0
        for text in texts:  # one by one, lest a question wait for all
            with self._questions:
                count += self._twin.count_tokens(text)
        return count

    @property
    def _onnx(self) -> "OnnxEncoder | None":
        """The encoder of ONNX Runtime, None where it can't run the folder."""
        with self._loading:
            return self._loaded_onnx

    @cached_property
    def max_tokens(self) -> int | None:
        """Tokens of a text, with its prefix, beyond which the model reads nothing."""
        return token_limit(self.folder)

    @cached_property
    def shorter_dimensions(self) -> frozenset[int]:
        """To how many of their first numbers vectors may be cut.

        Those that the model was trained for, as Jina's and Snowflake's say
        (``matryoshka_dimensions``; Kusupati et al., 2022); none where it does not say.
        """
        named = optional_json(self.folder / "config.json").get("matryoshka_dimensions")
        return frozenset(int(length) for length in named or ())

    @cached_property
    def _loaded_onnx(self) -> "OnnxEncoder | None":
        if not supports(self.folder):
            return None
        dtype = self.dtype or preferred_dtype(self.folder, self._entry)
        try:
            return OnnxEncoder(self.folder, dtype, self.threads or physical_cores())
        except ImportError as error:
            _log.warning("%s is run by sentence-transformers: %s", self.folder, error)
            return None
        except Exception as error:  # whatever a damaged folder makes its readers raise
            raise _unreadable(self.folder, error) from error

    @cached_property
    def _twin(self) -> "_ModelTwin":
        with self._passages:
            return _ModelTwin(self.model)


class _ModelTwin:
    """A model for single texts: it shares the weights of another, and not its tokenizer."""

    def __init__(self, model: "SentenceTransformer") -> None:
        weights = [*model.parameters(), *model.buffers()]
        self._model = copy.deepcopy(model, {id(tensor): tensor for tensor in weights})

    def encode(self, text: str) -> FloatArray:
        vector: FloatArray = _encode(self._model, [text], 1)[0]
        return vector

    def count_tokens(self, text: str) -> int:
        return len(self._model.tokenizer(text)["input_ids"])


def _encode(model: "SentenceTransformer", texts: list[str], batch_size: int) -> FloatArray:
    vectors = model.encode(
        texts,
        batch_size=batch_size,
        normalize_embeddings=True,
        show_progress_bar=False,
        convert_to_numpy=True,
    )
    return np.asarray(vectors, np.float32)


class OnnxEncoder:
    """Embeds texts with a BERT folder of sentence-transformers; any number of threads may use it.

    Args:
        folder: Is what `model_prep.catalog.onnx_encoder.supports` accepts.
        dtype: The dtype of the matrices; the graph is made where there is none yet.
        threads: Texts embedded at once.
    """

    def __init__(self, folder: Path, dtype: EncoderDtype, threads: int) -> None:
        self.threads = threads
        self._session = _session(folder, dtype)
        self._tokenizer = EncoderTokenizer(folder / "tokenizer.json")
        self._limit = token_limit(folder) or sys.maxsize

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
    except Exception as error:
        if _is_of_memory(error):
            raise
        # A damaged graph; if the weights are, the second attempt fails too.
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
        if _is_of_memory(error):
            raise
        path = graph_path(folder, dtype)
        _log.warning("%s can't be kept (%s), so it is made at every start", path, error.strerror)
        return encoder_graph(folder, dtype)


def fingerprint_of(folder: Path, *prefixes: str) -> str:
    """Return a hash of what decides the vectors, without reading all the weights.

    Configuration and tokenizer are hashed in full; of each weights file its size, its first and
    last megabyte and one in the middle: a different model or training differs in all of them.
    """
    digest = hashlib.sha256(repr(prefixes).encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix not in (".json", ".safetensors", ".bin", ".txt", ".model"):
            continue
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}:{size}".encode())
        if file.suffix in (".json", ".txt", ".model") and size <= _HASHED_WHOLE:
            digest.update(file.read_bytes())
        else:
            update_with_samples(digest, file)
    return digest.hexdigest()


def _is_of_memory(error: Exception) -> bool:
    of_system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    of_process = isinstance(error, MemoryError) or "bad_alloc" in str(error)
    return of_system or of_process or is_of_gpu_memory(error)


def _unreadable(folder: Path, error: Exception) -> ModelError:
    if _is_of_memory(error):
        return ModelError(f"{folder} finds no memory; end other programs, or raise the limit of it")
    reason = first_line(error)
    msg = f"{folder} is damaged or not an embedding model ({reason}); pull or copy it again"
    return ModelError(msg)
