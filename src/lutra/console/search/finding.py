"""What a form looks for by nearness and by words.

::

    {"words": {"text": "...", "fields": ["title"], "match": "any" | "all" | "phrase", "weight": 1},
     "near": {"field": "embedding", "by": "vector" | "text" | "row" | "picture", "top": 100, "min_score": 0.5,
              "weight": 1, "vector": [0.1, ...] or base64 of float32, "text": "...", "model": "...", "key": "[7]",
              "name": "cat.png"}}

By ``picture`` there is a ``vector``, too: that of the picture, which was uploaded before. A ``key`` is a text as
`lutra.console.row_keys.key_token` makes it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.console.row_keys import key_of_token
from lutra.console.search import bounds
from lutra.console.search.fields import SearchField, SearchFields
from lutra.console.search.node import Node
from lutra.embedding.embedder import EmbeddingError
from lutra.model import limits
from lutra.model.errors import InvalidPrimaryKey, ObjectNotExist, ParameterInvalid
from lutra.model.indexes import Metric
from lutra.model.nested import Nested, ScoreMode
from lutra.model.queries import Bool, KnnVector, Match, MatchPhrase, Operator, Query
from lutra.model.rows import PrimaryKey
from lutra.model.scoring import DisMax

WAYS: Final = ("vector", "text", "row", "picture")
MATCHES: Final = ("any", "all", "phrase")
_MODEL_BYTES_MAX: Final = 200
_NAME_BYTES_MAX: Final = 200
_KEY_BYTES_MAX: Final = 2 * limits.KEY_COLUMNS_MAX * limits.KEY_VALUE_BYTES_MAX
_PACKED_BYTES_MAX: Final = (limits.VECTOR_DIMENSION_MAX * 4 + 2) // 3 * 4

Vector = npt.NDArray[np.float32]


class Vectors(Protocol):
    """Where vectors come from that a form does not say itself.

    Raises ParameterInvalid, EmbeddingError, and what the engine raises.
    """

    def of_text(self, field: SearchField, text: str, model: str | None) -> Vector:
        """float32[dimension]: by the field's own model where none is named."""

    def of_row(self, field: SearchField, key: PrimaryKey) -> Vector:
        """float32[dimension]: what a row has there."""


def near_of(node: Node, fields: SearchFields, vectors: Vectors, where: Query | None, page_rows: int) -> Query:
    """The nearest rows, among those that pass ``where``; as many as a page has, at least. Raises `Wrong`."""
    node.object(("field", "by", "top", "min_score", "weight", "vector", "text", "model", "key", "name"))
    named = node.need("field")
    field = fields.named(named)
    if field not in fields.vectors:
        raise named.wrong("{name} is no field of vectors that can be searched.", name=field.name)
    top, least, weight = node.get("top"), node.get("min_score"), node.get("weight")
    is_nested = bool(field.space)
    near = KnnVector(
        field.name,
        _vector_of(node, field, fields, vectors),
        max(page_rows, bounds.NEIGHBOURS_DEFAULT if top is None else top.whole(1, limits.TOP_K_MAX)),
        filter=None if is_nested else where,
        weight=_weight_of(weight),
        min_score=None if least is None else float(least.number_within(0, 1e30)),
    )
    if not is_nested:
        return near
    query = Nested(field.space, near, ScoreMode.MAX)
    return query if where is None else Bool(must=(query,), filter=(where,))


def words_of(node: Node, fields: SearchFields, where: Query | None) -> Query:
    """The rows with words, among those that pass ``where``; the best of several fields counts. Raises `Wrong`."""
    node.object(("text", "fields", "match", "weight"))
    text = node.need("text").text(bounds.WORDS_BYTES_MAX)
    match, chosen, weight = node.get("match"), node.get("fields"), _weight_of(node.get("weight"))
    how = "any" if match is None else match.one_of(MATCHES)
    targets = list(fields.texts[: bounds.WORDS_FIELDS_MAX]) if chosen is None else _text_fields(chosen, fields)
    if not targets:
        raise (chosen or node).wrong("There is no field of text to look in.")
    queries = tuple(_within(field, _match(how, field.name, text, weight)) for field in targets)
    query = queries[0] if len(queries) == 1 else DisMax(queries)
    return query if where is None else Bool(must=(query,), filter=(where,))


