"""Beyond bounds of memory results are estimated, and say so; whatever was sent is checked."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.indexes import memory_index

from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.aggregations import (
    Avg,
    CountResult,
    DistinctCount,
    GroupByComposite,
    GroupByField,
    GroupByGeoDistance,
    GroupByGeoGrid,
    GroupByHistogram,
    GroupByRange,
    GroupKeySort,
    Percentiles,
    PercentilesResult,
    Sum,
    TopRows,
    ValueResult,
)
from lutra.model.deadline import NEVER, Deadline
from lutra.model.errors import Corruption, ParameterInvalid, RequestTimeout
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import MatchAll, PartStats, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.search.aggregations import AggregationCollector, by_composite, by_geo_distance, by_geo_grid, level, located
from lutra.search.aggregations.distinct import DistinctMetric
from lutra.search.aggregations.grouping import Assigned
from lutra.search.aggregations.keys import RowKeys
from lutra.search.aggregations.rows import Rows
from lutra.search.matching import matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("x", FieldType.DOUBLE),
        FieldSchema("few", FieldType.LONG),
        FieldSchema("word", FieldType.KEYWORD),
    )
)
ROWS = 12_000
PARTS = 3


@pytest.fixture(scope="module")
def view() -> IndexView:
    """Rows in several buffers; what is said of them must not depend on which is where."""
    parts = []
    for part in range(PARTS):
        index = memory_index(SCHEMA, KEY)
        index.apply(
            [
                Row((("id", n),), [("few", n % 3, 1), ("n", n, 1), ("word", f"w{n:05d}", 1), ("x", n / 4, 1)])
                for n in range(part, ROWS, PARTS)
            ]
        )
        parts.append(index.view())
    return replace(parts[0], parts=tuple(one.parts[0] for one in parts))


def of(view: IndexView, **asked: Any) -> Any:
    return search(view, SearchRequest(MatchAll(), limit=0, explain=True, **asked))


def test_distinct_counts_beyond_the_bound(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = (DistinctCount("words", "word"), DistinctCount("numbers", "n"), DistinctCount("few", "few"))
    exact = of(view, aggregations=wanted)
    assert exact.aggregated.aggregations["words"] == CountResult("words", ROWS)
    assert exact.stats.explanation["aggregations"]["estimated"] == []
    monkeypatch.setattr(limits, "DISTINCT_KEPT_MAX", 3_000)
    answer = of(view, aggregations=wanted, group_bys=(GroupByField("by", "few", aggregations=wanted),))
    results = answer.aggregated.aggregations
    for name in ("words", "numbers"):
        assert not results[name].is_exact
        assert results[name].value == pytest.approx(ROWS, rel=0.03)
    assert results["few"] == CountResult("few", 3)
    for group in answer.aggregated.group_bys["by"].groups:
        assert group.aggregations["words"].value == pytest.approx(ROWS / 3, rel=0.03)
        assert group.aggregations["few"] == CountResult("few", 1)
    assert answer.stats.explanation["aggregations"]["estimated"] == ["words", "numbers", "by/words", "by/numbers"]


def test_percentiles_beyond_the_bound(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = (Percentiles("p", "x", (0, 50, 99, 100)),)
    exact = of(view, aggregations=wanted).aggregated.aggregations["p"]
    assert exact == PercentilesResult("p", ((0, 0.0), (50, 1499.875), (99, 2969.7525), (100, 2999.75)))
    monkeypatch.setattr(limits, "PERCENTILE_VALUES_KEPT_MAX", 3_000)
    by = GroupByRange("by", "n", ((0, 100), (100, ROWS)), wanted)
    answer = of(view, aggregations=wanted, group_bys=(by,))
    estimated = answer.aggregated.aggregations["p"]
    assert not estimated.is_exact
    for (percent, value), (_, right) in zip(estimated.items, exact.items, strict=True):
        assert value == pytest.approx(right, abs=0.02 * 3_000), percent
    few, many = answer.aggregated.group_bys["by"].groups
    assert (few.aggregations["p"].is_exact, many.aggregations["p"].is_exact) == (True, False)
    assert answer.stats.explanation["aggregations"]["estimated"] == ["p", "by/p"]


def test_more_groups_than_are_kept(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUPS_KEPT_MAX", 100)
    few = GroupByField("few", "few", aggregations=(Sum("s", "n"),))
    many = GroupByField("many", "word", size=200, aggregations=(Sum("s", "n"), TopRows("t", 1)))
    answer = of(view, group_bys=(few, many))
    results = answer.aggregated.group_bys
    assert [group.rows for group in results["few"].groups] == [ROWS // 3] * 3
    assert results["few"].is_exact
    assert not results["many"].is_exact
    assert len(results["many"].groups) == 100
    for group in results["many"].groups:
        number = int(group.key[1:])
        assert group.aggregations["s"] == ValueResult("s", number)
        assert group.aggregations["t"].hits[0].key == (("id", number),)
    assert answer.stats.explanation["aggregations"]["estimated"] == ["many"]


def test_rows_piece_by_piece(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {
        "aggregations": (DistinctCount("d", "word"), Percentiles("p", "x", (50,)), Avg("a", "n"), TopRows("t", 3)),
        "group_bys": (
            GroupByField("by", "few", aggregations=(Sum("s", "x"), TopRows("t", 2))),
            GroupByRange("r", "n", ((0, 9_000), (500, 10_000)), group_bys=(GroupByField("by", "few"),)),
            GroupByComposite("c", (GroupByField("few", "few"), GroupByHistogram("h", "n", 1_000)), size=5),
        ),
    }
    whole = of(view, **asked).aggregated
    monkeypatch.setattr(level, "_ROWS_AT_ONCE", 1_000)
    monkeypatch.setattr(level, "_ROWS_LEAST", 300)
    assert of(view, **asked).aggregated == whole


def test_pieces_are_as_small_as_rows_have_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stand once in each of their groups: at the third level of arrays of ten a row is there a thousand times."""
    index = memory_index(IndexSchema((FieldSchema("tags", FieldType.KEYWORD, is_array=True),)), KEY)
    tags = [json.dumps([f"t{(n + i) % 40}" for i in range(10)]) for n in range(60)]
    index.apply([Row((("id", n),), [("tags", own, 1)]) for n, own in enumerate(tags)])
    wanted: tuple[GroupByField, ...] = ()
    for name in "cba":
        wanted = (GroupByField(name, "tags", size=50, aggregations=(DistinctCount("d", "tags"),), group_bys=wanted),)
    whole = of(index.view(), group_bys=wanted).aggregated
    sizes: list[int] = []

    read = DistinctMetric._keys

    def counted(metric: DistinctMetric, rows: Rows) -> Any:
        found = read(metric, rows)
        sizes.append(len(found[0].codes))
        return found

    monkeypatch.setattr(level, "_ROWS_AT_ONCE", 400)
    monkeypatch.setattr(level, "_ROWS_LEAST", 5)
    monkeypatch.setattr(DistinctMetric, "_keys", counted)
    assert of(index.view(), group_bys=wanted).aggregated == whole
    assert max(sizes) == 400
    assert sum(sizes) == 60 * (10**2 + 10**3 + 10**4)


