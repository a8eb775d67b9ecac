"""Batches over partitions: each owner writes or reads its part, and results stand in the order of the request.

What one machine refuses as a whole is refused here before anybody is asked. What an owner refuses of its part is the
result of the rows of that part: others may be written by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from lutra.cluster.gateway.names import Names, Routed
from lutra.cluster.gateway.router import Failed, Router
from lutra.cluster.map import ClusterMap, PartitionEntry
from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.errors import (
    InvalidPrimaryKey,
    LutraError,
    ObjectNotExist,
    RequestTimeout,
    ServerBusy,
)
from lutra.model.rows import NO_CONDITION, KeyInput, ReadOptions, ReadResult, RowChange, WriteResult
from lutra.tables.changes import check_change, check_repeated, check_total
from lutra.tables.reader import too_much
from lutra.tables.tables import check_batch, check_bulk, check_read, check_reads, checked_change

Written = WriteResult | LutraError
_AWAY = (ServerBusy, RequestTimeout)
"""What is told of an owner that cannot be asked: others' rows can be read."""


def write_batch(
    router: Router,
    names: Names,
    instance: str,
    batch: Sequence[tuple[str, Sequence[RowChange]]],
    rows_max: int,
    *,
    is_atomic: bool,
) -> list[list[Written]]:
    """As `Tables.write_batch`, in no transaction, but that rows of several partitions do not come about as one."""
    check_batch(batch, rows_max)
    flat = [(name, change) for name, changes in batch for change in changes]
    # Those of an atomic batch are the first one's of their table: its owner refuses the others'.
    keys = [(name, (changes[0] if is_atomic else change).key) for name, changes in batch for change in changes]
    find = _Found(names.routed, instance, keys)
    check = partial(_check_whole, router, names, instance, flat, "BatchWriteRow")

    def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
        return [flat[place][1] for place in places], None, is_atomic

    results = iter(_written(router.on_places(len(flat), find, "write_batch", arguments, check)))
    return [[next(results) for _ in changes] for _, changes in batch]


def write_bulk(
    router: Router, names: Names, instance: str, name: str, changes: Sequence[RowChange | LutraError]
) -> list[Written]:
    """As `Tables.write_bulk`."""
    check_bulk(changes)
    names.table(instance, name)
    ready = [checked_change(change) for change in changes]
    sound = [(name, change) for change in ready if isinstance(change, RowChange)]

    find = _Found(names.routed, instance, [(name, change.key) for _, change in sound])
    check = partial(_check_whole, router, names, instance, sound, "BulkImport")

    def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
        return ([sound[place][1] for place in places],)

    written = iter(_written(router.on_places(len(sound), find, "write_bulk", arguments, check)))
    return [change if isinstance(change, LutraError) else next(written) for change in ready]


def read_batch(
    router: Router, names: Names, instance: str, batch: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]
) -> list[list[ReadResult | LutraError]]:
    """As `Tables.read_batch`."""
    check_reads(batch)
    reads = [(name, key, options) for name, keys, options in batch for key in keys]
    _check_reads_of_none(names, instance, batch)

    find = _Found(names.readable, instance, [(name, key) for name, key, _ in reads])

    def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
        return (_together([reads[place] for place in places]),)

    results = _within_bounds(_read(router.on_places(len(reads), find, "read_batch", arguments)))
    return [[next(results) for _ in keys] for _, keys, _ in batch]


class _Found:
    """The partitions that have some rows: `lutra.cluster.gateway.router.FindEach`, worked out once for each map."""

    def __init__(
        self, routed: Callable[[ClusterMap, str, str], Routed], instance: str, keys: Sequence[tuple[str, KeyInput]]
    ) -> None:
        self._routed = routed
        self._instance = instance
        self._keys = keys
        self._known: ClusterMap | None = None
        self._tables: dict[str, Routed] = {}
        self._entries: dict[int, PartitionEntry] = {}

    def __call__(self, known: ClusterMap, place: int) -> PartitionEntry:
        if known is not self._known:
            self._known, self._tables, self._entries = known, {}, {}
        entry = self._entries.get(place)
        if entry is None:
            name, key = self._keys[place]
            table = self._tables.get(name)
            if table is None:
                table = self._tables[name] = self._routed(known, self._instance, name)
            entry = self._entries[place] = known.partition_of(table.uid, table.route(key))
        return entry


def _check_reads_of_none(
    names: Names, instance: str, batch: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]
) -> None:
    """Raises ParameterInvalid for what is wrong in itself, where there is no table to say so."""
    began_s = time.monotonic()
    for name, keys, options in batch:
        try:
            names.require_readable(instance, name, began_s)
        except ObjectNotExist:
            check_read(keys, options)


def _check_whole(
    router: Router, names: Names, instance: str, changes: Sequence[tuple[str, RowChange]], operation: str
) -> None:
    """Raises ParameterInvalid for what is wrong with all of it, as `RowWriter.write_many` does."""
    for _, change in changes:
        check_change(change)
    check_total(sum(measure_row(change.key, change.cells, 8) for _, change in changes), operation)
    if any(change.condition is not NO_CONDITION for _, change in changes):
        rows: dict[tuple[str, bytes], list[RowChange]] = {}
        for name, change in changes:
            with suppress(InvalidPrimaryKey, ObjectNotExist):  # it makes no row, or one of its own
                table = names.routed(router.maps.known, instance, name)
                rows.setdefault((name, table.keys.encode(change.key)), []).append(change)
        for same in rows.values():
            if len(same) > 1:
                for change in same:
                    check_repeated(change)


def _written(results: list[Any]) -> list[Written]:
    """Raises what is wrong with the batch where it was one owner's to say."""
    failures = [result for result in results if isinstance(result, Failed)]
    is_one = bool(failures) and len(failures) == len(results) and all(one is failures[0] for one in failures)
    if is_one and not isinstance(failures[0].error, ObjectNotExist):
        raise failures[0].error
    return [result.error if isinstance(result, Failed) else result for result in results]


def _read(results: list[Any]) -> list[ReadResult | LutraError]:
    """Raises what is wrong with the batch, which any owner may say; but one that is away is that of its rows alone."""
    failures = [result for result in results if isinstance(result, Failed)]
    for failure in failures:
        is_away = isinstance(failure.error, _AWAY) and len(failures) < len(results)
        if not is_away and not isinstance(failure.error, ObjectNotExist):
            raise failure.error
    return [result.error if isinstance(result, Failed) else result for result in results]


def _together(reads: Sequence[tuple[str, KeyInput, ReadOptions]]) -> list[tuple[str, list[KeyInput], ReadOptions]]:
    """Reads that follow each other and ask for the same become one."""
    together: list[tuple[str, list[KeyInput], ReadOptions]] = []
    for name, key, options in reads:
        if together and together[-1][0] == name and together[-1][2] is options:
            together[-1][1].append(key)
        else:
            together.append((name, [key], options))
    return together


def _within_bounds(results: Sequence[ReadResult | LutraError]) -> Iterator[ReadResult | LutraError]:
    """Owners bound their parts; this bounds all."""
    size_bytes = 0
    for result in results:
        if isinstance(result, ReadResult) and result.row is not None:
            if size_bytes > limits.ANSWER_BYTES_MAX:
                yield too_much("BatchGetRow")
                continue
            size_bytes += measure_row(result.row.key, result.row.cells, 8)
        yield result
