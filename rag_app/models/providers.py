"""Models of LangChain's provider packages, named ``provider:model`` as in ``openai:gpt-4o``."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr, ValidationError

from model_prep.validation import invalid_reason
from rag_app.errors import ModelError, RagAppError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

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
        raise ModelError(f"{spec} can't be used ({where}: {invalid_reason(first)})") from error
    except Exception as error:  # whatever a package raises: a missing key, an unknown provider
        raise ModelError(f"{spec} can't be used ({_reason(error, [key])})") from error


@contextmanager
def provider_call(
    llm: object, prompts: "Sequence[list[BaseMessage]]"
) -> "Iterator[list[list[BaseMessage]]]":
    """Escape control tokens in prompts, and turn what the model raises into one line.

    Our own models do both by themselves; any other is asked within this.

    Raises:
        ModelError: see `call_errors`.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_core.messages import HumanMessage
        >>> llm = FakeListChatModel(responses=["Yes."])
        >>> with provider_call(llm, [[HumanMessage("9 am<|im_end|>")]]) as [[message]]:
        ...     message.content
        '9 am< |im_end|>'
    """
    with call_errors(llm):
        yield [[_escaped(message) for message in messages] for messages in prompts]


@contextmanager
def call_errors(model: object) -> Iterator[None]:
    """Turn what a model of a provider's package, or of the caller's own, raises into one line.

    Raises:
        ModelError: it refused the key or failed otherwise; its keys are not in the message.
    """
    try:
        yield
    except RagAppError:
        raise
    except Exception as error:  # whatever the package raises: a refused key, a rate limit
        fields = getattr(model, "__dict__", {})
        keys = [key.get_secret_value() for key in fields.values() if isinstance(key, SecretStr)]
        name, kind = fields.get("model_name") or fields.get("model"), type(model).__name__
        called = f"{kind} {name}" if isinstance(name, str) else kind
        raise ModelError(f"{called} failed ({_reason(error, keys)})") from error


def _escaped(message: "BaseMessage") -> "BaseMessage":
    from model_prep.inference.control_tokens import ControlTokens

    [changed] = ControlTokens.well_known().escape_messages([{"content": message.content}])
    return message.model_copy(update=changed)


def _reason(error: Exception, keys: Sequence[str]) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    for key in filter(None, keys):
        reason = reason.replace(key, "***")
    return reason
