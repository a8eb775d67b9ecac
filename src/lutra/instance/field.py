"""Fields of a table as Python declares them, and how their values are stored and read back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.instance.encoding import (
    FIRST_DATE,
    LAST_DATE,
    declaration_text,
    decode_json,
    decode_point,
    decode_vector,
    encode_bool,
    encode_bytes,
    encode_float,
    encode_int,
    encode_point,
    encode_str,
    moment_at,
    moment_of,
    number_of,
    shown,
    vector_text,
)
from lutra.instance.nested import Nested, Object, record_of
from lutra.instance.text import Text
from lutra.instance.vector import METRIC_NAMES, METRICS, Vector
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, JsonType, TextOptions, VectorOptions
from lutra.model.queries import Operand
from lutra.model.schema import DeclaredField, Embedding
from lutra.model.suggestions import suggestion
from lutra.model.values import ColumnType, Value
from lutra.scalars.dates import DEFAULT_FORMATS, EPOCH_UNITS_NS, datetime_ns
from lutra.scalars.values import ScalarReader

_DECLARED_DATES: Final = ("epoch_micros",)
_UNIT_NAMES: Final = {"epoch_second": "seconds", "epoch_millis": "milliseconds", "epoch_micros": "microseconds"}
_READERS_KEPT: Final = 1_024


@dataclass(frozen=True, slots=True)
class Stored:
    """Declares a field that is kept and read back, but not indexed: long text, blobs, long lists.

    ``type`` is ``str``, ``int``, ``float``, ``bool``, ``bytes``, or a ``list`` of one of the first four, which may have
    as many elements as fit 2 MB. ``where`` of a search cannot use it; ``where`` of a scan and of a write's condition
    can.
    """

    type: type[object] = str


FieldDeclaration = type[object] | Vector | Text | Nested | Object | Stored
"""``str``, ``int``, ``float``, ``bool``, ``datetime.datetime``, :class:`GeoPoint`, ``list`` of one of these,
``bytes``, :class:`Vector`, :class:`Text`, :class:`Nested` (or ``list`` of a dataclass), :class:`Object` (or a
dataclass) or :class:`Stored`."""


class Kind(enum.Enum):
    """What one value (one element, of an array) of a field is in Python."""

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    BYTES = "bytes"
    DATETIME = "datetime"
    VECTOR = "vector"
    TEXT = "text"
    GEO = "GeoPoint"
    RECORD = "record"
    OBJECT = "object"


_PYTHON_TYPES: Final[dict[Kind, type[Any]]] = {
    Kind.STR: str,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.BOOL: bool,
    Kind.BYTES: bytes,
    Kind.DATETIME: dt.datetime,
    Kind.GEO: GeoPoint,
}
_KIND_OF_TYPE: Final[dict[object, Kind]] = {type_: kind for kind, type_ in _PYTHON_TYPES.items()}
_ARRAY_TYPES: Final[dict[Kind, type[object]]] = {
    Kind.STR: list[str],
    Kind.INT: list[int],
    Kind.FLOAT: list[float],
    Kind.BOOL: list[bool],
    Kind.DATETIME: list[dt.datetime],
    Kind.GEO: list[GeoPoint],
}
_STORABLE: Final = frozenset({Kind.STR, Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.BYTES})
_ARRAY_ELEMENTS: Final = frozenset({Kind.STR, Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.DATETIME, Kind.GEO})
_HOLD_FIELDS: Final = frozenset({Kind.RECORD, Kind.OBJECT})
_UNSORTED: Final = _HOLD_FIELDS | {Kind.VECTOR, Kind.TEXT}

_COLUMN_TYPES: Final = {
    Kind.STR: ColumnType.STRING,
    Kind.INT: ColumnType.INTEGER,
    Kind.FLOAT: ColumnType.DOUBLE,
    Kind.BOOL: ColumnType.BOOLEAN,
    Kind.BYTES: ColumnType.BINARY,
    Kind.DATETIME: ColumnType.INTEGER,
    Kind.VECTOR: ColumnType.BINARY,
    Kind.TEXT: ColumnType.STRING,
    Kind.GEO: ColumnType.STRING,
    Kind.RECORD: ColumnType.STRING,
    Kind.OBJECT: ColumnType.STRING,
}
_KIND_OF_COLUMN: Final = {
    ColumnType.STRING: Kind.STR,
    ColumnType.INTEGER: Kind.INT,
    ColumnType.DOUBLE: Kind.FLOAT,
    ColumnType.BOOLEAN: Kind.BOOL,
    ColumnType.BINARY: Kind.BYTES,
}
_FIELD_TYPES: Final = {
    Kind.STR: FieldType.KEYWORD,
    Kind.INT: FieldType.LONG,
    Kind.FLOAT: FieldType.DOUBLE,
    Kind.BOOL: FieldType.BOOLEAN,
    Kind.DATETIME: FieldType.DATE,
    Kind.VECTOR: FieldType.VECTOR,
    Kind.TEXT: FieldType.TEXT,
    Kind.GEO: FieldType.GEO_POINT,
    Kind.RECORD: FieldType.NESTED,
    Kind.OBJECT: FieldType.JSON,
}
_KIND_OF_FIELD: Final = {
    **{type_: kind for kind, type_ in _FIELD_TYPES.items()},
    **dict.fromkeys((FieldType.FUZZY_KEYWORD, FieldType.IP), Kind.STR),
    FieldType.FLATTENED: Kind.OBJECT,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table: its kind, and its way into and out of the store.

    A DATE field of an index made elsewhere is of kind DATETIME where its column counts seconds, milliseconds or
    microseconds. Where it counts nanoseconds, of which a datetime has none, it is an INT, where it holds text a STR; in
    comparisons both take datetimes, too.
    """

    name: str
    kind: Kind
    is_array: bool = False
    indexed: bool = True
    vector: VectorOptions | None = None
    dates: tuple[str, ...] = ()
    """Of dates: the formats of the stored values. The first is what is written in."""
    text: TextOptions | None = None
    """Of texts: how they become words."""
    fields: tuple[Field, ...] = ()
    """Of records and objects: what each has."""
    made: FieldSchema | None = None
    """Of a kind that no declaration makes: as an index made elsewhere has it."""
    place: tuple[str, ...] = dataclass_field(default=(), compare=False)
    """Of what is no column of its own: the column that has its values, and the keys down to them in its object."""
    embedding: Embedding | None = None
    """Of a vector: what it is made of where a row has none."""
    is_leaf: bool = False
    """Of what is at a ``place``: whether it is text, however it is written there."""
    is_text: bool = dataclass_field(default=False, compare=False)
    """Of a vector: whether it is stored as the protocol's JSON text, which readers of tables made by an SDK expect."""

    @classmethod
    def declared(cls, name: str, declaration: FieldDeclaration) -> Field:
        """The field a declaration means. Raises ParameterInvalid where it means none."""
        declaration = _called(name, declaration)
        if isinstance(declaration, Vector):
            options = VectorOptions(declaration.dimension, METRICS[declaration.metric])
            source, model = declaration.embed, declaration.with_
            embedding = None if source is None or model is None else Embedding(source, model)
            return cls(name, Kind.VECTOR, vector=options, embedding=embedding)
        if isinstance(declaration, Text):
            return cls(name, Kind.TEXT, text=declaration.options)
        if isinstance(declaration, Nested):
            return cls._records(name, Kind.RECORD, declaration.fields)
        if isinstance(declaration, Object):
            return cls._records(name, Kind.OBJECT, declaration.fields)
        if _is_dataclass(declaration):
            return cls._records(name, Kind.OBJECT, Object.of(typing.cast(type[Any], declaration)).fields)
        if isinstance(declaration, Stored):
            is_array = typing.get_origin(declaration.type) is list
            [of] = typing.get_args(declaration.type) if is_array else [declaration.type]
            kind = _KIND_OF_TYPE.get(of)
            if kind not in _STORABLE or (is_array and kind is Kind.BYTES):
                raise ParameterInvalid(
                    f"field {name!r}: Stored() takes str, int, float, bool, bytes, or a list of one of the first four"
                )
            return cls(name, kind, is_array, indexed=False)
        if typing.get_origin(declaration) is list:
            [of] = typing.get_args(declaration)
            if _is_dataclass(of):
                return cls._records(name, Kind.RECORD, Nested.of(of).fields)
            element = _KIND_OF_TYPE.get(of)
            if element not in _ARRAY_ELEMENTS:
                raise ParameterInvalid(
                    f"field {name!r}: a list is of str, int, float, bool, datetime.datetime, lutra.GeoPoint or a "
                    "dataclass"
                )
            return cls(name, element, is_array=True, dates=_DECLARED_DATES if element is Kind.DATETIME else ())
        given: object = declaration
        kind = _KIND_OF_TYPE.get(given) if isinstance(given, Hashable) else None
        if kind is None:
            raise ParameterInvalid(
                f"field {name!r}: cannot store {declaration_text(declaration)}; declare it str, int, float, bool, "
                "bytes, datetime.datetime, lutra.GeoPoint, a list of one of these but bytes, lutra.Vector, lutra.Text, "
                "lutra.Nested, lutra.Object, a dataclass or lutra.Stored"
            )
        dates = _DECLARED_DATES if kind is Kind.DATETIME else ()
        return cls(name, kind, indexed=kind is not Kind.BYTES, dates=dates)

    @classmethod
    def _records(cls, name: str, kind: Kind, declared: Mapping[str, FieldDeclaration]) -> Field:
        fields = []
        for inner, of in declared.items():
            field = cls.declared(inner, of)
            if not field.indexed:
                raise ParameterInvalid(f"field {name!r}: what is within an object is indexed, but {inner!r} is not")
            if field.embedding is not None:
                raise ParameterInvalid(
                    f"field {name!r}: vectors within an object are given with it: {inner!r} cannot be embedded"
                )
            fields.append(replace(field, is_text=field.kind is Kind.VECTOR))
        return cls(name, kind, fields=tuple(fields))

    @classmethod
    def of_schema(cls, schema: FieldSchema) -> Field:
        """The field that a field of a search index is fed from."""
        kind = Kind.RECORD if schema.is_nested else _KIND_OF_FIELD[schema.type]
        dates: tuple[str, ...] = ()
        if schema.type is FieldType.DATE:
            dates = schema.date_formats or DEFAULT_FORMATS
            if dates[0] not in _UNIT_NAMES:
                kind = Kind.INT if dates[0] in EPOCH_UNITS_NS else Kind.STR
        text = schema.text or TextOptions() if kind is Kind.TEXT else None
        fields = tuple(replace(cls.of_schema(one), is_text=True) for one in schema.fields)
        is_declared = _FIELD_TYPES.get(kind) is schema.type or bool(dates)
        made = None if is_declared and not schema.is_virtual else schema
        indexed = schema.is_indexed or kind in _HOLD_FIELDS  # of which SDKs say no, and index what is within
        place = (schema.column,) if schema.is_virtual else ()
        return cls(schema.name, kind, schema.is_array, indexed, schema.vector, dates, text, fields, made, place)

    @classmethod
    def of_key(cls, name: str, type_: ColumnType, schema: FieldSchema | None) -> Field:
        """The field of a key column, whose values stay as they are; ``schema`` is that of the index over it."""
        kind = _KIND_OF_COLUMN[type_]
        if schema is None:
            return cls(name, kind, indexed=False)
        if schema.type is FieldType.DATE:
            return cls(name, kind, schema.is_array, schema.is_indexed, dates=schema.date_formats or DEFAULT_FORMATS)
        return cls(name, _KIND_OF_FIELD[schema.type], schema.is_array, schema.is_indexed)

    @classmethod
    def of_column(cls, name: str, type_: ColumnType, declared: DeclaredField | None = None) -> Field:
        """The field of a column whose type the table fixes and no index has; ``declared`` tells of a list."""
        if declared is not None and declared.elements is not None and type_ is ColumnType.STRING:
            return cls(name, _KIND_OF_COLUMN[declared.elements], is_array=True, indexed=False)
        return cls(name, _KIND_OF_COLUMN[type_], indexed=False)

    @classmethod
    def of_value(cls, name: str, value: object) -> Field:
        """The field that ``value`` would fit, unindexed: of a column that nobody declared. Raises ParameterInvalid."""
        kind = _KIND_OF_TYPE.get(type(value.item() if isinstance(value, np.generic) else value))
        if kind not in _STORABLE:
            raise ParameterInvalid(
                f"column {name!r}: a table without declared fields takes str, int, float, bool and bytes, "
                f"not {type(value).__name__}"
            )
        return cls(name, kind, indexed=False)

    @property
    def is_open(self) -> bool:
        """Whether its objects have whatever fields they have."""
        return self.kind is Kind.OBJECT and not self.fields

    @property
    def declaration(self) -> FieldDeclaration:
        """What declares such a field."""
        if self.vector is not None:
            of = self.embedding
            made = {} if of is None else {"embed": of.source, "with_": of.model}
            return Vector(self.vector.dimension, METRIC_NAMES[self.vector.metric], **made)
        if self.text is not None:
            return Text.of(self.text)
        if self.kind is Kind.RECORD:
            return Nested({field.name: field.declaration for field in self.fields})
        if self.kind is Kind.OBJECT:
            return Object({field.name: field.declaration for field in self.fields})
        if self.is_array:
            is_stored = not self.indexed and self.kind in _STORABLE
            return Stored(_ARRAY_TYPES[self.kind]) if is_stored else _ARRAY_TYPES[self.kind]
        type_ = _PYTHON_TYPES[self.kind]
        return type_ if self.indexed or self.kind is Kind.BYTES else Stored(type_)

    @property
    def as_declared(self) -> DeclaredField:
        """What the table keeps of it."""
        elements = _COLUMN_TYPES[self.kind] if self.is_array and not self.indexed else None
        return DeclaredField(self.name, elements, self.embedding)

    @property
    def column(self) -> Field:
        """What conditions on rows see, who know of no words: a text is a str to them."""
        return self if self.text is None else Field(self.name, Kind.STR, self.is_array, indexed=False)

    @property
    def column_type(self) -> ColumnType:
        """The type its column has in the table."""
        return ColumnType.STRING if self.is_array or self.is_text else _COLUMN_TYPES[self.kind]

    def schema(self) -> FieldSchema:
        """The field of the search index; for those that are of one."""
        if self.made is not None:
            return self.made
        return FieldSchema(
            self.name,
            FieldType.DATE if self.dates else _FIELD_TYPES[self.kind],
            sort_and_aggregate=self.kind not in _UNSORTED,
            store=False,
            is_array=self.is_array,
            vector=self.vector,
            text=self.text,
            date_formats=self.dates,
            fields=tuple(field.schema() for field in self.fields),
            json_type=JsonType.OBJECT if self.kind is Kind.OBJECT else None,
        )

    @property
    def reader(self) -> ScalarReader:
        """How an index reads the field's values and what they are compared with; of scalars that an index can have."""
        return _reader(self.schema())

    def encode(self, value: object) -> Value:
        """The column value that stands for ``value``. Raises ParameterInvalid, naming the field."""
        if self.vector is not None:
            vector = self.vector_of(value)
            return vector_text(vector) if self.is_text else vector.astype("<f4", copy=False).tobytes()
        if self.kind is Kind.RECORD:
            return json.dumps(self._records_of(value), ensure_ascii=False)
        if self.kind is Kind.OBJECT:
            return json.dumps(self._object_of(value), ensure_ascii=False)
        if self.is_array:
            return json.dumps(self._elements_of(value), ensure_ascii=False)
        return self._encode_element(value)

    def _in_record(self, value: object) -> Any:
        """As JSON has it, of a field of a record."""
        if self.vector is not None:
            return json.loads(vector_text(self.vector_of(value)))
        if self.kind is Kind.RECORD:
            return self._records_of(value)
        if self.kind is Kind.OBJECT:
            return self._object_of(value)
        return self._elements_of(value) if self.is_array else self._encode_element(value)

    def _records_of(self, value: object) -> list[dict[str, Any]]:
        if not isinstance(value, list | tuple):
            raise ParameterInvalid(f"field {self.name!r}: expected a list of records, got {shown(value)}")
        if len(value) > limits.NESTED_ROWS_MAX:
            raise ParameterInvalid(
                f"field {self.name!r}: {len(value)} records, at most {limits.NESTED_ROWS_MAX} are allowed"
            )
        return [self._object_of(record, f" record {number}:") for number, record in enumerate(value)]

    def _object_of(self, value: object, which: str = "") -> dict[str, Any]:
        try:
            given = record_of(value)
            if self.is_open:
                return json.loads(json.dumps(given, allow_nan=False))  # type: ignore[no-any-return]
            fields = {field.name: field for field in self.fields}
            if unknown := sorted(given.keys() - fields.keys()):
                likely = suggestion(unknown[0], fields)
                raise TypeError(f"there is no field {unknown[0]!r}: there are {', '.join(fields)}{likely}")
            return {name: fields[name]._in_record(one) for name, one in given.items()}
        except (TypeError, ValueError, ParameterInvalid) as error:
            raise ParameterInvalid(f"field {self.name!r}:{which} {error}") from None

    def operand(self, value: object) -> Operand:
        """``value`` as comparisons take it: of one element, where the field is an array. Raises ParameterInvalid.

        It need not be a value that the field can hold, and stays what it is: 0.5 compares with an int.
        """
        try:
            if self.dates and (self.kind is Kind.DATETIME or isinstance(value, dt.datetime)):
                return moment_of(value)
            if self.kind in (Kind.INT, Kind.FLOAT):
                return number_of(value, self.kind.value)
            return _ENCODERS[self.kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ParameterInvalid(f"field {self.name!r}: {error}") from None

    def vector_of(self, value: object) -> npt.NDArray[np.float32]:
        """float32 [dimension], finite; for vector fields only. Raises ParameterInvalid."""
        if self.vector is None:
            raise ParameterInvalid(f"field {self.name!r} is not a vector")
        try:
            array = np.asarray(value)
        except ValueError:  # a ragged list
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in "fiub" or array.shape != (self.vector.dimension,):
            got = f"an array of {array.dtype} and shape {array.shape}" if array.ndim else shown(value)
            raise ParameterInvalid(
                f"field {self.name!r}: expected a vector of {self.vector.dimension} numbers, got {got}"
            )
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is named below
            vector = np.ascontiguousarray(array, dtype=np.float32)
        finite = np.isfinite(vector)
        if not finite.all():
            position = int(np.argmin(finite))
            what = "NaN" if np.isnan(vector[position]) else "infinite, or too large for float32"
            raise ParameterInvalid(f"field {self.name!r}: element {position} of the vector is {what}")
        return vector

    def decode(self, value: Value) -> Any:
        """What ``value`` stands for; a value of another form (written through another door) as it is stored."""
        if self.kind is Kind.VECTOR:
            return decode_vector(value, self.vector)
        if (self.is_array or self.kind in _HOLD_FIELDS) and isinstance(value, str):
            content = decode_json(value)
            return value if self.is_array and isinstance(content, dict) else self._from_json(content)
        return self._decode_element(value)

    def _from_json(self, value: Any) -> Any:
        if self.kind is Kind.RECORD:
            records = [value] if isinstance(value, dict) else value
            return [self._record(one) for one in records] if isinstance(records, list) else records
        if self.kind is Kind.OBJECT:
            return [self._record(one) for one in value] if isinstance(value, list) else self._record(value)
        if self.vector is not None:
            return decode_vector(json.dumps(value), self.vector) if isinstance(value, list) else value
        if self.is_array and isinstance(value, list):
            return [self._decode_element(one) for one in value]
        return self._decode_element(value)

    def _record(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = {field.name: field for field in self.fields}
        return {name: fields[name]._from_json(one) if name in fields else one for name, one in value.items()}

    def _decode_element(self, value: Any) -> Any:
        if self.kind is Kind.GEO:
            return decode_point(value)
        if self.kind is not Kind.DATETIME or type(value) is not int:
            return value
        try:
            return moment_at(value * EPOCH_UNITS_NS[self.dates[0]] // 1_000)
        except OverflowError:
            return value

    def _encode_element(self, value: object) -> Value:
        try:
            encoded = self._encode_date(value) if self.dates else _ENCODERS[self.kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ParameterInvalid(f"field {self.name!r}: {error}") from None
        if self.indexed and self.text is None and isinstance(encoded, str):
            self._check_keyword(encoded)
        return encoded

    def _encode_date(self, value: object) -> Value:
        """Raises TypeError, ValueError."""
        form = self.dates[0]
        if self.kind is Kind.STR:  # or an integer, where the formats have one that is no text
            if self.reader.element(value) is None or not isinstance(value, str | int):
                raise ValueError(f"expected a date in one of the formats {list(self.dates)}, got {shown(value)}")
            return value
        if self.kind is Kind.INT and not isinstance(value, dt.datetime):
            return encode_int(value)
        moment = moment_of(value)
        if not FIRST_DATE <= moment <= LAST_DATE:
            raise ValueError(f"{moment} is out of range: {FIRST_DATE:%Y-%m-%d} to {LAST_DATE:%Y-%m-%d}")
        count, rest = divmod(datetime_ns(moment), EPOCH_UNITS_NS[form])
        if rest:
            raise ValueError(f"{moment} cannot be stored: the column holds whole {_UNIT_NAMES[form]}")
        return count

    def _elements_of(self, value: object) -> list[Value]:
        if not isinstance(value, list | tuple | np.ndarray) or (isinstance(value, np.ndarray) and value.ndim != 1):
            raise ParameterInvalid(f"field {self.name!r}: expected a list of {self.kind.value}, got {shown(value)}")
        if self.indexed and len(value) > limits.ARRAY_ELEMENTS_MAX:
            raise ParameterInvalid(
                f"field {self.name!r}: {len(value)} elements, but an indexed list has at most "
                f"{limits.ARRAY_ELEMENTS_MAX}; declare the field lutra.Stored({declaration_text(self.declaration)}) to "
                "keep longer ones unindexed"
            )
        return [self._encode_element(element) for element in value]

    def _check_keyword(self, text: str) -> None:
        size_bytes = len(text.encode())
        if size_bytes > limits.KEYWORD_BYTES_MAX:
            raise ParameterInvalid(
                f"field {self.name!r}: {size_bytes:,} bytes of text, but an indexed str holds at most "
                f"{limits.KEYWORD_BYTES_MAX:,}; declare the field lutra.Stored(str) to keep long text unindexed"
            )


_ENCODERS: Final[dict[Kind, Callable[[object], Value]]] = {
    Kind.STR: encode_str,
    Kind.INT: encode_int,
    Kind.FLOAT: encode_float,
    Kind.BOOL: encode_bool,
    Kind.BYTES: encode_bytes,
    Kind.TEXT: encode_str,
    Kind.GEO: encode_point,
}


def _called(name: str, declaration: FieldDeclaration) -> FieldDeclaration:
    """``lutra.Text`` means ``lutra.Text()``. Raises ParameterInvalid for a class that has to be told more."""
    if declaration is Text or declaration is Stored:
        return declaration()
    for kind, example in _TOLD_MORE.items():
        if declaration is kind:
            raise ParameterInvalid(f"field {name!r}: say of what it is: {example}, for example")
    return declaration


_TOLD_MORE: Final[dict[type[object], str]] = {
    Vector: "lutra.Vector(384)",
    Nested: 'lutra.Nested({"sku": str, "price": float})',
    Object: 'lutra.Object({"name": str})',
}


def _is_dataclass(declaration: object) -> bool:
    return isinstance(declaration, type) and dataclasses.is_dataclass(declaration) and declaration is not GeoPoint


@lru_cache(_READERS_KEPT)
def _reader(schema: FieldSchema) -> ScalarReader:
    """One for all alike: the patterns of dates take time to compile."""
    return ScalarReader(schema)
