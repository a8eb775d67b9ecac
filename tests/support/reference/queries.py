"""Queries that compare what a field holds, and what combines them."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

from support.reference.minimum import needed_of
from support.reference.space import Scores, Space, answers
from support.reference.values import operand_of
from support.reference.words import word_scores

from lutra.model.queries import Bool, Exists, MatchAll, Range, Term, Terms


@answers(MatchAll)
def match_all(query: MatchAll, space: Space) -> Scores:
    return dict.fromkeys(space.documents, 1.0)


@answers(Exists)
def exists(query: Exists, space: Space) -> Scores:
    if space.field(query.field).is_nested:
        return dict.fromkeys((one for one in space.documents if one.children.get(query.field)), 1.0)
    below = f"{query.field}."  # of a path into objects: a leaf there, or below
    return {one: 1.0 for one in space.documents if any(f"{name}.".startswith(below) for name in one.elements)}


@answers(Term)
def term(query: Term, space: Space) -> Scores:
    wanted = operand_of(space.field(query.field), query.value)
    if space.is_text(query.field):
        return word_scores(space, query.field, [wanted], 1, query.weight)
    return space.where(query.field, lambda element: is_wanted(element, wanted), query.weight)


@answers(Terms)
def terms(query: Terms, space: Space) -> Scores:
    wanted = [operand_of(space.field(query.field), value) for value in query.values]
    if space.is_text(query.field):
        return space.where(query.field, lambda words: any(word in wanted for word in words.terms), query.weight)
    return space.where(query.field, lambda element: any(is_wanted(element, one) for one in wanted), query.weight)


def is_wanted(element: Any, wanted: Any) -> bool:
    """A network is as good as each of its addresses."""
    return element in wanted if isinstance(wanted, ipaddress.IPv6Network) else element == wanted


@answers(Range)
def in_range(query: Range, space: Space) -> Scores:
    field = space.field(query.field)
    low = None if query.lower is None else operand_of(field, query.lower)
    high = None if query.upper is None else operand_of(field, query.upper)

    def is_within(element: Any) -> bool:
        is_above = low is None or low < element or (query.include_lower and low == element)
        return is_above and (high is None or element < high or (query.include_upper and element == high))

    return space.where(query.field, is_within)


@answers(Bool)
def bool_query(query: Bool, space: Space) -> Scores:
    must, should = [space.match(q) for q in query.must], [space.match(q) for q in query.should]
    filters, must_not = [space.match(q) for q in query.filter], [space.match(q) for q in query.must_not]
    needed = needed_of(query.minimum_should_match, len(should))
    if should and not must and not filters:
        needed = max(needed, 1)
    is_empty = not (must or should or filters or must_not)
    found: Scores = {}
    for one in space.documents:
        is_kept = all(one in scores for scores in must + filters) and not any(one in scores for scores in must_not)
        if is_kept and sum(one in scores for scores in should) >= needed:
            score = 1.0 if is_empty else sum(scores.get(one, 0.0) for scores in must + should)
            found[one] = within_float64(score * query.weight)
    return found


def within_float64(score: float) -> float:
    return min(max(score, -sys.float_info.max), sys.float_info.max)