def _match(how: str, name: str, text: str, weight: float) -> Query:
    if how == "phrase":
        return MatchPhrase(name, text, weight=weight)
    return Match(name, text, Operator.AND if how == "all" else Operator.OR, weight=weight)


def _within(field: SearchField, query: Query) -> Query:
    return Nested(field.space, query, ScoreMode.MAX) if field.space else query


def _text_fields(node: Node, fields: SearchFields) -> list[SearchField]:
    found: dict[str, SearchField] = {}
    for one in node.items(bounds.WORDS_FIELDS_MAX):
        field = fields.named(one)
        if field not in fields.texts:
            raise one.wrong("{name} is no field of text that can be searched.", name=field.name)
        found[field.name] = field
    return list(found.values())


def _weight_of(node: Node | None) -> float:
    return 1.0 if node is None else float(node.number_within(0, bounds.WEIGHT_MAX))


def _vector_of(node: Node, field: SearchField, fields: SearchFields, vectors: Vectors) -> Vector:
    by = node.need("by").one_of(WAYS)
    if by == "text":
        said, model = node.need("text"), node.get("model")
        text, name = said.text(bounds.WORDS_BYTES_MAX), None if model is None else model.text(_MODEL_BYTES_MAX)
        return _fetched(said if model is None else model, field, lambda: vectors.of_text(field, text, name))
    if by == "row":
        at = node.need("key")
        token = at.text(_KEY_BYTES_MAX)
        try:
            key = key_of_token(token, fields.key)
        except InvalidPrimaryKey as error:
            raise at.wrong("This is no key of the table: {reason}", reason=str(error)) from None
        return _fetched(at, field, lambda: vectors.of_row(field, key))
    shown_name = node.get("name") if by == "picture" else None
    if shown_name is not None:
        shown_name.text(_NAME_BYTES_MAX)
    given = node.need("vector")
    return checked_vector(given, field, _packed(given) if isinstance(given.value, str) else _listed(given))


def _fetched(node: Node, field: SearchField, fetch: Callable[[], Vector]) -> Vector:
    try:
        found = fetch()
    except ObjectNotExist:
        raise node.wrong("There is no such row.") from None
    except (ParameterInvalid, EmbeddingError) as error:
        raise node.wrong("There is no vector: {reason}", reason=str(error)) from None
    return checked_vector(node, field, np.asarray(found, np.float32))


def _listed(node: Node) -> Vector:
    numbers = node.items(limits.VECTOR_DIMENSION_MAX)
    with np.errstate(over="ignore"):
        return np.array([one.number() for one in numbers], np.float64).astype(np.float32)


def _packed(node: Node) -> Vector:
    """base64 of little-endian float32."""
    text = node.text(_PACKED_BYTES_MAX)
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    except (ValueError, binascii.Error):
        raise node.wrong("A vector is a list of numbers: [0.1, 0.2]") from None


def packed(vector: Vector) -> str:
    """A vector as a form carries it: base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()


def checked_vector(node: Node, field: SearchField, vector: Vector) -> Vector:
    """``vector``, where the field takes such. Raises `Wrong`."""
    options = field.schema.vector
    assert options is not None
    if vector.shape != (options.dimension,):
        raise node.wrong(
            "The field {name} has vectors of {dimension} numbers, not of {size}.",
            name=field.name,
            dimension=options.dimension,
            size=vector.size,
        )
    if not np.isfinite(vector).all():
        raise node.wrong("A vector has finite numbers only.")
    if options.metric is Metric.COSINE and not vector.any():
        raise node.wrong("By cosine nothing is near to a vector of zeros.")
    return vector
