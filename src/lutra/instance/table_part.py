"""What all that a table of an embedded database does begins with: the open instance, and how the table's rows look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from lutra.instance import where as filters
from lutra.instance.expression import Expression
from lutra.instance.field import FieldDeclaration
from lutra.instance.instance import Instance
from lutra.instance.layout import KeyDeclaration, Layout, key_declaration
from lutra.model.deadline import current_deadline
from lutra.model.errors import ObjectNotExist, ParameterInvalid
from lutra.model.rows import Condition, RowExistence
from lutra.model.values import KeyValue
from lutra.tables.tables import Tables

T = TypeVar("T")
WAIT_S: Final = 30.0
"""So long an index has to catch up with its table."""
_EXISTENCE: Final = {
    None: RowExistence.IGNORE,
    True: RowExistence.EXPECT_EXIST,
    False: RowExistence.EXPECT_NOT_EXIST,
}


class TablePart:
    """A handle of one table."""

    def __init__(self, instance: Callable[[], Instance], layout: Layout) -> None:
        """``instance`` gives the open instance, or raises where its database is closed. Raises ObjectNotExist."""
        self._open = instance
        self._layout = layout
        self._changing = threading.Lock()
        self._table_id = instance().tables.describe(layout.table).table_id

    @property
    def name(self) -> str:
        return self._layout.table

    @property
    def key(self) -> dict[str, KeyDeclaration]:
        """The key columns, in order, as ``create_table`` takes them."""
        return {column.name: key_declaration(column) for column in self._layout.key}

    @property
    def fields(self) -> dict[str, FieldDeclaration]:
        """The fields, as ``create_table`` takes them; empty where the table takes any column."""
        return {name: field.declaration for name, field in self._layout.fields.items()}

    def _instance(self) -> Instance:
        """The open instance, where the table is still there. Asked before each step of what takes several.

        Raises ObjectNotExist, and RequestTimeout where nobody waits for what is under way any more.
        """
        current_deadline().check()
        instance = self._open()
        try:
            table_id = instance.tables.describe(self.name).table_id
        except ObjectNotExist:
            raise ObjectNotExist(f"there is no table {self.name!r} any more: it was deleted") from None
        if table_id != self._table_id:
            raise ObjectNotExist(
                f"table {self.name!r} was deleted and made anew since: open the new one with table({self.name!r})"
            )
        return instance

    def _read(self, read: Callable[[Tables], T]) -> T:
        """What is read of the tables. The instance is held meanwhile: where the database is read only and goes on to a
        newer state, an instance that nobody has is closed. Raises as `_instance`, and as ``read``."""
        instance = self._instance()
        return read(instance.tables)

    def _condition(self, exists: bool | None, where: Expression | None) -> Condition:
        columns = None if where is None else filters.to_condition(where, self._layout)
        return Condition(_EXISTENCE[exists], columns)


def id_of(table: TablePart) -> int:
    """Of this table alone: one that is made under its name later has another."""
    return table._table_id


def is_closed(table: TablePart) -> bool:
    """Whether rows have no columns but those that are declared: Python made the table, with fields. Rows of a table
    that an SDK made may have any, whatever its index describes."""
    return bool(table._layout.fields) and bool(table._instance().tables.describe(table.name).schema.declared)


def parts_of(key: KeyValue | Sequence[KeyValue]) -> tuple[KeyValue, ...]:
    return (key,) if isinstance(key, str | bytes) or not isinstance(key, Sequence) else tuple(key)


def several(keys: Iterable[KeyValue | Sequence[KeyValue]]) -> Iterable[KeyValue | Sequence[KeyValue]]:
    """``keys``, unless they are one text, of which each letter would be a key. Raises ParameterInvalid."""
    if isinstance(keys, str | bytes | bytearray | memoryview):
        raise ParameterInvalid(f"keys are a list, not one {type(keys).__name__}: write [{keys!r}]")
    return keys
