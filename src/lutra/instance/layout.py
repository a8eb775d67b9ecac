"""How a table's rows look in Python: its key columns and fields, and their way to the store's rows and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, Final

import numpy as np

from lutra.instance.embedded import checked
from lutra.instance.encoding import declaration_text, encode_int, is_gap
from lutra.instance.field import Field, FieldDeclaration, Kind
from lutra.instance.row import Row
from lutra.model import limits
from lutra.model.errors import InvalidPrimaryKey, ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.names import is_column_name
from lutra.model.rows import CellChange, CellOperation, KeyInput
from lutra.model.rows import Row as StoredRow
from lutra.model.schema import DefinedColumn, KeyColumn, TableSchema
from lutra.model.suggestions import suggestion
from lutra.model.values import AUTO_INCREMENT, INT64_MAX, INT64_MIN, ColumnType, KeyMarker, KeyValue, Value

KeyDeclaration = type[str] | type[int] | type[bytes] | KeyMarker
"""``str``, ``int``, ``bytes``, or ``lutra.AUTO_INCREMENT`` for an int that the table chooses."""

INDEX_NAME: Final = "search"
"""The search index that declaring fields makes."""

_PYTHON_TYPES: Final[dict[ColumnType, type[str] | type[int] | type[bytes]]] = {
    ColumnType.STRING: str,
    ColumnType.INTEGER: int,
    ColumnType.BINARY: bytes,
}
_KEY_TYPES: Final[dict[object, ColumnType]] = {python_type: type_ for type_, python_type in _PYTHON_TYPES.items()}
_KEY_KINDS: Final = {ColumnType.STRING: Kind.STR, ColumnType.INTEGER: Kind.INT, ColumnType.BINARY: Kind.BYTES}
_OBJECTS: Final = frozenset({Kind.OBJECT})
_OBJECTS_AND_RECORDS: Final = _OBJECTS | {Kind.RECORD}
_FIELDS_A_COLUMN: Final = 4
_KEY_FIELDS: Final = {ColumnType.STRING: FieldType.KEYWORD, ColumnType.INTEGER: FieldType.LONG}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one table. Without fields the table is open: its rows take any column of any plain type."""

    table: str
    key: tuple[KeyColumn, ...]
    fields: Mapping[str, Field]
    index: str | None
    """The search index that serves the table's searches; None where it has none."""
    key_fields: Mapping[str, Field]
    """What filters see of each key column."""
    others: Mapping[str, Field] = dataclass_field(default_factory=dict)
    """What filters see beside: fields that an index made elsewhere has of columns that go by other names."""
    ranks: Mapping[str, int] = dataclass_field(init=False, repr=False, compare=False)
    """Of the fields, by their names, in their order."""

    embedded: tuple[Field, ...] = dataclass_field(init=False, repr=False, compare=False)
    """The fields whose vectors a model makes of another field."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", {name: rank for rank, name in enumerate(self.fields)})
        embedded = (field for field in self.fields.values() if field.embedding is not None)
        object.__setattr__(self, "embedded", tuple(embedded))

    @classmethod
    def declared(cls, table: str, key: Mapping[str, KeyDeclaration], fields: Mapping[str, FieldDeclaration]) -> Layout:
        """What ``create_table`` was asked for. Raises ParameterInvalid, and EmbeddingError where a model that fields
        name cannot be opened."""
        for what, given, example in (("key", key, "{'id': str}"), ("fields", fields, "{'title': lutra.Text()}")):
            if not isinstance(given, Mapping):
                raise ParameterInvalid(f"{what} says of columns what they hold, such as {example}: got {given!r}")
        columns = tuple(_key_column(name, declaration) for name, declaration in key.items())
        if not 1 <= len(columns) <= limits.KEY_COLUMNS_MAX:
            raise ParameterInvalid(f"a table has 1 to {limits.KEY_COLUMNS_MAX} key columns, not {len(columns)}")
        for name in fields:
            if name in key:
                raise ParameterInvalid(f"{name!r} is declared both as a key column and as a field")
            if not isinstance(name, str) or not is_column_name(name):
                raise ParameterInvalid(
                    f"invalid field name {name!r}: 1 to {limits.COLUMN_NAME_BYTES_MAX} bytes, '#' not first"
                )
        declared = {name: Field.declared(name, declaration) for name, declaration in fields.items()}
        declared = {name: checked(field, declared) for name, field in declared.items()}
        indexed = any(field.indexed for field in declared.values())
        key_fields = {c.name: Field.of_key(c.name, c.type, _key_schema(c) if indexed else None) for c in columns}
        return cls(table, columns, declared, INDEX_NAME if indexed else None, key_fields)

    @classmethod
    def of_table(cls, schema: TableSchema, index: str | None, index_schema: IndexSchema | None) -> Layout:
        """The layout of a table that is there, declared here or through another door."""
        key_names = {column.name for column in schema.key}
        declared = {one.name: one for one in schema.declared}
        fields = {c.name: Field.of_column(c.name, c.type, declared.get(c.name)) for c in schema.defined}
        others = {}
        for field in index_schema.fields if index_schema else ():
            if field.is_virtual:
                others[field.name] = Field.of_schema(field)
            elif field.name not in key_names:
                fields[field.name] = Field.of_schema(field)
        of_index = {field.name: field for field in index_schema.fields} if index_schema else {}
        key_fields = {c.name: Field.of_key(c.name, c.type, of_index.get(c.name)) for c in schema.key}
        layout = cls(schema.name, schema.key, fields, index, key_fields, others)
        of_fields = None if index_schema is None else replace(index_schema, recall_target=None)
        if layout.index_schema() != of_fields:
            fields = {name: _for_others(field) for name, field in fields.items()}
        for name, one in declared.items():
            made, of = fields.get(name), one.embedding
            if of is not None and of.source in fields and made is not None and made.vector is not None:
                fields[name] = replace(made, embedding=of)
        return replace(layout, fields=_in_order(fields, list(declared)))

    @property
    def is_open(self) -> bool:
        return not self.fields

    @property
    def declarations(self) -> dict[str, str]:
        """What declares each column, key columns first, as text."""
        declared = {
            **{column.name: key_declaration(column) for column in self.key},
            **{name: field.declaration for name, field in self.fields.items()},
        }
        return {name: declaration_text(declaration) for name, declaration in declared.items()}

    def without_models(self) -> Layout:
        """With the same fields, whose vectors are given."""
        return replace(self, fields={name: replace(field, embedding=None) for name, field in self.fields.items()})

    def table_schema(self) -> TableSchema:
        """The table as the store knows it: what no index describes is a defined column."""
        defined = tuple(
            DefinedColumn(field.name, field.column_type) for field in self.fields.values() if not field.indexed
        )
        declared = tuple(field.as_declared for field in self.fields.values())
        return TableSchema(self.table, self.key, defined, declared=declared)

    def index_schema(self) -> IndexSchema | None:
        """The search index of the declared fields, the key columns included; None where no field is indexed."""
        if self.index is None:
            return None
        key = (field for column in self.key if (field := _key_schema(column)) is not None)
        return IndexSchema((*key, *(field.schema() for field in self.fields.values() if field.indexed)))

    def is_key(self, name: str) -> bool:
        return any(column.name == name for column in self.key)

    def takes(self, name: str) -> bool:
        """Whether rows can have a column of that name."""
        return self.is_open or name in self.fields or self.is_key(name)

    def key_kind(self, column: KeyColumn) -> Field:
        """What a key column holds."""
        return Field(column.name, _KEY_KINDS[column.type], indexed=False)

    def field(self, name: str) -> Field | None:
        """What filters see under that name, a key column included; None where nothing is declared."""
        found = self.key_fields.get(name) or self.fields.get(name) or self.others.get(name)
        return self._below(name, _OBJECTS) if found is None and "." in name else found

    def counted(self, name: str) -> Field | None:
        """As :meth:`field`, of what aggregates see: they reach into records, too, as all of a row's count together."""
        found = self.field(name)
        return self._below(name, _OBJECTS_AND_RECORDS) if found is None and "." in name else found

    def _below(self, path: str, kinds: Collection[Kind]) -> Field | None:
        """What is at a path into a column of one of ``kinds``, and into what is within."""
        column, *keys = path.split(".")
        field = self.fields.get(column)
        for key in keys:
            if field is None or field.kind not in kinds:
                return None
            if field.is_open:
                return Field(path, Kind.STR, place=(column, *keys), is_leaf=True)
            inner = next((one for one in field.fields if one.name == key), None)
            field = inner and replace(inner, name=f"{field.name}.{key}")
        return None if field is None else replace(field, place=(column, *keys))

    def result_columns(self, names: Sequence[str] | None, rows: Sequence[Row]) -> dict[str, Field | None]:
        """The columns of an answer, in order: the key, then those asked for; None where a column's type is open."""
        result: dict[str, Field | None] = {c.name: Field(c.name, _KEY_KINDS[c.type]) for c in self.key}
        asked = self.fields if names is None else names
        found = (name for row in rows for name in row)
        for name in (*asked, *(found if names is None else ())):
            result.setdefault(name, self.fields.get(name))
        return result

    def _all_fields(self) -> Iterator[Field]:
        yield from self.fields.values()
        yield from self.others.values()

    def text_field(self, name: str | None) -> Field:
        """The text field of that name, or path; without a name, the only one. Raises ParameterInvalid."""
        return self._only(Kind.TEXT, "text", "text_field", name)

    def vector_field(self, name: str | None) -> Field:
        """The vector field of that name, or path; without a name, the only one. Raises ParameterInvalid."""
        return self._only(Kind.VECTOR, "vector", "field", name)

    def _only(self, kind: Kind, noun: str, keyword: str, name: str | None) -> Field:
        """Without a name, one of the row comes before those within objects and records."""
        own = {field.name: field for field in self._all_fields() if field.kind is kind and field.indexed}
        if name in own:
            return own[name]
        within = self._within(kind) if name is not None or not own else {}
        if name is not None:
            found = within.get(name)
            if found is None:
                raise ParameterInvalid(self._none_of(noun, name, [*own, *within]))
            return found
        some = own or within
        if not some:
            raise ParameterInvalid(self._none_of(noun, None, ()))
        if len(some) > 1:
            several = ", or some in a list" if kind is Kind.TEXT else ""
            raise ParameterInvalid(
                f"table {self.table!r} has several {noun} fields: say {keyword}=, one of {', '.join(some)}{several}"
            )
        [only] = some.values()
        return only

    def records_path(self, name: str) -> str | None:
        """The path of the records that have a field, the innermost; None where a row has it itself."""
        column, *keys = name.split(".")
        field, path, found = self.fields.get(column), column, None
        for key in keys:
            if field is None:
                break
            if field.kind is Kind.RECORD:
                found = path
            field, path = next((one for one in field.fields if one.name == key), None), f"{path}.{key}"
        return found

    def _within(self, kind: Kind) -> dict[str, Field]:
        """The fields of a kind within objects and records, by their paths."""
        paths = (path for field in self._all_fields() for path in _paths(field, _OBJECTS_AND_RECORDS))
        return {path: field for path in paths if (field := self.counted(path)) is not None and field.kind is kind}

    def _none_of(self, kind: str, name: str | None, known: Sequence[str]) -> str:
        """Says that there is no field of a kind, or none of that name."""
        if name is None:
            return f"table {self.table!r} has no {kind} field"
        has = f": it has {', '.join(known)}" if known else ""
        return f"table {self.table!r} has no {kind} field {name!r}{has}{suggestion(name, known)}"

    # --- keys ---------------------------------------------------------------------------------------------------

    def encode_key(self, values: Sequence[object], *, put: bool = False) -> KeyInput:
        """The key of these values, in the table's order. ``put`` lets AUTO_INCREMENT pass. Raises InvalidPrimaryKey."""
        if len(values) != len(self.key):
            names = ", ".join(column.name for column in self.key)
            raise InvalidPrimaryKey(f"table {self.table!r} has the key ({names}): got {len(values)} values")
        return tuple(
            (column.name, AUTO_INCREMENT if put and _is_chosen(column, value) else encode_key_value(column, value))
            for column, value in zip(self.key, values, strict=True)
        )

    def encode_bound(self, values: Sequence[object], marker: KeyMarker) -> KeyInput:
        """A range bound: these values of the first key columns, then ``marker`` for the rest."""
        given = [
            (column.name, encode_key_value(column, value)) for column, value in zip(self.key, values, strict=False)
        ]
        return (*given, *((column.name, marker) for column in self.key[len(given) :]))

    # --- rows ---------------------------------------------------------------------------------------------------

    def encode_row(self, row: object) -> tuple[KeyInput, list[CellChange]]:
        """Key and cells of a row to be put, a mapping or an object of a dataclass; None, and what else frames have for
        it (`is_gap`), stands for an absent column. Raises ParameterInvalid."""
        given = mapping_of(row)
        key = self.encode_key([self._key_part(column, given) for column in self.key], put=True)
        names = {column.name for column in self.key}
        cells: list[CellChange] = [
            (name, self.encode_value(name, value), None, CellOperation.PUT)
            for name, value in given.items()
            if name not in names and not is_gap(value)
        ]
        return key, cells

    def encode_value(self, name: str, value: object) -> Value:
        """The column value of a field's value. Raises ParameterInvalid."""
        field = self.fields.get(name)
        if field is None:
            if not self.is_open:
                raise ParameterInvalid(self.unknown(name))
            field = Field.of_value(name, value)
        encoded = field.encode(value)
        if value_bytes(encoded) > limits.COLUMN_VALUE_BYTES_MAX:
            raise ParameterInvalid(
                f"column {name!r}: {value_bytes(encoded):,} bytes, but at most {limits.COLUMN_VALUE_BYTES_MAX:,} "
                "are allowed"
            )
        return encoded

    def decode_row(self, stored: StoredRow, score: float | None = None, columns: Collection[str] | None = None) -> Row:
        """The row as Python shows it, with ``columns`` besides the key; of several versions of a column, the newest."""
        values: dict[str, Any] = dict(stored.key)
        key = tuple(values.values())
        found = {}
        for name, value, _ in stored.cells:
            if name not in found and name not in values and (columns is None or name in columns):
                field = self.fields.get(name)
                found[name] = value if field is None else field.decode(value)
        # In the order of the fields, others last.
        if len(self.fields) <= _FIELDS_A_COLUMN * len(found):  # which takes less than sorting, of not so many fields
            values.update({name: found[name] for name in self.fields if name in found})
            values.update(found)
        else:
            last = len(self.ranks)
            values.update(sorted(found.items(), key=lambda item: self.ranks.get(item[0], last)))
        return Row(key, values, score)

    def columns(self, names: Sequence[str] | None) -> tuple[str, ...] | None:
        """The attribute columns among ``names``, checked; None, which asks for all, stays. Raises ParameterInvalid."""
        if names is None:
            return None
        if isinstance(names, str):
            raise ParameterInvalid(f"columns is a list of names, not one str: write [{names!r}]")
        for name in names:
            if not self.takes(name):
                raise ParameterInvalid(self.unknown(name))
        return tuple(name for name in names if not self.is_key(name))

    def unknown(self, name: object) -> str:
        """Says that the table has no such column."""
        known = [*(column.name for column in self.key), *self.fields]
        likely = suggestion(name, [*known, *(path for field in self._all_fields() for path in _paths(field, _OBJECTS))])
        has = f"it has {', '.join(known)}{likely}"
        return f"table {self.table!r} has no column {name!r}: {has}"

    def _key_part(self, column: KeyColumn, row: Mapping[str, object]) -> object:
        if column.name not in row and not column.auto_increment:
            likely = suggestion(column.name, [name for name in row if isinstance(name, str)])
            raise InvalidPrimaryKey(f"the row has no value for the key column {column.name!r}{likely}")
        return self.key_part(column, row.get(column.name))

    def key_part(self, column: KeyColumn, value: object) -> object:
        """The value that a row to be put gives for a key column. Raises InvalidPrimaryKey."""
        if is_gap(value):
            if column.auto_increment:
                return AUTO_INCREMENT
            raise InvalidPrimaryKey(f"the row has no value for the key column {column.name!r}")
        if column.type is ColumnType.INTEGER and isinstance(value, float | np.floating):
            try:
                return encode_int(value)
            except (TypeError, ValueError) as error:
                raise InvalidPrimaryKey(f"key column {column.name!r}: {error}") from None
        return value


