from lutra.server.wire import capacity_pb2 as _capacity_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_STATUS_UNSPECIFIED: _ClassVar[StreamStatus]
    STREAM_STATUS_ENABLING: _ClassVar[StreamStatus]
    STREAM_STATUS_ACTIVE: _ClassVar[StreamStatus]

class ActionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_TYPE_UNSPECIFIED: _ClassVar[ActionType]
    ACTION_TYPE_PUT_ROW: _ClassVar[ActionType]
    ACTION_TYPE_UPDATE_ROW: _ClassVar[ActionType]
    ACTION_TYPE_DELETE_ROW: _ClassVar[ActionType]
STREAM_STATUS_UNSPECIFIED: StreamStatus
STREAM_STATUS_ENABLING: StreamStatus
STREAM_STATUS_ACTIVE: StreamStatus
ACTION_TYPE_UNSPECIFIED: ActionType
ACTION_TYPE_PUT_ROW: ActionType
ACTION_TYPE_UPDATE_ROW: ActionType
ACTION_TYPE_DELETE_ROW: ActionType

class ListStreamRequest(_message.Message):
    __slots__ = ("table_name",)
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    def __init__(self, table_name: _Optional[str] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("stream_id", "table_name", "creation_time")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATION_TIME_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    table_name: str
    creation_time: int
    def __init__(self, stream_id: _Optional[str] = ..., table_name: _Optional[str] = ..., creation_time: _Optional[int] = ...) -> None: ...

class ListStreamResponse(_message.Message):
    __slots__ = ("streams",)
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    def __init__(self, streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ...) -> None: ...

class StreamShard(_message.Message):
    __slots__ = ("shard_id", "parent_id", "parent_sibling_id")
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SIBLING_ID_FIELD_NUMBER: _ClassVar[int]
    shard_id: str
    parent_id: str
    parent_sibling_id: str
    def __init__(self, shard_id: _Optional[str] = ..., parent_id: _Optional[str] = ..., parent_sibling_id: _Optional[str] = ...) -> None: ...

class DescribeStreamRequest(_message.Message):
    __slots__ = ("stream_id", "inclusive_start_shard_id", "shard_limit", "support_timeseries_data_table")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUSIVE_START_SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_LIMIT_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_TIMESERIES_DATA_TABLE_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    inclusive_start_shard_id: str
    shard_limit: int
    support_timeseries_data_table: bool
    def __init__(self, stream_id: _Optional[str] = ..., inclusive_start_shard_id: _Optional[str] = ..., shard_limit: _Optional[int] = ..., support_timeseries_data_table: bool = ...) -> None: ...

class DescribeStreamResponse(_message.Message):
    __slots__ = ("stream_id", "expiration_time", "table_name", "creation_time", "stream_status", "shards", "next_shard_id", "is_timeseries_data_table")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_TIME_FIELD_NUMBER: _ClassVar[int]
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATION_TIME_FIELD_NUMBER: _ClassVar[int]
    STREAM_STATUS_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    IS_TIMESERIES_DATA_TABLE_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    expiration_time: int
    table_name: str
    creation_time: int
    stream_status: StreamStatus
    shards: _containers.RepeatedCompositeFieldContainer[StreamShard]
    next_shard_id: str
    is_timeseries_data_table: bool
    def __init__(self, stream_id: _Optional[str] = ..., expiration_time: _Optional[int] = ..., table_name: _Optional[str] = ..., creation_time: _Optional[int] = ..., stream_status: _Optional[_Union[StreamStatus, str]] = ..., shards: _Optional[_Iterable[_Union[StreamShard, _Mapping]]] = ..., next_shard_id: _Optional[str] = ..., is_timeseries_data_table: bool = ...) -> None: ...

class GetShardIteratorRequest(_message.Message):
    __slots__ = ("stream_id", "shard_id", "timestamp", "token")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    shard_id: str
    timestamp: int
    token: str
    def __init__(self, stream_id: _Optional[str] = ..., shard_id: _Optional[str] = ..., timestamp: _Optional[int] = ..., token: _Optional[str] = ...) -> None: ...

class GetShardIteratorResponse(_message.Message):
    __slots__ = ("shard_iterator", "next_token")
    SHARD_ITERATOR_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    shard_iterator: str
    next_token: str
    def __init__(self, shard_iterator: _Optional[str] = ..., next_token: _Optional[str] = ...) -> None: ...

class GetStreamRecordRequest(_message.Message):
    __slots__ = ("shard_iterator", "limit", "table_name")
    SHARD_ITERATOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    shard_iterator: str
    limit: int
    table_name: str
    def __init__(self, shard_iterator: _Optional[str] = ..., limit: _Optional[int] = ..., table_name: _Optional[str] = ...) -> None: ...

class GetStreamRecordResponse(_message.Message):
    __slots__ = ("stream_records", "next_shard_iterator", "consumed", "may_more_record")
    class StreamRecord(_message.Message):
        __slots__ = ("action_type", "record", "origin_record")
        ACTION_TYPE_FIELD_NUMBER: _ClassVar[int]
        RECORD_FIELD_NUMBER: _ClassVar[int]
        ORIGIN_RECORD_FIELD_NUMBER: _ClassVar[int]
        action_type: ActionType
        record: bytes
        origin_record: bytes
        def __init__(self, action_type: _Optional[_Union[ActionType, str]] = ..., record: _Optional[bytes] = ..., origin_record: _Optional[bytes] = ...) -> None: ...
    STREAM_RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SHARD_ITERATOR_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    MAY_MORE_RECORD_FIELD_NUMBER: _ClassVar[int]
    stream_records: _containers.RepeatedCompositeFieldContainer[GetStreamRecordResponse.StreamRecord]
    next_shard_iterator: str
    consumed: _capacity_pb2.ConsumedCapacity
    may_more_record: bool
    def __init__(self, stream_records: _Optional[_Iterable[_Union[GetStreamRecordResponse.StreamRecord, _Mapping]]] = ..., next_shard_iterator: _Optional[str] = ..., consumed: _Optional[_Union[_capacity_pb2.ConsumedCapacity, _Mapping]] = ..., may_more_record: bool = ...) -> None: ...
