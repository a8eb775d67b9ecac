"""A row as a form shows it, and what becomes of the form.

Columns are read by the types that somebody chose, and written only where the row is still as it was shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, Final

from lutra.console.cells import ShownValue, shown_value
from lutra.console.row_keys import key_value
from lutra.console.search.pictures import picture_type
from lutra.embedding.embedder import EmbeddingError
from lutra.instance.embedded_rows import EmbeddedRows
from lutra.instance.field import Field
from lutra.instance.instance import Instance
from lutra.instance.layout import Layout, value_bytes
from lutra.instance.table import Table
from lutra.instance.table_part import is_closed
from lutra.model import limits
from lutra.model.conditions import RowTest
from lutra.model.errors import ConditionCheckFail, LutraError, ObjectNotExist, OperationConflict, ParameterInvalid
from lutra.model.names import is_column_name
from lutra.model.rows import (
    Cell,
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    PrimaryKey,
    ReadOptions,
    ReturnType,
    Row,
    RowChange,
    RowExistence,
)
from lutra.model.values import Value
from lutra.transfer.conversion import conversion_to
from lutra.transfer.field_types import type_text
from lutra.transfer.texts import cell_text

DECLARED: Final = "declared"
STORED_TYPES: Final[dict[str, type[Any]]] = {
    "string": str,
    "integer": int,
    "double": float,
    "boolean": bool,
    "binary": bytes,
}
"""Of columns that nobody declared, by the names that the protocol gives them."""
COLUMNS_SHOWN_MAX: Final = 400
VERSIONS_SHOWN_MAX: Final = 10
_TEXT_CHARS_MAX: Final = 64 * 1024
"""Of a value that a form has as text."""
_FORM_BYTES_MAX: Final = 1024 * 1024
"""Of all values of a form: what is sent of it takes three times as much."""
_NEW_COLUMNS_MAX: Final = 50
_NOT_TYPED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]|\r(?!\n)")
_VERSIONS: Final = 2**31 - 1
_NAMES: Final = {of: name for name, of in STORED_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Choice:
    """A type that a column's value may be read by; ``label`` is how people know it."""

    value: str
    label: str


