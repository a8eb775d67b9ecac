from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DateTimeUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATE_TIME_UNIT_UNSPECIFIED: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_YEAR: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_QUARTER_YEAR: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_MONTH: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_WEEK: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_DAY: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_HOUR: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_MINUTE: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_SECOND: _ClassVar[DateTimeUnit]
    DATE_TIME_UNIT_MILLISECOND: _ClassVar[DateTimeUnit]
DATE_TIME_UNIT_UNSPECIFIED: DateTimeUnit
DATE_TIME_UNIT_YEAR: DateTimeUnit
DATE_TIME_UNIT_QUARTER_YEAR: DateTimeUnit
DATE_TIME_UNIT_MONTH: DateTimeUnit
DATE_TIME_UNIT_WEEK: DateTimeUnit
DATE_TIME_UNIT_DAY: DateTimeUnit
DATE_TIME_UNIT_HOUR: DateTimeUnit
DATE_TIME_UNIT_MINUTE: DateTimeUnit
DATE_TIME_UNIT_SECOND: DateTimeUnit
DATE_TIME_UNIT_MILLISECOND: DateTimeUnit

class DateTimeValue(_message.Message):
    __slots__ = ("value", "unit")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    value: int
    unit: DateTimeUnit
    def __init__(self, value: _Optional[int] = ..., unit: _Optional[_Union[DateTimeUnit, str]] = ...) -> None: ...
