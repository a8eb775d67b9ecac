"""Functions of scores that decay away from an origin."""

from __future__ import annotations

from typing import Final

from lutra.geo.values import parsed_point
from lutra.model.errors import ParameterInvalid
from lutra.model.scoring import DateOrigin, Decay, DecayShape, GeoOrigin, ManyMode, NumberOrigin, Origin
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.wire import scoring_pb2 as scoring
from lutra.server.wire import times_pb2 as times

_UNITS_NS: Final = {
    times.DATE_TIME_UNIT_MILLISECOND: 1_000_000,
    times.DATE_TIME_UNIT_SECOND: 1_000_000_000,
    times.DATE_TIME_UNIT_MINUTE: 60_000_000_000,
    times.DATE_TIME_UNIT_HOUR: 3_600_000_000_000,
    times.DATE_TIME_UNIT_DAY: 86_400_000_000_000,
}
"""Those that always are of one length, as the protocol has it."""


def parse_decay(message: scoring.DecayFunction) -> Decay:
    """Raises ParameterInvalid."""
    field = field_of(message)
    mode = ManyMode.MIN
    if message.HasField("multi_value_mode"):
        mode = enum_of(ManyMode, message.multi_value_mode, f"multi value mode of the decay of field [{field}]")
    return Decay(
        field,
        _origin(message, field),
        enum_of(DecayShape, message.math_function, f"math function of the decay of field [{field}]"),
        message.decay if message.HasField("decay") else 0.5,
        mode,
    )


def _origin(message: scoring.DecayFunction, field: str) -> Origin:
    if message.param_type == scoring.DECAY_PARAM_TYPE_NUMERIC:
        numeric = body_of(scoring.DecayNumericParam, message.param)
        return NumberOrigin(numeric.origin, numeric.scale, numeric.offset)
    if message.param_type == scoring.DECAY_PARAM_TYPE_DATE:
        date = body_of(scoring.DecayDateParam, message.param)
        if not date.HasField("origin_long") and not date.HasField("origin_string"):
            raise ParameterInvalid(f"the decay of field [{field}] has no [origin]")
        return DateOrigin(
            date.origin_long if date.HasField("origin_long") else date.origin_string,
            _length_ns(date.scale, field),
            _length_ns(date.offset, field) if date.HasField("offset") else 0,
        )
    if message.param_type == scoring.DECAY_PARAM_TYPE_GEO:
        geo = body_of(scoring.DecayGeoParam, message.param)
        return GeoOrigin(parsed_point(geo.origin, "[decay function] origin"), geo.scale, geo.offset)
    raise ParameterInvalid(f"Invalid parameter type of the decay of field [{field}]: {message.param_type}.")


def _length_ns(message: times.DateTimeValue, field: str) -> int:
    unit_ns = _UNITS_NS.get(message.unit)
    if unit_ns is None:
        raise ParameterInvalid(f"the decay of field [{field}] goes by units up to days: {message.unit}")
    return message.value * unit_ns
