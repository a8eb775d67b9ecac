"""The best of a search for words, without listing and scoring all that match.

Of each block of postings it is known how much its documents can score at most, so most blocks are passed over. This
does where nobody asks how many match, and where the scores themselves put the rows in order: rows that tie come by
primary key, which postings do not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from lutra.fields.capabilities import searchable
from lutra.kernels.row_mask import RowMask
from lutra.search.matching import Matching
from lutra.search.nodes.bool import Combined
from lutra.search.nodes.node import Clause, Condition, PartSearch
from lutra.search.nodes.words import Words, WordsNode
from lutra.search.plan import Plan
from lutra.search.scores import DocScores
from lutra.search.turns import by_turns
from lutra.text.part import best

_WANTED_MAX: Final = 1_001
"""For more rows than that too few blocks are passed over."""
_WEIGHT_MAX: Final = 1e100
"""With greater weights scores may leave float64."""


class _Asked(NamedTuple):
    """Words, and what else has to be true of a row, which scores nothing."""

    words: Words
    weights: tuple[float, ...]
    """Of the words, then of the query around them."""
    within: Combined | None


def best_matches(plan: Plan, parts: Sequence[PartSearch]) -> list[Matching] | None:
    """Some of what matches, where something does: the search's first ``offset + limit`` rows and one more among them.

    None where the search is of another kind, or rows tie at that place. One native call for all parts, once the
    conditions beside the words are listed. Raises RequestTimeout, StorageFailure, Corruption.
    """
    asked, wanted = _asked(plan.root), plan.offset + plan.limit + 1
    first = plan.order[0]
    if asked is None or not first.is_scoring or not first.descending or plan.token is not None:
        return None
    if plan.collapse is not None:
        return None
    if not plan.limit or wanted > _WANTED_MAX or not all(0 < weight < _WEIGHT_MAX for weight in asked.weights):
        return None
    words = asked.words
    by_size = sorted(parts, key=lambda part: part.part.rows, reverse=True)
    nodes = [part.node(words) for part in by_size]
    known = next(node.known for node in nodes if isinstance(node, WordsNode))
    until = by_size[0].deadline
    listed = by_turns(by_size, until, lambda part: _mask(part, asked.within, plan.filter), leaves_some=True)
    masks = [listed.get(number, RowMask.none(part.part.size)) for number, part in enumerate(by_size)]
    found = best(
        [searchable(part.part, words.field) for part in by_size],
        masks,
        words.terms,
        known.idf,
        known.average_length,
        words.needed,
        wanted,
        in_part=by_size[0].allows_part,
    )
    is_whole = len(listed) == len(by_size) and all(is_whole for _, _, is_whole in found)
    scores = [values for _, values, _ in found]
    for weight in asked.weights:
        scores = [values * weight for values in scores]
    together = np.sort(np.concatenate(scores))[::-1]
    # Of what was cut short nobody knows more: which of those that tie come is left open.
    if is_whole and len(together) >= wanted and together[wanted - 1] == together[wanted - 2]:
        return None
    for part, (_, _, is_complete) in zip(by_size, found, strict=True):
        part.stats.strategy = "block_max"
        part.stats.is_complete = part.stats.is_complete and is_complete
    return [
        Matching(part, len(docs), DocScores.of(docs, values), docs=np.sort(docs))
        for part, (docs, _, _), values in zip(by_size, found, scores, strict=True)
        if len(docs)
    ]


def _asked(root: Clause) -> _Asked | None:
    """What is asked, where only words score."""
    condition, within = root.condition, None
    weights: tuple[float, ...] = (root.weight,)
    if isinstance(condition, Combined):
        scoring = (*condition.must, *condition.should)
        if len(scoring) != 1 or condition.needed != len(condition.should):
            return None
        within = condition
        weights = (scoring[0].weight, within.weight, root.weight)
        condition = scoring[0].condition
    if not isinstance(condition, Words) or not 1 <= condition.needed <= len(condition.terms):
        return None
    return _Asked(condition, weights, within)


def _mask(search: PartSearch, within: Combined | None, besides: Condition | None) -> RowMask | None:
    """Rows that live and meet what else is asked; None where all do."""
    part = search.part
    mask = part.live
    if within is not None:
        for clause in within.filter:
            mask = mask & search.node(clause.condition).matches()
        for clause in within.must_not:
            mask = mask - search.node(clause.condition).matches()
    if besides is not None:
        mask = mask & search.node(besides).matches()
    return None if mask.count == part.size else mask