def mapping_of(row: object) -> Mapping[str, object]:
    """The columns of a row, a mapping or an object of a dataclass. Raises ParameterInvalid where it is neither."""
    if isinstance(row, Mapping):
        return row
    if isinstance(row, type) or not dataclasses.is_dataclass(row):
        raise ParameterInvalid(
            f"a row is a mapping of column names to values, or an object of a dataclass, not {type(row).__name__}"
        )
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}


def _key_schema(column: KeyColumn) -> FieldSchema | None:
    """The field that declaring a table makes over a key column; None where there is none."""
    kind = _KEY_FIELDS.get(column.type)
    return None if kind is None else FieldSchema(column.name, kind, store=False)


def key_declaration(column: KeyColumn) -> KeyDeclaration:
    """What declares such a key column."""
    return AUTO_INCREMENT if column.auto_increment else _PYTHON_TYPES[column.type]


def encode_key_value(column: KeyColumn, value: object) -> KeyValue:
    """The key value of ``value``. Raises InvalidPrimaryKey."""
    expected = _PYTHON_TYPES[column.type].__name__
    if column.type is ColumnType.INTEGER and not isinstance(value, bool) and hasattr(value, "__index__"):
        number = int(value.__index__())
        if not INT64_MIN <= number <= INT64_MAX:
            raise InvalidPrimaryKey(f"key column {column.name!r}: {number} does not fit 64 bits")
        return number
    if column.type is ColumnType.STRING and isinstance(value, str):
        text = str(value)
        try:
            _check_key_size(column, text.encode())
        except UnicodeEncodeError:
            raise InvalidPrimaryKey(f"key column {column.name!r}: the text holds a lone surrogate") from None
        return text
    if column.type is ColumnType.BINARY and isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        _check_key_size(column, data)
        return data
    raise InvalidPrimaryKey(f"key column {column.name!r}: expected {expected}, got {type(value).__name__} {value!r}")


