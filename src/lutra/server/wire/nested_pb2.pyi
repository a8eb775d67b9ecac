from lutra.server.wire import query_pb2 as _query_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScoreMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_MODE_UNSPECIFIED: _ClassVar[ScoreMode]
    SCORE_MODE_NONE: _ClassVar[ScoreMode]
    SCORE_MODE_AVG: _ClassVar[ScoreMode]
    SCORE_MODE_MAX: _ClassVar[ScoreMode]
    SCORE_MODE_TOTAL: _ClassVar[ScoreMode]
    SCORE_MODE_MIN: _ClassVar[ScoreMode]
SCORE_MODE_UNSPECIFIED: ScoreMode
SCORE_MODE_NONE: ScoreMode
SCORE_MODE_AVG: ScoreMode
SCORE_MODE_MAX: ScoreMode
SCORE_MODE_TOTAL: ScoreMode
SCORE_MODE_MIN: ScoreMode

class NestedQuery(_message.Message):
    __slots__ = ("path", "query", "score_mode", "weight", "inner_hits")
    PATH_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    SCORE_MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    INNER_HITS_FIELD_NUMBER: _ClassVar[int]
    path: str
    query: _query_pb2.Query
    score_mode: ScoreMode
    weight: float
    inner_hits: InnerHits
    def __init__(self, path: _Optional[str] = ..., query: _Optional[_Union[_query_pb2.Query, _Mapping]] = ..., score_mode: _Optional[_Union[ScoreMode, str]] = ..., weight: _Optional[float] = ..., inner_hits: _Optional[_Union[InnerHits, _Mapping]] = ...) -> None: ...

class InnerHits(_message.Message):
    __slots__ = ("sort", "offset", "limit", "highlight")
    SORT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    sort: _query_pb2.Sort
    offset: int
    limit: int
    highlight: _query_pb2.Highlight
    def __init__(self, sort: _Optional[_Union[_query_pb2.Sort, _Mapping]] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ..., highlight: _Optional[_Union[_query_pb2.Highlight, _Mapping]] = ...) -> None: ...
