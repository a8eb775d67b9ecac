from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VariantType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VARIANT_TYPE_INTEGER: _ClassVar[VariantType]
    VARIANT_TYPE_DOUBLE: _ClassVar[VariantType]
    VARIANT_TYPE_STRING: _ClassVar[VariantType]
    VARIANT_TYPE_NULL: _ClassVar[VariantType]
    VARIANT_TYPE_BLOB: _ClassVar[VariantType]

class FilterType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILTER_TYPE_UNSPECIFIED: _ClassVar[FilterType]
    FILTER_TYPE_SINGLE_COLUMN_VALUE: _ClassVar[FilterType]
    FILTER_TYPE_COMPOSITE_COLUMN_VALUE: _ClassVar[FilterType]
    FILTER_TYPE_COLUMN_PAGINATION: _ClassVar[FilterType]

class ComparatorType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARATOR_TYPE_UNSPECIFIED: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_EQUAL: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_NOT_EQUAL: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_GREATER_THAN: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_GREATER_EQUAL: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_LESS_THAN: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_LESS_EQUAL: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_EXIST: _ClassVar[ComparatorType]
    COMPARATOR_TYPE_NOT_EXIST: _ClassVar[ComparatorType]

class LogicalOperator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOGICAL_OPERATOR_UNSPECIFIED: _ClassVar[LogicalOperator]
    LOGICAL_OPERATOR_NOT: _ClassVar[LogicalOperator]
    LOGICAL_OPERATOR_AND: _ClassVar[LogicalOperator]
    LOGICAL_OPERATOR_OR: _ClassVar[LogicalOperator]
VARIANT_TYPE_INTEGER: VariantType
VARIANT_TYPE_DOUBLE: VariantType
VARIANT_TYPE_STRING: VariantType
VARIANT_TYPE_NULL: VariantType
VARIANT_TYPE_BLOB: VariantType
FILTER_TYPE_UNSPECIFIED: FilterType
FILTER_TYPE_SINGLE_COLUMN_VALUE: FilterType
FILTER_TYPE_COMPOSITE_COLUMN_VALUE: FilterType
FILTER_TYPE_COLUMN_PAGINATION: FilterType
COMPARATOR_TYPE_UNSPECIFIED: ComparatorType
COMPARATOR_TYPE_EQUAL: ComparatorType
COMPARATOR_TYPE_NOT_EQUAL: ComparatorType
COMPARATOR_TYPE_GREATER_THAN: ComparatorType
COMPARATOR_TYPE_GREATER_EQUAL: ComparatorType
COMPARATOR_TYPE_LESS_THAN: ComparatorType
COMPARATOR_TYPE_LESS_EQUAL: ComparatorType
COMPARATOR_TYPE_EXIST: ComparatorType
COMPARATOR_TYPE_NOT_EXIST: ComparatorType
LOGICAL_OPERATOR_UNSPECIFIED: LogicalOperator
LOGICAL_OPERATOR_NOT: LogicalOperator
LOGICAL_OPERATOR_AND: LogicalOperator
LOGICAL_OPERATOR_OR: LogicalOperator

class ValueTransferRule(_message.Message):
    __slots__ = ("regex", "cast_type")
    REGEX_FIELD_NUMBER: _ClassVar[int]
    CAST_TYPE_FIELD_NUMBER: _ClassVar[int]
    regex: str
    cast_type: VariantType
    def __init__(self, regex: _Optional[str] = ..., cast_type: _Optional[_Union[VariantType, str]] = ...) -> None: ...

class SingleColumnValueFilter(_message.Message):
    __slots__ = ("comparator", "column_name", "column_value", "filter_if_missing", "latest_version_only", "value_trans_rule")
    COMPARATOR_FIELD_NUMBER: _ClassVar[int]
    COLUMN_NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMN_VALUE_FIELD_NUMBER: _ClassVar[int]
    FILTER_IF_MISSING_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_ONLY_FIELD_NUMBER: _ClassVar[int]
    VALUE_TRANS_RULE_FIELD_NUMBER: _ClassVar[int]
    comparator: ComparatorType
    column_name: str
    column_value: bytes
    filter_if_missing: bool
    latest_version_only: bool
    value_trans_rule: ValueTransferRule
    def __init__(self, comparator: _Optional[_Union[ComparatorType, str]] = ..., column_name: _Optional[str] = ..., column_value: _Optional[bytes] = ..., filter_if_missing: bool = ..., latest_version_only: bool = ..., value_trans_rule: _Optional[_Union[ValueTransferRule, _Mapping]] = ...) -> None: ...

class CompositeColumnValueFilter(_message.Message):
    __slots__ = ("combinator", "sub_filters")
    COMBINATOR_FIELD_NUMBER: _ClassVar[int]
    SUB_FILTERS_FIELD_NUMBER: _ClassVar[int]
    combinator: LogicalOperator
    sub_filters: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, combinator: _Optional[_Union[LogicalOperator, str]] = ..., sub_filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class ColumnPaginationFilter(_message.Message):
    __slots__ = ("offset", "limit")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    offset: int
    limit: int
    def __init__(self, offset: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("type", "filter")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    type: FilterType
    filter: bytes
    def __init__(self, type: _Optional[_Union[FilterType, str]] = ..., filter: _Optional[bytes] = ...) -> None: ...
