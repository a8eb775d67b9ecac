from lutra.server.wire import capacity_pb2 as _capacity_pb2
from lutra.server.wire import error_pb2 as _error_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RowExistenceExpectation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROW_EXISTENCE_EXPECTATION_IGNORE: _ClassVar[RowExistenceExpectation]
    ROW_EXISTENCE_EXPECTATION_EXPECT_EXIST: _ClassVar[RowExistenceExpectation]
    ROW_EXISTENCE_EXPECTATION_EXPECT_NOT_EXIST: _ClassVar[RowExistenceExpectation]

class ReturnType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETURN_TYPE_NONE: _ClassVar[ReturnType]
    RETURN_TYPE_PK: _ClassVar[ReturnType]
    RETURN_TYPE_AFTER_MODIFY: _ClassVar[ReturnType]

class OperationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_TYPE_UNSPECIFIED: _ClassVar[OperationType]
    OPERATION_TYPE_PUT: _ClassVar[OperationType]
    OPERATION_TYPE_UPDATE: _ClassVar[OperationType]
    OPERATION_TYPE_DELETE: _ClassVar[OperationType]

class DataBlockType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_BLOCK_TYPE_PLAIN_BUFFER: _ClassVar[DataBlockType]
    DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX: _ClassVar[DataBlockType]

class CompressType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPRESS_TYPE_NONE: _ClassVar[CompressType]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_FORWARD: _ClassVar[Direction]
    DIRECTION_BACKWARD: _ClassVar[Direction]
ROW_EXISTENCE_EXPECTATION_IGNORE: RowExistenceExpectation
ROW_EXISTENCE_EXPECTATION_EXPECT_EXIST: RowExistenceExpectation
ROW_EXISTENCE_EXPECTATION_EXPECT_NOT_EXIST: RowExistenceExpectation
RETURN_TYPE_NONE: ReturnType
RETURN_TYPE_PK: ReturnType
RETURN_TYPE_AFTER_MODIFY: ReturnType
OPERATION_TYPE_UNSPECIFIED: OperationType
OPERATION_TYPE_PUT: OperationType
OPERATION_TYPE_UPDATE: OperationType
OPERATION_TYPE_DELETE: OperationType
DATA_BLOCK_TYPE_PLAIN_BUFFER: DataBlockType
DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX: DataBlockType
COMPRESS_TYPE_NONE: CompressType
DIRECTION_FORWARD: Direction
DIRECTION_BACKWARD: Direction

class TimeRange(_message.Message):
    __slots__ = ("start_time", "end_time", "specific_time")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    SPECIFIC_TIME_FIELD_NUMBER: _ClassVar[int]
    start_time: int
    end_time: int
    specific_time: int
    def __init__(self, start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., specific_time: _Optional[int] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("row_existence", "column_condition")
    ROW_EXISTENCE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_CONDITION_FIELD_NUMBER: _ClassVar[int]
    row_existence: RowExistenceExpectation
    column_condition: bytes
    def __init__(self, row_existence: _Optional[_Union[RowExistenceExpectation, str]] = ..., column_condition: _Optional[bytes] = ...) -> None: ...

class ReturnContent(_message.Message):
    __slots__ = ("return_type", "return_column_names")
    RETURN_TYPE_FIELD_NUMBER: _ClassVar[int]
    RETURN_COLUMN_NAMES_FIELD_NUMBER: _ClassVar[int]
    return_type: ReturnType
    return_column_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, return_type: _Optional[_Union[ReturnType, str]] = ..., return_column_names: _Optional[_Iterable[str]] = ...) -> None: ...

