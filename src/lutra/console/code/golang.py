"""Programs in Go, by the official SDK that Go's module proxy has (aliyun-tablestore-go-sdk 4.1.3)."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from lutra.console.code.layout import Expression, Group, Item, laid_out
from lutra.console.code.literals import go_string
from lutra.console.code.writer import (
    KEY_ID_VARIABLE,
    KEY_SECRET_VARIABLE,
    Form,
    Parts,
    Place,
    Unsayable,
    Writer,
    minimum_of,
)
from lutra.model import geo, indexes, nested, queries, scoring
from lutra.model.indexes import FieldType, IndexSchema
from lutra.model.queries import ReturnColumns, SearchRequest
from lutra.model.schema import IndexKind, SecondaryIndex, TableSchema

_SDK: Final = "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
_FIELD: Final = {"field": "FieldName"}
_CONSTANTS: Final[dict[type[enum.Enum], str]] = {
    queries.Operator: "search.QueryOperator_{}",
    queries.SortMode: "search.SortMode_{}",
    nested.ScoreMode: "search.ScoreMode_{}",
    geo.DistanceType: "search.GeoDistanceType_{}",
}
_TITLED: Final = (queries.SortMode, nested.ScoreMode)
_FIELD_TYPES: Final = frozenset(
    {FieldType.LONG, FieldType.DOUBLE, FieldType.BOOLEAN, FieldType.KEYWORD, FieldType.TEXT, FieldType.NESTED}
    | {FieldType.GEO_POINT}
)
_ANALYZERS: Final = {"single_word": "Analyzer_SingleWord", "max_word": "Analyzer_MaxWord"}
_LISTS: Final[dict[type, str]] = {str: "[]string", object: "[]interface{}"}
_POINTERS: Final = frozenset({"Order", "Mode", "Operator", "MinimumShouldMatch"})
_POINTER_HELP: Final = """
// pointer is what optional fields of the SDK take.
func pointer[T any](value T) *T { return &value }
"""
_KNN_HELP: Final = """
// knnVector finds the rows nearest to a vector. This version of the SDK has no such query; it takes others' queries.
type knnVector struct {
    fieldName string
    topK      int32
    vector    []float32
    filter    search.Query
    weight    float32
    minScore  *float32
}

func (q *knnVector) Type() search.QueryType { return search.QueryType_None }

func (q *knnVector) Serialize() ([]byte, error) {
    body := protowire.AppendTag(nil, 1, protowire.BytesType)
    body = protowire.AppendString(body, q.fieldName)
    body = protowire.AppendTag(body, 2, protowire.VarintType)
    body = protowire.AppendVarint(body, uint64(q.topK))
    for _, number := range q.vector {
        body = protowire.AppendTag(body, 4, protowire.Fixed32Type)
        body = protowire.AppendFixed32(body, math.Float32bits(number))
    }
    if q.filter != nil {
        filter, err := q.filter.ProtoBuffer()
        if err != nil {
            return nil, err
        }
        data, err := proto.Marshal(filter)
        if err != nil {
            return nil, err
        }
        body = protowire.AppendTag(body, 5, protowire.BytesType)
        body = protowire.AppendBytes(body, data)
    }
    body = protowire.AppendTag(body, 6, protowire.Fixed32Type)
    body = protowire.AppendFixed32(body, math.Float32bits(q.weight))
    if q.minScore != nil {
        body = protowire.AppendTag(body, 7, protowire.Fixed32Type)
        body = protowire.AppendFixed32(body, math.Float32bits(*q.minScore))
    }
    return body, nil
}

