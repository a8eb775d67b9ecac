from lutra.server.wire import capacity_pb2 as _capacity_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueryType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY_TYPE_UNSPECIFIED: _ClassVar[QueryType]
    QUERY_TYPE_MATCH: _ClassVar[QueryType]
    QUERY_TYPE_MATCH_PHRASE: _ClassVar[QueryType]
    QUERY_TYPE_TERM: _ClassVar[QueryType]
    QUERY_TYPE_RANGE: _ClassVar[QueryType]
    QUERY_TYPE_PREFIX: _ClassVar[QueryType]
    QUERY_TYPE_BOOL: _ClassVar[QueryType]
    QUERY_TYPE_CONST_SCORE: _ClassVar[QueryType]
    QUERY_TYPE_FUNCTION_SCORE: _ClassVar[QueryType]
    QUERY_TYPE_NESTED: _ClassVar[QueryType]
    QUERY_TYPE_WILDCARD: _ClassVar[QueryType]
    QUERY_TYPE_MATCH_ALL: _ClassVar[QueryType]
    QUERY_TYPE_GEO_BOUNDING_BOX: _ClassVar[QueryType]
    QUERY_TYPE_GEO_DISTANCE: _ClassVar[QueryType]
    QUERY_TYPE_GEO_POLYGON: _ClassVar[QueryType]
    QUERY_TYPE_TERMS: _ClassVar[QueryType]
    QUERY_TYPE_EXISTS: _ClassVar[QueryType]
    QUERY_TYPE_KNN_VECTOR: _ClassVar[QueryType]
    QUERY_TYPE_FUNCTIONS_SCORE: _ClassVar[QueryType]
    QUERY_TYPE_SUFFIX: _ClassVar[QueryType]
    QUERY_TYPE_DIS_MAX: _ClassVar[QueryType]

class QueryOperator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY_OPERATOR_UNSPECIFIED: _ClassVar[QueryOperator]
    QUERY_OPERATOR_OR: _ClassVar[QueryOperator]
    QUERY_OPERATOR_AND: _ClassVar[QueryOperator]

class HighlightEncoder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HIGHLIGHT_ENCODER_UNSPECIFIED: _ClassVar[HighlightEncoder]
    HIGHLIGHT_ENCODER_PLAIN_MODE: _ClassVar[HighlightEncoder]
    HIGHLIGHT_ENCODER_HTML_MODE: _ClassVar[HighlightEncoder]

class HighlightFragmentOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HIGHLIGHT_FRAGMENT_ORDER_UNSPECIFIED: _ClassVar[HighlightFragmentOrder]
    HIGHLIGHT_FRAGMENT_ORDER_TEXT_SEQUENCE: _ClassVar[HighlightFragmentOrder]
    HIGHLIGHT_FRAGMENT_ORDER_SCORE: _ClassVar[HighlightFragmentOrder]

class SortOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SORT_ORDER_ASC: _ClassVar[SortOrder]
    SORT_ORDER_DESC: _ClassVar[SortOrder]

class SortMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SORT_MODE_MIN: _ClassVar[SortMode]
    SORT_MODE_MAX: _ClassVar[SortMode]
    SORT_MODE_AVG: _ClassVar[SortMode]

class ColumnReturnType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLUMN_RETURN_TYPE_UNSPECIFIED: _ClassVar[ColumnReturnType]
    COLUMN_RETURN_TYPE_ALL: _ClassVar[ColumnReturnType]
    COLUMN_RETURN_TYPE_SPECIFIED: _ClassVar[ColumnReturnType]
    COLUMN_RETURN_TYPE_NONE: _ClassVar[ColumnReturnType]
    COLUMN_RETURN_TYPE_ALL_FROM_INDEX: _ClassVar[ColumnReturnType]

class GeoDistanceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GEO_DISTANCE_TYPE_ARC: _ClassVar[GeoDistanceType]
    GEO_DISTANCE_TYPE_PLANE: _ClassVar[GeoDistanceType]
