"""Whether a data directory is what it should be: its tables, and their search indexes against them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from lutra.index.catalog.folders import index_folders
from lutra.index.check.fsck import IndexCheck, IndexFault, Remedy
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.instance.stopped import StoppedDirectory
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock
from lutra.model.errors import Corruption, ForeignObjects, LutraError, ObjectNotExist, RowDamaged
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import IndexKind, SecondaryIndex, TableDescription
from lutra.tables.changelog import Change
from lutra.tables.keys import KeyCodec
from lutra.tables.reader import OnDamaged
from lutra.tables.space import TableSpace

_CHANGES_AT_ONCE: Final = 10_000
_ROWS_PER_REPORT: Final = 1_024
_SECONDARY_FAULTS_MAX: Final = 100
"""Of one index: where nothing is right, as many say so as all of them."""
_DAMAGED_ROWS_MAX: Final = 100
"""Of one table: where all rows are damaged, as many say so as all of them."""

OnProgress = Callable[[str, int, int | None], None]
"""Called with what is being checked, how much of it is done, and how much there is, where that is known."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it should be. ``table`` and ``index`` are "" where it is of none."""

    instance: str
    table: str
    index: str
    place: str
    """An object's name, or a row's key."""
    text: str
    remedy: Remedy

    def __str__(self) -> str:
        if not self.table:
            return f"{self.place}: {self.text}"
        of = f"index [{self.index}] of " if self.index else ""
        return f"{of}table [{self.table}] in instance [{self.instance}]: {self.place}: {self.text}"


class Checked(Protocol):
    """Tables, definitions and objects that nobody serves, and what they are called."""

    @property
    def store(self) -> KeyValueStore: ...

    @property
    def space(self) -> TableSpace: ...

    @property
    def clock(self) -> Clock: ...

    def instance_names(self) -> list[str]:
        """Those that may have tables."""

    def definitions(self) -> list[IndexDefinition]:
        """All search indexes, by instance, table and name."""

    def storage(self, of: IndexDefinition) -> IndexStorage:
        """The objects of an index, to look at."""

    def provenance(self, of: IndexDefinition) -> Provenance:
        """Whether what is found of an index is of its table's past."""


