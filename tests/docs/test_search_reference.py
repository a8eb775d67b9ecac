"""What the search reference says: its tables follow from the code, and its expressions find what they say they do."""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Iterator
from itertools import chain, dropwhile, takewhile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tablestore as ots
from support.pages import sections
from support.server import ServerProcess

import lutra
from lutra.model import aggregations, queries
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, JsonType, VectorOptions
from tools.reference_tables import kinds, written

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "search-reference.md").read_text()
SEARCHES = (ROOT / "tests" / "server" / "java" / "Searches.java").read_text()
CODE = re.compile(r"`([^`]+)`")


def rows_of(section: str) -> dict[str, list[str]]:
    """The cells behind the first of each row of a section's first table, by the first."""
    lines = dropwhile(lambda line: not line.startswith("| "), sections(PAGE)[section].splitlines())
    rows = [line.strip("|").split(" | ") for line in takewhile(lambda line: line.startswith("|"), lines)]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in rows[2:]}


def _option(name: str) -> str:
    """Which kinds of fields the page says have that option."""
    found = re.search(rf"^\| `{name}` \| (.*?) \|", PAGE, re.MULTILINE)
    assert found
    return found[1]


QUERIES, SORTS, AGGREGATIONS, GROUPS = (rows_of(name) for name in ("Queries", "Sorts", "Aggregations", "Groups"))


def code(cell: str) -> str | None:
    found = CODE.search(cell)
    return found[1] if found else None


