"""What queries that score otherwise should find, in plain Python: beside `support.search_model`."""

from __future__ import annotations

import math
import random
import sys
from typing import Any

import numpy as np
from hypothesis import strategies as st
from support.search_model import ELEMENTS, Model

from lutra.model.queries import Bool, Exists, KnnVector, MatchAll, Query, Range, Terms
from lutra.model.rows import PrimaryKey
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
    ManyMode,
    Modifier,
    NumberOrigin,
    Origin,
    ScoreFunction,
)

NS_PER_MS = 1_000_000
_MOST = sys.float_info.max
_NUMBERS = ["long", "double"]


def random_function(rng: random.Random) -> FieldValueFactor | Decay | None:
    pick = rng.choice
    if rng.random() < 0.4:
        missing = pick([None, 1.0, 3.5])
        return FieldValueFactor(
            pick(_NUMBERS), pick([1.0, 0.5, 1e30, 1.0 if missing else -2.0]), pick(list(Modifier)), missing
        )
    if rng.random() < 0.2:
        return None
    origin: Origin
    if rng.random() < 0.5:
        field, origin = pick(_NUMBERS), NumberOrigin(pick([0.0, 1.3, -4.0]), pick([1.0, 3.0, 1e9]), pick([0.0, 0.5]))
    else:
        field, scale_ns = "date", pick([NS_PER_MS, 3 * NS_PER_MS, 5])
        origin = DateOrigin(pick([0, "1", 2 * NS_PER_MS, -(2**63), 2**63 - 1]), scale_ns, pick([0, 400_000]))
    return Decay(field, origin, pick(list(DecayShape)), pick([0.5, 0.1, 0.99]), pick(list(ManyMode)))


def random_leaf(rng: random.Random) -> Query:
    name = rng.choice(sorted(ELEMENTS))
    kind = rng.randrange(6)
    if kind == 0:
        return MatchAll()
    if kind == 1:
        return Exists(name)
    if kind == 2:
        return Terms(name, tuple(rng.choices(ELEMENTS[name], k=3)), rng.choice([0.5, 1.0, 2.0]))
    if kind == 3:
        return Range("long", rng.choice([None, 0]), rng.choice([None, 2]))
    vector = np.array([rng.randint(-2, 2), rng.randint(-2, 2)], np.float32)
    return KnnVector("vector", vector, rng.choice([3, 12, 30]), weight=rng.choice([1.0, 3.0]))


def random_scored(rng: random.Random, depth: int) -> Query:
    """A tree of queries that score otherwise, among others."""
    pick = rng.choice

    def part() -> Query:
        return random_scored(rng, depth - 1)

    def function() -> ScoreFunction:
        within = without_neighbours(random_leaf(rng)) if rng.random() < 0.3 else None
        return ScoreFunction(random_function(rng), pick([0.0, 0.5, 1.0, 3.0, 1e38]), within)

    kind = 0 if depth == 0 else rng.randrange(1, 7)
    if kind == 0:
        return random_leaf(rng)
    if kind == 1:
        return ConstScore(part())
    if kind == 2:
        some = tuple(part() for _ in range(rng.randint(1, 3)))
        return DisMax(some, pick([0.0, 0.3, 1.0]), pick([0.5, 1.0, 3e38]))
    if kind == 3:
        return Bool(must=(part(),), should=(part(),))
    if kind == 4:
        return FunctionScore(part(), pick(_NUMBERS))
    return FunctionsScore(
        part(),
        tuple(function() for _ in range(rng.randint(1, 3))),
        pick(list(FunctionMode)),
        pick(list(CombineMode)),
        pick([None, None, None, -1.0, 0.4, 2.0]),
        pick([None, None, 0.7, 100.0]),
    )


def without_neighbours(query: Query) -> Query:
    """For a filter of neighbours, in which there may be no others."""
    return MatchAll() if isinstance(query, KnnVector) else query


SCORED = st.builds(random_scored, st.integers(0, 2**32).map(random.Random), st.integers(1, 3))


def clamped(number: float) -> float:
    return min(max(number, -_MOST), _MOST)


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


