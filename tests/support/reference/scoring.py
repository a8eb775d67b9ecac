"""Queries that say what a score is: constant, the best of several, or by functions of what fields hold."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from support.geo_model import arc_m
from support.reference.documents import Document
from support.reference.space import Scores, Space, answers
from support.reference.values import operand_of

from lutra.model.scoring import (
    CombineMode,
    ConstScore,
    DateOrigin,
    Decay,
    DecayShape,
    DisMax,
    FieldValueFactor,
    FunctionMode,
    FunctionScore,
    FunctionsScore,
    GeoOrigin,
    ManyMode,
    Modifier,
    NumberOrigin,
    ScoreFunction,
)

_MOST = sys.float_info.max
_MODIFIERS: dict[Modifier, Any] = {
    Modifier.NONE: lambda x: x,
    Modifier.LOG: math.log10,
    Modifier.LOG1P: lambda x: math.log10(x + 1),
    Modifier.LOG2P: lambda x: math.log10(x + 2),
    Modifier.LN: math.log,
    Modifier.LN1P: lambda x: math.log(x + 1),
    Modifier.LN2P: lambda x: math.log(x + 2),
    Modifier.SQUARE: lambda x: x * x,
    Modifier.SQRT: math.sqrt,
    Modifier.RECIPROCAL: lambda x: 1 / x,
}


def clamped(number: float) -> float:
    """Within float64."""
    return min(max(number, -_MOST), _MOST)


@answers(ConstScore)
def const_score(query: ConstScore, space: Space) -> Scores:
    return dict.fromkeys(space.match(query.filter), 1.0)


@answers(DisMax)
def dis_max(query: DisMax, space: Space) -> Scores:
    each = [space.match(part) for part in query.queries]
    found: Scores = {}
    for one in space.documents:
        scores = sorted(of[one] for of in each if one in of)
        if scores:
            others = clamped(math.fsum([score / 4 for score in scores[:-1]]) * 4)
            found[one] = clamped(clamped(scores[-1] + query.tie_breaker * others) * query.weight)
    return found


@answers(FunctionScore)
def function_score(query: FunctionScore, space: Space) -> Scores:
    return functions_score(FunctionsScore(query.query, (ScoreFunction(FieldValueFactor(query.field)),)), space)


@answers(FunctionsScore)
def functions_score(query: FunctionsScore, space: Space) -> Scores:
    filters = [None if one.filter is None else space.match(one.filter) for one in query.functions]
    found: Scores = {}
    for one, score in space.match(query.query).items():
        said = [
            (said_of(function, one, space), function.weight)
            for function, within in zip(query.functions, filters, strict=True)
            if within is None or one in within
        ]
        made = together(query.mode, [(value, weight) for value, weight in said if value is not None])
        if query.max_score is not None:
            made = min(made, query.max_score)
        total, bound = combined(query.combine, score, made), query.min_score
        if bound is not None and total != bound and math.isclose(total, bound, rel_tol=1e-5, abs_tol=1e-5):
            space.doubts.append("a score")
        with np.errstate(over="ignore", under="ignore"):
            if bound is None or np.float32(total) >= np.float32(bound):
                found[one] = total
    return found


def said_of(function: ScoreFunction, one: Document, space: Space) -> float | None:
    """Times its weight; None where it says nothing of the document."""
    match function.function:
        case FieldValueFactor() as factor:
            value = modified(factor, min(one.elements.get(factor.field, []), default=None))
        case Decay() as decay:
            value = decayed(decay, one.elements.get(decay.field, []), space)
        case None:
            value = 1.0
        case other:
            raise AssertionError(other)
    return None if value is None else clamped(value * function.weight)


def modified(function: FieldValueFactor, value: float | None) -> float | None:
    """What stands in does so for a value of which there is no such modification, too."""
    for candidate in (value, function.missing):
        try:
            if candidate is not None:
                return clamped(float(_MODIFIERS[function.modifier](clamped(candidate * function.factor))))
        except (ValueError, ZeroDivisionError):
            pass
    return None


def decayed(function: Decay, elements: list[Any], space: Space) -> float:
    if not elements:
        return 1.0
    match function.origin:
        case NumberOrigin(origin, scale, offset):
            distances = [abs(element - origin) for element in elements]
        case DateOrigin(given, scale, offset):
            origin_ns = given if isinstance(given, int) else operand_of(space.field(function.field), given)
            distances = [float(abs(element - origin_ns)) for element in elements]
        case GeoOrigin(point, scale, offset):
            distances = [arc_m((point.lat, point.lon), element) for element in elements]
    beyond = max(0.0, of_many(function.mode, distances) - offset) / scale
    if function.shape is DecayShape.LINEAR:
        return max(0.0, 1 - (1 - function.decay) * beyond)
    power = beyond * beyond if function.shape is DecayShape.GAUSS else beyond
    return math.exp(math.log(function.decay) * power)


def of_many(mode: ManyMode, distances: list[float]) -> float:
    match mode:
        case ManyMode.MIN:
            return min(distances)
        case ManyMode.MAX:
            return max(distances)
        case ManyMode.SUM:
            return sum(distances)
        case ManyMode.AVG:
            return sum(distances) / len(distances)


def together(mode: FunctionMode, said: list[tuple[float, float]]) -> float:
    """Of values times weights, and the weights."""
    values = [value for value, _ in said]
    if not values:
        return 1.0
    match mode:
        case FunctionMode.FIRST:
            return values[0]
        case FunctionMode.MAX:
            return max(values)
        case FunctionMode.MIN:
            return min(values)
        case FunctionMode.MULTIPLY:
            product = 1.0
            for value in values:
                product = clamped(product * value)
            return product
        case FunctionMode.SUM:
            return added(values)
        case FunctionMode.AVG:
            weights = sum(weight for _, weight in said)
            return clamped(added(values) / weights) if weights else 0.0


def added(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total = clamped(total + value)
    return total


def combined(mode: CombineMode, of_query: float, of_functions: float) -> float:
    match mode:
        case CombineMode.MULTIPLY:
            return clamped(of_query * of_functions)
        case CombineMode.SUM:
            return clamped(of_query + of_functions)
        case CombineMode.AVG:
            return of_query / 2 + of_functions / 2
        case CombineMode.MAX:
            return max(of_query, of_functions)
        case CombineMode.MIN:
            return min(of_query, of_functions)
        case CombineMode.REPLACE:
            return of_functions
