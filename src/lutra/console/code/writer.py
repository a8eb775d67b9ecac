"""What the writers of programs have in common: how a noun of the model becomes an expression of a language.

Each language says in tables what nouns are called there, and what their parts are; what is in none of them it cannot
say.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from lutra.console.code.layout import Expression, Item
from lutra.console.code.literals import one_line
from lutra.model import aggregations as found
from lutra.model.geo import GeoDistanceSort, GeoPoint
from lutra.model.indexes import (
    AnalyzerParameters,
    FieldSchema,
    FuzzyParameters,
    IndexSchema,
    SingleWordParameters,
    SplitParameters,
)
from lutra.model.queries import FieldSort, KnnVector, Range, SearchRequest, Term, Terms
from lutra.model.schema import TableOptions, TableSchema
from lutra.scalars.dates import DEFAULT_FORMATS, EPOCH_UNITS_NS, datetime_ns

KEY_ID_VARIABLE: Final = "LUTRA_ACCESS_KEY_ID"
KEY_SECRET_VARIABLE: Final = "LUTRA_ACCESS_KEY_SECRET"
"""Where programs read the access key from: no program holds one."""

ALWAYS: Final = "!"
"""Before a label: it is said also where it is the model's default, as the SDK has another one."""

_OPERANDS: Final[dict[type, frozenset[str]]] = {
    Term: frozenset({"value"}),
    Terms: frozenset({"values"}),
    Range: frozenset({"lower", "upper"}),
    FieldSort: frozenset({"missing"}),
    found.GroupByHistogram: frozenset({"interval", "offset", "missing", "field_range"}),
    found.GroupByDateHistogram: frozenset({"missing", "field_range"}),
    **{
        kind: frozenset({"missing"})
        for kind in (found.Avg, found.Max, found.Min, found.Sum, found.DistinctCount, found.Percentiles)
    },
}
"""Parts that are values of a field, whose type tells how they are compared."""
_DISPENSABLE: Final = frozenset({(KnnVector, "num_candidates"), (GeoDistanceSort, "distance_type")})
"""What changes how exactly a search is answered, not which: a note tells where it is left out."""
_ANALYZER_OF: Final[dict[type, str]] = {
    SingleWordParameters: "single_word",
    SplitParameters: "split",
    FuzzyParameters: "fuzzy",
}
_NS: Final = EPOCH_UNITS_NS


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs find the tables: a server's address and instance, and the folder of the embedded API."""

    endpoint: str
    instance: str
    data_dir: str = "./data"


class Unsayable(Exception):
    """A language has no words for a part of what was asked; ``str()`` names it."""


Parts = Mapping[str, str]
"""By the names that parts have in the model, those that they have in a language."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a noun is called in a language, and what its parts are."""

    name: str
    parts: Parts


