"""Checks a query tree, once for all parts: its size, its fields and their types, its operands and its limits."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from lutra.fields.capabilities import HasFields, filterable
from lutra.fields.kind import FieldKind
from lutra.fields.kinds import KINDS, kind_of
from lutra.index.lsm.view import IndexView
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.queries import Query
from lutra.model.query_size import QuerySize
from lutra.model.recall_target import require_recall_target
from lutra.scalars.values import ScalarReader
from lutra.search.nodes.node import Clause, Condition, Placed
from lutra.search.nodes.registry import bind_of
from lutra.segments.space import spaces_down_to
from lutra.vectors.part import RECALL_TARGET_DEFAULT

C = TypeVar("C", bound=Condition)

_SEED_BITS: Final = 63


def _recall_target(asked: float | None, schema: IndexSchema) -> float:
    if asked is not None:
        return require_recall_target(asked)
    return RECALL_TARGET_DEFAULT if schema.recall_target is None else schema.recall_target


class Binder:
    """Binds one query: each kind in its own module of `lutra.search.nodes`, which asks what is here."""

    def __init__(
        self,
        view: IndexView,
        root_top_k: int = 0,
        known: dict[Condition, Condition] | None = None,
        seed: int | None = None,
        recall_target: float | None = None,
    ) -> None:
        """``root_top_k``: a KNN query at the root finds so many neighbours at least. ``known``: conditions of other
        queries over the same view, which gets those of this one. ``seed``: of random scores that have none of their
        own; None: one is drawn for them. ``recall_target``: of KNN queries; None: as the index says.

        Raises ParameterInvalid for a target that is none."""
        self.schema = view.schema
        self.recall_target = _recall_target(recall_target, view.schema)
        """What KNN queries are to find."""
        self._view = view
        self.seed = seed
        """The one that was drawn, once `draw` was asked for it."""
        self._root_top_k = root_top_k
        self._conditions: dict[Placed, None] = {}
        self._size = QuerySize()
        self._known: dict[Condition, Condition] = {} if known is None else known
        self._depth = 0
        self._is_in_knn = False
        self._is_excluding = False
        self._space = ""
        self._parts: dict[str, HasFields] = {"": view.parts[0]}

    @property
    def conditions(self) -> Sequence[Placed]:
        """All that the query is made of, each once, those within another one before it."""
        return list(self._conditions)

    @property
    def space(self) -> str:
        """What is being bound is about documents of the nested field at this path; about rows where that is empty."""
        return self._space

    def bind(self, query: Query) -> Clause:
        """Raises ParameterInvalid, and RequestTimeout: a polygon takes milliseconds, and there may be many."""
        current_deadline().check()
        self._depth += 1
        self._size.count(self._depth)
        clause = bind_of(query)(query, self)
        self._depth -= 1
        return clause

    def bind_beside(self, query: Query) -> Clause:
        """A query beside the search's own, which finds no rows of its own: no KNN query in it is at the root."""
        self._depth += 1
        clause = self.bind(query)
        self._depth -= 1
        return clause

    def bind_in_knn(self, query: Query) -> Clause:
        """The filter of a KNN query."""
        self._is_in_knn = True
        clause = self.bind(query)
        self._is_in_knn = False
        return clause

    def bind_excluded(self, query: Query) -> Clause:
        """One whose documents are left out."""
        before, self._is_excluding = self._is_excluding, True
        clause = self.bind(query)
        self._is_excluding = before
        return clause

    @property
    def is_excluding(self) -> bool:
        """Whether the documents of what is being bound are left out: where some are missing, others would be found
        that should not be."""
        return self._is_excluding

    @contextmanager
    def within(self, query: str, path: str) -> Iterator[None]:
        """What is bound inside is about documents of the nested field at ``path``, in full, below those it is about.

        Raises ParameterInvalid where there is none.
        """
        space, field = self._space, self.schema.field(path)
        if field is None:
            raise ParameterInvalid(f"[{query}] path: {path} does not exist")
        if path not in self.schema.spaces:
            raise ParameterInvalid(
                f"[{query}] path: {path} type: {field.type.name.lower()} is invalid, allow [nested, json]"
            )
        if space and not path.startswith(f"{space}."):
            raise ParameterInvalid(f"[{query}] path: {path} is not below the nested field {space}")
        self._space = path
        try:
            yield
        finally:
            self._space = space

    def same(self, condition: C) -> C:
        """``condition``, or the equal one that the query has already: in each part it is evaluated once."""
        kept = self._known.setdefault(condition, condition)
        self._conditions.setdefault(Placed(self._space, kept))
        assert type(kept) is type(condition)
        return kept

    def neighbours(self, top_k: int) -> int:
        """How many the KNN query that is being bound is to find.

        Raises ParameterInvalid where it stands in the filter of another.
        """
        if self._is_in_knn:
            raise ParameterInvalid("[knn_vector query] the filter must not hold another knn_vector query")
        return max(top_k, self._root_top_k) if self._depth == 1 else top_k

    def field(self, query: str, name: str, fits: Callable[[FieldKind], bool]) -> FieldSchema:
        """The field of a query that goes with the kinds that it ``fits``."""
        field = self.field_here(query, name)
        if not fits(kind_of(field)):
            types = ", ".join(kind.type.name.lower() for kind in KINDS.values() if fits(kind))
            raise ParameterInvalid(
                f"[{query}] field: {name} type: {field.type.name.lower()} is invalid, allow [{types}]"
            )
        if not field.is_indexed:
            raise ParameterInvalid(f"[{query}] field: {name} is not indexed")
        return field

    def field_here(self, query: str, name: str) -> FieldSchema:
        """The field of a query or a sorter, of whatever kind, of what is being bound: rows, or nested documents."""
        field = self.schema.spaces[self._space].get(name) or self.schema.field_in(self._space, name)
        if field is None:
            raise ParameterInvalid(f"[{query}] field: {name} {self._why_not(name)}")
        return field

    def _why_not(self, name: str) -> str:
        """Why there is no such field in what is being bound."""
        space = self.schema.space_of(name)
        if space is None:
            return "does not exist"
        if self._space and not space.startswith(f"{self._space}."):
            return f"is not below the nested field {self._space}"
        return f"is in the nested field {space}: use a nested query of that path"

    def draw(self) -> int:
        """The seed of random scores that have none of their own: the same for all of this query."""
        if self.seed is None:
            self.seed = secrets.randbits(_SEED_BITS)
        return self.seed

    def reader(self, name: str) -> ScalarReader:
        """Turns operands into what the field holds."""
        part = self._parts.get(self._space)
        if part is None:
            part = self._parts[self._space] = spaces_down_to(self._view.parts[0], self._space)[-1]
        return filterable(part, name).reader

    def check_weight(self, query: str, weight: float) -> None:
        if not 0 <= weight < math.inf:
            raise ParameterInvalid(f"[{query}] weight must be a number that is not negative: {weight}")