class StoreCheck:
    """A check of all tables and all indexes of a store that nobody serves."""

    def __init__(self, checked: Checked, on_progress: OnProgress | None = None) -> None:
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        """What is as it may be, but good to know."""
        self.left_behind: list[str] = []
        """Objects that nothing names: what a crash left. They are deleted when the directory is next served."""
        self.tables = self.rows = self.indexes = self.segments = self.segment_bytes = 0
        """That were looked at."""
        self._checked = checked
        self._damaged: dict[int, set[PrimaryKey]] = {}
        self._report: OnProgress = on_progress or (lambda what, done, total: None)

    def run(self) -> None:
        """Reads all there is. Raises StorageFailure where the store of objects cannot be read at all."""
        checked = self._checked
        rows_of: dict[int, int | None] = {}
        definitions = checked.definitions()
        for instance in sorted({*checked.instance_names(), *(of.instance for of in definitions)}):
            tables = checked.space.instance(instance)
            for table in tables.names():
                described = tables.describe(table)
                rows_of[described.table_id] = self._check_table(instance, described)
                if rows_of[described.table_id] is not None:
                    self._check_secondary(instance, described)
        for generation in (one for definition in definitions for one in definition.generations):
            self._check_index(generation, rows_of)

    def _check_table(self, instance: str, table: TableDescription) -> int | None:
        """How many rows it has; None where they cannot be read."""
        name, count = table.schema.name, 0
        damaged = self._damaged[table.table_id] = set()
        self.tables += 1

        def note(key: PrimaryKey, error: RowDamaged) -> None:
            damaged.add(key)
            if len(damaged) <= _DAMAGED_ROWS_MAX:
                self.faults.append(Fault(instance, name, "", f"row {dict(key)}", str(error), Remedy.RESTORE))

        try:
            for _ in self._scan(instance, table.table_id, note):
                count += 1
                if count % _ROWS_PER_REPORT == 0:
                    self._report(f"rows of [{name}]", count, None)
            for _ in self._changes(table, 0):
                pass
            for error in islice(self._checked.space.streams.damaged(instance, name), _DAMAGED_ROWS_MAX):
                self.faults.append(Fault(instance, name, "", "stream", str(error), Remedy.STREAM))
        except LutraError as error:
            self.faults.append(Fault(instance, name, "", f"after row {count}", str(error), Remedy.RESTORE))
            return None
        if len(damaged) > _DAMAGED_ROWS_MAX:
            more = f"{len(damaged) - _DAMAGED_ROWS_MAX:,} more rows are damaged"
            self.faults.append(Fault(instance, name, "", name, more, Remedy.RESTORE))
        self._report(f"rows of [{name}]", count, count)
        self.rows += count
        return count

    def _check_secondary(self, instance: str, table: TableDescription) -> None:
        """The table's secondary indexes list what it says."""
        for index in table.schema.indexes:
            self.indexes += 1
            of = (instance, table.schema.name, index.name)
            try:
                found = self._secondary_faults(table, index)
            except Corruption as error:
                found = [(index.name, str(error))]
            self.faults += [Fault(*of, place, text, Remedy.RECREATE) for place, text in found]

    def _secondary_faults(self, table: TableDescription, index: SecondaryIndex) -> list[tuple[str, str]]:
        checked, of = self._checked, f"secondary index [{index.name}] of table [{table.schema.name}]"
        with checked.store.snapshot() as snapshot:
            check = checked.space.index_check(table.table_id, index, snapshot)
            changed = self._changed(table, check.progress.position)
            if index.kind is IndexKind.LOCAL:
                changed = self._changed(table, checked.space.changelog.last_sequence)
            if not check.progress.is_filled:
                self.notes.append(f"{of} is not filled yet")
            elif check.waits_for_filling:
                self.notes.append(f"{of} is filled anew when it is next served: values of the table live longer now")
            faults = check.faults(changed, lambda done: self._report(f"rows of [{index.name}]", done, None))
            found = list(itertools.islice(faults, _SECONDARY_FAULTS_MAX))
            if next(faults, None) is not None:
                found.append((index.name, "more rows are not as they should be"))
        return found

    def _check_index(self, definition: IndexDefinition, rows_of: dict[int, int | None]) -> None:
        self.indexes += 1
        found = self._faults_of(definition, rows_of)
        of = (definition.instance, definition.table, definition.name)
        self.faults += [Fault(*of, fault.place, fault.text, fault.remedy) for fault in found]

    def _faults_of(self, definition: IndexDefinition, rows_of: dict[int, int | None]) -> list[IndexFault]:
        checked, name = self._checked, definition.name
        storage = checked.storage(definition)
        try:
            table = checked.space.instance(definition.instance).describe(definition.table)
        except ObjectNotExist:
            lost = f"the table [{definition.table}] of this index does not exist"
            return [IndexFault(storage.prefix, lost, Remedy.RESTORE)]
        with IndexCheck(storage, definition.schema, table.schema.key) as check:
            check.check_objects(lambda done, total: self._report(f"objects of [{name}]", done, total))
            self.segments += check.segments
            self.segment_bytes += check.segment_bytes
            self.left_behind += check.left_behind
            manifest = check.manifest
            if manifest is None:
                of = f"index [{name}] of table [{definition.table}]"
                without = "is not compared with its table: that takes all of its objects"
                self.notes.append(f"{of} {without if check.faults else 'has no objects: it is yet to be filled'}")
                return check.faults
            why = checked.provenance(definition).why_not(manifest)
            if why is not None:
                told = f"is not of this table's past, and will be filled anew: {why}"
                return [*check.faults, IndexFault(storage.prefix, told, Remedy.START)]
            if not manifest.progress.filled:
                self.notes.append(f"index [{name}] of table [{definition.table}] is not filled yet")
            rows = rows_of[table.table_id]
            if rows is not None:
                self._check_rows(check, definition, table, manifest.progress.position, rows)
            return check.faults

    def _check_rows(
        self, check: IndexCheck, definition: IndexDefinition, table: TableDescription, position: int, rows: int
    ) -> None:
        what = f"rows of [{definition.table}] in [{definition.name}]"
        check.check_rows(
            self._scan(definition.instance, table.table_id, lambda key, error: None, expired=True),
            self._changed(table, position),
            lambda done: self._report(what, done, rows),
            table_ttl_s=table.schema.options.ttl_s,
            now_ms=self._checked.clock.now_us() // 1_000,
        )
        of = f"index [{definition.name}] of table [{definition.table}]"
        if check.outdated:
            self.notes.append(f"{of} reads {check.outdated:,} rows again when it is next served: values have expired")
        if check.waits_for_filling:
            self.notes.append(f"{of} is filled anew when it is next served: the table's time to live has become longer")

    def _scan(self, instance: str, table_id: int, on_damaged: OnDamaged, *, expired: bool = False) -> Iterator[Row]:
        tables = self._checked.space.instance(instance)
        with self._checked.store.snapshot() as snapshot:
            yield from tables.scan_rows(table_id, snapshot, on_damaged=on_damaged, expired=expired)

    def _changed(self, table: TableDescription, after: int) -> set[bytes]:
        """The encoded keys of rows that were written to since, and of those that cannot be compared."""
        codec = KeyCodec(b"", table.schema.key)
        changed = {codec.encode(change.key) for change in self._changes(table, after)}
        return changed.union(map(codec.encode, self._damaged[table.table_id]))

    def _changes(self, table: TableDescription, after: int) -> Iterator[Change]:
        while changes := self._checked.space.changelog.read(table.table_id, after, _CHANGES_AT_ONCE):
            yield from changes
            after = changes[-1].sequence