class Writer(ABC):
    """Writes one program. ``title`` says of whom, where something cannot be said."""

    title: ClassVar[str]
    comment: ClassVar[str] = "//"
    says_transactions: ClassVar[bool] = False
    """Whether a table can be made without local transactions."""
    forms: ClassVar[Mapping[type, Form]]
    overrides: ClassVar[Mapping[type, str]] = {}
    """Nouns that a method of their own makes."""
    infinities: ClassVar[tuple[str, str]]
    """The negative one, and the other."""
    constants: ClassVar[Mapping[type[enum.Enum], str]]
    """How constants are called, by their names in the model."""
    field_labels: ClassVar[Parts]
    option_labels: ClassVar[Parts]

    def __init__(self, place: Place) -> None:
        self.place = place
        self.notes: list[str] = []
        self._schema: IndexSchema | None = None

    # --- programs -----------------------------------------------------------------------------------------------

    def schema_program(self, table: TableSchema, indexes: Mapping[str, IndexSchema]) -> str:
        """The program that creates a table and its indexes; what cannot be said of it is told above."""
        sayable: dict[str, Any] = {}
        self._note_models(table)
        if not table.has_transactions and not self.says_transactions:
            self.notes.append(f"Local transactions are allowed: the {self.title} cannot forbid them.")
        for name, schema in indexes.items():
            said = len(self.notes)
            try:
                sayable[name] = self.index(schema)
            except Unsayable as error:
                del self.notes[said:]
                self.notes.append(f"Search index {name} is left out: the {self.title} cannot say {error}.")
        lines = self.creating(table, sayable)
        return self._with_notes(lines)

    def _note_models(self, table: TableSchema) -> None:
        """Vectors that a model makes come by this server's console, by imports and by the embedded API."""
        for field in table.declared:
            if field.embedding is not None:
                self.notes.append(f"Without a model for {field.name}: to rows written by an SDK, give their vectors.")

    def search_program(self, table: TableSchema, index: str, schema: IndexSchema, request: SearchRequest) -> str:
        """The program that asks a search, or a comment where it cannot be said."""
        self._schema = schema
        try:
            lines = self.searching(table, index, request)
        except Unsayable as error:
            return self._remark(f"The {self.title} cannot ask this search: it has no words for {error}.") + "\n"
        return self._with_notes(lines)

    def _with_notes(self, lines: Sequence[str]) -> str:
        head = [self._remark(note) for note in dict.fromkeys(self.notes)]
        return "\n".join([*head, *([""] if head else []), *lines]) + "\n"

    def _remark(self, text: str) -> str:
        return f"{self.comment} {one_line(text)}"

    @abstractmethod
    def creating(self, table: TableSchema, indexes: Mapping[str, Any]) -> list[str]:
        """The lines that create a table, and each of ``indexes``, as `index` made it."""

    @abstractmethod
    def searching(self, table: TableSchema, index: str, request: SearchRequest) -> list[str]:
        """The lines that ask a search. Raises Unsayable."""

    @abstractmethod
    def index(self, schema: IndexSchema) -> Any:
        """A search index's schema, for `creating`. Raises Unsayable."""

    # --- words --------------------------------------------------------------------------------------------------

    @abstractmethod
    def string(self, text: str) -> str:
        """A literal."""

    def boolean(self, value: bool) -> str:
        """A literal; in most languages the same."""
        return "true" if value else "false"

    def operand(self, value: Any) -> Expression:
        """A value of a field, of the type that it has there. Raises Unsayable."""
        match value:
            case str():
                return self.string(value)
            case bool():
                return self.boolean(value)
            case int():
                return self.integer(value)
            case float():
                return self.real(value)
        raise Unsayable("bytes")

    def integer(self, value: int) -> str:
        """A LONG value, for `operand`."""
        return str(value)

    def real(self, value: float) -> str:
        """A DOUBLE value, for `operand`."""
        return self.number(value)

    def enumerated(self, value: enum.Enum) -> str:
        """A constant of the SDK. Raises Unsayable."""
        pattern = self.constants.get(type(value))
        if pattern is None:
            raise Unsayable(value.name)
        return pattern.format(value.name)

    @abstractmethod
    def order(self, descending: bool) -> str:
        """Which way round."""

    @abstractmethod
    def vector(self, numbers: Sequence[str]) -> Expression:
        """float32 numbers, as few digits as tell them apart."""

    @abstractmethod
    def several(self, values: Sequence[Expression], kind: type) -> Expression:
        """A list of expressions that stand for values of one kind."""

    @abstractmethod
    def noun(self, name: str, parts: Sequence[tuple[str, Expression]], kind: type) -> Expression:
        """An object of the SDK with its parts by label."""

    # --- nouns --------------------------------------------------------------------------------------------------

    def made(self, value: Any) -> Expression:
        """The expression of a noun of the model. Raises Unsayable."""
        kind = type(value)
        if kind in self.overrides:
            expression: Expression = getattr(self, self.overrides[kind])(value)
            return expression
        form = self.forms.get(kind)
        if form is None:
            raise Unsayable(_called(kind))
        return self.noun(form.name, self.parts_of(value, form.parts), kind)

    def parts_of(self, value: Any, labels: Parts, skipped: Collection[str] = ()) -> list[tuple[str, Expression]]:
        """What is to be said of a noun: all that is not its default, and what the SDK would take for something else.

        ``skipped``: parts that are said elsewhere.
        """
        kind, parts = type(value), []
        for one in dataclasses.fields(value):
            if not one.init or one.name in skipped:
                continue
            given = getattr(value, one.name)
            label = labels.get(one.name)
            is_said = given is not None and not _is_default(one, given)
            if label is None and is_said:
                self._unsayable(kind, one.name)
            elif label is not None and (is_said or (label.startswith(ALWAYS) and given is not None)):
                parts.append((label.removeprefix(ALWAYS), self.part(value, one.name, given)))
        return parts

    def part(self, of: Any, name: str, given: Any) -> Expression:
        """One part of a noun."""
        if name in _OPERANDS.get(type(of), ()) and not isinstance(given, enum.Enum):
            values = [self.operand_of(of, one) for one in given] if isinstance(given, tuple) else None
            return self.operand_of(of, given) if values is None else self.several(values, object)
        if name == "descending":
            return self.order(given)
        return self.said(given)

    def said(self, given: Any) -> Expression:
        """A value by its type."""
        match given:
            case bool():
                return self.boolean(given)
            case enum.Enum():
                return self.enumerated(given)
            case int() | float():
                return self.number(given)
            case str():
                return self.string(given)
            case GeoPoint():
                return self.string(point_text(given))
            case np.ndarray():
                return self.vector([str(one) for one in given.astype(np.float32)])
            case tuple():
                kind = type(given[0]) if given else object
                return self.several([self.said(one) for one in given], kind)
        return self.made(given)

    def number(self, value: float) -> str:
        """A literal of a count or a weight."""
        if math.isinf(value):
            return self.infinities[value > 0]
        return repr(value)

    def operand_of(self, of: Any, value: Any) -> Expression:
        """A value of the field that a noun is about; a moment as that field takes it. Raises Unsayable."""
        if isinstance(value, dt.datetime):
            return self.operand(self._moment(of.field, value))
        return self.operand(value)

    def _moment(self, path: str, value: dt.datetime) -> int:
        field = None if self._schema is None else self._schema.field(path)
        for form in (field.date_formats if field is not None else ()) or DEFAULT_FORMATS:
            count, rest = divmod(datetime_ns(value), _NS[form]) if form in _NS else (0, 1)
            if not rest:
                return count
        raise Unsayable(f"a moment of field {path}, whose formats have no count of time")

    def _unsayable(self, kind: type, name: str) -> None:
        what = f"{name.replace('_', ' ')} of {_called(kind)}"
        if (kind, name) not in _DISPENSABLE:
            raise Unsayable(what)
        self.notes.append(f"Without {what}, which the {self.title} cannot say.")

    def items(self, parts: Iterable[tuple[str, Expression]], joint: str) -> tuple[Item, ...]:
        """``label joint expression`` each."""
        return tuple(Item(what, before=f"{label}{joint}") for label, what in parts)

    # --- fields of indexes and options of tables -------------------------------------------------------------------

    def field_parts(self, field: FieldSchema) -> list[tuple[str, Expression]]:
        """What is to be said of a field beside its name and type. Raises Unsayable."""
        text = field.text
        analyzer = None if text is None else text.analyzer or _analyzer_of(text.parameters)
        said: list[tuple[str, Any, Callable[[Any], Expression]]] = [
            ("index", field.index, self.boolean),
            ("sort", field.sort_and_aggregate, self.boolean),
            ("store", field.store, self.boolean),
            ("is_array", field.is_array or None, self.boolean),
            ("analyzer", analyzer, self.analyzer),
            ("parameters", None if text is None else text.parameters, self.made),
            ("similarity", None if text is None else text.similarity, self.said),
            ("highlighting", None if text is None else text.highlighting, self.boolean),
            ("vector", field.vector, self.made),
            ("date_formats", field.date_formats or None, self.said),
            ("is_virtual", field.is_virtual or None, self.boolean),
            ("sources", field.sources or None, self.said),
            ("fields", field.fields or None, lambda fields: self.several([*map(self.made, fields)], FieldSchema)),
            ("json_type", field.json_type, self.said),
        ]
        parts = []
        for name, given, say in said:
            if given is None:
                continue
            if name not in self.field_labels:
                if name in _HINTS and not (name == "index" and given is False):
                    continue
                raise Unsayable(f"{_FIELD_NOUNS[name]} of field {field.name}")
            parts.append((self.field_labels[name], say(given)))
        return parts

    def analyzer(self, name: str) -> str:
        """An analyzer of TEXT fields."""
        return self.string(name)

    def field_type(self, field: FieldSchema) -> str:
        """The constant of a field's type. Raises Unsayable where the SDK has none."""
        return self.enumerated(field.type)

    def table_options(self, options: TableOptions) -> list[tuple[str, Expression]]:
        """What is said of them; notes tell of others that are no default."""
        parts = []
        for one in dataclasses.fields(options):
            given = getattr(options, one.name)
            label = self.option_labels.get(one.name)
            if label is not None:
                if label.startswith(ALWAYS) or given != one.default:
                    parts.append((label.removeprefix(ALWAYS), self.said(given)))
            elif given != one.default:
                self.leave_out(_OPTION_NOUNS[one.name])
        return parts

    def leave_out(self, what: str) -> None:
        """Notes that a program makes a table without something."""
        self.notes.append(f"Without {what}, which the {self.title} cannot say: set it afterwards.")


