from lutra.server.wire import query_pb2 as _query_pb2
from lutra.server.wire import times_pb2 as _times_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FunctionModifier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUNCTION_MODIFIER_UNSPECIFIED: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_NONE: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_LOG: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_LOG1P: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_LOG2P: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_LN: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_LN1P: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_LN2P: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_SQUARE: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_SQRT: _ClassVar[FunctionModifier]
    FUNCTION_MODIFIER_RECIPROCAL: _ClassVar[FunctionModifier]

class DecayMathFunction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECAY_MATH_FUNCTION_UNSPECIFIED: _ClassVar[DecayMathFunction]
    DECAY_MATH_FUNCTION_GAUSS: _ClassVar[DecayMathFunction]
    DECAY_MATH_FUNCTION_EXP: _ClassVar[DecayMathFunction]
    DECAY_MATH_FUNCTION_LINEAR: _ClassVar[DecayMathFunction]

class DecayParamType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECAY_PARAM_TYPE_UNSPECIFIED: _ClassVar[DecayParamType]
    DECAY_PARAM_TYPE_DATE: _ClassVar[DecayParamType]
    DECAY_PARAM_TYPE_NUMERIC: _ClassVar[DecayParamType]
    DECAY_PARAM_TYPE_GEO: _ClassVar[DecayParamType]

class MultiValueMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MULTI_VALUE_MODE_UNSPECIFIED: _ClassVar[MultiValueMode]
    MULTI_VALUE_MODE_MAX: _ClassVar[MultiValueMode]
    MULTI_VALUE_MODE_MIN: _ClassVar[MultiValueMode]
    MULTI_VALUE_MODE_SUM: _ClassVar[MultiValueMode]
    MULTI_VALUE_MODE_AVG: _ClassVar[MultiValueMode]

class FunctionScoreMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUNCTION_SCORE_MODE_UNSPECIFIED: _ClassVar[FunctionScoreMode]
    FUNCTION_SCORE_MODE_AVG: _ClassVar[FunctionScoreMode]
    FUNCTION_SCORE_MODE_MAX: _ClassVar[FunctionScoreMode]
    FUNCTION_SCORE_MODE_SUM: _ClassVar[FunctionScoreMode]
    FUNCTION_SCORE_MODE_MIN: _ClassVar[FunctionScoreMode]
    FUNCTION_SCORE_MODE_MULTIPLY: _ClassVar[FunctionScoreMode]
    FUNCTION_SCORE_MODE_FIRST: _ClassVar[FunctionScoreMode]

class FunctionCombineMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUNCTION_COMBINE_MODE_UNSPECIFIED: _ClassVar[FunctionCombineMode]
    FUNCTION_COMBINE_MODE_MULTIPLY: _ClassVar[FunctionCombineMode]
    FUNCTION_COMBINE_MODE_AVG: _ClassVar[FunctionCombineMode]
    FUNCTION_COMBINE_MODE_MAX: _ClassVar[FunctionCombineMode]
    FUNCTION_COMBINE_MODE_SUM: _ClassVar[FunctionCombineMode]
    FUNCTION_COMBINE_MODE_MIN: _ClassVar[FunctionCombineMode]
    FUNCTION_COMBINE_MODE_REPLACE: _ClassVar[FunctionCombineMode]