def value_bytes(value: object) -> int:
    """The bytes that a column value takes, roughly."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(value) if isinstance(value, bytes) else 8


def _in_order(fields: Mapping[str, Field], declared: Sequence[str]) -> dict[str, Field]:
    """Those that Python did not declare come first, as they are found; the others in the order of their declaration."""
    ranks = {name: rank for rank, name in enumerate(declared)}
    return dict(sorted(fields.items(), key=lambda item: ranks.get(item[0], -1)))


def _paths(field: Field, kinds: Collection[Kind]) -> Iterator[str]:
    """Into a field of one of ``kinds``."""
    for inner in field.fields if field.kind in kinds else ():
        yield f"{field.name}.{inner.name}"
        yield from (f"{field.name}.{path}" for path in _paths(inner, kinds))


def _for_others(field: Field) -> Field:
    """As a field of an index that ``declared`` would not have made: an SDK did, and its readers parse vectors' text."""
    return replace(field, is_text=True) if field.kind is Kind.VECTOR else field


def _is_chosen(column: KeyColumn, value: object) -> bool:
    return column.auto_increment and value is AUTO_INCREMENT


def _check_key_size(column: KeyColumn, data: bytes) -> None:
    if len(data) > limits.KEY_VALUE_BYTES_MAX:
        raise InvalidPrimaryKey(
            f"key column {column.name!r}: {len(data):,} bytes, at most {limits.KEY_VALUE_BYTES_MAX:,} are allowed"
        )


def _key_column(name: str, declaration: KeyDeclaration) -> KeyColumn:
    if declaration is AUTO_INCREMENT:
        return KeyColumn(name, ColumnType.INTEGER, auto_increment=True)
    type_ = _KEY_TYPES.get(declaration) if isinstance(declaration, Hashable) else None
    if type_ is None:
        raise ParameterInvalid(f"key column {name!r}: a key is str, int, bytes or lutra.AUTO_INCREMENT")
    return KeyColumn(name, type_)
