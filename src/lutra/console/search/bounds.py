"""Limits on a search that a form says: on top of those of every search (`lutra.model.limits`)."""

from __future__ import annotations

from typing import Final

SPEC_BYTES_MAX: Final = 64 * 1024
"""As JSON."""
PARAMETER_CHARS_MAX: Final = 40 * 1024
"""As a page's address holds it; the server takes a head of 64 KB."""
GROUP_DEPTH_MAX: Final = 6
"""Of groups of conditions within each other."""
CONDITIONS_MAX: Final = 100
"""Conditions and groups together."""
LIST_VALUES_MAX: Final = 200
"""That a field may equal one of."""
POLYGON_POINTS_MAX: Final = 200
WORDS_BYTES_MAX: Final = 8_192
WORDS_FIELDS_MAX: Final = 10
WEIGHT_MAX: Final = 1_000.0
NEIGHBOURS_DEFAULT: Final = 100
LIMIT_DEFAULT: Final = 20
SORTERS_MAX: Final = 5
COLUMNS_MAX: Final = 100
AGGREGATIONS_MAX: Final = 8
"""At the top; as many below each group-by."""
GROUPS_MAX: Final = 100
"""Of one group-by at the top."""
GROUPS_BELOW_MAX: Final = 20
RANGE_BOUNDS_MAX: Final = 21
GEO_BOUNDS_MAX: Final = 10
PERCENTILES_MAX: Final = 10
NAME_BYTES_MAX: Final = 1_024
"""Of a field, with its path."""