@dataclass(slots=True)
class ShownColumn:
    """A column of a row in a form. ``text`` is what stands in the control; None: it cannot be typed."""

    name: str
    shown: ShownValue | None
    choices: Sequence[Choice]
    type: str
    text: str | None
    seen: str = ""
    """Tells the value from any other."""
    versions: Sequence[tuple[int, ShownValue]] = ()
    """Older ones, with their times in ms, newest first."""
    is_picture: bool = False
    is_removed: bool = False
    problem: str = ""

    @property
    def is_long(self) -> bool:
        """Whether it takes more than a line."""
        return self.text is not None and (len(self.text) > 80 or "\n" in self.text)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form says of one column."""

    name: str
    type: str
    text: str
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """A column that somebody changed meanwhile, and what it is now; None: it is gone."""

    name: str
    now: ShownValue | None


@dataclass(slots=True)
class Edited:
    """What became of a form: written, where there is nothing else to tell.

    ``problems``: what is wrong, by column. ``changed``: what others changed meanwhile. ``is_gone``: the row is no more.
    """

    written: int = 0
    problems: dict[str, str] = dataclass_field(default_factory=dict)
    changed: Sequence[Changed] = ()
    is_gone: bool = False

    @property
    def is_refused(self) -> bool:
        return bool(self.problems or self.changed or self.is_gone)


@dataclass(frozen=True, slots=True)
class Inserted:
    """What became of the form of a new row: its key, else what is wrong, by column, or that there is one already."""

    key: PrimaryKey | None
    problems: Mapping[str, str] = dataclass_field(default_factory=dict)
    is_there: bool = False


class RowForms:
    """The forms of one table's rows. ``is_closed``: whether it takes no columns but those that it declares."""

    def __init__(self, instance: Instance, table: Table, layout: Layout) -> None:
        """``table``: the handle of the table whose ``layout`` it is."""
        self._instance = instance
        self._table = table
        self.layout = layout
        self._update_is_allowed = instance.tables.describe(layout.table).schema.options.allow_update
        self.is_closed = is_closed(table)

    def read(self, key: PrimaryKey) -> Row:
        """The row with its versions. Raises ObjectNotExist where there is none."""
        options = ReadOptions(max_versions=_VERSIONS)
        row = self._instance.tables.read(self.layout.table, key, options).row
        if row is None:
            raise ObjectNotExist("There is no row of this key.")
        return row

    def value(self, row: Row, name: str) -> Any:
        """The newest value of a column, as Python has it. Raises ObjectNotExist where the row does not have it."""
        for found, value, _ in row.cells:
            if found == name:
                return self._decoded(name, value)
        raise ObjectNotExist(f"The row has no column {name!r}.")

    def shown(self, row: Row) -> list[ShownColumn]:
        """The columns that the row has, in the order of the table's fields, others last."""
        newest = _newest(row.cells)
        rank = self.layout.ranks
        names = sorted(newest, key=lambda name: (rank.get(name, len(rank)), name))
        columns = [self._column(name, newest[name], row) for name in names[:COLUMNS_SHOWN_MAX]]
        size_bytes = 0
        for column in columns:
            text = column.text
            size_bytes += 0 if text is None else len(text.encode())
            if size_bytes > _FORM_BYTES_MAX:
                column.text = None
        return columns

    def empty(self, name: str) -> ShownColumn:
        """A column that a row may get."""
        choices = self._choices(name)
        return ShownColumn(name, None, choices, choices[0].value, "")

    def missing(self, columns: Sequence[ShownColumn]) -> list[str]:
        """The fields that a row does not have."""
        there = {column.name for column in columns}
        return [name for name in self.layout.fields if name not in there]

    # --- what becomes of a form ---------------------------------------------------------------------------------

    def edit(self, key: PrimaryKey, seen: Mapping[str, str], typed: Sequence[Typed]) -> Edited:
        """Writes what was changed. ``seen``: the columns as they were shown, by `ShownColumn.seen`.

        Raises LutraError where the store refuses.
        """
        try:
            row = self.read(key)
        except ObjectNotExist:
            return Edited(is_gone=True)
        newest = _newest(row.cells)
        if changed := self._changed(newest, seen):
            return Edited(changed=changed)
        cells, problems = self._cells(newest, typed)
        if problems or not cells:
            return Edited(problems=problems)
        condition = Condition(RowExistence.EXPECT_EXIST, RowTest(lambda now: not _differs(_newest(now), seen)))
        try:
            change = self._with_vectors(self._change(key, newest, cells, condition))
            self._instance.tables.write(self.layout.table, change)
        except EmbeddingError as error:
            return Edited(problems=self._of_sources(error, [name for name, *_ in cells]))
        except ConditionCheckFail:
            try:
                changed = self._changed(_newest(self.read(key).cells), seen)
            except ObjectNotExist:
                return Edited(is_gone=True)
            if not changed:  # and was changed back
                raise OperationConflict("The row changes at this moment: try again.") from None
            return Edited(changed=changed)
        return Edited(written=len(cells))

    def typed_anew(self, seen: Mapping[str, str], typed: Sequence[Typed]) -> list[Typed]:
        """What somebody changed in a form that was made of ``seen``: the rest is but what it was given."""
        return [one for one in typed if one.is_removed or not self._is_of(one, seen.get(one.name, ""))]

    def _is_of(self, typed: Typed, seen: str) -> bool:
        for text in (_plain(typed.text), typed.text):
            try:
                value = self._encoded(typed.name, typed.type, self._value(replace(typed, text=text)))
            except LutraError:
                return False
            if _digest(value) == seen:
                return True
        return False

    def insert(self, key: Mapping[str, str], typed: Sequence[Typed]) -> Inserted:
        """Puts a row where there is none of its key. ``key``: as it was typed, by its columns; what the table chooses
        is left empty. Raises LutraError where the store refuses."""
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for column in self.layout.key:
            text = key.get(column.name, "")
            try:
                if text or not column.auto_increment:
                    values[column.name] = key_value(column, text)
            except LutraError as error:
                problems[column.name] = str(error)
        for one in typed:
            try:
                self.check_new(one.name)
                if one.name in values:
                    raise ParameterInvalid("This column is given twice.")
                values[one.name] = self._value(replace(one, text=_plain(one.text)))
            except LutraError as error:
                problems[one.name] = str(error)
        if problems:
            return Inserted(None, problems)
        # A key that the table chooses is nobody's before.
        exists = None if any(column.auto_increment for column in self.layout.key) else False
        try:
            return Inserted(self._put(values, {one.name: one.type for one in typed}, exists))
        except EmbeddingError as error:
            return Inserted(None, self._of_sources(error, list(values)))
        except ConditionCheckFail:
            return Inserted(None, is_there=True)

    def _put(self, values: Mapping[str, Any], types: Mapping[str, str], exists: bool | None) -> PrimaryKey:
        """By the table's own door where it declares all that it has, which knows what goes with a row."""
        columns = self.layout.key
        if self.is_closed:
            chosen = self._table.put(values, exists=exists)
            return tuple((column.name, value) for column, value in zip(columns, chosen, strict=True))
        key = self.layout.encode_key([self.layout.key_part(one, values.get(one.name)) for one in columns], put=True)
        cells: list[CellChange] = [
            (name, self._encoded(name, type_, values[name]), None, CellOperation.PUT) for name, type_ in types.items()
        ]
        existence = RowExistence.IGNORE if exists is None else RowExistence.EXPECT_NOT_EXIST
        change = RowChange(ChangeKind.PUT, key, cells, Condition(existence), ReturnType.PRIMARY_KEY)
        row = self._instance.tables.write(self.layout.table, change).row
        assert row is not None
        return row.key

    def _value(self, typed: Typed) -> Any:
        """What was typed, as a field takes it. Raises ParameterInvalid."""
        name = typed.name
        if self.layout.is_key(name):
            raise ParameterInvalid("This is a column of the key.")
        if not is_column_name(name):
            raise ParameterInvalid("A column's name has 1 to 255 bytes, and '#' is not the first.")
        if typed.type not in {DECLARED, *STORED_TYPES} or (typed.type == DECLARED and name not in self.layout.fields):
            raise ParameterInvalid(f"Column {name!r} cannot be {typed.type!r}.")
        if typed.type != DECLARED and self.is_closed and name in self.layout.fields:
            raise ParameterInvalid(f"Column {name!r} is {type_text(self.layout.fields[name].declaration)}.")
        field = self._field(name, typed.type)
        try:
            value = conversion_to(field)(typed.text)
            field.encode(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ParameterInvalid(str(error)) from None
        return value

    def _encoded(self, name: str, type_: str, value: Any) -> Value:
        """As the store keeps it. Raises ParameterInvalid."""
        encoded = self._field(name, type_).encode(value)
        if (size_bytes := value_bytes(encoded)) > limits.COLUMN_VALUE_BYTES_MAX:
            raise ParameterInvalid(f"{size_bytes:,} bytes, but at most {limits.COLUMN_VALUE_BYTES_MAX:,} are allowed.")
        return encoded

    def _field(self, name: str, type_: str) -> Field:
        return self.layout.fields[name] if type_ == DECLARED else Field.declared(name, STORED_TYPES[type_])

    def check_new(self, name: str) -> None:
        """Raises ParameterInvalid where rows cannot have such a column."""
        if self.is_closed and name not in self.layout.fields:
            raise ParameterInvalid(self.layout.unknown(name))

    def _cells(self, newest: Mapping[str, Value], typed: Sequence[Typed]) -> tuple[list[CellChange], dict[str, str]]:
        """The changes that a form means, and what is wrong with it, by column."""
        cells: list[CellChange] = []
        problems: dict[str, str] = {}
        for one in typed:
            try:
                if one.is_removed:
                    if one.name in newest:
                        cells.append((one.name, None, None, CellOperation.DELETE_ALL))
                    continue
                if one.name not in newest:
                    self.check_new(one.name)
                    one = replace(one, text=_plain(one.text))
                elif self._is_as_it_was(one, newest[one.name]):
                    continue
                else:
                    one = replace(one, text=_line_ends(one.text, newest[one.name]))
                value = self._encoded(one.name, one.type, self._value(one))
                if newest.get(one.name) != value or type(newest[one.name]) is not type(value):
                    cells.append((one.name, value, None, CellOperation.PUT))
            except LutraError as error:
                problems[one.name] = str(error)
        return cells, problems

    def _change(
        self, key: PrimaryKey, newest: Mapping[str, Value], cells: list[CellChange], condition: Condition
    ) -> RowChange:
        """Of columns, or, where the table takes no such change, the row anew."""
        if self._update_is_allowed:
            return RowChange(ChangeKind.UPDATE, key, cells, condition)
        row = dict(newest)
        for name, value, _, _ in cells:
            if value is None:
                row.pop(name, None)
            else:
                row[name] = value
        whole: list[CellChange] = [(name, value, None, CellOperation.PUT) for name, value in row.items()]
        return RowChange(ChangeKind.PUT, key, whole, condition)

    def _with_vectors(self, change: RowChange) -> RowChange:
        """With those that models make of what is changed. Raises EmbeddingError."""
        for error in EmbeddedRows(self.layout).complete([change]).values():
            raise error
        return change

    def _of_sources(self, error: EmbeddingError, names: Sequence[str]) -> dict[str, str]:
        """What is wrong, told of the columns that a model was given."""
        sources = [field.embedding.source for field in self.layout.embedded if field.embedding is not None]
        return {name: str(error) for name in names if name in sources}

    def _is_as_it_was(self, typed: Typed, value: Value) -> bool:
        """Whether a control holds what it was given, but for what browsers make of ends of lines."""
        before = self._typed_form(typed.name, value)
        return typed.type == before.type and before.text is not None and _plain(typed.text) == _plain(before.text)

    def _changed(self, newest: Mapping[str, Value], seen: Mapping[str, str]) -> list[Changed]:
        return [
            Changed(name, shown_value(self._decoded(name, newest[name])) if name in newest else None)
            for name in _differs(newest, seen)
        ]

    # --- columns ------------------------------------------------------------------------------------------------

    def _column(self, name: str, value: Value, row: Row) -> ShownColumn:
        older = [(ms, shown_value(self._decoded(name, one))) for found, one, ms in row.cells if found == name][1:]
        form = self._typed_form(name, value)
        form.shown = shown_value(self._decoded(name, value))
        form.seen = _digest(value)
        form.is_picture = picture_type(value) is not None
        form.versions = older[:VERSIONS_SHOWN_MAX]
        return form

    def _typed_form(self, name: str, value: Value) -> ShownColumn:
        """The type and the text that a form begins with."""
        choices = self._choices(name)
        decoded = self._decoded(name, value)
        type_ = choices[0].value
        if type_ == DECLARED and not self._fits(name, decoded):
            type_, decoded = _NAMES[type(value)], value
            choices = [*choices, *(one for one in _stored_choices() if one.value == type_ and one not in choices)]
        elif type_ != DECLARED:
            type_ = _NAMES[type(value)]
        text = cell_text(decoded)
        is_typed = len(text) <= _TEXT_CHARS_MAX and _NOT_TYPED.search(text) is None
        return ShownColumn(name, None, choices, type_, text if is_typed else None)

    def _fits(self, name: str, decoded: Any) -> bool:
        try:
            self.layout.fields[name].encode(decoded)
        except LutraError:
            return False
        return True

    def _choices(self, name: str) -> list[Choice]:
        """The declared type first, where there is one."""
        field = self.layout.fields.get(name)
        if field is None:
            return _stored_choices()
        declared = Choice(DECLARED, type_text(field.declaration))
        return [declared] if self.is_closed else [declared, *_stored_choices()]

    def _decoded(self, name: str, value: Value) -> Any:
        field = self.layout.fields.get(name)
        return value if field is None else field.decode(value)


def typed_columns(form: Mapping[str, Any], count_max: int = COLUMNS_SHOWN_MAX + _NEW_COLUMNS_MAX) -> list[Typed]:
    """The columns of a form: ``name-0``, ``type-0``, ``value-0`` and ``remove-0``, and so on."""
    columns = []
    for number in range(count_max):
        name = form.get(f"name-{number}")
        if not isinstance(name, str):
            break
        if name:
            type_, text = form.get(f"type-{number}", ""), form.get(f"value-{number}")
            is_removed = form.get(f"remove-{number}") is not None
            if isinstance(text, str) or is_removed:  # without a control, it stays as it is
                columns.append(Typed(name, str(type_), text if isinstance(text, str) else "", is_removed))
    return columns


def seen_of_text(text: str) -> dict[str, str]:
    """What a form was made of. Raises ParameterInvalid."""
    try:
        seen = json.loads(text)
    except ValueError:
        seen = None
    if not isinstance(seen, dict) or not all(isinstance(one, str) for one in seen.values()):
        raise ParameterInvalid("The form does not say what it was made of.")
    return seen


def _stored_choices() -> list[Choice]:
    return [Choice(name, name) for name in STORED_TYPES]


def _newest(cells: Sequence[Cell]) -> dict[str, Value]:
    newest: dict[str, Value] = {}
    for name, value, _ in cells:
        newest.setdefault(name, value)
    return newest


def _differs(newest: Mapping[str, Value], seen: Mapping[str, str]) -> list[str]:
    """The columns that are not as they were seen, or were not there; of a row of very many those that were shown."""
    changed = [name for name, digest in seen.items() if name not in newest or _digest(newest[name]) != digest]
    is_whole = len(seen) < COLUMNS_SHOWN_MAX
    return changed + [name for name in newest if is_whole and name not in seen]


def _digest(value: Value) -> str:
    content = value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")
    return hashlib.sha256(type(value).__name__.encode() + b":" + content).hexdigest()[:32]


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _line_ends(text: str, before: Value) -> str:
    """``text`` as a browser sends it, with the ends of lines that there were before."""
    return text if isinstance(before, str) and "\r\n" in before else _plain(text)
