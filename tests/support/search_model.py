"""What searches should find, in plain Python: random schemas, rows, queries and sorts, and a model to compare with."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from support.indexes import memory_index

from lutra.index.lsm.index import SearchIndex
from lutra.kernels.distance import topk, wide
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import (
    Bool,
    DocSort,
    Exists,
    FieldSort,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Missing,
    Prefix,
    PrimaryKeySort,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Sorter,
    SortMode,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

DIMENSION = 2
ELEMENTS: dict[str, list[Any]] = {
    "long": [-2, -1, 0, 1, 2, 3],
    "double": [-1.5, 0.0, 0.5, 2.0, 2.0**53, math.inf],
    "boolean": [False, True],
    "keyword": ["", "a", "ab", "b", "é", "x" * 70, "x" * 70 + "y", "a\0", "1", "true"],
    "date": [-2, -1, 0, 1, 2, 3],
}
TYPES = {
    "long": FieldType.LONG,
    "double": FieldType.DOUBLE,
    "boolean": FieldType.BOOLEAN,
    "keyword": FieldType.KEYWORD,
    "date": FieldType.DATE,
}
# Beside and between the elements, as other types and as text.
OPERANDS: dict[str, list[Any]] = {
    "long": [*ELEMENTS["long"], 0.5, -0.5, 1.0, "1", "1.5", 2**63, -math.inf],
    "double": [*ELEMENTS["double"], 2**53 + 1, 2**53, 0, "0.5", -0.0, 10**400],
    "boolean": [False, True, "true"],
    "keyword": [*ELEMENTS["keyword"], 1, True],
    "date": [*ELEMENTS["date"], 0.5, 1.0, "1", 10**30, dt.datetime(1970, 1, 1, 0, 0, 0, 1_500, dt.UTC)],
}
PATTERNS = {"": "", "*": ".*", "?": ".", "a*": "a.*", "*b": ".*b", "x*y": "x.*y", "?*": ".+", "a?": "a.", "é": "é"}
"""Of wildcards, and what they say as regular expressions."""
FACTORS = [(1.0,), (1.0,), (1.0, 1e20), (1e-40, 1e-23, 1.0, 1e20, 1.5e38)]
"""Of vectors: what those of one world are multiplied by. The squares of most leave float32."""
VECTOR = st.builds(
    lambda elements, factor: [factor * element for element in elements],
    st.lists(st.integers(-2, 2).map(float), min_size=DIMENSION, max_size=DIMENSION),
    st.sampled_from([factor for factors in FACTORS for factor in factors]),
)
KEYS = [
    (KeyColumn("pk", ColumnType.INTEGER),),
    (KeyColumn("pk", ColumnType.STRING),),
    (KeyColumn("pk", ColumnType.BINARY), KeyColumn("id", ColumnType.INTEGER)),
    (KeyColumn("pk", ColumnType.STRING), KeyColumn("id", ColumnType.STRING)),
]
KEY_VALUES: dict[ColumnType, list[Any]] = {
    ColumnType.INTEGER: [*range(-9, 9), -(2**63), 2**63 - 1, 256, 512, 2**40],
    ColumnType.STRING: ["", "a", "a\0", "a\0\0", "ab", "é", *("z" * n for n in range(60, 75)), *"bcdef"],
    ColumnType.BINARY: [b"", b"\0", b"\0\0", b"\0\xff", b"\xff", b"a", b"b"],
}


@dataclass
class World:
    """An index and what should be in it: the elements of each field, by key, and the rows that were written."""

    index: SearchIndex
    arrays: frozenset[str]
    metric: Metric
    rows: dict[PrimaryKey, dict[str, list[Any]]]
    written: dict[PrimaryKey, Row]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Made from a seed, so that most are full of rows."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    arrays = draw(st.frozensets(st.sampled_from(sorted(ELEMENTS))))
    metric = draw(st.sampled_from(Metric))
    fields = [FieldSchema(name, TYPES[name], is_array=name in arrays) for name in ELEMENTS]
    fields.append(FieldSchema("vector", FieldType.VECTOR, vector=VectorOptions(DIMENSION, metric)))
    columns = draw(st.sampled_from(KEYS))
    index = memory_index(IndexSchema(tuple(fields)), columns)
    rows: dict[PrimaryKey, dict[str, list[Any]]] = {}
    written: dict[PrimaryKey, Row] = {}
    filling = draw(st.sampled_from([0.5, 0.9, 1.0]))
    factors = draw(st.sampled_from(FACTORS))
    for _ in range(draw(st.sampled_from([40, 60, 20, 30, 3, 0]))):
        key = tuple((c.name, rng.choice(KEY_VALUES[c.type])) for c in columns)
        rows.pop(key, None)
        if rng.random() < 0.2:
            index.apply([], [key])
            continue
        written[key], rows[key] = random_row(rng, key, arrays, filling, factors)
        index.apply([written[key]])
    return World(index, arrays, metric, rows, {key: written[key] for key in rows})


def random_row(
    rng: random.Random,
    key: PrimaryKey,
    arrays: frozenset[str],
    filling: float,
    factors: tuple[float, ...] = (1.0,),
) -> tuple[Row, dict[str, list[Any]]]:
    content: dict[str, list[Any]] = {}
    cells: list[tuple[str, Any, int]] = []
    for name, values in ELEMENTS.items():
        if rng.random() < filling:
            elements = rng.choices(values, k=rng.randint(0, 3) if name in arrays else 1)
            cells.append((name, json.dumps(elements) if name in arrays else elements[0], 1))
            if elements and not (name in arrays and math.inf in elements):  # JSON has no infinity
                content[name] = elements
    if rng.random() < filling:
        factor = rng.choice(factors)
        vector = [factor * rng.randint(-2, 2) for _ in range(DIMENSION)]
        content["vector"] = [vector]
        cells.append(("vector", json.dumps(vector), 1))
    return Row(key, sorted(cells)), content


@st.composite
def leaves(draw: st.DrawFn) -> Query:
    name = draw(st.sampled_from(sorted(ELEMENTS)))
    element = st.sampled_from(OPERANDS[name])
    weight = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))
    kind = draw(st.sampled_from(["all", "term", "terms", "range", "prefix", "suffix", "like", "match", "exists"]))
    if kind == "term":
        return Term(name, draw(element), weight)
    if kind == "terms":
        return Terms(name, tuple(draw(st.lists(element, min_size=1, max_size=6))), weight)
    if kind == "range" and name != "boolean":
        bound = st.none() | element
        return Range(name, draw(bound), draw(bound), draw(st.booleans()), draw(st.booleans()))
    if kind == "prefix":
        return Prefix("keyword", draw(st.sampled_from(["", "a", "x" * 65, "x" * 71, "é", "a\0"])), weight)
    if kind == "suffix":
        return Suffix("keyword", draw(st.sampled_from(["", "b", "x" * 5 + "y", "é", "\0"])), weight)
    if kind == "like":
        return Wildcard("keyword", draw(st.sampled_from(sorted(PATTERNS))), weight)
    if kind == "match":
        query = draw(st.sampled_from([Match, MatchPhrase]))
        return query("keyword", draw(st.sampled_from(ELEMENTS["keyword"])), weight=weight)
    if kind == "exists":
        return Exists(draw(st.sampled_from([name, "vector"])))
    return MatchAll()


@st.composite
def neighbours(draw: st.DrawFn, filters: st.SearchStrategy[Query]) -> Query:
    return KnnVector(
        "vector",
        np.array(draw(VECTOR), np.float32),
        draw(st.integers(1, 6)),
        draw(st.none() | filters),
        draw(st.sampled_from([0.0, 0.5, 1.0, 1e38])),
        draw(st.sampled_from([None, 0.0, 0.3, 0.5, 0.6])),
    )


def trees(leaf: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    def bools(part: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
        parts = st.lists(part, max_size=2).map(tuple)
        weight = st.sampled_from([0.0, 2.0, 3e38])
        minimum = st.sampled_from([None, 0, 1, 2, -1, "1", "50%", "-50%", "1<50%"])
        return st.builds(Bool, parts, parts, parts, st.lists(part, max_size=3).map(tuple), minimum, weight)

    return st.recursive(leaf, bools, max_leaves=6)


FILTERS = trees(leaves())
QUERIES = st.one_of(
    st.just(MatchAll()),
    st.sampled_from(sorted(ELEMENTS)).map(Exists),
    neighbours(st.just(MatchAll())),
    neighbours(FILTERS),
    trees(leaves() | neighbours(FILTERS)),
    st.builds(Bool, st.just(()), st.lists(leaves(), max_size=1).map(tuple), st.just(()), st.lists(leaves()).map(tuple)),
)


@st.composite
def sorts(draw: st.DrawFn, arrays: frozenset[str]) -> tuple[Sorter, ...]:
    result: list[Sorter] = []
    for _ in range(draw(st.integers(0, 3))):
        descending = draw(st.booleans())
        kind = draw(st.sampled_from(["score", "field", "field", "field", "key", "doc"]))
        if kind == "score":
            result.append(ScoreSort(descending))
        elif kind == "doc":
            result.append(DocSort(descending))
        elif kind == "key":
            result.append(PrimaryKeySort(descending))
        else:
            name = draw(st.sampled_from(sorted(ELEMENTS)))
            modes = list(SortMode) if name in ("long", "double", "date") else [SortMode.MIN, SortMode.MAX]
            result.append(
                FieldSort(
                    name,
                    descending,
                    draw(st.none() | st.sampled_from(modes)),
                    draw(
                        st.none()
                        | st.sampled_from(Missing)
                        | st.sampled_from([o for o in OPERANDS[name] if not isinstance(o, dt.datetime)])
                    ),
                )
            )
    return tuple(result)


# --- the model -------------------------------------------------------------------------------------------------------


def order_of(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def key_order(key: PrimaryKey) -> tuple[Any, ...]:
    return tuple(order_of(value) for _, value in key)


def distance(metric: Metric, query: Any, vector: list[float]) -> float:
    """By the kernel, pair by pair: what is tested here is what is made of it."""
    one = np.array([vector], np.float32)
    return float(wide(topk(np.asarray(query, np.float32).reshape(1, -1), one, 1, metric)[1])[0, 0])


def score_of(metric: Metric, near: float) -> float:
    if metric is Metric.EUCLIDEAN:
        return 1 / (1 + near)
    return 1 - near / 2 if metric is Metric.COSINE else (1 - near) / 2


def above(score: float, bound: float) -> bool:
    """As float32."""
    with np.errstate(over="ignore"):
        return bool(np.float32(score) > np.float32(bound)) if bound else score > 0


def within_float64(score: float) -> float:
    return min(max(score, -sys.float_info.max), sys.float_info.max)


class Model:
    def __init__(self, world: World, top_k: int) -> None:
        self.world = world
        self.top_k = top_k

    def match(self, query: Query, root: bool = False) -> dict[PrimaryKey, float]:
        """Score by key."""
        match query:
            case MatchAll():
                return dict.fromkeys(self.world.rows, 1.0)
            case Term(name, value, weight):
                return self.where(name, lambda e: e == meant(name, value), weight)
            case Terms(name, values, weight):
                return self.where(name, lambda e: e in [meant(name, value) for value in values], weight)
            case Range(name):
                return self.where(name, lambda e: in_range(query, e))
            case Prefix(name, prefix, weight):
                return self.where(name, lambda e: e.startswith(prefix), weight)
            case Suffix(name, suffix, weight):
                return self.where(name, lambda e: e.endswith(suffix), weight)
            case Wildcard(name, pattern, weight):
                expression = re.compile(PATTERNS[pattern], re.DOTALL)
                return self.where(name, lambda e: expression.fullmatch(e) is not None, weight)
            case Match(name, text) | MatchPhrase(name, text):
                return self.where(name, lambda e: e == text, query.weight)
            case Exists(name):
                return self.where(name, lambda e: True)
            case Bool():
                return self.bool(query)
            case KnnVector():
                return self.knn(query, max(query.top_k, self.top_k) if root else query.top_k)

    def where(self, name: str, test: Callable[[Any], bool], weight: float = 1.0) -> dict[PrimaryKey, float]:
        return {key: weight for key, row in self.world.rows.items() if any(test(e) for e in row.get(name, []))}

    def bool(self, query: Bool) -> dict[PrimaryKey, float]:
        must, should = [self.match(q) for q in query.must], [self.match(q) for q in query.should]
        filters, must_not = [self.match(q) for q in query.filter], [self.match(q) for q in query.must_not]
        spec, n = query.minimum_should_match, len(should)
        needed = {None: 0, -1: max(0, n - 1), "50%": n // 2, "-50%": n - n // 2, "1<50%": n if n <= 1 else n // 2}.get(
            spec, int(spec) if str(spec).isdigit() else 0
        )
        if not query.must and not query.filter and n:
            needed = max(needed, 1)
        empty = not (must or should or filters or must_not)
        return {
            key: within_float64((1.0 if empty else sum(m.get(key, 0.0) for m in must + should)) * query.weight)
            for key in self.world.rows
            if all(key in m for m in must + filters)
            and not any(key in m for m in must_not)
            and sum(key in m for m in should) >= needed
        }

    def knn(self, query: KnnVector, top_k: int) -> dict[PrimaryKey, float]:
        among = dict.fromkeys(self.world.rows, 0.0) if query.filter is None else self.match(query.filter)
        near = [
            (distance(self.world.metric, query.vector, row["vector"][0]), key)
            for key, row in self.world.rows.items()
            if key in among and "vector" in row
        ]
        near.sort(key=lambda pair: (pair[0], key_order(pair[1])))
        scored = {key: score_of(self.world.metric, d) * query.weight for d, key in near[:top_k]}
        return {key: score for key, score in scored.items() if query.min_score is None or above(score, query.min_score)}


def meant(name: str, operand: Any) -> Any:
    """What an operand of field ``name`` compares as; dates count milliseconds."""
    if isinstance(operand, dt.datetime):
        return Fraction((operand - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1), 1_000)
    if name == "keyword":
        return operand if isinstance(operand, str | None) else str(operand).lower()
    if isinstance(operand, str):
        return True if operand == "true" else float(operand)
    return operand


def stand_in(name: str, operand: Any) -> Any:
    """What rows without field ``name`` sort as: the greatest that it can hold and that is not above the operand."""
    value = meant(name, operand)
    if name in ("long", "date"):
        exact = value if isinstance(value, float) and math.isinf(value) else Fraction(value)
        scaled = exact * 1_000_000 if name == "date" else exact
        return max(-(2**63), min(2**63 - 1, scaled if isinstance(scaled, float) else math.floor(scaled)))
    if name == "double" and isinstance(value, int):
        return {2**53 + 1: 2.0**53, 10**400: sys.float_info.max}.get(value, value)
    return value


def in_range(query: Range, element: Any) -> bool:
    e = order_of(element)
    low, high = meant(query.field, query.lower), meant(query.field, query.upper)
    above = low is None or order_of(low) < e or (query.include_lower and low == element)
    return above and (high is None or e < order_of(high) or (query.include_upper and high == element))


class Reversed:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and bool(self.value == other.value)


def sort_key(world: World, sort: tuple[Sorter, ...], key: PrimaryKey, score: float) -> list[Any]:
    result: list[Any] = []
    for sorter in sort:
        turned = Reversed if sorter.descending else (lambda value: value)
        if isinstance(sorter, PrimaryKeySort | DocSort):
            return [*result, turned(key_order(key))]
        if isinstance(sorter, ScoreSort):
            result.append(turned(score))
            continue
        elements = world.rows[key].get(sorter.field, [])
        mode = sorter.mode if sorter.mode is not None else (SortMode.MAX if sorter.descending else SortMode.MIN)
        if not elements and (sorter.missing is None or isinstance(sorter.missing, Missing)):
            result += [0 if sorter.missing is Missing.FIRST else 2, 0]
            continue
        if not elements:
            value = stand_in(sorter.field, sorter.missing)
        else:
            scaled = [e * 1_000_000 for e in elements] if sorter.field == "date" else elements
            if mode is SortMode.AVG and sorter.field in world.arrays:
                value = sum(float(e) for e in scaled) / len(scaled)
            else:
                value = (min if mode is SortMode.MIN else max)(scaled, key=order_of)
        result += [1, turned(order_of(value))]
    return [*result, key_order(key)]


def expected_order(world: World, request: SearchRequest, top_k: int) -> list[tuple[PrimaryKey, float]]:
    found = Model(world, top_k).match(request.query, root=True)
    return sorted(found.items(), key=lambda pair: sort_key(world, request.sort, *pair))
