"""Proxies of the environment, which are for what lies beyond this machine."""

import os
from collections.abc import MutableMapping

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def spare_loopback(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let HTTP clients reach this machine directly, whatever proxies the environment names.

    Without a proxy nothing is set: where ``NO_PROXY`` is, that of the system is no longer looked
    for.

    Example:
        >>> environment = {"HTTP_PROXY": "http://10.0.0.1:7890", "NO_PROXY": "intranet"}
        >>> spare_loopback(environment)
        >>> environment["NO_PROXY"]
        'intranet,localhost,127.0.0.1,::1'
    """
    if not any(environment.get(form) for name in _PROXIES for form in (name, name.upper())):
        return
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host for host in (part.strip() for part in named.split(",")) if host]
    if "*" not in hosts:
        hosts += [host for host in _LOOPBACK if host not in hosts]
    # Some clients read the one, some the other.
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)
