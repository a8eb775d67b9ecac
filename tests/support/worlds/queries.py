"""Random trees of queries for a schema."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from support.worlds.contents import (
    DIMENSION,
    NETWORKS,
    OPERANDS,
    PATHS,
    PATTERNS,
    PLACES,
    PREFIXES,
    RINGS,
    SUFFIXES,
    WORDS,
    date_operands,
)
from support.worlds.schemas import leaves_of, nested_of
from support.worlds.scoring import rescored

from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import Nested, ScoreMode
from lutra.model.queries import (
    Bool,
    Exists,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Operator,
    Prefix,
    Query,
    Range,
    Suffix,
    Term,
    Terms,
    Wildcard,
)

DEPTH_MAX = 5
WEIGHTS = st.sampled_from([1.0, 1.0, 2.0, 0.5, 0.0])
MINIMUMS = st.sampled_from([None, None, None, 0, 1, 2, -1, "1", "50%", "-50%", "1<50%"])
ORDERED = (FieldType.LONG, FieldType.DOUBLE, FieldType.KEYWORD, FieldType.DATE, FieldType.IP, FieldType.FLATTENED)
STRINGS = (FieldType.KEYWORD, FieldType.TEXT, FieldType.FUZZY_KEYWORD, FieldType.FLATTENED)


def operands(field: FieldSchema) -> list[Any]:
    return date_operands(field.date_formats) if field.type is FieldType.DATE else OPERANDS[field.type]


def texts(field: FieldSchema) -> st.SearchStrategy[str]:
    """What a match looks for."""
    if field.type is not FieldType.TEXT:
        return st.sampled_from(OPERANDS[field.type]).map(str)
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)
    return words.flatmap(lambda some: st.sampled_from([" ".join(some), "".join(some)]))


def _terms(field: FieldSchema) -> st.SearchStrategy[Query]:
    operand = st.sampled_from(operands(field))
    several = st.lists(operand, min_size=1, max_size=6).map(tuple)
    name = st.just(field.name)
    return st.builds(Term, name, operand, WEIGHTS) | st.builds(Terms, name, several, WEIGHTS)


def _ranges(field: FieldSchema) -> st.SearchStrategy[Query]:
    bound = st.none() | st.sampled_from(operands(field))
    return st.builds(Range, st.just(field.name), bound, bound, st.booleans(), st.booleans())


def _patterns(field: FieldSchema) -> st.SearchStrategy[Query]:
    name = st.just(field.name)
    return st.one_of(
        st.builds(Prefix, name, st.sampled_from(PREFIXES), WEIGHTS),
        st.builds(Suffix, name, st.sampled_from(SUFFIXES), WEIGHTS),
        st.builds(Wildcard, name, st.sampled_from(PATTERNS), WEIGHTS),
    )


def _matches(field: FieldSchema) -> st.SearchStrategy[Query]:
    name, some = st.just(field.name), texts(field)
    minimum = st.sampled_from([None, None, 1, 2, 3, "50%", "-1"])
    return st.builds(Match, name, some, st.sampled_from(Operator), minimum, WEIGHTS) | st.builds(
        MatchPhrase, name, some, st.sampled_from([0, 0, 0, 1, 2]), WEIGHTS
    )


def _networks(field: FieldSchema) -> st.SearchStrategy[Query]:
    several = st.lists(st.sampled_from([*NETWORKS, *OPERANDS[FieldType.IP]]), min_size=1, max_size=3).map(tuple)
    name = st.just(field.name)
    return st.builds(Term, name, st.sampled_from(NETWORKS), WEIGHTS) | st.builds(Terms, name, several, WEIGHTS)


def _places(field: FieldSchema) -> st.SearchStrategy[Query]:
    name = st.just(field.name)
    point = st.sampled_from(PLACES).map(lambda place: GeoPoint(*place))
    lats = st.sampled_from([(90.0, -90.0), (90.0, 0.0), (53.0, 52.0), (0.0, 0.0), (1.0, -40.0)])
    lons = st.sampled_from([(-180.0, 180.0), (170.0, -170.0), (13.4, 13.5), (180.0, 180.0), (0.0, 179.9)])
    boxes = st.builds(
        lambda lat, lon: GeoBoundingBox(field.name, GeoPoint(lat[0], lon[0]), GeoPoint(lat[1], lon[1])), lats, lons
    )
    metres = st.sampled_from([1.0, 7_000.0, 60_000.0, 3e6, 1.5e7, 3e7])
    ring = st.sampled_from(RINGS).map(lambda places: tuple(GeoPoint(*place) for place in places))
    return st.one_of(boxes, st.builds(GeoDistance, name, point, metres), st.builds(GeoPolygon, name, ring))


def _exists(field: FieldSchema) -> st.SearchStrategy[Query]:
    return st.just(Exists(field.name))


LEAVES: dict[Callable[[FieldSchema], st.SearchStrategy[Query]], tuple[FieldType, ...]] = {
    _terms: (*ORDERED, FieldType.BOOLEAN, FieldType.TEXT, FieldType.FUZZY_KEYWORD),
    _networks: (FieldType.IP,),
    _places: (FieldType.GEO_POINT,),
    _ranges: ORDERED,
    _patterns: STRINGS,
    _matches: STRINGS,
    _exists: tuple(set(FieldType) - {FieldType.JSON}),
}
"""What is asked of one field, and of which kinds."""


@functools.lru_cache(maxsize=64)
def leaves(schema: IndexSchema, space: str) -> st.SearchStrategy[Query]:
    """What is asked of one field of a space, or of none; without neighbours."""
    fields = [
        replace(field, name=name)
        for field in schema.spaces[space].values()
        for name in [field.name, *(f"{field.name}.{path}" for path in PATHS if field.type is FieldType.FLATTENED)]
    ]
    asked = [make(field) for field in fields for make, types in LEAVES.items() if field.type in types]
    return st.one_of(*asked, st.just(MatchAll()))


@st.composite
def neighbours(draw: st.DrawFn, field: FieldSchema, filters: st.SearchStrategy[Query]) -> Query:
    factor = draw(st.sampled_from([1.0, 1.0, 1e-23, 1e20]))
    vector = [factor * draw(st.integers(-2, 2)) for _ in range(DIMENSION)]
    return KnnVector(
        field.name,
        np.array(vector, np.float32),
        draw(st.integers(1, 6)),
        draw(st.none() | filters),
        draw(st.sampled_from([0.0, 0.5, 1.0, 1e38])),
        draw(st.sampled_from([None, 0.0, 0.3, 0.5, 0.6])),
    )


def bools(part: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    parts = st.lists(part, max_size=2).map(tuple)
    weight = st.sampled_from([1.0, 0.0, 2.0, 3e38])
    return st.builds(Bool, parts, parts, parts, st.lists(part, max_size=3).map(tuple), MINIMUMS, weight)


def nested(schema: IndexSchema, path: str, depth: int, is_near: bool) -> st.SearchStrategy[Query]:
    """Of documents at ``path``."""
    within = queries(schema, max(1, depth - 1), is_near, path)
    return st.builds(Nested, st.just(path), within, st.sampled_from(ScoreMode), WEIGHTS)


@st.composite
def queries(
    draw: st.DrawFn, schema: IndexSchema, depth: int = DEPTH_MAX, is_near: bool = True, space: str = ""
) -> Query:
    """A tree of at most ``depth`` levels, of documents of a space. ``is_near``: neighbours may be asked for."""
    vectors = [field for field in leaves_of(schema, space) if field.type is FieldType.VECTOR]
    paths = nested_of(schema, space)
    kinds = ["leaf"] * 3 + (["near"] if vectors and is_near else []) + (["nested"] * 2 if paths and depth > 1 else [])
    kinds += ["bool", "bool", "rescored"] if depth > 1 else []
    kind = draw(st.sampled_from(kinds))
    below = max(1, depth - 1)
    if kind == "leaf":
        return draw(leaves(schema, space))
    if kind == "nested":
        return draw(nested(schema, draw(st.sampled_from(paths)), depth, is_near))
    filters = queries(schema, below, False, space)
    if kind == "near":
        return draw(neighbours(draw(st.sampled_from(vectors)), filters))
    part = queries(schema, below, is_near, space)
    return draw(bools(part) if kind == "bool" else rescored(leaves_of(schema, space), part, filters))
