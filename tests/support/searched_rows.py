"""Rows of fields of all kinds, and what a search of the console's form finds among them: every row is looked at."""

from __future__ import annotations

import datetime as dt
import fnmatch
import ipaddress
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from support.geo_model import arc_m

from lutra.instance.instance import Instance
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, TextOptions, VectorOptions
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

TABLE, INDEX = "things", "things_index"
KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 3
SCHEMA = IndexSchema(
    (
        FieldSchema("long", FieldType.LONG),
        FieldSchema("double", FieldType.DOUBLE),
        FieldSchema("flag", FieldType.BOOLEAN),
        FieldSchema("word", FieldType.KEYWORD),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("fuzzy", FieldType.FUZZY_KEYWORD),
        FieldSchema("at", FieldType.DATE),
        FieldSchema("address", FieldType.IP),
        FieldSchema("text", FieldType.TEXT, text=TextOptions("split")),
        FieldSchema("place", FieldType.GEO_POINT),
        FieldSchema("vector", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
        FieldSchema("any", FieldType.FLATTENED),
        FieldSchema("hidden", FieldType.LONG, index=False, sort_and_aggregate=False),
        FieldSchema(
            "items",
            FieldType.NESTED,
            fields=(
                FieldSchema("sku", FieldType.KEYWORD),
                FieldSchema("price", FieldType.LONG),
                FieldSchema("vector", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
            ),
        ),
        FieldSchema("of", FieldType.JSON, json_type=JsonType.OBJECT, fields=(FieldSchema("name", FieldType.KEYWORD),)),
    )
)
WORDS = ["red", "green", "blue", "redder", "grey"]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Model = dict[str, Any]


def rows_of(seed: int, count: int) -> list[Model]:
    """Each as the model has it: absent fields are absent."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        row: Model = {
            "long": draw.randint(-5, 5),
            "double": draw.choice([-1.5, 0.0, 0.5, 2.0, 1e9]),
            "flag": draw.random() < 0.5,
            "word": draw.choice(WORDS),
            "tags": draw.sample(WORDS, draw.randint(0, 3)),
            "fuzzy": draw.choice(WORDS),
            "at": EPOCH + dt.timedelta(days=draw.randint(0, 3), hours=draw.choice([0, 12])),
            "address": f"10.0.{draw.randint(0, 1)}.{draw.randint(0, 3)}",
            "text": " ".join(draw.choices(WORDS, k=draw.randint(1, 4))),
            "place": (float(draw.randint(-2, 2)), float(draw.randint(-2, 2))),
            "vector": [float(draw.randint(-3, 3)) for _ in range(DIMENSION)],
            "any": {"colour": draw.choice(WORDS)},
            "items": [
                {
                    "sku": draw.choice(WORDS),
                    "price": draw.randint(0, 3),
                    "vector": [float(draw.randint(-3, 3)) for _ in range(DIMENSION)],
                }
                for _ in range(draw.randint(0, 2))
            ],
            "of": {"name": draw.choice(WORDS)},
        }
        kept = {name: value for name, value in row.items() if draw.random() < 0.85 and value != []}
        rows.append({"id": number, **kept})
    return rows


def fill(instance: Instance, rows: Sequence[Model]) -> None:
    """Makes the table and its index as an SDK does, and puts ``rows``; all can be found then."""
    instance.create_table(TableSchema(TABLE, KEY))
    instance.create_search_index(TABLE, INDEX, SCHEMA)
    for row in rows:
        cells = [(name, _stored(name, value), None, CellOperation.PUT) for name, value in row.items() if name != "id"]
        instance.tables.write(TABLE, RowChange(ChangeKind.PUT, (("id", row["id"]),), cells))
    instance.wait_searchable(TABLE, INDEX, 60)


def _stored(name: str, value: Any) -> Any:
    if name == "at":
        return int((value - EPOCH).total_seconds() * 1_000)
    if name == "place":
        return f"{value[0]},{value[1]}"
    if name == "items":
        return json.dumps([{**one, "vector": json.dumps(one["vector"])} for one in value])
    return json.dumps(value) if isinstance(value, list | dict) else value


# --- what a search finds ---------------------------------------------------------------------------------------------


def values_of(row: Model, path: str) -> list[Any]:
    """What a row, or a document, has at a path: none, one or several values."""
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return []
        value = value[name]
    return value if isinstance(value, list) and path not in ("vector", "items.vector") else [value]


def passes(row: Model, part: Any) -> bool:
    """Whether a row, or a document within it, satisfies a condition or a group; an empty one says nothing."""
    if "group" not in part:
        return _satisfies(row, part)
    parts = [one for one in part.get("parts", []) if not is_empty(one)]
    if not parts:
        return True
    within = part.get("within")
    documents = [row] if within is None else [{within: one} for one in row.get(within, [])]
    return any(_holds(part["group"], [passes(document, one) for one in parts]) for document in documents)


def _holds(how: str, found: list[bool]) -> bool:
    return all(found) if how == "all" else any(found) if how == "any" else not any(found)


def is_empty(part: Any) -> bool:
    return "group" in part and all(is_empty(one) for one in part.get("parts", []))


def _satisfies(row: Model, condition: Any) -> bool:
    op, name, asked = condition["op"], condition["field"], condition.get("value")
    values = values_of(row, name)
    negated = {"is_not": "is", "not_in": "in", "lacks": "has"}
    if op in negated:
        return not _satisfies(row, {**condition, "op": negated[op]})
    if op == "has":
        return bool(values)
    test = _TEXT_TESTS.get(op) if name == "text" else _TESTS[op]
    assert test is not None
    return any(test(value, asked) for value in values)


def _order_key(value: Any) -> Any:
    return ipaddress.ip_address(value) if isinstance(value, str) and value.startswith("10.") else value


def _span(value: Any, asked: Any) -> tuple[Any, Any]:
    """The first value and what comes after the last that an operand stands for; the latter None: it is one value."""
    if isinstance(value, dt.datetime):
        moment = dt.datetime.fromisoformat(asked).replace(tzinfo=dt.UTC)
        return moment, moment + dt.timedelta(days=1) if len(asked) == 10 else None
    if isinstance(value, str) and value.startswith("10."):
        network = ipaddress.ip_network(asked)
        return network[0], None if network.num_addresses == 1 else network[-1] + 1
    return (float(asked) if isinstance(asked, str) and not isinstance(value, str) else asked), None


def _is(value: Any, asked: Any) -> bool:
    return _from(value, asked) and _to(value, asked)


def _from(value: Any, asked: Any) -> bool:
    return bool(_order_key(value) >= _span(value, asked)[0])


def _below(value: Any, asked: Any) -> bool:
    return bool(_order_key(value) < _span(value, asked)[0])


def _to(value: Any, asked: Any) -> bool:
    first, after = _span(value, asked)
    return bool(_order_key(value) <= first if after is None else _order_key(value) < after)


def _around(value: tuple[float, float], asked: Any) -> bool:
    lat, lon = map(float, asked["point"].split(","))
    return arc_m((lat, lon), value) <= asked["metres"]


def _in_box(value: tuple[float, float], asked: Any) -> bool:
    north, west = map(float, asked["top_left"].split(","))
    south, east = map(float, asked["bottom_right"].split(","))
    return south <= value[0] <= north and west <= value[1] <= east


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "is": _is,
    "in": lambda value, asked: any(_is(value, one) for one in asked),
    "from": _from,
    "above": lambda value, asked: not _to(value, asked),
    "to": _to,
    "below": _below,
    "between": lambda value, asked: _from(value, asked[0]) and _to(value, asked[1]),
    "starts": lambda value, asked: value.startswith(asked),
    "ends": lambda value, asked: value.endswith(asked),
    "like": fnmatch.fnmatchcase,
    "around": _around,
    "box": _in_box,
}
_TEXT_TESTS: dict[str, Callable[[str, Any], bool]] = {
    "any_words": lambda value, asked: bool(set(value.split()) & set(asked.split())),
    "all_words": lambda value, asked: set(value.split()) >= set(asked.split()),
    "phrase": lambda value, asked: f" {asked} " in f" {value} ",
    "starts": lambda value, asked: any(word.startswith(asked) for word in value.split()),
    "ends": lambda value, asked: any(word.endswith(asked) for word in value.split()),
    "like": lambda value, asked: any(fnmatch.fnmatchcase(word, asked) for word in value.split()),
}


def found_by(rows: Sequence[Model], spec: Any) -> list[Model]:
    """All rows that a search finds, in their order, whatever the page; words are not here."""
    near = spec.get("near")
    if near is not None and near["field"] != "vector":  # conditions on rows leave out records that were found
        found = [row for row in nearest(rows, near) if passes(row, spec["where"])]
    else:
        found = [row for row in rows if passes(row, spec["where"])]
        found = found if near is None else nearest(found, near)
    if spec.get("sort"):
        found.sort(key=lambda row: int(row["id"]))
    for sorter in reversed(spec.get("sort", [])):
        found = _sorted(found, sorter)
    if spec.get("collapse") is not None:
        found = _collapsed(found, spec["collapse"])
    return found


def nearest(rows: Sequence[Model], near: Any) -> list[Model]:
    """The nearest rows that have a vector, by square distance and key."""
    asked = np.array(near["vector"])

    def far(row: Model) -> float:
        return float(min(np.sum((np.array(one) - asked) ** 2) for one in _vectors(row, near["field"])))

    having = [row for row in rows if _vectors(row, near["field"])]
    return sorted(having, key=lambda row: (far(row), row["id"]))[: near["top"]]


def _vectors(row: Model, field: str) -> list[list[float]]:
    if field == "items.vector":
        return [one["vector"] for one in row.get("items", [])]
    return [row[field]] if field in row else []


def _sorted(rows: list[Model], sorter: Any) -> list[Model]:
    """Stable; rows without the field come last. Of an array the least value counts, or the greatest downwards."""
    if sorter["by"] == "key":
        return sorted(rows, key=lambda row: row["id"], reverse=sorter.get("descending", False))
    descending, name = sorter.get("descending", False), sorter["field"]
    have = [row for row in rows if values_of(row, name)]

    def place(row: Model) -> Any:
        values = [_order_key(one) for one in values_of(row, name)]
        return max(values) if descending else min(values)

    # sorted() keeps equal ones in their order downwards, too.
    return sorted(have, key=place, reverse=descending) + [row for row in rows if not values_of(row, name)]


def _collapsed(rows: list[Model], name: str) -> list[Model]:
    seen: set[Any] = set()
    firsts = []
    for row in rows:
        value = row.get(name)
        if value not in seen:
            seen.add(value)
            firsts.append(row)
    return firsts


def counted(rows: Sequence[Model], name: str, size: int) -> list[tuple[str, int]]:
    """The groups of a field's values: the largest first, then by value."""
    counts = Counter(value for row in rows for value in set(values_of(row, name)))

    def told(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(told(value), count) for value, count in order[:size]]
