"""The embedded door: a Lutra database in this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from lutra.backup.record import Backup
from lutra.instance.defaults import DEFAULT_INSTANCE, MEMORY_BYTES_DEFAULT, MemoryLimit
from lutra.instance.field import FieldDeclaration
from lutra.instance.instance import Instance
from lutra.instance.layout import INDEX_NAME, KeyDeclaration, Layout
from lutra.instance.open_directories import OpenDirectory, open_directory
from lutra.instance.read_only import ReadOnlyDirectory
from lutra.instance.served_directory import ServedDirectory
from lutra.instance.table import Table
from lutra.model.errors import ObjectAlreadyExist, ObjectNotExist, ParameterInvalid, StorageFailure
from lutra.model.suggestions import suggestion

_NAMES_SHOWN_MAX: Final = 10


def connect(
    path: str | os.PathLike[str] | None = None,
    *,
    instance: str = DEFAULT_INSTANCE,
    objects: str | os.PathLike[str] | None = None,
    rows: str | os.PathLike[str] | None = None,
    memory_bytes: int = MEMORY_BYTES_DEFAULT,
    memory_limit_bytes: int | None = None,
    read_only: bool = False,
) -> Database:
    """Opens the database in the folder ``path``, making it where there is none. ``~/data`` is in the home directory.

    Without a path: a throw-away database in a temporary folder that goes when it is closed. One process at a time
    can have a folder open; ``lutra serve --data path`` serves the same data afterwards. In the same process a folder
    that is open is given again, with the same options, and stays open until each of them is closed. A process that is
    forked connects anew: what its parent has open raises ForkedProcess there.

    ``objects``: where the segments of search indexes are, if not in the folder: another, or ``s3://bucket/prefix``
    (with the usual ``AWS_*`` variables). ``rows``: where the rows are, if not in the folder: ``s3://bucket/prefix``, or
    a folder that is an object store (``pip install lutra[cluster]``). The folder ``path`` remembers it; another folder,
    on another machine say, has the same rows where it is told their place. Who opened them last is their one writer:
    in whoever had them before, calls raise Fenced. ``memory_bytes``: how much of segments is kept in memory.
    ``memory_limit_bytes``: in place of that, what this process, your program included, and those that build for it may
    take, all of it; codes and graphs give way (docs/server.md). Raises StorageFailure where the folder cannot be
    opened, DirectoryInUse where another process has it, Corruption where not all of it is there, ParameterInvalid where
    tables or objects cannot be there, because they are another database's, say, or the folder is open with other
    options: nothing is changed there then.

    ``read_only``: nothing is changed, in the folder or where the objects are, which may be on a file system that cannot
    be written to. Any number of processes may read, beside one that writes, a server say: what is shown is what it had
    acknowledged when the database was opened, all of it and nothing by halves, and stays so until
    :meth:`Database.refresh`. Every method that would change something raises ReadOnlyDatabase. Raises ObjectNotExist
    where there is no such instance, StorageFailure where there is no such folder.
    """
    directory = ReadOnlyDirectory(path) if read_only else open_directory(path)
    memory = memory_bytes if memory_limit_bytes is None else MemoryLimit(memory_limit_bytes)
    return Database(directory, instance, objects, memory, rows)


def database_of(directory: ServedDirectory, instance: str) -> Database:
    """The tables of one instance of an engine that is open and stays so. Raises ObjectNotExist, StorageFailure."""
    return Database(directory, instance, None, MEMORY_BYTES_DEFAULT)


class Database:
    """The tables of one instance in a folder. A context manager; thread-safe. Made by :func:`lutra.connect`."""

    def __init__(
        self,
        directory: OpenDirectory | ReadOnlyDirectory | ServedDirectory,
        instance: str,
        objects: str | os.PathLike[str] | None,
        memory: int | MemoryLimit,
        rows: str | os.PathLike[str] | None = None,
    ) -> None:
        self._directory = directory
        self._name = instance
        self._is_closed = False
        self._engine = directory.enter(self, instance, objects, memory, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        read_only = ", read_only=True" if self.read_only else ""
        return f"Database({self._directory.path!r}, instance={self._name!r}{read_only})"

    def close(self) -> None:
        """Closes the database, and lets its folder go where nobody else in this process has it; then does nothing."""
        self._is_closed = True
        self._directory.leave(self)

    @property
    def read_only(self) -> bool:
        """Whether it was opened so."""
        return isinstance(self._directory, ReadOnlyDirectory)

    def refresh(self) -> None:
        """Has a read-only database show what there is by now, in tables that are open, too.

        What is under way, a search say, ends with what it began with; a scan goes on with what is new. Where nothing
        has changed, this costs next to nothing; else as much as opening anew. One that is not read only always shows
        the newest. Raises as :func:`connect`: it then shows what it showed before.
        """
        self._open()
        self._directory.refresh()

    def backup(self, place: str | os.PathLike[str]) -> Backup:
        """Copies the whole folder, all instances in it, to ``place``, as it is at this moment; reads and writes go on.

        ``place``: a folder, or ``s3://bucket/prefix``, for backups alone: made where there is nothing. It may hold
        many, also of several databases, each whole by itself; what is there already is not copied again, so that a
        backup of what has changed little takes little time and room. :func:`lutra.restore` makes a folder of one again.

        Every write that was acknowledged before is in it, of all tables, with their search indexes and streams; one
        that is under way may be, whole. Of a read-only database it is what its writer has written by now. A backup
        holds no access key of a server. One that is broken off leaves the earlier ones as they are, and what it has
        copied helps the next.

        Rows that are on an object store (``rows=``) are read, all of them, and restored into the folder.

        Raises ParameterInvalid where there are other things at ``place``, OperationConflict where backups are being
        deleted there; StorageFailure, Corruption.
        """
        self._open()
        return self._engine.back_up(place)

    def create_table(
        self,
        name: str,
        key: Mapping[str, KeyDeclaration],
        fields: Mapping[str, FieldDeclaration] | None = None,
        *,
        exist_ok: bool = False,
    ) -> Table:
        """Makes a table and, of its fields, the search index.

        ``key`` names one to four key columns, each ``str``, ``int``, ``bytes`` or ``lutra.AUTO_INCREMENT`` (an int
        that the table chooses: a number that you give changes the row that has it, and makes none). ``fields`` names
        the other columns and says what they hold: ``str``, ``int``, ``float``, ``bool``, ``datetime.datetime``,
        ``list[str]`` (or of int, float, bool), ``lutra.Vector(dimension, metric)``; and unindexed ``bytes`` and
        ``lutra.Stored(str)``. Rows need not have every field, and can have no others. Without fields, rows take any
        column of a plain type, and cannot be searched.

        ``exist_ok`` accepts a table of that name with the same columns, and gives its index to one that has none.
        Raises ParameterInvalid, ObjectAlreadyExist.
        """
        self._open().require_writable()
        layout = Layout.declared(name, key, fields or {})
        with self._directory.making:
            if exist_ok and name in self._open().tables.names():
                return self._existing(layout)
            return self._made(layout)

    def table(self, name: str, *, index: str | None = None) -> Table:
        """The table of that name.

        Tables made elsewhere (by an SDK) open as well: their fields are those of their search index. ``index`` names
        it where a table has several. Raises ObjectNotExist, ParameterInvalid.
        """
        if name not in self._open().tables.names():
            raise self._no_table(name)
        return Table(self._open, self._layout(name, index))

    def table_names(self) -> list[str]:
        """The names of all tables, sorted."""
        return sorted(self._open().tables.names())

    def delete_table(self, name: str, *, missing_ok: bool = False) -> None:
        """Deletes a table with its search indexes and all its rows. Raises ObjectNotExist."""
        self._open().require_writable()
        if name not in self._open().tables.names():
            if missing_ok:
                return
            raise self._no_table(name)
        delete_with_indexes(self._open(), name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a table of that name: ``"docs" in db``."""
        return name in self._open().tables.names()

    def _no_table(self, name: str) -> ObjectNotExist:
        names = self.table_names()
        likely = suggestion(name, names)
        few = f": there are {', '.join(names)}" if names and len(names) <= _NAMES_SHOWN_MAX else ""
        none = ": the database has no tables yet" if not names else few
        return ObjectNotExist(f"there is no table {name!r}{none}{likely}")

    def _open(self) -> Instance:
        """The instance. Raises StorageFailure where the database is closed."""
        if self._is_closed:
            raise StorageFailure(f"this database in {self._directory.path} is closed")
        return self._engine.instance(self._name)

    def _made(self, layout: Layout) -> Table:
        name = layout.table
        try:
            self._open().tables.create(layout.table_schema())
        except ObjectAlreadyExist:
            raise ObjectAlreadyExist(
                f"table {name!r} already exists: open it with table({name!r}), or pass exist_ok=True to do so"
            ) from None
        try:
            self._create_index(layout)
        except BaseException:
            self._open().delete_table(name)
            raise
        return Table(self._open, layout)

    def _create_index(self, layout: Layout) -> None:
        schema = layout.index_schema()
        if layout.index is not None and schema is not None:
            self._open().create_search_index(layout.table, layout.index, schema)

    def _existing(self, declared: Layout) -> Table:
        layout = self._layout(declared.table, None)
        if layout.index is None and declared.index is not None:
            unindexed = {name: field for name, field in declared.fields.items() if not field.indexed}
            if layout.key == declared.key and layout.fields == unindexed:
                self._open().tables.declare(declared.table, declared.table_schema().declared)
                self._create_index(declared)
                return Table(self._open, declared)
        if layout.key != declared.key or layout.fields != declared.fields:
            raise ObjectAlreadyExist(
                f"table {declared.table!r} already exists with other columns: {_differences(layout, declared)}. "
                f"Open it as it is with table({declared.table!r}), or choose another name"
            )
        return Table(self._open, layout)

    def _layout(self, name: str, index: str | None) -> Layout:
        return layout_of(self._open(), name, index)


