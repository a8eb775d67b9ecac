"""The documents that a query is asked about, and which function answers which kind of query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.reference.documents import Document

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Query

Scores = dict[Document, float]
Answer = Callable[[Any, "Space"], Scores]

_ANSWERS: dict[type, Answer] = {}


@dataclass
class Space:
    """All documents there are, whatever is asked for: scores depend on all of them."""

    schema: IndexSchema
    documents: list[Document]
    rows: list[Document]
    spaces: dict[str, Space] = field(default_factory=dict)
    """Of the documents within, by path."""
    doubts: list[str] = field(default_factory=list)
    """Where rounding decides."""

    def below(self, path: str) -> Space:
        """The documents of a nested field, all of them: words count in all rows."""
        found = self.spaces.get(path)
        if found is None:
            documents = [child for one in self.rows for child in one.below(path)]
            found = self.spaces[path] = Space(self.schema, documents, self.rows, self.spaces, self.doubts)
        return found

    @property
    def is_close(self) -> bool:
        """Whether rounding decides if some document scores enough: then the answer may be another one."""
        return bool(self.doubts)

    def match(self, query: Query) -> Scores:
        """Score by document."""
        return _ANSWERS[type(query)](query, self)

    def field(self, name: str) -> FieldSchema:
        found = self.schema.field(name)
        assert found is not None, name
        return found

    def is_text(self, name: str) -> bool:
        return self.field(name).type is FieldType.TEXT

    def where(self, name: str, test: Callable[[Any], bool], weight: float = 1.0) -> Scores:
        """Documents of which an element passes."""
        return {one: weight for one in self.documents if any(test(e) for e in one.elements.get(name, []))}


def answers(kind: type) -> Callable[[Answer], Answer]:
    """Makes a function the one for queries of that kind."""

    def register(answer: Answer) -> Answer:
        assert kind not in _ANSWERS, kind
        _ANSWERS[kind] = answer
        return answer

    return register