def test_pieces_are_as_small_as_rows_have_points(monkeypatch: pytest.MonkeyPatch) -> None:
    below = (FieldSchema("at", FieldType.GEO_POINT),)
    fields = (FieldSchema("at", FieldType.GEO_POINT, is_array=True), FieldSchema("in", FieldType.NESTED, fields=below))
    index = memory_index(IndexSchema(fields), KEY)
    places = [[f"{n % 50},{i}" for i in range(10)] for n in range(60)]
    cells = [[("at", json.dumps(own), 1), ("in", json.dumps([{"at": at} for at in own]), 1)] for own in places]
    index.apply([Row((("id", n),), own) for n, own in enumerate(cells)])
    wanted: dict[str, Any] = {
        "aggregations": (DistinctCount("d", "at"), DistinctCount("e", "in.at")),
        "group_bys": (GroupByGeoGrid("g", "at", 3, 500), GroupByGeoDistance("r", "at", GeoPoint(9, 9), ((0, 1e6),))),
    }
    whole = of(index.view(), **wanted).aggregated
    sizes: list[int] = []
    read = located.row_points

    def counted(rows: Rows, *field: Any) -> Any:
        found = read(rows, *field)
        sizes.append(len(found.coordinates))
        return found

    monkeypatch.setattr(level, "_ROWS_AT_ONCE", 200)
    monkeypatch.setattr(level, "_ROWS_LEAST", 5)
    for module in (located, by_geo_grid, by_geo_distance):
        monkeypatch.setattr(module, "row_points", counted)
    assert of(index.view(), **wanted).aggregated == whole
    assert sizes == [200] * 12


