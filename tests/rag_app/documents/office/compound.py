"""OLE files (MS-CFB), written by hand."""

import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

_NONE, _END, _FREE, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


class _Entry(NamedTuple):
    name: str
    kind: int
    kids: dict[str, int]
    data: bytes


def compound_file(streams: Mapping[str, bytes]) -> bytes:
    """A file of these streams; a name may lie in a storage: ``storage/stream``."""
    entries = [_Entry("Root Entry", 5, {}, b"")]
    for path, data in streams.items():
        at = 0
        *storages, name = path.split("/")
        for storage in storages:
            kids = entries[at].kids
            if storage not in kids:
                kids[storage] = len(entries)
                entries.append(_Entry(storage, 1, {}, b""))
            at = kids[storage]
        entries[at].kids[name] = len(entries)
        entries.append(_Entry(name, 2, {}, data))
    mini = b""
    mini_fat: list[int] = []
    starts: list[int] = []
    for _, kind, _, data in entries:
        starts.append(len(mini) // 64 if kind == 2 and data else _END)
        size = -(-len(data) // 64)
        mini_fat += [len(mini_fat) + step + 1 for step in range(size - 1)] + [_END] * bool(size)
        mini += data.ljust(size * 64, b"\0")
    assert all(len(data) < 4096 for *_, data in entries)
    directory = b""
    right: dict[int, int] = {}
    for *_, kids, _ in entries:
        numbers = _sorted(kids)
        right.update(pairwise(numbers))
    for number, (name, kind, kids, data) in enumerate(entries):
        text = name.encode("utf-16-le") + b"\0\0"
        first = next(iter(_sorted(kids)), _NONE)
        start, size = (0, len(mini)) if number == 0 else (starts[number], len(data))
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ",
            *(text, len(text), kind, 1, _NONE, right.get(number, _NONE), first, b"", 0, 0, 0),
            *(start, size),
        )
    parts = [mini, directory, struct.pack(f"<{len(mini_fat)}I", *mini_fat)]
    fat: list[int] = []
    first_sectors: list[int] = []
    for part in parts:
        first_sectors.append(len(fat))
        size = -(-len(part) // 512)
        fat += [len(fat) + step + 1 for step in range(size - 1)] + [_END] * bool(size)
    fat_at = len(fat)
    fat.append(_FAT)
    assert len(fat) <= 128
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, 1),
        *(first_sectors[1], 0, 4096, first_sectors[2], -(-len(parts[2]) // 512), _END, 0, fat_at),
    )
    header += struct.pack("<I", _FREE) * 108
    table = parts.pop()
    body = b"".join(part.ljust(-(-len(part) // 512) * 512, b"\0") for part in parts)
    body += table.ljust(-(-len(table) // 512) * 512, b"\xff")
    return header + body + struct.pack("<128I", *fat, *[_FREE] * (128 - len(fat)))


def _sorted(kids: Mapping[str, int]) -> list[int]:
    """The entries in a storage in the order of MS-CFB, 2.6.4."""
    return [kids[name] for name in sorted(kids, key=lambda name: (len(name), name.upper()))]
