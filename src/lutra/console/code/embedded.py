"""Programs by the embedded API: ``lutra.connect``, and the table in this process."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal, get_args

from lutra.console.code.conditions import Conditions, point
from lutra.console.code.layout import Expression, Group, Item, flat, laid_out
from lutra.console.code.literals import python_string
from lutra.console.code.writer import Form, Parts, Place, Unsayable, Writer
from lutra.instance.aggregates import Unit
from lutra.instance.field import Field, FieldDeclaration
from lutra.instance.layout import INDEX_NAME
from lutra.instance.nested import Nested as NestedDeclaration
from lutra.instance.nested import Object
from lutra.instance.text import Text
from lutra.instance.vector import Vector as VectorDeclaration
from lutra.model import aggregations as found
from lutra.model import geo, queries
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import Nested, ScoreMode
from lutra.model.queries import Bool, KnnVector, Match, MatchPhrase, Operator, Query, ReturnColumns, SearchRequest
from lutra.model.schema import Embedding, KeyColumn, TableSchema
from lutra.model.scoring import DisMax
from lutra.model.values import ColumnType

_KEY_TYPES: Final = {ColumnType.STRING: "str", ColumnType.INTEGER: "int", ColumnType.BINARY: "bytes"}
_STORED_TYPES: Final = {**_KEY_TYPES, ColumnType.DOUBLE: "float", ColumnType.BOOLEAN: "bool"}
_KEY_FIELDS: Final = {ColumnType.STRING: FieldType.KEYWORD, ColumnType.INTEGER: FieldType.LONG}
_AGGREGATES: Final[dict[type, str]] = {
    found.Avg: "avg",
    found.Max: "max",
    found.Min: "min",
    found.Sum: "sum",
    found.DistinctCount: "distinct",
}
_UNIT_NAMES: Final = {"QUARTER_YEAR": "quarter"}
_RESERVED: Final = frozenset(
    {"where", "vector", "text", "nearest", "field", "text_field", "match", "fresh", "order_by", "limit", "count"}
)
"""Keywords that aggregates cannot be called."""
_GROUPS_DEFAULT: Final = 10
_Words = Match | MatchPhrase

Arguments = list[tuple[str, Expression]]


class EmbeddedWriter(Writer):
    title = "embedded API"
    comment = "#"
    constants: ClassVar[Mapping[type[enum.Enum], str]] = {}
    infinities = ('float("-inf")', 'float("inf")')
    forms: ClassVar[Mapping[type, Form]] = {}
    field_labels: ClassVar[Parts] = {}
    option_labels: ClassVar[Parts] = {}

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._key: tuple[KeyColumn, ...] = ()
        self._embeddings: Mapping[str, Embedding | None] = {}
        self._conditions = Conditions(IndexSchema(()))

    # --- words --------------------------------------------------------------------------------------------------

    def string(self, text: str) -> str:
        return python_string(text)

    def boolean(self, value: bool) -> str:
        return repr(value)

    def operand(self, value: Any) -> Expression:
        return python_string(value) if isinstance(value, str) else repr(value)

    def order(self, descending: bool) -> str:
        return ".desc()" if descending else ".asc()"

    def vector(self, numbers: Sequence[str]) -> Expression:
        return Group("[", tuple(map(Item, numbers)), "]", fills=True)

    def several(self, values: Sequence[Expression], kind: type) -> Expression:
        return Group("[", tuple(map(Item, values)), "]")

    def noun(self, name: str, parts: Sequence[tuple[str, Expression]], kind: type) -> Expression:
        return Group(f"{name}(", self.items(parts, "="), ")")

    def _note_models(self, table: TableSchema) -> None:
        """It has words for them."""

    # --- tables -------------------------------------------------------------------------------------------------

    def schema_program(self, table: TableSchema, indexes: Mapping[str, IndexSchema]) -> str:
        self._key = table.key
        self._embeddings = {one.name: one.embedding for one in table.declared}
        chosen = INDEX_NAME if INDEX_NAME in indexes else next(iter(indexes), None)
        for name in indexes:
            if name != chosen:
                self.notes.append(f"Search index {name} is left out: the {self.title} makes one.")
        if chosen is not None and chosen != INDEX_NAME:
            self.notes.append(f"The search index is called {INDEX_NAME}.")
        return super().schema_program(table, {} if chosen is None else {chosen: indexes[chosen]})

    def index(self, schema: IndexSchema) -> dict[str, Expression]:
        """What declares its fields, by their names."""
        for what, given in (
            ("an index's own order", schema.sort),
            ("routing", schema.routing_fields or schema.routing_partition_size),
            ("the time to live of an index", schema.ttl_s != -1),
        ):
            if given:
                raise Unsayable(what)
        keys = {column.name: column for column in self._key}
        return {
            field.name: self._declaration(field)
            for field in schema.fields
            if not self._is_of_key(field, keys.get(field.name))
        }

    def _is_of_key(self, field: FieldSchema, column: KeyColumn | None) -> bool:
        """Whether a field is one that declaring a table makes of its key anyway."""
        if column is None:
            return False
        if _KEY_FIELDS.get(column.type) is not field.type or field.is_array:
            raise Unsayable(f"a field of another type over the key column {field.name}")
        return True

    def _declaration(self, field: FieldSchema) -> Expression:
        found_field = Field.of_schema(field)
        if found_field.made is not None or field.is_virtual:
            raise Unsayable(f"field {field.name} as it is declared")
        if not field.is_indexed:
            raise Unsayable(f"[index: false] of field {field.name}")
        if field.text is not None and field.text.highlighting:
            self.notes.append(f"Without highlights of {field.name}, which the {self.title} cannot say.")
        if field.type is FieldType.DATE and field.date_formats != ("epoch_micros",):
            self.notes.append(f"Dates of {field.name} are kept as microseconds since the epoch.")
        made_by = self._embeddings.get(field.name)
        return self.declared(replace(found_field, embedding=made_by).declaration)

    def declared(self, declaration: FieldDeclaration) -> Expression:
        """The expression of a declaration."""
        match declaration:
            case VectorDeclaration():
                return _call("lutra.Vector", declaration, positional=("dimension", "metric"))
            case Text():
                return _call("lutra.Text", declaration, positional=("analyzer",))
            case NestedDeclaration(fields) | Object(fields):
                inner = tuple(Item(self.declared(of), f"{python_string(name)}: ") for name, of in fields.items())
                return Group(f"lutra.{type(declaration).__name__}({{", inner, "})")
        [element] = get_args(declaration) or (declaration,)
        name = {"datetime": "dt.datetime", "GeoPoint": "lutra.GeoPoint"}.get(element.__name__, element.__name__)
        return f"list[{name}]" if get_args(declaration) else name

    def creating(self, table: TableSchema, indexes: Mapping[str, Any]) -> list[str]:
        self._note_options(table)
        fields: dict[str, Expression] = dict(next(iter(indexes.values()), {}))
        for defined in table.defined:
            stored = "bytes" if defined.type is ColumnType.BINARY else f"lutra.Stored({_STORED_TYPES[defined.type]})"
            fields.setdefault(defined.name, stored)
        key = tuple(
            Item("lutra.AUTO_INCREMENT" if one.auto_increment else _KEY_TYPES[one.type], f"{python_string(one.name)}: ")
            for one in table.key
        )
        arguments = [Item(python_string(table.name)), Item(Group("{", key, "}"))]
        if fields:
            items = tuple(Item(what, f"{python_string(name)}: ") for name, what in fields.items())
            arguments.append(Item(Group("{", items, "}")))
        made = laid_out(Group("db.create_table(", tuple(arguments), ")"), before="table = ")
        return self._program(made)

    def _note_options(self, table: TableSchema) -> None:
        if table.options != type(table.options)():
            self.leave_out("time to live, versions and the like")
        if table.stream is not None:
            self.leave_out("the stream")
        for index in table.indexes:
            self.leave_out(f"the secondary index {index.name}")

    def _program(self, lines: list[str]) -> list[str]:
        body = "\n".join(lines)
        imports = [*(["import datetime as dt", ""] if "dt.datetime" in body else []), "import lutra", ""]
        connect = (
            f"db = lutra.connect({python_string(self.place.data_dir)}, instance={python_string(self.place.instance)})"
        )
        return [*imports, connect, *lines, "db.close()"]

    # --- searches -----------------------------------------------------------------------------------------------

    def searching(self, table: TableSchema, index: str, request: SearchRequest) -> list[str]:
        if request.filter is not None:
            raise Unsayable("a filter of what was found")
        assert self._schema is not None
        self._conditions = Conditions(self._schema)
        if request.highlight is not None:
            self.notes.append(f"Without highlights, which the {self.title} cannot say.")
        asked = self._asked(request.query)
        lines = [f"table = db.table({python_string(table.name)}, index={python_string(index)})"]
        if request.limit != 0:
            call = Group("table.search(", self.items([*asked.arguments, *self._wanted(request, asked)], "="), ")")
            lines += laid_out(call, before="found = ")
            lines += ["for row in found:", f"    print({'row.score, ' if asked.is_scored else ''}row)"]
        lines += self._grouping(request, asked)
        return self._program(lines)

    def _asked(self, query: Query) -> _Asked:
        """Which rows are looked for, as keywords of ``search``."""
        match query:
            case KnnVector() | Nested(query=KnnVector(), mode=ScoreMode.MAX):
                return self._neighbours(query, None)
            case Match() | MatchPhrase() | DisMax() | Nested(query=Match() | MatchPhrase(), mode=ScoreMode.MAX):
                return self._words(query, None)
            case Bool(must=(inner,), must_not=(), should=()) if _is_scored(inner) and query.filter:
                where = self._conditions.of_all(query.filter)
                if _is_of_words(inner):
                    return self._words(inner, where)
                return self._neighbours(inner, where)
            case Bool(must=(), must_not=(), should=(one, other)) if _is_scored(one) and _is_scored(other):
                return self._hybrid(query, one, other)
        where = self._conditions.of(query)
        return _Asked([] if where is None else [("where", where)], is_scored=False)

    def _neighbours(self, query: Query, where: Expression | None) -> _Asked:
        """``where``: a condition on rows, beside that of the neighbours."""
        knn = query.query if isinstance(query, Nested) else query
        assert isinstance(knn, KnnVector)
        is_nested = isinstance(query, Nested)
        if is_nested and knn.filter is not None:
            raise Unsayable("a condition on the records among which the nearest are")
        if where is not None and not is_nested:
            raise Unsayable("a condition on neighbours that are found already")
        if knn.weight != 1.0:
            raise Unsayable("a weight")
        if knn.num_candidates is not None:
            self._unsayable(KnnVector, "num_candidates")
        inside = None if knn.filter is None else self._conditions.of(knn.filter)
        condition = inside if where is None else where
        arguments: Arguments = [("vector", self.said(knn.vector)), ("field", python_string(knn.field))]
        if condition is not None:
            arguments.append(("where", condition))
        if knn.min_score is not None:
            arguments.append(("min_score", repr(knn.min_score)))
        return _Asked(arguments, is_scored=True, top_k=knn.top_k, records=_records_of(query))

    def _words(self, query: Query, where: Expression | None) -> _Asked:
        several = query.queries if isinstance(query, DisMax) else (query,)
        if isinstance(query, DisMax) and (query.tie_breaker or query.weight != 1.0):
            raise Unsayable("a tie breaker or a weight")
        words = [one.query if isinstance(one, Nested) else one for one in several]
        says = {self._said_words(one) for one in words}
        if len(says) != 1:
            raise Unsayable("several texts")
        [(text, match)] = says
        fields = [python_string(one.field) for one in words if isinstance(one, _Words)]
        arguments: Arguments = [("text", python_string(text))]
        arguments.append(("text_field", fields[0] if len(fields) == 1 else self.several([*fields], str)))
        if match != "any":
            arguments.append(("match", python_string(match)))
        if where is not None:
            arguments.append(("where", where))
        return _Asked(arguments, is_scored=True, records=_records_of(query))

    def _said_words(self, query: Query) -> tuple[str, Literal["any", "all", "phrase"]]:
        match query:
            case Match(_, text, operator, None | 1 | "1", 1.0):
                return text, "all" if operator is Operator.AND else "any"
            case MatchPhrase(_, text, 0, 1.0):
                return text, "phrase"
        raise Unsayable(f"{type(query).__name__} with a weight, a slop or so many words")

    def _hybrid(self, query: Bool, one: Query, other: Query) -> _Asked:
        """What is near, or has the words, under one condition."""
        if query.minimum_should_match not in (None, 1, "1") or query.weight != 1.0:
            raise Unsayable("so many of several conditions")
        if query.filter and query.minimum_should_match is None:
            raise Unsayable("what is near or has words, but need not")
        near, words = (other, one) if _is_of_words(one) else (one, other)
        if _is_of_words(near) or not _is_of_words(words):
            raise Unsayable("two texts, or two vectors, at once")
        outer = self._conditions.of_all(query.filter) if query.filter else None
        nearest, wanted = self._asked(near), self._asked(words)
        if query.filter:
            wanted.arguments.append(("where", outer or ""))
        conditions = {flat(dict(part.arguments).get("where", "")) for part in (nearest, wanted)}
        if len(conditions) != 1:
            raise Unsayable("what is near under one condition, or has words under another")
        rest = [pair for pair in wanted.arguments if pair[0] != "where"]
        return _Asked([*nearest.arguments, *rest], is_scored=True, top_k=nearest.top_k)

    def _wanted(self, request: SearchRequest, asked: _Asked) -> Arguments:
        """What is to come of the rows."""
        arguments = self._order(request.sort, asked)
        limit = _limit_of(request)
        if asked.top_k is not None:
            names = {name for name, _ in asked.arguments}
            if "text" in names and asked.top_k != request.offset + limit:
                self.notes.append("As many count as nearest as rows are asked for.")
            limit = max(1, min(limit, asked.top_k - request.offset))
        arguments.append(("limit", str(limit)))
        if request.offset:
            arguments.append(("offset", str(request.offset)))
        if request.columns.kind is ReturnColumns.SPECIFIED:
            arguments.append(("columns", self.said(request.columns.names)))
        elif request.columns.kind is ReturnColumns.NONE:
            arguments.append(("columns", "[]"))
        if request.collapse is not None:
            arguments.append(("collapse", python_string(request.collapse)))
        if asked.records is not None:
            arguments.append(("records", str(asked.records)))
        return arguments

    def _order(self, sort: Sequence[queries.Sorter], asked: _Asked) -> Arguments:
        sorters = list(sort)
        while sorters and isinstance(sorters[-1], queries.PrimaryKeySort | queries.DocSort):
            if sorters.pop().descending:
                raise Unsayable("an order of keys backwards")
        if asked.is_scored:
            if sorters != [queries.ScoreSort()]:
                raise Unsayable("what is near or has words in another order than by score")
            return []
        orders = [self._sorter(one) for one in sorters]
        if not orders:
            return []
        return [("order_by", orders[0] if len(orders) == 1 else self.several([*orders], object))]

    def _sorter(self, sorter: queries.Sorter) -> str:
        match sorter:
            case queries.FieldSort(field, descending, None, None | queries.Missing.LAST, (), None):
                return f"lutra.col({python_string(field)}){self.order(descending)}"
            case geo.GeoDistanceSort(field, points, descending, None, geo.DistanceType.ARC, None):
                places = ", ".join(map(point, points))
                return f"lutra.col({python_string(field)}).distance_from({places}){'.desc()' * descending}"
        raise Unsayable(f"the order {type(sorter).__name__} with all its options")

    # --- groups -------------------------------------------------------------------------------------------------

    def _grouping(self, request: SearchRequest, asked: _Asked) -> list[str]:
        lines: list[str] = []
        rows = list(asked.arguments)
        if asked.top_k is not None:
            rows.append(("nearest", str(asked.top_k)))
        if request.aggregations:
            call = Group("table.aggregate(", (*self.items(rows, "="), *self._aggregates(request.aggregations)), ")")
            lines += laid_out(call, before="print(", after=")")
        for group_by in request.group_bys:
            lines += self._group_by(group_by, rows)
        return lines

    def _aggregates(self, wanted: Sequence[found.Aggregation]) -> list[Item]:
        """As keywords; names that are none go in a dict."""
        named = [(one.name, said) for one in wanted if (said := self._aggregate(one)) is not None]
        for name, _ in named:
            if name in _RESERVED:
                raise Unsayable(f"an aggregation called {name}")
        plain = [Item(said, f"{name}=") for name, said in named if name.isidentifier()]
        others = tuple(Item(said, f"{python_string(name)}: ") for name, said in named if not name.isidentifier())
        return [*plain, *([Item(Group("**{", others, "}"))] if others else [])]

    def _aggregate(self, wanted: found.Aggregation) -> Expression | None:
        if getattr(wanted, "missing", None) is not None:
            raise Unsayable("a value for rows without the field")
        match wanted:
            case found.Count(_, "*"):
                return None  # always there
            case found.Count(_, field):
                return f"lutra.col({python_string(field)}).count()"
            case found.Percentiles(_, field, percentiles):
                return f"lutra.col({python_string(field)}).percentiles({', '.join(map(repr, percentiles))})"
            case found.TopRows(_, limit, sort):
                order = self._order(sort, _Asked([], is_scored=False))
                return Group("lutra.first_rows(", (Item(str(limit)), *self.items(order, "=")), ")")
        return f"lutra.col({python_string(wanted.field)}).{_AGGREGATES[type(wanted)]}()"

    def _group_by(self, wanted: Any, rows: Arguments) -> list[str]:
        if wanted.group_bys:
            raise Unsayable("groups within groups")
        keys = [Item(key) for key in self._keys(wanted)]
        arguments = [*keys, *self.items(rows, "="), *self._aggregates(wanted.aggregations)]
        if isinstance(wanted, found.GroupByField):
            arguments += self.items(self._group_order(wanted), "=")
        elif isinstance(wanted, found.GroupByComposite):
            arguments.append(Item(str(wanted.size or wanted.suggested_size or _GROUPS_DEFAULT), "limit="))
        call = Group("table.group_by(", tuple(arguments), ")")
        return [*laid_out(call, before="for group in ", after=":"), "    print(group)"]

    def _group_order(self, wanted: found.GroupByField) -> Arguments:
        if wanted.min_doc_count not in (None, 1):
            raise Unsayable("groups of so many rows")
        orders = [self._group_sorter(one, wanted.field) for one in wanted.sort or (found.RowCountSort(),)]
        order = orders[0] if len(orders) == 1 else self.several([*orders], object)
        return [("order_by", order), ("limit", str(wanted.size or _GROUPS_DEFAULT))]

    def _group_sorter(self, sorter: found.GroupSorter, field: str) -> str:
        match sorter:
            case found.GroupKeySort(descending):
                name = field
            case found.RowCountSort(descending):
                name = "count"
            case found.SubAggregationSort(name, descending):
                pass
        return f"lutra.col({python_string(name)}){self.order(descending)}"

    def _keys(self, wanted: Any) -> list[Expression]:
        match wanted:
            case found.GroupByField():
                return [python_string(wanted.field)]
            case found.GroupByHistogram():
                return [self._interval(wanted)]
            case found.GroupByDateHistogram():
                return [self._calendar(wanted)]
            case found.GroupByComposite(sources=sources):
                return [key for source in sources for key in self._keys(source)]
            case found.GroupByRange(field=field, ranges=ranges):
                return [f"lutra.col({python_string(field)}).ranges({', '.join(map(repr, _bounds(ranges)))})"]
            case found.GroupByGeoDistance(field=field, origin=origin, ranges=ranges):
                bounds = ", ".join(map(repr, _bounds(ranges, first=0.0)))
                return [f"lutra.col({python_string(field)}).distance_ranges({point(origin)}, {bounds})"]
            case found.GroupByFilter(filters=filters):
                return [self._conditions_by_name(filters)]
        raise Unsayable(f"groups by {type(wanted).__name__.removeprefix('GroupBy')}")

    def _conditions_by_name(self, filters: Sequence[Query]) -> Expression:
        items = []
        for number, one in enumerate(filters, 1):
            made = self._conditions.of(one)
            if made is None:
                raise Unsayable("a group of all rows")
            items.append(Item(made, f'"group {number}": '))
        return Group("{", tuple(items), "}")

    def _interval(self, wanted: found.GroupByHistogram) -> Expression:
        self._check_plain(wanted)
        return f"lutra.col({python_string(wanted.field)}).every({wanted.interval!r})"

    def _calendar(self, wanted: found.GroupByDateHistogram) -> Expression:
        self._check_plain(wanted)
        unit = wanted.interval.unit.name
        name = _UNIT_NAMES.get(unit, unit.lower())
        if name not in get_args(Unit):
            raise Unsayable("groups of milliseconds")
        parts = [python_string(name)]
        if wanted.interval.value != 1:
            parts.append(str(wanted.interval.value))
        if wanted.time_zone is not None:
            parts.append(f"time_zone={python_string(wanted.time_zone)}")
        return f"lutra.col({python_string(wanted.field)}).every({', '.join(parts)})"

    def _check_plain(self, wanted: found.GroupByHistogram | found.GroupByDateHistogram) -> None:
        if wanted.sort not in ((), (found.GroupKeySort(),)):
            raise Unsayable("intervals in another order than their own")
        for name in ("offset", "missing", "field_range"):
            if getattr(wanted, name) is not None:
                raise Unsayable(f"intervals with {name.replace('_', ' ')}")
        if wanted.min_doc_count not in (None, 1):
            raise Unsayable("intervals without rows")


class _Asked:
    """Keywords that say which rows are looked for."""

    def __init__(
        self, arguments: Arguments, *, is_scored: bool, top_k: int | None = None, records: int | None = None
    ) -> None:
        self.arguments = arguments
        self.is_scored = is_scored
        self.top_k = top_k
        self.records = records


def _call(name: str, declaration: Any, positional: tuple[str, ...]) -> Expression:
    """A declaration with what it says beyond its defaults."""
    fields = type(declaration).__dataclass_fields__
    items: list[Item] = []
    for one, field in fields.items():
        given = getattr(declaration, one)
        if given == field.default:
            continue
        said = python_string(given) if isinstance(given, str) else repr(given)
        # The second goes by its place only after the first.
        is_placed = one in positional and len(items) == positional.index(one)
        items.append(Item(said, "" if is_placed else f"{one}="))
    return Group(f"{name}(", tuple(items), ")")


def _limit_of(request: SearchRequest) -> int:
    """How many rows a search asks for."""
    return 10 if request.limit is None else request.limit


def _is_of_words(query: Query) -> bool:
    match query:
        case Match() | MatchPhrase():
            return True
        case Nested(query=inner) | Bool(must=(inner,)):
            return _is_of_words(inner)
        case DisMax(several):
            return all(map(_is_of_words, several))
    return False


def _is_scored(query: Query) -> bool:
    """Whether a query is of words, or of neighbours."""
    return _is_of_words(query) or isinstance(query.query if isinstance(query, Nested) else query, KnnVector)


def _records_of(query: Query) -> int | None:
    hits = query.inner_hits if isinstance(query, Nested) else None
    return None if hits is None else hits.limit


def _bounds(ranges: Sequence[tuple[float, float]], first: float = float("-inf")) -> list[float]:
    """What lies between ranges that join, from ``first`` on without an end. Raises Unsayable."""
    lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
    if lows[1:] != highs[:-1] or lows[0] != first or highs[-1] != float("inf"):
        raise Unsayable("ranges that leave something out")
    return lows[1:]