FUNCTION_MODIFIER_UNSPECIFIED: FunctionModifier
FUNCTION_MODIFIER_NONE: FunctionModifier
FUNCTION_MODIFIER_LOG: FunctionModifier
FUNCTION_MODIFIER_LOG1P: FunctionModifier
FUNCTION_MODIFIER_LOG2P: FunctionModifier
FUNCTION_MODIFIER_LN: FunctionModifier
FUNCTION_MODIFIER_LN1P: FunctionModifier
FUNCTION_MODIFIER_LN2P: FunctionModifier
FUNCTION_MODIFIER_SQUARE: FunctionModifier
FUNCTION_MODIFIER_SQRT: FunctionModifier
FUNCTION_MODIFIER_RECIPROCAL: FunctionModifier
DECAY_MATH_FUNCTION_UNSPECIFIED: DecayMathFunction
DECAY_MATH_FUNCTION_GAUSS: DecayMathFunction
DECAY_MATH_FUNCTION_EXP: DecayMathFunction
DECAY_MATH_FUNCTION_LINEAR: DecayMathFunction
DECAY_PARAM_TYPE_UNSPECIFIED: DecayParamType
DECAY_PARAM_TYPE_DATE: DecayParamType
DECAY_PARAM_TYPE_NUMERIC: DecayParamType
DECAY_PARAM_TYPE_GEO: DecayParamType
MULTI_VALUE_MODE_UNSPECIFIED: MultiValueMode
MULTI_VALUE_MODE_MAX: MultiValueMode
MULTI_VALUE_MODE_MIN: MultiValueMode
MULTI_VALUE_MODE_SUM: MultiValueMode
MULTI_VALUE_MODE_AVG: MultiValueMode
FUNCTION_SCORE_MODE_UNSPECIFIED: FunctionScoreMode
FUNCTION_SCORE_MODE_AVG: FunctionScoreMode
FUNCTION_SCORE_MODE_MAX: FunctionScoreMode
FUNCTION_SCORE_MODE_SUM: FunctionScoreMode
FUNCTION_SCORE_MODE_MIN: FunctionScoreMode
FUNCTION_SCORE_MODE_MULTIPLY: FunctionScoreMode
FUNCTION_SCORE_MODE_FIRST: FunctionScoreMode
FUNCTION_COMBINE_MODE_UNSPECIFIED: FunctionCombineMode
FUNCTION_COMBINE_MODE_MULTIPLY: FunctionCombineMode
FUNCTION_COMBINE_MODE_AVG: FunctionCombineMode
FUNCTION_COMBINE_MODE_MAX: FunctionCombineMode
FUNCTION_COMBINE_MODE_SUM: FunctionCombineMode
FUNCTION_COMBINE_MODE_MIN: FunctionCombineMode
FUNCTION_COMBINE_MODE_REPLACE: FunctionCombineMode

class ConstScoreQuery(_message.Message):
    __slots__ = ("filter",)
    FILTER_FIELD_NUMBER: _ClassVar[int]
    filter: _query_pb2.Query
    def __init__(self, filter: _Optional[_Union[_query_pb2.Query, _Mapping]] = ...) -> None: ...

class DisMaxQuery(_message.Message):
    __slots__ = ("queries", "tie_breaker", "weight")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    TIE_BREAKER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[_query_pb2.Query]
    tie_breaker: float
    weight: float
    def __init__(self, queries: _Optional[_Iterable[_Union[_query_pb2.Query, _Mapping]]] = ..., tie_breaker: _Optional[float] = ..., weight: _Optional[float] = ...) -> None: ...

class FieldValueFactor(_message.Message):
    __slots__ = ("field_name",)
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    def __init__(self, field_name: _Optional[str] = ...) -> None: ...

class FunctionScoreQuery(_message.Message):
    __slots__ = ("query", "field_value_factor")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FIELD_VALUE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    query: _query_pb2.Query
    field_value_factor: FieldValueFactor
    def __init__(self, query: _Optional[_Union[_query_pb2.Query, _Mapping]] = ..., field_value_factor: _Optional[_Union[FieldValueFactor, _Mapping]] = ...) -> None: ...

class FieldValueFactorFunction(_message.Message):
    __slots__ = ("field_name", "factor", "modifier", "missing")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    MODIFIER_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    factor: float
    modifier: FunctionModifier
    missing: float
    def __init__(self, field_name: _Optional[str] = ..., factor: _Optional[float] = ..., modifier: _Optional[_Union[FunctionModifier, str]] = ..., missing: _Optional[float] = ...) -> None: ...