def delete_with_indexes(instance: Instance, name: str) -> None:
    """Deletes a table with its search indexes and all its rows. Raises ObjectNotExist."""
    instance.tables.describe(name)
    indexes = [index for _, index in instance.list_search_indexes(name)]
    # One that may take another's place goes before that.
    indexes.sort(key=lambda index: instance.describe_search_index(name, index).is_source)
    for index in indexes:
        instance.delete_search_index(name, index)
    instance.delete_table(name)


def layout_of(instance: Instance, name: str, index: str | None) -> Layout:
    """How the rows of a table look, by its search index, which ``index`` names where there are several.

    Raises ObjectNotExist, ParameterInvalid.
    """
    schema = instance.tables.describe(name).schema
    indexes = [found for _, found in instance.list_search_indexes(name)]
    chosen = _choose_index(name, indexes, index)
    if chosen is None:
        return Layout.of_table(schema, None, None)
    return Layout.of_table(schema, chosen, instance.describe_search_index(name, chosen).schema)


def _differences(there: Layout, declared: Layout) -> str:
    """What two layouts of one name do not agree on."""
    if [column.name for column in there.key] != [column.name for column in declared.key]:
        return f"its key is ({', '.join(c.name for c in there.key)}), not ({', '.join(c.name for c in declared.key)})"
    columns, wanted = there.declarations, declared.declarations
    return ", ".join(
        f"{name} is {columns[name]}, not {wanted[name]}"
        if name in columns and name in wanted
        else f"{name} is {'not ' * (name in wanted)}there"
        for name in (*columns, *(name for name in wanted if name not in columns))
        if columns.get(name) != wanted.get(name)
    )


def _choose_index(table: str, indexes: list[str], asked: str | None) -> str | None:
    if asked is not None:
        if asked not in indexes:
            has = f": it has {', '.join(sorted(indexes))}" if indexes else ""
            raise ObjectNotExist(f"table {table!r} has no search index {asked!r}{has}{suggestion(asked, indexes)}")
        return asked
    if len(indexes) <= 1:
        return indexes[0] if indexes else None
    if INDEX_NAME in indexes:
        return INDEX_NAME
    raise ParameterInvalid(
        f"table {table!r} has several search indexes: say index=, one of {', '.join(sorted(indexes))}"
    )
