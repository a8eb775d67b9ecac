from lutra.server.wire import capacity_pb2 as _capacity_pb2
from lutra.server.wire import error_pb2 as _error_pb2
from lutra.server.wire import row_pb2 as _row_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RowInBulkImportRequest(_message.Message):
    __slots__ = ("type", "row_change")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ROW_CHANGE_FIELD_NUMBER: _ClassVar[int]
    type: _row_pb2.OperationType
    row_change: bytes
    def __init__(self, type: _Optional[_Union[_row_pb2.OperationType, str]] = ..., row_change: _Optional[bytes] = ...) -> None: ...

class BulkImportRequest(_message.Message):
    __slots__ = ("table_name", "rows")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    rows: _containers.RepeatedCompositeFieldContainer[RowInBulkImportRequest]
    def __init__(self, table_name: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[RowInBulkImportRequest, _Mapping]]] = ...) -> None: ...

class RowInBulkImportResponse(_message.Message):
    __slots__ = ("is_ok", "error", "consumed")
    IS_OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    is_ok: bool
    error: _error_pb2.Error
    consumed: _capacity_pb2.ConsumedCapacity
    def __init__(self, is_ok: bool = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ...) -> None: ...

class BulkImportResponse(_message.Message):
    __slots__ = ("table_name", "rows")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    rows: _containers.RepeatedCompositeFieldContainer[RowInBulkImportResponse]
    def __init__(self, table_name: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[RowInBulkImportResponse, _Mapping]]] = ...) -> None: ...

class BulkExportRequest(_message.Message):
    __slots__ = ("table_name", "columns_to_get", "inclusive_start_primary_key", "exclusive_end_primary_key", "filter", "data_block_type_hint")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_TO_GET_FIELD_NUMBER: _ClassVar[int]
    INCLUSIVE_START_PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_END_PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DATA_BLOCK_TYPE_HINT_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    columns_to_get: _containers.RepeatedScalarFieldContainer[str]
    inclusive_start_primary_key: bytes
    exclusive_end_primary_key: bytes
    filter: bytes
    data_block_type_hint: _row_pb2.DataBlockType
    def __init__(self, table_name: _Optional[str] = ..., columns_to_get: _Optional[_Iterable[str]] = ..., inclusive_start_primary_key: _Optional[bytes] = ..., exclusive_end_primary_key: _Optional[bytes] = ..., filter: _Optional[bytes] = ..., data_block_type_hint: _Optional[_Union[_row_pb2.DataBlockType, str]] = ...) -> None: ...

class BulkExportResponse(_message.Message):
    __slots__ = ("consumed", "rows", "next_start_primary_key", "data_block_type")
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_START_PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    DATA_BLOCK_TYPE_FIELD_NUMBER: _ClassVar[int]
    consumed: _capacity_pb2.ConsumedCapacity
    rows: bytes
    next_start_primary_key: bytes
    data_block_type: _row_pb2.DataBlockType
    def __init__(self, consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., rows: _Optional[bytes] = ..., next_start_primary_key: _Optional[bytes] = ..., data_block_type: _Optional[_Union[_row_pb2.DataBlockType, str]] = ...) -> None: ...
