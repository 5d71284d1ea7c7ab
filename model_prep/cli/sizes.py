"""Sizes in bytes, as people write them."""

import re

from model_prep.errors import UsageError

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_size(text: str) -> int:
    """Return the bytes of ``5GB``, ``500 MB``, ``2GiB`` or plain digits.

    Raises:
        UsageError: it is no such size, or zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]I?B|)", text.strip().upper())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 1:
        msg = f"{text!r} is no size; write it as 5GB, 500MB or 2GiB"
        raise UsageError(msg)
    return size
