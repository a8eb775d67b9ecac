"""One sorter of a search once it is bound: of all parts of an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from lutra.search.level import Level
from lutra.search.mark import Mark, ranks
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Scores


class Ordering(ABC):
    """A sorter that was checked against the schema, what it asks for bound."""

    __slots__ = ()

    is_scoring: ClassVar[bool] = False
    """Whether it needs scores."""
    is_total: ClassVar[bool] = False
    """Whether no two rows tie."""

    descending: bool

    @abstractmethod
    def level(self, search: PartSearch, scores: Scores) -> Level:
        """Of a part. Raises RequestTimeout, StorageFailure, Corruption."""

    @abstractmethod
    def fits(self, mark: Mark) -> bool:
        """Whether ``mark``, from a token, is such as its levels give."""

    def ranks(self, marks: Sequence[Mark]) -> Sequence[Any]:
        """Values that compare as rows with these marks come, whichever part they are in."""
        return ranks(marks, self.descending)