class GetRowRequest(_message.Message):
    __slots__ = ("table_name", "primary_key", "columns_to_get", "time_range", "max_versions", "filter", "start_column", "end_column", "token", "transaction_id")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_TO_GET_FIELD_NUMBER: _ClassVar[int]
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    MAX_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    START_COLUMN_FIELD_NUMBER: _ClassVar[int]
    END_COLUMN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    primary_key: bytes
    columns_to_get: _containers.RepeatedScalarFieldContainer[str]
    time_range: TimeRange
    max_versions: int
    filter: bytes
    start_column: str
    end_column: str
    token: bytes
    transaction_id: str
    def __init__(self, table_name: _Optional[str] = ..., primary_key: _Optional[bytes] = ..., columns_to_get: _Optional[_Iterable[str]] = ..., time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., max_versions: _Optional[int] = ..., filter: _Optional[bytes] = ..., start_column: _Optional[str] = ..., end_column: _Optional[str] = ..., token: _Optional[bytes] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class GetRowResponse(_message.Message):
    __slots__ = ("consumed", "row", "next_token")
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    consumed: _capacity_pb2.ConsumedCapacity
    row: bytes
    next_token: bytes
    def __init__(self, consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., row: _Optional[bytes] = ..., next_token: _Optional[bytes] = ...) -> None: ...

class PutRowRequest(_message.Message):
    __slots__ = ("table_name", "row", "condition", "return_content", "transaction_id")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    RETURN_CONTENT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    row: bytes
    condition: Condition
    return_content: ReturnContent
    transaction_id: str
    def __init__(self, table_name: _Optional[str] = ..., row: _Optional[bytes] = ..., condition: _Optional[_Union[Condition, _Mapping]] = ..., return_content: _Optional[_Union[ReturnContent, _Mapping]] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class UpdateRowRequest(_message.Message):
    __slots__ = ("table_name", "row_change", "condition", "return_content", "transaction_id")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROW_CHANGE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    RETURN_CONTENT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    row_change: bytes
    condition: Condition
    return_content: ReturnContent
    transaction_id: str
    def __init__(self, table_name: _Optional[str] = ..., row_change: _Optional[bytes] = ..., condition: _Optional[_Union[Condition, _Mapping]] = ..., return_content: _Optional[_Union[ReturnContent, _Mapping]] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class DeleteRowRequest(_message.Message):
    __slots__ = ("table_name", "primary_key", "condition", "return_content", "transaction_id")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    RETURN_CONTENT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    primary_key: bytes
    condition: Condition
    return_content: ReturnContent
    transaction_id: str
    def __init__(self, table_name: _Optional[str] = ..., primary_key: _Optional[bytes] = ..., condition: _Optional[_Union[Condition, _Mapping]] = ..., return_content: _Optional[_Union[ReturnContent, _Mapping]] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class WriteRowResponse(_message.Message):
    __slots__ = ("consumed", "row")
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    consumed: _capacity_pb2.ConsumedCapacity
    row: bytes
    def __init__(self, consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., row: _Optional[bytes] = ...) -> None: ...

class TableInBatchGetRowRequest(_message.Message):
    __slots__ = ("table_name", "primary_key", "token", "columns_to_get", "time_range", "max_versions", "filter", "start_column", "end_column")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_TO_GET_FIELD_NUMBER: _ClassVar[int]
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    MAX_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    START_COLUMN_FIELD_NUMBER: _ClassVar[int]
    END_COLUMN_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    primary_key: _containers.RepeatedScalarFieldContainer[bytes]
    token: _containers.RepeatedScalarFieldContainer[bytes]
    columns_to_get: _containers.RepeatedScalarFieldContainer[str]
    time_range: TimeRange
    max_versions: int
    filter: bytes
    start_column: str
    end_column: str
    def __init__(self, table_name: _Optional[str] = ..., primary_key: _Optional[_Iterable[bytes]] = ..., token: _Optional[_Iterable[bytes]] = ..., columns_to_get: _Optional[_Iterable[str]] = ..., time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., max_versions: _Optional[int] = ..., filter: _Optional[bytes] = ..., start_column: _Optional[str] = ..., end_column: _Optional[str] = ...) -> None: ...

class BatchGetRowRequest(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableInBatchGetRowRequest]
    def __init__(self, tables: _Optional[_Iterable[_Union[TableInBatchGetRowRequest, _Mapping]]] = ...) -> None: ...

class RowInBatchGetRowResponse(_message.Message):
    __slots__ = ("is_ok", "error", "consumed", "row", "next_token")
    IS_OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    is_ok: bool
    error: _error_pb2.Error
    consumed: _capacity_pb2.ConsumedCapacity
    row: bytes
    next_token: bytes
    def __init__(self, is_ok: bool = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., row: _Optional[bytes] = ..., next_token: _Optional[bytes] = ...) -> None: ...

class TableInBatchGetRowResponse(_message.Message):
    __slots__ = ("table_name", "rows")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    rows: _containers.RepeatedCompositeFieldContainer[RowInBatchGetRowResponse]
    def __init__(self, table_name: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[RowInBatchGetRowResponse, _Mapping]]] = ...) -> None: ...

class BatchGetRowResponse(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableInBatchGetRowResponse]
    def __init__(self, tables: _Optional[_Iterable[_Union[TableInBatchGetRowResponse, _Mapping]]] = ...) -> None: ...

class RowInBatchWriteRowRequest(_message.Message):
    __slots__ = ("type", "row_change", "condition", "return_content")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ROW_CHANGE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    RETURN_CONTENT_FIELD_NUMBER: _ClassVar[int]
    type: OperationType
    row_change: bytes
    condition: Condition
    return_content: ReturnContent
    def __init__(self, type: _Optional[_Union[OperationType, str]] = ..., row_change: _Optional[bytes] = ..., condition: _Optional[_Union[Condition, _Mapping]] = ..., return_content: _Optional[_Union[ReturnContent, _Mapping]] = ...) -> None: ...

class TableInBatchWriteRowRequest(_message.Message):
    __slots__ = ("table_name", "rows")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    rows: _containers.RepeatedCompositeFieldContainer[RowInBatchWriteRowRequest]
    def __init__(self, table_name: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[RowInBatchWriteRowRequest, _Mapping]]] = ...) -> None: ...

