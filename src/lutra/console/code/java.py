"""Programs in Java, by the official SDK (com.aliyun.openservices:tablestore 5.17.10)."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

from lutra.console.code.java_forms import CONSTANTS, FORMS, HEADS
from lutra.console.code.layout import Expression, Group, Item, flat, laid_out
from lutra.console.code.literals import java_string
from lutra.console.code.writer import (
    KEY_ID_VARIABLE,
    KEY_SECRET_VARIABLE,
    Parts,
    Place,
    Unsayable,
    Writer,
    point_text,
)
from lutra.model import aggregations as found
from lutra.model import geo, indexes, nested, queries, scoring
from lutra.model.indexes import IndexSchema
from lutra.model.queries import ReturnColumns, SearchRequest
from lutra.model.schema import IndexKind, SecondaryIndex, TableSchema

_REPEATED: Final = frozenset(
    {"must", "mustNot", "filter", "should", "addSubAggregation", "addSubGroupBy", "addFilter", "addSources", "addQuery"}
    | {"addPoint", "addGroupBySorter", "addRange"}
)
"""Calls that each add one."""
_SAID_ELSEWHERE: Final[dict[type, tuple[str, ...]]] = {queries.HighlightField: ("field",)}
_LIST: Final = "Arrays.asList("
_EACH: Final = ""
"""What a group of arguments for calls of their own is opened with."""
_PRECISIONS: Final = (
    "GHP_5009KM_4992KM_1",
    "GHP_1252KM_624KM_2",
    "GHP_156KM_156KM_3",
    "GHP_39KM_19KM_4",
    "GHP_4900M_4900M_5",
    "GHP_1200M_609M_6",
    "GHP_152M_152M_7",
    "GHP_38M_19M_8",
    "GHP_480CM_480CM_9",
    "GHP_120CM_595MM_10",
    "GHP_149MM_149MM_11",
    "GHP_37MM_19MM_12",
)
_ANALYZERS: Final = {
    "single_word": "SingleWord",
    "max_word": "MaxWord",
    "min_word": "MinWord",
    "split": "Split",
    "fuzzy": "Fuzzy",
}
_VALUE_KINDS: Final = {str: "String", bool: "Boolean", int: "Long", float: "Double", bytes: "Binary"}
_PACKAGES: Final = (
    "com.alicloud.openservices.tablestore.*",
    "com.alicloud.openservices.tablestore.model.*",
    "com.alicloud.openservices.tablestore.model.search.*",
)
_SEARCH_PACKAGES: Final = tuple(
    f"com.alicloud.openservices.tablestore.model.search.{name}.*"
    for name in ("agg", "analysis", "filter", "groupby", "highlight", "query", "sort", "vector")
)


class JavaWriter(Writer):
    title = "Java SDK 5.17.10"
    constants = CONSTANTS
    says_transactions = True
    infinities = ("Double.NEGATIVE_INFINITY", "Double.POSITIVE_INFINITY")
    forms = FORMS
    overrides: ClassVar[Mapping[type, str]] = {
        queries.Range: "_range",
        queries.ScoreSort: "_score_sort",
        queries.PrimaryKeySort: "_plain_sort",
        queries.DocSort: "_plain_sort",
        queries.FieldSort: "_field_sort",
        geo.GeoDistanceSort: "_distance_sort",
        nested.NestedFilter: "_nested_filter",
        queries.Highlight: "_highlight",
        found.GroupKeySort: "_group_sort",
        found.RowCountSort: "_group_sort",
        found.SubAggregationSort: "_group_sort",
        indexes.FieldSchema: "_field",
        indexes.VectorOptions: "_vector_options",
        indexes.SingleWordParameters: "_parameters",
        indexes.SplitParameters: "_parameters",
        indexes.FuzzyParameters: "_parameters",
    }
    field_labels: ClassVar[Parts] = {
        "index": "setIndex",
        "sort": "setEnableSortAndAgg",
        "store": "setStore",
        "is_array": "setIsArray",
        "analyzer": "setAnalyzer",
        "parameters": "setAnalyzerParameter",
        "highlighting": "setEnableHighlighting",
        "vector": "setVectorOptions",
        "date_formats": "setDateFormats",
        "is_virtual": "setVirtualField",
        "sources": "setSourceFieldNames",
        "fields": "setSubFieldSchemas",
        "json_type": "setJsonType",
    }
    option_labels: ClassVar[Parts] = {
        "ttl_s": "!setTimeToLive",
        "max_versions": "!setMaxVersions",
        "max_deviation_s": "setMaxTimeDeviation",
        "allow_update": "setAllowUpdate",
        "update_full_row": "setUpdateFullRow",
    }

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._statements: list[str] = []
        """What has to be done before the expression that is being made."""
        self._names = 0

    # --- words --------------------------------------------------------------------------------------------------

    def string(self, text: str) -> str:
        return java_string(text)

    def integer(self, value: int) -> str:
        return f"{value}L"

    def enumerated(self, value: enum.Enum) -> str:
        if isinstance(value, nested.ScoreMode):
            return f"ScoreMode.{value.name.title()}"
        return super().enumerated(value)

    def order(self, descending: bool) -> str:
        return f"SortOrder.{'DESC' if descending else 'ASC'}"

    def vector(self, numbers: Sequence[str]) -> Expression:
        literal = Group("{", tuple(Item(f"{one}f") for one in numbers), "}", fills=True, is_trailing=False)
        name = self._new_name("vector")
        self._statements += laid_out(literal, before=f"float[] {name} = ", after=";")
        return name

    def several(self, values: Sequence[Expression], kind: type) -> Expression:
        return Group(_LIST, tuple(map(Item, values)), ")", is_trailing=False)

    def analyzer(self, name: str) -> str:
        return f"FieldSchema.Analyzer.{_ANALYZERS[name]}"

    def noun(self, name: str, parts: Sequence[tuple[str, Expression]], kind: type) -> Expression:
        """A chain of calls; the first arguments are among ``parts`` without a label."""
        arguments = ", ".join(flat(what) for label, what in parts if not label)
        calls = tuple(Item(what, before=f".{label}(", after=")") for label, what in parts if label)
        return Group(f"{name}({arguments})", calls, ".build()", is_chain=True)

    def parts_of(
        self, value: Any, labels: Mapping[str, str], skipped: Collection[str] = ()
    ) -> list[tuple[str, Expression]]:
        kind = type(value)
        heads = HEADS.get(kind, ())
        parts: list[tuple[str, Expression]] = [("", self.part(value, name, getattr(value, name))) for name in heads]
        for label, what in super().parts_of(value, labels, {*heads, *_SAID_ELSEWHERE.get(kind, ())}):
            if isinstance(what, Group) and what.open in (_LIST, _EACH) and label in _REPEATED:
                parts += [(label, item.what) for item in what.items]
            else:
                parts.append((label, what))
        return parts

    def part(self, of: Any, name: str, given: Any) -> Expression:
        match of, name:
            case queries.Terms(), "values":
                return Group("", tuple(Item(self.operand_of(of, one)) for one in given), "", is_trailing=False)
            case found.Percentiles(), "percentiles":
                return ", ".join(self.number(float(one)) for one in given)
            case ((found.GroupByRange() | found.GroupByGeoDistance()), "ranges"):
                pairs = [f"{self.number(low)}, {self.number(high)}" for low, high in given]
                return Group(_EACH, tuple(map(Item, pairs)), "")
            case found.GroupByGeoDistance(), "origin":
                return f"{given.lat!r}, {given.lon!r}"
            case found.GroupByGeoGrid(), "precision":
                return f"GeoHashPrecision.{_PRECISIONS[given - 1]}"
            case found.GroupByHistogram(), "field_range":
                if None in given:
                    raise Unsayable("a range of one end of group by histogram")
                return ", ".join(str(self.operand_of(of, one)) for one in given)
            case found.GroupByDateHistogram(), "field_range":
                ends = ["null" if one is None else self._column_value(self.operand_of(of, one), one) for one in given]
                return f"new FieldRange({', '.join(ends)})"
            case found.GroupByDateHistogram(), "interval" | "offset":
                return f"{given.value}, {self.enumerated(given.unit)}"
            case ((found.GroupByField() | found.GroupByHistogram()), "min_doc_count"):
                return f"{given}L"
            case ((queries.KnnVector() | scoring.DisMax() | queries.Bool()), "weight" | "min_score" | "tie_breaker"):
                return f"{given!r}f"
            case _, "weight":
                return f"{given!r}f"
            case ((found.TopRows() | nested.InnerHits()), "sort"):
                return self._sort(given)
        return super().part(of, name, given)

    # --- nouns of their own ------------------------------------------------------------------------------------------

    def _range(self, query: queries.Range) -> Expression:
        lower = "greaterThanOrEqual" if query.include_lower else "greaterThan"
        upper = "lessThanOrEqual" if query.include_upper else "lessThan"
        parts: list[tuple[str, Expression]] = [("", self.string(query.field))]
        for label, bound in ((lower, query.lower), (upper, query.upper)):
            if bound is not None:
                parts.append((label, self.operand_of(query, bound)))
        return self.noun("QueryBuilders.range", parts, queries.Range)

    def _sort(self, sorters: Sequence[queries.Sorter]) -> Expression:
        return Group("new Sort(", (Item(self._listed("Sort.Sorter", sorters)),), ")", is_trailing=False)

    def _listed(self, kind: str, nouns: Sequence[Any]) -> Expression:
        """A list of nouns of several classes."""
        return Group(f"Arrays.<{kind}>asList(", tuple(Item(self.made(one)) for one in nouns), ")", is_trailing=False)

    def _plain_sort(self, sorter: queries.PrimaryKeySort | queries.DocSort) -> Expression:
        return f"new {type(sorter).__name__}({self.order(sorter.descending)})"

    def _score_sort(self, sorter: queries.ScoreSort) -> Expression:
        return self._set("ScoreSort", "", [("setOrder", self.order(sorter.descending))])

    def _field_sort(self, sorter: queries.FieldSort) -> Expression:
        arguments = f"{self.string(sorter.field)}, {self.order(sorter.descending)}"
        calls: list[tuple[str, Expression]] = []
        if sorter.mode is not None:
            calls.append(("setMode", self.enumerated(sorter.mode)))
        if isinstance(sorter.missing, queries.Missing):
            calls.append(("setMissingValue", self.enumerated(sorter.missing)))
        elif sorter.missing is not None:
            calls.append(("setMissingValue", self._column_value(self.operand(sorter.missing), sorter.missing)))
        calls += [("addMissingField", self.string(name)) for name in sorter.missing_fields]
        if sorter.nested_filter is not None:
            calls.append(("setNestedFilter", self.made(sorter.nested_filter)))
        return self._set("FieldSort", arguments, calls)

    def _distance_sort(self, sorter: geo.GeoDistanceSort) -> Expression:
        points = ", ".join(self.string(point_text(point)) for point in sorter.points)
        calls: list[tuple[str, Expression]] = [("setOrder", self.order(sorter.descending))]
        if sorter.mode is not None:
            calls.append(("setMode", self.enumerated(sorter.mode)))
        if sorter.distance_type is not geo.DistanceType.ARC:
            calls.append(("setDistanceType", self.enumerated(sorter.distance_type)))
        if sorter.nested_filter is not None:
            calls.append(("setNestedFilter", self.made(sorter.nested_filter)))
        return self._set("GeoDistanceSort", f"{self.string(sorter.field)}, Arrays.asList({points})", calls)

    def _nested_filter(self, wanted: nested.NestedFilter) -> Expression:
        arguments = (Item(self.string(wanted.path)), Item(self.made(wanted.filter)))
        return Group("new NestedFilter(", arguments, ")", is_trailing=False)

    def _group_sort(self, sorter: Any) -> Expression:
        of = {found.GroupKeySort: "groupKeySort", found.RowCountSort: "rowCountSort"}.get(type(sorter), "subAggSort")
        argument = self.string(sorter.name) if isinstance(sorter, found.SubAggregationSort) else ""
        return f"GroupBySorter.{of}In{'Desc' if sorter.descending else 'Asc'}({argument})"

    def _highlight(self, wanted: queries.Highlight) -> Expression:
        parts: list[tuple[str, Expression]] = []
        if wanted.encoder is not queries.HighlightEncoder.PLAIN:
            parts.append(("highlightEncoder", self.enumerated(wanted.encoder)))
        for one in wanted.fields:
            both = (Item(self.string(one.field)), Item(self.made(one)))
            parts.append(("addFieldHighlightParam", Group("", both, "", is_trailing=False)))
        return self.noun("Highlight.newBuilder", parts, queries.Highlight)

    def _set(self, kind: str, arguments: str, calls: Sequence[tuple[str, Expression]]) -> Expression:
        """An object whose setters give nothing back: it is made before, where there is one to call."""
        made = f"new {kind}({arguments})"
        if not calls:
            return made
        name = self._new_name(f"{kind[0].lower()}{kind[1:]}")
        self._statements.append(f"{kind} {name} = {made};")
        for label, what in calls:
            self._statements += laid_out(what, before=f"{name}.{label}(", after=");")
        return name

    def _new_name(self, noun: str) -> str:
        self._names += 1
        return f"{noun}{self._names}"

    def _column_value(self, expression: Expression, value: object) -> str:
        return f"ColumnValue.from{_VALUE_KINDS[type(value)]}({expression})"

    def _field(self, field: indexes.FieldSchema) -> Expression:
        head = f"new FieldSchema({self.string(field.name)}, {self.field_type(field)})"
        calls = tuple(Item(what, before=f".{label}(", after=")") for label, what in self.field_parts(field))
        return Group(head, calls, "", is_chain=True)

    def _vector_options(self, options: indexes.VectorOptions) -> Expression:
        return f"new VectorOptions(VectorDataType.FLOAT_32, {options.dimension}, {self.enumerated(options.metric)})"

    def _parameters(self, parameters: indexes.AnalyzerParameters) -> Expression:
        given: list[tuple[str, Any]]
        match parameters:
            case indexes.SingleWordParameters(case_sensitive, delimit_word):
                kind, given = "SingleWordAnalyzerParameter", [("DelimitWord", delimit_word)]
            case indexes.SplitParameters(delimiter, case_sensitive):
                kind, given = "SplitAnalyzerParameter", [("Delimiter", delimiter)]
            case indexes.FuzzyParameters(min_chars, max_chars, case_sensitive):
                kind, given = "FuzzyAnalyzerParameter", [("MinChars", min_chars), ("MaxChars", max_chars)]
        calls = [(name, value) for name, value in (*given, ("CaseSensitive", case_sensitive)) if value is not None]
        return f"new {kind}()" + "".join(f".set{name}({self.said(value)})" for name, value in calls)

    # --- programs -----------------------------------------------------------------------------------------------

    def index(self, schema: IndexSchema) -> Any:
        """The statements that make it, of a variable ``schema``, and its time to live."""
        if schema.routing_partition_size is not None:
            raise Unsayable("the size of routing partitions")
        self._statements = []
        fields = self.several([*map(self.made, schema.fields)], object)
        lines = [
            "IndexSchema schema = new IndexSchema();",
            *laid_out(fields, before="schema.setFieldSchemas(", after=");"),
        ]
        if schema.routing_fields:
            lines += [
                "IndexSetting setting = new IndexSetting();",
                *laid_out(self.said(schema.routing_fields), before="setting.setRoutingFields(", after=");"),
                "schema.setIndexSetting(setting);",
            ]
        if schema.sort:
            sort = self._sort(schema.sort)
            lines += [*self._statements, *laid_out(sort, before="schema.setIndexSort(", after=");")]
        self._statements = []
        return lines, schema.ttl_s

    def creating(self, table: TableSchema, indexes: Mapping[str, Any]) -> list[str]:
        name = self.string(table.name)
        lines = [f"TableMeta meta = new TableMeta({name});"]
        for column in table.key:
            option = ", PrimaryKeyOption.AUTO_INCREMENT" if column.auto_increment else ""
            lines.append(
                f"meta.addPrimaryKeyColumn({self.string(column.name)}, PrimaryKeyType.{column.type.value}{option});"
            )
        for defined in table.defined:
            lines.append(f"meta.addDefinedColumn({self.string(defined.name)}, DefinedColumnType.{defined.type.value});")
        lines.append("TableOptions options = new TableOptions();")
        lines += [f"options.{label}({what});" for label, what in self.table_options(table.options)]
        lines.append(
            "CreateTableRequest request = new CreateTableRequest(meta, options, new ReservedThroughput(0, 0));"
        )
        lines += self._stream(table)
        if not table.has_transactions:
            lines.append("request.setLocalTxnEnabled(false);")
        for number, secondary in enumerate(table.indexes, 1):
            lines += self._secondary(secondary, f"index{number}")
        lines.append("client.createTable(request);")
        for index, (made, ttl_s) in indexes.items():
            lines += ["{", *(f"    {line}" for line in made)]
            lines.append(
                f"    CreateSearchIndexRequest search = new CreateSearchIndexRequest({name}, {self.string(index)});"
            )
            lines.append("    search.setIndexSchema(schema);")
            if ttl_s != -1:
                lines.append(f"    search.setTimeToLive({ttl_s}, java.util.concurrent.TimeUnit.SECONDS);")
            lines += ["    client.createSearchIndex(search);", "}"]
        return self._program("CreateTable", lines)

    def _stream(self, table: TableSchema) -> list[str]:
        if table.stream is None:
            return []
        lines = [f"StreamSpecification stream = new StreamSpecification(true, {table.stream.expiration_h});"]
        lines += [f"stream.addOriginColumnsToGet({self.string(name)});" for name in table.stream.original_columns]
        return [*lines, "request.setStreamSpecification(stream);"]

    def _secondary(self, index: SecondaryIndex, name: str) -> list[str]:
        mode = "ASYNC" if index.kind is IndexKind.GLOBAL else "SYNC"
        return [
            f"IndexMeta {name} = new IndexMeta({self.string(index.name)});",
            *(f"{name}.addPrimaryKeyColumn({self.string(column)});" for column in index.key),
            *(f"{name}.addDefinedColumn({self.string(column)});" for column in index.columns),
            f"{name}.setIndexType({self.enumerated(index.kind)});",
            f"{name}.setIndexUpdateMode(IndexUpdateMode.IUM_{mode}_INDEX);",
            f"request.addIndex({name});",
        ]

    def searching(self, table: TableSchema, index: str, request: SearchRequest) -> list[str]:
        self._statements = []
        parts: list[tuple[str, Expression]] = [("query", self.made(request.query))]
        if request.filter is not None:
            parts.append(
                ("filter", self.noun("SearchFilter.newBuilder", [("query", self.made(request.filter))], object))
            )
        if request.sort:
            parts.append(("sort", self._sort(request.sort)))
        if request.offset:
            parts.append(("offset", str(request.offset)))
        if request.limit is not None:
            parts.append(("limit", str(request.limit)))
        if request.count_total:
            most = "SearchQuery.TRACK_TOTAL_COUNT" if request.count_max is None else str(request.count_max)
            parts.append(("trackTotalCount", most))
        if request.collapse is not None:
            parts.append(("collapse", self.string(request.collapse)))
        if request.highlight is not None:
            parts.append(("highlight", self.made(request.highlight)))
        parts += [("addAggregation", self.made(one)) for one in request.aggregations]
        parts += [("addGroupBy", self.made(one)) for one in request.group_bys]
        query = self.noun("SearchQuery.newBuilder", parts, SearchRequest)
        lines = [*self._statements, *laid_out(query, before="SearchQuery query = ", after=";")]
        lines += laid_out(self._request(table, index, request), before="SearchRequest request = ", after=";")
        lines += ["SearchResponse response = client.search(request);", *_printed(request)]
        return self._program("Search", lines)

    def _request(self, table: TableSchema, index: str, request: SearchRequest) -> Expression:
        parts: list[tuple[str, Expression]] = [
            ("tableName", self.string(table.name)),
            ("indexName", self.string(index)),
            ("searchQuery", "query"),
        ]
        columns = request.columns
        match columns.kind:
            case ReturnColumns.ALL:
                parts.append(("returnAllColumns", "true"))
            case ReturnColumns.ALL_FROM_INDEX:
                parts.append(("returnAllColumnsFromIndex", "true"))
            case ReturnColumns.SPECIFIED:
                parts.append(("addColumnsToGet", self.said(columns.names)))
        return self.noun("SearchRequest.newBuilder", parts, SearchRequest)

    def _program(self, name: str, lines: Sequence[str]) -> list[str]:
        client = Group(
            "SyncClient client = new SyncClient(",
            (
                Item(self.string(self.place.endpoint)),
                Item(f'System.getenv("{KEY_ID_VARIABLE}")'),
                Item(f'System.getenv("{KEY_SECRET_VARIABLE}")'),
                Item(self.string(self.place.instance)),
            ),
            ")",
            is_trailing=False,
        )
        imports = (*_PACKAGES, *_SEARCH_PACKAGES, "java.util.Arrays")
        return [
            *(f"import {one};" for one in imports),
            "",
            f"public class {name} {{",
            "    public static void main(String[] arguments) {",
            *laid_out(client, after=";", indent=" " * 8),
            "        try {",
            *(f"            {line}" for line in lines),
            "        } finally {",
            "            client.shutdown();",  # else its threads go on
            "        }",
            "    }",
            "}",
        ]


def _printed(request: SearchRequest) -> list[str]:
    lines = []
    if request.count_total:
        lines.append("System.out.println(response.getTotalCount());")
    if request.limit != 0:
        shown = 'hit.getScore() + " " + hit.getRow()'
        if request.highlight is not None:
            shown += ' + " " + hit.getHighlightResultItem()'
        lines += ["for (SearchHit hit : response.getSearchHits()) {", f"    System.out.println({shown});", "}"]
    if request.aggregations:
        lines.append("System.out.println(response.getAggregationResults());")
    if request.group_bys:
        lines.append("System.out.println(response.getGroupByResults());")
    return lines
