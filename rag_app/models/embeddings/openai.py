"""Embeddings of an OpenAI-compatible server, through langchain-openai."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import SecretStr

from rag_app.errors import ModelError
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, normalized
from rag_app.settings import DEFAULTS

if TYPE_CHECKING:
    from langchain_openai import OpenAIEmbeddings


class CompatibleEmbeddings(DocumentEmbeddings):
    """An OpenAI-compatible server; its model's name, if several, follows the URL after ``#``."""

    def __init__(
        self, url: str, *, batch_size: int = DEFAULTS.embedding_batch, api_key: str | None = None
    ) -> None:
        from rag_app.models.llms.openai import NO_KEY

        self.name = url
        self._url, _, model = url.partition("#")
        self._model = model or "default"
        self._batch_size = batch_size
        self._key = api_key or NO_KEY
        self.dimension = len(self.embed_query("dimension"))
        identity = f"{self._url}#{self._model}/{self.dimension}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    @cached_property
    def _client(self) -> "OpenAIEmbeddings":
        from langchain_openai import OpenAIEmbeddings

        from rag_app.models.llms.load_balancer import check_proxies

        check_proxies()
        return OpenAIEmbeddings(
            base_url=self._url,
            model=self._model,
            api_key=SecretStr(self._key),
            chunk_size=self._batch_size,
            # Strings are sent as they are: token ids mean something to OpenAI's own models only.
            check_embedding_ctx_length=False,
        )

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See `DocumentEmbeddings.embed_array`."""
        import openai

        from rag_app.models.llms.openai import without_key

        try:
            try:
                rows = self._client.embed_documents(list(texts))
            except openai.BadRequestError as error:
                if error.code != "context_length_exceeded":
                    raise
                # Only some servers know how to cut, so they are told only where it is needed.
                rows = self._client.embed_documents(list(texts), extra_body={"truncate": True})
            return normalized(np.asarray(rows, np.float32))
        except openai.OpenAIError as error:
            reason = without_key(str(error), self._key)
            raise ModelError(
                f"{self._url} gave no embeddings ({reason}); "
                "check the URL, RAG_APP_LLM_API_KEY and the server"
            ) from error
