from lutra.server.wire import query_pb2 as _query_pb2
from lutra.server.wire import times_pb2 as _times_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AggregationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AGG_UNSPECIFIED: _ClassVar[AggregationType]
    AGG_AVG: _ClassVar[AggregationType]
    AGG_MAX: _ClassVar[AggregationType]
    AGG_MIN: _ClassVar[AggregationType]
    AGG_SUM: _ClassVar[AggregationType]
    AGG_COUNT: _ClassVar[AggregationType]
    AGG_DISTINCT_COUNT: _ClassVar[AggregationType]
    AGG_TOP_ROWS: _ClassVar[AggregationType]
    AGG_PERCENTILES: _ClassVar[AggregationType]

class GroupByType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUP_BY_UNSPECIFIED: _ClassVar[GroupByType]
    GROUP_BY_FIELD: _ClassVar[GroupByType]
    GROUP_BY_RANGE: _ClassVar[GroupByType]
    GROUP_BY_FILTER: _ClassVar[GroupByType]
    GROUP_BY_GEO_DISTANCE: _ClassVar[GroupByType]
    GROUP_BY_HISTOGRAM: _ClassVar[GroupByType]
    GROUP_BY_DATE_HISTOGRAM: _ClassVar[GroupByType]
    GROUP_BY_GEO_GRID: _ClassVar[GroupByType]
    GROUP_BY_COMPOSITE: _ClassVar[GroupByType]

class GeoHashPrecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GEO_HASH_PRECISION_UNSPECIFIED: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_5009KM_4992KM_1: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_1252KM_624KM_2: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_156KM_156KM_3: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_39KM_19KM_4: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_4900M_4900M_5: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_1200M_609M_6: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_152M_152M_7: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_38M_19M_8: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_480CM_480CM_9: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_120CM_595MM_10: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_149MM_149MM_11: _ClassVar[GeoHashPrecision]
    GEO_HASH_PRECISION_37MM_19MM_12: _ClassVar[GeoHashPrecision]
AGG_UNSPECIFIED: AggregationType
AGG_AVG: AggregationType
AGG_MAX: AggregationType
AGG_MIN: AggregationType
AGG_SUM: AggregationType
AGG_COUNT: AggregationType
AGG_DISTINCT_COUNT: AggregationType
AGG_TOP_ROWS: AggregationType
AGG_PERCENTILES: AggregationType
GROUP_BY_UNSPECIFIED: GroupByType
GROUP_BY_FIELD: GroupByType
GROUP_BY_RANGE: GroupByType
GROUP_BY_FILTER: GroupByType
GROUP_BY_GEO_DISTANCE: GroupByType
GROUP_BY_HISTOGRAM: GroupByType
GROUP_BY_DATE_HISTOGRAM: GroupByType
GROUP_BY_GEO_GRID: GroupByType
GROUP_BY_COMPOSITE: GroupByType
GEO_HASH_PRECISION_UNSPECIFIED: GeoHashPrecision
GEO_HASH_PRECISION_5009KM_4992KM_1: GeoHashPrecision
GEO_HASH_PRECISION_1252KM_624KM_2: GeoHashPrecision
GEO_HASH_PRECISION_156KM_156KM_3: GeoHashPrecision
GEO_HASH_PRECISION_39KM_19KM_4: GeoHashPrecision
GEO_HASH_PRECISION_4900M_4900M_5: GeoHashPrecision
GEO_HASH_PRECISION_1200M_609M_6: GeoHashPrecision
GEO_HASH_PRECISION_152M_152M_7: GeoHashPrecision
GEO_HASH_PRECISION_38M_19M_8: GeoHashPrecision
GEO_HASH_PRECISION_480CM_480CM_9: GeoHashPrecision
GEO_HASH_PRECISION_120CM_595MM_10: GeoHashPrecision
GEO_HASH_PRECISION_149MM_149MM_11: GeoHashPrecision
GEO_HASH_PRECISION_37MM_19MM_12: GeoHashPrecision

class Aggregation(_message.Message):
    __slots__ = ("name", "type", "body")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: AggregationType
    body: bytes
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[AggregationType, str]] = ..., body: _Optional[bytes] = ...) -> None: ...

class Aggregations(_message.Message):
    __slots__ = ("aggs",)
    AGGS_FIELD_NUMBER: _ClassVar[int]
    aggs: _containers.RepeatedCompositeFieldContainer[Aggregation]
    def __init__(self, aggs: _Optional[_Iterable[_Union[Aggregation, _Mapping]]] = ...) -> None: ...

