"""The C library's allocator: what was freed goes back to the system, so that it is not memory of this process."""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""mallopt(3)."""
_ATTRIBUTES_BYTES: Final = 256
"""More than a pthread_attr_t has anywhere (56 on x86-64)."""
_STACK_BYTES: Final = 1024 * 1024
_LARGE_BYTES: Final = 1024 * 1024


def small_stacks() -> None:
    """Threads of native code that are started from now on have stacks of 1 MB in place of 8: they count in full where
    private memory is limited, though hardly any of it is ever touched."""
    library = ctypes.CDLL(None)
    call = getattr(library, "pthread_setattr_default_np", None)
    if call is None:
        return
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
    library.pthread_attr_init(attributes)
    library.pthread_attr_setstacksize(attributes, ctypes.c_size_t(_STACK_BYTES))
    call(attributes)
    library.pthread_attr_destroy(attributes)


def trim() -> None:
    """Gives back what is free: glibc keeps up to 64 MB of it for the next large blocks."""
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if call is not None:
        call(0)


def keep_little(arenas: int) -> None:
    """From now on little is kept for later: threads share so many heaps, and large blocks are given back at once.

    For a process that has a limit. Left to itself glibc has eight heaps a processor, each of which keeps what its
    threads once needed, and takes ever larger blocks from them once such were freed.
    """
    call = getattr(ctypes.CDLL(None), "mallopt", None)
    if call is not None:
        call(_M_ARENA_MAX, arenas)
        call(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        call(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)