QUERY_TYPE_UNSPECIFIED: QueryType
QUERY_TYPE_MATCH: QueryType
QUERY_TYPE_MATCH_PHRASE: QueryType
QUERY_TYPE_TERM: QueryType
QUERY_TYPE_RANGE: QueryType
QUERY_TYPE_PREFIX: QueryType
QUERY_TYPE_BOOL: QueryType
QUERY_TYPE_CONST_SCORE: QueryType
QUERY_TYPE_FUNCTION_SCORE: QueryType
QUERY_TYPE_NESTED: QueryType
QUERY_TYPE_WILDCARD: QueryType
QUERY_TYPE_MATCH_ALL: QueryType
QUERY_TYPE_GEO_BOUNDING_BOX: QueryType
QUERY_TYPE_GEO_DISTANCE: QueryType
QUERY_TYPE_GEO_POLYGON: QueryType
QUERY_TYPE_TERMS: QueryType
QUERY_TYPE_EXISTS: QueryType
QUERY_TYPE_KNN_VECTOR: QueryType
QUERY_TYPE_FUNCTIONS_SCORE: QueryType
QUERY_TYPE_SUFFIX: QueryType
QUERY_TYPE_DIS_MAX: QueryType
QUERY_OPERATOR_UNSPECIFIED: QueryOperator
QUERY_OPERATOR_OR: QueryOperator
QUERY_OPERATOR_AND: QueryOperator
HIGHLIGHT_ENCODER_UNSPECIFIED: HighlightEncoder
HIGHLIGHT_ENCODER_PLAIN_MODE: HighlightEncoder
HIGHLIGHT_ENCODER_HTML_MODE: HighlightEncoder
HIGHLIGHT_FRAGMENT_ORDER_UNSPECIFIED: HighlightFragmentOrder
HIGHLIGHT_FRAGMENT_ORDER_TEXT_SEQUENCE: HighlightFragmentOrder
HIGHLIGHT_FRAGMENT_ORDER_SCORE: HighlightFragmentOrder
SORT_ORDER_ASC: SortOrder
SORT_ORDER_DESC: SortOrder
SORT_MODE_MIN: SortMode
SORT_MODE_MAX: SortMode
SORT_MODE_AVG: SortMode
COLUMN_RETURN_TYPE_UNSPECIFIED: ColumnReturnType
COLUMN_RETURN_TYPE_ALL: ColumnReturnType
COLUMN_RETURN_TYPE_SPECIFIED: ColumnReturnType
COLUMN_RETURN_TYPE_NONE: ColumnReturnType
COLUMN_RETURN_TYPE_ALL_FROM_INDEX: ColumnReturnType
GEO_DISTANCE_TYPE_ARC: GeoDistanceType
GEO_DISTANCE_TYPE_PLANE: GeoDistanceType

class Query(_message.Message):
    __slots__ = ("type", "query")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    type: QueryType
    query: bytes
    def __init__(self, type: _Optional[_Union[QueryType, str]] = ..., query: _Optional[bytes] = ...) -> None: ...

class TermQuery(_message.Message):
    __slots__ = ("field_name", "term", "weight")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    term: bytes
    weight: float
    def __init__(self, field_name: _Optional[str] = ..., term: _Optional[bytes] = ..., weight: _Optional[float] = ...) -> None: ...

class TermsQuery(_message.Message):
    __slots__ = ("field_name", "terms", "weight")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    terms: _containers.RepeatedScalarFieldContainer[bytes]
    weight: float
    def __init__(self, field_name: _Optional[str] = ..., terms: _Optional[_Iterable[bytes]] = ..., weight: _Optional[float] = ...) -> None: ...

class RangeQuery(_message.Message):
    __slots__ = ("field_name", "range_from", "range_to", "include_lower", "include_upper")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    RANGE_FROM_FIELD_NUMBER: _ClassVar[int]
    RANGE_TO_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LOWER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_UPPER_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    range_from: bytes
    range_to: bytes
    include_lower: bool
    include_upper: bool
    def __init__(self, field_name: _Optional[str] = ..., range_from: _Optional[bytes] = ..., range_to: _Optional[bytes] = ..., include_lower: bool = ..., include_upper: bool = ...) -> None: ...

