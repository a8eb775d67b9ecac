"""Programs in Node.js, by the official SDK (tablestore 5.6.5)."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

from lutra.console.code.layout import Expression, Group, Item, laid_out
from lutra.console.code.literals import node_string
from lutra.console.code.writer import (
    KEY_ID_VARIABLE,
    KEY_SECRET_VARIABLE,
    Form,
    Parts,
    Unsayable,
    Writer,
    minimum_of,
)
from lutra.model import aggregations as found
from lutra.model import geo, indexes, nested, queries, scoring
from lutra.model.indexes import FieldType, IndexSchema
from lutra.model.queries import ReturnColumns, SearchRequest
from lutra.model.schema import IndexKind, SecondaryIndex, TableSchema

_FIELD: Final = {"field": "fieldName", "weight": "weight"}
_SUB: Final = {"aggregations": "subAggs", "group_bys": "subGroupBys"}
_GROUP: Final = {**_SUB, "field": "fieldName", "sort": "sort"}
_VALUE: Final = {"field": "fieldName", "missing": "missing"}
_BOUNDED: Final = {"field_range": "fieldRange", "min_doc_count": "minDocCount"}
_SAFE_MAX: Final = 2**53 - 1
"""Beyond it the language's own numbers are not whole."""
_QUERIES: Final[dict[type, str]] = {
    queries.MatchAll: "MATCH_ALL_QUERY",
    queries.Term: "TERM_QUERY",
    queries.Terms: "TERMS_QUERY",
    queries.Range: "RANGE_QUERY",
    queries.Prefix: "PREFIX_QUERY",
    queries.Wildcard: "WILDCARD_QUERY",
    queries.Match: "MATCH_QUERY",
    queries.MatchPhrase: "MATCH_PHRASE_QUERY",
    queries.Exists: "EXISTS_QUERY",
    queries.Bool: "BOOL_QUERY",
    queries.KnnVector: "KNN_VECTOR_QUERY",
    scoring.ConstScore: "CONST_SCORE_QUERY",
    geo.GeoBoundingBox: "GEO_BOUNDING_BOX_QUERY",
    geo.GeoDistance: "GEO_DISTANCE_QUERY",
    geo.GeoPolygon: "GEO_POLYGON_QUERY",
    nested.Nested: "NESTED_QUERY",
}
_SORTERS: Final[dict[type, str]] = {
    queries.ScoreSort: "scoreSort",
    queries.PrimaryKeySort: "primaryKeySort",
    queries.FieldSort: "fieldSort",
    geo.GeoDistanceSort: "geoDistanceSort",
    found.GroupKeySort: "groupKeySort",
    found.RowCountSort: "rowCountSort",
    found.SubAggregationSort: "subAggSort",
}
_AGGREGATIONS: Final[dict[type, str]] = {
    found.Avg: "AggregationType.AGG_AVG",
    found.Max: "AggregationType.AGG_MAX",
    found.Min: "AggregationType.AGG_MIN",
    found.Sum: "AggregationType.AGG_SUM",
    found.Count: "AggregationType.AGG_COUNT",
    found.DistinctCount: "AggregationType.AGG_DISTINCT_COUNT",
    found.TopRows: "AggregationType.AGG_TOP_ROWS",
    found.Percentiles: "AggregationType.AGG_PERCENTILES",
    found.GroupByField: "GroupByType.GROUP_BY_FIELD",
    found.GroupByRange: "GroupByType.GROUP_BY_RANGE",
    found.GroupByFilter: "GroupByType.GROUP_BY_FILTER",
    found.GroupByGeoDistance: "GroupByType.GROUP_BY_GEO_DISTANCE",
    found.GroupByHistogram: "GroupByType.GROUP_BY_HISTOGRAM",
    found.GroupByDateHistogram: "GroupByType.GROUP_BY_DATE_HISTOGRAM",
    found.GroupByGeoGrid: "GroupByType.GROUP_BY_GEO_GRID",
    found.GroupByComposite: "GroupByType.GROUP_BY_COMPOSITE",
}
_CONSTANTS: Final[dict[type[enum.Enum], str]] = {
    queries.Operator: "TableStore.QueryOperator.{}",
    queries.SortMode: "TableStore.SortMode.SORT_MODE_{}",
    queries.ReturnColumns: "TableStore.ColumnReturnType.RETURN_{}",
    queries.FragmentOrder: "TableStore.HighlightFragmentOrder.{}",
    queries.HighlightEncoder: "TableStore.HighlightEncoder.{}_MODE",
    nested.ScoreMode: "TableStore.ScoreMode.SCORE_MODE_{}",
    geo.DistanceType: "TableStore.GeoDistanceType.GEO_DISTANCE_{}",
    found.DateTimeUnit: "TableStore.DateTimeUnit.{}",
    indexes.FieldType: "TableStore.FieldType.{}",
    indexes.Metric: "TableStore.VectorMetricType.VM_{}",
    IndexKind: "TableStore.IndexType.IT_{}_INDEX",
}
_UNNAMED_TYPES: Final = frozenset({FieldType.FUZZY_KEYWORD, FieldType.IP, FieldType.FLATTENED, FieldType.JSON})
"""The SDK has no names for them, and takes their numbers."""


