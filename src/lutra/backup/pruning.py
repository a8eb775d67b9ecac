"""Deleting backups, and the chunks that no backup needs any more. Nothing else at the place is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lutra.backup.marks import Mark, pruning
from lutra.backup.place import BackupPlace
from lutra.backup.record import Record, new_id
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import Corruption, LutraError, OperationConflict

_DELETED_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Pruned:
    """``deleted``, ``kept``: ids of backups, the oldest first. ``chunks``: that were deleted, or would be."""

    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    chunks: int


def prune(place: BackupPlace, keep: int, *, is_tried: bool = False, clock: Clock | None = None) -> Pruned:
    """Keeps the newest ``keep`` backups of each database, at least one; the others go. ``is_tried``: nothing goes.

    Raises as `delete`.
    """
    return _delete(place, lambda records: _but_newest(records, max(keep, 1)), is_tried, clock)


def delete(place: BackupPlace, ids: frozenset[str], *, clock: Clock | None = None) -> Pruned:
    """Deletes these backups, also where their records are damaged.

    Raises ObjectNotExist where there is no such backup, OperationConflict where a backup is being made or others prune;
    and Corruption, StorageFailure where the record of one that stays cannot be read: what it needs is not known.
    """
    there = set(place.ids())
    for id in sorted(ids - there):
        place.record(id)  # which raises
    return _delete(place, lambda records: set(ids), False, clock)


def _delete(
    place: BackupPlace,
    choose: Callable[[list[tuple[str, Record | LutraError]]], set[str]],
    is_tried: bool,
    clock: Clock | None,
) -> Pruned:
    clock = clock or SystemClock()
    with pruning(place, new_id(clock.now_us())[0], clock) as mark:
        chunks = place.chunks()
        records = list(place.records())
        doomed = choose(records)
        needed: set[str] = set()
        for id, record in records:
            if id in doomed:
                continue
            if isinstance(record, LutraError):
                raise Corruption(
                    f"{str(record).removesuffix('.')}. Nothing was deleted, as it is not known what backup {id} needs: "
                    "`lutra backup delete` deletes that one"
                )
            needed |= record.chunks
        unneeded = sorted(chunks - needed)
        if not is_tried:
            for id in sorted(doomed):
                place.delete_record(id)
            _delete_chunks(place, unneeded, mark)
    kept = tuple(id for id, _ in records if id not in doomed)
    return Pruned(tuple(id for id, _ in records if id in doomed), kept, len(unneeded))


def _delete_chunks(place: BackupPlace, unneeded: list[str], mark: Mark) -> None:
    for begin in range(0, len(unneeded), _DELETED_AT_ONCE):
        if not mark.is_there:
            raise OperationConflict(f"pruning {place.address} took too long, and others have gone on: prune again")
        place.delete_chunks(unneeded[begin : begin + _DELETED_AT_ONCE])
        mark.renew()


def _but_newest(records: list[tuple[str, Record | LutraError]], keep: int) -> set[str]:
    of_stores: dict[str, list[str]] = {}
    for id, record in records:
        if isinstance(record, Record):
            of_stores.setdefault(record.store, []).append(id)
    return {id for ids in of_stores.values() for id in ids[:-keep]}
