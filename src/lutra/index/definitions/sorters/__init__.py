"""The kinds of sorters, a module each: whether one goes with a schema, and how it is stored.

A new kind is a new module, named here so that it is there.
"""

from lutra.index.definitions.sorters import doc, field, geo_distance, key, score
from lutra.index.definitions.sorters.registry import check_index_sort, check_sort, sorter_in, sorter_out

__all__ = ["check_index_sort", "check_sort", "doc", "field", "geo_distance", "key", "score", "sorter_in", "sorter_out"]
