"""Queries that say what a row's score is: constant, the best of several, or by functions of its values."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lutra.model.geo import GeoPoint

if TYPE_CHECKING:
    from lutra.model.queries import Query


@dataclass(frozen=True, slots=True)
class ConstScore:
    """What ``filter`` matches, with score 1: whatever scores it gives are not reckoned."""

    filter: Query


@dataclass(frozen=True, slots=True)
class DisMax:
    """What one of ``queries`` matches. Its score: the best of theirs, and ``tie_breaker`` times each of the others."""

    queries: tuple[Query, ...]
    tie_breaker: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class FunctionScore:
    """What ``query`` matches; its score times the value of ``field``, a LONG or DOUBLE.

    Of an array the least value counts. A row without the field keeps its score.
    """

    query: Query
    field: str


class Modifier(enum.IntEnum):
    """What becomes of a value before it is a score; the numbers are the protocol's FunctionModifier.

    LOG is to base 10, LN to base e; 1P and 2P add 1 and 2 before.
    """

    NONE = 1
    LOG = 2
    LOG1P = 3
    LOG2P = 4
    LN = 5
    LN1P = 6
    LN2P = 7
    SQUARE = 8
    SQRT = 9
    RECIPROCAL = 10


@dataclass(frozen=True, slots=True)
class FieldValueFactor:
    """``modifier(factor * value)`` of a LONG or DOUBLE field; of an array by its least value.

    ``missing`` stands for the value of rows that have none, or one of which there is no such modification, as the
    logarithm of 0. None: the function says nothing of them.
    """

    field: str
    factor: float = 1.0
    modifier: Modifier = Modifier.NONE
    missing: float | None = None


class DecayShape(enum.IntEnum):
    """How a score falls with the distance; the numbers are the protocol's DecayMathFunction."""

    GAUSS = 1
    EXP = 2
    LINEAR = 3


class ManyMode(enum.IntEnum):
    """Which of the distances of an array's values counts; the numbers are the protocol's MultiValueMode."""

    MAX = 1
    MIN = 2
    SUM = 3
    AVG = 4


@dataclass(frozen=True, slots=True)
class NumberOrigin:
    """Where the score of a LONG or DOUBLE field is 1: at ``origin``, and ``offset`` to both sides of it.

    ``scale`` further on it is the decay's.
    """

    origin: float
    scale: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class DateOrigin:
    """As NumberOrigin, of a DATE field: ``origin`` in one of its formats, as a datetime, or as nanoseconds since the
    epoch."""

    origin: int | str | dt.datetime
    scale_ns: int
    offset_ns: int = 0


@dataclass(frozen=True, slots=True)
class GeoOrigin:
    """As NumberOrigin, of a GEO_POINT field: in metres along the earth."""

    origin: GeoPoint
    scale_m: float
    offset_m: float = 0.0


Origin = NumberOrigin | DateOrigin | GeoOrigin


@dataclass(frozen=True, slots=True)
class Decay:
    """1 near an origin and ever less away from it: ``decay`` at the origin's scale. 1 for rows without the field."""

    field: str
    origin: Origin
    shape: DecayShape
    decay: float = 0.5
    mode: ManyMode = ManyMode.MIN


@dataclass(frozen=True, slots=True)
class RandomScore:
    """Between 0 and 1, by chance: for each row the same as long as ``seed`` is; None draws one for each search.

    A search that goes on from a token has the seed of the one before.
    """

    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ScoreFunction:
    """``function`` times ``weight``, of rows that ``filter`` matches; the weight alone where there is no function."""

    function: FieldValueFactor | Decay | RandomScore | None = None
    weight: float = 1.0
    filter: Query | None = None


class FunctionMode(enum.IntEnum):
    """How functions that say something of a row become one score; the numbers are the protocol's FunctionScoreMode.

    AVG goes by their weights. FIRST: the first of them alone.
    """

    AVG = 1
    MAX = 2
    SUM = 3
    MIN = 4
    MULTIPLY = 5
    FIRST = 6


class CombineMode(enum.IntEnum):
    """How a query's score and that of functions become one; the numbers are the protocol's FunctionCombineMode."""

    MULTIPLY = 1
    AVG = 2
    MAX = 3
    SUM = 4
    MIN = 5
    REPLACE = 6


@dataclass(frozen=True, slots=True)
class FunctionsScore:
    """What ``query`` matches, scored by it and by up to three ``functions``.

    Functions together score 1 where none says anything of a row, and ``max_score`` at most. Rows that score less than
    ``min_score`` in the end, both as float32, do not match.
    """

    query: Query
    functions: tuple[ScoreFunction, ...]
    mode: FunctionMode = FunctionMode.MULTIPLY
    combine: CombineMode = CombineMode.MULTIPLY
    min_score: float | None = None
    max_score: float | None = None


ScoringQuery = ConstScore | DisMax | FunctionScore | FunctionsScore