class RandomScoreFunction(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DecayDateParam(_message.Message):
    __slots__ = ("origin_long", "origin_string", "scale", "offset")
    ORIGIN_LONG_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_STRING_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    origin_long: int
    origin_string: str
    scale: _times_pb2.DateTimeValue
    offset: _times_pb2.DateTimeValue
    def __init__(self, origin_long: _Optional[int] = ..., origin_string: _Optional[str] = ..., scale: _Optional[_Union[_times_pb2.DateTimeValue, _Mapping]] = ..., offset: _Optional[_Union[_times_pb2.DateTimeValue, _Mapping]] = ...) -> None: ...

class DecayNumericParam(_message.Message):
    __slots__ = ("origin", "scale", "offset")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    origin: float
    scale: float
    offset: float
    def __init__(self, origin: _Optional[float] = ..., scale: _Optional[float] = ..., offset: _Optional[float] = ...) -> None: ...

class DecayGeoParam(_message.Message):
    __slots__ = ("origin", "scale", "offset")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    origin: str
    scale: float
    offset: float
    def __init__(self, origin: _Optional[str] = ..., scale: _Optional[float] = ..., offset: _Optional[float] = ...) -> None: ...

class DecayFunction(_message.Message):
    __slots__ = ("field_name", "math_function", "param_type", "param", "decay", "multi_value_mode")
    FIELD_NAME_FIELD_NUMBER: _ClassVar[int]
    MATH_FUNCTION_FIELD_NUMBER: _ClassVar[int]
    PARAM_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARAM_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    MULTI_VALUE_MODE_FIELD_NUMBER: _ClassVar[int]
    field_name: str
    math_function: DecayMathFunction
    param_type: DecayParamType
    param: bytes
    decay: float
    multi_value_mode: MultiValueMode
    def __init__(self, field_name: _Optional[str] = ..., math_function: _Optional[_Union[DecayMathFunction, str]] = ..., param_type: _Optional[_Union[DecayParamType, str]] = ..., param: _Optional[bytes] = ..., decay: _Optional[float] = ..., multi_value_mode: _Optional[_Union[MultiValueMode, str]] = ...) -> None: ...

class ScoreFunction(_message.Message):
    __slots__ = ("field_value_factor", "random", "decay", "weight", "filter")
    FIELD_VALUE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    RANDOM_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    field_value_factor: FieldValueFactorFunction
    random: RandomScoreFunction
    decay: DecayFunction
    weight: float
    filter: _query_pb2.Query
    def __init__(self, field_value_factor: _Optional[_Union[FieldValueFactorFunction, _Mapping]] = ..., random: _Optional[_Union[RandomScoreFunction, _Mapping]] = ..., decay: _Optional[_Union[DecayFunction, _Mapping]] = ..., weight: _Optional[float] = ..., filter: _Optional[_Union[_query_pb2.Query, _Mapping]] = ...) -> None: ...

class FunctionsScoreQuery(_message.Message):
    __slots__ = ("query", "functions", "score_mode", "combine_mode", "min_score", "max_score")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    SCORE_MODE_FIELD_NUMBER: _ClassVar[int]
    COMBINE_MODE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_SCORE_FIELD_NUMBER: _ClassVar[int]
    query: _query_pb2.Query
    functions: _containers.RepeatedCompositeFieldContainer[ScoreFunction]
    score_mode: FunctionScoreMode
    combine_mode: FunctionCombineMode
    min_score: float
    max_score: float
    def __init__(self, query: _Optional[_Union[_query_pb2.Query, _Mapping]] = ..., functions: _Optional[_Iterable[_Union[ScoreFunction, _Mapping]]] = ..., score_mode: _Optional[_Union[FunctionScoreMode, str]] = ..., combine_mode: _Optional[_Union[FunctionCombineMode, str]] = ..., min_score: _Optional[float] = ..., max_score: _Optional[float] = ...) -> None: ...
