"""SlateDB's bindings for this process, which `uniffi` has generated, and what they need to be fast.

They copy bytes one at a time: 158 µs for a put of 1 KB. So what hands bytes over is replaced here by copies of whole
buffers (8 µs), which goes by the insides of the bindings: of exactly the version that is asked for.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import struct
import threading
from typing import Any, Final

from lutra.kernels.forks import begin_child
from lutra.model.errors import ForkedProcess, ParameterInvalid

VERSION: Final = "0.17.0"

_loading = threading.Lock()
_library: Any = None
_is_the_parents = False


def library() -> Any:
    """SlateDB's bindings, ready for `lutra.kv.slatedb.calls`.

    Raises ParameterInvalid where they are not installed, or another version of them; ForkedProcess in a process that
    was forked from one that uses them, whose threads it lacks.
    """
    global _library
    if _is_the_parents:
        raise ForkedProcess(
            "this process was forked from one that has rows on an object store open, and cannot open such itself: "
            "start it anew (multiprocessing's 'spawn'), or fork before anything is opened"
        )
    if _library is None:
        with _loading:
            if _library is None:
                _library = _loaded()
    return _library


def _loaded() -> Any:
    from importlib import metadata  # takes 10 ms to load

    try:
        version = metadata.version("slatedb")
    except metadata.PackageNotFoundError:
        raise ParameterInvalid("rows on an object store need SlateDB: pip install 'lutra[cluster]'") from None
    if version != VERSION:
        raise ParameterInvalid(f"rows on an object store need slatedb {VERSION}; {version} is installed")
    # Of all databases of the process: they wait for the object store, and merge tables.
    os.environ.setdefault("SLATEDB_UNIFFI_RUNTIME_THREADS", str(max(2, min(8, os.cpu_count() or 2))))
    bindings = importlib.import_module("slatedb.uniffi._slatedb_uniffi.slatedb")
    _hand_over_whole_buffers(bindings)
    from lutra.kv.slatedb.calls import Loop

    bindings.uniffi_set_event_loop(Loop())
    return bindings


def _hand_over_whole_buffers(bindings: Any) -> None:
    buffer, status_of = bindings._UniffiRustBuffer, bindings._UniffiRustCallStatus
    allocate = bindings._UniffiLib.ffi_slatedb_uniffi_rustbuffer_alloc
    length_of = struct.Struct(">i").pack
    memmove, byref, address_of = ctypes.memmove, ctypes.byref, ctypes.addressof

    def write(builder: Any, value: bytes) -> None:
        """As the builder's own: appends ``value``."""
        with builder._reserve(len(value)):
            memmove(address_of(builder.rbuf.data.contents) + builder.rbuf.len, bytes(value), len(value))

    def pack_into(builder: Any, size: int, layout: str, value: Any) -> None:
        write(builder, struct.pack(layout, value))

    def lower(value: bytes) -> Any:
        """A buffer with the length of ``value``, and ``value``."""
        status = status_of()
        size = len(value) + 4
        lowered = allocate(size, byref(status))
        if status.code:
            bindings._uniffi_check_call_status(None, status)
        memmove(lowered.data, length_of(size - 4) + value, size)
        lowered.len = size
        return lowered

    assert buffer._fields_[1][0] == "len"
    bindings._UniffiRustBufferBuilder.write = write
    bindings._UniffiRustBufferBuilder._pack_into = pack_into
    bindings._UniffiFfiConverterBytes.lower = staticmethod(lower)


def _begin_child() -> None:
    global _loading, _is_the_parents
    _loading = threading.Lock()
    if _library is not None:
        _is_the_parents = True
        begin_child()


os.register_at_fork(after_in_child=_begin_child)
