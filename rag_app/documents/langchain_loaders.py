"""Any loader of ``langchain-community``, or of any package, by its name."""

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from rag_app.documents.text import clean, shown
from rag_app.errors import DocumentError

_COMMUNITY = "langchain_community.document_loaders"

Loader = str | Callable[[str], BaseLoader]
"""The name of a loader class, or what makes a loader of a path, such as the class itself."""


def loader_name(loader: Loader) -> str:
    """Return the name that a loader is reported by."""
    return loader if isinstance(loader, str) else getattr(loader, "__qualname__", repr(loader))


def load_with(loader: Loader, path: str | Path, **kwargs: Any) -> list[Document]:
    """Load ``path`` with a loader class that this package does not have.

    Args:
        loader: A class of ``langchain_community.document_loaders`` such as
            ``UnstructuredRTFLoader``, ``package.module:Class``, or what makes a loader of a path.
        path: What the loader takes first: a path, often a URL.
        kwargs: Its other arguments.

    Returns:
        Its documents, without control characters, each with a ``source``.

    Raises:
        DocumentError: there is no such loader, or it can't load the path.
    """
    name = loader_name(loader)
    make: Callable[..., BaseLoader] = _loader_class(loader) if isinstance(loader, str) else loader
    try:
        documents = make(str(path), **kwargs).load()
    except Exception as error:  # any third party's
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DocumentError(f"{name} can't load {shown(path)} ({shown(reason)})") from error
    source = str(Path(path).resolve()) if Path(path).exists() else str(path)
    return [
        Document(
            page_content=clean(document.page_content),
            metadata={"source": source, "loader": name, **document.metadata},
        )
        for document in documents
    ]


def load_whole(loader: Loader, path: str | Path) -> Document:
    """Load ``path`` as `load_with` does, as the one document that the index takes.

    Its parts, which many loaders make of pages, are joined; ``page_starts`` says where each begins.

    Raises:
        DocumentError: there is no such loader, it can't load the path, or finds no text.
    """
    name = loader_name(loader)
    parts = [document.page_content.strip() for document in load_with(loader, path)]
    if not any(parts):
        raise DocumentError(f"{name} found no text in {shown(path)}")
    starts, text = [], ""
    for part in parts:
        starts.append(len(text))
        text += part + "\n\n"
    pages = starts if len(starts) > 1 else []
    metadata = {"source": str(Path(path).resolve()), "loader": name, "encoding": None}
    return Document(page_content=text.rstrip(), metadata={**metadata, "page_starts": pages})


def _loader_class(name: str) -> type[BaseLoader]:
    module_name, _, class_name = name.rpartition(":")
    try:
        with warnings.catch_warnings():
            # langchain-community says at import that it is no longer developed.
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importlib.import_module(module_name or _COMMUNITY)
            found = getattr(module, class_name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = missing == "langchain_community"
        advice = "pip install 'rag-app[community]'" if extra else f"pip install {missing}"
        msg = f"the loader {name} needs the package {missing}, not installed; run: {advice}"
        raise DocumentError(msg) from error
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        msg = f"there is no loader {name} ({error}); name a class of {_COMMUNITY} or module:Class"
        raise DocumentError(msg) from error
    if not (isinstance(found, type) and issubclass(found, BaseLoader)):
        msg = f"{name} is not a LangChain document loader; name a class of {_COMMUNITY}"
        raise DocumentError(msg)
    return found
