"""Random trees of queries for a schema."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from support.worlds.contents import DIMENSION, ELEMENTS, OPERANDS, PATTERNS, PREFIXES, SUFFIXES, WORDS, date_operands
from support.worlds.scoring import rescored

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
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
ORDERED = (FieldType.LONG, FieldType.DOUBLE, FieldType.KEYWORD, FieldType.DATE)
STRINGS = (FieldType.KEYWORD, FieldType.TEXT)


def operands(field: FieldSchema) -> list[Any]:
    return date_operands(field.date_formats) if field.type is FieldType.DATE else OPERANDS[field.type]


def texts(field: FieldSchema) -> st.SearchStrategy[str]:
    """What a match looks for."""
    if field.type is FieldType.KEYWORD:
        return st.sampled_from(ELEMENTS[FieldType.KEYWORD])
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


def _exists(field: FieldSchema) -> st.SearchStrategy[Query]:
    return st.just(Exists(field.name))


LEAVES: dict[Callable[[FieldSchema], st.SearchStrategy[Query]], tuple[FieldType, ...]] = {
    _terms: (*ORDERED, FieldType.BOOLEAN, FieldType.TEXT),
    _ranges: ORDERED,
    _patterns: STRINGS,
    _matches: STRINGS,
    _exists: tuple(FieldType),
}
"""What is asked of one field, and of which kinds."""


@functools.lru_cache(maxsize=64)
def leaves(schema: IndexSchema) -> st.SearchStrategy[Query]:
    """What is asked of one field of the schema, or of none; without neighbours."""
    asked = [make(field) for field in schema.fields for make, types in LEAVES.items() if field.type in types]
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


@st.composite
def queries(draw: st.DrawFn, schema: IndexSchema, depth: int = DEPTH_MAX, is_near: bool = True) -> Query:
    """A tree of at most ``depth`` levels. ``is_near``: neighbours may be asked for."""
    vectors = [field for field in schema.fields if field.type is FieldType.VECTOR]
    kinds = ["leaf"] * 3 + (["near"] if vectors and is_near else [])
    kinds += ["bool", "bool", "rescored"] if depth > 1 else []
    kind = draw(st.sampled_from(kinds))
    if kind == "leaf":
        return draw(leaves(schema))
    if kind == "near":
        return draw(neighbours(draw(st.sampled_from(vectors)), queries(schema, max(1, depth - 1), False)))
    part = queries(schema, depth - 1, is_near)
    return draw(bools(part) if kind == "bool" else rescored(schema, part, queries(schema, depth - 1, False)))
