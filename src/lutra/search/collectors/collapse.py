"""The first documents in an order, one of each value of a field."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption
from lutra.model.queries import SortMode
from lutra.scalars.sorting import SortKeys
from lutra.search.collectors.run import LocalRun, SentRun
from lutra.search.collectors.top import Firsts, Place, Top, Value, are_hits_of, chosen, entries_of, sent_hits
from lutra.search.mark import Mark, mark_from_json
from lutra.search.matching import Matching
from lutra.search.scores import Docs
from lutra.search.sorts.ordering import Ordering


class CollapseCollector:
    """Chooses ``count`` documents in ``order``, that ends with a total one, of which no two have the same ``field``.

    Documents without a value count as if they had the same one. Its state says of each hit which value it has, and not
    how many documents there are.
    """

    def __init__(self, order: Sequence[Ordering], count: int, field: str, is_scoring: bool = False) -> None:
        self._order = order
        self._count = count
        self._field = field
        self._is_scoring = is_scoring

    def collect(self, matching: Matching) -> Top:
        if not matching.count:
            return Top((), 0)
        levels = [ordering.level(matching.search, matching.scores) for ordering in self._order]
        keys = filterable(matching.part, self._field).sort_keys(SortMode.MIN)
        left, count = matching.documents, self._count
        firsts: list[Docs] = []
        found = 0
        while left.count and found < self._count:
            matching.search.deadline.check()
            docs = chosen(matching, levels, left, count)
            own = docs[_firsts_of_values(keys, docs)]
            firsts.append(own[: self._count - found])
            found += len(own)
            left = left - _with_values_of(keys, own)
            count *= 2  # few values may have all the first documents: that each round leaves out all of theirs
        docs = np.concatenate(firsts)
        scores = matching.scores if self._is_scoring else None
        return Top((LocalRun(matching.part, self._order, levels, docs, scores),), 0, (_values_of(keys, docs),))

    def merge(self, states: Sequence[Top]) -> Top:
        runs = [run for state in states for run in state.runs]
        return Top(runs, 0, [values for state in states for values in state.values])

    def places(self, state: Top, offset: int, limit: int) -> list[Place]:
        """The hits ``offset`` to ``offset + limit`` of all runs together."""
        seen: set[Value] = set()
        places: list[Place] = []
        entries = (entries_of(run, number, offset + limit) for number, run in enumerate(state.runs))
        for _, place in heapq.merge(*entries):
            value = state.values[place.run][place.at]
            if len(places) == offset + limit:
                break
            if value not in seen:
                seen.add(value)
                places.append(place)
        return places[offset:]

    def encode(self, state: Top, firsts: Firsts | None = None) -> bytes:
        """As `TopCollector.encode`."""
        places, keys = firsts or (self.places(state, 0, self._count), None)
        values = [state.values[place.run][place.at] for place in places]
        hits = [[*hit, value] for hit, value in zip(sent_hits(state, places, keys), values, strict=True)]
        return json.dumps({"hits": hits}, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Top:
        try:
            hits: list[tuple[tuple[Mark, ...], float]] = []
            values: list[Value] = []
            for marks, score, value in json.loads(data)["hits"]:
                hits.append((tuple(map(mark_from_json, marks)), float(score)))
                values.append(_value(value))
            if not are_hits_of(self._order, hits) or len(set(values)) < len(values):
                raise ValueError("hits")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise Corruption(f"a collapse's partial state makes no sense: {error!r}") from None
        return Top((SentRun(hits, self._order),), 0, (values,)) if hits else Top((), 0)


def _value(content: Any) -> Value:
    """Raises ValueError for what no field has."""
    if content is not None and not isinstance(content, int | float | str):
        raise ValueError("value")
    return content


def _firsts_of_values(keys: SortKeys, docs: Docs) -> npt.NDArray[np.int64]:
    """Where in ``docs`` each value comes first, in their order."""
    values = keys.values[docs]
    has = np.ones(len(docs), bool) if keys.present is None else keys.present.has(docs)
    places = np.flatnonzero(has)
    firsts = places[np.unique(values[places], return_index=True)[1]]
    return np.sort(np.concatenate((firsts, np.flatnonzero(~has)[:1])))


def _with_values_of(keys: SortKeys, docs: Docs) -> RowMask:
    """All documents that have a value of one of ``docs``, or none where one of these has none."""
    if keys.present is None:
        return RowMask(np.isin(keys.values, keys.values[docs]))
    has = keys.present.has(docs)
    same = RowMask(np.isin(keys.values, keys.values[docs[has]])) & keys.present
    return same if has.all() else same | (RowMask.all(keys.present.rows) - keys.present)


def _values_of(keys: SortKeys, docs: Docs) -> list[Value]:
    """Of ``docs``, as they mean the same in every part."""
    values = keys.values[docs]
    told: list[Value]
    if keys.strings is None:
        told = values.tolist()
    elif keys.strings.size:
        told = [string.decode() for string in keys.strings.taken(values)]
    else:
        told = [None] * len(docs)
    has = [True] * len(docs) if keys.present is None else keys.present.has(docs).tolist()
    return [value if there else None for value, there in zip(told, has, strict=True)]
