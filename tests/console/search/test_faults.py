"""What is wrong with a search is told at its place, all of it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support import searched_rows as model

from lutra.console.search import address, bounds
from lutra.console.search.faults import SpecInvalid
from lutra.console.search.fields import SearchField, SearchFields
from lutra.console.search.finding import packed
from lutra.console.search.spec import Asked, asked_of
from lutra.embedding.embedder import EmbeddingError
from lutra.model.errors import ObjectNotExist
from lutra.model.queries import Bool, KnnVector, MatchAll, Range, ScoreSort
from lutra.model.rows import PrimaryKey

FIELDS = SearchFields(model.SCHEMA, model.KEY)
VECTOR = np.array([1, 0.1, -3e5], np.float32)


class NoVectors:
    def of_text(self, field: SearchField, text: str, model: str | None) -> npt.NDArray[np.float32]:
        raise EmbeddingError("the model is gone")

    def of_row(self, field: SearchField, key: PrimaryKey) -> npt.NDArray[np.float32]:
        raise ObjectNotExist("no such row")


def asked(spec: Any) -> Asked:
    return asked_of(spec, FIELDS, NoVectors())


def parts(*conditions: Any, within: str | None = None) -> Any:
    return {"where": {"group": "all", "parts": list(conditions), **({} if within is None else {"within": within})}}


def near(**more: Any) -> Any:
    return {"near": {"field": "vector", "by": "vector", "vector": [1, 2, 3], **more}}


def nested(depth: int) -> Any:
    group: Any = {"group": "all", "parts": [{"field": "long", "op": "has"}]}
    for _ in range(depth - 1):
        group = {"group": "any", "parts": [group]}
    return {"where": group}


CASES: list[tuple[Any, str, str]] = [
    ([], "", "object"),
    ({"wher": 1}, "", "There is no wher here"),
    ({"limit": 101}, "limit", "from 0 to 100"),
    ({"offset": -1}, "offset", "whole number"),
    ({"offset": 99_990, "limit": 20}, "offset", "whole number"),
    ({"collapse": "tags"}, "collapse", "collapsed"),
    ({"columns": ["#x"]}, "columns.0", "no name of a column"),
    ({"explain": "yes"}, "explain", "true or false"),
    ({"view": "map"}, "view", "one of cards, grid"),
    (parts({"field": "lon", "op": "is", "value": 1}), "where.parts.0.field", "There is no field lon"),
    (parts({"field": "hidden", "op": "is", "value": 1}), "where.parts.0.field", "not indexed"),
    (parts({"field": "long", "op": "starts", "value": "1"}), "where.parts.0.op", "one of is, is_not"),
    (parts({"field": "long", "op": "is"}), "where.parts.0.value", "missing"),
    (parts({"field": "long", "op": "is", "value": "ten"}), "where.parts.0.value", "number"),
    (parts({"field": "long", "op": "in", "value": [1, "x"]}), "where.parts.0.value.1", "number"),
    (parts({"field": "long", "op": "between", "value": [1]}), "where.parts.0.value", "Two values"),
    (parts({"field": "at", "op": "is", "value": "2026-02-30"}), "where.parts.0.value", "date"),
    (parts({"field": "flag", "op": "is", "value": "true"}), "where.parts.0.value", "true or false"),
    (parts({"field": "word", "op": "is", "value": "x" * 5_000}), "where.parts.0.value", "too long"),
    (parts({"field": "word", "op": "is", "value": "\ud800"}), "where.parts.0.value", "half a character"),
    (parts({"field": "word", "op": "like", "value": "x" * 33}), "where.parts.0.value", "at most 32"),
    (parts({"field": "address", "op": "is", "value": "10.0.0"}), "where.parts.0.value", "address"),
    (parts({"field": "any", "op": "is", "value": "x"}), "where.parts.0.op", "one of has, lacks"),
    (
        parts({"field": "place", "op": "around", "value": {"point": "91,0", "metres": 1}}),
        "where.parts.0.value.point",
        "degrees",
    ),
    (
        parts({"field": "place", "op": "around", "value": {"point": "9,0", "metres": 0}}),
        "where.parts.0.value.metres",
        "more than 0",
    ),
    (
        parts({"field": "place", "op": "box", "value": {"top_left": "0,0", "bottom_right": "1,1"}}),
        "where.parts.0.value",
        "south of",
    ),
    (parts({"field": "place", "op": "polygon", "value": ["0,0", "1,1"]}), "where.parts.0.value", "at least 3"),
    (parts({"field": "items.price", "op": "is", "value": 1}), "where.parts.0.field", "in a group of that"),
    (parts({"field": "long", "op": "is", "value": 1}, within="items"), "where.parts.0.field", "outside this group"),
    (parts({"field": "long", "op": "has"}, within="of"), "where.within", "one of items"),
    (nested(bounds.GROUP_DEPTH_MAX + 1), "where" + ".parts.0" * bounds.GROUP_DEPTH_MAX, "deep"),
    (parts(*[{"field": "long", "op": "has"}] * 100), "where.parts.99", "At most 100"),
    ({"words": {"text": ""}}, "words.text", "missing"),
    ({"words": {"text": "x", "fields": ["word"]}}, "words.fields.0", "no field of text"),
    ({"words": {"text": "x", "weight": -1}}, "words.weight", "from 0 to"),
    (near(field="long"), "near.field", "no field of vectors"),
    (near(vector=[1, 2]), "near.vector", "3 numbers, not of 2"),
    (near(vector=[1, 2, None]), "near.vector.2", "number"),
    (near(vector=[1, 2, 1e39]), "near.vector", "finite"),
    (near(vector="no base64"), "near.vector", "list of numbers"),
    (near(top=1_001), "near.top", "from 1 to 1000"),
    (near(by="row", key="[5]"), "near.key", "no such row"),
    (near(by="row", key="[]"), "near.key", "no key of the table"),
    (near(by="row", key=[5]), "near.key", "text"),
    (near(by="text", text="red"), "near.text", "the model is gone"),
    (near(by="text", text="red", model="m"), "near.model", "the model is gone"),
    ({"sort": [{"by": "field", "field": "vector"}]}, "sort.0.field", "cannot be sorted"),
    ({"sort": [{"by": "field", "field": "items.price"}]}, "sort.0.field", "cannot be sorted"),
    ({"sort": [{"by": "distance", "field": "place"}]}, "sort.0.point", "missing"),
    ({"aggregations": [{"of": "sum", "field": "word"}]}, "aggregations.0.field", "no sum"),
    ({"aggregations": [{"of": "percentiles", "field": "long", "percents": [101]}]}, "aggregations.0.percents.0", "100"),
    ({"aggregations": [{"by": "value", "field": "text"}]}, "aggregations.0.field", "grouped"),
    ({"aggregations": [{"by": "value", "field": "word", "size": 101}]}, "aggregations.0.size", "100"),
    ({"aggregations": [{"by": "range", "field": "long", "bounds": [2, 1]}]}, "aggregations.0.bounds", "greater than"),
    ({"aggregations": [{"by": "interval", "field": "long", "every": 0}]}, "aggregations.0.every", "more than 0"),
    (
        {"aggregations": [{"by": "date", "field": "at", "unit": "month", "zone": "Mars"}]},
        "aggregations.0.zone",
        "time zone",
    ),
    (
        {"aggregations": [{"by": "value", "field": "word", "each": [{"by": "value", "field": "flag", "each": []}]}]},
        "aggregations.0.each.0.each",
        "one level",
    ),
]


@pytest.mark.parametrize(("spec", "place", "message"), CASES)
def test_a_fault_has_its_place(spec: Any, place: str, message: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        asked(spec)
    assert [fault.place for fault in caught.value.faults] == [place]
    assert message in caught.value.faults[0].text


def test_all_faults_are_told_at_once() -> None:
    spec = {
        **parts({"field": "long", "op": "is", "value": "a"}, {"field": "x", "op": "has"}),
        **near(top=0),
        "sort": [{"by": "color"}, {"by": "field", "field": "text"}],
        "limit": "many",
    }
    with pytest.raises(SpecInvalid) as caught:
        asked(spec)
    found = {fault.place for fault in caught.value.faults}
    assert found == {"where.parts.0.value", "where.parts.1.field", "near.top", "sort.0.by", "sort.1.field", "limit"}


def test_an_empty_form_asks_for_all_rows() -> None:
    for spec in (
        {},
        {"where": {"group": "all", "parts": []}},
        {"where": {"group": "none", "parts": [{"group": "any"}]}},
    ):
        found = asked(spec)
        assert found.request.query == MatchAll()
        assert found.request.sort == ()
        assert not found.is_scored


def test_vectors_come_back_as_they_were_written() -> None:
    found = asked(near(vector=packed(VECTOR), top=5, min_score=0.5, weight=2))
    query = found.request.query
    assert isinstance(query, KnnVector)
    np.testing.assert_array_equal(query.vector, VECTOR)
    assert (query.top_k, query.min_score, query.weight) == (bounds.LIMIT_DEFAULT, 0.5, 2.0)  # a page at least
    assert found.request.sort == (ScoreSort(),)


def test_words_and_nearness_find_rows_of_either_among_those_that_pass() -> None:
    spec = {**near(), "words": {"text": "red"}, **parts({"field": "long", "op": "from", "value": "2"})}
    query = asked(spec).request.query
    assert isinstance(query, Bool)
    knn, words = query.should
    passing = Range("long", 2)
    assert isinstance(knn, KnnVector)
    assert knn.filter == passing
    assert isinstance(words, Bool)
    assert words.filter == (passing,)


@pytest.mark.parametrize(
    "parameter", ["~", "~!", "~AAAA", "{", "[" * 100_000, "9" * 5_000, "NaN", "x" * (bounds.PARAMETER_CHARS_MAX + 1)]
)
def test_an_address_that_holds_no_search_is_told(parameter: str) -> None:
    with pytest.raises(SpecInvalid):
        address.read(parameter)


def test_an_address_does_not_grow_without_bound() -> None:
    bomb = address.written({"where": " " * (bounds.SPEC_BYTES_MAX + 100)})
    assert len(bomb) < 1_000
    with pytest.raises(SpecInvalid):
        address.read(bomb)
