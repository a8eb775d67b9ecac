"""Documents within rows that a sorter goes by: as if what they hold were the rows' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable
from lutra.index.definitions.sorters import sorter_out
from lutra.kernels.row_mask import RowMask
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoDistanceSort
from lutra.model.queries import FieldSort, SortMode
from lutra.scalars.sorting import SortKeys, reduced, spread
from lutra.scalars.strings import Strings
from lutra.scalars.strings_part import DictionaryPart
from lutra.search.binder import Binder
from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.scores import Docs
from lutra.search.token import token_bytes
from lutra.segments.space import lifted


class Within(NamedTuple):
    """Those of a row's documents in the nested field at ``path`` that match ``condition``."""

    path: str
    condition: Condition

    def search(self, search: PartSearch) -> PartSearch:
        """In these documents, of a part."""
        return search.space(self.path)

    def matching(self, search: PartSearch) -> RowMask:
        """Of ``search``, of a part, those that match. Raises RequestTimeout, StorageFailure, Corruption."""
        within = self.search(search)
        return within.node(self.condition).matches() & within.part.live

    def owners(self, search: PartSearch, docs: Docs) -> npt.NDArray[np.int32]:
        """The documents of ``search``'s part that ``docs`` of these belong to."""
        return lifted(self.search(search).part, docs, search.part).astype(np.int32)


def bind_within(what: str, sorter: FieldSort | GeoDistanceSort, binder: Binder) -> Within | None:
    """What a sorter goes by, None where that is rows. Raises ParameterInvalid."""
    if sorter.nested_filter is None:
        return None
    if token_bytes(sorter_out(sorter)) > limits.NESTED_FILTER_BYTES_MAX:
        raise ParameterInvalid(
            f"[{what}] nested_filter: it takes more than {limits.NESTED_FILTER_BYTES_MAX} bytes of a token"
        )
    with binder.within(what, sorter.nested_filter.path):
        return Within(sorter.nested_filter.path, binder.bind_beside(sorter.nested_filter.filter).condition)


def sort_keys(search: PartSearch, within: Within, name: str, mode: SortMode) -> SortKeys:
    """By the values of field ``name`` of a row's documents, as a column gives them of rows."""
    part = within.search(search).part
    column = filterable(part, name)
    elements = column.elements()
    docs = np.arange(len(elements.values)) if elements.docs is None else elements.docs.astype(np.int64)
    kept = within.matching(search).has(docs)
    owners, values = reduced(within.owners(search, docs[kept]), elements.values[kept], mode)
    strings = None
    if elements.strings is not None:
        strings = _dictionary(column.sort_keys(SortMode.MIN).strings, elements.strings)
    size = search.part.size
    return SortKeys(spread(owners, values, size), RowMask.of_rows(owners, size), strings)


def _dictionary(stored: DictionaryPart | None, strings: Sequence[bytes]) -> DictionaryPart:
    """``strings``, which ascend: the column's own where its numbers are in that order, too."""
    if stored is not None and stored.ranked:
        return stored
    made = Strings()
    made.extend(list(strings))
    return made.view()
