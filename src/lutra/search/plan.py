"""What a search is to do, decided before any part is looked at: the query bound, the order, the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lutra.fields.kinds import kind_of
from lutra.index.definitions.sorters import check_sort
from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.queries import PrimaryKeySort, Query, ScoreSort, SearchRequest, Sorter
from lutra.model.scoring import FunctionsScore
from lutra.search import nodes as _nodes  # noqa: F401  # whose modules say which queries there are
from lutra.search import sorts as _sorts  # noqa: F401  # and which sorters
from lutra.search.aggregations import Level, LevelBinder
from lutra.search.binder import Binder
from lutra.search.highlighting import check_highlight
from lutra.search.inner_hits import Asked, asked_within
from lutra.search.nodes.knn import Near
from lutra.search.nodes.nested import HasDocument
from lutra.search.nodes.node import Clause, Condition, Placed
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import are_marks_of, bind_sort
from lutra.search.token import Token

_NO_LEVEL: Final = Level((), ())
_BY_KEY: Final = (PrimaryKeySort(),)
_NOTHING_WITHIN: Final[Asked] = {}


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that was checked."""

    root: Clause
    conditions: Sequence[Placed]
    """All that the query is made of, each once."""
    sort: tuple[Sorter, ...]
    """As the token or the request has it, else the index."""
    order: tuple[Ordering, ...]
    """``sort`` up to the primary key, which settles ties."""
    token: Token | None
    offset: int
    limit: int
    is_scoring: bool
    """Whether hits carry scores."""
    needs_scores: bool
    """Whether anything looks at scores."""
    filter: Condition | None
    """What rows have to match besides, whatever they score."""
    collapse: str | None
    """The field of which each value comes once."""
    inner_hits: Asked
    """Nested queries that ask for their documents."""
    seed: int | None
    """Of random scores that had none of their own; None where there are none."""
    aggregations: Level
    """What is asked of all rows that match."""

    @property
    def scored_roots(self) -> list[Placed]:
        """Conditions whose scores are asked for: of the root by the sort, of others by what they match, or by inner
        hits."""
        by_score = [placed for placed in self.conditions if placed.condition.matches_by_score]
        for _, condition in self.conditions:
            if isinstance(condition, HasDocument) and condition.hits is not None and condition.hits.is_scoring:
                by_score.append(Placed(condition.path, condition.inner.condition))
        return [Placed("", self.root.condition), *by_score] if self.needs_scores else by_score

    @property
    def nears(self) -> list[Placed]:
        """The KNN conditions, each once."""
        return [placed for placed in self.conditions if isinstance(placed.condition, Near)]

    @property
    def top_k(self) -> int | None:
        """How many neighbours a KNN query at the root finds."""
        return self.root.condition.top_k if isinstance(self.root.condition, Near) else None


def plan_of(
    view: IndexView,
    request: SearchRequest,
    known: dict[Condition, Condition] | None = None,
    seed: int | None = None,
) -> Plan:
    """Checks a request against the schema of ``view``, all of it, once. Raises ParameterInvalid.

    ``known``: conditions of other requests over the same view (`Binder`). ``seed``: of random scores that have none of
    their own, where the request's token does not say it; None: one is drawn.
    """
    offset, limit = _page_of(request)
    token = _read_token(view, request.token) if request.token else None
    sort = token.sort if token is not None else request.sort or _order_of(request.query) or view.schema.sort or _BY_KEY
    check_sort(view.schema, sort)
    if request.highlight is not None:
        check_highlight(view.schema, request.highlight)
    root_top_k = limit if token is None or token.top_k is None else token.top_k
    seed = seed if token is None or token.seed is None else token.seed
    binder = Binder(view, root_top_k, known, seed, request.recall_target)
    root = binder.bind(request.query)
    within = None if request.filter is None else binder.bind_beside(request.filter).condition
    order = bind_sort(sort, binder)
    if request.collapse is not None:
        _check_collapse(view, request.collapse, token)
    if token is not None and not are_marks_of(order, token.marks):
        raise ParameterInvalid("[token] is invalid")
    is_scoring = any(isinstance(sorter, ScoreSort) for sorter in sort)
    is_aggregating = bool(request.aggregations or request.group_bys)
    level = LevelBinder(view, binder).bind(request.aggregations, request.group_bys) if is_aggregating else _NO_LEVEL
    return Plan(
        root,
        binder.conditions,
        sort,
        order,
        token,
        offset,
        limit,
        is_scoring,
        is_scoring or level.is_scoring,
        within,
        request.collapse,
        asked_within(root.condition) if view.schema.has_nested else _NOTHING_WITHIN,
        binder.seed,
        level,
    )


def _order_of(query: Query) -> tuple[Sorter, ...]:
    """Functions are there to put rows in order: an SDK's tests rely on the best coming first without a sort."""
    return (ScoreSort(),) if isinstance(query, FunctionsScore) else ()


def _check_collapse(view: IndexView, name: str, token: Token | None) -> None:
    if token is not None:
        raise ParameterInvalid("[collapse] cannot go with [token]: page by [offset] and [limit]")
    field = view.schema.field_in("", name)
    if field is None:
        raise ParameterInvalid(f"[collapse] field_name: {name} does not exist")
    if not kind_of(field).is_collapsible or field.is_array:
        kind = f"array of {field.type.name.lower()}" if field.is_array else field.type.name.lower()
        raise ParameterInvalid(f"[collapse] field_name: {name} type: {kind} is invalid, allow [long, double, keyword]")
    if not field.is_sortable:
        raise ParameterInvalid(f"[collapse] field_name: {name} was created without sort_and_agg")


def _page_of(request: SearchRequest) -> tuple[int, int]:
    """``(offset, limit)`` of the request, defaults filled in."""
    limit = limits.SEARCH_LIMIT_DEFAULT if request.limit is None else request.limit
    if limit < 0:
        raise ParameterInvalid(f"[limit] must not be negative: {limit}")
    if request.offset < 0:
        raise ParameterInvalid(f"[offset] must not be negative: {request.offset}")
    if request.offset + limit > limits.OFFSET_PLUS_LIMIT_MAX:
        raise ParameterInvalid(f"[offset] + [limit] must not exceed {limits.OFFSET_PLUS_LIMIT_MAX}: page with a token")
    if request.token and request.offset:
        raise ParameterInvalid("[offset] cannot go with [token]")
    return request.offset, limit


def _read_token(view: IndexView, data: bytes) -> Token:
    """Raises ParameterInvalid for a token that is not of this index."""
    token = Token.decode(data)
    key = token.marks[-1] if token.marks else None
    if not isinstance(key, bytes) or not token.sort:
        raise ParameterInvalid("[token] is invalid")
    try:
        view.decode_key(key)
    except Corruption:
        raise ParameterInvalid("[token] is invalid") from None
    return token
