"""Rows as the embedded API hands them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np

from lutra.instance import html
from lutra.instance.jsonable import plain
from lutra.model.suggestions import suggestion
from lutra.model.values import KeyValue

_NUMBERS_SHOWN_MAX: Final = 16


class Record(dict[str, Any]):
    """A record within a row that made it a hit: a dict, as it is in the row."""

    __slots__ = ("place", "records", "score")

    def __init__(
        self,
        values: Mapping[str, Any],
        place: tuple[int, ...],
        score: float | None,
        records: Mapping[str, list[Record]] | None = None,
    ) -> None:
        super().__init__(values)
        self.place = place
        """Where it is in its list, from 0; where lists are within lists, its place in each, the outermost first."""
        self.score = score
        """How well it matches; None where nothing was scored."""
        self.records = dict(records or {})
        """As of a row, of the records within this one."""

    def __reduce__(self) -> tuple[type[Record], tuple[Any, ...]]:
        return Record, (dict(self), self.place, self.score, self.records)


class Row(dict[str, Any]):
    """One row, read only: a dict of the key columns, then of the other columns the row has, as they were declared.

    Values are ``str``, ``int``, ``float``, ``bool``, ``bytes``, ``datetime`` (UTC), ``list``, ``dict``,
    :class:`lutra.GeoPoint`, or, for vectors, read-only float32 arrays [dimension]. A column that the row does not have
    is absent: use ``row.get(name)``. To change a row, change a copy, ``dict(row)``, and put that.

    ``json.dumps(row)`` takes a row whose values JSON has words for. For one with a vector, bytes, a datetime or a point
    there are :meth:`to_json`, and ``json.dumps(rows, default=lutra.to_jsonable)``, which takes rows within anything.
    """

    __slots__ = ("key", "records", "score")

    def __init__(
        self,
        key: tuple[KeyValue, ...],
        values: Mapping[str, Any],
        score: float | None = None,
        records: Mapping[str, list[Record]] | None = None,
    ) -> None:
        super().__init__(values)
        self.key = key
        """The values of the key columns, in the table's order."""
        self.score = score
        """How well the row matches a vector search, larger is better; None for rows read otherwise."""
        self.records = dict(records or {})
        """By the field they are of, the records that made the row a hit, where ``search(records=...)`` asked."""

    def __missing__(self, name: object) -> NoReturn:
        raise KeyError(f"the row has no column {name!r}: it has {', '.join(self)}{suggestion(name, self)}")

    def to_dict(self) -> dict[str, Any]:
        """The row in the words of JSON, as :func:`lutra.to_jsonable` says: vectors are lists, datetimes text.

        ``dict(row)`` is a copy with the values as they are. ::

            row.to_dict()  # {"id": "a", "at": "2024-05-01T00:00:00+00:00", "embedding": [0.1, 0.2]}
        """
        return {name: plain(value) for name, value in self.items()}

    def to_json(self) -> str:
        """:meth:`to_dict` as text of one line: one of a file of JSON lines. ::

        file.writelines(f"{row.to_json()}\\n" for row in docs.scan())
        """
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __eq__(self, other: object) -> bool:
        """Whether columns and values are the same, those of vectors too, in any order. Scores do not count."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.keys() == other.keys() and all(_is_same(value, other[name]) for name, value in self.items())

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        """Of long vectors the ends are shown: ten rows of 384 numbers each would fill a screen many times."""
        score = "" if self.score is None else f", score={self.score:.4f}"
        with np.printoptions(threshold=_NUMBERS_SHOWN_MAX):
            return f"Row({super().__repr__()}{score})"

    def _repr_html_(self) -> str:
        return html.table(list(self), [self], is_scored=self.score is not None)

    def __reduce__(self) -> tuple[type[Row], tuple[Any, ...]]:
        return Row, (self.key, dict(self), self.score, self.records)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a row is read only: change a copy, dict(row), and put that")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(value, other[name]) for name, value in one.items())
    return bool(one == other)
