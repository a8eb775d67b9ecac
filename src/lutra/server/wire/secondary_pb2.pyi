from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IndexUpdateMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IUM_ASYNC_INDEX: _ClassVar[IndexUpdateMode]
    IUM_SYNC_INDEX: _ClassVar[IndexUpdateMode]

class IndexType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IT_GLOBAL_INDEX: _ClassVar[IndexType]
    IT_LOCAL_INDEX: _ClassVar[IndexType]

class IndexSyncPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ISP_INVALID: _ClassVar[IndexSyncPhase]
    ISP_FULL: _ClassVar[IndexSyncPhase]
    ISP_INCR: _ClassVar[IndexSyncPhase]
IUM_ASYNC_INDEX: IndexUpdateMode
IUM_SYNC_INDEX: IndexUpdateMode
IT_GLOBAL_INDEX: IndexType
IT_LOCAL_INDEX: IndexType
ISP_INVALID: IndexSyncPhase
ISP_FULL: IndexSyncPhase
ISP_INCR: IndexSyncPhase

class IndexMeta(_message.Message):
    __slots__ = ("name", "primary_key", "defined_column", "index_update_mode", "index_type", "index_sync_phase")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    DEFINED_COLUMN_FIELD_NUMBER: _ClassVar[int]
    INDEX_UPDATE_MODE_FIELD_NUMBER: _ClassVar[int]
    INDEX_TYPE_FIELD_NUMBER: _ClassVar[int]
    INDEX_SYNC_PHASE_FIELD_NUMBER: _ClassVar[int]
    name: str
    primary_key: _containers.RepeatedScalarFieldContainer[str]
    defined_column: _containers.RepeatedScalarFieldContainer[str]
    index_update_mode: IndexUpdateMode
    index_type: IndexType
    index_sync_phase: IndexSyncPhase
    def __init__(self, name: _Optional[str] = ..., primary_key: _Optional[_Iterable[str]] = ..., defined_column: _Optional[_Iterable[str]] = ..., index_update_mode: _Optional[_Union[IndexUpdateMode, str]] = ..., index_type: _Optional[_Union[IndexType, str]] = ..., index_sync_phase: _Optional[_Union[IndexSyncPhase, str]] = ...) -> None: ...

class CreateIndexRequest(_message.Message):
    __slots__ = ("main_table_name", "index_meta", "include_base_data")
    MAIN_TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_META_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_BASE_DATA_FIELD_NUMBER: _ClassVar[int]
    main_table_name: str
    index_meta: IndexMeta
    include_base_data: bool
    def __init__(self, main_table_name: _Optional[str] = ..., index_meta: _Optional[_Union[IndexMeta, _Mapping]] = ..., include_base_data: bool = ...) -> None: ...

class CreateIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DropIndexRequest(_message.Message):
    __slots__ = ("main_table_name", "index_name")
    MAIN_TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    main_table_name: str
    index_name: str
    def __init__(self, main_table_name: _Optional[str] = ..., index_name: _Optional[str] = ...) -> None: ...

class DropIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
