"""What signed mails hold within their signature (S/MIME, RFC 8551; CMS, RFC 5652, in BER)."""

from collections.abc import Iterator
from typing import NamedTuple

_SIGNED = bytes.fromhex("2a864886f70d010702")  # object identifier of signed data
_OCTETS, _CONSTRUCTED, _INDEFINITE = 0x04, 0x20, 0x80
_DEEPEST = 30


class _Element(NamedTuple):
    tag: int
    start: int  # where its content begins
    stop: int
    after: int  # where the next element begins


def signed_content(data: bytes) -> bytes | None:
    """Return the message in signed data, whose signature is not checked; None if it is none."""
    try:
        kind, *rest = _inner(data, _element(data, 0))
        if data[kind.start : kind.stop] != _SIGNED or not rest:
            return None
        signed = next(_inner(data, rest[0]))
        _, _, holder, *_ = _inner(data, signed)  # after version and algorithms
        _, *content = _inner(data, holder)
        return _octets(data, next(_inner(data, content[0]))) if content else None
    except (IndexError, ValueError, StopIteration):
        return None


def _element(data: bytes, at: int, depth: int = 0) -> _Element:
    """Return the element at a place.

    Raises:
        ValueError: it is too deep, or goes beyond the end.
    """
    tag, length, start = data[at], data[at + 1], at + 2
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if length == _INDEFINITE:
        at = start
        while data[at : at + 2] != b"\0\0":
            at = _element(data, at, depth + 1).after
        return _Element(tag, start, at, at + 2)
    if length > _INDEFINITE:
        width = length - _INDEFINITE
        length, start = int.from_bytes(data[start : start + width]), start + width
    if start + length > len(data):
        raise ValueError("goes beyond the end")
    return _Element(tag, start, start + length, start + length)


def _inner(data: bytes, element: _Element) -> Iterator[_Element]:
    at = element.start
    while at < element.stop:
        found = _element(data, at)
        yield found
        at = found.after


def _octets(data: bytes, element: _Element) -> bytes:
    """Return a string of bytes, which may be in pieces."""
    if element.tag == _OCTETS | _CONSTRUCTED:
        return b"".join(data[piece.start : piece.stop] for piece in _inner(data, element))
    return data[element.start : element.stop]
