"""Models of LangChain's provider packages, named ``provider:model`` as in ``openai:gpt-4o``."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from rag_app.errors import ModelError

LOCAL = "huggingface"
"""The provider whose models are loaded as folders are: from this machine."""

# A drive of Windows has one letter. After a provider comes neither the rest of a URL nor a port.
_SPEC = re.compile(r"([a-z][a-z0-9_-]+):(?!//|\\|\d+(?:/|$))(.+)")
_INSTALL = re.compile(r"pip install [\w.\[\],-]+")


def split_provider(spec: str) -> tuple[str, str] | None:
    r"""Return the provider and the model that ``spec`` names; None where it is something else.

    Example:
        >>> split_provider("ollama:qwen2.5:7b")
        ('ollama', 'qwen2.5:7b')
        >>> [split_provider(spec) for spec in (r"C:\models", "http://host/v1", "host:8000/v1")]
        [None, None, None]
    """
    found = _SPEC.fullmatch(spec)
    return (found[1], found[2]) if found else None


@contextmanager
def provider_errors(spec: str, *, key: str = "") -> Iterator[None]:
    """Turn what a provider's package raises while a model is made into one line.

    Args:
        spec: As the user wrote it.
        key: Left out of the message.

    Raises:
        ModelError: the package is missing, the provider is unknown, or it wants other options.
    """
    try:
        yield
    except ImportError as error:
        install = _INSTALL.search(str(error))
        msg = f"{spec} needs a package that is not here; run: {install[0] if install else error}"
        raise ModelError(msg) from error
    except ValidationError as error:  # its text would repeat the values, and one may be a key
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"{spec} can't be used ({where}: {first['msg']})"
        raise ModelError(msg) from error
    except Exception as error:  # whatever a package raises: a missing key, an unknown provider
        reason = " ".join(str(error).split())
        if key:
            reason = reason.replace(key, "***")
        msg = f"{spec} can't be used ({reason})"
        raise ModelError(msg) from error