class BatchWriteRowRequest(_message.Message):
    __slots__ = ("tables", "transaction_id", "is_atomic")
    TABLES_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    IS_ATOMIC_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableInBatchWriteRowRequest]
    transaction_id: str
    is_atomic: bool
    def __init__(self, tables: _Optional[_Iterable[_Union[TableInBatchWriteRowRequest, _Mapping]]] = ..., transaction_id: _Optional[str] = ..., is_atomic: bool = ...) -> None: ...

class RowInBatchWriteRowResponse(_message.Message):
    __slots__ = ("is_ok", "error", "consumed", "row")
    IS_OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    is_ok: bool
    error: _error_pb2.Error
    consumed: _capacity_pb2.ConsumedCapacity
    row: bytes
    def __init__(self, is_ok: bool = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., row: _Optional[bytes] = ...) -> None: ...

class TableInBatchWriteRowResponse(_message.Message):
    __slots__ = ("table_name", "rows")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    rows: _containers.RepeatedCompositeFieldContainer[RowInBatchWriteRowResponse]
    def __init__(self, table_name: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[RowInBatchWriteRowResponse, _Mapping]]] = ...) -> None: ...

class BatchWriteRowResponse(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableInBatchWriteRowResponse]
    def __init__(self, tables: _Optional[_Iterable[_Union[TableInBatchWriteRowResponse, _Mapping]]] = ...) -> None: ...

class GetRangeRequest(_message.Message):
    __slots__ = ("table_name", "direction", "columns_to_get", "time_range", "max_versions", "limit", "inclusive_start_primary_key", "exclusive_end_primary_key", "filter", "start_column", "end_column", "token", "transaction_id", "data_block_type_hint", "return_entire_primary_keys", "compress_type_hint")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_TO_GET_FIELD_NUMBER: _ClassVar[int]
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    MAX_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INCLUSIVE_START_PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_END_PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    START_COLUMN_FIELD_NUMBER: _ClassVar[int]
    END_COLUMN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_BLOCK_TYPE_HINT_FIELD_NUMBER: _ClassVar[int]
    RETURN_ENTIRE_PRIMARY_KEYS_FIELD_NUMBER: _ClassVar[int]
    COMPRESS_TYPE_HINT_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    direction: Direction
    columns_to_get: _containers.RepeatedScalarFieldContainer[str]
    time_range: TimeRange
    max_versions: int
    limit: int
    inclusive_start_primary_key: bytes
    exclusive_end_primary_key: bytes
    filter: bytes
    start_column: str
    end_column: str
    token: bytes
    transaction_id: str
    data_block_type_hint: DataBlockType
    return_entire_primary_keys: bool
    compress_type_hint: CompressType
    def __init__(self, table_name: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., columns_to_get: _Optional[_Iterable[str]] = ..., time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., max_versions: _Optional[int] = ..., limit: _Optional[int] = ..., inclusive_start_primary_key: _Optional[bytes] = ..., exclusive_end_primary_key: _Optional[bytes] = ..., filter: _Optional[bytes] = ..., start_column: _Optional[str] = ..., end_column: _Optional[str] = ..., token: _Optional[bytes] = ..., transaction_id: _Optional[str] = ..., data_block_type_hint: _Optional[_Union[DataBlockType, str]] = ..., return_entire_primary_keys: bool = ..., compress_type_hint: _Optional[_Union[CompressType, str]] = ...) -> None: ...

class GetRangeResponse(_message.Message):
    __slots__ = ("consumed", "rows", "next_start_primary_key", "next_token", "data_block_type", "compress_type")
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_START_PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DATA_BLOCK_TYPE_FIELD_NUMBER: _ClassVar[int]
    COMPRESS_TYPE_FIELD_NUMBER: _ClassVar[int]
    consumed: _capacity_pb2.ConsumedCapacity
    rows: bytes
    next_start_primary_key: bytes
    next_token: bytes
    data_block_type: DataBlockType
    compress_type: CompressType
    def __init__(self, consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., rows: _Optional[bytes] = ..., next_start_primary_key: _Optional[bytes] = ..., next_token: _Optional[bytes] = ..., data_block_type: _Optional[_Union[DataBlockType, str]] = ..., compress_type: _Optional[_Union[CompressType, str]] = ...) -> None: ...
