"""The main menu."""

from __future__ import annotations

from typing import Final

MAIN: Final = (
    # The message, the route's name.
    ("Tables", "instances"),
    ("Jobs", "jobs"),
    ("Status", "status"),
)
