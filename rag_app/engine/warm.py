"""Passages that the language model reads ahead of questions, so that they are kept on disk.

The first passage of each document comes first, then the second: what is asked most is not known.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rag_app.errors import SettingsError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag_app.chains.prompts import Prompts
    from rag_app.index.store.interface import DocumentStore

Progress = Callable[[int, int], None]
"""Called with the passages done and their number."""


def warm(
    store: "DocumentStore",
    llm: "BaseChatModel",
    prompts: "Prompts",
    *,
    limit: int,
    progress: Progress | None = None,
) -> int:
    """Have ``llm`` read up to ``limit`` passages of an index; return how many.

    Those that are kept already take no time.

    Raises:
        IndexStoreError: there is no index, or it can't be read.
        ModelError: the model fails.
        SettingsError: what this model reads can't be kept.
    """
    from langchain_core.documents import Document

    from rag_app.chains.citations import cite
    from rag_app.documents.text import language_of

    if not getattr(llm, "keeps_prompts", False):
        msg = "only what a .gguf file reads in this process is kept; see --llm and --cache-size"
        raise SettingsError(msg)
    with store.read() as snapshot:
        chunks = snapshot.first_chunks(limit)
    for done, chunk in enumerate(chunks, 1):
        (citation,) = cite([Document(page_content=chunk.text, metadata=chunk.metadata())])
        language = language_of(chunk.text)
        messages = prompts.messages("answer", language, context=citation.shown, question="")
        llm.bind(max_tokens=1).invoke(messages)
        if progress:
            progress(done, len(chunks))
    return len(chunks)
