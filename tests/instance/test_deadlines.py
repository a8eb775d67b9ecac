"""Searches with a deadline: what they answer is right, and what says that it is all is all, whenever time is up."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lutra
from lutra.index.feed.index_feed import IndexFeed
from lutra.instance import timely
from lutra.instance.instance import Instance
from lutra.model import limits
from lutra.model.aggregations import Count, GroupByField, Sum
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.queries import MatchAll, SearchRequest, SearchResult
from lutra.search.aggregations import level

ROWS, DIMENSION = 4_000, 16
RNG = np.random.default_rng(3)
VECTORS = RNG.standard_normal((ROWS, DIMENSION)).astype(np.float32)
WORDS = ("river", "otter", "bank", "fish", "water", "stone")

QUERIES: dict[str, dict[str, Any]] = {
    "nearest": {"vector": VECTORS[5], "limit": 20},
    "nearest among some": {"vector": VECTORS[7], "where": lutra.col("n") < ROWS // 3, "limit": 20},
    "words": {"text": "river otter", "limit": 20},
    "words and nearest": {"vector": VECTORS[9], "text": "fish", "limit": 20},
    "a filter": {"where": (lutra.col("n") >= 100) & (lutra.col("kind") == "b"), "limit": 200},
    "in an order": {"where": lutra.col("kind") == "a", "order_by": lutra.col("n").desc(), "limit": 50},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lutra.Table]:
    with lutra.connect(tmp_path_factory.mktemp("data")) as database:
        fields = {"n": int, "kind": str, "words": lutra.Text(), "v": lutra.Vector(DIMENSION)}
        made = database.create_table("t", key={"id": int}, fields=fields)
        rng = random.Random(4)
        made.put_many(
            {"id": n, "n": n, "kind": "abc"[n % 3], "words": " ".join(rng.choices(WORDS, k=5)), "v": VECTORS[n]}
            for n in range(ROWS)
        )
        yield made


@pytest.mark.parametrize("name", QUERIES)
def test_an_answer_in_part_is_right(table: lutra.Table, name: str) -> None:
    """Of any deadline: rows that match, in order, and all of them where it says so."""
    asked = QUERIES[name]
    whole = table.search(**asked)
    assert whole.is_complete
    scores = {row.key: row.score for row in table.search(**{**asked, "limit": 4_000})}
    for deadline_ms in (1, 1, 2, 2, 3, 5, 10, 10_000):
        try:
            found = table.search(**asked, deadline_ms=deadline_ms)
        except RequestTimeout:
            continue
        if found.is_complete:
            assert [row.key for row in found] == [row.key for row in whole]
        elif asked.get("vector") is None:
            assert all(row.key in scores for row in found)
        if name.startswith("nearest"):
            own = [row.score or 0.0 for row in found]
            assert own == sorted(own, reverse=True)
            assert own == pytest.approx([scores[row.key] for row in found])
    assert table.search(**asked, deadline_ms=10_000).is_complete


def test_an_index_that_does_not_catch_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is searched as it is, which is said; who wants no such answer says nothing of time."""
    with lutra.connect(tmp_path) as database:
        made = database.create_table("t", key={"id": int}, fields={"n": int})
        made.put({"id": 1, "n": 1})
        assert len(made.search(where=lutra.col("n") > 0)) == 1
        monkeypatch.setattr(IndexFeed, "step", lambda self: False)
        monkeypatch.setattr(timely, "WAIT_S", 0.2)
        made.put({"id": 2, "n": 2})
        found = made.search(where=lutra.col("n") > 0, deadline_ms=400)
        assert ([row["id"] for row in found], found.is_complete) == ([1], False)
        assert made.search(where=lutra.col("n") > 0, deadline_ms=400, fresh=False).is_complete
        with pytest.raises(RequestTimeout):
            made.search(where=lutra.col("n") > 0)


@pytest.mark.parametrize("times_left", [0.0, 1e9])
def test_groups_of_the_rows_that_there_was_time_for(
    table: lutra.Table, monkeypatch: pytest.MonkeyPatch, times_left: float
) -> None:
    """Looked at a piece at a time: all of them, or those for which there is time, which is said."""
    monkeypatch.setattr(level, "_ROWS_HURRIED", (64, 256))
    monkeypatch.setattr(level, "_HURRIED_S", 60.0)
    monkeypatch.setattr(level, "_TIMES_LEFT", times_left)
    kinds = GroupByField("kinds", "kind", aggregations=(Count("n", "n"),), group_bys=(GroupByField("ns", "n"),))
    request = SearchRequest(MatchAll(), limit=0, count_total=True, aggregations=(Sum("sum", "n"),), group_bys=(kinds,))
    limited = replace(request, timeout_ms=9_000, allow_partial=True)

    def asked(request: SearchRequest) -> SearchResult:
        return table._instance().search(table.name, table._search_index(), request)

    whole, found = asked(request), asked(limited)
    assert whole.is_complete
    assert found.is_complete == (times_left == 0.0)
    assert found.total == ROWS
    if found.is_complete:
        assert found.aggregated == whole.aggregated
    else:
        assert found.aggregated is not None
        rows = sum(group.rows for group in found.aggregated.group_bys["kinds"].groups)
        assert 0 < rows < ROWS