_HINTS: Final = frozenset({"index", "sort", "store", "similarity"})
"""What a field is as well where it is not said: an index that is searched, sorted, and scored by BM25."""
_FIELD_NOUNS: Final = {
    "index": "[index: false]",
    "sort": "the sorting",
    "store": "the storing",
    "is_array": "the array",
    "analyzer": "the analyzer",
    "parameters": "the analyzer's parameters",
    "similarity": "the similarity",
    "highlighting": "the highlighting",
    "vector": "the vector",
    "date_formats": "the date formats",
    "is_virtual": "the source",
    "sources": "the source",
    "fields": "the fields below",
    "json_type": "the JSON type",
}
_OPTION_NOUNS: Final = {
    "ttl_s": "time to live",
    "max_versions": "versions",
    "max_deviation_s": "the deviation of versions",
    "allow_update": "[allow_update]",
    "update_full_row": "[update_full_row]",
}


def point_text(point: GeoPoint) -> str:
    """As the protocol has it."""
    return f"{point.lat!r},{point.lon!r}"


def minimum_of(given: int | str | None, *, is_alone: bool) -> int:
    """How many of the conditions of a Bool must hold, as a number. Raises Unsayable for a share."""
    if given is None:
        return 1 if is_alone else 0
    try:
        return int(given)
    except ValueError:
        raise Unsayable(f"[minimum_should_match] {given}") from None


def _analyzer_of(parameters: AnalyzerParameters | None) -> str | None:
    return None if parameters is None else _ANALYZER_OF[type(parameters)]


def _is_default(one: dataclasses.Field[Any], given: Any) -> bool:
    return one.default is not dataclasses.MISSING and type(given) is type(one.default) and given == one.default


def _called(kind: type) -> str:
    """``MatchPhrase`` as ``match phrase``."""
    return "".join(f" {char.lower()}" if char.isupper() else char for char in kind.__name__).strip()
