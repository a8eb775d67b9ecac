"""In whatever order takes least and stays the same from page to page: that of primary keys."""

from __future__ import annotations

from lutra.model.queries import DocSort
from lutra.search.binder import Binder
from lutra.search.sorts.key import ByKey
from lutra.search.sorts.registry import binds


@binds(DocSort)
def bind(sorter: DocSort, binder: Binder) -> ByKey:
    """Where documents lie changes with each merge, and no page may repeat rows or leave any out for that."""
    return ByKey(sorter.descending)
