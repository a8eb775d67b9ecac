"""Rows with documents within documents, random queries for them, and what these should find, in plain Python."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from support.indexes import memory_index

from lutra.index.lsm.index import SearchIndex
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, TextOptions, VectorOptions
from lutra.model.nested import Nested, ScoreMode
from lutra.model.queries import Bool, Exists, KnnVector, MatchAll, Query, Range, Term, Terms
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.scoring import ConstScore, DisMax
from lutra.model.values import ColumnType

KEY = (KeyColumn("id", ColumnType.INTEGER),)
COLORS = ["red", "green", "blue"]
PARTS = FieldSchema(
    "parts", FieldType.NESTED, fields=(FieldSchema("size", FieldType.LONG), FieldSchema("kind", FieldType.KEYWORD))
)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema(
            "items",
            FieldType.NESTED,
            fields=(
                FieldSchema("price", FieldType.LONG),
                FieldSchema("color", FieldType.KEYWORD, is_array=True),
                FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
                PARTS,
            ),
        ),
        FieldSchema("notes", FieldType.JSON, json_type=JsonType.NESTED, fields=(FieldSchema("price", FieldType.LONG),)),
    )
)
LONGS = {"": ["n"], "items": ["items.price"], "items.parts": ["items.parts.size"], "notes": ["notes.price"]}
KEYWORDS = {"items": "items.color", "items.parts": "items.parts.kind"}
BELOW = {"": ["items", "items.parts", "notes"], "items": ["items.parts"]}


@dataclass(eq=False)
class Doc:
    """``values`` by full path, each a list; ``below`` by path."""

    row: int
    values: dict[str, list[Any]] = field(default_factory=dict)
    below: dict[str, list[Doc]] = field(default_factory=dict)

    def at(self, path: str) -> list[Doc]:
        """Its documents at ``path``, however deep that is."""
        if path in self.below:
            return self.below[path]
        return [inner for docs in self.below.values() for doc in docs for inner in doc.at(path)]


def random_rows(rng: random.Random, count: int) -> dict[int, dict[str, Any]]:
    """What tables hold of each row: some without items, some items without some fields."""

    def some(make: Any, most: int) -> list[Any]:
        return [make() for _ in range(rng.randint(0, most))]

    def part() -> dict[str, Any]:
        return {"size": rng.randint(0, 4)} | ({"kind": rng.choice(COLORS)} if rng.random() < 0.7 else {})

    def item() -> dict[str, Any]:
        made: dict[str, Any] = {"price": rng.randint(0, 5)} if rng.random() < 0.8 else {}
        if rng.random() < 0.7:
            made["color"] = rng.sample(COLORS, rng.randint(0, 2))
        if rng.random() < 0.8:
            made["v"] = [rng.randint(-2, 2), rng.randint(-2, 2)]
        if rng.random() < 0.6:
            made["parts"] = some(part, 3)
        return made

    rows = {}
    for number in rng.sample(range(-50, 50), count):
        columns: dict[str, Any] = {"n": rng.randint(0, 5)}
        if rng.random() < 0.8:
            columns["items"] = some(item, rng.choice([1, 2, 6]))
        if rng.random() < 0.3:
            columns["notes"] = {"price": rng.randint(0, 5)} if rng.random() < 0.5 else some(part, 2)
        rows[number] = columns
    return rows


def row_of(number: int, columns: dict[str, Any]) -> Row:
    cells = [(name, value if name == "n" else json.dumps(value), 1) for name, value in columns.items()]
    return Row((("id", number),), sorted(cells))


def docs_of(rows: dict[int, dict[str, Any]]) -> list[Doc]:
    return [_doc(number, "", SCHEMA.fields, columns) for number, columns in rows.items()]


def _doc(row: int, prefix: str, fields: Iterable[FieldSchema], values: dict[str, Any]) -> Doc:
    made = Doc(row)
    for one in fields:
        path, value = prefix + one.name, values.get(one.name)
        if one.fields:
            objects = value if isinstance(value, list) else [] if value is None else [value]
            made.below[path] = [_doc(row, f"{path}.", one.fields, inner) for inner in objects]
        elif value is not None and value != []:
            made.values[path] = value if one.is_array else [value]
    return made


def random_query(rng: random.Random, space: str, depth: int, in_knn: bool = False) -> Query:
    """About documents of ``space``."""
    pick = rng.choice

    def inner() -> Query:
        return random_query(rng, space, depth - 1, in_knn)

    kind = rng.randrange(10) if depth else rng.randrange(5)
    if kind == 0:
        return MatchAll()
    if kind == 1:
        return Range(pick(LONGS[space]), pick([None, 1, 2]), pick([None, 3, 4]))
    if kind == 2 and space in KEYWORDS:
        return Terms(KEYWORDS[space], tuple(rng.sample(COLORS, 2)), pick([0.5, 1.0, 2.0]))
    if kind == 3:
        return Exists(pick([*LONGS[space], *BELOW.get(space, [])[:1]]))
    if kind == 4 and space == "items" and not in_knn:
        vector = np.array([rng.randint(-2, 2), rng.randint(-2, 2)], np.float32)
        within = random_query(rng, space, max(0, depth - 1), True) if rng.random() < 0.4 else None
        return KnnVector("items.v", vector, pick([1, 2, 5, 30]), within, min_score=pick([None, None, 0.3]))
    if kind == 5:
        return Bool(must=(inner(),), must_not=(inner(),))
    if kind == 6:
        return Bool(must=(inner(),), should=(inner(), inner()), minimum_should_match=pick([None, 1]))
    if kind == 7:
        return DisMax((ConstScore(inner()), inner()), pick([0.0, 0.5]), pick([1.0, 2.0]))
    if kind >= 8 and space in BELOW:
        path = pick(BELOW[space])
        return Nested(path, random_query(rng, path, depth - 1, in_knn), pick(list(ScoreMode)), pick([1.0, 0.5]))
    return Term(pick(LONGS[space]), rng.randint(0, 4), pick([0.5, 1.0, 3.0]))


def found(query: Query, docs: Sequence[Doc]) -> dict[Doc, float]:
    """The score of each of ``docs`` that matches; these are all that there are of their space."""
    match query:
        case MatchAll():
            return dict.fromkeys(docs, 1.0)
        case Term(name, value, weight):
            return {doc: weight for doc in docs if value in doc.values.get(name, [])}
        case Terms(name, values, weight):
            return {doc: weight for doc in docs if set(values) & set(doc.values.get(name, []))}
        case Range(name, lower, upper):
            low = -math.inf if lower is None else lower
            high = math.inf if upper is None else upper
            return {doc: 1.0 for doc in docs if any(low <= value <= high for value in doc.values.get(name, []))}
        case Exists(name):
            return {doc: 1.0 for doc in docs if doc.values.get(name) or doc.below.get(name)}
        case ConstScore(inner):
            return dict.fromkeys(found(inner, docs), 1.0)
        case DisMax(queries, tie_breaker, weight):
            scores: dict[Doc, list[float]] = {}
            for part in queries:
                for doc, score in found(part, docs).items():
                    scores.setdefault(doc, []).append(score)
            return {doc: (max(own) + tie_breaker * (sum(own) - max(own))) * weight for doc, own in scores.items()}
        case Bool():
            return _bool(query, docs)
        case Nested(path, inner, mode, weight):
            children = found(inner, [child for doc in docs for child in doc.at(path)])
            own_scores = {doc: [children[child] for child in doc.at(path) if child in children] for doc in docs}
            return {doc: _together(mode, own) * weight for doc, own in own_scores.items() if own}
        case KnnVector():
            return _nearest(query, docs)
    raise AssertionError(query)


def _bool(query: Bool, docs: Sequence[Doc]) -> dict[Doc, float]:
    must, should = [found(one, docs) for one in query.must], [found(one, docs) for one in query.should]
    must_not = [found(one, docs) for one in query.must_not]
    needed = query.minimum_should_match or 0
    assert isinstance(needed, int)
    return {
        doc: sum(own.get(doc, 0.0) for own in must + should)
        for doc in docs
        if all(doc in own for own in must)
        and not any(doc in own for own in must_not)
        and sum(doc in own for own in should) >= needed
    }


def _together(mode: ScoreMode, scores: list[float]) -> float:
    return {
        ScoreMode.NONE: 0.0,
        ScoreMode.AVG: sum(scores) / len(scores),
        ScoreMode.MAX: max(scores),
        ScoreMode.MIN: min(scores),
        ScoreMode.TOTAL: sum(scores),
    }[mode]


def _nearest(query: KnnVector, docs: Sequence[Doc]) -> dict[Doc, float]:
    """The nearest document of each of the rows whose nearest is nearest."""
    among = docs if query.filter is None else found(query.filter, docs)
    best: dict[int, tuple[float, Doc]] = {}
    for doc in among:
        for vector in doc.values.get(query.field, []):
            distance = sum((a - float(b)) ** 2 for a, b in zip(vector, query.vector, strict=True))
            if doc.row not in best or distance < best[doc.row][0]:
                best[doc.row] = distance, doc
    chosen = sorted(best.values(), key=lambda pair: (pair[0], pair[1].row))[: query.top_k]
    scored = {doc: 1 / (1 + distance) for distance, doc in chosen}
    bound = query.min_score
    return {doc: score for doc, score in scored.items() if bound is None or np.float32(score) > np.float32(bound)}


TEXTS = IndexSchema(
    (
        FieldSchema("title", FieldType.TEXT),
        FieldSchema(
            "items",
            FieldType.NESTED,
            fields=(
                FieldSchema("price", FieldType.LONG),
                FieldSchema("color", FieldType.KEYWORD),
                FieldSchema("text", FieldType.TEXT, text=TextOptions(highlighting=True)),
                FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(1)),
                FieldSchema("parts", FieldType.NESTED, fields=(FieldSchema("size", FieldType.LONG),)),
            ),
        ),
        FieldSchema("o", FieldType.JSON, json_type=JsonType.OBJECT, fields=(FieldSchema("n", FieldType.LONG),)),
    )
)


def index_of(rows: dict[int, list[dict[str, Any]]], schema: IndexSchema = TEXTS) -> SearchIndex:
    """``items`` by row."""
    index = memory_index(schema, KEY)
    index.apply([Row((("id", number),), [("items", json.dumps(items), 1)]) for number, items in rows.items()])
    return index


def filled(rng: random.Random, rows: dict[int, dict[str, object]]) -> SearchIndex:
    """In random order, with rows between them that were there before, and are not any more."""
    index = memory_index(SCHEMA, KEY)
    index.apply([row_of(number, columns) for number, columns in random_rows(rng, 20).items()])
    index.apply([], [(("id", number),) for number in range(-50, 50) if number not in rows])
    for number in rng.sample(sorted(rows), len(rows)):
        index.apply([row_of(number, rows[number])])
    return index
