"""In which order documents within a row come: as a search asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lutra.index.definitions.sorters import check_sort
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.nested import InnerHits
from lutra.model.queries import DocSort, PrimaryKeySort, ScoreSort
from lutra.search.binder import Binder
from lutra.search.highlighting import check_highlight
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import bind_sorter

_BEST_FIRST: Final = (ScoreSort(),)


@dataclass(frozen=True, slots=True)
class BoundInnerHits:
    """Which documents of a row are asked for, checked."""

    order: tuple[Ordering, ...]
    """Those that tie in all of it come by their places in the array: `last_first`, or the first first."""
    last_first: bool
    offset: int
    limit: int
    is_scoring: bool
    """Whether they carry scores."""


def bind_inner_hits(asked: InnerHits, binder: Binder) -> BoundInnerHits:
    """Of the documents that ``binder`` is binding a query about. Raises ParameterInvalid."""
    if asked.offset < 0 or asked.limit < 0:
        raise ParameterInvalid(f"[inner_hits] offset and limit must not be negative: {asked.offset}, {asked.limit}")
    if asked.offset + asked.limit > limits.INNER_HITS_MAX:
        raise ParameterInvalid(
            f"[inner_hits] offset + limit must not exceed {limits.INNER_HITS_MAX}: {asked.offset + asked.limit}"
        )
    sort = asked.sort or _BEST_FIRST
    check_sort(binder.schema, sort, binder.space)
    if asked.highlight is not None:
        for style in asked.highlight.fields:
            binder.field_here("highlight", style.field)
        check_highlight(binder.schema, asked.highlight, binder.space)
    order: list[Ordering] = []
    by_place = None
    for sorter in sort:
        if isinstance(sorter, DocSort | PrimaryKeySort):  # documents of one row have its key in common
            by_place = sorter
            break
        order.append(bind_sorter(sorter, binder))
    is_scoring = any(isinstance(sorter, ScoreSort) for sorter in sort)
    last_first = by_place is not None and by_place.descending
    return BoundInnerHits(tuple(order), last_first, asked.offset, asked.limit, is_scoring)