AGGREGATES = {f"a{n}": lutra.col("n").sum() for n in range(7)}
"""More than one search takes."""


@pytest.mark.parametrize("times_left", [0.0, 1e9])
def test_groups_by_a_deadline(table: lutra.Table, monkeypatch: pytest.MonkeyPatch, times_left: float) -> None:
    """All of them, or those of the rows that there was time for, each of which is a group of some of its rows."""
    whole = table.group_by("kind", **AGGREGATES)
    conditions = {"low": lutra.col("n") < 1_000, "none": lutra.col("n") < 0}
    monkeypatch.setattr(level, "_ROWS_HURRIED", (64, 256))
    monkeypatch.setattr(level, "_HURRIED_S", 60.0)
    monkeypatch.setattr(level, "_TIMES_LEFT", times_left)
    found = table.group_by("kind", deadline_ms=9_000, **AGGREGATES)
    named = table.group_by(conditions, deadline_ms=9_000, **AGGREGATES)
    totals = table.aggregate(deadline_ms=9_000, **AGGREGATES)
    is_whole = times_left == 0.0
    assert (found.is_complete, named.is_complete, totals.is_complete) == (is_whole,) * 3
    assert [group["kind"] for group in found] == ["a", "b", "c"]
    assert [group["group"] for group in named] == ["low", "none"]
    rows = sum(group["count"] for group in found)
    if is_whole:
        assert (found.to_list(), totals) == (whole.to_list(), table.aggregate(**AGGREGATES))
        assert table.aggregate().is_complete
        assert whole.is_complete
    else:
        assert 0 < rows < ROWS
        assert all(0 < own["a0"] < all_of["a0"] for own, all_of in zip(found, whole, strict=True))
        assert 0 < totals["a6"] < sum(range(ROWS))


def test_groups_whose_next_page_is_late(table: lutra.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(table.group_by("n")) == ROWS
    late_after(monkeypatch, 1)
    found = table.group_by("n", deadline_ms=9_000)
    assert (len(found), found.is_complete) == (limits.GROUPS_MAX, False)
    with pytest.raises(RequestTimeout):
        table.aggregate(deadline_ms=9_000)


def test_many_have_one_deadline(table: lutra.Table) -> None:
    found = table.search_many(VECTORS[:40], deadline_ms=10_000)
    assert [one[0]["id"] for one in found] == list(range(40))
    assert all(one.is_complete for one in found)


def late_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Has the time be up once the index has been asked so often."""
    asked, ask = itertools.count(), Instance.search_many

    def timely(self: Instance, *of: Any) -> list[SearchResult]:
        if next(asked) >= calls:
            raise RequestTimeout("The search took longer than 9 s.")
        return ask(self, *of)

    monkeypatch.setattr(Instance, "search_many", timely)


def test_what_was_found_before_time_was_up_is_kept(table: lutra.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a search whose rows come page by page, and of many queries, which are asked some at a time."""
    late_after(monkeypatch, 1)
    found = table.search(where=lutra.col("n") >= 0, limit=ROWS, deadline_ms=9_000)
    assert ([row["id"] for row in found], found.is_complete) == ([*range(1_000)], False)
    monkeypatch.undo()
    late_after(monkeypatch, 1)
    many = table.search_many(VECTORS[:300], limit=1, deadline_ms=9_000)
    assert [[row["id"] for row in one] for one in many] == [[n] for n in range(256)] + [[]] * 44
    assert [one.is_complete for one in many] == [True] * 256 + [False] * 44


def test_where_nothing_was_found_in_time(table: lutra.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    late_after(monkeypatch, 0)
    for search in (table.search, table.search_many):
        with pytest.raises(RequestTimeout):
            search(VECTORS[:1] if search == table.search_many else VECTORS[0], deadline_ms=9_000)


@pytest.mark.parametrize("wrong", [0, -1, 10_001, 2.5, True, "5"])
def test_what_is_no_deadline(table: lutra.Table, wrong: Any) -> None:
    for ask in (table.search, table.aggregate, partial(table.group_by, "kind")):
        with pytest.raises(ParameterInvalid, match="deadline_ms"):
            ask(where=lutra.col("n") == 1, deadline_ms=wrong)  # type: ignore[operator]


def test_on_an_event_loop(tmp_path: Path) -> None:
    async def run() -> None:
        async with await lutra.connect_async(tmp_path) as database:
            made = await database.create_table("t", key={"id": int}, fields={"n": int})
            await made.put({"id": 1, "n": 1})
            found = await made.search(where=lutra.col("n") == 1, deadline_ms=10_000)
            assert found.is_complete
            assert len(found) == 1
            assert (await made.aggregate(deadline_ms=10_000)).is_complete
            assert (await made.group_by("n", deadline_ms=10_000)).is_complete
            with pytest.raises(ParameterInvalid, match="deadline_ms"):
                await made.search(deadline_ms=0)

    asyncio.run(run())
