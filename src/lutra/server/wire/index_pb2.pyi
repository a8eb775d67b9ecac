from lutra.server.wire import query_pb2 as _query_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FieldType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIELD_TYPE_UNSPECIFIED: _ClassVar[FieldType]
    FIELD_TYPE_LONG: _ClassVar[FieldType]
    FIELD_TYPE_DOUBLE: _ClassVar[FieldType]
    FIELD_TYPE_BOOLEAN: _ClassVar[FieldType]
    FIELD_TYPE_KEYWORD: _ClassVar[FieldType]
    FIELD_TYPE_TEXT: _ClassVar[FieldType]
    FIELD_TYPE_NESTED: _ClassVar[FieldType]
    FIELD_TYPE_GEO_POINT: _ClassVar[FieldType]
    FIELD_TYPE_DATE: _ClassVar[FieldType]
    FIELD_TYPE_VECTOR: _ClassVar[FieldType]
    FIELD_TYPE_FUZZY_KEYWORD: _ClassVar[FieldType]
    FIELD_TYPE_IP: _ClassVar[FieldType]
    FIELD_TYPE_JSON: _ClassVar[FieldType]
    FIELD_TYPE_FLATTENED: _ClassVar[FieldType]

class VectorDataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VECTOR_DATA_TYPE_UNSPECIFIED: _ClassVar[VectorDataType]
    VECTOR_DATA_TYPE_FLOAT_32: _ClassVar[VectorDataType]

class VectorMetricType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VECTOR_METRIC_TYPE_EUCLIDEAN: _ClassVar[VectorMetricType]
    VECTOR_METRIC_TYPE_COSINE: _ClassVar[VectorMetricType]
    VECTOR_METRIC_TYPE_DOT_PRODUCT: _ClassVar[VectorMetricType]

class SyncPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SYNC_PHASE_UNSPECIFIED: _ClassVar[SyncPhase]
    SYNC_PHASE_FULL: _ClassVar[SyncPhase]
    SYNC_PHASE_INCR: _ClassVar[SyncPhase]

