"""What the address of a table's page of rows asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from lutra.console.grid import PAGE_ROWS, PageWanted, Place, whole_key
from lutra.console.row_keys import beginning_with, bound, key_of_token, key_token, key_value
from lutra.instance.layout import Layout
from lutra.instance.table import Table
from lutra.model.errors import InvalidPrimaryKey, ParameterInvalid
from lutra.model.rows import KeyInput
from lutra.model.values import INF_MAX, INF_MIN
from lutra.transfer.where import parse_where_of

_PAGE_ROWS_DEFAULT: Final = 50
_COLUMNS_MAX: Final = 200
_PLACES: Final = {"from": (False, True), "after": (False, False), "upto": (True, True), "before": (True, False)}
"""By the parameter that has the key: whether it is read downwards, and with that key."""
_PARAMETERS: Final = {place: name for name, place in _PLACES.items()}


@dataclass(frozen=True, slots=True)
class GridQuery:
    """As people typed it. ``starts_at``: a text for each of the first key columns."""

    where: str = ""
    prefix: str = ""
    starts_at: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows_max: int = _PAGE_ROWS_DEFAULT
    place: tuple[str, str] | None = None
    """A parameter and the key in it."""
    is_last: bool = False
    index: str = ""

    @classmethod
    def of(cls, query: QueryParams, layout: Layout) -> GridQuery:
        rows = query.get("rows", "")
        starts_at = [query.get(f"start-{number}", "") for number in range(len(layout.key))]
        while starts_at and not starts_at[-1]:
            starts_at.pop()
        place = next(((name, query[name]) for name in _PLACES if query.get(name)), None)
        return cls(
            query.get("where", "").strip(),
            query.get("prefix", ""),
            tuple(starts_at),
            tuple(dict.fromkeys(name for name in query.getlist("column")[:_COLUMNS_MAX] if name)),
            next((number for number in PAGE_ROWS if rows == str(number)), _PAGE_ROWS_DEFAULT),
            place,
            query.get("place") == "last",
            query.get("index", ""),
        )

    def wanted(self, table: Table, layout: Layout) -> tuple[PageWanted, dict[str, str]]:
        """What is to be read, and what is wrong with what was typed, by what it was typed into."""
        problems: dict[str, str] = {}
        low = high = None
        where = None
        place: Place | None = None
        try:
            where = parse_where_of(self.where, table) if self.where else None
        except ParameterInvalid as error:
            problems["where"] = str(error).removeprefix("filter: ")
        try:
            if self.prefix:
                low, high = beginning_with(layout.key, self.prefix)
        except InvalidPrimaryKey as error:
            problems["prefix"] = str(error)
        try:
            place = self._place(layout, high)
        except InvalidPrimaryKey as error:
            problems["start"] = str(error)
        columns = self.columns or None
        return PageWanted(self.rows_max, low, high, place, where, columns), problems

    def parameters(self, place: Place | str | None = None) -> list[tuple[str, str]]:
        """Of the address of a page at ``place``, "last" among them; None: the first."""
        pairs = [
            ("index", self.index),
            ("where", self.where),
            ("prefix", self.prefix),
            *(("column", name) for name in self.columns),
            ("rows", "" if self.rows_max == _PAGE_ROWS_DEFAULT else str(self.rows_max)),
        ]
        if isinstance(place, Place):
            key = whole_key(place.key)
            if key is not None:
                pairs.append((_PARAMETERS[place.is_back, place.is_in], key_token([value for _, value in key])))
        elif place is not None:
            pairs.append(("place", place))
        return [(name, value) for name, value in pairs if value]

    def address(self, path: str, place: Place | str | None = None) -> str:
        """Of a page at ``place``."""
        query = urlencode(self.parameters(place))
        return f"{path}?{query}" if query else path

    def _place(self, layout: Layout, high: KeyInput | None) -> Place | None:
        """Raises InvalidPrimaryKey."""
        if self.is_last:
            return Place(high or bound(layout.key, [], INF_MAX), is_back=True, is_in=high is None)
        if self.place is not None:
            name, token = self.place
            return Place(key_of_token(token, layout.key), *_PLACES[name])
        if not self.starts_at:
            return None
        values = [key_value(column, text) for column, text in zip(layout.key, self.starts_at, strict=False)]
        return Place(bound(layout.key, values, INF_MIN))


def column_names(layout: Layout, query: GridQuery, found: Sequence[str]) -> list[str]:
    """Columns to choose from, besides the key: the table's, those of rows on the page, and those that are chosen."""
    key = {column.name for column in layout.key}
    return [name for name in dict.fromkeys((*layout.fields, *sorted(found), *query.columns)) if name not in key]
