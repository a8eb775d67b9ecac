"""Batches over partitions: each owner writes or reads its part, and results stand in the order of the request.

What one machine refuses as a whole is refused here before anybody is asked. What an owner refuses of its part is the
result of the rows of that part: others may be written by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from lutra.cluster.gateway.names import Names, Routed
from lutra.cluster.gateway.router import Failed, Key, Router
from lutra.cluster.map import PartitionEntry
from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.errors import (
    InvalidPrimaryKey,
    LutraError,
    ObjectNotExist,
    OutcomeUnknown,
    RequestTimeout,
    ServerBusy,
)
from lutra.model.rows import NO_CONDITION, KeyInput, ReadOptions, ReadResult, RowChange, WriteResult
from lutra.tables.changes import check_change, check_repeated, check_total
from lutra.tables.reader import too_much
from lutra.tables.tables import check_batch, check_bulk, check_read, check_reads, checked

Written = WriteResult | LutraError
_OF_A_PART = (ServerBusy, RequestTimeout, OutcomeUnknown)
"""What an owner that cannot be asked means for a read: others' rows are there."""


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
    missing: dict[int, ObjectNotExist] = {}
    changes: list[RowChange] = []
    tables: list[Routed] = []
    keys: list[Key] = []
    for number, (name, of_table) in enumerate(batch):
        try:
            table = names.routed(instance, name)
        except ObjectNotExist as error:
            missing[number] = error
            for change in of_table:
                check_change(change)
            continue
        changes += of_table
        tables += [table] * len(of_table)
        keys += _keys(table, [change.key for change in of_table], is_atomic)
    if _parts(router, keys) > 1:
        _check_whole(tables, changes, "BatchWriteRow")

    def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
        return [changes[place] for place in places], None, is_atomic

    results = iter(_written(router.on_keys(keys, "write_batch", arguments)))
    return [
        [missing[number]] * len(of_table) if number in missing else [next(results) for _ in of_table]
        for number, (_, of_table) in enumerate(batch)
    ]


def write_bulk(
    router: Router, names: Names, instance: str, name: str, changes: Sequence[RowChange | LutraError]
) -> list[Written]:
    """As `Tables.write_bulk`."""
    check_bulk(changes)
    table = names.routed(instance, name)
    ready = [checked(change) for change in changes]
    sound = [change for change in ready if isinstance(change, RowChange)]
    keys = _keys(table, [change.key for change in sound], is_atomic=False)
    if _parts(router, keys) > 1:
        _check_whole([table] * len(sound), sound, "BulkImport")

    def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
        return ([sound[place] for place in places],)

    written = iter(_written(router.on_keys(keys, "write_bulk", arguments)))
    return [change if isinstance(change, LutraError) else next(written) for change in ready]


def read_batch(
    router: Router, names: Names, instance: str, batch: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]
) -> list[list[ReadResult | LutraError]]:
    """As `Tables.read_batch`."""
    check_reads(batch)
    missing: dict[int, ObjectNotExist] = {}
    keys: list[Key] = []
    reads: list[tuple[str, KeyInput, ReadOptions]] = []
    for number, (name, of_table, options) in enumerate(batch):
        try:
            table = names.readable(instance, name)
        except ObjectNotExist as error:
            missing[number] = error
            check_read(of_table, options)
            continue
        keys += _keys(table, of_table, is_atomic=False)
        reads += [(name, key, options) for key in of_table]

    def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
        return (_together([reads[place] for place in places]),)

    found = router.on_keys(keys, "read_batch", arguments)
    results = _within_bounds(_read(found))
    return [
        [missing[number]] * len(of_table) if number in missing else [next(results) for _ in of_table]
        for number, (_, of_table, _) in enumerate(batch)
    ]


def _keys(table: Routed, keys: Sequence[KeyInput], is_atomic: bool) -> list[Key]:
    """Whose rows these are; those of an atomic batch are the first one's: its owner refuses the others'."""
    if is_atomic:
        return [(table.uid, table.route(keys[0]))] * len(keys)
    return [(table.uid, table.route(key)) for key in keys]


def _parts(router: Router, keys: Iterable[Key]) -> int:
    """How many partitions have them, as far as is known: where it is one, its owner checks all."""
    known = router.maps.known
    found = set()
    for key in keys:
        try:
            found.add(known.partition_of(*key).id)
        except ObjectNotExist:
            found.add(str(key[0]))
    return len(found)


def _check_whole(tables: Sequence[Routed], changes: Sequence[RowChange], operation: str) -> None:
    """Raises ParameterInvalid for what is wrong with all of it, as `RowWriter.write_many` does."""
    for change in changes:
        check_change(change)
    check_total(sum(measure_row(change.key, change.cells, 8) for change in changes), operation)
    if any(change.condition is not NO_CONDITION for change in changes):
        rows: dict[tuple[int, bytes], list[RowChange]] = {}
        for table, change in zip(tables, changes, strict=True):
            with suppress(InvalidPrimaryKey):  # it makes no row, or one of its own
                rows.setdefault((table.uid, table.keys.encode(change.key)), []).append(change)
        for same in rows.values():
            if len(same) > 1:
                for change in same:
                    check_repeated(change)


def _written(results: list[Any]) -> list[Written]:
    """Raises what is wrong with the batch where it was one owner's to say."""
    failures = [result for result in results if isinstance(result, Failed)]
    if failures and len(failures) == len(results) and all(one is failures[0] for one in failures):
        raise failures[0].error
    return [result.error if isinstance(result, Failed) else result for result in results]


def _read(results: list[Any]) -> list[ReadResult | LutraError]:
    """Raises what is wrong with the batch, which any owner may say; but one that is away is that of its rows alone."""
    failures = [result for result in results if isinstance(result, Failed)]
    for failure in failures:
        if len(failures) == len(results) or not isinstance(failure.error, _OF_A_PART):
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
