"""Reads of a SlateDB database, or of a snapshot of one: by key, and scans in chunks, without what is hidden."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast

from lutra.kv.slatedb.calls import call, call_many
from lutra.kv.slatedb.hidden import RESERVED, HiddenRanges, Row
from lutra.kv.slatedb.library import library
from lutra.kv.store import Pair
from lutra.model.errors import LutraError

GETS_AT_ONCE: Final = 32
_CHUNK_PAIRS: Final = 256
_LONG_PAIRS: Final = 4_096
"""A scan that has come so far reads ahead by more, and leaves the cache to others."""
_ANEW_S: Final = 60.0
"""An iterator reads tables that there were when it was made. It is made anew long before they may be deleted."""
_AHEAD_BYTES: Final = 128 * 1024
_LONG_AHEAD_BYTES: Final = 2 * 1024 * 1024

FailureOf = Callable[[str, Exception], LutraError]


class SlateReads:
    """``source``: the bindings' database, reader or snapshot. ``hidden``: gives what is hidden in it now.

    ``only_durable``: what is on the object store, and not what was written and is on its way there. Whoever was shown
    that would have seen what nobody finds again, where this writer is cut off, and another goes on without it.
    """

    def __init__(
        self,
        source: Any,
        hidden: Callable[[], HiddenRanges],
        failure: FailureOf,
        wait_s: float,
        *,
        only_durable: bool = False,
    ) -> None:
        self._source = source
        levels = library().DurabilityLevel
        self._level = levels.REMOTE if only_durable else levels.MEMORY
        self._options = library().ReadOptions(durability_filter=self._level, dirty=False, cache_blocks=True)
        self._hidden = hidden
        self._failure = failure
        self._wait_s = wait_s

    def get(self, key: bytes) -> bytes | None:
        hidden = self._hidden()
        try:
            if not hidden or not hidden.touches(key):
                return cast(
                    "bytes | None", call(self._source.get_with_options(key, self._options), wait_s=self._wait_s)
                )
            found = call(self._source.get_key_value_with_options(key, self._options), wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("read", error) from error
        return None if found is None or hidden.hides(key, found.seq) else cast(bytes, found.value)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        hidden, source, options = self._hidden(), self._source, self._options
        try:
            if not hidden or not any(map(hidden.touches, keys)):
                gets = (source.get_with_options(key, options) for key in keys)
                return call_many(gets, GETS_AT_ONCE, wait_s=self._wait_s)
            pairs = (source.get_key_value_with_options(key, options) for key in keys)
            found = call_many(pairs, GETS_AT_ONCE, wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("read", error) from error
        return [None if one is None or hidden.hides(one.key, one.seq) else one.value for one in found]

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """What is shown of [begin, end)."""
        return ((key, value) for key, value, _ in self.rows(begin, min(end, RESERVED), reverse=reverse))

    def rows(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Row]:
        """The same, with their sequences; also the store's own."""
        hidden = self._hidden().within(begin, end)
        parts = hidden.shown(begin, end)
        for first, last in reversed(parts) if reverse else parts:
            rows = self.stored(first, last, reverse=reverse)
            yield from hidden.filtered(rows) if hidden else rows

    def stored(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Row]:
        """Also what is hidden."""
        taken, step_pairs = 0, 2
        while begin < end:
            anew_s = time.monotonic() + _ANEW_S
            is_long = taken >= _LONG_PAIRS
            iterator = self._iterator(begin, end, reverse, is_long)
            while True:
                chunk = self._chunk(iterator, step_pairs)
                yield from chunk
                if len(chunk) < step_pairs:
                    return
                taken += len(chunk)
                step_pairs = min(2 * step_pairs, _CHUNK_PAIRS)
                if reverse:
                    end = chunk[-1][0]
                else:
                    begin = chunk[-1][0] + b"\0"
                if time.monotonic() >= anew_s or is_long != (taken >= _LONG_PAIRS):
                    break

    def _iterator(self, begin: bytes, end: bytes, reverse: bool, is_long: bool) -> Any:
        bindings = library()
        try:
            options = bindings.ScanOptions(
                durability_filter=self._level,
                dirty=False,
                read_ahead_bytes=_LONG_AHEAD_BYTES if is_long else _AHEAD_BYTES,
                cache_blocks=not is_long,
                max_fetch_tasks=2 if is_long else 1,
                order=bindings.IterationOrder.DESCENDING if reverse else bindings.IterationOrder.ASCENDING,
            )
            keys = bindings.KeyRange(start=begin or None, start_inclusive=True, end=end, end_inclusive=False)
            return call(self._source.scan_with_options(keys, options), wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("scan", error) from error

    def _chunk(self, iterator: Any, pairs_max: int) -> list[Row]:
        try:
            return call(_next_rows(iterator, pairs_max), wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("scan", error) from error


async def _next_rows(iterator: Any, pairs_max: int) -> list[Row]:
    """As the bindings' own ``next_batch``, without an object for each pair."""
    bindings = library()
    functions = bindings._UniffiLib
    rows: list[Row] = await bindings._uniffi_rust_call_async(
        functions.uniffi_slatedb_uniffi_fn_method_dbiterator_next_batch(iterator._uniffi_clone_handle(), pairs_max),
        functions.ffi_slatedb_uniffi_rust_future_poll_rust_buffer,
        functions.ffi_slatedb_uniffi_rust_future_complete_rust_buffer,
        functions.ffi_slatedb_uniffi_rust_future_free_rust_buffer,
        _lifted,
        bindings._UniffiFfiConverterTypeError,
    )
    return rows


_LENGTH: Final = struct.Struct(">i")
_TIMES: Final = struct.Struct(">Qq?")
"""The sequence, when it was made, and whether there is a time to expire, of 8 bytes, after it."""


def _lifted(buffer: Any) -> list[Row]:
    try:
        data = buffer.data[0 : buffer.len]
    finally:
        buffer.free()
    length_at, times_at = _LENGTH.unpack_from, _TIMES.unpack_from
    (count,) = length_at(data)
    at = _LENGTH.size
    rows = []
    for _ in range(count):
        (size,) = length_at(data, at)
        key_end = at + 4 + size
        key = data[at + 4 : key_end]
        (size,) = length_at(data, key_end)
        at = key_end + 4 + size
        sequence, _, has_expiry = times_at(data, at)
        rows.append((key, data[key_end + 4 : at], sequence))
        at += 25 if has_expiry else 17
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes are left over after {count} pairs")
    return rows
