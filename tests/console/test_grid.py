"""Pages of a table against a list of its keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lutra
from lutra.console.grid import Page, PageWanted, Place, read_page
from lutra.console.row_keys import beginning_with, bound
from lutra.instance.database import database_of
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.instance.layout import Layout
from lutra.instance.served_directory import ServedDirectory
from lutra.model.values import INF_MAX, INF_MIN

WORDS = sorted(
    [f"w{number:03}" for number in range(40)] + ["a", "b", "b\x00", "ba", "bz", "c", "中", "中文", "\U0010ffff"]
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    opened = Engine.open(tmp_path_factory.mktemp("grid"))
    opened.create_instance("test")
    database = database_of(ServedDirectory(opened), "test")
    words = database.create_table("words", {"word": str})
    words.put_many([{"word": word, "length": len(word), "note": f"of {word}"} for word in WORDS])
    pairs = database.create_table("pairs", {"left": str, "right": int})
    pairs.put_many([{"left": left, "right": right} for left in "abc" for right in range(-3, 4)])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def instance(engine: Engine) -> Instance:
    return engine.instance("test")


def layout(instance: Instance, table: str) -> Layout:
    return Layout.of_table(instance.tables.describe(table).schema, None, None)


def keys(page: Page) -> list[Any]:
    return [row.key if len(row.key) > 1 else row.key[0] for row in page.rows]


def walked(instance: Instance, of: Layout, wanted: PageWanted) -> tuple[list[Page], list[Page]]:
    """All pages from one end to the other, and from the last one back."""
    there = [read_page(instance, of, wanted)]
    while there[-1].next is not None:
        there.append(_at(instance, of, wanted, there[-1].next))
    back = [there[-1]]
    while back[-1].previous is not None:
        back.append(_at(instance, of, wanted, back[-1].previous))
    return there, back


def _at(instance: Instance, of: Layout, wanted: PageWanted, place: Place) -> Page:
    return read_page(instance, of, PageWanted(wanted.rows_max, wanted.low, wanted.high, place, wanted.where))


@pytest.mark.parametrize("rows_max", [1, 3, 7, 49, 50, 200])
def test_all_rows_are_on_the_pages_there_and_back(instance: Instance, rows_max: int) -> None:
    there, back = walked(instance, layout(instance, "words"), PageWanted(rows_max))
    assert [word for page in there for word in keys(page)] == WORDS
    assert all(len(page.rows) == rows_max for page in there[:-1])
    assert there[0].previous is None
    assert [word for page in reversed(back) for word in keys(page)] == WORDS
    assert all(one.seen_to is None for one in (*there[:-1], *back[:-1]))


def test_keys_of_several_columns(instance: Instance) -> None:
    expected = [(left, right) for left in "abc" for right in range(-3, 4)]
    there, back = walked(instance, layout(instance, "pairs"), PageWanted(4))
    assert [key for page in there for key in keys(page)] == expected
    assert [key for page in reversed(back) for key in keys(page)] == expected
    of = layout(instance, "pairs")
    low, high = beginning_with(of.key, "b")
    there, back = walked(instance, of, PageWanted(3, low, high))
    assert [key for page in there for key in keys(page)] == [one for one in expected if one[0] == "b"]
    assert [key for page in reversed(back) for key in keys(page)] == [one for one in expected if one[0] == "b"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=st.sampled_from(["b", "w", "w01", "中", "\U0010ffff", "zz", "w039", "c"]), rows_max=st.integers(1, 12))
def test_a_beginning(instance: Instance, prefix: str, rows_max: int) -> None:
    of = layout(instance, "words")
    low, high = beginning_with(of.key, prefix)
    there, back = walked(instance, of, PageWanted(rows_max, low, high))
    expected = [word for word in WORDS if word.startswith(prefix)]
    assert [word for page in there for word in keys(page)] == expected
    assert [word for page in reversed(back) for word in keys(page)] == expected


def test_the_last_page(instance: Instance) -> None:
    of = layout(instance, "words")
    last = read_page(instance, of, PageWanted(5, place=Place(bound(of.key, [], INF_MAX), is_back=True)))
    assert keys(last) == WORDS[-5:]
    assert last.next is None
    assert last.previous is not None
    assert keys(_at(instance, of, PageWanted(5), last.previous)) == WORDS[-10:-5]
    low, high = beginning_with(of.key, "w")
    last = read_page(instance, of, PageWanted(5, low, high, Place(high, is_back=True, is_in=False)))
    assert keys(last) == [f"w{number:03}" for number in range(35, 40)]


@pytest.mark.parametrize(
    ("typed", "first"), [("b", "b"), ("bb", "bz"), ("w0395", "中"), ("", "a"), ("w010", "w010"), ("w0105", "w011")]
)
def test_a_jump_goes_to_the_key_or_the_next(instance: Instance, typed: str, first: str) -> None:
    of = layout(instance, "words")
    page = read_page(instance, of, PageWanted(3, place=Place(bound(of.key, [typed], INF_MIN))))
    assert keys(page)[0] == first
    before = WORDS[: WORDS.index(first)]
    if before:
        assert page.previous is not None
        assert keys(_at(instance, of, PageWanted(3), page.previous)) == before[-3:]


def test_a_jump_beyond_the_end_has_no_rows(instance: Instance) -> None:
    of = layout(instance, "pairs")
    page = read_page(instance, of, PageWanted(3, place=Place(bound(of.key, ["zz"], INF_MIN))))
    assert (keys(page), page.next) == ([], None)


def test_a_filter_and_columns(instance: Instance) -> None:
    of = layout(instance, "words")
    there, back = walked(instance, of, PageWanted(2, where=lutra.col("length") < 2))
    expected = [word for word in WORDS if len(word) < 2]
    assert [word for page in there for word in keys(page)] == expected
    assert [word for page in reversed(back) for word in keys(page)] == expected
    page = read_page(instance, of, PageWanted(50, where=lutra.col("length") < 2, columns=["note"]))
    assert [list(row) for row in page.rows] == [["word", "note"]] * len(expected)
    page = read_page(instance, of, PageWanted(50, columns=["nowhere"]))
    assert keys(page) == WORDS


def test_a_filter_that_takes_long_says_how_far_it_came(tmp_path: Path) -> None:
    with lutra.connect(tmp_path / "data") as db:
        table = db.create_table("rows", {"id": int})
        filler = "x" * 2_000
        table.put_many({"id": number, "filler": filler} for number in range(9_000))
        instance = db._open()
        of = layout(instance, "rows")
        page = read_page(instance, of, PageWanted(10, where=lutra.col("filler") == "y"))
        assert page.rows == []
        assert page.next is not None
        assert page.seen_to == page.next.key
        pages = 1
        while page.next is not None:
            before, page = page, _at(instance, of, PageWanted(10, where=lutra.col("filler") == "y"), page.next)
            assert before.next is not None
            pages += 1
        assert pages >= 2
        last = Place(bound(of.key, [], INF_MAX), is_back=True)
        back = [read_page(instance, of, PageWanted(10, place=last, where=lutra.col("id") == 0))]
        while back[-1].previous is not None:
            back.append(_at(instance, of, PageWanted(10, where=lutra.col("id") == 0), back[-1].previous))
        assert [keys(page) for page in back][-1] == [0]
        assert len({str(page.previous) for page in back}) == len(back)
        assert all(one.previous is not None and other.previous != one.previous for one, other in pairwise(back))
