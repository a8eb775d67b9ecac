"""The kinds of sorters, a module each: what a search sorts by within a part, and across parts.

A new kind is a new module, named here so that it is there.
"""

from lutra.search.sorts import doc, field, geo_distance, key, score

__all__ = ["doc", "field", "geo_distance", "key", "score"]
