"""Programs in Python, by the official SDK (tablestore 6.4.8)."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from lutra.console.code.layout import Expression, Group, Item, laid_out
from lutra.console.code.literals import python_string
from lutra.console.code.writer import KEY_ID_VARIABLE, KEY_SECRET_VARIABLE, Form, Parts, Unsayable, Writer
from lutra.model import aggregations as found
from lutra.model import geo, indexes, nested, queries, scoring
from lutra.model.indexes import FieldType, IndexSchema
from lutra.model.queries import ColumnsToGet, ReturnColumns, SearchRequest
from lutra.model.schema import IndexKind, SecondaryIndex, TableSchema
from lutra.model.values import ColumnType

_FIELD: Final = {"field": "field_name", "weight": "weight"}
_SUB: Final = {"name": "name", "aggregations": "sub_aggs", "group_bys": "sub_group_bys"}
_VALUE: Final = {"name": "name", "field": "field", "missing": "missing_value"}
_GROUP: Final = {**_SUB, "field": "field_name", "sort": "group_by_sort"}
_CONSTANTS: Final[dict[type[enum.Enum], str]] = {
    queries.Operator: "tablestore.QueryOperator.{}",
    queries.SortMode: "tablestore.SortMode.{}",
    queries.ReturnColumns: "tablestore.ColumnReturnType.{}",
    queries.FragmentOrder: "tablestore.HighlightFragmentOrder.{}",
    queries.HighlightEncoder: "tablestore.HighlightEncoder.{}_MODE",
    nested.ScoreMode: "tablestore.ScoreMode.{}",
    geo.DistanceType: "tablestore.GeoDistanceType.{}",
    found.DateTimeUnit: "tablestore.DateTimeUnit.{}",
    indexes.FieldType: "tablestore.FieldType.{}",
    indexes.JsonType: "tablestore.JsonType.{}_JSON",
    indexes.Metric: "tablestore.VectorMetricType.VM_{}",
    indexes.TextSimilarity: "tablestore.TextSimilarity.{}",
    IndexKind: "tablestore.SecondaryIndexType.{}_INDEX",
}
_UNKNOWN_TYPES: Final = frozenset({FieldType.FUZZY_KEYWORD, FieldType.IP, FieldType.FLATTENED})


class PythonWriter(Writer):
    title = "Python SDK 6.4.8"
    comment = "#"
    constants = _CONSTANTS
    infinities = ('float("-inf")', 'float("inf")')
    forms: ClassVar[Mapping[type, Form]] = {
        queries.MatchAll: Form("MatchAllQuery", {}),
        queries.Term: Form("TermQuery", {**_FIELD, "value": "column_value"}),
        queries.Terms: Form("TermsQuery", {**_FIELD, "values": "column_values"}),
        queries.Range: Form(
            "RangeQuery",
            {
                "field": "field_name",
                "lower": "range_from",
                "upper": "range_to",
                "include_lower": "include_lower",
                "include_upper": "!include_upper",
            },
        ),
        queries.Prefix: Form("PrefixQuery", {**_FIELD, "prefix": "prefix"}),
        queries.Wildcard: Form("WildcardQuery", {**_FIELD, "pattern": "value"}),
        queries.Match: Form(
            "MatchQuery",
            {**_FIELD, "text": "text", "operator": "operator", "minimum_should_match": "minimum_should_match"},
        ),
        queries.MatchPhrase: Form("MatchPhraseQuery", {**_FIELD, "text": "text", "slop": "slop"}),
        queries.Exists: Form("ExistsQuery", {"field": "field_name"}),
        queries.Bool: Form(
            "BoolQuery",
            {
                "must": "must_queries",
                "must_not": "must_not_queries",
                "filter": "filter_queries",
                "should": "should_queries",
                "minimum_should_match": "minimum_should_match",
                "weight": "weight",
            },
        ),
        queries.KnnVector: Form(
            "KnnVectorQuery",
            {
                **_FIELD,
                "top_k": "top_k",
                "vector": "float32_query_vector",
                "filter": "filter",
                "min_score": "min_score",
                "num_candidates": "num_candidates",
            },
        ),
        scoring.DisMax: Form("DisMaxQuery", {"queries": "queries", "tie_breaker": "tie_breaker", "weight": "weight"}),
        geo.GeoBoundingBox: Form(
            "GeoBoundingBoxQuery", {"field": "field_name", "top_left": "top_left", "bottom_right": "bottom_right"}
        ),
        geo.GeoDistance: Form(
            "GeoDistanceQuery", {"field": "field_name", "centre": "center_point", "distance_m": "distance"}
        ),
        geo.GeoPolygon: Form("GeoPolygonQuery", {"field": "field_name", "points": "points"}),
        nested.Nested: Form(
            "NestedQuery",
            {"path": "path", "query": "query", "mode": "!score_mode", "weight": "weight", "inner_hits": "inner_hits"},
        ),
        nested.NestedFilter: Form("NestedFilter", {"path": "path", "filter": "query_filter"}),
        queries.ScoreSort: Form("ScoreSort", {"descending": "!sort_order"}),
        queries.PrimaryKeySort: Form("PrimaryKeySort", {"descending": "!sort_order"}),
        queries.DocSort: Form("DocSort", {"descending": "!sort_order"}),
        queries.FieldSort: Form(
            "FieldSort",
            {
                "field": "field_name",
                "descending": "!sort_order",
                "mode": "sort_mode",
                "nested_filter": "nested_filter",
            },
        ),
        geo.GeoDistanceSort: Form(
            "GeoDistanceSort",
            {
                "field": "field_name",
                "points": "points",
                "descending": "!sort_order",
                "mode": "sort_mode",
                "distance_type": "geo_distance_type",
                "nested_filter": "nested_filter",
            },
        ),
        queries.HighlightField: Form(
            "HighlightParameter",
            {
                "field": "field_name",
                "fragments": "number_of_fragments",
                "fragment_chars": "fragment_size",
                "pre_tag": "pre_tag",
                "post_tag": "post_tag",
                "order": "fragments_order",
            },
        ),
        queries.Highlight: Form("Highlight", {"fields": "highlight_parameters", "encoder": "highlight_encoder"}),
        found.Avg: Form("Avg", _VALUE),
        found.Max: Form("Max", _VALUE),
        found.Min: Form("Min", _VALUE),
        found.Sum: Form("Sum", _VALUE),
        found.Count: Form("Count", _VALUE),
        found.DistinctCount: Form("DistinctCount", _VALUE),
        found.Percentiles: Form("Percentiles", {**_VALUE, "percentiles": "percentiles_list"}),
        found.GroupByField: Form("GroupByField", {**_GROUP, "size": "size"}),
        found.GroupByRange: Form("GroupByRange", {**_GROUP, "ranges": "ranges"}),
        found.GroupByFilter: Form("GroupByFilter", {**_SUB, "filters": "filters"}),
        found.GroupByGeoDistance: Form("GroupByGeoDistance", {**_GROUP, "origin": "origin", "ranges": "ranges"}),
        found.GroupByGeoGrid: Form("GroupByGeoGrid", {**_GROUP, "precision": "precision", "size": "size"}),
        found.GroupByHistogram: Form(
            "GroupByHistogram",
            {
                **_GROUP,
                "interval": "interval",
                "missing": "missing_value",
                "field_range": "field_range",
                "min_doc_count": "min_doc_count",
            },
        ),
        found.GroupByDateHistogram: Form(
            "GroupByDateHistogram",
            {
                **_GROUP,
                "interval": "interval",
                "missing": "missing",
                "field_range": "field_range",
                "min_doc_count": "min_doc_count",
                "time_zone": "time_zone",
                "offset": "offset",
            },
        ),
        found.GroupByComposite: Form(
            "GroupByComposite",
            {**_SUB, "sources": "sources", "size": "size", "suggested_size": "suggested_size"},
        ),
        found.DateTimeValue: Form("DateTimeValue", {"value": "value", "unit": "unit"}),
        found.GroupKeySort: Form("GroupKeySort", {"descending": "!sort_order"}),
        found.RowCountSort: Form("RowCountSort", {"descending": "!sort_order"}),
        found.SubAggregationSort: Form("SubAggSort", {"descending": "!sort_order", "name": "sub_agg_name"}),
        indexes.SingleWordParameters: Form(
            "SingleWordAnalyzerParameter", {"case_sensitive": "case_sensitive", "delimit_word": "delimit_word"}
        ),
        indexes.SplitParameters: Form("SplitAnalyzerParameter", {"delimiter": "delimiter"}),
        indexes.FuzzyParameters: Form("FuzzyAnalyzerParameter", {"min_chars": "min_chars", "max_chars": "max_chars"}),
    }
    overrides: ClassVar[Mapping[type, str]] = {
        indexes.FieldSchema: "_field",
        queries.Suffix: "_suffix",
        nested.InnerHits: "_inner_hits",
        found.TopRows: "_top_rows",
        indexes.VectorOptions: "_vector_options",
        SecondaryIndex: "_secondary",
    }
    field_labels: ClassVar[Parts] = {
        "index": "index",
        "sort": "enable_sort_and_agg",
        "store": "store",
        "is_array": "is_array",
        "analyzer": "analyzer",
        "parameters": "analyzer_parameter",
        "similarity": "text_similarity",
        "highlighting": "enable_highlighting",
        "vector": "vector_options",
        "date_formats": "date_formats",
        "is_virtual": "is_virtual_field",
        "sources": "source_fields",
        "fields": "sub_field_schemas",
        "json_type": "json_type",
    }
    option_labels: ClassVar[Parts] = {
        "ttl_s": "!time_to_live",
        "max_versions": "!max_version",
        "max_deviation_s": "max_time_deviation",
        "allow_update": "allow_update",
    }

    # --- words --------------------------------------------------------------------------------------------------

    def string(self, text: str) -> str:
        return python_string(text)

    def boolean(self, value: bool) -> str:
        return repr(value)

    def operand(self, value: Any) -> Expression:
        return self.string(value) if isinstance(value, str) else repr(value)

    def field_type(self, field: indexes.FieldSchema) -> str:
        if field.type in _UNKNOWN_TYPES:
            raise Unsayable(f"fields of type {field.type.name}")
        return "tablestore.FieldType.GEOPOINT" if field.type is FieldType.GEO_POINT else self.enumerated(field.type)

    def order(self, descending: bool) -> str:
        return f"tablestore.SortOrder.{'DESC' if descending else 'ASC'}"

    def vector(self, numbers: Sequence[str]) -> Expression:
        return Group("[", tuple(map(Item, numbers)), "]", fills=True)

    def several(self, values: Sequence[Expression], kind: type) -> Expression:
        return Group("[", tuple(map(Item, values)), "]")

    def noun(self, name: str, parts: Sequence[tuple[str, Expression]], kind: type) -> Expression:
        return Group(f"tablestore.{name}(", self.items(parts, "="), ")")

    def part(self, of: Any, name: str, given: Any) -> Expression:
        match of, name:
            case ((found.GroupByHistogram() | found.GroupByDateHistogram()), "field_range"):
                ends = [("min", given[0]), ("max", given[1])]
                parts = [(label, "None" if end is None else self.operand_of(of, end)) for label, end in ends]
                return self.noun("FieldRange", parts, object)
            case ((found.GroupByRange() | found.GroupByGeoDistance()), "ranges"):
                return self.several([f"({self.number(low)}, {self.number(high)})" for low, high in given], tuple)
            case found.GroupByGeoDistance(), "origin":
                return f"tablestore.GeoPoint({given.lat!r}, {given.lon!r})"
        return super().part(of, name, given)

    # --- nouns of their own ------------------------------------------------------------------------------------------

    def _field(self, field: indexes.FieldSchema) -> Expression:
        head = Item(self.string(field.name)), Item(self.field_type(field))
        return Group("tablestore.FieldSchema(", (*head, *self.items(self.field_parts(field), "=")), ")")

    def _vector_options(self, options: indexes.VectorOptions) -> Expression:
        parts: list[tuple[str, Expression]] = [
            ("data_type", "tablestore.VectorDataType.VD_FLOAT_32"),
            ("metric_type", self.enumerated(options.metric)),
            ("dimension", str(options.dimension)),
        ]
        return self.noun("VectorOptions", parts, indexes.VectorOptions)

    def _secondary(self, index: SecondaryIndex) -> Expression:
        parts: list[tuple[str, Expression]] = [
            ("index_name", self.string(index.name)),
            ("primary_key_names", self.said(index.key)),
            ("defined_column_names", self.said(index.columns)),
            ("index_type", self.enumerated(index.kind)),
        ]
        return self.noun("SecondaryIndexMeta", parts, SecondaryIndex)

    def _suffix(self, query: queries.Suffix) -> Expression:
        """The SDK has none; a pattern says the same of what has no wildcards."""
        if "*" in query.suffix or "?" in query.suffix:
            raise Unsayable("suffix with * or ?")
        return self.made(queries.Wildcard(query.field, f"*{query.suffix}", query.weight))

    def _inner_hits(self, hits: nested.InnerHits) -> Expression:
        parts = [
            ("sort", self._sort(hits.sort) if hits.sort else "None"),
            ("offset", str(hits.offset)),
            ("limit", str(hits.limit)),
            ("highlight", "None" if hits.highlight is None else self.made(hits.highlight)),
        ]
        return self.noun("InnerHits", parts, nested.InnerHits)

    def _top_rows(self, rows: found.TopRows) -> Expression:
        parts = [
            ("limit", str(rows.limit)),
            ("sort", self._sort(rows.sort) if rows.sort else "None"),
            ("name", self.string(rows.name)),
        ]
        return self.noun("TopRows", parts, found.TopRows)

    def _sort(self, sorters: Sequence[queries.Sorter]) -> Expression:
        return Group("tablestore.Sort(", (Item(self.several([*map(self.made, sorters)], object)),), ")")

    # --- programs -----------------------------------------------------------------------------------------------

    def index(self, schema: IndexSchema) -> Expression:
        parts: list[tuple[str, Expression]] = [("fields", self.several([*map(self.made, schema.fields)], object))]
        if schema.routing_partition_size is not None:
            raise Unsayable("the size of routing partitions")
        if schema.routing_fields:
            parts.append(
                (
                    "index_setting",
                    self.noun("IndexSetting", [("routing_fields", self.said(schema.routing_fields))], object),
                )
            )
        if schema.sort:
            parts.append(("index_sort", self._sort(schema.sort)))
        if schema.ttl_s != -1:
            parts.append(("time_to_live", str(schema.ttl_s)))
        return self.noun("SearchIndexMeta", parts, IndexSchema)

    def creating(self, table: TableSchema, indexes: Mapping[str, Any]) -> list[str]:
        if table.stream is not None:
            self.leave_out("the stream")
        key = [self._key_column(column.name, column.type, column.auto_increment) for column in table.key]
        defined = [f"({self.string(one.name)}, {python_string(one.type.value)})" for one in table.defined]
        meta = [Item(self.string(table.name)), Item(self.several(key, object))]
        if defined:
            meta.append(Item(self.several(defined, object)))
        secondary = [self.made(one) for one in table.indexes]
        arguments = [
            Item(Group("tablestore.TableMeta(", tuple(meta), ")")),
            Item(self.noun("TableOptions", self.table_options(table.options), object)),
            Item("tablestore.ReservedThroughput(tablestore.CapacityUnit(0, 0))"),
        ]
        if secondary:
            arguments.append(Item(self.several(secondary, object), before="secondary_indexes="))
        lines = [*self._client(), *laid_out(Group("client.create_table(", tuple(arguments), ")"))]
        for name, schema in indexes.items():
            made = (Item(self.string(table.name)), Item(self.string(name)), Item(schema))
            lines += laid_out(Group("client.create_search_index(", made, ")"))
        return lines

    def _key_column(self, name: str, type_: ColumnType, is_chosen: bool) -> Expression:
        chosen = ", tablestore.PK_AUTO_INCR" if is_chosen else ""
        return f"({self.string(name)}, {python_string(type_.value)}{chosen})"

    def searching(self, table: TableSchema, index: str, request: SearchRequest) -> list[str]:
        if request.filter is not None:
            raise Unsayable("a filter of what was found")
        parts: list[tuple[str, Expression]] = [("query", self.made(request.query))]
        if request.sort:
            parts.append(("sort", self._sort(request.sort)))
        parts += [(name, str(getattr(request, name))) for name in ("offset", "limit") if getattr(request, name)]
        if request.limit == 0:
            parts.append(("limit", "0"))
        if request.count_total:
            parts.append(("get_total_count", "True"))
        if request.aggregations:
            parts.append(("aggs", self.said(request.aggregations)))
        if request.group_bys:
            parts.append(("group_bys", self.said(request.group_bys)))
        if request.collapse is not None:
            parts.append(
                ("collapse_field", self.noun("Collapse", [("field_name", self.string(request.collapse))], object))
            )
        if request.highlight is not None:
            parts.append(("highlight", self.made(request.highlight)))
        lines = [*self._client(), *laid_out(self.noun("SearchQuery", parts, SearchRequest), before="query = ")]
        lines += laid_out(self._columns(request.columns), before="columns = ")
        lines += laid_out(f"response = client.search({self.string(table.name)}, {self.string(index)}, query, columns)")
        return [*lines, *_printed(request)]

    def _columns(self, columns: ColumnsToGet) -> Expression:
        parts: list[tuple[str, Expression]] = [("return_type", self.enumerated(columns.kind))]
        if columns.kind is ReturnColumns.SPECIFIED:
            parts.insert(0, ("column_names", self.said(columns.names)))
        return self.noun("ColumnsToGet", parts, ColumnsToGet)

    def _client(self) -> list[str]:
        return [
            "import os",
            "",
            "import tablestore",
            "",
            "client = tablestore.OTSClient(",
            f"    {self.string(self.place.endpoint)},",
            f'    os.environ["{KEY_ID_VARIABLE}"],',
            f'    os.environ["{KEY_SECRET_VARIABLE}"],',
            f"    {self.string(self.place.instance)},",
            ")",
        ]


def _printed(request: SearchRequest) -> list[str]:
    lines = []
    if request.count_total:
        lines.append("print(response.total_count)")
    if request.limit != 0:
        shown = "hit.score, hit.row" if request.highlight is None else "hit.score, hit.row, hit.highlight_result"
        lines += ["for hit in response.search_hits:", f"    print({shown})"]
    if request.aggregations:
        lines += ["for result in response.agg_results:", "    print(result.name, result.value)"]
    if request.group_bys:
        lines += [
            "for result in response.group_by_results:",
            "    for group in result.items:",
            "        print(result.name, vars(group))",
        ]
    return lines