class PrefixQuery(_message.Message):
    __slots__ = ("field_name", "prefix", "weight")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    prefix: str
    weight: float
    def __init__(self, field_name: _Optional[str] = ..., prefix: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class SuffixQuery(_message.Message):
    __slots__ = ("field_name", "suffix", "weight")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    SUFFIX_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    suffix: str
    weight: float
    def __init__(self, field_name: _Optional[str] = ..., suffix: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class WildcardQuery(_message.Message):
    __slots__ = ("field_name", "value", "weight")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    value: str
    weight: float
    def __init__(self, field_name: _Optional[str] = ..., value: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class MatchQuery(_message.Message):
    __slots__ = ("field_name", "text", "minimum_should_match", "operator", "weight", "new_minimum_should_match")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SHOULD_MATCH_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NEW_MINIMUM_SHOULD_MATCH_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    text: str
    minimum_should_match: int
    operator: QueryOperator
    weight: float
    new_minimum_should_match: str
    def __init__(self, field_name: _Optional[str] = ..., text: _Optional[str] = ..., minimum_should_match: _Optional[int] = ..., operator: _Optional[_Union[QueryOperator, str]] = ..., weight: _Optional[float] = ..., new_minimum_should_match: _Optional[str] = ...) -> None: ...

class MatchPhraseQuery(_message.Message):
    __slots__ = ("field_name", "text", "weight", "slop")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SLOP_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    text: str
    weight: float
    slop: int
    def __init__(self, field_name: _Optional[str] = ..., text: _Optional[str] = ..., weight: _Optional[float] = ..., slop: _Optional[int] = ...) -> None: ...

class ExistsQuery(_message.Message):
    __slots__ = ("field_name",)
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    def __init__(self, field_name: _Optional[str] = ...) -> None: ...

class MatchAllQuery(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GeoBoundingBoxQuery(_message.Message):
    __slots__ = ("field_name", "top_left", "bottom_right")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    TOP_LEFT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_RIGHT_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    top_left: str
    bottom_right: str
    def __init__(self, field_name: _Optional[str] = ..., top_left: _Optional[str] = ..., bottom_right: _Optional[str] = ...) -> None: ...

class GeoDistanceQuery(_message.Message):
    __slots__ = ("field_name", "center_point", "distance")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    CENTER_POINT_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    center_point: str
    distance: float
    def __init__(self, field_name: _Optional[str] = ..., center_point: _Optional[str] = ..., distance: _Optional[float] = ...) -> None: ...

class GeoPolygonQuery(_message.Message):
    __slots__ = ("field_name", "points")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    points: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field_name: _Optional[str] = ..., points: _Optional[_Iterable[str]] = ...) -> None: ...

class BoolQuery(_message.Message):
    __slots__ = ("must_queries", "must_not_queries", "filter_queries", "should_queries", "minimum_should_match", "new_minimum_should_match", "weight")
    MUST_QUERIES_FIELD_NUMBER: _ClassVar[int]
    MUST_NOT_QUERIES_FIELD_NUMBER: _ClassVar[int]
    FILTER_QUERIES_FIELD_NUMBER: _ClassVar[int]
    SHOULD_QUERIES_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SHOULD_MATCH_FIELD_NUMBER: _ClassVar[int]
    NEW_MINIMUM_SHOULD_MATCH_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    must_queries: _containers.RepeatedCompositeFieldContainer[Query]
    must_not_queries: _containers.RepeatedCompositeFieldContainer[Query]
    filter_queries: _containers.RepeatedCompositeFieldContainer[Query]
    should_queries: _containers.RepeatedCompositeFieldContainer[Query]
    minimum_should_match: int
    new_minimum_should_match: str
    weight: float
    def __init__(self, must_queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., must_not_queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., filter_queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., should_queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., minimum_should_match: _Optional[int] = ..., new_minimum_should_match: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class KnnVectorQuery(_message.Message):
    __slots__ = ("field_name", "top_k", "float32_query_vector", "filter", "weight", "min_score", "num_candidates")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    FLOAT32_QUERY_VECTOR_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    NUM_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    top_k: int
    float32_query_vector: _containers.RepeatedScalarFieldContainer[float]
    filter: Query
    weight: float
    min_score: float
    num_candidates: int
    def __init__(self, field_name: _Optional[str] = ..., top_k: _Optional[int] = ..., float32_query_vector: _Optional[_Iterable[float]] = ..., filter: _Optional[_Union[Query, _Mapping]] = ..., weight: _Optional[float] = ..., min_score: _Optional[float] = ..., num_candidates: _Optional[int] = ...) -> None: ...

class ScoreSort(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: SortOrder
    def __init__(self, order: _Optional[_Union[SortOrder, str]] = ...) -> None: ...

class PrimaryKeySort(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: SortOrder
    def __init__(self, order: _Optional[_Union[SortOrder, str]] = ...) -> None: ...

class DocSort(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: SortOrder
    def __init__(self, order: _Optional[_Union[SortOrder, str]] = ...) -> None: ...

class NestedFilter(_message.Message):
    __slots__ = ("path", "filter")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    path: str
    filter: Query
    def __init__(self, path: _Optional[str] = ..., filter: _Optional[_Union[Query, _Mapping]] = ...) -> None: ...

class GeoDistanceSort(_message.Message):
    __slots__ = ("field_name", "points", "order", "mode", "distance_type", "nested_filter")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NESTED_FILTER_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    points: _containers.RepeatedScalarFieldContainer[str]
    order: SortOrder
    mode: SortMode
    distance_type: GeoDistanceType
    nested_filter: NestedFilter
    def __init__(self, field_name: _Optional[str] = ..., points: _Optional[_Iterable[str]] = ..., order: _Optional[_Union[SortOrder, str]] = ..., mode: _Optional[_Union[SortMode, str]] = ..., distance_type: _Optional[_Union[GeoDistanceType, str]] = ..., nested_filter: _Optional[_Union[NestedFilter, _Mapping]] = ...) -> None: ...

class FieldSort(_message.Message):
    __slots__ = ("field_name", "order", "mode", "nested_filter", "missing_value", "missing_field", "missing_fields")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NESTED_FILTER_FIELD_NUMBER: _ClassVar[int]
    MISSING_VALUE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELDS_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    order: SortOrder
    mode: SortMode
    nested_filter: NestedFilter
    missing_value: bytes
    missing_field: str
    missing_fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field_name: _Optional[str] = ..., order: _Optional[_Union[SortOrder, str]] = ..., mode: _Optional[_Union[SortMode, str]] = ..., nested_filter: _Optional[_Union[NestedFilter, _Mapping]] = ..., missing_value: _Optional[bytes] = ..., missing_field: _Optional[str] = ..., missing_fields: _Optional[_Iterable[str]] = ...) -> None: ...

class Sorter(_message.Message):
    __slots__ = ("field_sort", "geo_distance_sort", "score_sort", "pk_sort", "doc_sort")
    FIELD_SORT_FIELD_NUMBER: _ClassVar[int]
    GEO_DISTANCE_SORT_FIELD_NUMBER: _ClassVar[int]
    SCORE_SORT_FIELD_NUMBER: _ClassVar[int]
    PK_SORT_FIELD_NUMBER: _ClassVar[int]
    DOC_SORT_FIELD_NUMBER: _ClassVar[int]
    field_sort: FieldSort
    geo_distance_sort: GeoDistanceSort
    score_sort: ScoreSort
    pk_sort: PrimaryKeySort
    doc_sort: DocSort
    def __init__(self, field_sort: _Optional[_Union[FieldSort, _Mapping]] = ..., geo_distance_sort: _Optional[_Union[GeoDistanceSort, _Mapping]] = ..., score_sort: _Optional[_Union[ScoreSort, _Mapping]] = ..., pk_sort: _Optional[_Union[PrimaryKeySort, _Mapping]] = ..., doc_sort: _Optional[_Union[DocSort, _Mapping]] = ...) -> None: ...

class Sort(_message.Message):
    __slots__ = ("sorter", "disable_default_pk_sorter")
    SORTER_FIELD_NUMBER: _ClassVar[int]
    DISABLE_DEFAULT_PK_SORTER_FIELD_NUMBER: _ClassVar[int]
    sorter: _containers.RepeatedCompositeFieldContainer[Sorter]
    disable_default_pk_sorter: bool
    def __init__(self, sorter: _Optional[_Iterable[_Union[Sorter, _Mapping]]] = ..., disable_default_pk_sorter: bool = ...) -> None: ...

class HighlightParameter(_message.Message):
    __slots__ = ("field_name", "number_of_fragments", "fragment_size", "pre_tag", "post_tag", "fragments_order")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_OF_FRAGMENTS_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_SIZE_FIELD_NUMBER: _ClassVar[int]
    PRE_TAG_FIELD_NUMBER: _ClassVar[int]
    POST_TAG_FIELD_NUMBER: _ClassVar[int]
    FRAGMENTS_ORDER_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    number_of_fragments: int
    fragment_size: int
    pre_tag: str
    post_tag: str
    fragments_order: HighlightFragmentOrder
    def __init__(self, field_name: _Optional[str] = ..., number_of_fragments: _Optional[int] = ..., fragment_size: _Optional[int] = ..., pre_tag: _Optional[str] = ..., post_tag: _Optional[str] = ..., fragments_order: _Optional[_Union[HighlightFragmentOrder, str]] = ...) -> None: ...

class Highlight(_message.Message):
    __slots__ = ("highlight_parameters", "highlight_encoder")
    HIGHLIGHT_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_ENCODER_FIELD_NUMBER: _ClassVar[int]
    highlight_parameters: _containers.RepeatedCompositeFieldContainer[HighlightParameter]
    highlight_encoder: HighlightEncoder
    def __init__(self, highlight_parameters: _Optional[_Iterable[_Union[HighlightParameter, _Mapping]]] = ..., highlight_encoder: _Optional[_Union[HighlightEncoder, str]] = ...) -> None: ...

class Collapse(_message.Message):
    __slots__ = ("field_name",)
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    def __init__(self, field_name: _Optional[str] = ...) -> None: ...

class SearchFilter(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: Query
    def __init__(self, query: _Optional[_Union[Query, _Mapping]] = ...) -> None: ...

class SearchQuery(_message.Message):
    __slots__ = ("offset", "limit", "query", "collapse", "sort", "get_total_count", "token", "aggs", "group_bys", "highlight", "track_total_count", "filter")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COLLAPSE_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    GET_TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AGGS_FIELD_NUMBER: _ClassVar[int]
    GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    TRACK_TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    offset: int
    limit: int
    query: Query
    collapse: Collapse
    sort: Sort
    get_total_count: bool
    token: bytes
    aggs: bytes
    group_bys: bytes
    highlight: Highlight
    track_total_count: int
    filter: SearchFilter
    def __init__(self, offset: _Optional[int] = ..., limit: _Optional[int] = ..., query: _Optional[_Union[Query, _Mapping]] = ..., collapse: _Optional[_Union[Collapse, _Mapping]] = ..., sort: _Optional[_Union[Sort, _Mapping]] = ..., get_total_count: bool = ..., token: _Optional[bytes] = ..., aggs: _Optional[bytes] = ..., group_bys: _Optional[bytes] = ..., highlight: _Optional[_Union[Highlight, _Mapping]] = ..., track_total_count: _Optional[int] = ..., filter: _Optional[_Union[SearchFilter, _Mapping]] = ...) -> None: ...

class ColumnsToGet(_message.Message):
    __slots__ = ("return_type", "column_names")
    RETURN_TYPE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_NAMES_FIELD_NUMBER: _ClassVar[int]
    return_type: ColumnReturnType
    column_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, return_type: _Optional[_Union[ColumnReturnType, str]] = ..., column_names: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("table_name", "index_name", "columns_to_get", "search_query", "routing_values", "timeout_ms")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_TO_GET_FIELD_NUMBER: _ClassVar[int]
    SEARCH_QUERY_FIELD_NUMBER: _ClassVar[int]
    ROUTING_VALUES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    columns_to_get: ColumnsToGet
    search_query: bytes
    routing_values: _containers.RepeatedScalarFieldContainer[bytes]
    timeout_ms: int
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ..., columns_to_get: _Optional[_Union[ColumnsToGet, _Mapping]] = ..., search_query: _Optional[bytes] = ..., routing_values: _Optional[_Iterable[bytes]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class HighlightField(_message.Message):
    __slots__ = ("field_name", "field_fragments")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    FIELD_FRAGMENTS_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    field_fragments: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field_name: _Optional[str] = ..., field_fragments: _Optional[_Iterable[str]] = ...) -> None: ...

class HighlightResult(_message.Message):
    __slots__ = ("highlight_fields",)
    HIGHLIGHT_FIELDS_FIELD_NUMBER: _ClassVar[int]
    highlight_fields: _containers.RepeatedCompositeFieldContainer[HighlightField]
    def __init__(self, highlight_fields: _Optional[_Iterable[_Union[HighlightField, _Mapping]]] = ...) -> None: ...

class SearchHit(_message.Message):
    __slots__ = ("score", "highlight_result", "search_inner_hits", "nested_doc_offset")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_RESULT_FIELD_NUMBER: _ClassVar[int]
    SEARCH_INNER_HITS_FIELD_NUMBER: _ClassVar[int]
    NESTED_DOC_OFFSET_FIELD_NUMBER: _ClassVar[int]
    score: float
    highlight_result: HighlightResult
    search_inner_hits: _containers.RepeatedCompositeFieldContainer[SearchInnerHit]
    nested_doc_offset: int
    def __init__(self, score: _Optional[float] = ..., highlight_result: _Optional[_Union[HighlightResult, _Mapping]] = ..., search_inner_hits: _Optional[_Iterable[_Union[SearchInnerHit, _Mapping]]] = ..., nested_doc_offset: _Optional[int] = ...) -> None: ...

class SearchInnerHit(_message.Message):
    __slots__ = ("path", "search_hits")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SEARCH_HITS_FIELD_NUMBER: _ClassVar[int]
    path: str
    search_hits: _containers.RepeatedCompositeFieldContainer[SearchHit]
    def __init__(self, path: _Optional[str] = ..., search_hits: _Optional[_Iterable[_Union[SearchHit, _Mapping]]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("total_hits", "rows", "is_all_succeeded", "search_hits", "next_token", "aggs", "group_bys", "consumed")
    TOTAL_HITS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    IS_ALL_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    SEARCH_HITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AGGS_FIELD_NUMBER: _ClassVar[int]
    GROUP_BYS_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    total_hits: int
    rows: _containers.RepeatedScalarFieldContainer[bytes]
    is_all_succeeded: bool
    search_hits: _containers.RepeatedCompositeFieldContainer[SearchHit]
    next_token: bytes
    aggs: bytes
    group_bys: bytes
    consumed: _capacity_pb2.ConsumedCapacity
    def __init__(self, total_hits: _Optional[int] = ..., rows: _Optional[_Iterable[bytes]] = ..., is_all_succeeded: bool = ..., search_hits: _Optional[_Iterable[_Union[SearchHit, _Mapping]]] = ..., next_token: _Optional[bytes] = ..., aggs: _Optional[bytes] = ..., group_bys: _Optional[bytes] = ..., consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ...) -> None: ...