class Keyless:
    """A part whose keys nobody may ask for."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        assert name != "keys"
        return getattr(self._part, name)


def test_no_keys_are_read_where_no_rows_are_wanted(view: IndexView) -> None:
    keyless: Any = tuple(map(Keyless, view.parts))
    wanted = (GroupByField("by", "few", aggregations=(Sum("s", "n"), DistinctCount("d", "word"))),)
    assert of(replace(view, parts=keyless), group_bys=wanted).aggregated == of(view, group_bys=wanted).aggregated


def test_time_ends(view: IndexView) -> None:
    plan = plan_of(view, SearchRequest(MatchAll(), group_bys=(GroupByField("by", "few"),)))
    late = PartSearch(view.parts[0], PartStats(1), Deadline(-1.0))
    matching = matching_of(PartSearch(view.parts[0], PartStats(1), NEVER), plan.root, False)
    with pytest.raises(RequestTimeout):
        AggregationCollector(plan.aggregations).collect(replace(matching, search=late))


def test_answers_end(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWER_GROUPS_MAX", 50)
    words = GroupByField("words", "word", size=40)
    assert len(of(view, group_bys=(words,)).aggregated.group_bys["words"].groups) == 40
    with pytest.raises(ParameterInvalid, match="more than 50 groups"):
        of(view, group_bys=(GroupByField("few", "few", group_bys=(words,)),))
    with pytest.raises(ParameterInvalid, match="more than 50 top rows"):
        of(view, aggregations=(TopRows("t", 60),))


def test_what_is_asked_at_all_levels_ends(view: IndexView) -> None:
    sums = tuple(Sum(f"s{i}", "n") for i in range(20))
    five = tuple(GroupByField(f"g{i}", "few", aggregations=sums) for i in range(5))
    assert len(of(view, aggregations=sums, group_bys=five).aggregated.group_bys) == 5
    six = (*five, GroupByField("g5", "few", aggregations=sums))
    with pytest.raises(ParameterInvalid, match="at all levels exceeds the max: 128"):
        of(view, aggregations=sums, group_bys=six)
    with pytest.raises(ParameterInvalid, match="at all levels exceeds the max: 128"):
        of(view, group_bys=tuple(GroupByField(f"h{i}", "few", group_bys=six) for i in range(2)))


def test_combinations_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded are the keys of all sources together, not combinations alone."""
    own = RowKeys(np.arange(4), 4, lambda codes: codes)
    two_each = Assigned(np.array([0, 0, 1, 1]), (own,), is_once=True)
    monkeypatch.setattr(by_composite, "_COMBINED_KEYS_MAX", 20)
    combined = by_composite.Combinations(2)
    combined.add(two_each)
    combined.add(two_each)
    assert combined.rows.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    with pytest.raises(ParameterInvalid, match="combinations of rows have more than 20 keys"):
        combined.add(two_each)


def test_a_histogram_ends(view: IndexView) -> None:
    with pytest.raises(ParameterInvalid, match="more than 2000 groups"):
        of(view, group_bys=(GroupByHistogram("h", "n", 1),))
    with pytest.raises(ParameterInvalid, match="must not exceed 2000"):
        of(view, group_bys=(GroupByHistogram("h", "n", 1, field_range=(0, 2_001)),))
    assert len(of(view, group_bys=(GroupByHistogram("h", "n", 6),)).aggregated.group_bys["h"].groups) == 2_000
    far = GroupByHistogram("h", "n", 1, field_range=(None, 5), min_doc_count=0)
    assert len(of(view, group_bys=(far,)).aggregated.group_bys["h"].groups) == 6


def test_a_histogram_at_the_ends_of_double(view: IndexView) -> None:
    with pytest.raises(ParameterInvalid, match="interval is 5e-324, too small for values of field: x"):
        of(view, group_bys=(GroupByHistogram("h", "x", 5e-324),))
    index = memory_index(SCHEMA, KEY)
    index.apply([Row((("id", 1),), [("x", -1.5e308, 1)])])
    [group] = of(index.view(), group_bys=(GroupByHistogram("h", "x", 1e308),)).aggregated.group_bys["h"].groups
    assert (group.key, group.rows) == (-sys.float_info.max, 1)  # an interval that begins beyond begins at the end