class FieldAggregation(_message.Message):
    __slots__ = ("field_name", "missing")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    missing: bytes
    def __init__(self, field_name: _Optional[str] = ..., missing: _Optional[bytes] = ...) -> None: ...

class TopRowsAggregation(_message.Message):
    __slots__ = ("limit", "sort")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    sort: _query_pb2.Sort
    def __init__(self, limit: _Optional[int] = ..., sort: _Optional[_Union[_query_pb2.Sort, _Mapping]] = ...) -> None: ...

class PercentilesAggregation(_message.Message):
    __slots__ = ("field_name", "percentiles", "missing")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    PERCENTILES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    percentiles: _containers.RepeatedScalarFieldContainer[float]
    missing: bytes
    def __init__(self, field_name: _Optional[str] = ..., percentiles: _Optional[_Iterable[float]] = ..., missing: _Optional[bytes] = ...) -> None: ...

class AggregationResult(_message.Message):
    __slots__ = ("name", "type", "agg_result")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AGG_RESULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: AggregationType
    agg_result: bytes
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[AggregationType, str]] = ..., agg_result: _Optional[bytes] = ...) -> None: ...

class AggregationsResult(_message.Message):
    __slots__ = ("agg_results",)
    AGG_RESULTS_FIELD_NUMBER: _ClassVar[int]
    agg_results: _containers.RepeatedCompositeFieldContainer[AggregationResult]
    def __init__(self, agg_results: _Optional[_Iterable[_Union[AggregationResult, _Mapping]]] = ...) -> None: ...