class DirectoryCheck(StoreCheck):
    """A check of all tables and all indexes of a directory that nobody serves, and of the place of their objects."""

    def __init__(self, directory: StoppedDirectory, on_progress: OnProgress | None = None) -> None:
        super().__init__(directory, on_progress)
        self._directory = directory

    def run(self) -> None:
        """Reads all there is. Raises StorageFailure where the store of objects cannot be read at all."""
        self._check_place()
        super().run()
        self._look_beside([one for definition in self._directory.definitions() for one in definition.generations])

    def _check_place(self) -> None:
        """Whether the objects are this store's to write to."""
        directory = self._directory
        try:
            owner = directory.place.examine(directory.objects)
        except (ForeignObjects, Corruption) as error:
            self.faults.append(Fault("", "", "", directory.address, str(error), Remedy.ADOPT))
            return
        if owner is not None and not directory.space.changelog.history.knows(owner.opening):
            self.notes.append(f"a copy of this directory used the objects last: {owner}")

    def _look_beside(self, definitions: list[IndexDefinition]) -> None:
        """Objects of no index there is: those of deleted ones are to go, others stay."""
        directory = self._directory
        known = {prefix_of(definition) for definition in definitions}
        deleted = {prefix_of(definition) for definition in directory.indexes.deleted()}
        for folder in index_folders(directory.objects, known):
            if folder.prefix in deleted:
                self.left_behind += folder.objects
            else:
                whose = f"of store {folder.store}" if folder.store else "of an unknown store"
                self.notes.append(
                    f"{folder.prefix}: {_objects(len(folder.objects))} of no index of this directory, {whose}: nothing "
                    f"deletes {'it' if len(folder.objects) == 1 else 'them'}"
                )


def _objects(count: int) -> str:
    return f"{count:,} object{'s' * (count != 1)}"


def check_directory(
    path: str | os.PathLike[str],
    *,
    objects: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
) -> list[Fault]:
    """Reads all rows of all tables, and all objects of all indexes; what is wrong, table by table, then index by index.

    Nobody may have the directory open. ``objects`` as in `lutra.instance.engine.Engine.open`. Raises as
    `StoppedDirectory` and `DirectoryCheck.run`.
    """
    with StoppedDirectory(path, objects=objects, clock=clock) as directory:
        check = DirectoryCheck(directory)
        check.run()
        return check.faults
