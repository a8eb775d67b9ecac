"""The tabs of a table."""

from __future__ import annotations

from typing import Final

TABS: Final[tuple[tuple[str, str, str], ...]] = (
    # Its key, which a page says it is, the message, the route's name.
    ("overview", "Overview", "table"),
    ("data", "Data", "data"),
    ("search", "Search", "search"),
    ("import", "Import", "table_import"),
    ("map", "Map", "map"),
    ("indexes", "Indexes", "indexes"),
)
