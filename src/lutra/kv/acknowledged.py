"""The number of the last write that was acknowledged, beside the store, so that one that is missing is noticed.

A log that is gone, or that ends early at a record's end, is to RocksDB a store to which less was written. This number
is put down after each commit, without an fsync: what is lost of it in a power cut makes it a lower bound, and it never
says more than the log has on stable storage. It survives the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from pathlib import Path
from typing import Final

FILE: Final = "ACKNOWLEDGED"
_SLOT: Final = struct.Struct("<QQ")
_SLOTS: Final = 2
"""Written in turn, so that one is whole at every instant."""
_ALL_ONES: Final = (1 << 64) - 1
_pwrite: Final = ctypes.PyDLL(None).pwrite
"""That keeps the interpreter's lock: `os.pwrite` lets go of it for a microsecond, and who commits for 32 writers then
waits for it behind them (5 % fewer writes a second)."""
_pwrite.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int64)
_pwrite.restype = ctypes.c_ssize_t


class Acknowledged:
    """The file, kept open. Its owner sees to it that one thread at a time uses it."""

    def __init__(self, folder: Path) -> None:
        """Made where there is none, durably, but for its entry in ``folder``. Raises OSError."""
        self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._turn = 0
        if os.fstat(self._file).st_size != _SLOTS * _SLOT.size:
            os.pwrite(self._file, b"\0" * _SLOTS * _SLOT.size, 0)
            os.ftruncate(self._file, _SLOTS * _SLOT.size)
            os.fsync(self._file)

    def note(self, sequence: int) -> None:
        """Of a write that is on stable storage. A disk that refuses leaves the number that was there."""
        self._turn = (self._turn + 1) % _SLOTS
        _pwrite(self._file, _SLOT.pack(sequence, sequence ^ _ALL_ONES), _SLOT.size, self._turn * _SLOT.size)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)


def last_acknowledged(folder: Path) -> int:
    """At least so many writes the store in ``folder`` has; 0 where nobody has put that down. Raises OSError."""
    try:
        data = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return 0
    slots = _SLOT.iter_unpack(data) if len(data) == _SLOTS * _SLOT.size else ()
    return max((sequence for sequence, check in slots if sequence ^ check == _ALL_ONES), default=0)
