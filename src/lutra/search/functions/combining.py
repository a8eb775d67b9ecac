"""What several functions say of a row as one score, and that and the query's as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.model.scoring import CombineMode, FunctionMode
from lutra.search.functions.function import ANYTHING
from lutra.search.scores import MatchScores

Numbers = npt.NDArray[np.float64]


class Weighed(NamedTuple):
    """What one function says of some documents, times its weight."""

    values: Numbers
    """Finite."""
    where: npt.NDArray[np.bool_] | None
    """Of which it says something; None: of all."""
    weight: float


def times(left: Any, right: Any) -> Any:
    """The product of what is finite, finite."""
    with np.errstate(over="ignore", under="ignore"):
        return np.clip(np.multiply(left, right), -ANYTHING, ANYTHING)


def plus(left: Any, right: Any) -> Any:
    """The sum of what is finite, finite."""
    with np.errstate(over="ignore"):
        return np.clip(np.add(left, right), -ANYTHING, ANYTHING)


def _halves(left: Any, right: Any) -> Any:
    return np.multiply(left, 0.5) + np.multiply(right, 0.5)


_FOLDED: Final[dict[FunctionMode, tuple[float, Callable[[Any, Any], Any]]]] = {
    FunctionMode.MULTIPLY: (1.0, times),
    FunctionMode.SUM: (0.0, plus),
    FunctionMode.MAX: (-ANYTHING, np.maximum),
    FunctionMode.MIN: (ANYTHING, np.minimum),
}
_COMBINED: Final[dict[CombineMode, Callable[[Any, Any], Any]]] = {
    CombineMode.MULTIPLY: times,
    CombineMode.SUM: plus,
    CombineMode.AVG: _halves,
    CombineMode.MAX: np.maximum,
    CombineMode.MIN: np.minimum,
    CombineMode.REPLACE: lambda of_query, of_functions: of_functions,
}


def together(mode: FunctionMode, said: Sequence[Weighed], count: int) -> Numbers:
    """float64[count], finite: 1 for documents of which no function says anything."""
    spoken = np.zeros(count, bool)
    start, fold = _FOLDED.get(mode, (0.0, plus))
    result, weights = np.full(count, start), np.zeros(count)
    for one in said:
        where = np.ones(count, bool) if one.where is None else one.where
        if mode is FunctionMode.FIRST:
            where = where & ~spoken
        result[where] = fold(result[where], one.values[where])
        weights[where] += one.weight
        spoken |= where
    if mode is FunctionMode.AVG:
        result = np.divide(result, weights, out=np.zeros(count), where=weights > 0)
        result = np.clip(result, -ANYTHING, ANYTHING)
    result[~spoken] = 1.0
    return result


def combined(mode: CombineMode, of_query: MatchScores, of_functions: Numbers) -> Numbers:
    """float64[n], finite; ``of_query`` is too."""
    result: Numbers = _COMBINED[mode](of_query, of_functions)
    return result
