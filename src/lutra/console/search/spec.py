"""A whole search as a form says it, checked against an index and made into a request.

::

    {"words": {...}, "near": {...}, "where": {...}, "sort": [...], "collapse": "author", "limit": 20, "offset": 0,
     "columns": ["title"], "aggregations": [...], "explain": true, "view": "cards" | "grid"}

All of it may be left out. Words and nearness together find rows of either, whose scores add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lutra.console.search import bounds
from lutra.console.search.aggregating import Wanted, wanted_of
from lutra.console.search.conditions import Conditions
from lutra.console.search.faults import Faults
from lutra.console.search.fields import SearchFields
from lutra.console.search.finding import Vectors, near_of, words_of
from lutra.console.search.node import Node
from lutra.console.search.ordering import sort_of
from lutra.model import limits
from lutra.model.names import is_column_name
from lutra.model.queries import Bool, ColumnsToGet, MatchAll, Query, ReturnColumns, ScoreSort, SearchRequest

VIEWS: Final = ("cards", "grid")
_KNOWN: Final = (
    "words",
    "near",
    "where",
    "sort",
    "collapse",
    "limit",
    "offset",
    "columns",
    "aggregations",
    "explain",
    "view",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that was checked. ``is_scored``: its rows come with scores that say something."""

    request: SearchRequest
    wanted: Wanted
    view: str
    is_scored: bool


def asked_of(spec: Any, fields: SearchFields, vectors: Vectors) -> Asked:
    """What a form asks for. Raises SpecInvalid, which tells all that is wrong and where."""
    faults = Faults()
    asked: Asked | None = None
    with faults.gathered():
        asked = _Reader(Node(spec).object(_KNOWN), fields, vectors, faults).read()
    faults.check()
    assert asked is not None
    return asked


class _Reader:
    """Reads one form, a control after the other."""

    def __init__(self, root: Node, fields: SearchFields, vectors: Vectors, faults: Faults) -> None:
        self._root = root
        self._fields = fields
        self._vectors = vectors
        self._faults = faults

    def read(self) -> Asked:
        root, faults = self._root, self._faults
        offset, limit = 0, bounds.LIMIT_DEFAULT
        with faults.gathered():
            offset, limit = self._page()
        where = self._where()
        found = self._found(where, limit)
        with faults.gathered():
            sort = root.get("sort")
            sorters = () if sort is None else sort_of(sort, self._fields, faults)
        with faults.gathered():
            aggregations = root.get("aggregations")
            wanted = Wanted() if aggregations is None else wanted_of(aggregations, self._fields, faults)
        with faults.gathered():
            collapse = self._collapse()
        with faults.gathered():
            columns = self._columns()
        with faults.gathered():
            explain, view = root.get("explain"), root.get("view")
            is_explained = explain is not None and explain.flag()
            shown = VIEWS[0] if view is None else view.one_of(VIEWS)
        faults.check()
        order = sorters or ((ScoreSort(),) if found else ())
        request = SearchRequest(
            _together(found, where),
            order,
            offset,
            limit,
            count_total=True,
            columns=columns,
            timeout_ms=limits.SEARCH_TIMEOUT_MS_MAX,
            explain=is_explained,
            samples_recall=is_explained,
            aggregations=wanted.metrics,
            group_bys=wanted.group_bys,
            collapse=collapse,
            allow_partial=True,
        )
        return Asked(request, wanted, shown, any(isinstance(one, ScoreSort) for one in order) and bool(found))

    def _where(self) -> Query | None:
        with self._faults.gathered():
            node = self._root.get("where")
            return None if node is None else Conditions(self._fields, self._faults).query(node)
        return None

    def _found(self, where: Query | None, page_rows: int) -> list[Query]:
        """What is looked for by nearness and by words, among the rows that pass ``where``."""
        found: list[Query] = []
        with self._faults.gathered():
            near = self._root.get("near")
            if near is not None:
                found.append(near_of(near, self._fields, self._vectors, where, page_rows))
        with self._faults.gathered():
            words = self._root.get("words")
            if words is not None:
                found.append(words_of(words, self._fields, where))
        return found

    def _page(self) -> tuple[int, int]:
        offset, limit = self._root.get("offset"), self._root.get("limit")
        rows = bounds.LIMIT_DEFAULT if limit is None else limit.whole(0, limits.SEARCH_LIMIT_MAX)
        return 0 if offset is None else offset.whole(0, limits.OFFSET_PLUS_LIMIT_MAX - rows), rows

    def _collapse(self) -> str | None:
        node = self._root.get("collapse")
        if node is None:
            return None
        field = self._fields.named(node)
        if not field.is_collapsible:
            raise node.wrong("Rows cannot be collapsed by {name}.", name=field.name)
        return field.name

    def _columns(self) -> ColumnsToGet:
        node = self._root.get("columns")
        if node is None:
            return ColumnsToGet(ReturnColumns.ALL)
        names: dict[str, None] = {}
        for one in node.items(bounds.COLUMNS_MAX):
            name = one.text(limits.COLUMN_NAME_BYTES_MAX)
            if not is_column_name(name):
                raise one.wrong("{name} is no name of a column.", name=name)
            names[name] = None
        return ColumnsToGet(ReturnColumns.SPECIFIED, tuple(names)) if names else ColumnsToGet(ReturnColumns.NONE)


def _together(found: list[Query], where: Query | None) -> Query:
    if not found:
        return MatchAll() if where is None else where
    return found[0] if len(found) == 1 else Bool(should=tuple(found), minimum_should_match=1)
