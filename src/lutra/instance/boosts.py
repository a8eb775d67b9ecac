"""What a search multiplies scores by, as Python says it: values of columns, how near they are, conditions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final, get_args

from lutra.instance import where as filters
from lutra.instance.encoding import encode_float, moment_of, point_of, shown
from lutra.instance.expression import Expression
from lutra.instance.factors import Boost, DecayBoost, FactorBoost, ModifierName, ShapeName
from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query
from lutra.model.scoring import (
    DateOrigin,
    Decay,
    DecayShape,
    FieldValueFactor,
    FunctionsScore,
    GeoOrigin,
    Modifier,
    NumberOrigin,
    Origin,
    ScoreFunction,
)
from lutra.model.suggestions import suggestion

Boosts = Boost | tuple[Expression, float] | list[Boost | tuple[Expression, float]]
"""One, or several that all multiply: made by columns, or a condition and what rows that satisfy it count."""

_MODIFIERS: Final[Mapping[str, Modifier]] = {name: Modifier[name.upper()] for name in get_args(ModifierName)}
_SHAPES: Final[Mapping[str, DecayShape]] = {name: DecayShape[name.upper()] for name in get_args(ShapeName)}
_NUMBERS: Final = frozenset({Kind.INT, Kind.FLOAT})
_WIDER: Final = 10
_CANDIDATES_MIN: Final = 100


def boosted(query: Query, boosts: Boosts, layout: Layout) -> Query:
    """``query``, its scores multiplied. Raises ParameterInvalid."""
    several: object = [boosts] if isinstance(boosts, FactorBoost | DecayBoost | tuple) else boosts
    if not isinstance(several, list) or not several:
        raise ParameterInvalid(_WHAT_IT_TAKES)
    if len(several) > limits.SCORE_FUNCTIONS_MAX:
        raise ParameterInvalid(f"a search has at most {limits.SCORE_FUNCTIONS_MAX} boosts, not {len(several)}")
    return FunctionsScore(query, tuple(_function(one, layout) for one in several))


def candidates(limit: int) -> int:
    """So many of the nearest may come first once scores are multiplied, where ``limit`` rows are wanted."""
    return min(max(_CANDIDATES_MIN, _WIDER * limit), limits.OFFSET_PLUS_LIMIT_MAX)


_WHAT_IT_TAKES: Final = (
    "boost= takes lutra.col('likes').factor(), lutra.col('at').decay(origin, scale), a condition with what it "
    "counts, (lutra.col('kind') == 'x', 2.0), or a list of these"
)


def _function(boost: object, layout: Layout) -> ScoreFunction:
    match boost:
        case FactorBoost():
            return ScoreFunction(_factor(boost, filters.searched_field(boost.column, layout, "it cannot boost")))
        case DecayBoost():
            return ScoreFunction(_decay(boost, filters.searched_field(boost.column, layout, "it cannot boost")))
        case (Expression() as condition, weight):
            return ScoreFunction(None, _number(weight, "what a condition counts"), filters.to_query(condition, layout))
    raise ParameterInvalid(_WHAT_IT_TAKES)


def _factor(boost: FactorBoost, field: Field) -> FieldValueFactor:
    if field.kind not in _NUMBERS or field.dates:
        raise ParameterInvalid(f"field {field.name!r} is {field.kind.value}: factors are int or float")
    if boost.modifier not in _MODIFIERS:
        likely = suggestion(boost.modifier, _MODIFIERS)
        raise ParameterInvalid(f"a modifier is one of {', '.join(_MODIFIERS)}, not {boost.modifier!r}{likely}")
    missing = None if boost.missing is None else _number(boost.missing, "missing=")
    return FieldValueFactor(field.name, _number(boost.times, "times="), _MODIFIERS[boost.modifier], missing)


def _decay(boost: DecayBoost, field: Field) -> Decay:
    if boost.shape not in _SHAPES:
        likely = suggestion(boost.shape, _SHAPES)
        raise ParameterInvalid(f"a shape is one of {', '.join(_SHAPES)}, not {boost.shape!r}{likely}")
    try:
        origin = _origin(boost, field)
    except (TypeError, ValueError) as error:
        raise ParameterInvalid(f"decay of {field.name!r}: {error}") from None
    return Decay(field.name, origin, _SHAPES[boost.shape], _number(boost.at_scale, "at_scale="))


def _origin(boost: DecayBoost, field: Field) -> Origin:
    """Raises TypeError, ValueError, ParameterInvalid."""
    if field.dates:
        moment = moment_of(boost.origin)
        return DateOrigin(moment, _nanoseconds(boost.scale), _nanoseconds(boost.offset or dt.timedelta()))
    if field.kind is Kind.GEO:
        return GeoOrigin(point_of(boost.origin), encode_float(boost.scale), encode_float(boost.offset or 0))
    if field.kind in _NUMBERS:
        return NumberOrigin(encode_float(boost.origin), encode_float(boost.scale), encode_float(boost.offset or 0))
    raise ParameterInvalid(f"field {field.name!r} is {field.kind.value}: what decays are numbers, dates and points")


def _nanoseconds(span: object) -> int:
    if not isinstance(span, dt.timedelta):
        raise TypeError(f"the scale and offset of dates are datetime.timedelta, not {shown(span)}")
    return span // dt.timedelta(microseconds=1) * 1_000


def _number(value: object, what: str) -> float:
    try:
        return encode_float(value)
    except (TypeError, ValueError) as error:
        raise ParameterInvalid(f"{what} is a number: {error}") from None