class IndexStatusEnum(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_STATUS_UNSPECIFIED: _ClassVar[IndexStatusEnum]
    INDEX_STATUS_PENDING: _ClassVar[IndexStatusEnum]
    INDEX_STATUS_FAILED: _ClassVar[IndexStatusEnum]
    INDEX_STATUS_RUNNING: _ClassVar[IndexStatusEnum]

class JsonType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JSON_TYPE_UNSPECIFIED: _ClassVar[JsonType]
    JSON_TYPE_OBJECT: _ClassVar[JsonType]
    JSON_TYPE_NESTED: _ClassVar[JsonType]

class TextSimilarity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_SIMILARITY_UNSPECIFIED: _ClassVar[TextSimilarity]
    TEXT_SIMILARITY_BM25: _ClassVar[TextSimilarity]
    TEXT_SIMILARITY_SHORT_TEXT: _ClassVar[TextSimilarity]
FIELD_TYPE_UNSPECIFIED: FieldType
FIELD_TYPE_LONG: FieldType
FIELD_TYPE_DOUBLE: FieldType
FIELD_TYPE_BOOLEAN: FieldType
FIELD_TYPE_KEYWORD: FieldType
FIELD_TYPE_TEXT: FieldType
FIELD_TYPE_NESTED: FieldType
FIELD_TYPE_GEO_POINT: FieldType
FIELD_TYPE_DATE: FieldType
FIELD_TYPE_VECTOR: FieldType
FIELD_TYPE_FUZZY_KEYWORD: FieldType
FIELD_TYPE_IP: FieldType
FIELD_TYPE_JSON: FieldType
FIELD_TYPE_FLATTENED: FieldType
VECTOR_DATA_TYPE_UNSPECIFIED: VectorDataType
VECTOR_DATA_TYPE_FLOAT_32: VectorDataType
VECTOR_METRIC_TYPE_EUCLIDEAN: VectorMetricType
VECTOR_METRIC_TYPE_COSINE: VectorMetricType
VECTOR_METRIC_TYPE_DOT_PRODUCT: VectorMetricType
SYNC_PHASE_UNSPECIFIED: SyncPhase
SYNC_PHASE_FULL: SyncPhase
SYNC_PHASE_INCR: SyncPhase
INDEX_STATUS_UNSPECIFIED: IndexStatusEnum
INDEX_STATUS_PENDING: IndexStatusEnum
INDEX_STATUS_FAILED: IndexStatusEnum
INDEX_STATUS_RUNNING: IndexStatusEnum
JSON_TYPE_UNSPECIFIED: JsonType
JSON_TYPE_OBJECT: JsonType
JSON_TYPE_NESTED: JsonType
TEXT_SIMILARITY_UNSPECIFIED: TextSimilarity
TEXT_SIMILARITY_BM25: TextSimilarity
TEXT_SIMILARITY_SHORT_TEXT: TextSimilarity

class SingleWordAnalyzerParameter(_message.Message):
    __slots__ = ("case_sensitive", "delimit_word")
    CASE_SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    DELIMIT_WORD_FIELD_NUMBER: _ClassVar[int]
    case_sensitive: bool
    delimit_word: bool
    def __init__(self, case_sensitive: bool = ..., delimit_word: bool = ...) -> None: ...

class SplitAnalyzerParameter(_message.Message):
    __slots__ = ("delimiter", "case_sensitive")
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    CASE_SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    delimiter: str
    case_sensitive: bool
    def __init__(self, delimiter: _Optional[str] = ..., case_sensitive: bool = ...) -> None: ...

class FuzzyAnalyzerParameter(_message.Message):
    __slots__ = ("min_chars", "max_chars", "case_sensitive")
    MIN_CHARS_FIELD_NUMBER: _ClassVar[int]
    MAX_CHARS_FIELD_NUMBER: _ClassVar[int]
    CASE_SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    min_chars: int
    max_chars: int
    case_sensitive: bool
    def __init__(self, min_chars: _Optional[int] = ..., max_chars: _Optional[int] = ..., case_sensitive: bool = ...) -> None: ...

class VectorOptions(_message.Message):
    __slots__ = ("data_type", "dimension", "metric_type")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    METRIC_TYPE_FIELD_NUMBER: _ClassVar[int]
    data_type: VectorDataType
    dimension: int
    metric_type: VectorMetricType
    def __init__(self, data_type: _Optional[_Union[VectorDataType, str]] = ..., dimension: _Optional[int] = ..., metric_type: _Optional[_Union[VectorMetricType, str]] = ...) -> None: ...

class FieldSchema(_message.Message):
    __slots__ = ("field_name", "field_type", "analyzer", "index", "sort_and_agg", "store", "field_schemas", "is_array", "analyzer_parameter", "is_virtual_field", "source_field_names", "date_formats", "enable_highlighting", "vector_options", "json_type", "text_similarity")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    FIELD_TYPE_FIELD_NUMBER: _ClassVar[int]
    ANALYZER_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SORT_AND_AGG_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    FIELD_SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    IS_ARRAY_FIELD_NUMBER: _ClassVar[int]
    ANALYZER_PARAMETER_FIELD_NUMBER: _ClassVar[int]
    IS_VIRTUAL_FIELD_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NAMES_FIELD_NUMBER: _ClassVar[int]
    DATE_FORMATS_FIELD_NUMBER: _ClassVar[int]
    ENABLE_HIGHLIGHTING_FIELD_NUMBER: _ClassVar[int]
    VECTOR_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    JSON_TYPE_FIELD_NUMBER: _ClassVar[int]
    TEXT_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    field_type: FieldType
    analyzer: str
    index: bool
    sort_and_agg: bool
    store: bool
    field_schemas: _containers.RepeatedCompositeFieldContainer[FieldSchema]
    is_array: bool
    analyzer_parameter: bytes
    is_virtual_field: bool
    source_field_names: _containers.RepeatedScalarFieldContainer[str]
    date_formats: _containers.RepeatedScalarFieldContainer[str]
    enable_highlighting: bool
    vector_options: VectorOptions
    json_type: JsonType
    text_similarity: TextSimilarity
    def __init__(self, field_name: _Optional[str] = ..., field_type: _Optional[_Union[FieldType, str]] = ..., analyzer: _Optional[str] = ..., index: bool = ..., sort_and_agg: bool = ..., store: bool = ..., field_schemas: _Optional[_Iterable[_Union[FieldSchema, _Mapping]]] = ..., is_array: bool = ..., analyzer_parameter: _Optional[bytes] = ..., is_virtual_field: bool = ..., source_field_names: _Optional[_Iterable[str]] = ..., date_formats: _Optional[_Iterable[str]] = ..., enable_highlighting: bool = ..., vector_options: _Optional[_Union[VectorOptions, _Mapping]] = ..., json_type: _Optional[_Union[JsonType, str]] = ..., text_similarity: _Optional[_Union[TextSimilarity, str]] = ...) -> None: ...

class IndexSetting(_message.Message):
    __slots__ = ("number_of_shards", "routing_fields", "routing_partition_size", "enable_custom_column_version")
    NUMBER_OF_SHARDS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELDS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_PARTITION_SIZE_FIELD_NUMBER: _ClassVar[int]
    ENABLE_CUSTOM_COLUMN_VERSION_FIELD_NUMBER: _ClassVar[int]
    number_of_shards: int
    routing_fields: _containers.RepeatedScalarFieldContainer[str]
    routing_partition_size: int
    enable_custom_column_version: bool
    def __init__(self, number_of_shards: _Optional[int] = ..., routing_fields: _Optional[_Iterable[str]] = ..., routing_partition_size: _Optional[int] = ..., enable_custom_column_version: bool = ...) -> None: ...

class IndexSchema(_message.Message):
    __slots__ = ("field_schemas", "index_setting", "index_sort")
    FIELD_SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    INDEX_SETTING_FIELD_NUMBER: _ClassVar[int]
    INDEX_SORT_FIELD_NUMBER: _ClassVar[int]
    field_schemas: _containers.RepeatedCompositeFieldContainer[FieldSchema]
    index_setting: IndexSetting
    index_sort: _query_pb2.Sort
    def __init__(self, field_schemas: _Optional[_Iterable[_Union[FieldSchema, _Mapping]]] = ..., index_setting: _Optional[_Union[IndexSetting, _Mapping]] = ..., index_sort: _Optional[_Union[_query_pb2.Sort, _Mapping]] = ...) -> None: ...

class CreateSearchIndexRequest(_message.Message):
    __slots__ = ("table_name", "index_name", "schema", "source_index_name", "time_to_live")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    schema: IndexSchema
    source_index_name: str
    time_to_live: int
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ..., schema: _Optional[_Union[IndexSchema, _Mapping]] = ..., source_index_name: _Optional[str] = ..., time_to_live: _Optional[int] = ...) -> None: ...

class CreateSearchIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryFlowWeight(_message.Message):
    __slots__ = ("index_name", "weight")
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    index_name: str
    weight: int
    def __init__(self, index_name: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class UpdateSearchIndexRequest(_message.Message):
    __slots__ = ("table_name", "index_name", "switch_index_name", "query_flow_weight", "time_to_live", "added_field_schemas")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    SWITCH_INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    QUERY_FLOW_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    switch_index_name: str
    query_flow_weight: _containers.RepeatedCompositeFieldContainer[QueryFlowWeight]
    time_to_live: int
    added_field_schemas: _containers.RepeatedCompositeFieldContainer[FieldSchema]
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ..., switch_index_name: _Optional[str] = ..., query_flow_weight: _Optional[_Iterable[_Union[QueryFlowWeight, _Mapping]]] = ..., time_to_live: _Optional[int] = ..., added_field_schemas: _Optional[_Iterable[_Union[FieldSchema, _Mapping]]] = ...) -> None: ...

class UpdateSearchIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IndexInfo(_message.Message):
    __slots__ = ("table_name", "index_name")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ...) -> None: ...

class ListSearchIndexRequest(_message.Message):
    __slots__ = ("table_name",)
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    def __init__(self, table_name: _Optional[str] = ...) -> None: ...

