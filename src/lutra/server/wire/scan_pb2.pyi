from lutra.server.wire import query_pb2 as _query_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchIndexSplitsOptions(_message.Message):
    __slots__ = ("index_name",)
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    index_name: str
    def __init__(self, index_name: _Optional[str] = ...) -> None: ...

class ComputeSplitsRequest(_message.Message):
    __slots__ = ("table_name", "search_index_splits_options")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    SEARCH_INDEX_SPLITS_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    search_index_splits_options: SearchIndexSplitsOptions
    def __init__(self, table_name: _Optional[str] = ..., search_index_splits_options: _Optional[_Union[SearchIndexSplitsOptions, _Mapping]] = ...) -> None: ...

class ComputeSplitsResponse(_message.Message):
    __slots__ = ("session_id", "splits_size")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SPLITS_SIZE_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    splits_size: int
    def __init__(self, session_id: _Optional[bytes] = ..., splits_size: _Optional[int] = ...) -> None: ...

class ScanQuery(_message.Message):
    __slots__ = ("query", "limit", "alive_time", "token", "current_parallel_id", "max_parallel")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ALIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PARALLEL_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_PARALLEL_FIELD_NUMBER: _ClassVar[int]
    query: _query_pb2.Query
    limit: int
    alive_time: int
    token: bytes
    current_parallel_id: int
    max_parallel: int
    def __init__(self, query: _Optional[_Union[_query_pb2.Query, _Mapping]] = ..., limit: _Optional[int] = ..., alive_time: _Optional[int] = ..., token: _Optional[bytes] = ..., current_parallel_id: _Optional[int] = ..., max_parallel: _Optional[int] = ...) -> None: ...

class ParallelScanRequest(_message.Message):
    __slots__ = ("table_name", "index_name", "columns_to_get", "session_id", "scan_query", "timeout_ms")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_TO_GET_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCAN_QUERY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    index_name: str
    columns_to_get: _query_pb2.ColumnsToGet
    session_id: bytes
    scan_query: ScanQuery
    timeout_ms: int
    def __init__(self, table_name: _Optional[str] = ..., index_name: _Optional[str] = ..., columns_to_get: _Optional[_Union[_query_pb2.ColumnsToGet, _Mapping]] = ..., session_id: _Optional[bytes] = ..., scan_query: _Optional[_Union[ScanQuery, _Mapping]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class ParallelScanResponse(_message.Message):
    __slots__ = ("rows", "next_token")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedScalarFieldContainer[bytes]
    next_token: bytes
    def __init__(self, rows: _Optional[_Iterable[bytes]] = ..., next_token: _Optional[bytes] = ...) -> None: ...