class NodeWriter(Writer):
    title = "Node.js SDK 5.6.5"
    constants = _CONSTANTS
    infinities = ("-Infinity", "Infinity")
    forms: ClassVar[Mapping[type, Form]] = {
        queries.MatchAll: Form("", {}),
        queries.Term: Form("", {**_FIELD, "value": "term"}),
        queries.Terms: Form("", {**_FIELD, "values": "terms"}),
        queries.Range: Form(
            "",
            {
                "field": "fieldName",
                "lower": "rangeFrom",
                "upper": "rangeTo",
                "include_lower": "!includeLower",
                "include_upper": "!includeUpper",
            },
        ),
        queries.Prefix: Form("", {**_FIELD, "prefix": "prefix"}),
        queries.Wildcard: Form("", {**_FIELD, "pattern": "value"}),
        queries.Match: Form(
            "", {**_FIELD, "text": "text", "operator": "operator", "minimum_should_match": "minimumShouldMatch"}
        ),
        queries.MatchPhrase: Form("", {**_FIELD, "text": "text"}),
        queries.Exists: Form("", {"field": "fieldName"}),
        queries.Bool: Form(
            "",
            {
                "must": "mustQueries",
                "must_not": "mustNotQueries",
                "filter": "filterQueries",
                "should": "shouldQueries",
                "minimum_should_match": "minimumShouldMatch",
            },
        ),
        queries.KnnVector: Form("", {**_FIELD, "top_k": "topK", "vector": "float32QueryVector", "filter": "filter"}),
        scoring.ConstScore: Form("", {"filter": "filter"}),
        geo.GeoBoundingBox: Form("", {"field": "fieldName", "top_left": "topLeft", "bottom_right": "bottomRight"}),
        geo.GeoDistance: Form("", {"field": "fieldName", "centre": "centerPoint", "distance_m": "distance"}),
        geo.GeoPolygon: Form("", {"field": "fieldName", "points": "points"}),
        nested.Nested: Form(
            "",
            {"path": "path", "query": "query", "mode": "!scoreMode", "weight": "weight", "inner_hits": "innerHits"},
        ),
        nested.NestedFilter: Form("", {"path": "path", "filter": "filter"}),
        nested.InnerHits: Form("", {"sort": "sort", "offset": "offset", "limit": "limit", "highlight": "highlight"}),
        queries.ScoreSort: Form("", {"descending": "!order"}),
        queries.PrimaryKeySort: Form("", {"descending": "!order"}),
        queries.FieldSort: Form(
            "",
            {
                "field": "fieldName",
                "descending": "!order",
                "mode": "mode",
                "missing": "missing",
                "nested_filter": "nestedFilter",
            },
        ),
        geo.GeoDistanceSort: Form(
            "",
            {
                "field": "fieldName",
                "points": "points",
                "descending": "!order",
                "mode": "mode",
                "distance_type": "distanceType",
                "nested_filter": "nestedFilter",
            },
        ),
        queries.HighlightField: Form(
            "",
            {
                "field": "fieldName",
                "fragments": "numberOfFragments",
                "fragment_chars": "fragmentSize",
                "pre_tag": "preTag",
                "post_tag": "postTag",
                "order": "fragmentsOrder",
            },
        ),
        queries.Highlight: Form("", {"fields": "highlightParameters", "encoder": "highlightEncoder"}),
        found.Avg: Form("", _VALUE),
        found.Max: Form("", _VALUE),
        found.Min: Form("", _VALUE),
        found.Sum: Form("", _VALUE),
        found.Count: Form("", _VALUE),
        found.DistinctCount: Form("", _VALUE),
        found.Percentiles: Form("", {**_VALUE, "percentiles": "percentiles"}),
        found.TopRows: Form("", {"limit": "limit", "sort": "sort"}),
        found.GroupByField: Form("", {**_GROUP, "size": "size", "min_doc_count": "minDocCount"}),
        found.GroupByRange: Form("", {**_GROUP, "ranges": "ranges"}),
        found.GroupByFilter: Form("", {**_SUB, "filters": "filters"}),
        found.GroupByGeoDistance: Form("", {**_GROUP, "origin": "origin", "ranges": "ranges"}),
        found.GroupByGeoGrid: Form("", {**_GROUP, "precision": "precision", "size": "size"}),
        found.GroupByHistogram: Form(
            "", {**_GROUP, **_BOUNDED, "interval": "interval", "offset": "offset", "missing": "missing"}
        ),
        found.GroupByDateHistogram: Form(
            "",
            {
                **_GROUP,
                **_BOUNDED,
                "interval": "interval",
                "offset": "offset",
                "missing": "missing",
                "time_zone": "timeZone",
            },
        ),
        found.GroupByComposite: Form("", {**_SUB, "sources": "sources", "size": "size"}),
        found.DateTimeValue: Form("", {"value": "value", "unit": "unit"}),
        found.GroupKeySort: Form("", {"descending": "!order"}),
        found.RowCountSort: Form("", {"descending": "!order"}),
        found.SubAggregationSort: Form("", {"descending": "!order", "name": "subAggName"}),
        indexes.SingleWordParameters: Form("", {"case_sensitive": "caseSensitive", "delimit_word": "delimitWord"}),
        indexes.SplitParameters: Form("", {"delimiter": "delimiter"}),
        indexes.FuzzyParameters: Form("", {"min_chars": "minChars", "max_chars": "maxChars"}),
    }
    overrides: ClassVar[Mapping[type, str]] = {
        queries.Suffix: "_suffix",
        indexes.FieldSchema: "_field",
        indexes.VectorOptions: "_vector_options",
    }
    field_labels: ClassVar[Parts] = {
        "index": "index",
        "sort": "enableSortAndAgg",
        "store": "store",
        "is_array": "isAnArray",
        "analyzer": "analyzer",
        "parameters": "analyzerParameter",
        "highlighting": "enableHighlighting",
        "vector": "vectorOptions",
        "date_formats": "dateFormats",
        "is_virtual": "isVirtualField",
        "sources": "sourceFieldNames",
        "fields": "fieldSchemas",
    }
    option_labels: ClassVar[Parts] = {
        "ttl_s": "!timeToLive",
        "max_versions": "!maxVersions",
        "max_deviation_s": "maxTimeDeviation",
        "allow_update": "allowUpdate",
    }

    # --- words --------------------------------------------------------------------------------------------------

    def string(self, text: str) -> str:
        return node_string(text)

    def integer(self, value: int) -> str:
        if abs(value) <= _SAFE_MAX:
            return f"TableStore.Long.fromNumber({value})"
        return f'TableStore.Long.fromString("{value}")'

    def field_type(self, field: indexes.FieldSchema) -> str:
        if field.type in _UNNAMED_TYPES:
            return f"{field.type.value} /* {field.type.name} */"
        return self.enumerated(field.type)

    def order(self, descending: bool) -> str:
        return f"TableStore.SortOrder.SORT_ORDER_{'DESC' if descending else 'ASC'}"

    def vector(self, numbers: Sequence[str]) -> Expression:
        return Group("[", tuple(map(Item, numbers)), "]", fills=True)

    def several(self, values: Sequence[Expression], kind: type) -> Expression:
        return Group("[", tuple(map(Item, values)), "]")

    def noun(self, name: str, parts: Sequence[tuple[str, Expression]], kind: type) -> Expression:
        if not parts:
            return "{}"
        return Group("{ ", self.items(parts, ": "), " }")

    def made(self, value: Any) -> Expression:
        """Queries, sorters and aggregations say of what kind they are beside what they are."""
        kind = type(value)
        body = super().made(value)
        if kind in _QUERIES:
            return self.noun("", [("queryType", f"TableStore.QueryType.{_QUERIES[kind]}"), ("query", body)], kind)
        if kind in _SORTERS:
            return self.noun("", [(_SORTERS[kind], body)], kind)
        if kind in _AGGREGATIONS:
            named = ("name", self.string(value.name))
            return self.noun("", [named, ("type", f"TableStore.{_AGGREGATIONS[kind]}"), ("body", body)], kind)
        return body

    def parts_of(
        self, value: Any, labels: Mapping[str, str], skipped: Collection[str] = ()
    ) -> list[tuple[str, Expression]]:
        self._check(value)
        parts = super().parts_of(value, labels, ("name",) if type(value) in _AGGREGATIONS else ())
        if isinstance(value, queries.Bool) and value.should:
            # The SDK refuses a list of them without a number.
            least = minimum_of(value.minimum_should_match, is_alone=not value.must and not value.filter)
            parts = [part for part in parts if part[0] != "minimumShouldMatch"]
            parts.append(("minimumShouldMatch", str(least)))
        return parts

    def _check(self, value: Any) -> None:
        """Raises Unsayable for what the SDK leaves out without a word: values that JavaScript takes for none."""
        if type(value) in _AGGREGATIONS:
            for name in ("missing", "offset"):
                given = getattr(value, name, None)
                if given is not None and not given:
                    raise Unsayable(f"the {name} value {given!r}")
        if None in (getattr(value, "field_range", None) or ()):
            raise Unsayable("a range of one end of histograms")
        if isinstance(value, queries.FieldSort) and value.missing is not None and not value.missing:
            raise Unsayable(f"the missing value {value.missing!r}")
        if isinstance(value, queries.Match) and isinstance(value.minimum_should_match, str):
            raise Unsayable(f"[minimum_should_match] {value.minimum_should_match}")

    def part(self, of: Any, name: str, given: Any) -> Expression:
        match of, name:
            case ((found.GroupByRange() | found.GroupByGeoDistance()), "ranges"):
                ranges = [f"{{ from: {self.number(low)}, to: {self.number(high)} }}" for low, high in given]
                return self.several(ranges, object)
            case found.GroupByGeoDistance(), "origin":
                return f"{{ lat: {given.lat!r}, lon: {given.lon!r} }}"
            case ((found.GroupByHistogram() | found.GroupByDateHistogram()), "field_range"):
                ends = [(label, self.operand_of(of, end)) for label, end in zip(("min", "max"), given, strict=True)]
                return self.noun("", ends, object)
            case _, "aggregations":
                return self.noun("", [("aggs", self.said(given))], object)
            case found.GroupByComposite(), "sources":
                return self.noun("", [("groupBys", self.said(given))], object)
            case _, "group_bys":
                return self.noun("", [("groupBys", self.said(given))], object)
            case _, "sort":
                return self._sort(given)
            case _, "missing" if isinstance(given, queries.Missing):
                return self.string(given.value)
        return super().part(of, name, given)

    # --- nouns of their own ------------------------------------------------------------------------------------------

    def _sort(self, sorters: Sequence[Any]) -> Expression:
        return self.noun("", [("sorters", self.several([*map(self.made, sorters)], object))], object)

    def _suffix(self, query: queries.Suffix) -> Expression:
        """The SDK has none; a pattern says the same of what has no wildcards."""
        if "*" in query.suffix or "?" in query.suffix:
            raise Unsayable("suffix with * or ?")
        return self.made(queries.Wildcard(query.field, f"*{query.suffix}", query.weight))

    def _vector_options(self, options: indexes.VectorOptions) -> Expression:
        parts: list[tuple[str, Expression]] = [
            ("dataType", "TableStore.VectorDataType.VD_FLOAT_32"),
            ("dimension", str(options.dimension)),
            ("metricType", self.enumerated(options.metric)),
        ]
        return self.noun("", parts, indexes.VectorOptions)

    def _field(self, field: indexes.FieldSchema) -> Expression:
        if field.index is False:
            raise Unsayable(f"[index: false] of field {field.name}")
        if field.json_type is not None:
            raise Unsayable(f"the JSON type of field {field.name}")
        parts: list[tuple[str, Expression]] = [
            ("fieldName", self.string(field.name)),
            ("fieldType", self.field_type(field)),
        ]
        # What is false the SDK does not send.
        parts += [(label, what) for label, what in self.field_parts(field) if what != "false"]
        said = {label for label, _ in parts}
        if "analyzer" in said and "analyzerParameter" not in said:
            parts.append(("analyzerParameter", "{}"))  # which the SDK reads in any case
        return self.noun("", parts, indexes.FieldSchema)

    # --- programs -----------------------------------------------------------------------------------------------

    def index(self, schema: IndexSchema) -> Any:
        """The properties of a request that makes it."""
        parts: list[tuple[str, Expression]] = [("fieldSchemas", self.several([*map(self.made, schema.fields)], object))]
        setting: list[tuple[str, Expression]] = []
        if schema.routing_fields:
            setting.append(("routingFields", self.said(schema.routing_fields)))
        if schema.routing_partition_size is not None:
            setting.append(("routingPartitionSize", str(schema.routing_partition_size)))
        if setting:
            parts.append(("indexSetting", self.noun("", setting, object)))
        if schema.sort:
            parts.append(("indexSort", self._sort(schema.sort)))
        made: list[tuple[str, Expression]] = [("schema", self.noun("", parts, IndexSchema))]
        return made if schema.ttl_s == -1 else [("timeToLive", str(schema.ttl_s)), *made]

    def creating(self, table: TableSchema, indexes: Mapping[str, Any]) -> list[str]:
        key = [self._key_column(one.name, one.type.value, one.auto_increment) for one in table.key]
        meta: list[tuple[str, Expression]] = [
            ("tableName", self.string(table.name)),
            ("primaryKey", self.several(key, object)),
        ]
        if table.defined:
            defined = [
                f"{{ name: {self.string(one.name)}, type: TableStore.DefinedColumnType.DCT_{one.type.value} }}"
                for one in table.defined
            ]
            meta.append(("definedColumn", self.several(defined, object)))
        parts: list[tuple[str, Expression]] = [
            ("tableMeta", self.noun("", meta, object)),
            ("reservedThroughput", "{ capacityUnit: { read: 0, write: 0 } }"),
            ("tableOptions", self.noun("", self.table_options(table.options), object)),
        ]
        if table.stream is not None:
            if table.stream.original_columns:
                self.leave_out("the stream's original columns")
            parts.append(
                ("streamSpecification", f"{{ enableStream: true, expirationTime: {table.stream.expiration_h} }}")
            )
        if table.indexes:
            parts.append(("indexMetas", self.several([*map(self._secondary, table.indexes)], object)))
        lines = _awaited("await client.createTable(", self.noun("", parts, object))
        for index, made in indexes.items():
            named: list[tuple[str, Expression]] = [
                ("tableName", self.string(table.name)),
                ("indexName", self.string(index)),
            ]
            lines += _awaited("await client.createSearchIndex(", self.noun("", [*named, *made], object))
        return self._program(lines)

    def _key_column(self, name: str, type_name: str, is_chosen: bool) -> str:
        chosen = ', option: "AUTO_INCREMENT"' if is_chosen else ""
        return f'{{ name: {self.string(name)}, type: "{type_name}"{chosen} }}'

    def _secondary(self, index: SecondaryIndex) -> Expression:
        mode = "ASYNC" if index.kind is IndexKind.GLOBAL else "SYNC"
        parts: list[tuple[str, Expression]] = [
            ("name", self.string(index.name)),
            ("primaryKey", self.said(index.key)),
            ("definedColumn", self.said(index.columns)),
            ("indexType", self.enumerated(index.kind)),
            ("indexUpdateMode", f"TableStore.IndexUpdateMode.IUM_{mode}_INDEX"),
        ]
        return self.noun("", parts, SecondaryIndex)

    def searching(self, table: TableSchema, index: str, request: SearchRequest) -> list[str]:
        if request.filter is not None:
            raise Unsayable("a filter of what was found")
        query: list[tuple[str, Expression]] = [("query", self.made(request.query))]
        if request.sort:
            query.append(("sort", self._sort(request.sort)))
        if request.offset:
            query.append(("offset", str(request.offset)))
        if request.limit is not None:
            query.append(("limit", str(request.limit)))
        if request.count_total:
            query.append(("getTotalCount", "true"))
        if request.aggregations:
            query.append(("aggs", self.part(request, "aggregations", request.aggregations)))
        if request.group_bys:
            query.append(("groupBys", self.part(request, "group_bys", request.group_bys)))
        if request.collapse is not None:
            query.append(("collapse", f"{{ fieldName: {self.string(request.collapse)} }}"))
        if request.highlight is not None:
            query.append(("highlight", self.made(request.highlight)))
        columns: list[tuple[str, Expression]] = [("returnType", self.enumerated(request.columns.kind))]
        if request.columns.kind is ReturnColumns.SPECIFIED:
            columns.append(("returnNames", self.said(request.columns.names)))
        parts: list[tuple[str, Expression]] = [
            ("tableName", self.string(table.name)),
            ("indexName", self.string(index)),
            ("searchQuery", self.noun("", query, object)),
            ("columnToGet", self.noun("", columns, object)),
        ]
        lines = _awaited("const response = await client.search(", self.noun("", parts, object))
        return self._program([*lines, *_printed(request)])

    def _program(self, lines: Sequence[str]) -> list[str]:
        return [
            'const TableStore = require("tablestore");',
            "",
            "const client = new TableStore.Client({",
            f"    endpoint: {self.string(self.place.endpoint)},",
            f"    accessKeyId: process.env.{KEY_ID_VARIABLE},",
            f"    secretAccessKey: process.env.{KEY_SECRET_VARIABLE},",
            f"    instancename: {self.string(self.place.instance)},",
            "});",
            "",
            "async function main() {",
            *(f"    {line}" for line in lines),
            "}",
            "",
            "main().catch((error) => {",
            "    console.error(error);",
            "    process.exitCode = 1;",
            "});",
        ]


def _awaited(before: str, request: Expression) -> list[str]:
    return laid_out(request, before=before, after=");")


def _printed(request: SearchRequest) -> list[str]:
    lines = []
    if request.count_total:
        lines.append("console.log(response.totalCounts.toString());")
    if request.limit != 0:
        lines += ["for (const row of response.rows) {", "    console.log(JSON.stringify(row));", "}"]
    if request.aggregations:
        lines.append("console.log(JSON.stringify(response.aggResults));")
    if request.group_bys:
        lines.append("console.log(JSON.stringify(response.groupByResults));")
    return lines