class ListSearchIndexResponse(_message.Message):
    __slots__ = ("indices",)
    INDICES_FIELD_NUMBER: _ClassVar[int]
    indices: _containers.RepeatedCompositeFieldContainer[IndexInfo]
    def __init__(self, indices: _Optional[_Iterable[_Union[IndexInfo, _Mapping]]] = ...) -> None: ...

class DeleteSearchIndexRequest(_message.Message):
    __slots__ = ("table_name", "index_name")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ...) -> None: ...

class DeleteSearchIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SyncStat(_message.Message):
    __slots__ = ("sync_phase", "current_sync_timestamp")
    SYNC_PHASE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_SYNC_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    sync_phase: SyncPhase
    current_sync_timestamp: int
    def __init__(self, sync_phase: _Optional[_Union[SyncPhase, str]] = ..., current_sync_timestamp: _Optional[int] = ...) -> None: ...

class MeteringInfo(_message.Message):
    __slots__ = ("storage_size", "row_count", "reserved_read_cu", "timestamp")
    STORAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_READ_CU_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    storage_size: int
    row_count: int
    reserved_read_cu: int
    timestamp: int
    def __init__(self, storage_size: _Optional[int] = ..., row_count: _Optional[int] = ..., reserved_read_cu: _Optional[int] = ..., timestamp: _Optional[int] = ...) -> None: ...

class IndexStatus(_message.Message):
    __slots__ = ("status", "status_description")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    status: IndexStatusEnum
    status_description: str
    def __init__(self, status: _Optional[_Union[IndexStatusEnum, str]] = ..., status_description: _Optional[str] = ...) -> None: ...

class DescribeSearchIndexRequest(_message.Message):
    __slots__ = ("table_name", "index_name", "include_sync_stat")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SYNC_STAT_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    include_sync_stat: bool
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ..., include_sync_stat: bool = ...) -> None: ...

class DescribeSearchIndexResponse(_message.Message):
    __slots__ = ("schema", "sync_stat", "metering_info", "brother_index_name", "query_flow_weight", "create_time", "time_to_live", "index_status")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SYNC_STAT_FIELD_NUMBER: _ClassVar[int]
    METERING_INFO_FIELD_NUMBER: _ClassVar[int]
    BROTHER_INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    QUERY_FLOW_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    INDEX_STATUS_FIELD_NUMBER: _ClassVar[int]
    schema: IndexSchema
    sync_stat: SyncStat
    metering_info: MeteringInfo
    brother_index_name: str
    query_flow_weight: _containers.RepeatedCompositeFieldContainer[QueryFlowWeight]
    create_time: int
    time_to_live: int
    index_status: IndexStatus
    def __init__(self, schema: _Optional[_Union[IndexSchema, _Mapping]] = ..., sync_stat: _Optional[_Union[SyncStat, _Mapping]] = ..., metering_info: _Optional[_Union[MeteringInfo, _Mapping]] = ..., brother_index_name: _Optional[str] = ..., query_flow_weight: _Optional[_Iterable[_Union[QueryFlowWeight, _Mapping]]] = ..., create_time: _Optional[int] = ..., time_to_live: _Optional[int] = ..., index_status: _Optional[_Union[IndexStatus, _Mapping]] = ...) -> None: ...