class Doors:
    """The rows of the page behind both doors: the embedded API, and the SDK."""

    def __init__(self, books: lutra.Table, client: ots.OTSClient) -> None:
        self.books = books
        self.client = client
        self.names = {"ots": ots, "col": lutra.col, "lutra": lutra, "books": books}

    def search(self, **options: Any) -> ots.SearchResponse:
        asked = ots.SearchQuery(options.pop("query", ots.MatchAllQuery()), **{"limit": 10} | options)
        return self.client.search("books", "search", asked, ots.ColumnsToGet())

    def ids(self, query: Any) -> list[int]:
        return sorted(key[0][1] for key, _ in self.search(query=query).rows)

    def made(self, text: str) -> Any:
        return eval(text, self.names)

    def called(self, method: str, text: str) -> Any:
        return eval(f"books.{method}({text})", self.names)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("reference")
    program = re.search(r"<!-- test: table -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert program
    names = vars(types.ModuleType("reference"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(program[1], names)
    names["books"].search(limit=1)
    names["db"].close()
    with ServerProcess(folder / "data", instance="default") as server:
        with lutra.connect(folder / "data", read_only=True) as db:
            yield Doors(db.table("books"), server.client())
        assert "Traceback" not in server.log_path.read_text()


# --- what follows from the code ---------------------------------------------------------------------------------------


def test_tables_follow_from_the_code() -> None:
    assert written(PAGE) == PAGE, "run: python -m tools.reference_tables"


def test_all_there_is_is_told() -> None:
    conditions = {kind.__name__ for kind in get_args(queries.Query)}
    sorters = {kind.__name__ for kind in get_args(queries.Sorter)}
    assert set(QUERIES) == conditions
    assert set(SORTS) == sorters
    assert set(AGGREGATIONS) == {kind.__name__ for kind in get_args(aggregations.Aggregation)}
    assert set(GROUPS) == {name for name in vars(aggregations) if re.fullmatch(r"GroupBy(?!Result)\w+", name)}


def test_all_options_are_told() -> None:
    """What has a default in the model, by the kinds of queries, sorters, aggregations and group-bys that take it."""
    group_bys = [getattr(aggregations, name) for name in GROUPS]
    kinds_of = (queries.Query, queries.Sorter, aggregations.Aggregation)
    there = {
        (option.name, kind.__name__)
        for kind in (*chain.from_iterable(map(get_args, kinds_of)), *group_bys)
        for option in dataclasses.fields(kind)
        if option.default is not dataclasses.MISSING or option.default_factory is not dataclasses.MISSING
    }
    told = {
        (option, kind)
        for options, kinds in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([A-Z][\w, ]+) \| ", PAGE, re.MULTILINE)
        for option in CODE.findall(options)
        for kind in kinds.split(", ")
        if kind in {*QUERIES, *SORTS, *AGGREGATIONS, *GROUPS}
    }
    assert told == there


def test_which_fields_may_be_arrays() -> None:
    fields = {
        "VECTOR": {"vector": VectorOptions(3)},
        "NESTED": {"fields": (FieldSchema("a", FieldType.LONG),)},
        "JSON, OBJECT_JSON": {"fields": (FieldSchema("a", FieldType.LONG),), "json_type": JsonType.OBJECT},
        "JSON, NESTED_JSON": {"fields": (FieldSchema("a", FieldType.LONG),), "json_type": JsonType.NESTED},
    }
    refused = set()
    for name, kind in kinds():
        try:
            kind.check(FieldSchema("f", kind.type, is_array=True, **fields.get(name, {})))  # type: ignore[arg-type]
        except ParameterInvalid:
            refused.add(name.partition(",")[0])
    assert refused == set(_option("is_array").removeprefix("all but ").split(", "))


# --- what expressions find --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUERIES)
def test_queries(doors: Doors, name: str) -> None:
    _, sdk, embedded = (*QUERIES[name], "")[:3]
    found: list[list[int]] = []
    if sdk.startswith("Java: "):
        call = re.search(r"QueryBuilders\.\w+\(", sdk)
        assert call
        assert call[0] in SEARCHES, "no test of the Java SDK sends that"
    else:
        found.append(doors.ids(doors.made(str(code(sdk)))))
    if code(embedded) is not None:
        found.append(sorted(row["id"] for row in doors.called("search", str(code(embedded)))))
    assert all(one == found[0] != [] for one in found), found
    assert name == "MatchAll" or all(len(one) < 5 for one in found), "it finds all rows"


@pytest.mark.parametrize("name", SORTS)
def test_sorts(doors: Doors, name: str) -> None:
    _, sdk, embedded = (*SORTS[name], "")[:3]
    query = ots.KnnVectorQuery("embedding", 5, [0.2, 0.1, 0.8]) if name == "ScoreSort" else ots.MatchAllQuery()
    found = [key[0][1] for key, _ in doors.search(query=query, sort=ots.Sort([doors.made(str(code(sdk)))])).rows]
    assert len(found) == 5
    assert found[0] == {"ScoreSort": 5, "FieldSort": 5, "GeoDistanceSort": 1, "PrimaryKeySort": 5, "DocSort": 1}[name]
    if code(embedded) is not None:
        ordered = doors.books.search(order_by=doors.made(str(code(embedded))))
        assert [row["id"] for row in ordered] == found


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_aggregations(doors: Doors, name: str) -> None:
    _, sdk, embedded = AGGREGATIONS[name]
    result = doors.search(limit=0, aggs=[doors.made(str(code(sdk)))]).agg_results[0].value
    here = doors.called("aggregate", str(code(embedded)))["x"]
    if name == "Percentiles":
        assert {item.key: item.value for item in result} == here
    elif name == "TopRows":
        assert [row[0][0][1] for row in result] == [row["id"] for row in here] == [5]
    else:
        assert result == here > 0


@pytest.mark.parametrize("name", GROUPS)
def test_groups(doors: Doors, name: str) -> None:
    _, sdk, embedded = (*GROUPS[name], "")[:3]
    items = doors.search(limit=0, group_bys=[doors.made(str(code(sdk)))]).group_by_results[0].items
    counts = sorted(getattr(item, "row_count", None) or getattr(item, "value", 0) for item in items)
    assert sum(counts) > 0
    if code(embedded) is None:
        return
    groups = list(doors.called("group_by", str(code(embedded))))
    if name != "GroupByComposite":  # others leave out rows without the column
        groups = [group for group in groups if next(iter(group.values())) is not None]
    here = sorted(group["count"] for group in groups)
    if name in ("GroupByRange", "GroupByGeoDistance"):  # the embedded ones have those beyond the last bound, too
        assert set(counts) <= set(here)
    else:
        assert [count for count in counts if count] == [count for count in here if count]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "dot_product"])
def test_scores(metric: str, tmp_path: Path) -> None:
    cell = next(cells[0] for name, cells in rows_of("Scores").items() if metric.upper() in name)
    of, query = np.array([0.5, -0.25]), np.array([0.75, 0.5])
    dot = float(of @ query)
    names = {
        "d": float(np.linalg.norm(of - query)),
        "cosine": dot / float(np.linalg.norm(of) * np.linalg.norm(query)),
        "dot": dot,
    }
    with lutra.connect(tmp_path / "data") as db:
        table = db.create_table("t", key={"id": int}, fields={"v": lutra.Vector(2, metric)})  # type: ignore[arg-type]
        table.put({"id": 1, "v": of})
        [row] = table.search(query)
    assert row.score == pytest.approx(eval(str(code(cell)), names), abs=1e-6)


def test_words_are_shown_and_an_explanation_is_json(doors: Doors) -> None:
    highlight = doors.made("ots.Highlight([ots.HighlightParameter('title')])")
    with pytest.raises(ots.OTSServiceError, match="highlight"):  # `lutra.Text` is not created for it
        doors.search(query=ots.MatchQuery("title", "coast"), highlight=highlight)
    explanation = doors.books.search(text="coast", explain=True).explanation
    assert json.loads(json.dumps(explanation))["parts"]