def test_every_page_of_a_composite(view: IndexView) -> None:
    """Of more groups than any part keeps, each comes once."""
    sources = (
        GroupByField("few", "few", sort=(GroupKeySort(descending=True),)),
        GroupByHistogram("tens", "n", 10),
    )
    keys: list[Any] = []
    rows, total, token = 0, 0, None
    while True:
        wanted = GroupByComposite("c", sources, size=700, token=token, aggregations=(Sum("s", "n"),))
        result = of(view, group_bys=(wanted,)).aggregated.group_bys["c"]
        keys += [group.key for group in result.groups]
        rows += sum(group.rows for group in result.groups)
        total += sum(group.aggregations["s"].value for group in result.groups)
        token = result.token
        if token is None:
            break
        assert len(result.groups) == 700
    assert keys == [(str(few), str(tens)) for few in (2, 1, 0) for tens in range(0, ROWS, 10)]
    assert (rows, total) == (ROWS, sum(range(ROWS)))


@pytest.mark.parametrize("token", ["?", "W10=", "WyJhIl0=", "WzEsMiwzXQ==", "e30=", "WzFd"])
def test_tokens_that_are_none(view: IndexView, token: str) -> None:
    sources = (GroupByField("word", "word"), GroupByField("few", "few"))
    with pytest.raises(ParameterInvalid, match="next_token is invalid"):
        of(view, group_bys=(GroupByComposite("c", sources, token=token),))


def collector_and_state(view: IndexView) -> tuple[AggregationCollector, Any]:
    request = SearchRequest(
        MatchAll(),
        limit=0,
        aggregations=(DistinctCount("d", "word"), Percentiles("p", "x", (50,)), Avg("a", "n"), TopRows("t", 2)),
        group_bys=(GroupByField("by", "few", aggregations=(Sum("s", "x"),)),),
    )
    plan = plan_of(view, request)
    collector = AggregationCollector(plan.aggregations)
    searches = [PartSearch(part, PartStats(part.rows), NEVER) for part in view.parts]
    return collector, collector.merge([collector.collect(matching_of(one, plan.root, False)) for one in searches])


def test_what_was_sent_is_checked(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DISTINCT_KEPT_MAX", 3_000)
    monkeypatch.setattr(limits, "PERCENTILE_VALUES_KEPT_MAX", 3_000)
    collector, state = collector_and_state(view)
    data = collector.encode(state)
    results = collector.results(collector.decode(data))
    assert results == collector.results(state)
    assert not results.aggregations["d"].is_exact  # type: ignore[union-attr]
    rng = random.Random(1)
    for _ in range(200):
        at = rng.randrange(len(data))
        with pytest.raises(Corruption):
            collector.decode(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :])
        with pytest.raises(Corruption):
            collector.decode(data[:at])


def test_what_another_search_sent_is_refused(view: IndexView) -> None:
    collector, state = collector_and_state(view)
    data = collector.encode(state)
    for other in (
        {"aggregations": (Sum("s", "n"),)},
        {"group_bys": (GroupByField("by", "few"),)},
        {"aggregations": (DistinctCount("d", "word"),)},
    ):
        plan = plan_of(view, SearchRequest(MatchAll(), **other))  # type: ignore[arg-type]
        with pytest.raises(Corruption):
            AggregationCollector(plan.aggregations).decode(data)


def test_groups_that_are_none_are_refused(view: IndexView) -> None:
    plan = plan_of(view, SearchRequest(MatchAll(), group_bys=(GroupByField("by", "few"),)))
    collector = AggregationCollector(plan.aggregations)
    [search_in] = [PartSearch(view.parts[0], PartStats(1), NEVER)]
    state = collector.collect(matching_of(search_in, plan.root, False))
    [groups] = state.groupings
    for parents, rows in (
        (np.array([0, 0, 1], np.int32), groups.buckets.rows),
        (groups.buckets.parents, np.array([1, 0, 1])),
    ):
        wrong = replace(groups, buckets=replace(groups.buckets, parents=parents, rows=rows))
        with pytest.raises(Corruption):
            collector.decode(collector.encode(replace(state, groupings=(wrong,))))
