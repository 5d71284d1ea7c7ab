"""API keys of the server: what may be done with each, and the files that hold them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from rag_app.errors import SettingsError

_INDEX = "index:"


@dataclass(frozen=True)
class ApiKey:
    """A key, and what may be done with it.

    Attributes:
        secret: What is sent.
        name: What the log calls it.
        can_write: Whether indexes and documents may be made, changed and deleted with it.
        indexes: Names of those that it opens; None is all.

    Example:
        >>> key = ApiKey.parse("sales sk-1234 read index:合同")
        >>> key.name, key.can_write, key.opens("合同"), key.opens("default")
        ('sales', False, True, False)
    """

    secret: SecretStr
    name: str = ""
    can_write: bool = True
    indexes: frozenset[str] | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the key of a line: ``KEY``, or ``NAME KEY [read|write] [index:NAME …]``.

        Raises:
            SettingsError: it is none; the message does not repeat it.
        """
        words = line.split()
        if len(words) == 1:
            return cls(SecretStr(words[0]))
        name, secret, *scopes = words
        indexes = {scope.removeprefix(_INDEX) for scope in scopes if scope.startswith(_INDEX)}
        rights = [scope for scope in scopes if not scope.startswith(_INDEX)]
        if rights not in ([], ["read"], ["write"]) or "" in indexes:
            msg = f"the key of {name} has a scope other than read, write and index:NAME"
            raise SettingsError(msg)
        return cls(SecretStr(secret), name, rights != ["read"], frozenset(indexes) or None)

    @classmethod
    def of(cls, key: "ApiKey | str") -> "ApiKey":
        """Return a key as it is, or the text of one with nothing forbidden.

        Raises:
            SettingsError: it is empty.
        """
        found = key if isinstance(key, ApiKey) else cls(SecretStr(key.strip()))
        if not found.secret.get_secret_value().strip():
            msg = "an API key is empty; give --api-key KEY (or RAG_APP_API_KEY), or leave it out"
            raise SettingsError(msg)
        return found

    def opens(self, index: str) -> bool:
        """Return whether an index may be used with it."""
        return self.indexes is None or index in self.indexes


def read_keys(file: Path) -> list[ApiKey]:
    """Return the keys of a file, one in a line; see `ApiKey.parse`. A # begins a comment.

    Raises:
        SettingsError: it can't be read, holds none, or a line is wrong.
    """
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"the key file {file} can't be read ({reason}); check --api-key-file"
        raise SettingsError(msg) from error
    keys = [ApiKey.parse(line) for line in lines if line.strip() and not line.startswith("#")]
    if not keys:
        msg = f"the key file {file} holds no key; write one in each line"
        raise SettingsError(msg)
    return keys
