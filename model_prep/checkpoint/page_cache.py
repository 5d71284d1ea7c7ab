"""Memory that only mirrors a file, given back to the system."""

import ctypes
import mmap
import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")


def forget(data: memoryview) -> None:
    """Give back the memory of ``data`` where it maps a file; touched again, it is read again.

    Pages of a mapped file count as resident until then. Whatever else ``data`` may be, and on
    systems other than Linux, nothing is done.
    """
    if not data.nbytes or not sys.platform.startswith("linux"):
        return
    begin = ctypes.addressof(ctypes.c_char.from_buffer(data))
    inside = _within_a_mapped_file(begin, begin + data.nbytes)
    first = -(-inside.start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = inside.stop // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        libc = ctypes.CDLL(None)
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _within_a_mapped_file(begin: int, end: int) -> range:
    """Return what of these addresses lies in one mapping of a file; heap memory would be zeroed.

    Format of the list: proc_pid_maps(5): ``begin-end permissions offset device inode path``.
    """
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, _, _, _, inode, *_ = line.split()
        low, high = (int(one, 16) for one in addresses.split("-"))
        if low <= begin < high:
            return range(begin, min(end, high)) if inode != "0" else range(0)
    return range(0)
