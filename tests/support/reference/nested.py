"""Queries for documents within documents."""

from __future__ import annotations

from support.reference.queries import within_float64
from support.reference.space import Scores, Space, answers

from lutra.model.nested import Nested, ScoreMode


@answers(Nested)
def nested(query: Nested, space: Space) -> Scores:
    matching = space.below(query.path).match(query.query)
    found: Scores = {}
    for one in space.documents:
        scores = [matching[child] for child in one.below(query.path) if child in matching]
        if scores:
            found[one] = within_float64(together(query.mode, scores) * query.weight)
    return found


def together(mode: ScoreMode, scores: list[float]) -> float:
    match mode:
        case ScoreMode.NONE:
            return 0.0
        case ScoreMode.AVG:
            return sum(score / len(scores) for score in scores)
        case ScoreMode.MAX:
            return max(scores)
        case ScoreMode.MIN:
            return min(scores)
        case ScoreMode.TOTAL:
            return within_float64(sum(scores))