class ScoringModel(Model):
    """Beside the scores, `close` has the rows of which rounding decides whether they score enough."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.close = False

    def match(self, query: Query, root: bool = False) -> dict[PrimaryKey, float]:
        match query:
            case ConstScore(inner):
                return dict.fromkeys(self.match(inner), 1.0)
            case DisMax():
                return self.dis_max(query)
            case FunctionScore(inner, field):
                return self.functions(FunctionsScore(inner, (ScoreFunction(FieldValueFactor(field)),)))
            case FunctionsScore():
                return self.functions(query)
        return super().match(query, root)

    def dis_max(self, query: DisMax) -> dict[PrimaryKey, float]:
        each = [self.match(part) for part in query.queries]
        found = {}
        for key in {key for one in each for key in one}:
            scores = sorted(one[key] for one in each if key in one)
            best = scores[-1]
            others = clamped(math.fsum([score / 4 for score in scores[:-1]]) * 4)
            found[key] = clamped(clamped(best + query.tie_breaker * others) * query.weight)
        return found

    def functions(self, query: FunctionsScore) -> dict[PrimaryKey, float]:
        filters = [None if one.filter is None else self.match(one.filter) for one in query.functions]
        found = {}
        for key, score in self.match(query.query).items():
            said = [
                (self.said(key, one), one.weight)
                for one, within in zip(query.functions, filters, strict=True)
                if within is None or key in within
            ]
            made = together(query.mode, [(value, weight) for value, weight in said if value is not None])
            if query.max_score is not None:
                made = min(made, query.max_score)
            total = combined(query.combine, score, made)
            bound = query.min_score
            if bound is not None and math.isclose(total, bound, rel_tol=1e-5, abs_tol=1e-5) and total != bound:
                self.close = True
            with np.errstate(over="ignore", under="ignore"):
                if bound is None or np.float32(total) >= np.float32(bound):
                    found[key] = total
        return found

    def said(self, key: PrimaryKey, function: ScoreFunction) -> float | None:
        """Times its weight; None where it says nothing."""
        values = self.world.rows[key].get(getattr(function.function, "field", ""), [])
        match function.function:
            case FieldValueFactor():
                value = modified(function.function, min(values, default=None))
            case Decay():
                value = decayed(function.function, values)
            case _:
                value = 1.0
        return None if value is None else clamped(value * function.weight)


def modified(function: FieldValueFactor, value: float | None) -> float | None:
    for candidate in (value, function.missing):
        try:
            if candidate is not None:
                return clamped(float(_MODIFIERS[function.modifier](clamped(candidate * function.factor))))
        except (ValueError, ZeroDivisionError):
            pass
    return None


def decayed(function: Decay, values: list[Any]) -> float:
    if not values:
        return 1.0
    match function.origin:
        case NumberOrigin(origin, scale, offset):
            distances = [abs(value - origin) for value in values]
        case DateOrigin(given, scale, offset):
            origin_ns = int(given) * NS_PER_MS if isinstance(given, str) else given
            assert isinstance(origin_ns, int)
            distances = [float(abs(value * NS_PER_MS - origin_ns)) for value in values]
    distance = {
        ManyMode.MIN: min,
        ManyMode.MAX: max,
        ManyMode.SUM: sum,
        ManyMode.AVG: lambda every: sum(every) / len(every),
    }[function.mode](distances)  # type: ignore[operator]
    beyond = max(0.0, distance - offset) / scale
    if function.shape is DecayShape.LINEAR:
        return max(0.0, 1 - (1 - function.decay) * beyond)
    power = beyond * beyond if function.shape is DecayShape.GAUSS else beyond
    return math.exp(math.log(function.decay) * power)


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
    return {
        CombineMode.MULTIPLY: clamped(of_query * of_functions),
        CombineMode.SUM: clamped(of_query + of_functions),
        CombineMode.AVG: of_query / 2 + of_functions / 2,
        CombineMode.MAX: max(of_query, of_functions),
        CombineMode.MIN: min(of_query, of_functions),
        CombineMode.REPLACE: of_functions,
    }[mode]