class ValueAggregationResult(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: float
    def __init__(self, value: _Optional[float] = ...) -> None: ...

class CountAggregationResult(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class TopRowsAggregationResult(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, rows: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PercentilesAggregationItem(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: float
    value: bytes
    def __init__(self, key: _Optional[float] = ..., value: _Optional[bytes] = ...) -> None: ...

class PercentilesAggregationResult(_message.Message):
    __slots__ = ("percentiles_aggregation_items",)
    PERCENTILES_AGGREGATION_ITEMS_FIELD_NUMBER: _ClassVar[int]
    percentiles_aggregation_items: _containers.RepeatedCompositeFieldContainer[PercentilesAggregationItem]
    def __init__(self, percentiles_aggregation_items: _Optional[_Iterable[_Union[PercentilesAggregationItem, _Mapping]]] = ...) -> None: ...

class GroupBy(_message.Message):
    __slots__ = ("name", "type", "body")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: GroupByType
    body: bytes
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[GroupByType, str]] = ..., body: _Optional[bytes] = ...) -> None: ...

class GroupBys(_message.Message):
    __slots__ = ("group_bys",)
    GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    group_bys: _containers.RepeatedCompositeFieldContainer[GroupBy]
    def __init__(self, group_bys: _Optional[_Iterable[_Union[GroupBy, _Mapping]]] = ...) -> None: ...

class GroupKeySort(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _query_pb2.SortOrder
    def __init__(self, order: _Optional[_Union[_query_pb2.SortOrder, str]] = ...) -> None: ...

class RowCountSort(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _query_pb2.SortOrder
    def __init__(self, order: _Optional[_Union[_query_pb2.SortOrder, str]] = ...) -> None: ...

class SubAggSort(_message.Message):
    __slots__ = ("sub_agg_name", "order")
    SUB_AGG_NAME_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    sub_agg_name: str
    order: _query_pb2.SortOrder
    def __init__(self, sub_agg_name: _Optional[str] = ..., order: _Optional[_Union[_query_pb2.SortOrder, str]] = ...) -> None: ...

class GroupBySorter(_message.Message):
    __slots__ = ("group_key_sort", "row_count_sort", "sub_agg_sort")
    GROUP_KEY_SORT_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_SORT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGG_SORT_FIELD_NUMBER: _ClassVar[int]
    group_key_sort: GroupKeySort
    row_count_sort: RowCountSort
    sub_agg_sort: SubAggSort
    def __init__(self, group_key_sort: _Optional[_Union[GroupKeySort, _Mapping]] = ..., row_count_sort: _Optional[_Union[RowCountSort, _Mapping]] = ..., sub_agg_sort: _Optional[_Union[SubAggSort, _Mapping]] = ...) -> None: ...

class GroupBySort(_message.Message):
    __slots__ = ("sorters",)
    SORTERS_FIELD_NUMBER: _ClassVar[int]
    sorters: _containers.RepeatedCompositeFieldContainer[GroupBySorter]
    def __init__(self, sorters: _Optional[_Iterable[_Union[GroupBySorter, _Mapping]]] = ...) -> None: ...

class GroupByField(_message.Message):
    __slots__ = ("field_name", "size", "sort", "sub_aggs", "sub_group_bys", "min_doc_count")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    MIN_DOC_COUNT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    size: int
    sort: GroupBySort
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    min_doc_count: int
    def __init__(self, field_name: _Optional[str] = ..., size: _Optional[int] = ..., sort: _Optional[_Union[GroupBySort, _Mapping]] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ..., min_doc_count: _Optional[int] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("begin", "end")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    begin: float
    end: float
    def __init__(self, begin: _Optional[float] = ..., end: _Optional[float] = ...) -> None: ...

class GroupByRange(_message.Message):
    __slots__ = ("field_name", "ranges", "sub_aggs", "sub_group_bys")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    ranges: _containers.RepeatedCompositeFieldContainer[Range]
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    def __init__(self, field_name: _Optional[str] = ..., ranges: _Optional[_Iterable[_Union[Range, _Mapping]]] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ...) -> None: ...

class GroupByFilter(_message.Message):
    __slots__ = ("filters", "sub_aggs", "sub_group_bys")
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[_query_pb2.Query]
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    def __init__(self, filters: _Optional[_Iterable[_Union[_query_pb2.Query, _Mapping]]] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ...) -> None: ...

class GeoPoint(_message.Message):
    __slots__ = ("lat", "lon")
    LAT_FIELD_NUMBER: _ClassVar[int]
    LON_FIELD_NUMBER: _ClassVar[int]
    lat: float
    lon: float
    def __init__(self, lat: _Optional[float] = ..., lon: _Optional[float] = ...) -> None: ...

class GroupByGeoDistance(_message.Message):
    __slots__ = ("field_name", "origin", "ranges", "sub_aggs", "sub_group_bys")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    origin: GeoPoint
    ranges: _containers.RepeatedCompositeFieldContainer[Range]
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    def __init__(self, field_name: _Optional[str] = ..., origin: _Optional[_Union[GeoPoint, _Mapping]] = ..., ranges: _Optional[_Iterable[_Union[Range, _Mapping]]] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ...) -> None: ...

class GroupByGeoGrid(_message.Message):
    __slots__ = ("field_name", "precision", "size", "sub_aggs", "sub_group_bys")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    precision: GeoHashPrecision
    size: int
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    def __init__(self, field_name: _Optional[str] = ..., precision: _Optional[_Union[GeoHashPrecision, str]] = ..., size: _Optional[int] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ...) -> None: ...

class FieldRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: bytes
    max: bytes
    def __init__(self, min: _Optional[bytes] = ..., max: _Optional[bytes] = ...) -> None: ...

class GroupByHistogram(_message.Message):
    __slots__ = ("field_name", "interval", "missing_value", "min_doc_count", "sort", "field_range", "sub_aggs", "sub_group_bys", "offset")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    MISSING_VALUE_FIELD_NUMBER: _ClassVar[int]
    MIN_DOC_COUNT_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    FIELD_RANGE_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    interval: bytes
    missing_value: bytes
    min_doc_count: int
    sort: GroupBySort
    field_range: FieldRange
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    offset: bytes
    def __init__(self, field_name: _Optional[str] = ..., interval: _Optional[bytes] = ..., missing_value: _Optional[bytes] = ..., min_doc_count: _Optional[int] = ..., sort: _Optional[_Union[GroupBySort, _Mapping]] = ..., field_range: _Optional[_Union[FieldRange, _Mapping]] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ..., offset: _Optional[bytes] = ...) -> None: ...

class GroupByDateHistogram(_message.Message):
    __slots__ = ("field_name", "interval", "field_range", "missing", "min_doc_count", "time_zone", "sort", "sub_aggs", "sub_group_bys", "offset")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    FIELD_RANGE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    MIN_DOC_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    interval: _times_pb2.DateTimeValue
    field_range: FieldRange
    missing: bytes
    min_doc_count: int
    time_zone: str
    sort: GroupBySort
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    offset: _times_pb2.DateTimeValue
    def __init__(self, field_name: _Optional[str] = ..., interval: _Optional[_Union[_times_pb2.DateTimeValue, _Mapping]] = ..., field_range: _Optional[_Union[FieldRange, _Mapping]] = ..., missing: _Optional[bytes] = ..., min_doc_count: _Optional[int] = ..., time_zone: _Optional[str] = ..., sort: _Optional[_Union[GroupBySort, _Mapping]] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ..., offset: _Optional[_Union[_times_pb2.DateTimeValue, _Mapping]] = ...) -> None: ...

class GroupByComposite(_message.Message):
    __slots__ = ("sources", "size", "sub_aggs", "sub_group_bys", "next_token", "suggested_size")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_SIZE_FIELD_NUMBER: _ClassVar[int]
    sources: GroupBys
    size: int
    sub_aggs: Aggregations
    sub_group_bys: GroupBys
    next_token: str
    suggested_size: int
    def __init__(self, sources: _Optional[_Union[GroupBys, _Mapping]] = ..., size: _Optional[int] = ..., sub_aggs: _Optional[_Union[Aggregations, _Mapping]] = ..., sub_group_bys: _Optional[_Union[GroupBys, _Mapping]] = ..., next_token: _Optional[str] = ..., suggested_size: _Optional[int] = ...) -> None: ...

class GroupByResult(_message.Message):
    __slots__ = ("name", "type", "group_by_result")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_RESULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: GroupByType
    group_by_result: bytes
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[GroupByType, str]] = ..., group_by_result: _Optional[bytes] = ...) -> None: ...

class GroupBysResult(_message.Message):
    __slots__ = ("group_by_results",)
    GROUP_BY_RESULTS_FIELD_NUMBER: _ClassVar[int]
    group_by_results: _containers.RepeatedCompositeFieldContainer[GroupByResult]
    def __init__(self, group_by_results: _Optional[_Iterable[_Union[GroupByResult, _Mapping]]] = ...) -> None: ...

class GroupByFieldResultItem(_message.Message):
    __slots__ = ("key", "row_count", "sub_aggs_result", "sub_group_bys_result")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    key: str
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, key: _Optional[str] = ..., row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByFieldResult(_message.Message):
    __slots__ = ("group_by_field_result_items",)
    GROUP_BY_FIELD_RESULT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_field_result_items: _containers.RepeatedCompositeFieldContainer[GroupByFieldResultItem]
    def __init__(self, group_by_field_result_items: _Optional[_Iterable[_Union[GroupByFieldResultItem, _Mapping]]] = ...) -> None: ...

class GroupByRangeResultItem(_message.Message):
    __slots__ = ("range_from", "range_to", "row_count", "sub_aggs_result", "sub_group_bys_result")
    RANGE_FROM_FIELD_NUMBER: _ClassVar[int]
    RANGE_TO_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    range_from: float
    range_to: float
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, range_from: _Optional[float] = ..., range_to: _Optional[float] = ..., row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByRangeResult(_message.Message):
    __slots__ = ("group_by_range_result_items",)
    GROUP_BY_RANGE_RESULT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_range_result_items: _containers.RepeatedCompositeFieldContainer[GroupByRangeResultItem]
    def __init__(self, group_by_range_result_items: _Optional[_Iterable[_Union[GroupByRangeResultItem, _Mapping]]] = ...) -> None: ...

class GroupByFilterResultItem(_message.Message):
    __slots__ = ("row_count", "sub_aggs_result", "sub_group_bys_result")
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByFilterResult(_message.Message):
    __slots__ = ("group_by_filter_result_items",)
    GROUP_BY_FILTER_RESULT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_filter_result_items: _containers.RepeatedCompositeFieldContainer[GroupByFilterResultItem]
    def __init__(self, group_by_filter_result_items: _Optional[_Iterable[_Union[GroupByFilterResultItem, _Mapping]]] = ...) -> None: ...

class GroupByGeoDistanceResultItem(_message.Message):
    __slots__ = ("range_from", "range_to", "row_count", "sub_aggs_result", "sub_group_bys_result")
    RANGE_FROM_FIELD_NUMBER: _ClassVar[int]
    RANGE_TO_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    range_from: float
    range_to: float
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, range_from: _Optional[float] = ..., range_to: _Optional[float] = ..., row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByGeoDistanceResult(_message.Message):
    __slots__ = ("group_by_geo_distance_result_items",)
    GROUP_BY_GEO_DISTANCE_RESULT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_geo_distance_result_items: _containers.RepeatedCompositeFieldContainer[GroupByGeoDistanceResultItem]
    def __init__(self, group_by_geo_distance_result_items: _Optional[_Iterable[_Union[GroupByGeoDistanceResultItem, _Mapping]]] = ...) -> None: ...

class GeoGrid(_message.Message):
    __slots__ = ("top_left", "bottom_right")
    TOP_LEFT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_RIGHT_FIELD_NUMBER: _ClassVar[int]
    top_left: GeoPoint
    bottom_right: GeoPoint
    def __init__(self, top_left: _Optional[_Union[GeoPoint, _Mapping]] = ..., bottom_right: _Optional[_Union[GeoPoint, _Mapping]] = ...) -> None: ...

class GroupByGeoGridResultItem(_message.Message):
    __slots__ = ("key", "geo_grid", "row_count", "sub_aggs_result", "sub_group_bys_result")
    KEY_FIELD_NUMBER: _ClassVar[int]
    GEO_GRID_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    key: str
    geo_grid: GeoGrid
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, key: _Optional[str] = ..., geo_grid: _Optional[_Union[GeoGrid, _Mapping]] = ..., row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByGeoGridResult(_message.Message):
    __slots__ = ("group_by_geo_grid_result_items",)
    GROUP_BY_GEO_GRID_RESULT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_geo_grid_result_items: _containers.RepeatedCompositeFieldContainer[GroupByGeoGridResultItem]
    def __init__(self, group_by_geo_grid_result_items: _Optional[_Iterable[_Union[GroupByGeoGridResultItem, _Mapping]]] = ...) -> None: ...

class GroupByHistogramItem(_message.Message):
    __slots__ = ("key", "value", "sub_aggs_result", "sub_group_bys_result")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByHistogramResult(_message.Message):
    __slots__ = ("group_by_histogra_items",)
    GROUP_BY_HISTOGRA_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_histogra_items: _containers.RepeatedCompositeFieldContainer[GroupByHistogramItem]
    def __init__(self, group_by_histogra_items: _Optional[_Iterable[_Union[GroupByHistogramItem, _Mapping]]] = ...) -> None: ...

class GroupByDateHistogramItem(_message.Message):
    __slots__ = ("timestamp", "row_count", "sub_aggs_result", "sub_group_bys_result")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    timestamp: int
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    def __init__(self, timestamp: _Optional[int] = ..., row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ...) -> None: ...

class GroupByDateHistogramResult(_message.Message):
    __slots__ = ("group_by_date_histogram_items",)
    GROUP_BY_DATE_HISTOGRAM_ITEMS_FIELD_NUMBER: _ClassVar[int]
    group_by_date_histogram_items: _containers.RepeatedCompositeFieldContainer[GroupByDateHistogramItem]
    def __init__(self, group_by_date_histogram_items: _Optional[_Iterable[_Union[GroupByDateHistogramItem, _Mapping]]] = ...) -> None: ...

class GroupByCompositeResultItem(_message.Message):
    __slots__ = ("keys", "row_count", "sub_aggs_result", "sub_group_bys_result", "is_null_keys")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_AGGS_RESULT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_BYS_RESULT_FIELD_NUMBER: _ClassVar[int]
    IS_NULL_KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    row_count: int
    sub_aggs_result: AggregationsResult
    sub_group_bys_result: GroupBysResult
    is_null_keys: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., row_count: _Optional[int] = ..., sub_aggs_result: _Optional[_Union[AggregationsResult, _Mapping]] = ..., sub_group_bys_result: _Optional[_Union[GroupBysResult, _Mapping]] = ..., is_null_keys: _Optional[_Iterable[bool]] = ...) -> None: ...

class GroupByCompositeResult(_message.Message):
    __slots__ = ("group_by_composite_result_items", "source_group_by_names", "next_token")
    GROUP_BY_COMPOSITE_RESULT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_GROUP_BY_NAMES_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    group_by_composite_result_items: _containers.RepeatedCompositeFieldContainer[GroupByCompositeResultItem]
    source_group_by_names: _containers.RepeatedScalarFieldContainer[str]
    next_token: str
    def __init__(self, group_by_composite_result_items: _Optional[_Iterable[_Union[GroupByCompositeResultItem, _Mapping]]] = ..., source_group_by_names: _Optional[_Iterable[str]] = ..., next_token: _Optional[str] = ...) -> None: ...
