"""By primary key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lutra.kernels.row_mask import RowMask
from lutra.model.queries import PrimaryKeySort
from lutra.scalars.strings_part import StringsPart
from lutra.search.binder import Binder
from lutra.search.level import Keys, string_keys
from lutra.search.mark import Mark
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Docs, Scores
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import binds


@binds(PrimaryKeySort)
def bind(sorter: PrimaryKeySort, binder: Binder) -> ByKey:
    return ByKey(sorter.descending)


@dataclass(frozen=True, slots=True)
class ByKey(Ordering):
    is_total = True

    descending: bool

    def level(self, search: PartSearch, scores: Scores) -> KeyLevel:
        return KeyLevel(search.part.keys, self.descending)

    def fits(self, mark: Mark) -> bool:
        return isinstance(mark, bytes)


@dataclass(frozen=True, slots=True)
class KeyLevel:
    """The primary key."""

    strings: StringsPart
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        return string_keys(self.strings, self.descending, None)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        assert isinstance(mark, bytes)
        greater, equal = self.strings.compare(mark)
        return RowMask(~(greater | equal) if self.descending else greater), RowMask(equal)

    def marks(self, docs: Docs) -> list[Mark]:
        return [*self.strings.taken(docs)]
