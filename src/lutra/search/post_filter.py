"""Neighbours under a filter that takes longer to list than to check: a walk without it comes first.

What the walk comes by is checked, document by document, and what passes is all that the search is then among. So a
phrase that half of the rows have, or a polygon round half of them, costs some checks and not a list. That many pass is
a guess until they are checked: where too few do, the filter is listed after all, and the search planned by that.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from lutra.fields.capabilities import nearest as nearest_in
from lutra.kernels.row_mask import RowMask
from lutra.search.nodes.knn import Near
from lutra.search.nodes.node import PartSearch

CHECK_US: Final = 80.0
"""To check what a walk came by, and to search among what passes."""
PASSING_MIN: Final = 0.15
"""Of all documents: where fewer pass a walk has to be too wide."""
_ENOUGH: Final = 2
"""Times what is wanted has to pass at least, and"""
_ENOUGH_MIN: Final = 16
"""so many: those that are nearest by estimate are not all the nearest."""


class Passed(NamedTuple):
    """Documents near a query that pass its filter, all others being left out."""

    mask: RowMask
    looked_at: int
    """Documents that were checked for it."""
    distances: int
    """Estimates of the walk to them."""


def passed_nearby(condition: Near, search: PartSearch, wanted: int) -> Passed | None:
    """What a search for ``wanted`` neighbours may be among in a part; None where its filter is better listed.

    Raises RequestTimeout, StorageFailure, Corruption.
    """
    if condition.filter is None or condition.num_candidates is not None:
        return None
    node = search.node(condition.filter)
    known = node.unlisted()
    if known is None or known.list_us <= CHECK_US or known.passing < PASSING_MIN:
        return None
    vectors = nearest_in(search.part, condition.field)
    near = vectors.near(condition.vector, wanted, known.passing, known.list_us - CHECK_US, condition.recall_target)
    if near is None:
        return None
    passing = near.docs[node.matches_of(near.docs)]
    if search.part.rows < search.part.size:
        passing = passing[search.part.live.has(passing)]
    if len(passing) < max(_ENOUGH_MIN, _ENOUGH * wanted):
        return None
    return Passed(RowMask.of_rows(passing, search.part.size), len(near.docs), near.distances)