func (q *knnVector) ProtoBuffer() (*otsprotocol.Query, error) {
    body, err := q.Serialize()
    kind := otsprotocol.QueryType(17)
    return &otsprotocol.Query{Type: &kind, Query: body}, err
}
"""
_KNN_IMPORTS: Final = (
    "math",
    f"{_SDK}/otsprotocol",
    "github.com/golang/protobuf/proto",
    "google.golang.org/protobuf/encoding/protowire",
)


class GoWriter(Writer):
    title = "Go SDK 4.1.3"
    constants = _CONSTANTS
    infinities = ("math.Inf(-1)", "math.Inf(1)")
    forms: ClassVar[Mapping[type, Form]] = {
        queries.MatchAll: Form("search.MatchAllQuery", {}),
        queries.Term: Form("search.TermQuery", {**_FIELD, "value": "Term"}),
        queries.Terms: Form("search.TermsQuery", {**_FIELD, "values": "Terms"}),
        queries.Range: Form(
            "search.RangeQuery",
            {
                **_FIELD,
                "lower": "From",
                "upper": "To",
                "include_lower": "!IncludeLower",
                "include_upper": "!IncludeUpper",
            },
        ),
        queries.Prefix: Form("search.PrefixQuery", {**_FIELD, "prefix": "Prefix"}),
        queries.Wildcard: Form("search.WildcardQuery", {**_FIELD, "pattern": "Value"}),
        queries.Match: Form(
            "search.MatchQuery",
            {**_FIELD, "text": "Text", "operator": "Operator", "minimum_should_match": "MinimumShouldMatch"},
        ),
        queries.MatchPhrase: Form("search.MatchPhraseQuery", {**_FIELD, "text": "Text"}),
        queries.Exists: Form("search.ExistsQuery", _FIELD),
        queries.Bool: Form(
            "search.BoolQuery",
            {
                "must": "MustQueries",
                "must_not": "MustNotQueries",
                "filter": "FilterQueries",
                "should": "ShouldQueries",
                "minimum_should_match": "MinimumShouldMatch",
            },
        ),
        scoring.ConstScore: Form("search.ConstScoreQuery", {"filter": "Filter"}),
        geo.GeoBoundingBox: Form(
            "search.GeoBoundingBoxQuery", {**_FIELD, "top_left": "TopLeft", "bottom_right": "BottomRight"}
        ),
        geo.GeoDistance: Form(
            "search.GeoDistanceQuery", {**_FIELD, "centre": "CenterPoint", "distance_m": "DistanceInMeter"}
        ),
        geo.GeoPolygon: Form("search.GeoPolygonQuery", {**_FIELD, "points": "Points"}),
        nested.Nested: Form("search.NestedQuery", {"path": "Path", "query": "Query", "mode": "!ScoreMode"}),
        nested.NestedFilter: Form("search.NestedFilter", {"path": "Path", "filter": "Filter"}),
        queries.ScoreSort: Form("search.ScoreSort", {"descending": "!Order"}),
        queries.PrimaryKeySort: Form("search.PrimaryKeySort", {"descending": "!Order"}),
        queries.FieldSort: Form(
            "search.FieldSort", {**_FIELD, "descending": "!Order", "mode": "Mode", "nested_filter": "NestedFilter"}
        ),
        geo.GeoDistanceSort: Form(
            "search.GeoDistanceSort",
            {
                **_FIELD,
                "points": "Points",
                "descending": "!Order",
                "mode": "Mode",
                "nested_filter": "NestedFilter",
            },
        ),
    }
    overrides: ClassVar[Mapping[type, str]] = {
        queries.Suffix: "_suffix",
        queries.KnnVector: "_nearest",
        indexes.FieldSchema: "_field",
    }
    field_labels: ClassVar[Parts] = {
        "index": "Index",
        "sort": "EnableSortAndAgg",
        "store": "Store",
        "is_array": "IsArray",
        "analyzer": "Analyzer",
        "fields": "FieldSchemas",
    }
    option_labels: ClassVar[Parts] = {
        "ttl_s": "!TimeToAlive",
        "max_versions": "!MaxVersion",
        "max_deviation_s": "DeviationCellVersionInSec",
    }

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._imports = {"fmt", "os", _SDK}
        self._has_pointers = self._has_neighbours = False

    # --- words --------------------------------------------------------------------------------------------------

    def string(self, text: str) -> str:
        return go_string(text)

    def integer(self, value: int) -> str:
        return f"int64({value})"

    def real(self, value: float) -> str:
        return f"float64({self.number(value)})"

    def number(self, value: float) -> str:
        if value in (float("inf"), float("-inf")):
            self._imports.add("math")
        return super().number(value)

    def field_type(self, field: indexes.FieldSchema) -> str:
        if field.type not in _FIELD_TYPES:
            raise Unsayable(f"fields of type {field.type.name}")
        return f"tablestore.FieldType_{field.type.name}"

    def enumerated(self, value: enum.Enum) -> str:
        if isinstance(value, _TITLED):
            return _CONSTANTS[type(value)].format(value.name.title())
        return super().enumerated(value)

    def order(self, descending: bool) -> str:
        return f"search.SortOrder_{'DESC' if descending else 'ASC'}"

    def vector(self, numbers: Sequence[str]) -> Expression:
        return Group("[]float32{", tuple(map(Item, numbers)), "}", fills=True)

    def several(self, values: Sequence[Expression], kind: type) -> Expression:
        return Group(f"{_LISTS.get(kind, '[]search.Query')}{{", tuple(map(Item, values)), "}")

    def noun(self, name: str, parts: Sequence[tuple[str, Expression]], kind: type) -> Expression:
        self._imports.add(f"{_SDK}/search")
        items = tuple(
            Item(what, before=f"{label}: {'pointer(' * (label in _POINTERS)}", after=")" * (label in _POINTERS))
            for label, what in parts
        )
        self._has_pointers |= any(label in _POINTERS for label, _ in parts)
        return Group(f"&{name}{{", items, "}")

    def part(self, of: Any, name: str, given: Any) -> Expression:
        match of, name:
            case ((queries.Bool() | queries.Match()), "minimum_should_match"):
                return f"int32({minimum_of(given, is_alone=False)})"
            case queries.Bool(), "must" | "must_not" | "filter" | "should":
                return self.several([*map(self.made, given)], queries.Bool)
            case ((geo.GeoPolygon() | geo.GeoDistanceSort()), "points"):
                return self.several([self.said(point) for point in given], str)
        return super().part(of, name, given)

    def analyzer(self, name: str) -> str:
        if name not in _ANALYZERS:
            raise Unsayable(f"the analyzer {name}")
        return f"tablestore.{_ANALYZERS[name]}"

    # --- nouns of their own ------------------------------------------------------------------------------------------

    def _suffix(self, query: queries.Suffix) -> Expression:
        """The SDK has none; a pattern says the same of what has no wildcards."""
        if "*" in query.suffix or "?" in query.suffix:
            raise Unsayable("suffix with * or ?")
        return self.made(queries.Wildcard(query.field, f"*{query.suffix}", query.weight))

    def _nearest(self, query: queries.KnnVector) -> Expression:
        self._has_neighbours = True
        self._imports.update((*_KNN_IMPORTS, f"{_SDK}/search"))
        labels = {"field": "fieldName", "top_k": "topK", "vector": "vector", "filter": "filter", "weight": "!weight"}
        parts = self.parts_of(query, {**labels, "min_score": "minScore"})
        items = []
        for label, what in parts:
            is_pointer = label == "minScore"
            self._has_pointers |= is_pointer
            items.append(Item(what, f"{label}: {'pointer(float32(' * is_pointer}", "))" * is_pointer))
        return Group("&knnVector{", tuple(items), "}")

    def _sort(self, sorters: Sequence[Any]) -> Expression:
        self._imports.add(f"{_SDK}/search")
        made = Group("[]search.Sorter{", tuple(Item(self.made(one)) for one in sorters), "}")
        return Group("&search.Sort{", (Item(made, before="Sorters: "),), "}")

    def _field(self, field: indexes.FieldSchema) -> Expression:
        self._has_pointers = True
        items = [
            Item(self.string(field.name), "FieldName: pointer(", ")"),
            Item(self.field_type(field), "FieldType: "),
        ]
        if field.is_nested and field.type is not FieldType.NESTED:
            raise Unsayable(f"the JSON type of field {field.name}")
        for label, what in self.field_parts(field):
            if label == "FieldSchemas":
                inner = tuple(Item(self.made(one)) for one in field.fields)
                items.append(Item(Group("[]*tablestore.FieldSchema{", inner, "}"), f"{label}: "))
            else:
                items.append(Item(what, f"{label}: pointer(", ")"))
        return Group("&tablestore.FieldSchema{", tuple(items), "}")

    # --- programs -----------------------------------------------------------------------------------------------

    def index(self, schema: IndexSchema) -> Expression:
        imports, has_pointers = set(self._imports), self._has_pointers
        try:
            return self._index(schema)
        except Unsayable:
            self._imports, self._has_pointers = imports, has_pointers
            raise

    def _index(self, schema: IndexSchema) -> Expression:
        if schema.ttl_s != -1:
            raise Unsayable("the time to live of an index")
        if schema.routing_partition_size is not None:
            raise Unsayable("the size of routing partitions")
        fields = Group("[]*tablestore.FieldSchema{", tuple(Item(self.made(one)) for one in schema.fields), "}")
        items = [Item(fields, before="FieldSchemas: ")]
        if schema.routing_fields:
            setting = Item(self.said(schema.routing_fields), "RoutingFields: ")
            items.append(Item(Group("&tablestore.IndexSetting{", (setting,), "}"), "IndexSetting: "))
        if schema.sort:
            items.append(Item(self._sort(schema.sort), "IndexSort: "))
        return Group("&tablestore.IndexSchema{", tuple(items), "}")

    def creating(self, table: TableSchema, indexes: Mapping[str, Any]) -> list[str]:
        lines = [f"meta := &tablestore.TableMeta{{TableName: {self.string(table.name)}}}"]
        for column in table.key:
            name, kind = self.string(column.name), f"tablestore.PrimaryKeyType_{column.type.value}"
            if column.auto_increment:
                lines.append(f"meta.AddPrimaryKeyColumnOption({name}, {kind}, tablestore.AUTO_INCREMENT)")
            else:
                lines.append(f"meta.AddPrimaryKeyColumn({name}, {kind})")
        for defined in table.defined:
            kind = f"tablestore.DefinedColumn_{defined.type.value}"
            lines.append(f"meta.AddDefinedColumn({self.string(defined.name)}, {kind})")
        options = Group("&tablestore.TableOption{", self.items(self.table_options(table.options), ": "), "}")
        items = [
            Item("meta", "TableMeta: "),
            Item(options, "TableOption: "),
            Item("&tablestore.ReservedThroughput{}", "ReservedThroughput: "),
        ]
        if table.stream is not None:
            if table.stream.original_columns:
                self.leave_out("the stream's original columns")
            stream = (
                f"&tablestore.StreamSpecification{{EnableStream: true, ExpirationTime: {table.stream.expiration_h}}}"
            )
            items.append(Item(stream, "StreamSpec: "))
        wanted = [one for one in table.indexes if self._is_sayable(one)]
        for number, secondary in enumerate(wanted, 1):
            lines += self._secondary(secondary, f"index{number}")
        if wanted:
            names = tuple(Item(f"index{number}") for number in range(1, len(wanted) + 1))
            items.append(Item(Group("[]*tablestore.IndexMeta{", names, "}"), "IndexMetas: "))
        lines += laid_out(Group("&tablestore.CreateTableRequest{", tuple(items), "}"), before="request := ")
        lines += _checked("_, err := client.CreateTable(request)")
        for index, schema in indexes.items():
            lines += self._search_index(table, index, schema)
        return self._program(lines)

    def _search_index(self, table: TableSchema, index: str, schema: Expression) -> list[str]:
        items = (
            Item(self.string(table.name), "TableName: "),
            Item(self.string(index), "IndexName: "),
            Item(schema, "IndexSchema: "),
        )
        request = Group("&tablestore.CreateSearchIndexRequest{", items, "}")
        return [*laid_out(request, before="_, err = client.CreateSearchIndex(", after=")"), *_checked()]

    def _is_sayable(self, index: SecondaryIndex) -> bool:
        """Whatever it is told, the SDK asks for global ones."""
        if index.kind is IndexKind.LOCAL:
            self.leave_out(f"the local index {index.name}")
        return index.kind is IndexKind.GLOBAL

    def _secondary(self, index: SecondaryIndex, name: str) -> list[str]:
        return [
            f"{name} := &tablestore.IndexMeta{{IndexName: {self.string(index.name)}}}",
            *(f"{name}.AddPrimaryKeyColumn({self.string(column)})" for column in index.key),
            *(f"{name}.AddDefinedColumn({self.string(column)})" for column in index.columns),
        ]

    def searching(self, table: TableSchema, index: str, request: SearchRequest) -> list[str]:
        for what, given in (
            ("a filter of what was found", request.filter),
            ("highlights", request.highlight),
            ("aggregations", request.aggregations),
            ("group-bys", request.group_bys),
            ("the columns of an index", request.columns.kind is ReturnColumns.ALL_FROM_INDEX),
        ):
            if given:
                raise Unsayable(what)
        lines = ["query := search.NewSearchQuery()"]
        self._imports.add(f"{_SDK}/search")
        lines += laid_out(self.made(request.query), before="query.SetQuery(", after=")")
        if request.sort:
            lines += laid_out(self._sort(request.sort), before="query.SetSort(", after=")")
        if request.offset:
            lines.append(f"query.SetOffset({request.offset})")
        if request.limit is not None:
            lines.append(f"query.SetLimit({request.limit})")
        if request.count_total:
            lines.append("query.SetGetTotalCount(true)")
        if request.collapse is not None:
            lines.append(f"query.SetCollapse(&search.Collapse{{FieldName: {self.string(request.collapse)}}})")
        lines += [
            "request := &tablestore.SearchRequest{}",
            f"request.SetTableName({self.string(table.name)})",
            f"request.SetIndexName({self.string(index)})",
            "request.SetSearchQuery(query)",
        ]
        match request.columns.kind:
            case ReturnColumns.ALL:
                lines.append("request.SetColumnsToGet(&tablestore.ColumnsToGet{ReturnAll: true})")
            case ReturnColumns.SPECIFIED:
                names = Group("&tablestore.ColumnsToGet{", (Item(self.said(request.columns.names), "Columns: "),), "}")
                lines += laid_out(names, before="request.SetColumnsToGet(", after=")")
        lines += _checked("response, err := client.Search(request)")
        if request.count_total:
            lines.append("fmt.Println(response.TotalCount)")
        lines += [
            "for _, row := range response.Rows {",
            "    fmt.Println(row.PrimaryKey.PrimaryKeys, row.Columns)",
            "}",
        ]
        return self._program(lines)

    def _program(self, lines: Sequence[str]) -> list[str]:
        client = Group(
            "client := tablestore.NewClient(",
            (
                Item(self.string(self.place.endpoint)),
                Item(self.string(self.place.instance)),
                Item(f'os.Getenv("{KEY_ID_VARIABLE}")'),
                Item(f'os.Getenv("{KEY_SECRET_VARIABLE}")'),
            ),
            ")",
        )
        helpers = (_POINTER_HELP if self._has_pointers else "") + (_KNN_HELP if self._has_neighbours else "")
        own = sorted(name for name in self._imports if "." not in name)
        others = sorted(name for name in self._imports if "." in name)
        program = [
            "package main",
            "",
            "import (",
            *(f'    "{name}"' for name in own),
            "",
            *(f'    "{name}"' for name in others),
            ")",
            *helpers.splitlines(),
            "",
            "func main() {",
            *laid_out(client, indent="    "),
            *(f"    {line}" for line in lines),
            "}",
        ]
        return [_tabbed(line) for line in program]


def _checked(call: str | None = None) -> list[str]:
    """A call whose error ends the program."""
    failed = ["if err != nil {", "    fmt.Fprintln(os.Stderr, err)", "    os.Exit(1)", "}"]
    return failed if call is None else [call, *failed]


def _tabbed(line: str) -> str:
    text = line.lstrip(" ")
    return "\t" * ((len(line) - len(text)) // 4) + text
